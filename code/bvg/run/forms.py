"""The form in which a model is computed: as it is (eager), with folded batch norms, or compiled.

All forms are the same function up to rounding: decisions stay, the last digits of a confidence may
not. Hence eager is the default, and a result ends in the form in which it began. Another form is
used only if its logits and decisions agree with the eager model's on the first batch.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bvg.data.fetch import cache_folder
from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import Preprocessing
from bvg.errors import reason_of
from bvg.run.batches import as_batch
from bvg.run.decisions import Decision, decided
from bvg.run.runs import EAGER, Form, Run
from bvg.run.settings import Settings
from bvg.run.verified import needs_eager
from bvg.stimuli.batch import Stimuli

AUTO, FOLDED, COMPILED = "auto", "folded", "compiled"
# Largest difference of logits, less the largest of their row, as a fraction of their spread (root
# mean square). Rounding makes 1e-5 to 1e-6; the probe allows 5e-2 between batches.
TOLERANCE = 1e-3
CONDITIONS = 8  # of the first batch that are compared
GAIN = 1.03  # how much faster a form must be than the one before it
TURNS = 5  # in which two forms are timed
# How many times as many batches a run must have left as timing a form takes: a fiftieth of the
# run at most is lost if it gains nothing.
TIMING_PAYS = 50
# Seconds of computation left from which on `auto` tries to compile a model, which takes about a
# minute: a twentieth of that at most is lost if it gains nothing.
COMPILE_PAYS = 1200.0
# The variable, and what the user set it to: importing torchvision sets it to a temporary folder.
_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_CHOSEN = os.environ.get(_CACHE)


@dataclass(frozen=True)
class FirstInputs:
    """What a run's model sees first: the inputs of up to CONDITIONS conditions, and their labels.

    left: the number of inputs that the run lacks, under all conditions.
    """

    inputs: list[torch.Tensor]
    labels: torch.Tensor
    left: int


class _OfOneShape(nn.Module):
    """`fast` for inputs of one shape and `base` for others, which would be compiled once more.

    Others are the last batch, and all batches once one was too large for the memory.
    """

    def __init__(self, fast: Callable, base: nn.Module, shape: torch.Size) -> None:
        super().__init__()
        self.fast, self.base, self.shape = fast, base, shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape != self.shape:
            return self.base(x)
        return self.fast(x.contiguous(memory_format=torch.channels_last))


def folded(model: nn.Module) -> nn.Module | None:
    """Return a copy whose batch norms are part of the convolutions before; None if it has none.

    Raises any kind of error for a model that torch.fx cannot trace.
    """
    from torch.fx.experimental.optimization import fuse  # here, because importing it is slow

    fused = fuse(model).eval().to(memory_format=torch.channels_last)
    return fused if _norms(fused) < _norms(model) else None


def _norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def compiled(model: nn.Module, shape: torch.Size) -> nn.Module:
    """Return the model compiled for inputs of this shape, at the first call.

    What was compiled is kept in $BVG_CACHE/compiled for other runs.
    """
    os.environ[_CACHE] = _CHOSEN or str(cache_folder() / "compiled")
    return _OfOneShape(torch.compile(model, dynamic=False), model, shape)


def first_inputs(
    images: ImageSet, view: Preprocessing, stimuli: Stimuli, settings: Settings, done: int
) -> FirstInputs | None:
    """Return what a model sees first; None if none of the first images can be decoded.

    done: the number of images that the run has finished.
    """
    batches = decoded_batches(images, (view,), 0, settings.batch_size, 0, False)
    first = next(batches, None)
    if first is None or not len(first.indices):
        return None
    positions = first.indices.repeat_interleave(first.frames)
    batch = as_batch(images, first.views[0], positions, settings.device, settings.seed)
    inputs: list[torch.Tensor] = []
    conditions = 0
    for _, x, *_ in stimuli(batch):
        conditions += 1
        if len(inputs) < CONDITIONS:
            inputs.append(x.clone())
    frames = len(positions) / len(first.indices)
    left = round((len(images) - done) * frames * conditions)
    return FirstInputs(inputs, batch.labels, left)


@torch.no_grad()
def choose_forms(
    runs: Sequence[Run],
    images: ImageSet,
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
) -> None:
    """Set the form in which each run's model is computed, and print which it is and why.

    It is the one of the answers on disk, or else settings.form. Stimuli that are made against each
    model need its gradients, which are the eager model's, and so are then the answers.
    """
    for run in runs:
        wanted = run.begun or settings.form
        if wanted != settings.form:
            print(f"{run.name}: continuing {wanted}, as the result on disk began")
        if wanted == EAGER:
            continue
        if isinstance(stimuli, Mapping):
            print(f"{run.name}: eager, since these stimuli are made against the model")
            continue
        if run.begun is None and needs_eager(run, decide, settings):
            print(f"{run.name}: eager, since all answers are computed in fp32")
            continue
        try:
            first = first_inputs(images, run.view, stimuli, settings, run.store.done)
            make = _fastest if wanted == AUTO else partial(_requested, wanted)
            run.form = make(run.name, run.model.model, first, decide) if first else None
        except Exception as error:  # the loop repeats it, and says whose it is
            print(f"{run.name}: eager, since the first batch fails ({reason_of(error)})")


def _requested(
    wanted: str, name: str, model: nn.Module, first: FirstInputs, decide: Decision
) -> Form:
    found, problem = _in_form(wanted, model, first, decide)
    if found is None:
        print(f"{name}: eager, since {problem}")
        return Form(EAGER, model)
    print(f"{name}: {wanted}, with the eager model's decisions on the first batch")
    return Form(wanted, found)


def _fastest(name: str, model: nn.Module, first: FirstInputs, decide: Decision) -> Form:
    """Return the fastest form; others than eager are tried only where the run is long enough."""
    x = first.inputs[0]
    if first.left < TIMING_PAYS * 2 * (len(first.inputs) + TURNS) * len(x):
        print(f"{name}: eager, since timing other forms would not pay: {first.left:,} inputs left")
        return Form(EAGER, model)
    speeds = {EAGER: len(x) / min(_seconds(model, x)[0] for _ in range(2))}
    best, remarks = Form(EAGER, model), []
    for wanted in (FOLDED, COMPILED):
        left = first.left / speeds[best.name]
        if wanted == COMPILED and left < COMPILE_PAYS:
            remarks.append(f"compiling would not pay: {left:.0f} s are left")
            break
        found, problem = _in_form(wanted, model, first, decide)
        if found is None:
            remarks.append(f"not {wanted}: {problem}")
            continue
        gain = _gain(found, best.model, x)
        speeds[wanted] = gain * speeds[best.name]
        if gain > GAIN:
            best = Form(wanted, found)
    timed = ", ".join(f"{form} {speed:.1f}" for form, speed in speeds.items())
    print("; ".join([f"{name}: {best.name}, the fastest form (images/s: {timed})", *remarks]))
    return Form(best.name, best.model, {form: round(speed, 2) for form, speed in speeds.items()})


def _in_form(
    wanted: str, model: nn.Module, first: FirstInputs, decide: Decision
) -> tuple[nn.Module | None, str]:
    """Return the model in a form that agrees with the eager one, or None and the reason."""
    try:
        made = folded(model)
    except Exception as error:  # the model may be anyone's code
        made, reason = None, f"torch.fx cannot trace it ({reason_of(error)})"
    else:
        reason = "it has no batch norms to fold"
    problem = reason if made is None else disagreement(made, model, first, decide)
    if wanted == COMPILED:
        made = compiled(model if made is None or problem else made, first.inputs[0].shape)
        problem = disagreement(made, model, first, decide)
    return (None, problem) if problem else (made, "")


def disagreement(form: nn.Module, model: nn.Module, first: FirstInputs, decide: Decision) -> str:
    """Return how a form's logits or decisions differ from the model's on the inputs, or ""."""
    # The last batch is smaller, which a traced or compiled model must not mind.
    for x in [*first.inputs, first.inputs[0][:1]]:
        try:
            other = form(x.clone())  # cloned, as a model may change its input
        except Exception as error:  # a compiler may raise anything
            return f"this form fails ({type(error).__name__}: {reason_of(error)})"
        own = model(x.clone())
        spread = float(own.std(dim=1, correction=0).mean())
        change = float((_relative(own) - _relative(other)).abs().max())
        if not change <= TOLERANCE * spread:  # NaN is no agreement
            share = change / spread
            return f"the logits of this form differ by {change:.2g} ({share:.1g} of their spread)"
        own, other = (decided(decide, y, first.labels[: len(x)])["answers"] for y in (own, other))
        if not torch.equal(own, other):
            return "decisions of this form differ on the first batch"
    return ""


def _relative(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.max(dim=1, keepdim=True).values


def _gain(form: nn.Module, base: nn.Module, x: torch.Tensor) -> float:
    """Return how many times as fast a form is as the other, in the median of some turns.

    It is the smaller of the ratios by the clock and, on the CPU, in CPU time: other programs slow
    down the clock, and a form that uses fewer cores takes less CPU time, but longer.
    """
    turns = [(_seconds(base, x), _seconds(form, x)) for _ in range(TURNS)]
    return min(median(own[k] / other[k] for own, other in turns) for k in range(2))


def _seconds(model: nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """Return the seconds that the model takes: by the clock, and on the CPU of CPU time."""
    clock, cpu = time.perf_counter(), time.process_time()
    model(x.clone())
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    clock = time.perf_counter() - clock
    return clock, time.process_time() - cpu if x.device.type == "cpu" else clock
