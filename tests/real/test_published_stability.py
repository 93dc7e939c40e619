"""AlexNet's flip probabilities, which no source states, give three networks their published mFR."""

from pathlib import Path

import pandas as pd
import pytest

from bvg.data.imagenet_p import PERTURBATIONS
from bvg.scores.imagenet_p import ALEXNET_FLIPS, read_reference

# Hendrycks & Dietterich 2019 (ResNet-18, DenseNet-121) and the README of hendrycks/robustness.
PUBLISHED = {"resnet18": 72.8, "densenet121": 56.4, "augmix_resnet50": 37.4}
MEASURED = {"resnet18": 72.83, "densenet121": 56.21, "augmix_resnet50": 37.63}


@pytest.mark.parametrize("network", PUBLISHED)
def test_mfr_is_the_published_one_within_a_quarter_of_a_point(network, fixtures):
    """The networks' own flip probabilities are CorruptionBenchCV's."""
    path = fixtures / "published" / "external" / "corruptionbench_imagenet_p.csv"
    table = pd.read_csv(path).set_index(["model", "perturbation"])["flip_prob"]
    reference = read_reference(Path("alexnet"))
    ratios = [table[network, name] / reference[f"flip_prob/{name}"] for name in PERTURBATIONS]
    mfr = 100 * sum(ratios) / len(PERTURBATIONS)
    assert mfr == pytest.approx(MEASURED[network], abs=5e-3)
    assert mfr == pytest.approx(PUBLISHED[network], abs=0.25)


def test_there_is_one_for_each_perturbation():
    assert {*ALEXNET_FLIPS} == {f"flip_prob/{name}" for name in PERTURBATIONS}
