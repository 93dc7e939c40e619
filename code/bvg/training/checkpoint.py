"""The file that training resumes from: plain tensors, numbers and strings."""

from pathlib import Path

import torch

from bvg.errors import UserError, root_cause
from bvg.files import written_atomically
from bvg.predictions.identity import differences
from bvg.training.job import Job
from bvg.zoo.checkpoints import read_checkpoint

RESUME, WEIGHTS = "resume.pt", "weights"
_ENTRIES = {"record", "execution", "step", "loss", "model", "optimizer", "scaler"}
_AGAIN = "start again in another folder with --out"


def save(job: Job, out: Path) -> None:
    """Write the state of a run to `out`; the file is replaced once the new one is complete.

    Raises UserError for weights that are not finite, or if the file cannot be written; the last
    checkpoint is then kept.
    """
    if not all(parameter.isfinite().all() for parameter in job.model.parameters()):
        raise diverged(job, out, "a weight is not finite")
    content = {
        "record": job.record,
        "execution": job.execution,
        "step": job.step,
        "loss": job.loss,
        "model": job.model.state_dict(),
        "optimizer": job.optimizer.state_dict(),
        "scaler": job.scaler.state_dict(),
    }
    with written_atomically(out / RESUME, "--out") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # what PyTorch makes of a full disk
            if isinstance(cause := root_cause(error), OSError):
                raise cause from error
            raise


def resume(job: Job, out: Path) -> None:
    """Continue from the last checkpoint in `out`, if there is one.

    Raises UserError if that is of another recipe, other data, or another start, and for weights
    without a checkpoint, which would be overwritten. (The first process compares them; the others
    take what it accepted.)
    """
    path = out / RESUME
    if not path.exists():
        if job.own.is_first and (out / f"{WEIGHTS}.safetensors").exists():
            raise UserError(
                f"{out} contains the weights of an earlier run, but not its {RESUME}, without "
                "which it cannot go on: choose another folder with --out, or delete the weights"
            )
        return
    content = read_checkpoint(path, remedy=_AGAIN)
    if not isinstance(content, dict) or content.keys() != _ENTRIES:
        raise UserError(f"{path} was not written by train.py: {_AGAIN}")
    if job.own.is_first and (changed := differences(content["record"], job.record)):
        raise UserError(
            f"{out} contains a training run with other settings ({'; '.join(changed)}): give those "
            "again, or choose another folder with --out"
        )
    job.step, job.loss = content["step"], content["loss"]
    changed = differences(content["execution"], job.execution)
    if changed and job.own.is_first and job.step < job.recipe.epochs * job.steps:
        print(
            f"this run was started differently ({'; '.join(changed)}): its weights will differ "
            "from those of an unbroken run"
        )
    job.model.load_state_dict(content["model"])
    job.optimizer.load_state_dict(content["optimizer"])
    if content["scaler"]:  # {} of a run that was not in fp16
        job.scaler.load_state_dict(content["scaler"])


def diverged(job: Job, out: Path, what: str) -> UserError:
    """Return the error for a run that has diverged, as `what` shows."""
    path = out / RESUME
    kept = f"{path} keeps the last checkpoint" if path.exists() else "no checkpoint was saved yet"
    return UserError(
        f"{what} at update {job.step + 1:,}, so training has diverged ({kept}): start again in "
        f"another --out with a lower learning rate than --lr {job.recipe.lr:g}"
    )
