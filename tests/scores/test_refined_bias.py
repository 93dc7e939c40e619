"""Mean reciprocal ranks, against plain Python."""

import numpy as np
import pytest
import torch

from bvg.data.imagenet import imagenet_classes
from bvg.data.refined_bias import CLASSES, members_of
from bvg.predictions.table import Predictions
from bvg.run.decisions import top5_and_ranks
from bvg.scores.refined_bias import mean_reciprocal, refined_bias_metrics
from oracles.refined_bias import rank_of

ALL = imagenet_classes()
WNIDS = members_of(CLASSES)


def test_ranks_equal_counting_with_ties_to_the_lower_index():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 60, (20, 1000), generator=generator).float()
    columns = top5_and_ranks(ALL, WNIDS)(logits)
    for name, wnids in WNIDS.items():
        found = columns[f"rank_{name}"]
        assert found.dtype == torch.int16
        own = [ALL.index(wnid) for wnid in wnids]
        assert found.tolist() == [rank_of(row.tolist(), own) for row in logits]


def predictions_of(ranks: dict[str, list[int]]) -> Predictions:
    """Return predictions with these ranks of each class, and the worst rank of all others."""
    rows = [
        (cue, name, rank)
        for cue in CLASSES
        for name in CLASSES[cue]
        for rank in ranks.get(name, [])
    ]
    columns = {
        f"rank_{one}": np.array([rank if one == name else 1000 for _, name, rank in rows], np.int16)
        for one in WNIDS
    }
    n = len(rows)
    return Predictions(
        ALL,
        np.array([f"{k}" for k in range(n)], object),
        np.array([cue for cue, _, _ in rows], object),
        np.array([ALL.index(WNIDS[name][0]) for _, name, _ in rows], np.int16),
        np.zeros((n, 5), np.int16),
        np.zeros(n, np.float32),
        columns,
    )


def test_means_by_cue_and_class():
    metrics = refined_bias_metrics(
        predictions_of({"clock": [1, 2], "ipod": [4, 4, 1], "zebra": [10, 1]})
    )
    assert metrics["refined-bias/shape-mrr"].value == pytest.approx(3 / 5)
    assert metrics["refined-bias/shape-mrr/class/clock"].value == pytest.approx(0.75)
    assert metrics["refined-bias/shape-mrr/class/ipod"].value == pytest.approx(0.5)
    assert metrics["refined-bias/texture-mrr"].value == pytest.approx(0.55)
    assert metrics["top1_acc/refined-bias/shape"].value == pytest.approx(40)
    assert metrics["top1_acc/refined-bias/texture/class/zebra"].value == pytest.approx(50)
    assert "refined-bias/shape-mrr/class/mouse" not in metrics


def test_the_interval_is_that_of_a_mean():
    ranks = np.random.default_rng(0).integers(1, 1001, 3000)
    ranks[::3] = 1
    metric = mean_reciprocal(ranks)
    values = 1 / ranks
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert metric.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert metric.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_equal_ranks_give_no_width_of_zero():
    metric = mean_reciprocal(np.ones(10, np.int16))
    assert metric.value == 1 and metric.low < 0.8
    assert mean_reciprocal(np.full(10, 2)).low is None
