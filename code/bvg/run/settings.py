"""How to run: device, precision, batches, workers, memory."""

import argparse
import ctypes
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from bvg.errors import UserError, reason_of

VERIFIED = "verified"  # see run/verified
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BATCH, GPU_BATCH = 16, 64
MOST_WORKERS = 8
# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what to evaluate (only precision and seed can change a result).

    Device, batch_size and form can change the last digits of confidences.

    allow_unstable: evaluate models whose outputs are random or depend on the batch.
    cache_crops: folder in which decoded crops are kept for other runs; None: nowhere.
    form: how models are computed (run/forms).
    """

    device: torch.device
    precision: str = "fp32"
    batch_size: int = GPU_BATCH
    num_workers: int = 2
    seed: int = 0
    skip_bad_images: bool = False
    allow_unstable: bool = False
    cache_crops: Path | None = None
    form: str = "eager"


def settings_from(args: argparse.Namespace) -> Settings:
    """Return the settings of the arguments, and configure PyTorch and memory for them.

    Raises UserError for an unavailable device, and for a form that cannot be checked in 16 bits.
    """
    device = best_device(args.device)
    if args.form != "eager" and args.precision in AUTOCAST:
        raise UserError(
            f"--form {args.form} is checked against the model's own logits, which {args.precision} "
            "rounds too much: use --precision fp32 or tf32, or drop --form"
        )
    keep_freed_memory()
    # cuDNN would use TF32 for "fp32" convolutions by default: 10 bits of mantissa instead of 23.
    torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    workers = args.num_workers
    if workers is None:
        workers = 0 if device.type == "cpu" else min(MOST_WORKERS, os.cpu_count() or 1)
    return Settings(
        device,
        args.precision,
        args.batch_size or (CPU_BATCH if device.type == "cpu" else GPU_BATCH),
        workers,
        args.seed,
        args.skip_bad_images,
        args.allow_unstable,
        args.cache_crops,
        args.form,
    )


def best_device(name: str | None) -> torch.device:
    """Return the named device, or the fastest one; raises UserError if it is unavailable.

    Of several GPUs, it becomes PyTorch's current one, whose work events wait for.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # fails on "meta", too, which computes nothing
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"the device {name!r} is unavailable ({reason_of(error)}): use --device cpu, or drop "
            "--device"
        ) from error
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return device


def autocast(settings: Settings):
    """Return the context in which a model is called, for the requested precision.

    A notebook's own autocast is off inside it.
    """
    if settings.precision in AUTOCAST:
        return torch.autocast(settings.device.type, dtype=AUTOCAST[settings.precision])
    if torch.is_autocast_enabled(settings.device.type):
        return torch.autocast(settings.device.type, enabled=False)
    return nullcontext()


@cache
def keep_freed_memory() -> bool:
    """Return whether the C library was told to reuse freed memory (only glibc can be).

    By default glibc returns large blocks to the kernel at once, and every batch pays for page
    faults: eval_spectral.py with a ResNet-18 then takes 12 % more CPU time (52.5 instead of 47.0 s;
    3.1 million page faults instead of 0.3) and 5 % more memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library (musl)
        return False
    largest = 2**31 - 1  # mallopt takes an int
    thresholds = (mallopt(_M_MMAP_THRESHOLD, largest), mallopt(_M_TRIM_THRESHOLD, largest))
    return all((*thresholds, mallopt(_M_TOP_PAD, 256 << 20)))


def release_freed_memory() -> None:
    """Return all freed memory to the system (with glibc; elsewhere nothing happens).

    Memory kept for reuse becomes fragmented; releasing it now and then keeps the peak from growing
    with the length of a run.
    """
    if keep_freed_memory():
        ctypes.CDLL(None).malloc_trim(0)
