"""The file that training resumes from: plain tensors, numbers and strings."""

from pathlib import Path
from typing import Any

import torch

from bvg.errors import UserError
from bvg.files import written_atomically
from bvg.predictions.identity import differences
from bvg.zoo.checkpoints import read_checkpoint

RECORD, STEP, LOSS = "record", "step", "loss"
_AGAIN = "start again in another folder with --out"


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace the file once the new one is complete; raises UserError if it cannot be written."""
    with written_atomically(path, "--out") as file:
        torch.save(content, file)


def load_checkpoint(path: Path, record: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the content of the file, None if there is none.

    Raises UserError if it was written with another record (None: any): recipe, data, or start.
    """
    if not path.exists():
        return None
    content = read_checkpoint(path, remedy=_AGAIN)
    if not isinstance(content, dict) or not {RECORD, STEP, LOSS} <= content.keys():
        raise UserError(f"{path} was not written by train.py: {_AGAIN}")
    if record and (changed := differences(content[RECORD], record)):
        raise UserError(
            f"{path.parent} contains a training run with other settings ({'; '.join(changed)}): "
            "give those again, or choose another folder with --out"
        )
    return content
