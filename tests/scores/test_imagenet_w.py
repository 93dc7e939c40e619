"""IN-W gap, carton gap and ΔP(carton), against plain Python."""

import numpy as np
import pytest
import torch

from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import Predictions
from bvg.run.decisions import top5_and_probability
from bvg.scores.imagenet_w import CARTON_GAP, CARTON_WNID, DELTA, GAP, imagenet_w_metrics

WNIDS = imagenet_classes()
CARTON = 478


def predictions_of(
    rows: list[tuple[int, int, int, float, float]], classes: tuple[str, ...] = WNIDS
) -> Predictions:
    """Return predictions of (label, answer, with watermark, P(carton), with watermark)."""
    flat = [
        (f"{number}", condition, label, answer, probability)
        for number, (label, clean, marked, p, q) in enumerate(rows)
        for condition, answer, probability in (("clean", clean, p), ("imagenet-w", marked, q))
    ]
    images, conditions, labels, answers, probabilities = zip(*flat, strict=True)
    columns = {"carton_probability": np.array(probabilities, np.float32)}
    return Predictions(
        classes,
        np.array(images, object),
        np.array(conditions, object),
        np.array(labels, np.int16),
        np.array(answers, np.int16)[:, None],
        np.ones(len(flat), np.float32),
        columns if CARTON_WNID in classes else {},
    )


def test_the_class_is_imagenets_carton():
    assert WNIDS.index(CARTON_WNID) == CARTON


def test_values_are_changes_with_the_watermark():
    rows = [
        (1, 1, 1, 0.0, 0.25),
        (2, 2, CARTON, 0.125, 0.5),
        (3, 3, CARTON, 0.0, 0.0),
        (4, 7, 4, 0.25, 0.125),
        (CARTON, 3, CARTON, 0.25, 0.75),
        (CARTON, CARTON, CARTON, 0.5, 1.0),
        (CARTON, 0, 5, 0.0, 0.0),
        (5, 5, 6, 0.0, 0.0),
    ]
    metrics = imagenet_w_metrics(predictions_of(rows))
    assert metrics["top1_acc/clean"].value == 100 * 5 / 8
    assert metrics["top1_acc/imagenet-w"].value == 100 * 4 / 8
    assert metrics[GAP].value == 100 * (4 - 5) / 8
    assert metrics[CARTON_GAP].value == pytest.approx(100 * (2 - 1) / 3)
    assert metrics[CARTON_GAP].n == 3 and metrics[GAP].n == metrics[DELTA].n == 8
    assert metrics[DELTA].value == pytest.approx(100 * (0.25 + 0.375 - 0.125 + 0.5 + 0.5) / 8)


def test_intervals_are_those_of_paired_differences():
    generator = np.random.default_rng(0)
    clean = generator.random(600) < 0.8
    marked = clean & (generator.random(600) < 0.7)
    p = generator.random(600) / 4
    rows = [
        (1, 1 if a else 2, 1 if b else 2, x, x + 0.1 * y)
        for a, b, x, y in zip(
            clean, marked, p.tolist(), generator.random(600).tolist(), strict=True
        )
    ]
    metrics = imagenet_w_metrics(predictions_of(rows))
    changes = {
        GAP: 100.0 * (marked.astype(int) - clean),
        DELTA: 100 * np.array([q - x for *_, x, q in rows]),
    }
    for key, values in changes.items():
        half = 1.96 * values.std() / np.sqrt(600)
        assert metrics[key].low == pytest.approx(values.mean() - half, abs=0.12 * half)
        assert metrics[key].high == pytest.approx(values.mean() + half, abs=0.12 * half)
    assert metrics[CARTON_GAP].value is None and metrics[CARTON_GAP].note


def test_a_model_without_the_class_has_a_gap_only():
    metrics = imagenet_w_metrics(predictions_of([(0, 0, 1, 0.0, 0.0)] * 4, ("ant", "bee")))
    assert metrics[GAP].value == -100
    for key in (CARTON_GAP, DELTA):
        assert metrics[key].value is None and CARTON_WNID in metrics[key].note


def test_the_probability_of_the_class_is_kept():
    logits = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    columns = top5_and_probability("carton", 7)(logits, torch.arange(6))
    probabilities = logits.double().softmax(dim=1)
    assert columns["carton_probability"].tolist() == pytest.approx(probabilities[:, 7].tolist())
    assert columns["label_probability"].tolist() == pytest.approx(
        probabilities[torch.arange(6), torch.arange(6)].tolist()
    )
    assert columns["answers"][:, 0].tolist() == logits.argmax(dim=1).tolist()
