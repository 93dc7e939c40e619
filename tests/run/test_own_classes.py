"""The decision among the classes that a data set has, against plain Python."""

import numpy as np
import torch

from bvg.data.imagenet_ood import VARIANTS
from bvg.run.decisions import UNRESTRICTED, top5, top5_among
from oracles.straight_line import top_five
from oracles.variants import top_five_among

LOGITS = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0)) * 4


def unrestricted(answers) -> list[list[int]]:
    return torch.stack([answers[name] for name in UNRESTRICTED], dim=1).tolist()


def test_the_200_classes_of_imagenet_a_and_r():
    for variant in VARIANTS[1:3]:
        decide = top5_among(reversed(variant.subset))
        answers = decide(LOGITS)
        rows = LOGITS.double().numpy()
        assert answers["answers"].tolist() == [
            top_five_among(row, set(variant.subset)) for row in rows
        ]
        assert unrestricted(answers) == [top_five(row) for row in rows]
        assert {values.dtype for name, values in answers.items() if name != "confidence"} == {
            torch.int16
        }
        own = LOGITS.double()[:, list(variant.subset)].softmax(1).max(1).values
        np.testing.assert_allclose(answers["confidence"].numpy(), own.numpy(), rtol=1e-6)


def test_all_classes_restrict_nothing():
    answers = top5_among(range(1000))(LOGITS)
    whole = top5(LOGITS)
    assert torch.equal(answers["answers"], whole["answers"])
    assert torch.equal(answers["confidence"], whole["confidence"])


def test_ties_go_to_the_first_of_the_models_classes():
    logits = torch.zeros(2, 8)
    logits[1, [3, 6]] = 2.0
    answers = top5_among([6, 1, 3])(logits)
    assert answers["answers"].tolist() == [[1, 3, 6], [3, 6, 1]]
    assert unrestricted(answers)[1] == [3, 6, 0, 1, 2]


def test_a_model_of_few_classes():
    answers = top5_among([1])(torch.tensor([[1.0, 2.0, 3.0]]))
    assert answers["answers"].tolist() == [[1]]
    assert unrestricted(answers) == [[2, 1, 0, -1, -1]]


def test_a_certain_class_outside_does_not_drown_the_others():
    logits = torch.zeros(1, 1000)
    logits[0, 0] = 300.0
    logits[0, 8] = 5.0
    answers = top5_among([1, 8, 9])(logits)
    assert answers["answers"][0, 0] == 8
    assert answers["confidence"][0] > 0.98
