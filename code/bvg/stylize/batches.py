"""Batches of pictures: read ahead by threads, and halved where memory is short."""

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image

from bvg.data.preprocessing import UNDECODABLE
from bvg.errors import UserError, is_out_of_memory, reason_of

# Pillow's warnings about EXIF data and sizes: what it cannot decode, it refuses.
warnings.filterwarnings("ignore", module=r"PIL\.")


def attempt(read: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray | str:
    """Return the picture that `read` returns, or why it cannot be read."""
    try:
        return read(*arguments)
    except MemoryError:
        raise
    except Image.UnidentifiedImageError:
        return "it is not an image"
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        return f"it has more than {most:.0f} megapixels"
    except UNDECODABLE as error:
        return reason_of(error)
    except Exception as error:  # Pillow's readers raise any kind of error for damaged files
        return f"it is damaged: {type(error).__name__}, {reason_of(error)}"


def read_ahead(
    read: Callable[[int], np.ndarray], positions: Sequence[int], batch_size: int
) -> Iterator[tuple[dict[int, np.ndarray], dict[int, str]]]:
    """Yield, batch by batch, the pictures by position, and why others cannot be read.

    Threads read the next two batches while the caller works (Pillow releases the interpreter's
    lock).
    """
    batches = [positions[k : k + batch_size] for k in range(0, len(positions), batch_size)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: deque[dict[int, Future]] = deque()
        for batch in batches:
            waiting.append({k: pool.submit(attempt, read, k) for k in batch})
            if len(waiting) > 2:
                yield _read(waiting.popleft())
        yield from map(_read, waiting)


def _read(futures: dict[int, Future]) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    found = {k: future.result() for k, future in futures.items()}
    problems = {k: why for k, why in found.items() if isinstance(why, str)}
    return {k: picture for k, picture in found.items() if k not in problems}, problems


class Halving:
    """Calls functions of batches with as many pictures at a time as fit into the memory.

    most: that number, halved whenever a batch does not fit.
    """

    def __init__(self) -> None:
        self.most = sys.maxsize

    def __call__(self, function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
        """Return function(*arrays), computed in parts; all arrays have the batch first."""
        parts: list[np.ndarray] = []
        start = 0
        while start < len(arrays[0]):
            end = min(start + self.most, len(arrays[0]))
            part = self._attempt(function, *(array[start:end] for array in arrays))
            if part is not None:
                parts.append(part)
                start = end
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _attempt(self, function: Callable[..., np.ndarray], *arrays: np.ndarray):
        """Return function(*arrays); if the memory is too small, None, with `most` halved."""
        count = len(arrays[0])
        try:
            return function(*arrays)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if count == 1:
                raise UserError(
                    "the memory is too small even for one picture: use another --device, or a "
                    "smaller --size or --style_size"
                ) from error
        # After the except clause, whose error keeps the tensors that did not fit alive.
        self.most = -(-count // 2)
        print(f"the memory is too small for {count} pictures: {self.most} at a time from now on")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None
