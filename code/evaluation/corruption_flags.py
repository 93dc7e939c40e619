"""What the benchmarks on corrupted images share: their flags and their data."""

import argparse
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from basics.errors import UserError
from basics.fetch import cache_folder
from evaluation.benchmark import Benchmark
from images.corruption_folders import (
    SEVERITIES,
    CorruptionSet,
    corruption_condition,
    corruption_folders,
)
from images.image_set import ImageSet, existing_folder
from scoring.corruptions import corruption_errors, corruption_means
from stimuli.batch import CLEAN, Batch, Stimuli, Stimulus
from stimuli.corruptions.frost_textures import load_frost, published_frost
from stimuli.imagenet_c import CORRUPTIONS, GROUPS, STANDARD, imagenet_c

IMAGENET_C = CorruptionSet(
    name="ImageNet-C",
    key="imagenet-c",
    flag="--imagenet_c",
    where="https://zenodo.org/records/2235448 (blur, digital, extra, noise and weather.tar), or "
    "made from ImageNet's images with --generate",
    corruptions=tuple(CORRUPTIONS),
    subsets={"15": tuple(STANDARD), **{name: tuple(GROUPS[name]) for name in GROUPS}},
    groups=tuple(GROUPS),
)
PROCEDURAL = "procedural"  # as the protocol of a result and --frost call drawn frost
FROST_HELP = (
    "folder of frost photographs, or 'procedural' for a drawn texture (default: the published "
    "photographs if the package imagecorruptions or imagecorruptions-imaug is installed, else "
    "procedural); the result records which"
)


def corruption_arguments(group: argparse._ArgumentGroup, data: CorruptionSet) -> None:
    """Add the flags that say where the data set is and what of it is measured."""
    group.add_argument(
        data.flag, metavar="DIR", help=f"the folder of {data.name} (else ${variable(data)})"
    )
    group.add_argument("--partial", action="store_true", help="allow a subset of the images")
    choice_arguments(group, data)


def choice_arguments(group: argparse._ArgumentGroup, data: CorruptionSet) -> None:
    """Add the flags that choose corruptions and severities."""
    group.add_argument(
        "--corruptions",
        nargs="+",
        choices=data.corruptions,
        default=data.corruptions,
        metavar="NAME",
        help=f"some of {' '.join(data.corruptions)} (default: all)",
    )
    group.add_argument(
        "--severities",
        nargs="+",
        type=int,
        choices=SEVERITIES,
        default=SEVERITIES,
        metavar="S",
        help="some of 1 2 3 4 5 (default: all)",
    )


def variable(data: CorruptionSet) -> str:
    """Return the environment variable that names the data set's folder."""
    return "BVG_" + data.flag.lstrip("-").upper()


