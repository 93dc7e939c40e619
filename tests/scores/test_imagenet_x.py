"""Error ratios against their definition, and which images they are of."""

import numpy as np
import pandas as pd
import pytest

from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_x import FACTORS, Annotations, read_annotations
from bvg.predictions.table import Predictions
from bvg.scores.imagenet_x import imagenet_x_metrics
from imagenet_x_helpers import entry, val_file, write_annotations
from oracles.calibration import error_ratios

CLASSES = tuple("abcdefg")


def table(numbers, labels, answers, classes=CLASSES) -> Predictions:
    n = len(numbers)
    return Predictions(
        classes,
        np.array(
            [f"{classes[label]}/{val_file(k)}" for k, label in zip(numbers, labels, strict=True)],
            object,
        ),
        np.full(n, "clean", object),
        np.array(labels, np.int16),
        np.array(answers, np.int16).reshape(n, -1),
        np.ones(n, np.float32),
        {},
    )


def annotations(tmp_path, entries, prototypes=()) -> Annotations:
    return read_annotations(write_annotations(tmp_path / "x", entries, prototypes))


@pytest.fixture
def some(tmp_path) -> tuple[Annotations, Predictions, pd.Series]:
    """Return annotations of 900 of 1,000 images, predictions of all, and the ratios by pandas."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 7, 1_000)
    entries = [
        entry(k, int(labels[k - 1]), rng.choice([*FACTORS[:5], None])) for k in range(1, 901)
    ]
    answers = np.where(rng.random(1_000) < 0.6, labels, (labels + 1) % 7)
    prototypes = [1, 5, 870, 990]
    found = annotations(tmp_path, entries, prototypes)
    predictions = table(range(1, 1_001), labels, answers)
    by_pandas = error_ratios(
        pd.DataFrame({"file_name": [*map(val_file, range(1, 1_001))], "predicted_class": answers}),
        pd.DataFrame(entries),
        [*map(val_file, prototypes)],
    )
    return found, predictions, by_pandas


def test_ratios_equal_the_definition_on_the_annotated_images_but_for_prototypes(some):
    found, predictions, expected = some
    metrics = imagenet_x_metrics(predictions, found)
    assert metrics["imagenet-x/accuracy"].n == 897
    for factor in FACTORS[:5]:
        metric = metrics[f"imagenet-x/{factor}/error-ratio"]
        assert metric.value == pytest.approx(expected[factor], rel=1e-12)
        assert metric.low < metric.value < metric.high
    assert len(metrics) == 1 + 2 * 5  # the other factors are of no image


def test_a_factor_of_images_that_were_not_evaluated_has_no_ratio(tmp_path):
    found = annotations(tmp_path, [entry(1, 0, "pose"), entry(2, 1, "style")])
    metrics = imagenet_x_metrics(table([1], [0], [3]), found)
    for name in ("accuracy", "error-ratio"):
        assert metrics[f"imagenet-x/style/{name}"].value is None
        assert metrics[f"imagenet-x/style/{name}"].note
    assert metrics["imagenet-x/pose/error-ratio"].value == 1


def test_ratio_and_accuracies_belong_together(some):
    found, predictions, _ = some
    metrics = imagenet_x_metrics(predictions, found)
    overall = 1 - metrics["imagenet-x/accuracy"].value / 100
    for factor in FACTORS[:5]:
        error = 1 - metrics[f"imagenet-x/{factor}/accuracy"].value / 100
        ratio = metrics[f"imagenet-x/{factor}/error-ratio"]
        assert ratio.value == pytest.approx(error / overall)
        assert ratio.n == metrics[f"imagenet-x/{factor}/accuracy"].n


def test_the_order_of_the_images_is_no_matter(some):
    found, predictions, _ = some
    order = np.random.default_rng(1).permutation(1_000)
    shuffled = table(order + 1, predictions.labels[order], predictions.answers[order])
    one, other = imagenet_x_metrics(predictions, found), imagenet_x_metrics(shuffled, found)
    assert {k: m.value for k, m in one.items()} == {k: m.value for k, m in other.items()}


def test_intervals_hold_the_true_ratio(tmp_path):
    """Errors of 30 % with the factor, which a fifth of the images has, and of 10 % without."""
    rng = np.random.default_rng(0)
    factors = np.where(rng.random(1_000) < 0.2, 0, -1)
    held = 0
    for _ in range(60):
        wrong = rng.random(1_000) < np.where(factors == 0, 0.3, 0.1)
        marked = Annotations(tmp_path, np.arange(1_000), np.zeros(1_000, int), factors)
        metric = imagenet_x_metrics(table(range(1_000), [0] * 1_000, wrong), marked)
        ratio = metric["imagenet-x/pose/error-ratio"]
        share = (factors == 0).mean()
        held += ratio.low <= 0.3 / (0.3 * share + 0.1 * (1 - share)) <= ratio.high
    assert held >= 53


def test_a_perfect_model_has_no_ratio(tmp_path):
    found = annotations(tmp_path, [entry(1, 0, "pose"), entry(2, 1, "style")])
    metrics = imagenet_x_metrics(table([1, 2], [0, 1], [0, 1]), found)
    assert metrics["imagenet-x/accuracy"].value == 100
    assert metrics["imagenet-x/pose/error-ratio"].value is None


def test_labels_are_positions_in_the_models_classes(tmp_path):
    wnids = imagenet_classes()
    found = annotations(tmp_path, [entry(3, 7, "pose"), entry(4, 0, "pose")])
    other = ("entity", *reversed(wnids))
    labels = [other.index(wnids[7]), other.index(wnids[0])]
    metrics = imagenet_x_metrics(table([3, 4], labels, [labels[0], 0], other), found)
    assert metrics["imagenet-x/pose/accuracy"].value == 50


def test_annotations_of_other_images_give_no_ratios(tmp_path):
    found = annotations(tmp_path, [entry(1, 0, "pose"), entry(2, 800, "style")])
    for predictions in (table([1, 2], [0, 1], [0, 1]), table([5], [0], [0])):
        metrics = imagenet_x_metrics(predictions, found)
        assert metrics["imagenet-x/accuracy"].value is None
        assert metrics["imagenet-x/accuracy"].note
        assert len(metrics) == 1
    assert len(imagenet_x_metrics(table([1], [0], [0]), found)) > 1
