"""ImageNet-V2, -A, -R and -Sketch: other images of ImageNet's classes, in class folders."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bvg.data.downloads import DataSet, data_sets
from bvg.data.folders import (
    check_answerable,
    check_known,
    existing_folder,
    holds_class_folders,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import RESTRICTED, ImageSet, check_counts, found_in, images_of_classes
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES, check_images, classes_in, imagenet_classes
from bvg.errors import UserError, first_few

_WNID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"[0-9]{1,4}")
# The three selections of Recht et al., by part of their folders' names in lower case, without
# signs; and how the names of 24 images of each begin: the first ones of the revisions b-33, a-44
# and c-12 in https://github.com/modestyachts/ImageNetV2 (data/datasets). Some are in several.
_MATCHED = "matchedfrequency"
_SELECTIONS = {
    _MATCHED: "25949dd0 d79d9f96 07316f46 fa8a6595 e18bad6f a6bc5c70 ad03bdc2 13f58077 f7700215 "
    "6a65e853 1529a6c6 6028a9f9 32c6cbd4 c979f339 c996208d 70486937 d324325a 59b21aa6 36d2b6f5 "
    "bc98275a a50f4941 27896f27 1d46513c 5c567821",
    "threshold": "0328e6b7 bb763aaa 0c5f24ca 86db103b d1ab4a49 a4901f95 aedf1d2f 69dbbe26 437204c6 "
    "8bd12073 86f4c0c4 b176856a bc6598ef 305037a2 16d6a94f 71cc8939 48274730 c597d097 a2b63069 "
    "573f458d 8bf62e0f 79697621 95687406 90011fa0",
    "topimages": "e9b31557 d7689d5c 59203fea ac7a7888 676e0f11 dd9bb115 f15eeed0 a6fb6ef9 e4d365b1 "
    "6b1fd2f5 e8c043d4 b797b141 d708e605 825d5c9b d127bc2f 105d99ee 1476a77a 413be904 5afc542d "
    "98d902b9 60bfc930 e2bb6382 d1d53595 b4cb9d0c",
}
_ENOUGH = 8  # of the 24, to tell which selection some images are of


@dataclass(frozen=True)
class Variant:
    """A published data set of ImageNet's classes.

    key: its name in metrics and in the catalogue of data sets.
    images: how many.
    folder: part of its folder's published name, if that is a folder among others.
    numbered: whether class folders are called 0 to 999.
    subset: its classes' positions among ImageNet's 1000, if it does not have all of them.
    """

    key: str
    images: int
    folder: str = ""
    numbered: bool = False
    subset: tuple[int, ...] = ()

    @property
    def entry(self) -> DataSet:
        """Return the entry in the catalogue of data sets."""
        return data_sets()[self.key]

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return len(self.subset) or VAL_CLASSES

    @property
    def benchmark(self) -> str:
        """Return the name of the result folder and the W&B project."""
        return self.key.replace("-", "_")


# Recht et al., ICML 2019; Hendrycks et al., CVPR 2021 (A) and ICCV 2021 (R); Wang et al., NeurIPS
# 2019. The classes of A and R are those of their archives' folders.
_A = """
6 11 13 15 17 22 23 27 30 37 39 42 47 50 57 70 71 76 79 89 90 94 96 97 99 105 107 108 110 113
124 125 130 132 143 144 150 151 207 234 235 254 277 283 287 291 295 298 301 306 307 308 309 310
311 313 314 315 317 319 323 324 326 327 330 334 335 336 347 361 363 372 378 386 397 400 401 402
404 407 411 416 417 420 425 428 430 437 438 445 456 457 461 462 470 472 483 486 488 492 496 514
516 528 530 539 542 543 549 552 557 561 562 569 572 573 575 579 589 606 607 609 614 626 627 640
641 642 643 658 668 677 682 684 687 701 704 719 736 746 749 752 758 763 765 768 773 774 776 779
780 786 792 797 802 803 804 813 815 820 823 831 833 835 839 845 847 850 859 862 870 879 880 888
890 897 900 907 913 924 932 933 934 937 943 945 947 951 954 956 957 959 971 972 980 981 984 986
987 988
"""
_R = """
1 2 4 6 8 9 11 13 22 23 26 29 31 39 47 63 71 76 79 84 90 94 96 97 99 100 105 107 113 122 125 130
132 144 145 147 148 150 151 155 160 161 162 163 171 172 178 187 195 199 203 207 208 219 231 232
234 235 242 245 247 250 251 254 259 260 263 265 267 269 276 277 281 288 289 291 292 293 296 299
301 308 309 310 311 314 315 319 323 327 330 334 335 337 338 340 341 344 347 353 355 361 362 365
366 367 368 372 388 390 393 397 401 407 413 414 425 428 430 435 437 441 447 448 457 462 463 469
470 471 472 476 483 487 515 546 555 558 570 579 583 587 593 594 596 609 613 617 621 629 637 657
658 701 717 724 763 768 774 776 779 780 787 805 812 815 820 824 833 847 852 866 875 883 889 895
907 928 931 932 933 934 936 937 943 945 947 948 949 951 953 954 957 963 965 967 980 981 983 988
"""
VARIANTS = (
    Variant("imagenet-v2", 10_000, "matched-frequency", numbered=True),
    Variant("imagenet-a", 7_500, "imagenet-a", subset=tuple(map(int, _A.split()))),
    Variant("imagenet-r", 30_000, "imagenet-r", subset=tuple(map(int, _R.split()))),
    Variant("imagenet-sketch", 50_889, "sketch"),
)


def variant_folder(root: str | Path, variant: Variant) -> Path:
    """Return the folder of class folders: `root`, or the one folder in it that holds them.

    Raises UserError if there is none or several, with the right folder if it is nearby.
    """
    given = existing_folder(root, f"the {variant.entry.title} folder", variant.entry.flag)
    folder = given if holds_class_folders(given) else _inside(given, variant)
    if variant.numbered:
        # As in imagenetv2-threshold0.7-format-val/ and imagenetv2-threshold0.7/val/.
        nearest = folder.resolve().parts[-2:]
        parts = ["".join(filter(str.isalnum, part)).lower() for part in nearest]
        named = [name for part in parts for name in _SELECTIONS if name in part and "v2" in part]
        if named and named[-1] != _MATCHED:
            raise _another_selection(folder, variant)
    return folder


def _another_selection(folder: Path, variant: Variant) -> UserError:
    return UserError(
        f"{folder} is another selection of {variant.entry.title} than the study's, which is "
        f"matched-frequency: give that one with {variant.entry.flag}, or {variant.entry.remedy}"
    )


def _inside(given: Path, variant: Variant) -> Path:
    holding = [name for name in subfolders(given) if holds_class_folders(given / name)]
    by_name = [name for name in holding if variant.folder in name]
    if len(holding) == 1 or len(by_name) == 1:
        return given / (by_name or holding)[0]
    if holding:
        raise UserError(
            f"{given} holds several data sets ({first_few(holding)}): give that of "
            f"{variant.entry.title} with {variant.entry.flag}"
        )
    raise _not_a_set(given, variant)


def _not_a_set(folder: Path, variant: Variant) -> UserError:
    example = "0/ to 999/" if variant.numbered else f"such as {imagenet_classes()[6]}/"
    name = folder.resolve().name
    parts = {*imagenet_classes()} | ({name} if _NUMBER.fullmatch(name) else set())
    return wrong_folder(
        folder, variant.key, f"class folders ({example}) with images in them", parts
    )


def variant_images(
    root: str | Path, variant: Variant, classes: tuple[str, ...] | None, partial: bool = False
) -> ImageSet:
    """Return the images of a data set, for a model of `classes`.

    An image is called `<class>/<file>`. If the published set has 200 of ImageNet's classes, the
    note `restricted_to` lists all of them, also for a subset of the images. For a model of other
    classes, a set of those classes in the same layout is accepted; the note then lists the classes
    of its images. Raises UserError for another data set, an ambiguous layout, and, unless
    `partial`, for other counts than the published ones.
    """
    folder = variant_folder(root, variant)
    classes = classes or classes_in(folder)
    inside = subfolders(folder)
    class_of = _classes_of_folders(folder, inside, variant)
    if set(classes) == set(inside) and all(map(_NUMBER.fullmatch, inside)):
        classes = imagenet_classes()  # without a model, the numbers are taken as ImageNet's
    wnids = [name for name in class_of.values() if _WNID.fullmatch(name)]
    if wnids and not set(wnids) & set(classes):
        check_answerable(folder, wnids, classes)
    elif not set(class_of.values()) & set(classes):
        raise _not_a_set(folder, variant)
    check_known(folder, [name for name in inside if class_of[name] not in classes])
    folder_of = {name: inner for inner, name in class_of.items()}
    images = _checked(images_of_classes(folder, classes, folder_of), variant, partial)
    if variant.numbered and _selection(images) not in ("", _MATCHED):
        raise _another_selection(folder, variant)
    check_images(images, variant.key)
    return images


def _selection(images: ImageSet) -> str:
    """Return which of ImageNet-V2's selections the names are of; empty if they do not tell."""
    names = {Path(name).name[:8] for name in images.names}
    found = {name: len(names.intersection(known.split())) for name, known in _SELECTIONS.items()}
    best = max(found, key=found.__getitem__)
    return best if found[best] >= _ENOUGH else ""


