"""Hugging Face's classifiers: labels become classes where that is certain, and are refused else."""

import json
import random
import sys

import pytest
import torch

from bvg.data.imagenet import imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.zoo.hugging_face import _native, imagenet_labels
from bvg.zoo.loading import load_model
from conftest import refusal

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


def synonyms() -> list[str]:
    """Return WordNet's names of the classes, which Hugging Face's models give as labels."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return [info.index_to_description(k) for k in range(1000)]


def write(folder, labels: list[str], **processor):
    """Write a tiny ResNet with these labels and random weights, and return its name."""
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=4,
        hidden_sizes=[4, 4, 4, 4],
        depths=[1, 1, 1, 1],
        id2label=dict(enumerate(labels)),
        label2id={label: k for k, label in enumerate(labels)},
    )
    model = transformers.ResNetForImageClassification(config).eval()
    model.save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, **processor).save_pretrained(
        folder
    )
    return f"hf:{folder}", model


def test_a_folder_is_a_model_with_its_own_normalization(tmp_path):
    labels = synonyms()
    name, network = write(
        tmp_path / "m", labels, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6], crop_pct=0.5
    )
    model = load_model(name)
    assert model.classes == imagenet_classes()
    assert model.native == Preprocessing(resize=64, crop=32, interpolation="bicubic")
    x = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
    expected = network(pixel_values=(x - mean) / std).logits
    torch.testing.assert_close(model(x), expected)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_labels_in_another_order_are_found_by_their_names():
    wnids, order = imagenet_classes(), [*range(1000)]
    random.Random(0).shuffle(order)
    assert imagenet_labels([wnids[k] for k in order], "m") == tuple(wnids[k] for k in order)
    # Sorted by name, two labels are crane, so nothing decides which is the bird.
    assert "crane" in refusal(imagenet_labels, sorted(synonyms()), "m")


def test_ambiguous_names_are_fine_at_their_own_index():
    labels = [label.upper().replace(" ", "_") for label in synonyms()]
    assert labels[134] == labels[517] == "CRANE"
    assert imagenet_labels(labels, "m") == imagenet_classes()


def test_a_background_class_keeps_its_name():
    found = imagenet_labels(["background", *synonyms()], "m")
    assert found == ("background", *imagenet_classes())


@pytest.mark.parametrize(
    "labels",
    [
        [f"LABEL_{k}" for k in range(1000)],
        ["tench"] * 1000,
        [*synonyms()[:999], "toilet roll"],
        [synonyms()[1], synonyms()[0], *synonyms()[2:]],
        synonyms()[:999],
    ],
    ids=["unnamed", "one name", "another name", "two exchanged", "too few"],
)
def test_uncertain_labels_are_refused(labels):
    assert refusal(imagenet_labels, labels, "hf:mine").startswith("hf:mine has ")


def test_weights_that_do_not_fill_the_network_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    name, _ = write(tmp_path / "m", synonyms())
    path = tmp_path / "m" / "model.safetensors"
    state = load_file(path)
    state.pop("classifier.1.bias")
    save_file(state, path, metadata={"format": "pt"})
    assert "classifier.1.bias" in refusal(load_model, name)
    path.unlink()
    assert "hf:" in refusal(load_model, name)


def test_pixels_of_another_range_are_refused(tmp_path):
    name, _ = write(tmp_path / "m", synonyms(), rescale_factor=1 / 127.5)
    assert "[0, 1]" in refusal(load_model, name)


SHORT, SQUARE = {"shortest_edge": 256}, {"height": 240, "width": 240}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"size": SHORT, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
            Preprocessing(256, 224, "bilinear"),
        ),
        ({"size": SQUARE}, Preprocessing(240, 240, "bilinear", squash="pillow")),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, Preprocessing(256, 224, "bilinear")),
        (
            {"size": {"shortest_edge": 384}, "crop_pct": 0.95},
            Preprocessing(384, 384, "bilinear", squash="pillow"),
        ),
        ({"size": SQUARE, "crop_size": SQUARE, "do_center_crop": True}, None),
        ({"size": SHORT}, None),
        ({"size": {"height": 100, "width": 200}}, None),
        ({"size": SQUARE, "do_resize": False}, None),
    ],
)
def test_preprocessing_is_that_of_the_configuration(config, expected):
    assert _native({"resample": 2} | config) == expected


def test_without_the_package_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install transformers" in refusal(load_model, "hf:microsoft/resnet-50")


def test_an_unreachable_name_is_one_sentence(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "hf:nobody/nothing" in refusal(load_model, "hf:nobody/nothing")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such"}))
    assert "HF_HOME" in refusal(load_model, f"hf:{tmp_path}")
