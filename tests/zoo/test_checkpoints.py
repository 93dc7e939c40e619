"""Checkpoints: read without running them, loaded strictly."""

import argparse
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bvg.zoo.checkpoints import read_checkpoint
from bvg.zoo.weights import load_strictly
from conftest import refusal
from zoo_helpers import assert_same

STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}


class Payload:
    """Makes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new", [True, False])
def test_both_formats_of_torch_save_are_read(tmp_path, new):
    torch.save(STATE, tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    assert_same(read_checkpoint(tmp_path / "x.pth"), STATE)


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "0b1c"])
def test_safetensors_is_known_by_its_content(tmp_path, name):
    save_file(STATE, tmp_path / name)
    assert_same(read_checkpoint(tmp_path / name), STATE)


def test_a_class_is_refused_by_name_unless_the_table_allows_it(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=0.1)}, path)
    sentence = refusal(read_checkpoint, path)
    assert "it holds an object of argparse.Namespace" in sentence
    assert "torch.save(model.state_dict(), path)" in sentence
    assert read_checkpoint(path, ["argparse.Namespace"])["args"].lr == 0.1
    assert "argparse.Namespace" in refusal(read_checkpoint, path)  # allowed once is not for ever


def malicious(path: Path, kind: str, proof: Path) -> None:
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload(proof), protocol=2))
    else:
        torch.save([Payload(proof)], path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_payload_never_runs(tmp_path, kind):
    path, proof = tmp_path / "x.pth", tmp_path / "proof"
    malicious(path, kind, proof)
    assert "so it is refused" in refusal(read_checkpoint, path)
    assert "so it is refused" in refusal(read_checkpoint, path, ["argparse.Namespace"])
    assert not proof.exists()
    torch.load(path, weights_only=False) if kind != "pickle" else pickle.loads(path.read_bytes())
    assert proof.exists()  # the payload is a working one


def test_files_that_are_no_checkpoints_are_named_for_what_they_are(tmp_path):
    path = tmp_path / "x.pth"
    for content, words in [
        (b"", "is empty: copy or download it again"),
        (b"just a text\n", "is not a checkpoint: neither torch.save nor safetensors wrote it"),
        (b"\n<!DOCTYPE html><p>Sign in", "is a web page, not a checkpoint"),
        (b"<html><p>Sign in", "is a web page, not a checkpoint"),
    ]:
        path.write_bytes(content)
        assert f"{path} {words}" in refusal(read_checkpoint, path)
    assert f"{tmp_path} is a folder" in refusal(read_checkpoint, tmp_path)
    assert f"{tmp_path}/no.pth does not exist" in refusal(read_checkpoint, tmp_path / "no.pth")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_truncated_files_are_refused(tmp_path, kind, kept):
    path = tmp_path / "x.pth"
    big = {"a": torch.rand(100, 100)}
    if kind == "safetensors":
        save_file(big, path)
    else:
        torch.save(big, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert "it may be truncated" in refusal(read_checkpoint, path)


def test_a_torchscript_archive_is_refused(tmp_path):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "x.pth")
        assert "TorchScript" in refusal(read_checkpoint, tmp_path / "x.pth")


# Strictness.


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 2))


def test_what_fits_is_loaded(tiny):
    other = type(tiny)()
    load_strictly(other, tiny.state_dict(), "x")
    assert_same(other.state_dict(), tiny.state_dict())


def test_every_kind_of_mismatch_is_named():
    state = network().state_dict()
    del state["0.bias"]
    state["2.weight"] = torch.ones(7, 4)
    state["head.scale"] = torch.ones(1)
    state["1.bias"] = torch.ones(4, dtype=torch.int8)
    sentence = refusal(load_strictly, network(), state, "x.pth")
    assert "missing keys: 0.bias;" in sentence
    assert "unexpected keys: head.scale;" in sentence
    assert "wrong shapes: 2.weight is (7, 4) instead of (2, 4);" in sentence
    assert "1.bias is torch.int8 instead of torch.float32" in sentence
    assert sentence.endswith("--arch NAME or --arch path/to/file.py:factory")
    assert refusal(load_strictly, network(), state, "x", "do that").endswith(": do that")


@pytest.mark.parametrize(
    ("outputs", "words"), [(1001, "background"), (21841, "ImageNet-21k"), (10, "10 outputs")]
)
def test_another_number_of_outputs_is_named_with_its_remedy(outputs, words):
    def of(count):
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, count))

    sentence = refusal(load_strictly, of(1000), of(outputs).state_dict(), "x.pth")
    assert words in sentence
    assert f"1.weight is ({outputs}, 4) instead of (1000, 4)" in sentence
    assert "--arch path/to/file.py:factory" in sentence
    assert "`classes`" in sentence
    wider = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Linear(5, outputs))
    assert "`classes`" not in refusal(load_strictly, of(1000), wider.state_dict(), "x.pth")


def test_long_lists_are_cut():
    sentence = refusal(load_strictly, network(), {}, "x.pth")
    assert "0.bias, 0.weight, 1.bias, 1.running_mean and 4 more" in sentence


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_integer_weights_are_refused(kind):
    state = network().state_dict()
    state["0.weight"] = torch.ones(4, 3, 1, 1, dtype=kind)
    assert "wrong kinds of numbers: 0.weight" in refusal(load_strictly, network(), state, "x")


def test_quantised_tensors_are_refused():
    state = network().state_dict()
    with warnings.catch_warnings(action="ignore"):
        state["0.weight"] = torch.quantize_per_tensor(torch.ones(4, 3, 1, 1), 0.1, 0, torch.qint8)
    assert "0.weight is torch.qint8" in refusal(load_strictly, network(), state, "x")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(tiny, kind):
    state = {key: value.to(kind) for key, value in tiny.state_dict().items()}
    other = type(tiny)()
    load_strictly(other, state, "x")
    assert other.conv.weight.dtype == torch.float32
    assert torch.equal(other.conv.weight, tiny.conv.weight.to(kind).float())


def test_files_from_before_the_counters_of_batch_normalisation_fit(tiny):
    old = {k: v for k, v in tiny.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert len(old) == len(tiny.state_dict()) - 1
    other = type(tiny)()
    load_strictly(other, old, "x")
    assert_same(other.state_dict(), tiny.state_dict())


def test_what_the_network_itself_demands_is_one_sentence():
    class Picky(nn.Linear):
        def _load_from_state_dict(self, *arguments):
            raise ValueError("version should be 1\nor 2")

    sentence = refusal(load_strictly, Picky(1, 1), nn.Linear(1, 1).state_dict(), "x.pth")
    assert "x.pth is refused by the network (version should be 1)" in sentence
