"""Scores under corruptions against their definitions."""

import numpy as np
import pytest
from torchvision.models import AlexNet_Weights

from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_c import SEVERITIES, corruption_condition
from bvg.predictions.table import Predictions
from bvg.scores.imagenet_c import ALEXNET, ALEXNET_CLEAN, corruption_metrics
from bvg.scores.metric import wilson
from conftest import CLASSES
from eval_imagenet_c import IMAGENET_C, STANDARD
from eval_imagenet_cbar import IMAGENET_CBAR
from oracles import corruption_scores as oracle

ALL = tuple(corruption_condition(c, s) for c in IMAGENET_C.corruptions for s in SEVERITIES)
IMAGES = 40


def predictions(conditions, classes=None, seed=0, drop=()) -> Predictions:
    """Return random answers of IMAGES images, condition after condition, as files are measured."""
    classes = imagenet_classes() if classes is None else classes
    generator = np.random.default_rng(seed)
    difficulty = generator.random(IMAGES)
    rows = [
        (condition, image)
        for condition in conditions
        for image in range(IMAGES)
        if (condition, image) not in drop
    ]
    right = np.array([generator.random() < difficulty[image] for _, image in rows])
    labels = np.array([image % 4 for _, image in rows], dtype=np.int16)
    answers = np.where(right, labels, (labels + 1) % 4).astype(np.int16)[:, None]
    return Predictions(
        classes=classes,
        images=np.array([f"{image}.JPEG" for _, image in rows], dtype=object),
        conditions=np.array([condition for condition, _ in rows], dtype=object),
        labels=labels,
        answers=answers,
        confidence=np.ones(len(rows), np.float32),
        columns={},
    )


def rows_of(table: Predictions) -> list[tuple[str, bool]]:
    return list(zip(table.conditions, table.answers[:, 0] == table.labels, strict=True))


def test_every_measure_is_its_definition():
    table = predictions(("clean", *ALL))
    metrics = corruption_metrics(table, IMAGENET_C)
    rows = rows_of(table)
    expected = {f"top1_acc/{c}": oracle.accuracy(rows, {c}) for c in ("clean", *ALL)}
    groups = {"": IMAGENET_C.corruptions, "/15": tuple(ALEXNET)}
    groups |= {f"/{name}": IMAGENET_C.subsets[name] for name in ("noise", "blur", "extra")}
    for name, members in groups.items():
        wanted = set().union(*map(oracle.severities, members))
        expected[f"top1_acc/imagenet-c{name}"] = oracle.accuracy(rows, wanted)
    for name in IMAGENET_C.corruptions:
        expected[f"top1_acc/{name}"] = oracle.accuracy(rows, oracle.severities(name))
    for name, error in ALEXNET.items():
        expected[f"mCE/{name}"] = oracle.corruption_error(rows, name, error)
    expected["mCE"] = oracle.mean_corruption_error(rows, ALEXNET)
    expected["relative-mCE"] = oracle.relative_error(rows, ALEXNET, ALEXNET_CLEAN)
    for key, value in expected.items():
        assert metrics[key].value == pytest.approx(value, rel=1e-12), key
        assert metrics[key].low < value < metrics[key].high and metrics[key].n == IMAGES
    left = set(metrics) - set(expected)
    assert left == {"top1_acc/imagenet-c/weather", "top1_acc/imagenet-c/digital"}


def test_alexnets_errors_are_the_published_ones():
    assert list(ALEXNET) == list(STANDARD)
    for name, fraction in oracle.ALEXNET_FRACTIONS.items():
        assert ALEXNET[name] == pytest.approx(100 * fraction, abs=0.0501)
    accuracy = AlexNet_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert pytest.approx(100 - accuracy, abs=0.05) == ALEXNET_CLEAN


def test_alexnet_itself_has_an_error_of_one_hundred():
    """With 1000 images, AlexNet's errors are whole numbers of them."""
    conditions = ("clean", *(c for c in ALL if c[:-2] in ALEXNET))
    errors = [43.5, *(ALEXNET[c[:-2]] for c in conditions[1:])]
    wrong = np.arange(1000)[:, None] < 10 * np.array(errors)
    count = len(conditions)
    table = Predictions(
        classes=imagenet_classes(),
        images=np.repeat(np.array([str(i) for i in range(1000)], object), count),
        conditions=np.tile(np.array(conditions, object), 1000),
        labels=np.zeros(1000 * count, np.int16),
        answers=wrong.reshape(-1, 1).astype(np.int16),
        confidence=np.ones(1000 * count, np.float32),
        columns={},
    )
    metrics = corruption_metrics(table, IMAGENET_C)
    assert metrics["mCE"].value == pytest.approx(100)
    assert metrics["relative-mCE"].value == pytest.approx(100)
    assert all(metrics[f"mCE/{name}"].value == pytest.approx(100) for name in ALEXNET)
    assert metrics["top1_acc/imagenet-c"].value is None  # "extra" is not there


