"""A wrong input is noticed on photographs, a right one is not suspected, and no answer changes."""

import json

import numpy as np
import pytest
import torch

from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.run.input_check import Answers, conventions, is_better, report, screened
from bvg.zoo.normalized import NormalizedModel


def _of_right(right: np.ndarray) -> Answers:
    """Return answers of which only right and wrong count, to a photograph of each class."""
    return Answers(right, right.astype(float), np.arange(right.shape[1]), right.shape[1])


def _right(as_given: int, given_other: int, both: int, count: int) -> np.ndarray:
    """Return right answers: so many as given, in the other convention, and in both."""
    right = np.zeros((2, count), bool)
    right[0, :as_given] = True
    right[1, as_given - both : as_given - both + given_other] = True
    return right


@pytest.mark.parametrize(
    ("as_given", "given_other", "both", "count", "clear"),
    [
        (75, 104, 70, 200, True),  # as an unnormalised MobileNet
        (75, 80, 70, 200, False),
        (150, 159, 140, 200, False),  # 4.5 points, which chance explains
        (30_000, 30_900, 28_000, 50_000, False),  # significant, but under 3 points
        (30_000, 32_000, 28_000, 50_000, True),
        (0, 8, 0, 16, False),  # 8 to 0: p = .004
        (0, 16, 0, 16, True),
        (0, 0, 0, 16, False),
    ],
)
def test_only_a_clearly_better_convention_is_suspected(as_given, given_other, both, count, clear):
    assert is_better(_of_right(_right(as_given, given_other, both, count))) == clear


def test_honest_models_are_not_suspected_of_a_mistake():
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        accuracy = generator.uniform(0.2, 0.8)
        alarms += is_better(_of_right(generator.random((2, 200)) < accuracy))  # none is better
    assert alarms <= 4


def test_photographs_of_few_classes_are_no_evidence():
    """One class may gain by chance under another convention, and then all of its photographs do."""
    right = _right(0, 32, 0, 32)
    probability = right.astype(float)
    assert not is_better(Answers(right, probability, np.zeros(32, int), classes=1000))
    assert is_better(Answers(right, probability, np.arange(32), classes=1000))
    # Of a model of these classes alone, they are all that there is to know.
    assert is_better(Answers(right, probability, np.arange(32) % 2, classes=2))


def test_a_model_that_is_only_more_confident_knows_no_more():
    rng = np.random.default_rng(0)
    probability = np.stack([rng.uniform(-3, -2, 100), rng.uniform(-2, -1, 100)])
    right = np.tile(rng.random(100) < 0.5, (2, 1))
    assert not is_better(Answers(right, probability, np.arange(100), 1000))


@pytest.mark.parametrize(
    ("count", "few"), [(1, 1), (2, 1), (16, 8), (64, 32), (256, 32), (4000, 500)]
)
def test_some_images_choose_the_convention_that_the_others_test(count, few):
    assert screened(count) == few


def _expected(model: torch.nn.Module, view: Preprocessing = STUDY) -> list[str]:
    return [other.expects for other in conventions(model, view)]


def test_a_known_normalization_is_exchanged_and_an_unknown_one_also_undone():
    network = torch.nn.Identity()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    known = NormalizedModel(network, mean, std)
    x = torch.rand(2, 3, 4, 4)
    changed = {other.expects: known(other.change(x)) for other in conventions(known, STUDY)}
    gets = "(but gets pixels normalized with ImageNet's mean and std)"
    assert torch.allclose(changed[f"pixels in [0, 1] {gets}"], x, atol=1e-5)
    assert torch.allclose(changed[f"pixels in 0-255 {gets}"], 255 * x, atol=1e-3)
    assert torch.allclose(
        changed[f"pixels normalized with mean and std 0.5 {gets}"], 2 * x - 1, atol=1e-5
    )
    assert torch.allclose(changed["BGR channels"], known(x.flip(1)))
    grey = changed["grey images"] * torch.tensor(std).view(3, 1, 1)
    grey += torch.tensor(mean).view(3, 1, 1)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    assert not any("ImageNet's mean and std (" in words for words in changed)  # is in use
    undone = [words for words in _expected(network) if "but gets pixels normalized" in words]
    assert len(undone) == 4
    assert len({*_expected(network)}) == len(_expected(network))


def test_other_sizes_are_tried_only_where_none_is_stated():
    network = torch.nn.Identity()
    assert any("128 x 128" in words for words in _expected(network))
    assert not any("128 x 128" in words for words in _expected(network, Preprocessing(224, 192)))
    network.native = Preprocessing(235, 224)
    assert not any("128 x 128" in words for words in _expected(network))


def test_the_remedy_for_a_checkpoint_is_its_flags():
    model = NormalizedModel(torch.nn.Identity(), (0.5,) * 3, (0.5,) * 3)
    others = {other.expects.partition(" (")[0]: other for other in conventions(model, STUDY)}
    found, raw = _of_right(_right(0, 40, 0, 40)), others["pixels in [0, 1]"]
    assert "--mean 0 0 0 --std 1 1 1" in report(found, raw, "file:///weights.pth")["warning"]
    assert "--mean" not in report(found, raw, "net.py:net")["warning"]
    assert "x.flip(1)" in report(found, others["BGR channels"], "file:///weights.pth")["warning"]
    size = others["images of 128 x 128 pixels"]
    assert "Preprocessing(146, 128)" in report(found, size, "file:///weights.pth")["warning"]
    assert json.loads(json.dumps(report(found, raw, ""), allow_nan=False))["images"] == 40
