"""Where the folders of ImageNet-V2, -A, -R and -Sketch come from: flags, environment, cache."""

import argparse
import os
from pathlib import Path

from basics.errors import UserError
from basics.fetch import cache_folder
from images.variant_table import VARIANTS, Variant
from images.variants import variant_folder


def variant_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say where the data sets are."""
    for variant in VARIANTS:
        told = f"{variant.name}'s folder (else ${variant.variable})"
        group.add_argument(variant.flag, metavar="DIR", help=told)
    group.add_argument("--partial", action="store_true", help="allow a subset of the images")


def variant_folders(arguments: argparse.Namespace) -> list[tuple[Variant, Path]]:
    """Return the data sets to be measured, and where they are.

    Those given by flags; without a flag, all that the environment or the cache have.
    Raises UserError when there is none, or a folder does not hold the data set.
    """
    given = {variant: getattr(arguments, variant.benchmark) for variant in VARIANTS}
    if not any(given.values()):
        given = {variant: _without_flag(variant) for variant in VARIANTS}
    found = [(variant, folder) for variant, folder in given.items() if folder]
    if not found:
        flags = ", ".join(variant.flag for variant in VARIANTS)
        keys = " ".join(variant.key for variant in VARIANTS)
        raise UserError(
            f"give the folder of at least one data set with {flags} (or in the environment, "
            f"{VARIANTS[0].variable} and so on), or download them: python code/download.py {keys}"
        )
    return [(variant, variant_folder(folder, variant)) for variant, folder in found]


def _without_flag(variant: Variant) -> str | Path | None:
    cached = cache_folder() / "data" / variant.key
    return os.environ.get(variant.variable) or (cached if cached.is_dir() else None)
