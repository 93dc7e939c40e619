"""ImageNet's training set, and its stylized copy."""

from pathlib import Path

from bvg.data.downloads import data_sets
from bvg.data.folders import (
    check_answerable,
    check_known,
    existing_folder,
    subfolders,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, check_counts, images_of_classes
from bvg.data.imagenet import are_imagenet, imagenet_classes

TRAIN_IMAGES = 1_281_167
# The images' folder inside ImageNet's, in the original and Kaggle's archive.
_BELOW = ("train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "CLS-LOC/train")


def train_folder(given: Path, name: str) -> Path:
    """Return the folder of the training images, which holds class folders.

    name: of the data set in the catalogue, for messages. Raises UserError if there is none.
    """
    existing_folder(given, f"the folder of {data_sets()[name].title}", data_sets()[name].flag)
    found = next((given / below for below in _BELOW if (given / below).is_dir()), None)
    if found is None:
        layout = "a folder train/ with class folders"
        raise wrong_folder(given, name, layout, {"train", *imagenet_classes()})
    return found


def imagenet_train(
    root: Path, classes: tuple[str, ...], partial: bool = False, name: str = "imagenet"
) -> ImageSet:
    """Return the images <root>/train/<class>/<image>, labelled as indices into `classes`.

    name: of the data set in the catalogue, for messages.
    Raises UserError for any other layout and, unless `partial`, for other counts than ImageNet's
    (of other classes, any number of images is complete, but each class needs some).
    """
    folder = train_folder(root, name)
    present = set(subfolders(folder))
    if not present & set(classes):
        check_answerable(folder, present & {*imagenet_classes()}, classes)
        layout = f"class folders (such as {classes[0]}/) with images in them"
        raise wrong_folder(folder, name, layout, {*classes, *imagenet_classes()})
    check_known(folder, sorted(present - set(classes)))
    images = images_of_classes(folder, classes)
    count = TRAIN_IMAGES if are_imagenet(classes) else len(images)
    check_counts(images, (count, len(classes)), partial)
    return images
