"""Where a checkpoint has its tensors: as the table declares, or as training scripts save them."""

import argparse

import pytest
import timm
import torch

from conftest import refusal
from model_zoo.checkpoints import guessed, rearranged
from model_zoo.table import WeightFile, read_table
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
    assert_same(rearranged(content, file, "x"), {"new.weight": torch.ones(1)})


def test_a_star_in_a_rename_is_a_number():
    file = WeightFile(("u",), rename={"b.*.c.*.": "layer*.*.", "b.": "other."})
    state = {"b.1.c.23.w": torch.ones(1), "b.x.c.2.w": torch.ones(1), "z.b.1.c.2.w": torch.ones(1)}
    assert set(rearranged(state, file, "x")) == {"layer1.23.w", "other.x.c.2.w", "z.b.1.c.2.w"}


SIMCLR = """
[simclr]
category = "c"
method = "m"
paper = "p"
year = 2020
license = "l"
[[simclr.files]]
source = ["gdrive:x"]
container = "resnet"
[simclr.files.rename]
"net.0.0." = "conv1."
"net.0.1.0." = "bn1."
"net.*.blocks.*.net.0." = "layer*.*.conv1."
"net.*.blocks.*.net.1.0." = "layer*.*.bn1."
"net.*.blocks.*.net.2." = "layer*.*.conv2."
"net.*.blocks.*.net.3.0." = "layer*.*.bn2."
"net.*.blocks.*.net.4." = "layer*.*.conv3."
"net.*.blocks.*.net.5.0." = "layer*.*.bn3."
"net.*.blocks.*.projection.shortcut." = "layer*.*.downsample.0."
"net.*.blocks.*.projection.bn.0." = "layer*.*.downsample.1."
"""


def simclr_key(key: str) -> str:
    """Return how the converted SimCLR v2 checkpoint calls a key of timm's resnet50."""
    parts = key.split(".")
    stem = {"conv1": "net.0.0", "bn1": "net.0.1.0"}
    inner = {"conv1": "0", "bn1": "1.0", "conv2": "2", "bn2": "3.0", "conv3": "4", "bn3": "5.0"}
    if parts[0] in stem:
        return ".".join([stem[parts[0]], *parts[1:]])
    if not parts[0].startswith("layer"):
        return key
    place = f"net.{parts[0][-1]}.blocks.{parts[1]}."
    if parts[2] == "downsample":
        return place + "projection." + {"0": "shortcut.", "1": "bn.0."}[parts[3]] + parts[4]
    return place + f"net.{inner[parts[2]]}.{parts[3]}"


def test_the_layout_of_the_converted_simclr_fits_in_ten_renames(tmp_path):
    with torch.device("meta"):
        keys = list(timm.create_model("resnet50").state_dict())
    assert len(keys) == 320
    state = {simclr_key(key): torch.tensor(i) for i, key in enumerate(keys)}
    (tmp_path / "t.toml").write_text(SIMCLR)
    (file,) = read_table(tmp_path / "t.toml")["simclr"].files
    content = {"resnet": state, "head": {"fc.weight": torch.ones(1)}}
    expected = {key: torch.tensor(i) for i, key in enumerate(keys)}
    assert_same(rearranged(content, file, "x"), expected)


@pytest.mark.parametrize(
    "content",
    [
        {"a.weight": torch.ones(1)},
        {"module.a.weight": torch.ones(1)},
        {"state_dict": {"module.a.weight": torch.ones(1)}, "args": argparse.Namespace()},
        {"model": {"a.weight": torch.ones(1)}, "epoch": 3},
        {"online_backbone": {"module.a.weight": torch.ones(1)}},
    ],
)
def test_a_layout_that_nobody_described_is_found_like_a_users(content):
    file = WeightFile(("u",), guess=True, rename={"a.": "b."})
    assert_same(rearranged(content, file, "x"), {"b.weight": torch.ones(1)})


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