def test_what_was_not_measured_has_no_value_but_a_reason():
    some = tuple(corruption_condition(c, s) for c in ("fog", "snow") for s in (1, 3))
    metrics = corruption_metrics(predictions(some), IMAGENET_C)
    measured = metrics["top1_acc/imagenet-c/measured"]
    assert measured.value == pytest.approx(np.mean([metrics[f"top1_acc/{c}"].value for c in some]))
    for key in ("imagenet-c", "imagenet-c/15", "imagenet-c/weather", "fog"):
        assert metrics[f"top1_acc/{key}"].value is None
        assert "did not measure" in metrics[f"top1_acc/{key}"].note
    assert metrics["top1_acc/fog"].note.startswith("it needs fog_2 and 2 more")
    assert metrics["mCE"].value is None
    assert "top1_acc/imagenet-c/blur" not in metrics
    assert "top1_acc/contrast" not in metrics and "mCE/contrast" not in metrics


def test_models_of_other_classes_have_no_error_relative_to_alexnet():
    metrics = corruption_metrics(predictions(("clean", *ALL), CLASSES), IMAGENET_C)
    assert metrics["mCE"].value is None and "1000 classes" in metrics["mCE"].note
    assert metrics["relative-mCE"].value is None
    assert metrics["top1_acc/imagenet-c"].value is not None


def test_cbar_is_the_mean_over_its_fifty_conditions():
    conditions = [corruption_condition(c, s) for c in IMAGENET_CBAR.corruptions for s in SEVERITIES]
    table = predictions(tuple(conditions))
    metrics = corruption_metrics(table, IMAGENET_CBAR)
    wanted = oracle.accuracy(rows_of(table), set(conditions))
    assert metrics["top1_acc/imagenet-cbar"].value == pytest.approx(wanted)
    assert not any("mCE" in key or "measured" in key for key in metrics)


def test_images_that_lack_a_condition_count_in_none():
    drop = {("fog_3", 7), ("snow_1", 11)}
    some = ("fog_1", "fog_3", "snow_1")
    table = predictions(some, drop=drop)
    metrics = corruption_metrics(table, IMAGENET_C)
    assert {metrics[f"top1_acc/{c}"].n for c in some} == {IMAGES - 2}
    images = np.char.partition(table.images.astype(str), ".")[:, 0].astype(int)
    keep = ~np.isin(images, (7, 11)) & (table.conditions == "fog_1")
    right = (table.answers[:, 0] == table.labels)[keep]
    assert metrics["top1_acc/fog_1"].value == pytest.approx(100 * right.mean())


def test_intervals_come_from_drawing_images():
    """Ten times the same condition is no more certain than once."""
    table = predictions(ALL[:5])
    right = (table.answers[:, 0] == table.labels).reshape(5, IMAGES)
    first = np.where(right[0], table.labels[:IMAGES], (table.labels[:IMAGES] + 1) % 4)
    table.answers[:] = np.tile(first, 5)[:, None]
    metrics = corruption_metrics(table, IMAGENET_C)
    mean, one = metrics["top1_acc/gaussian_noise"], metrics["top1_acc/gaussian_noise_1"]
    assert mean.value == one.value
    assert mean.high - mean.low == pytest.approx(one.high - one.low, rel=0.15)


@pytest.mark.parametrize("right", [True, False])
def test_what_is_right_or_wrong_throughout_is_no_certainty(right):
    n = 40
    names = [corruption_condition(c, s) for c in IMAGENET_CBAR.corruptions for s in SEVERITIES]
    rows = [(f"i{k}", name) for k in range(n) for name in names]
    answers = np.full((len(rows), 1), 0 if right else 1, np.int16)
    predictions = Predictions(
        ("a", "b"),
        np.array([i for i, _ in rows], object),
        np.array([c for _, c in rows], object),
        np.zeros(len(rows), np.int16),
        answers,
        np.ones(len(rows), np.float32),
        {},
    )
    metric = corruption_metrics(predictions, IMAGENET_CBAR)["top1_acc/imagenet-cbar"]
    assert metric.value == 100 * right
    assert (metric.low, metric.high) == pytest.approx([100 * e for e in wilson(n * right, n)])
