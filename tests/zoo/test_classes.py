"""What an attribute `classes` says of a model's logits, and when they are ImageNet's."""

import random
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import AlexNet_Weights

from bvg.data.imagenet import imagenet_classes
from bvg.zoo.normalized import Reordered, names_of_logits, positions_in_imagenet
from conftest import refusal

WNIDS = imagenet_classes()
ENGLISH = tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])


@pytest.mark.parametrize(
    "declared",
    [None, (), [], np.array([]), 1000, np.int64(1000), nn.Linear(2, 1000), lambda: 5],
    ids=lambda value: type(value).__name__,
)
def test_what_says_nothing_more_than_the_logits_do(declared):
    assert names_of_logits(declared, 1000) == WNIDS


@pytest.mark.parametrize(
    "declared",
    [
        ["b", "a", "c"],
        np.array(["b", "a", "c"]),
        {"b": 0, "a": 1, "c": 2},  # ImageFolder's class_to_idx
        OrderedDict([("c", 2), ("a", 1), ("b", 0)]),
        {0: "b", 1: "a", 2: "c"},  # Hugging Face's id2label
        {2: "c", 0: "b", 1: "a"},
        dict.fromkeys(["b", "a", "c"]).keys(),
    ],
    ids=lambda declared: type(declared).__name__,
)
def test_names_in_the_order_of_the_logits(declared):
    assert names_of_logits(declared, 3) == ("b", "a", "c")


@pytest.mark.parametrize(
    ("declared", "count"),
    [
        (999, 1000),
        (1000, 4),
        (True, 1),
        (3.0, 3),
        ("imagenet", 8),
        (b"abc", 3),
        ({"a", "b"}, 2),
        ({"a": 1, "b": 2}, 2),
        ({"a": "x", "b": "y"}, 2),
        ([0, 1, 2], 3),
        (range(1000), 1000),
        (["a", None], 2),
        (torch.arange(3), 3),
        (torch.tensor(3), 3),
        (np.array("a"), 1),
        (object(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_list_of_names_is_refused(declared, count):
    assert "`classes`" in refusal(names_of_logits, declared, count)


def test_names_that_are_not_as_many_or_not_distinct_are_refused():
    assert "names 3" in refusal(names_of_logits, ["a", "b", "c"], 4)
    assert "names 1,000" in refusal(names_of_logits, WNIDS, 1001)
    assert "'crane'" in refusal(names_of_logits, ["crane", "tench", "crane"], 3)
    twice = (*WNIDS[:999], WNIDS[5])
    assert WNIDS[5] in refusal(names_of_logits, twice, 1000)


def test_logits_that_nobody_named():
    sentence = refusal(names_of_logits, None, 1001)
    assert "background" in sentence
    assert "logits[:, 1:]" in sentence
    assert "21,841 logits" in refusal(names_of_logits, None, 21841)
    assert "attribute `classes`" in refusal(names_of_logits, None, 999)


def shuffled(names) -> tuple[str, ...]:
    return tuple(random.Random(3).sample(names, len(names)))


@pytest.mark.parametrize("known", [WNIDS, ENGLISH])
@pytest.mark.parametrize(
    "arrange",
    [
        tuple,
        shuffled,
        lambda names: ("background", *names),
        lambda names: (*names, "__background__"),
        lambda names: ("n00000000", *reversed(names)),
    ],
)
def test_imagenets_classes_are_found_in_any_order_with_a_background_class_besides(known, arrange):
    names = arrange(known)
    positions = positions_in_imagenet(names)
    assert [names[k] for k in positions] == list(known)


def test_the_reordered_logits_are_those_of_the_names():
    names = shuffled(("background", *WNIDS))
    network = nn.Linear(3, 1001)
    x = torch.rand(2, 3)
    moved = Reordered(network, positions_in_imagenet(names))(x)
    by_name = dict(zip(names, network(x).T, strict=True))
    assert torch.equal(moved, torch.stack([by_name[wnid] for wnid in WNIDS], dim=1))
    assert moved.grad_fn is not None  # attacks go through it


@pytest.mark.parametrize(
    "names",
    [
        WNIDS[:200],
        (*WNIDS[:999], "n99999999"),
        ("other", *WNIDS),
        ("background", "n00000000", *WNIDS[1:]),
        tuple(f"a {name}" for name in ENGLISH),
        tuple(f"class {k}" for k in range(1000)),
        (*WNIDS[:500], *ENGLISH[500:]),
        ("a", "b"),
        tuple(f"n{k:08}" for k in range(1, 21842)),
    ],
    ids=lambda names: f"{len(names)} {names[0]}",
)
def test_other_names_are_left_as_they_are(names):
    assert positions_in_imagenet(names) is None
    assert names_of_logits(names, len(names)) == names
