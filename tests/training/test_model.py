"""Where a network starts, and its weights as --model file:// loads them."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet50_Weights

from bvg.data.imagenet import imagenet_classes
from bvg.training.model import new_model, pretrained_model, save_weights
from bvg.zoo.loading import CheckpointOptions, load_model
from conftest import refusal
from training_helpers import CLASSES, NETWORK

SQUEEZENET = "torchvision:squeezenet1_1"


def saved_and_loaded(start, path, options=None):
    save_weights(path, start.model, start.arch, {"recipe": {"lr": 0.1}})
    return load_model(f"file://{path}", options)


def assert_same_logits(one: nn.Module, other: nn.Module) -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one.eval()(x), other(x))


def test_a_librarys_network_of_other_classes(tmp_path):
    start = new_model(SQUEEZENET, CLASSES, seed=3, size=64)
    assert start.model.training
    loaded = saved_and_loaded(start, tmp_path / "w.safetensors")
    assert loaded.classes == CLASSES
    assert_same_logits(start.model, loaded)
    again = new_model(SQUEEZENET, CLASSES, seed=3, size=64)
    assert_same_logits(again.model, loaded)
    other = next(new_model(SQUEEZENET, CLASSES, seed=4, size=64).model.parameters())
    assert not torch.equal(other, next(loaded.parameters()))


def test_a_model_of_the_zoo_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = pretrained_model("miniature_plain", CheckpointOptions(), 64)
    assert all(parameter.requires_grad for parameter in start.model.parameters())
    loaded = saved_and_loaded(start, tmp_path / "w.safetensors")
    assert loaded.classes == start.classes and loaded.mean.flatten().tolist() == [0.5] * 3
    assert_same_logits(start.model, loaded)
    again = pretrained_model(f"file://{tmp_path}/w.safetensors", CheckpointOptions(), 64)
    assert again.arch == start.arch and again.classes == start.classes


def test_logits_in_another_order_that_the_model_states_elsewhere_are_refused(tmp_path):
    names = [*reversed(imagenet_classes())]
    linear = "torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16, 1000))"
    net = f"def net():\n    net = {linear}\n    net.class_names = {names}\n    return net\n"
    (tmp_path / "net.py").write_text(f"import torch\n{net}")
    sentence = refusal(pretrained_model, f"{tmp_path}/net.py:net", CheckpointOptions(), 4)
    assert "another order" in sentence


def test_what_flags_give_comes_first(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    start = pretrained_model(f"{tmp_path}/net.py:net", CheckpointOptions(), 32)
    options = CheckpointOptions(mean=(0.1, 0.2, 0.3))
    loaded = saved_and_loaded(start, tmp_path / "w.safetensors", options)
    assert loaded.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert loaded.std.flatten().tolist() == [1, 1, 1]
    other = CheckpointOptions(arch=SQUEEZENET)
    assert "SqueezeNet" in refusal(load_model, f"file://{tmp_path}/w.safetensors", other)


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"other": 1}'])
def test_metadata_of_others_are_ignored(tmp_path, text):
    (tmp_path / "net.py").write_text(NETWORK)
    network = pretrained_model(f"{tmp_path}/net.py:net", CheckpointOptions(), 32).model.network
    save_file(network.state_dict(), tmp_path / "w.safetensors", {"bvg": text})
    options = CheckpointOptions(arch=f"{tmp_path}/net.py:net")
    assert load_model(f"file://{tmp_path}/w.safetensors", options).classes == CLASSES


def test_imagenets_classes_may_have_english_names(tmp_path):
    english = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    network = NETWORK.replace(f"classes = {CLASSES}", f"classes = {english}")
    (tmp_path / "net.py").write_text(network.replace("Linear(8, 16)", "Linear(8, 1000)"))
    start = pretrained_model(f"{tmp_path}/net.py:net", CheckpointOptions(), 32)
    assert start.classes == imagenet_classes() and start.model.classes is None


def test_starts_that_would_be_trained_on_wrong_labels_are_refused(tmp_path):
    file = tmp_path / "net.py"
    reversed_ = NETWORK.replace(f"classes = {CLASSES}", f"classes = {imagenet_classes()[::-1]}")
    file.write_text(reversed_.replace("Linear(8, 16)", "Linear(8, 1000)"))
    assert "order" in refusal(pretrained_model, f"{file}:net", CheckpointOptions(), 32)
    file.write_text(NETWORK.replace("Linear(8, 16)", "Linear(8, 15)"))
    assert "15" in refusal(pretrained_model, f"{file}:net", CheckpointOptions(), 32)
    file.write_text(
        NETWORK.replace("return self.head", "return (x,) if self.training else self.head")
    )
    assert "factory" in refusal(pretrained_model, f"{file}:net", CheckpointOptions(), 32)
    file.write_text(NETWORK)
    assert "--size" in refusal(pretrained_model, f"{file}:net", CheckpointOptions(), 3)
