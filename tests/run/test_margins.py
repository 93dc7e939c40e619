"""Margins of decisions: a smaller error of the logits changes nothing, a larger one can."""

import pytest
import torch

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.run.decisions import (
    UNRESTRICTED,
    best_groups,
    decided,
    differ,
    largest_of,
    margins_of,
    sixteen_way,
    top1_category,
    top5,
    top5_among,
    top5_and_category,
    top5_and_category_sums,
    top5_and_probability,
    top5_and_ranks,
    top5_in_order,
)

IMAGENET = imagenet_classes()
GROUPS = {"one": (0, 3, 17, 18), "two": (4, 5), "three": (30,), "four": (6, 8)}
NAMES = tuple(f"class {k}" for k in range(40))
MEMBERS = {name: [NAMES[k] for k in group] for name, group in GROUPS.items()}
OF_CLASS = [k // 8 - 1 for k in range(40)]
CATEGORY_GROUPS = [*CATEGORY_INDICES.values()]
# Each decision with the number of its logits, that of its labels, and groups that matter to it.
DECISIONS = {
    "top5": (top5, 40, 40, []),
    "top5 of four classes": (top5, 4, 4, []),
    "in order": (top5_in_order, 40, 40, []),
    "among some": (top5_among(range(7)), 40, 7, []),
    "16 categories of 1000 classes": (sixteen_way(IMAGENET), 1000, 16, CATEGORY_GROUPS),
    "16 categories": (sixteen_way(CATEGORIES), 16, 16, []),
    "groups": (best_groups([*GROUPS.values()]), 40, 4, [*GROUPS.values()]),
    "with category": (top5_and_category(IMAGENET), 1000, 1000, CATEGORY_GROUPS),
    "with sums": (top5_and_category_sums(IMAGENET), 1000, 1000, CATEGORY_GROUPS),
    "with ranks": (top5_and_ranks(NAMES, MEMBERS), 40, 40, [*GROUPS.values()]),
    "largest of groups": (largest_of(GROUPS), 40, 4, [*GROUPS.values()]),
    "category of the best": (top1_category(OF_CLASS), 40, 5, [range(k, k + 8) for k in (0, 8, 32)]),
    "with a probability": (top5_and_probability("it", 3), 40, 40, []),
}


def _world(name: str, rows: int = 24):
    decide, classes, answers, groups = DECISIONS[name]
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn((rows, classes), generator=generator, dtype=torch.float64)
    # Some near a label's edge, and, for categories, some with a few classes that stand out.
    logits[: rows // 2, CATEGORY_INDICES["bear"][0] % classes] += 6
    labels = torch.randint(answers, (rows,), generator=generator)
    margins = margins_of(decide)(logits, labels)
    assert margins.shape == (rows,)
    assert (margins >= 0).all()
    return decide, logits, labels, margins, groups, generator


def _changed(decide, logits, shifts, labels) -> torch.Tensor:
    before, after = (decided(decide, x, labels) for x in (logits, logits + shifts))
    return differ(decide, after, before, labels)


@pytest.mark.parametrize("name", DECISIONS)
def test_an_error_within_the_margin_changes_no_decision(name):
    decide, logits, labels, margins, groups, generator = _world(name)
    errors = (margins.clamp(max=50) * 0.999)[:, None]
    for _ in range(20):
        up = torch.rand(logits.shape, generator=generator) < torch.rand((), generator=generator)
        assert not _changed(decide, logits, errors * up, labels).any()
    for up in _candidates(logits, groups):
        assert not _changed(decide, logits, errors * up, labels).any()


@pytest.mark.parametrize("name", DECISIONS)
def test_an_error_above_the_margin_can_change_it(name):
    decide, logits, labels, margins, groups, _ = _world(name)
    errors = (margins.clamp(max=50) * 1.001 + 1e-5)[:, None]
    found = torch.zeros(len(logits), dtype=torch.bool)
    for up in _candidates(logits, groups):
        found |= _changed(decide, logits, errors * up, labels)
    # A margin of 50 stands for one that no error reaches.
    assert found[margins < 50].all()


def _candidates(logits: torch.Tensor, groups):
    """Yield which logits rise: one, or the classes of a group; and all others instead."""
    order = logits.argsort(dim=1, descending=True)
    masks = [torch.zeros(logits.shape, dtype=torch.bool) for _ in groups]
    for mask, group in zip(masks, groups, strict=True):
        mask[:, list(group)] = True
    for rank in range(min(8 if logits.shape[1] > 40 else 40, logits.shape[1])):
        masks.append(
            torch.zeros(logits.shape, dtype=torch.bool).scatter(1, order[:, rank, None], True)
        )
    for label in range(logits.shape[1] if logits.shape[1] <= 40 else 0):
        masks.append(torch.arange(logits.shape[1]).expand(logits.shape) == label)
    for mask in masks:
        yield mask
        yield ~mask


def test_ties_have_no_margin():
    logits = torch.tensor([[1.0, 5.0, 5.0, 0.0], [0.0, 1.0, 4.0, 4.0]], dtype=torch.float64)
    assert margins_of(top5)(logits, torch.tensor([0, 1])).tolist() == [0.0, 0.0]
    assert margins_of(lambda logits: {}) is None


def test_what_differs_is_the_best_answer_the_label_among_the_answers_and_whole_numbers():
    labels = torch.tensor([7, 7, 7, 7, 7])
    answers = torch.tensor([[1, 7, 2]] * 5)
    other = torch.tensor([[1, 2, 7], [7, 1, 2], [1, 2, 3], [1, 7, 3], [1, 7, 2]])
    category = torch.tensor([3, 3, 3, 3, 3])
    one = {"answers": answers, "category": category, "confidence": torch.rand(5)}
    two = {"answers": other, "category": torch.tensor([3, 3, 3, 3, 4]), "confidence": torch.rand(5)}
    assert differ(top5, one, two, labels).tolist() == [False, True, True, False, True]
    assert differ(top5_in_order, one, two, labels).tolist() == [True, True, True, True, True]
    ranks = dict(zip(UNRESTRICTED, other.T, strict=False))
    same = {"answers": answers, **dict(zip(UNRESTRICTED, answers.T, strict=False))}
    assert differ(top5, same, {"answers": answers, **ranks}, labels).tolist() == [
        *(False, True, True, False, False),
    ]
