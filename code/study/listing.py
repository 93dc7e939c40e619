"""How many files a benchmark reads: listed where its data are, or as published."""

from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.corruption_flags import IMAGENET_C, chosen
from evaluation.imagenet_flags import imagenet_images
from images.categories import CATEGORIES
from images.corruption_folders import IMAGENET_CBAR, first_condition
from images.image_set import image_files, subfolders
from images.imagenet import VAL_IMAGES, imagenet_classes, val_folder
from images.model_vs_human import DATA_SETS, model_vs_human
from images.sequences import FRAMES, PERTURBATIONS, imagenet_p, perturbations_in
from images.variant_table import VARIANTS

_CORRUPTED = {"imagenet_c": IMAGENET_C, "imagenet_cbar": IMAGENET_CBAR}


@dataclass(frozen=True)
class Listed:
    """Files by condition (one number where the files show none), and how many frames one holds.

    about: some of them were not looked at.
    """

    counts: tuple[int, ...]
    frames: int = 1
    about: bool = False


def published(benchmark: Any, images: int, arguments: Namespace) -> Listed:
    """Return what was published: `images`, where nothing better is known of the benchmark."""
    if data := _CORRUPTED.get(benchmark.name):
        corruptions, severities = chosen(arguments, data)
        return Listed((VAL_IMAGES,) * len(corruptions) * len(severities))
    if benchmark.name == "imagenet_p":
        return Listed((VAL_IMAGES,) * len(set(arguments.perturbations or PERTURBATIONS)), FRAMES)
    if benchmark.name == "imagenet_model_vs_human":
        sets = [DATA_SETS[name] for name in arguments.datasets]
        return Listed(tuple(one.images // len(one.conditions) for one in sets
                            for _ in one.conditions))  # fmt: skip
    own = {variant.benchmark: variant.images for variant in VARIANTS}
    return Listed((own.get(benchmark.name, images),))


def listed(benchmark: Any, arguments: Namespace, seen: dict[Any, Listed]) -> Listed:
    """Return what the benchmark's script would read; raises UserError where it would refuse it.

    Of data sets that hold the same images under many conditions, one condition is listed: all of
    ImageNet-C's 4.75 million files would take minutes, on a network disk an hour. `seen` is what
    was found in ImageNet's folder before: many benchmarks read that.
    """
    folder = benchmark.locate(arguments)
    if data := _CORRUPTED.get(benchmark.name):
        classes = _classes(folder)
        base, conditions = first_condition(
            folder, data, classes, *chosen(arguments, data), arguments.partial
        )
        return Listed((len(base),) * len(conditions), about=True)
    if benchmark.name == "imagenet_p":
        return _sequences(folder, arguments)
    if benchmark.name == "imagenet_model_vs_human":
        names = arguments.datasets
        return _by_condition(model_vs_human(folder, _categories(folder), names, arguments.partial))
    key = (folder, getattr(arguments, "partial", False))
    if benchmark.images is imagenet_images and key in seen:
        return seen[key]
    found = _by_condition(benchmark.images(folder, _classes(folder), arguments))
    if benchmark.images is imagenet_images:
        seen[key] = found
    return found


def _by_condition(images: Any) -> Listed:
    return Listed(tuple(Counter(images.conditions).values()) or (len(images),))


def _sequences(folder: Path, arguments: Namespace) -> Listed:
    """Return the sequences of the first perturbation as those of each, of as many frames."""
    found, _ = perturbations_in(folder, arguments.perturbations, arguments.partial)
    first, place = next(iter(found.items()))
    frames = image_files(_deepest(folder / place)[-1])
    classes = _classes(folder / place, above=2 if frames else 1)
    images = imagenet_p(folder, classes, [first], arguments.partial)
    return Listed((len(images),) * len(found), len(frames) or FRAMES, about=True)


def _categories(folder: Path) -> tuple[str, ...]:
    """Return the names of the categories in the folder of model-vs-human's data sets."""
    of_folders = (folder / name for name, data in DATA_SETS.items() if data.folders)
    return _classes(next(filter(Path.is_dir, of_folders), folder))


def _classes(folder: Path, above: int = 1) -> tuple[str, ...]:
    """Return the classes of the folders in which the images are, since no model says what it knows.

    above: how far the folder of the classes is above the deepest ones.
    """
    levels = _deepest(val_folder(folder))
    if len(levels) <= above:
        return imagenet_classes()
    found = tuple(subfolders(levels[-1 - above]))
    return next(
        (known for known in (CATEGORIES, imagenet_classes()) if {*found} <= {*known}), found
    )


def _deepest(folder: Path) -> list[Path]:
    """Return the folder, the first in it, the first in that, and so on."""
    levels = [folder]
    while inside := subfolders(levels[-1]):
        levels.append(levels[-1] / inside[0])
    return levels