def _classes_of_folders(folder: Path, inside: list[str], variant: Variant) -> dict[str, str]:
    """Return the class of each folder, by the folder's name."""
    numbers = [name for name in inside if _NUMBER.fullmatch(name)]
    if not numbers:
        return {name: name for name in inside}
    if not variant.numbered:
        raise UserError(
            f"{folder} has numbered folders ({first_few(numbers)}), as ImageNet-V2 has: give it "
            f"with --imagenet_v2, and the folder of {variant.entry.title} with {variant.entry.flag}"
        )
    wrong = [name for name in inside if name not in numbers or int(name) >= VAL_CLASSES]
    if wrong or len({int(name) for name in numbers}) < len(numbers):
        raise UserError(
            f"{folder} has folders other than 0 to 999 ({first_few(wrong or numbers)}), so it "
            f"is not clear which number is which class: give {variant.entry.title} as it was "
            "published"
        )
    return {name: imagenet_classes()[int(name)] for name in inside}


def _checked(images: ImageSet, variant: Variant, partial: bool) -> ImageSet:
    counts = found_in(images)
    present = [images.classes[label] for label in np.unique(images.labels)]
    if all(map(_WNID.fullmatch, present)):
        _refuse_other_set(images, counts, present, variant)
        check_counts(images, (variant.images, variant.classes), partial, variant.numbered)
    elif not variant.subset:
        check_counts(images, (counts[0], len(images.classes)), partial)
    if variant.subset:
        images.notes[RESTRICTED] = _choices(images, present, variant)
    return images


