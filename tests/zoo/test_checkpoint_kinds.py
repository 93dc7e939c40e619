"""Files that are no checkpoints are told by their content, whatever they are called."""

import gzip
import io
import json
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bvg.zoo.checkpoints import kind_of, read_checkpoint
from bvg.zoo.loading import CheckpointOptions, load_model
from conftest import refusal
from zoo_helpers import assert_same, normalised, pixels, saved

STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}


def tar_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def zip_of(*members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in members:
            archive.writestr(name, saved(STATE))
    return file.getvalue()


INDEX = {"metadata": {}, "weight_map": {"a": "x-1-of-2.safetensors", "b": "x-2-of-2.safetensors"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\xef\xbb\xbf<!DOCTYPE html><title>Sign in", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (gzip.compress(saved(STATE)), "gzip"),
        (tar_of("x.pth", saved(STATE)), "tar archive"),
        (zip_of("run/best.pth", "run/log.txt"), "zip archive of other files (run/best.pth"),
        (zip_of("metadata.json", "config.json", "model.weights.h5"), "Keras"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\xb3\x01", "ONNX"),
        (b"\x08\x08:\xc1\x02\n\x0e\n\x01x", "ONNX"),
        (b"\x08\x01\x12\xa6\x94\x03\n", "SavedModel"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00 \x00", "TensorFlow Lite"),
        (b'model_checkpoint_path: "model.ckpt-1"\n', "TensorFlow"),
        (b"\x00\x00\x05" + bytes(60) + bytes.fromhex("57fb808b247547db"), "TensorFlow"),
        (b"\x82\xa6params\x81\xa5Dense", "MessagePack"),
        (json.dumps(INDEX).encode(), "2 files (x-1-of-2.safetensors"),
        (b'{"architectures": ["ResNetForImageClassification"]}', "JSON"),
        (b"\x93NUMPY\x01\x00v\x00", "numpy.savez"),
        (bytes(1000), "not a checkpoint"),
        (b"\n\n", "empty"),
    ],
)
def test_what_a_file_is_instead_of_a_checkpoint(content, words, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    sentence = refusal(read_checkpoint, path)
    assert str(path) in sentence
    assert words in sentence
    assert kind_of(path)[0] in sentence


@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_are_none_of_these(legacy, tmp_path):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(saved(STATE, legacy=legacy))
    assert kind_of(path) == ("", "")
    save_file(STATE, path)
    assert kind_of(path) == ("", "")
    assert_same(read_checkpoint(path), STATE)


def test_a_folder_names_the_checkpoints_in_it(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "optimizer").mkdir()
    assert f"file://{tmp_path}/model.safetensors" in refusal(read_checkpoint, tmp_path)
    assert "config.json" not in refusal(read_checkpoint, tmp_path)
    assert "folder" in refusal(read_checkpoint, tmp_path / "optimizer")


# NumPy's archives of named arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_the_networks_names_computes_what_was_trained(save, tiny, net_file, tmp_path):
    save(tmp_path / "w.npz", **{key: value.numpy() for key, value in tiny.state_dict().items()})
    options = CheckpointOptions(arch=f"{net_file}:tiny")
    model = load_model(f"file://{tmp_path}/w.npz", options)
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))


def test_npz_that_does_not_fit_or_holds_objects_is_refused(net_file, tmp_path):
    options = CheckpointOptions(arch=f"{net_file}:tiny")
    np.savez(tmp_path / "w.npz", **{"fc/kernel": np.ones((4, 5))})
    assert "missing keys" in refusal(load_model, f"file://{tmp_path}/w.npz", options)
    np.savez(tmp_path / "w.npz", a=np.array([{"b": 1}], dtype=object))
    assert "allow_pickle" in refusal(load_model, f"file://{tmp_path}/w.npz", options)


# TorchScript


def test_torchscript_is_named_and_the_remedy_works(tiny, tmp_path):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(tiny, torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "script.pt"))
        sentence = refusal(read_checkpoint, tmp_path / "script.pt")
        assert "TorchScript" in sentence
        assert "torch.jit.load" in sentence
        assert "--model path/to/file.py:" in sentence
        file = tmp_path / "wrapped.py"
        file.write_text(
            f"import torch\ndef build(): return torch.jit.load('{tmp_path}/script.pt')\n"
        )
        model = load_model(f"{file}:build")
        assert torch.equal(model(pixels()), tiny(pixels()))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.origin["file"] == str(file)
