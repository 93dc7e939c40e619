"""The Configural Shape Score, against plain Python."""

import numpy as np
import pandas as pd
import pytest
import torch

from bvg.data.css import CLASSES
from bvg.predictions.table import Predictions
from bvg.run.decisions import decided, largest_of
from bvg.scores.bootstrap import bootstrapped_mean
from bvg.scores.css import INCOMPLETE, css_metrics, decisions_by_image
from oracles.css import ANIMALS, animal_of, scores
from parquet_helpers import anagram_rows

NAMES = tuple(ANIMALS)


def test_the_decision_is_that_of_the_largest_logit_of_each_animal():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(60, 1000, generator=generator)
    logits[:5] = logits[:5].round()  # with ties, which go to the first
    labels = torch.arange(60) % 9
    columns = decided(largest_of(CLASSES), logits, labels)
    assert columns["answers"].shape == (60, 5) and columns["margin"].dtype == torch.float32
    for row, label in enumerate(labels):
        answer, margin = animal_of(logits[row].tolist(), NAMES[label])
        assert NAMES[columns["answers"][row, 0]] == answer
        assert float(columns["margin"][row]) == pytest.approx(margin, abs=1e-5)
        if row >= 5:
            assert (float(columns["margin"][row]) > 0) == (answer == NAMES[label])
        best = [float(logits[row, own].max()) for own in ANIMALS.values()]
        share = np.exp(max(best)) / np.exp(best).sum()
        assert float(columns["confidence"][row]) == pytest.approx(share, rel=1e-5)


def predictions_of(answers: list[int], margins: list[float], rows: list[dict]) -> Predictions:
    def numbers(column):
        return np.array([NAMES.index(row[column]) for row in rows], np.int16)

    n = len(rows)
    return Predictions(
        NAMES,
        np.array([row["filename"] for row in rows], object),
        np.full(n, "clean", object),
        numbers("label"),
        np.array(answers, np.int16)[:, None],
        np.full(n, 0.5, np.float32),
        {
            "foil": numbers("foil"),
            "pair": np.array([int(row["anagram_id"]) for row in rows], np.int16),
            "position": np.array([row["position"] for row in rows], np.int16),
            "margin": np.array(margins, np.float32),
        },
    )


@pytest.fixture(scope="module")
def example() -> tuple[Predictions, list]:
    """Return decisions of which two thirds are right, in the file's order without two images."""
    rng = np.random.default_rng(0)
    rows = [row for k, row in enumerate(anagram_rows()) if k not in (3, 100)]
    labels = np.array([NAMES.index(row["label"]) for row in rows])
    answers = np.where(rng.random(len(rows)) < 2 / 3, labels, rng.integers(0, 9, len(rows)))
    margins = np.where(answers == labels, 1, -1) * rng.random(len(rows))
    predictions = predictions_of(answers.tolist(), margins.tolist(), rows)
    plain = [
        (row["anagram_id"], row["label"], row["foil"], NAMES[answer], float(np.float32(margin)))
        for row, answer, margin in zip(rows, answers, margins, strict=True)
    ]
    return predictions, plain


def test_scores_equal_plain_python(example):
    predictions, plain = example
    metrics, expected = css_metrics(predictions, 72), scores(plain)
    assert metrics["css/72"].value == pytest.approx(expected["css"])
    assert metrics["css/72"].n == 70  # the pairs that have both of their images
    for name in ("one-right", "none-right", "pair-margin", "foil-rate"):
        assert metrics[f"css/72/{name}"].value == pytest.approx(expected[name], abs=1e-6), name
    assert metrics["top1_acc/anagrams/72"].value == pytest.approx(expected["accuracy"])
    parts = [metrics[f"css/72{end}"].value for end in ("", "/one-right", "/none-right")]
    assert sum(parts) == pytest.approx(1)
    for name in NAMES:
        own = [image for image in plain if image[1] == name]
        right = 100 * np.mean([image[3] == name for image in own])
        assert metrics[f"top1_acc/anagrams/72/class/{name}"].value == pytest.approx(right)
        mean = np.mean([image[4] for image in own])
        assert metrics[f"css/72/margin/{name}"].value == pytest.approx(mean, abs=1e-6)


def test_the_interval_is_that_of_a_fraction_of_pairs():
    right = np.arange(1440) % 4 == 0
    metric = bootstrapped_mean(right, INCOMPLETE, is_share=True)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 1440)
    assert metric.value == 0.25 and metric.n == 1440
    assert metric.low == pytest.approx(0.25 - half, abs=0.1 * half)
    assert metric.high == pytest.approx(0.25 + half, abs=0.1 * half)
    none = bootstrapped_mean(np.zeros(72, bool), INCOMPLETE, is_share=True)
    assert none.value == 0 and 0.04 < none.high < 0.06  # Wilson's


def test_without_a_complete_pair_there_is_no_score():
    rows = [row for row in anagram_rows() if row["position"] == 0]
    metrics = css_metrics(predictions_of([0] * 72, [0.5] * 72, rows), 72)
    assert metrics["css/72"].value is None and "pair" in metrics["css/72"].note
    assert metrics["top1_acc/anagrams/72"].n == 72


def test_decisions_in_words(example):
    predictions, plain = example
    table = decisions_by_image(predictions)
    assert isinstance(table, pd.DataFrame) and len(table) == 142
    assert [*table["answer"]] == [image[3] for image in plain]
    assert [*table["foil"]] == [image[2] for image in plain]
    assert table["filename"][0] == "000_transform_bear_bunny_object0_bear.png"
