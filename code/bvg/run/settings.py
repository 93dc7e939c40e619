"""How to run: device, precision, batches, workers."""

import argparse
import os
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from bvg.memory import keep_freed_memory
from bvg.run.command_line import best_device

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BATCH, GPU_BATCH = 16, 64
MOST_WORKERS = 8


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what to evaluate (only precision and seed can change a result)."""

    device: torch.device
    precision: str = "fp32"
    batch_size: int = GPU_BATCH
    num_workers: int = 2
    seed: int = 0
    skip_bad_images: bool = False
    allow_unstable: bool = False  # models whose answers depend on chance or on the batch


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Return the settings of the arguments, and configure PyTorch and memory for them.

    Raises UserError for an unavailable device.
    """
    device = best_device(arguments.device)
    keep_freed_memory()
    # cuDNN would use TF32 for "fp32" convolutions by default: 10 bits of mantissa instead of 23.
    torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
    workers = arguments.num_workers
    if workers is None:
        workers = 0 if device.type == "cpu" else min(MOST_WORKERS, os.cpu_count() or 1)
    return Settings(
        device,
        arguments.precision,
        arguments.batch_size or (CPU_BATCH if device.type == "cpu" else GPU_BATCH),
        workers,
        arguments.seed,
        arguments.skip_bad_images,
        arguments.allow_unstable,
    )


def autocast(settings: Settings):
    """Return the context in which a model is called, for the requested precision."""
    if settings.precision in AUTOCAST:
        return torch.autocast(settings.device.type, dtype=AUTOCAST[settings.precision])
    return nullcontext()
