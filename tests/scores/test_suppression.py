"""Relative accuracies and areas, against plain loops over rows."""

import numpy as np
import pytest

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import Predictions
from bvg.scores.suppression import area, most_confident, relative, suppression_metrics

CONDITIONS = ("original", "weak", "strong")
CUES = {"texture": "strong", "colour": "weak"}
CURVES = {"blur": ("weak", "strong")}
CATEGORY_OF = {index: k for k, name in enumerate(CATEGORIES) for index in CATEGORY_INDICES[name]}


def random_predictions(images: int, seed: int = 0) -> Predictions:
    """Return answers that are less often right the stronger the condition."""
    generator = np.random.default_rng(seed)
    members = sorted(CATEGORY_OF)
    labels = [int(generator.choice(members if k % 2 else 1000)) for k in range(images)]
    rows = []
    for number, label in enumerate(labels):
        for strength, condition in enumerate(CONDITIONS):
            answer = label if generator.random() < 0.8 - 0.3 * strength else 0
            category = CATEGORY_OF.get(answer, 3)
            sure = category if generator.random() < 0.7 else -1
            confidence = round(float(generator.random()), 2)  # with ties
            rows.append((f"i{number:03d}", condition, label, answer, category, sure, confidence))
    names, conditions, label, answer, category, sure, confidence = zip(*rows, strict=True)
    return Predictions(
        imagenet_classes(),
        np.array(names, object),
        np.array(conditions, object),
        np.array(label, np.int16),
        np.array(answer, np.int16)[:, None],
        np.array(confidence, np.float32),
        {
            "category": np.array(category, np.int16),
            "category_over_half": np.array(sure, np.int16),
        },
    )


def slow_accuracy(predictions: Predictions, condition: str, rule: str, images=None) -> float:
    """Return the accuracy in percent, row by row."""
    right = count = 0
    for row in range(len(predictions)):
        label = int(predictions.labels[row])
        if predictions.conditions[row] != condition:
            continue
        if rule and label not in CATEGORY_OF:
            continue
        if images is not None and predictions.images[row] not in images:
            continue
        count += 1
        if rule:
            right += int(predictions.columns[rule][row]) == CATEGORY_OF[label]
        else:
            right += int(predictions.answers[row, 0]) == label
    return 100 * right / count


def test_accuracies_and_relative_accuracies_are_counted_row_by_row():
    predictions = random_predictions(400)
    confident = {f"i{number:03d}" for number in range(0, 300)}
    metrics = suppression_metrics(predictions, CUES, {}, sorted(confident))
    kinds = {
        "suppression": ("", None),
        "suppression16": ("category_over_half", None),
        "suppression16_argmax": ("category", None),
        "suppression16_confident": ("category_over_half", confident),
    }
    for prefix, (rule, images) in kinds.items():
        slow = {c: slow_accuracy(predictions, c, rule, images) for c in CONDITIONS}
        for condition, value in slow.items():
            assert metrics[f"top1_acc/{prefix}/{condition}"].value == pytest.approx(value)
        for cue, condition in CUES.items():
            metric = metrics[f"metric/{prefix}/{cue}/relative"]
            assert metric.value == pytest.approx(slow[condition] / slow["original"])
            assert metric.low < metric.value < metric.high
    assert len(metrics) == 4 * (len(CONDITIONS) + len(CUES))
    assert metrics["metric/suppression/texture/relative"].n == 400
    assert 195 <= metrics["metric/suppression16/texture/relative"].n < 260


def test_areas_by_hand():
    accuracies = np.array([0.8, 0.6, 0.2])
    assert area(accuracies, (0, 1, 2)) == pytest.approx((0.7 + 0.4) / 2 / 0.8)
    assert area(accuracies, (0, 1, 2), 0.1) == pytest.approx((0.6 + 0.3) / 2 / 0.7)
    assert area(accuracies, (0, 2)) == pytest.approx(0.5 / 0.8)
    assert area(np.full(4, 0.3), (0, 1, 2, 3), 0.001) == pytest.approx(1)
    both = area(np.stack([accuracies, accuracies / 2]), (0, 1, 2))
    assert both.tolist() == pytest.approx([0.6875, 0.6875])
    assert np.isnan(area(np.array([0, 0.1]), (0, 1)))
    assert np.isnan(area(np.array([0.1, 0.1]), (0, 1), 0.2))
    assert np.isnan(relative(np.array([0, 0.1]), 0, 1))


def test_areas_of_predictions():
    predictions = random_predictions(300)
    metrics = suppression_metrics(predictions, {}, CURVES)
    start, weak, strong = (slow_accuracy(predictions, c, "") / 100 for c in CONDITIONS)
    whole = (start / 2 + weak + strong / 2) / 2
    found = metrics["metric/suppression/blur/auc"]
    assert found.value == pytest.approx(whole / start)
    normalised = metrics["metric/suppression/blur/auc-normalised"]
    assert normalised.value == pytest.approx((whole - 0.001) / (start - 0.001))
    assert found.low < found.value < found.high


def test_a_model_of_other_classes_has_no_categories():
    predictions = random_predictions(40)
    few = Predictions(
        ("a", "b"),
        predictions.images,
        predictions.conditions,
        predictions.labels % 2,
        predictions.answers % 2,
        predictions.confidence,
        {name: np.full(120, -1, np.int16) for name in predictions.columns},
    )
    metrics = suppression_metrics(few, CUES, CURVES)
    assert {key.split("/")[1] for key in metrics} == {"suppression"}
    blind = few.answers.copy()
    blind[:] = 5
    none = suppression_metrics(
        Predictions(
            few.classes, few.images, few.conditions, few.labels, blind, few.confidence, few.columns
        ),
        CUES,
        CURVES,
    )
    assert none["metric/suppression/texture/relative"].value is None
    assert none["metric/suppression/blur/auc"].value is None
    assert none["metric/suppression/texture/relative"].note


def test_the_most_confident_images_are_right_ones_of_each_category():
    predictions = random_predictions(600, seed=1)
    candidates: dict[int, list[tuple[float, str]]] = {}
    for row in range(len(predictions)):
        label = int(predictions.labels[row])
        right = int(predictions.answers[row, 0]) == label
        if predictions.conditions[row] == "original" and right and label in CATEGORY_OF:
            entry = (-float(predictions.confidence[row]), str(predictions.images[row]))
            candidates.setdefault(CATEGORY_OF[label], []).append(entry)
    expected = {name for entries in candidates.values() for _, name in sorted(entries)[:5]}
    chosen = most_confident(predictions, per_category=5)
    assert len(chosen) == len(set(chosen)) == len(expected)
    assert set(chosen) == expected
    everything = {name for entries in candidates.values() for _, name in entries}
    assert set(most_confident(predictions, per_category=1000)) == everything
