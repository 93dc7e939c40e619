"""ImageNet-9: objects of nine categories on their own backgrounds and on others.

Source: Xiao, Engstrom, Ilyas & Madry, "Noise or Signal: The Role of Image Backgrounds in Object
Recognition", ICLR 2021; https://github.com/MadryLab/backgrounds_challenge (450 test images of each
category in each variant).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bvg.data.categories import expand
from bvg.data.downloads import data_sets
from bvg.data.folders import (
    archives_in,
    check_answerable,
    existing_folder,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, by_condition, check_counts, images_of_classes
from bvg.data.imagenet import imagenet_classes
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError, first_few

IMAGES = 4_050  # of each variant
ORIGINAL, MIXED_SAME, MIXED_RAND = "original", "mixed_same", "mixed_rand"
VARIANTS = (
    ORIGINAL,
    MIXED_SAME,  # the background of another image of the same category
    MIXED_RAND,  # of a random category
    "mixed_next",  # of the next category
    "only_bg_b",  # the object's bounding box in black
    "only_bg_t",  # the bounding box covered by tiles of the background
    "only_fg",  # the background in black
    "no_fg",  # the object in black
)
MISSING = "missing_variants"  # the note that lists them
# Which of ImageNet's classes belong to each category, as indices in sorted-wnid order: the table
# in_to_in9.json of the repository above. The other 630 classes belong to none.
CLASSES = {
    "dog": "151-170 173-268",
    "bird": "7-24 87-100 127-146",
    "wheeled vehicle": "407 408 428 436 444 468 511 547 555 561 565 569 573 586 603 609 612 627 "
    "656 661 665 670 671 675 690 705 717 734 751 757 791 802 803 817 820 829 847 864 866 867 870 "
    "880",
    "reptile": "33-68",
    "carnivore": "269-280 286-299 356-362 387 388",
    "insect": "300-326",
    "musical instrument": "401 402 420 432 486 494 513 541 546 558 566 577 579 593 594 641 642 683 "
    "684 687 699 776 822 875 881 889",
    "primate": "365-384",
    "fish": "0-6 389-397",
}
CATEGORIES = tuple(CLASSES)
_BELOW = "bg_challenge"  # the folder in the archive
_NUMBERED = re.compile(r"\d+_(.+)")  # 00_dog
_MIXED = re.compile(r"fg_(.+)_bg_.+")  # fg_n02497673_05944_bg_n02536864_02721.JPEG


def wnids_of_categories() -> dict[str, tuple[str, ...]]:
    """Return the wnids of each category's classes."""
    wnids = imagenet_classes()
    return {name: tuple(wnids[k] for k in expand(text)) for name, text in CLASSES.items()}


def category_of_class(classes: Sequence[str]) -> tuple[int, ...]:
    """Return the position of each class's category, -1 for none, (C,).

    classes: of a model. Those of ImageNet are known by their wnids, in any order, and have one of
    CATEGORIES; for a model without any of them, every class is a category of its own.
    """
    category_of = {
        wnid: position
        for position, wnids in enumerate(wnids_of_categories().values())
        for wnid in wnids
    }
    if category_of.keys().isdisjoint(classes):
        return tuple(range(len(classes)))
    return tuple(category_of.get(name, -1) for name in classes)


def imagenet9(root: str | Path, classes: tuple[str, ...] | None, partial: bool = False) -> ImageSet:
    """Return the images `<variant>/val/<number>_<category>/<file>` under `root`.

    The condition is the variant. Images of the same object have the same name in all variants:
    `<category>/<name of the original>`, which a mixed image's name contains (after `fg_`). Labels
    are positions in CATEGORIES for models of ImageNet's classes (and without a model); for others,
    in the model's `classes`, which must be the folders' categories.
    Raises UserError for another layout, for models that lack some of the classes, and, unless
    `partial`, for missing variants and for other numbers of images than the published ones (of
    other categories: than the variant with the most has).
    """
    data_set = data_sets()["imagenet9"]
    given = existing_folder(root, f"the folder of {data_set.title}", data_set.flag)
    folder = given / _BELOW if (given / _BELOW).is_dir() else given
    present = [name for name in VARIANTS if (folder / name / "val").is_dir()]
    missing = [name for name in VARIANTS if name not in present]
    if not present:
        layout = f"folders of variants, such as {ORIGINAL}/val/00_dog/"
        raise wrong_folder(given, data_set.name, layout, VARIANTS)
    if missing and not partial:
        raise UserError(
            f"{folder} lacks {first_few(missing)} (with the folder val) of {data_set.title}"
            f"{archives_in(folder)}: add what is missing ({data_set.remedy}), or evaluate the "
            "existing ones with --partial (recorded in the result)"
        )
    categories = _categories(folder, present[0], classes)
    parts = {name: _variant(folder / name / "val", categories) for name in present}
    most = max(map(len, parts.values()))
    expected = (IMAGES if {*categories} == {*CATEGORIES} else most, len(categories))
    for part in parts.values():
        check_counts(part, expected, partial)
    folders = {name: f"{name}/val" for name in present}
    images = replace(by_condition(folder, parts, folders, categories), view=READY_224)
    if missing:
        images.notes[MISSING] = missing
    return images


def _categories(folder: Path, variant: str, classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the names of the labels."""
    inside = [*_by_category(folder / variant / "val")]
    ours = set(inside) <= set(CATEGORIES)
    if not classes:
        return CATEGORIES if ours else tuple(inside)
    of_imagenet = [wnid for wnids in wnids_of_categories().values() for wnid in wnids]
    if not set(of_imagenet).isdisjoint(classes) or (ours and set(inside).isdisjoint(classes)):
        check_answerable(folder, of_imagenet, classes)
        return CATEGORIES
    return classes


def _by_category(folder: Path) -> dict[str, str]:
    """Return the folder of each category."""
    found = {}
    for inner in subfolders(folder):
        match = _NUMBERED.fullmatch(inner)
        found[match[1] if match else inner] = inner
    return found


def _variant(folder: Path, categories: tuple[str, ...]) -> ImageSet:
    folder_of = _by_category(folder)
    if unknown := sorted(folder_of.keys() - set(categories)):
        raise UserError(
            f"{folder / folder_of[unknown[0]]} is not one of the {len(categories)} categories "
            f"({first_few(categories)}): remove it, or download the data set again"
        )
    images = images_of_classes(folder, categories, folder_of)
    objects = tuple(_object(name) for name in images.names)
    if len(set(objects)) < len(objects):  # they do not tell which images have the same object
        return images
    return replace(images, names=objects)


def _object(name: str) -> str:
    """Return the name of an image's object, `<category>/<name of the original>`."""
    category, _, file = name.partition("/")
    stem = Path(file).stem
    match = _MIXED.fullmatch(stem)
    return f"{category}/{match[1] if match else stem}"
