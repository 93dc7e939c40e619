"""Two networks' published predictions on all of ImageNet val, scored by us and by plain pandas.

ImageNet-X's annotations come from $BVG_IMAGENET_X or the installed package imagenet-x.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bvg.data.imagenet_real import read_real
from bvg.data.imagenet_x import (
    FACTORS,
    LABELS,
    PROTOTYPES,
    TOP_FACTOR,
    read_annotations,
    read_val_labels,
)
from bvg.predictions.published import read_published
from bvg.scores.accuracy import accuracy
from bvg.scores.calibration import calibration_metrics
from bvg.scores.class_balance import class_balance_metrics
from bvg.scores.imagenet_real import real_accuracy, with_real_columns
from bvg.scores.imagenet_x import imagenet_x_metrics
from oracles.calibration import error_ratios, expected_calibration_error

GIVEN = os.environ.get("BVG_IMAGENET_X")  # before a test's own home hides it
# The error ratios in ImageNet-X's README, in the order of its table, which is that of FACTORS.
README = {
    "ResNet50": "0.694739 1.1417 0.771442 1.18883 1.49743 1.74423 1.13236 2.10548 2.39386 1.31592 "
    "1.71502 1.92327 2.17128 1.92798 1.16639 1.97389",
    "DINO": "0.726197 1.06799 0.927478 1.1779 1.54369 1.64228 1.12906 1.95486 2.15032 1.24805 "
    "1.46777 1.93051 2.03486 1.70361 0.924938 1.4244",
}
TOP1 = {"ResNet50": 76.130, "DINO": 76.754}
REAL = {"ResNet50": 82.958, "DINO": 82.800}
NETWORKS = [*README]


@pytest.fixture(scope="module")
def annotations_folder() -> Path:
    spec = find_spec("imagenet_x")
    if GIVEN or spec:
        return Path(GIVEN or f"{spec.submodule_search_locations[0]}/annotations")
    pytest.skip("ImageNet-X's annotations are not here: set BVG_IMAGENET_X")


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, fixtures) -> tuple[str, Path]:
    return request.param, fixtures / "published" / "imagenet-x" / f"{request.param}.csv"


@pytest.fixture(scope="module")
def plain(network, annotations_folder) -> pd.DataFrame:
    """Return the published table, with the labels, by pandas alone."""
    labels = pd.read_csv(annotations_folder / LABELS)
    return pd.read_csv(network[1]).merge(labels, on="file_name", validate="one_to_one")


@pytest.fixture(scope="module")
def predictions(network, annotations_folder):
    return read_published(network[1], read_val_labels(annotations_folder))


def test_top1_is_the_published_one(network, predictions, plain):
    right = (plain["predicted_class"] == plain["label"]).mean()
    assert accuracy(predictions, 1).value == pytest.approx(100 * right, abs=1e-12)
    assert accuracy(predictions, 1).value == pytest.approx(TOP1[network[0]], abs=5e-4)
    assert accuracy(predictions, 1).n == 50_000


def test_real_accuracy_is_that_of_pandas(network, predictions, fixtures):
    real = read_real(fixtures / "published" / "real.json")
    lists = pd.read_json(fixtures / "published" / "real.json", typ="series")
    lists.index = [f"ILSVRC2012_val_{k:08d}.JPEG" for k in range(1, 50_001)]
    table = pd.read_csv(network[1]).set_index("file_name")["predicted_class"]
    labelled = lists[lists.map(len) > 0]
    right = [answer in own for answer, own in zip(table[labelled.index], labelled, strict=True)]
    metric = real_accuracy(with_real_columns(predictions, real))["top1_acc/imagenet-real"]
    assert metric.value == pytest.approx(100 * np.mean(right), abs=1e-12)
    assert metric.value == pytest.approx(REAL[network[0]], abs=5e-4)
    assert metric.n == 46_837


def test_calibration_is_that_of_pandas(predictions, plain):
    right = plain["predicted_class"] == plain["label"]
    metrics = calibration_metrics(predictions)
    expected = expected_calibration_error(plain["predicted_probability"], right)
    assert metrics["calibration/ece"].value == pytest.approx(expected, abs=1e-12)
    gap = plain["predicted_probability"].mean() - right.mean()
    assert metrics["calibration/overconfidence"].value == pytest.approx(gap, abs=1e-12)
    low, high = metrics["calibration/ece"].low, metrics["calibration/ece"].high
    assert 0.02 < low < expected < high < 0.05
    assert high - low < 0.01


def test_the_balance_of_accuracies_is_that_of_pandas(predictions, plain):
    right = plain["predicted_class"] == plain["label"]
    spread = right.groupby(plain["label"]).mean().std()
    metrics = class_balance_metrics(predictions, replicates=50)
    assert metrics["class-balance/accuracy"].value == pytest.approx(1 - spread, abs=1e-12)
    assert metrics["class-balance"].value is None  # the label's probability is not published


def test_imagenet_x_is_that_of_pandas_and_of_its_readme(
    network, predictions, plain, annotations_folder
):
    metrics = imagenet_x_metrics(predictions, read_annotations(annotations_folder))
    assert metrics["imagenet-x/accuracy"].n == 46_110
    expected = error_ratios(
        plain[["file_name", "predicted_class"]],
        pd.read_json(annotations_folder / TOP_FACTOR, lines=True),
        pd.read_csv(annotations_folder / PROTOTYPES)["file_name"],
    )
    for factor, printed in zip(FACTORS, README[network[0]].split(), strict=True):
        metric = metrics[f"imagenet-x/{factor}/error-ratio"]
        assert metric.value == pytest.approx(expected[factor], rel=1e-12)
        assert metric.value == pytest.approx(float(printed), rel=5e-6)
        assert metric.low < metric.value < metric.high
