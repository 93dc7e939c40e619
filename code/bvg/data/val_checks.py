"""Warnings about ImageNet images that are not the published validation images, or mislabelled.

Wrong class folders, and lists of labels in another order, give an accuracy near chance; images that
were cropped before, or on which models were trained, give one that looks right.
"""

import json
import re
import sys
from pathlib import Path

from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.imagenet import VAL_IMAGES, are_imagenet, imagenet_classes, timm_file, val_number

_TRAIN_NAME = re.compile(r"n\d{8}_\d+")
_SAMPLED = 20  # images that are enough to tell how all were named, labelled and resized


def check_images(images: ImageSet) -> None:
    """Warn of ImageNet images that are not the published validation images, and note it.

    That is, if most labels contradict ReaL's for the numbers in the files' names, if most files are
    named like training images, or if all were resized to one square.
    """
    check_labels(images)
    if not are_imagenet(images.classes):
        return
    stems = [Path(name).stem for name in images.names]
    trained_on = sum(map(bool, map(_TRAIN_NAME.fullmatch, stems)))
    if 2 * trained_on > len(stems):
        images.notes["named_like_training_images"] = trained_on
        _warn(
            images,
            f"{trained_on:,} of the {len(stems):,} images are named like ImageNet's training "
            f"images ({stems[0]}): accuracy on images that a model was trained on is too high",
        )
    sample = range(0, len(images), max(1, len(images) // _SAMPLED))
    sizes = {_pixels(images.path(k)) for k in sample}
    width, height = next(iter(sizes))
    if len(sizes) == 1 and width == height and len(sample) >= _SAMPLED // 2:
        images.notes["all_resized_to"] = width
        _warn(
            images,
            f"all images are {width} x {height} pixels, so they were resized or cropped before: "
            "accuracy is not that on the published images, which differ in size",
        )


def _warn(images: ImageSet, message: str) -> None:
    print(f"warning: {images.root}: {message}", file=sys.stderr, flush=True)


def _pixels(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # decoding it will report the error
        return 0, 1


def check_labels(images: ImageSet) -> None:
    """Warn if most labels contradict ReaL's for the numbers in the files' names, and note it."""
    if not are_imagenet(images.classes):
        return
    all_numbers = (val_number(Path(name).stem) for name in images.names)
    numbers = {k: n for k, n in enumerate(all_numbers) if n and n <= VAL_IMAGES}
    path = timm_file("imagenet_real_labels.json")
    if not path or len(numbers) < _SAMPLED:
        return
    real = json.loads(path.read_bytes())
    known = {k: real[n - 1] for k, n in numbers.items() if real[n - 1]}
    wrong = [k for k, labels in known.items() if int(images.labels[k]) not in labels]
    if 2 * len(wrong) > len(known):
        first, wnids = wrong[0], imagenet_classes()
        images.notes["labels_unlike_real"] = {"images": len(wrong), "of": len(known)}
        _warn(
            images,
            f"{len(wrong):,} of {len(known):,} labels contradict ReaL's labels of the images with "
            f"these names: {images.files[first]} is labelled {wnids[images.labels[first]]}, where "
            f"ReaL has {', '.join(wnids[label] for label in known[first])}. Either the ground "
            "truth or the class folders are wrong, or the files were renumbered",
        )
