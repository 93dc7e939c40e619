"""Data sets that hold the same images under many conditions, a folder for each."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bvg.data.image_set import ImageSet


class Crossed(Sequence[str]):
    """The strings outer[i] + inner[j], i-major, made when they are asked for.

    4.75 million paths of ImageNet-C would take half a gigabyte, in every worker process.
    """

    def __init__(self, outer: Sequence[str], inner: Sequence[str]) -> None:
        self.outer = outer
        self.inner = inner

    def __len__(self) -> int:
        """Return how many strings there are."""
        return len(self.outer) * len(self.inner)

    def __getitem__(self, index):
        """Return one string, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        outer, inner = divmod(int(index) % len(self), len(self.inner))
        return self.outer[outer] + self.inner[inner]


def crossed(base: ImageSet, folders: dict[str, str]) -> ImageSet:
    """Return every image of `base` under every condition, condition after condition.

    folders: the folder of each condition, relative to `base.root`; in it are `base.files`.
    An image has the same name under all conditions.
    """
    count = len(folders)
    return replace(
        base,
        files=Crossed([f"{folder}/" for folder in folders.values()], base.files),
        names=Crossed([""] * count, base.names),
        labels=np.tile(base.labels, count),
        columns={name: np.tile(column, count) for name, column in base.columns.items()},
        conditions=Crossed(list(folders), [""] * len(base)),
    )