def _choices(images: ImageSet, present: list[str], variant: Variant) -> list[str]:
    """Return the classes among which a model chooses, in the order of `images.classes`.

    The published ones, even if the images are of some of them only: among fewer classes, the same
    model scores higher. For a set of other classes, those of its images. Raises UserError for a
    model that lacks some of the published classes.
    """
    published = [imagenet_classes()[k] for k in variant.subset]
    if not set(present) <= set(published):
        return present
    check_answerable(images.root, published, images.classes)
    return sorted(published, key=images.classes.index)


def _refuse_other_set(
    images: ImageSet, found: tuple[int, int], present: list[str], variant: Variant
) -> None:
    """Raise UserError if the counts or the classes are those of another data set."""
    title, flag = variant.entry.title, variant.entry.flag
    known = {(v.images, v.classes): (v.entry.title, v.entry.flag) for v in VARIANTS}
    known[VAL_IMAGES, VAL_CLASSES] = ("ImageNet val", "--imagenet of eval_imagenet.py")
    counts = f"{found[0]:,} images of {found[1]:,} classes"
    if found in known and found != (variant.images, variant.classes):
        other, flag_of_other = known[found]
        raise UserError(
            f"{images.root} holds {counts}, as {other} does: give it with {flag_of_other}, and the "
            f"folder of {title} with {flag}"
        )
    foreign = sorted(set(present) - {imagenet_classes()[k] for k in variant.subset})
    if variant.subset and foreign:
        raise UserError(
            f"{images.root} holds {counts}, among them {first_few(foreign)}, which {title} does "
            f"not have: give its folder with {flag}, or {variant.entry.remedy}"
        )
