"""Stimuli are computed in full precision, whatever the model's is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def all_bits() -> Iterator[None]:
    """Keep --precision tf32, which is meant for the model, out of matrix products."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