def chosen(
    arguments: argparse.Namespace, data: CorruptionSet
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the corruptions and the severities to be measured, in the data set's order."""
    corruptions = tuple(name for name in data.corruptions if name in arguments.corruptions)
    return corruptions, tuple(s for s in SEVERITIES if s in arguments.severities)


def corruption_folder(arguments: argparse.Namespace, data: CorruptionSet) -> Path:
    """Return the data set's folder; raises UserError when it is not given or not there."""
    given = getattr(arguments, data.flag.lstrip("-")) or os.environ.get(variable(data))
    cached = cache_folder() / "data" / data.key.replace("cbar", "c-bar")
    if not given and not cached.is_dir():
        raise UserError(
            f"give the folder of {data.name} with {data.flag} (or {variable(data)}); it can be had "
            f"from {data.where}"
        )
    return existing_folder(given or cached, f"the {data.name} folder", data.flag)


def corruption_images(
    folder: Path, classes: tuple[str, ...], arguments: argparse.Namespace, data: CorruptionSet
) -> ImageSet:
    """Return the chosen conditions' images."""
    return corruption_folders(folder, data, classes, *chosen(arguments, data), arguments.partial)


def of_files(
    benchmark: Benchmark, arguments: argparse.Namespace, data: CorruptionSet
) -> tuple[Benchmark]:
    """Return the benchmark for published files, with what was chosen in its protocol."""
    if arguments.save_stimuli:
        raise UserError(
            f"the files of {data.name} are the stimuli, so --save_stimuli has nothing to write: "
            "leave it out"
        )
    corruptions, severities = chosen(arguments, data)
    protocol = {"corruptions": list(corruptions), "severities": list(severities)}
    shown = headline(benchmark, arguments, data)
    return (replace(benchmark, protocol=protocol, headline=shown),)


def headline(
    benchmark: Benchmark, arguments: argparse.Namespace, data: CorruptionSet
) -> tuple[str, ...]:
    """Return the metrics to print: of the benchmark's, those that the choice leaves defined."""
    corruptions, severities = chosen(arguments, data)
    there = {corruption_condition(name, s) for name in corruptions for s in severities} | {CLEAN}
    measures = corruption_means(data) | corruption_errors()
    return tuple(
        key for key in benchmark.headline if key not in measures or set(measures[key][0]) <= there
    )


def generate_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags of corruptions that are made here, from clean images."""
    group.add_argument(
        "--generate",
        action="store_true",
        help="make the corruptions from clean images; a result of its own (imagenet_c_generated)",
    )
    group.add_argument(
        "--imagenet", metavar="DIR", help="with --generate: ImageNet's folder (else $BVG_IMAGENET)"
    )
    group.add_argument(
        "--as_published",
        action="store_true",
        help="with --generate: also save each image as JPEG of quality 85, as the published files",
    )
    group.add_argument("--frost", metavar="DIR", help=f"with --generate: {FROST_HELP}")


def generated(arguments: argparse.Namespace) -> tuple[Stimuli | None, dict[str, Any]]:
    """Return the stimuli that --generate asks for, the clean images first, and their protocol.

    Without it, None; raises UserError when there are flags that would then have no effect.
    """
    if not arguments.generate:
        for flag in ("imagenet", "as_published", "frost"):
            if getattr(arguments, flag):
                raise UserError(
                    f"--{flag} belongs to corruptions that are made here: add --generate, or leave "
                    "it out to measure published files"
                )
        return None, {}
    if arguments.imagenet_c:
        raise UserError(
            "--generate makes the corruptions from clean images, so it takes --imagenet DIR, not "
            "--imagenet_c: leave one of the two out"
        )
    corruptions, severities = chosen(arguments, IMAGENET_C)
    photographs, source = frost_source(arguments.frost, corruptions)
    corrupted = imagenet_c(corruptions, severities, arguments.as_published, photographs)
    protocol = {
        "corruptions": list(corruptions),
        "severities": list(severities),
        "as_published": arguments.as_published,
        "frost": source,
    }
    return partial(clean_first, corrupted), protocol


def clean_first(corrupted: Stimuli, batch: Batch) -> Iterator[Stimulus]:
    """Yield the images as they are, then corrupted."""
    made = corrupted(batch)
    first = next(made)  # before anything is yielded, so that what it refuses is refused at once
    yield CLEAN, batch.pixels
    yield first
    yield from made


def frost_source(
    folder: str | None, corruptions: tuple[str, ...]
) -> tuple[tuple[torch.Tensor, ...] | None, str | None]:
    """Return the frost photographs to use, and what the record says of the frost's source.

    folder: the photographs' folder, PROCEDURAL, or None for the published ones where the package
    imagecorruptions is installed. (None, PROCEDURAL) where frost is to be drawn, (None, None) where
    there is no frost among the corruptions.
    """
    if "frost" not in corruptions:
        return None, None
    if folder is None:
        photographs = published_frost()
    elif folder == PROCEDURAL:
        photographs = None
    else:
        where = existing_folder(folder, "the folder of frost photographs", "--frost")
        photographs = load_frost(where)
    if photographs is None:
        return None, PROCEDURAL
    digest = hashlib.sha256()
    for photograph in photographs:
        digest.update(f"{photograph.dtype}{tuple(photograph.shape)}".encode())
        digest.update(photograph.cpu().contiguous().numpy().tobytes())
    return photographs, f"{len(photographs)} photographs, {digest.hexdigest()[:16]}"
