"""The corruptions beside the package `imagecorruptions` (1.1.2 or imaug's 1.1.5), on photographs.

It is no requirement of the project; to run this, install it with opencv-python-headless and
setuptools<81, or imagecorruptions-imaug, which needs neither. Its random draws are its own: there,
distributions are compared. Three functions of 1.1.2 need what NumPy and scikit-image have renamed
since, which is given back to them here.
"""

import importlib
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.preprocessing import STUDY
from bvg.stimuli.batch import Batch
from bvg.stimuli.corruptions.filters import quantised
from bvg.stimuli.corruptions.frost_textures import published_frost
from bvg.stimuli.corruptions.weather import frost
from bvg.stimuli.imagenet_c import CORRUPTIONS, DEVIATIONS
from stimulus_helpers import batch_of

SEVERITIES = (1, 3, 5)
EVERY = 100  # of the 400 photographs
DETERMINISTIC = {
    *("defocus_blur", "zoom_blur", "gaussian_blur", "pixelate", "jpeg_compression"),
    *("brightness", "contrast", "saturate"),
}
# How far the mean absolute difference from the clean image, and the SD of the difference, may
# differ: noise is the same on average; angles and weather are drawn once per photograph.
TOLERANCES = {
    "glass_blur": 0.03,
    "motion_blur": 0.1,
    "snow": 0.1,
    "frost": 0.25,
    "fog": 0.4,
    "spatter": 0.3,
}


@pytest.fixture(scope="module")
def package():
    """Return the package's functions, mended where they fail."""
    module = pytest.importorskip(
        "imagecorruptions.corruptions", reason="the package imagecorruptions is not installed"
    )
    filters = importlib.import_module("skimage.filters")

    def gaussian(*arguments, multichannel: bool = False, **options) -> np.ndarray:
        if multichannel:
            options["channel_axis"] = -1
        return filters.gaussian(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "gaussian", gaussian)
        patch.setattr(np, "float_", np.float64, raising=False)
        yield module


@pytest.fixture(scope="module")
def crops(fixtures) -> list[np.ndarray]:
    images = imagenet_val(fixtures / "imagenet", imagenet_classes(), partial=True)
    paths = [images.path(number) for number in range(0, len(images), EVERY)]
    return [np.asarray(STUDY(Image.open(path).convert("RGB"))) for path in paths]


def theirs(package: ModuleType, name: str, crops: list[np.ndarray], severity: int) -> np.ndarray:
    np.random.seed(severity)
    function = getattr(package, name)
    pictures = [np.uint8(function(Image.fromarray(crop), severity)) for crop in crops]
    return np.stack(pictures).astype(int)


def ours(package: ModuleType, name: str, batch: Batch, severity: int) -> np.ndarray:
    if name == "frost":
        x = frost(batch, severity, published_frost())
    else:
        x = (CORRUPTIONS | DEVIATIONS)[name](batch, severity)
    return (quantised(x) * 255).round().permute(0, 2, 3, 1).int().numpy()


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name in DETERMINISTIC])
def test_what_is_not_random_is_the_packages(package, crops, name, severity):
    """The package's doubles miss whole levels by a rounding error, and then truncate them."""
    difference = np.abs(
        ours(package, name, batch_of(*crops), severity) - theirs(package, name, crops, severity)
    )
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.8


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in DETERMINISTIC])
def test_what_is_random_changes_photographs_as_much(package, crops, name, severity):
    if name == "elastic_transform":
        pytest.skip("the package's elastic transform has no affine part and its own strengths")
    clean = np.stack(crops).astype(int)
    pairs = [
        pictures - clean
        for pictures in (
            ours(package, name, batch_of(*crops), severity),
            theirs(package, name, crops, severity),
        )
    ]
    for measure in (lambda change: np.abs(change).mean(), np.std):
        our_change, their_change = (measure(change) for change in pairs)
        assert our_change == pytest.approx(their_change, rel=TOLERANCES.get(name, 0.02))
