"""ImageNet-V2, -A, -R and -Sketch: other images of ImageNet's classes, in class folders."""

import re
from pathlib import Path

import numpy as np

from bvg.data.image_set import (
    RESTRICTED,
    ImageSet,
    existing_folder,
    in_class_folders,
    subfolders,
    unused_note,
)
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES, classes_in, imagenet_classes
from bvg.data.imagenet_ood_sets import VARIANTS, Variant
from bvg.data.layouts import (
    check_answerable,
    check_counts,
    check_known,
    contents,
    first_few,
    found_in,
    holds_class_folders,
    one_class,
)
from bvg.errors import UserError

_WNID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"[0-9]{1,4}")
_OTHER_V2 = ("threshold", "top-images")  # the two further sets of Recht et al.


def variant_folder(root: str | Path, variant: Variant) -> Path:
    """Return the folder of class folders: `root`, or the one folder in it that holds them.

    Raises UserError where that is none or not clear, with the right folder if one is seen.
    """
    given = existing_folder(root, f"the {variant.name} folder", variant.flag)
    folder = given if holds_class_folders(given) else _inside(given, variant)
    if variant.numbered and any(word in folder.resolve().name for word in _OTHER_V2):
        raise UserError(
            f"{folder} is another selection of {variant.name} than the study's, which is "
            f"matched-frequency: give that one with {variant.flag}; get it from {variant.where}"
        )
    return folder


def _inside(given: Path, variant: Variant) -> Path:
    within = [name for name in subfolders(given) if holds_class_folders(given / name)]
    own = [name for name in within if variant.own in name]
    if len(within) == 1 or len(own) == 1:
        return given / (own or within)[0]
    if within:
        raise UserError(
            f"{given} holds several data sets ({first_few(within)}): give that of {variant.name} "
            f"with {variant.flag}"
        )
    if any(style.fullmatch(given.resolve().name) for style in (_WNID, _NUMBER)):
        raise UserError(one_class(given))
    raise UserError(_not_a_set(given, variant))


def _not_a_set(folder: Path, variant: Variant) -> str:
    layout = "0/ to 999/" if variant.numbered else f"such as {imagenet_classes()[6]}/"
    return (
        f"{folder} contains {contents(folder)}, but {variant.name} is class folders ({layout}) "
        f"with images in them: give its folder with {variant.flag}; get it from {variant.where}"
    )


def variant_images(
    root: str | Path, variant: Variant, classes: tuple[str, ...] | None, partial: bool = False
) -> ImageSet:
    """Return the images of a data set, for a model of `classes`.

    An image is called `<class>/<file>`. Where the published set has 200 of ImageNet's classes, the
    note `restricted_to` lists all of these, also for a subset of the images. Another set in the
    same layout, for other classes, may be given to a model of those classes; the note then lists
    those of its images. Raises UserError for another data set, an unclear layout, and, unless
    `partial`, for other counts than the published ones.
    """
    folder = variant_folder(root, variant)
    classes = classes or classes_in(folder)
    inside = subfolders(folder)
    class_of = _classes_of_folders(folder, inside, variant)
    if set(classes) == set(inside) and all(map(_NUMBER.fullmatch, inside)):
        classes = imagenet_classes()  # no model has said what the numbers stand for
    wnids = [name for name in class_of.values() if _WNID.fullmatch(name)]
    if wnids and not set(wnids) & set(classes):
        check_answerable(folder, wnids, classes)
    elif not set(class_of.values()) & set(classes):
        raise UserError(_not_a_set(folder, variant))
    check_known(folder, [name for name in inside if class_of[name] not in classes])
    images = _listed(folder, class_of, classes)
    return _checked(images, variant, partial)


def _classes_of_folders(folder: Path, inside: list[str], variant: Variant) -> dict[str, str]:
    """Return the class that each folder stands for, by the folder's name."""
    numbers = [name for name in inside if _NUMBER.fullmatch(name)]
    if not numbers:
        return {name: name for name in inside}
    if not variant.numbered:
        raise UserError(
            f"{folder} has numbered folders ({first_few(numbers)}), as ImageNet-V2 has: give it "
            f"with --imagenet_v2, and the folder of {variant.name} with {variant.flag}"
        )
    wrong = [name for name in inside if name not in numbers or int(name) >= VAL_CLASSES]
    if wrong or len({int(name) for name in numbers}) < len(numbers):
        raise UserError(
            f"{folder} has folders other than 0 to 999 ({first_few(wrong or numbers)}), so it "
            f"is not clear which number is which class: give {variant.name} as it was published"
        )
    return {name: imagenet_classes()[int(name)] for name in inside}


def _listed(folder: Path, class_of: dict[str, str], classes: tuple[str, ...]) -> ImageSet:
    """Return the images in the order of `classes`, then of file names."""
    folder_of = {name: inner for inner, name in class_of.items()}
    files, labels, names, unused = in_class_folders(folder, classes, folder_of)
    notes = unused_note(unused)
    return ImageSet(folder, tuple(files), tuple(names), labels, classes, notes=notes)


def _checked(images: ImageSet, variant: Variant, partial: bool) -> ImageSet:
    count, labelled = found_in(images)
    own = [images.classes[label] for label in np.unique(images.labels)]
    if all(map(_WNID.fullmatch, own)):
        _refuse_other_set(images, (count, labelled), own, variant)
        check_counts(images, (variant.images, variant.classes), partial)
    elif not variant.subset:
        check_counts(images, (count, len(images.classes)), partial)
    if variant.subset:
        images.notes[RESTRICTED] = _answers(images, own, variant)
    return images


def _answers(images: ImageSet, own: list[str], variant: Variant) -> list[str]:
    """Return the classes among which a model is to choose, in the order of `images.classes`.

    Those that were published, also where the images are of some of them only: among fewer classes
    the same model scores higher. For another set in the same layout, those of its images. Raises
    UserError for a model of some of the published classes.
    """
    published = [imagenet_classes()[k] for k in variant.subset]
    if not set(own) <= set(published):
        return own
    check_answerable(images.root, published, images.classes)
    return sorted(published, key=images.classes.index)


def _refuse_other_set(
    images: ImageSet, found: tuple[int, int], own: list[str], variant: Variant
) -> None:
    """Raise UserError when the counts or classes show that the images are another data set."""
    known = {(other.images, other.classes): (other.name, other.flag) for other in VARIANTS}
    known[VAL_IMAGES, VAL_CLASSES] = ("ImageNet val", "--imagenet of eval_imagenet.py")
    counts = f"{found[0]:,} images of {found[1]:,} classes"
    name, flag = known.get(found, (variant.name, ""))
    if name != variant.name:
        raise UserError(
            f"{images.root} holds {counts}, as {name} does: give it with {flag}, and the folder of "
            f"{variant.name} with {variant.flag}"
        )
    strange = sorted(set(own) - {imagenet_classes()[k] for k in variant.subset})
    if variant.subset and strange:
        raise UserError(
            f"{images.root} holds {counts}, among them {first_few(strange)}, which {variant.name} "
            f"does not have: give its folder with {variant.flag}; get it from {variant.where}"
        )
