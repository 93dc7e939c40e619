"""The published decision tables, through our scoring, give the published numbers."""

import pytest

from bvg.scores.decision_table import read_decisions
from bvg.scores.shape_bias import count_table
from model_vs_human_helpers import read_folder


@pytest.mark.parametrize(
    ("model", "shape", "texture", "bias"),
    [
        ("alexnet", 182, 537, 0.2531),
        ("vgg16", 84, 828, 0.0921),
        ("resnet50", 162, 572, 0.2207),
    ],
)
def test_three_networks_of_geirhos_2019(fixtures, model, shape, texture, bias):
    name = f"style-transfer-512-nomask-experiment_{model}_session-1.csv"
    counts = count_table(read_decisions(fixtures / "published" / "cue-conflict-decisions" / name))
    assert (counts.shape, counts.texture, counts.total) == (shape, texture, 1200)
    metric = counts.bias()
    assert round(metric.value, 4) == bias
    assert metric.low < metric.value < metric.high


def test_ten_human_observers(fixtures):
    counts = count_table(read_folder(fixtures / "published" / "human" / "cue-conflict"))
    assert (counts.shape, counts.texture) == (9236, 398)
    assert round(counts.bias().value, 4) == 0.9587


def test_our_category_table_is_the_published_one(fixtures):
    from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
    from oracles.straight_line import read_members

    published = read_members(fixtures)
    assert tuple(published) == CATEGORIES
    assert {name: tuple(indices) for name, indices in published.items()} == CATEGORY_INDICES
