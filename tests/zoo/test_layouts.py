"""Where a checkpoint has its tensors: as the table declares, or as training scripts save them."""

import argparse

import pytest
import torch

from bvg.zoo.table import WeightFile
from bvg.zoo.weights import guessed, rearranged
from conftest import refusal
from zoo_helpers import assert_same

STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}


# The publisher's layout → the network's keys.


def test_the_steps_are_taken_in_their_order():
    content = {
        "run": {
            "weights": {
                "module.model.old.weight": torch.ones(1),
                "module.model.extra.weight": torch.ones(1),
                "module.attacker.model.old.weight": torch.zeros(1),
            }
        }
    }
    file = WeightFile(
        ("u",),
        container="run.weights",
        keep="module.model.",
        drop=("*.extra.*",),
        strip="module.model.",
        rename={"old.": "new."},
    )
    assert_same(rearranged(content, file, "x")[0], {"new.weight": torch.ones(1)})


def test_a_star_in_a_rename_is_a_number():
    file = WeightFile(("u",), rename={"b.*.c.*.": "layer*.*.", "b.": "other."})
    state = {"b.1.c.23.w": torch.ones(1), "b.x.c.2.w": torch.ones(1), "z.b.1.c.2.w": torch.ones(1)}
    assert set(rearranged(state, file, "x")[0]) == {"layer1.23.w", "other.x.c.2.w", "z.b.1.c.2.w"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a.weight": torch.ones(1)}, "at the top level"),
        ({"module.a.weight": torch.ones(1)}, "at the top level, without the prefix 'module.'"),
        (
            {"state_dict": {"module.a.weight": torch.ones(1)}, "args": argparse.Namespace()},
            "under 'state_dict', without the prefix 'module.'",
        ),
        ({"model": {"a.weight": torch.ones(1)}, "epoch": 3}, "under 'model'"),
        ({"online_backbone": {"a.weight": torch.ones(1)}}, "under 'online_backbone'"),
    ],
)
def test_a_layout_that_nobody_described_is_found_like_a_users_and_named(content, words):
    file = WeightFile(("u",), guess=True, rename={"a.": "b."})
    state, how = rearranged(content, file, "x")
    assert_same(state, {"b.weight": torch.ones(1)})
    assert how == words


def test_a_container_that_is_known_is_not_guessed():
    file = WeightFile(("u",), container="weights", guess=True)
    content = {"weights": {"module.a": torch.ones(1)}, "state_dict": {"b": torch.ones(1)}}
    state, how = rearranged(content, file, "x")
    assert_same(state, {"a": torch.ones(1)})
    assert how == "in 'weights' at the top level, without the prefix 'module.'"
    assert "the model's row" in refusal(rearranged, {"weights": 3}, file, "x")


@pytest.mark.parametrize(
    ("content", "file", "words"),
    [
        ({"model": {}}, {"container": "state_dict"}, "no entry 'state_dict'; it holds model"),
        ([1], {"container": "state_dict"}, "no entry 'state_dict'; it holds a list"),
        ({"m": {"n": 1}}, {"container": "m.n"}, "it holds a int"),
        ({}, {}, "it holds nothing"),
        (None, {}, "it holds nothing"),
        ([torch.ones(1)], {}, "it holds a list"),
        ({"a": torch.ones(1)}, {"strip": "module."}, "start with 'module.'; it holds a"),
        ({"module.a": torch.ones(1), "b": torch.ones(1)}, {"strip": "module."}, "module.a, b"),
        ({"a": torch.ones(1)}, {"keep": "module."}, "start with 'module.'; it holds a"),
        ({"a": torch.ones(1), "epoch": 3}, {}, "it holds a, epoch"),
        ({0: torch.ones(1)}, {}, "it holds 0"),
        ({"a": torch.ones(1), "b": torch.ones(1)}, {"rename": {"b": "a"}}, "to the same key"),
    ],
)
def test_a_file_that_is_not_laid_out_as_declared_is_refused(content, file, words):
    sentence = refusal(rearranged, content, WeightFile(("u",), **file), "x.pth")
    assert sentence.startswith("x.pth ")
    assert words in sentence


# A user's checkpoint.


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
@pytest.mark.parametrize("container", ["", "state_dict", "model_state_dict", "model"])
def test_common_containers_and_prefixes_are_found_and_named(container, prefix):
    state = {prefix + key: value for key, value in STATE.items()}
    content = {container: state, "epoch": 7, "optimizer": {"lr": 0.1}} if container else state
    found, how = guessed(content, "x")
    assert_same(found, STATE)
    assert (repr(container) in how) if container else how.startswith("at the top level")
    assert ("prefix" in how) == bool(prefix)


def test_a_prefix_that_only_some_keys_have_is_kept():
    state = {"module.a": torch.ones(1), "b": torch.ones(1)}
    assert_same(guessed(state, "x")[0], state)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.ones(1)], "has no state dict"),
        (None, "it holds nothing"),
        ({}, "it holds nothing"),
        (torch.ones(3), "it holds a Tensor"),
        ({"epoch": 3}, "it holds epoch"),
        ({"state_dict": {}}, "it holds state_dict"),
        ({"state_dict": STATE, "model": STATE}, "has more than one state dict"),
        ({3: torch.ones(1)}, "has no state dict"),
    ],
)
def test_no_state_dict_or_two_are_refused_with_the_remedy(content, words):
    sentence = refusal(guessed, content, "x.pth")
    assert words in sentence
    assert "torch.save(model.state_dict(), path)" in sentence
