"""Class names and normalization that a checkpoint, or a module, states under any usual name."""

import json
import random

import pytest
import torch
from open_clip import IMAGENET_CLASSNAMES
from safetensors.torch import save_file
from torch import nn

from bvg.data.imagenet import imagenet_classes
from bvg.run.models import load_one
from bvg.run.settings import Settings
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.stated import classes_stated_by, stated_in
from conftest import refusal

WNIDS = imagenet_classes()
ORDER = random.Random(5).sample(range(1000), 1000)
NAMES = [WNIDS[k] for k in ORDER]  # of the logits
NET_FILE = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 1000)
    def forward(self, x):
        return self.fc(x.mean((2, 3)))
def net(): return Net()
"""


class Net(nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        self.fc = nn.Linear(3, 1000)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


class Config:
    def __init__(self):
        self.id2label = dict(enumerate(NAMES))


def answers(source, options=None) -> torch.Tensor:
    """Return the logits of an image by a run's model, whose classes must be ImageNet's."""
    from bvg.data.preprocessing import STUDY

    settings = Settings(torch.device("cpu"), batch_size=2)
    model = load_one("m", source, options or CheckpointOptions(), settings, STUDY)
    assert model.classes == WNIDS
    return model.model(torch.full((1, 3, 8, 8), 0.5))[0].detach()


def in_order(network: nn.Module, x: float = 0.5) -> torch.Tensor:
    """Return the logits of a network whose logits are in the order NAMES, sorted by wnid."""
    logits = network(torch.full((1, 3, 8, 8), x))[0].detach()
    return torch.stack([logit for _, logit in sorted(zip(ORDER, logits, strict=True))])


@pytest.mark.parametrize(
    "attributes",
    [
        {"class_to_idx": {name: k for k, name in enumerate(NAMES)}},
        {"idx_to_class": dict(enumerate(NAMES))},
        {"class_names": NAMES},
        {"config": Config()},
        {"class_to_idx": {str(index): k for k, index in enumerate(ORDER)}},
    ],
)
@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential, nn.DataParallel])
def test_the_usual_attributes_order_the_logits(attributes, wrap):
    network = Net(**attributes)
    torch.testing.assert_close(answers(wrap(network)), in_order(network))


def test_numbers_sorted_as_text_are_numbers_of_classes():
    """ImageFolder's classes 0, 1, 10, 100, 101, …"""
    folders = sorted(map(str, range(1000)))
    network = Net(class_to_idx={folder: k for k, folder in enumerate(folders)})
    found = classes_stated_by(network, 1000)
    assert found is not None
    assert found[:4] == (WNIDS[0], WNIDS[1], WNIDS[10], WNIDS[100])


def test_a_property_that_fails_names_no_logits():
    def fails(self):
        raise RuntimeError("not set yet")

    kind = type("Kind", (Net,), {"class_names": property(fails), "config": property(fails)})
    assert classes_stated_by(kind(), 1000) is None


def test_numbers_of_equal_length_are_in_order():
    names = [f"{number:04d}" for number in range(1000)]
    assert classes_stated_by(Net(class_names=names), 1000) == WNIDS


def test_names_that_begin_with_wnids_are_those():
    network = Net(class_names=[f"{wnid}_name of {k}" for k, wnid in enumerate(NAMES)])
    assert classes_stated_by(network, 1000) == (*NAMES,)


def test_names_that_are_mostly_in_imagenets_order_are_imagenets():
    """CLIP's names differ from WordNet's for a third of the classes."""
    network = Net(class_names=[*IMAGENET_CLASSNAMES])
    assert classes_stated_by(network, 1000) == WNIDS
    shuffled = [IMAGENET_CLASSNAMES[k] for k in ORDER]
    assert classes_stated_by(Net(class_names=shuffled), 1000) == (*shuffled,)


@pytest.mark.parametrize(
    "attributes",
    [
        {"config": type("C", (), {"id2label": {k: f"LABEL_{k}" for k in range(1000)}})()},
        {"class_names": NAMES[:10]},
        {"class_to_idx": torch.arange(1000)},
        {"class_names": nn.ModuleList([nn.ReLU()])},
        {"label_names": "imagenet"},
    ],
)
def test_what_names_no_logits_is_left_alone(attributes):
    assert classes_stated_by(Net(**attributes), 1000) is None


@pytest.fixture
def arch(tmp_path):
    (tmp_path / "net.py").write_text(NET_FILE)
    return f"{tmp_path / 'net.py'}:net"


@pytest.mark.parametrize(
    "beside",
    [
        {"class_to_idx": {name: k for k, name in enumerate(NAMES)}},
        {"classes": NAMES},
        {"hyper_parameters": {"class_names": NAMES, "lr": 0.1}},
        {"meta": {"CLASSES": tuple(NAMES)}},
        {"config": {"id2label": {str(k): name for k, name in enumerate(NAMES)}}},
    ],
)
def test_names_in_the_checkpoint_order_the_logits(beside, arch, tmp_path):
    network = Net()
    torch.save({"state_dict": network.state_dict(), **beside}, tmp_path / "w.pth")
    options = CheckpointOptions(arch=arch, mean=(0.0,) * 3, std=(1.0,) * 3)
    found = answers(f"file://{tmp_path / 'w.pth'}", options)
    torch.testing.assert_close(found, in_order(network))


@pytest.mark.parametrize(
    "statistics",
    [
        {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]},
        {"hyper_parameters": {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}},
        {"mean": [127.5, 102.0, 76.5], "std": [51.0, 63.75, 76.5]},
        {"cfg": {"mean": torch.tensor([0.5, 0.4, 0.3]), "std": torch.tensor([0.2, 0.25, 0.3])}},
    ],
)
def test_statistics_in_the_checkpoint_are_used_unless_others_are_given(
    statistics, arch, tmp_path, capsys
):
    torch.save({"state_dict": Net().state_dict(), **statistics}, tmp_path / "w.pth")
    name = f"file://{tmp_path / 'w.pth'}"
    model = load_model(name, CheckpointOptions(arch=arch))
    assert model.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert model.std.flatten().tolist() == pytest.approx([0.2, 0.25, 0.3])
    assert "w.pth" in capsys.readouterr().err
    given = load_model(name, CheckpointOptions(arch=arch, mean=(0.1,) * 3, std=(0.6,) * 3))
    assert given.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    assert given.std.flatten().tolist() == pytest.approx([0.6] * 3)


def test_a_network_that_may_normalize_its_input_itself(tmp_path):
    itself = "self.fc = torch.nn.Linear(3, 1000)"
    buffers = "".join(
        f"; self.register_buffer('{k}', torch.full((3,), 0.5))" for k in ("mean", "std")
    )
    (tmp_path / "net.py").write_text(NET_FILE.replace(itself, itself + buffers))
    state = Net().state_dict() | {"mean": torch.full((3,), 0.5), "std": torch.full((3,), 0.5)}
    torch.save(state, tmp_path / "w.pth")
    name, arch = f"file://{tmp_path / 'w.pth'}", f"{tmp_path / 'net.py'}:net"
    assert "--mean 0 0 0 --std 1 1 1" in refusal(load_model, name, CheckpointOptions(arch=arch))
    options = CheckpointOptions(arch=arch, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert load_model(name, options).mean.flatten().tolist() == [0, 0, 0]


def test_other_numbers_are_no_statistics():
    assert stated_in({"mean": 0.5, "std": 0.2}) == {}
    assert stated_in({"mean": [0.5] * 3}) == {}
    assert stated_in({"mean": ["a"] * 3, "std": ["b"] * 3}) == {}
    assert stated_in([{"classes": ["a"]}]) == {}


def test_timms_file_beside_the_weights(tmp_path):
    import timm

    network = timm.create_model("test_resnet", num_classes=1000).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    cfg = {"mean": [0.5] * 3, "std": [0.25] * 3, "num_classes": 1000}
    config = {"architecture": "test_resnet", "label_names": NAMES, "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = answers(f"file://{tmp_path / 'model.safetensors'}")  # for pixels 0.5, input 0
    torch.testing.assert_close(found, in_order(network, x=0.0))


def test_an_architecture_with_other_statistics_needs_them_stated(tmp_path):
    import timm

    network = timm.create_model("test_vit").eval()  # mean and std 0.5
    assert network.pretrained_cfg["mean"] == (0.5,) * 3
    torch.save(network.state_dict(), tmp_path / "w.pth")
    name = f"file://{tmp_path / 'w.pth'}"
    options = CheckpointOptions(arch="test_vit")
    sentence = refusal(load_model, name, options)
    assert "--mean 0.5 0.5 0.5 --std 0.5 0.5 0.5" in sentence
    options = CheckpointOptions(arch="test_vit", mean=(0.485, 0.456, 0.406), std=(0.2,) * 3)
    assert load_model(name, options).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bit_floats_are_quantized_weights(dtype, arch, tmp_path):
    network = Net()
    network.fc.weight.data = network.fc.weight.data.to(dtype)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    sentence = refusal(load_model, f"file://{tmp_path / 'w.pth'}", CheckpointOptions(arch=arch))
    assert "wrong kinds of numbers: fc.weight" in sentence


# The architecture, and what contradicts the flags


@pytest.mark.parametrize("arch", ["", "timm:test_resnet"])
@pytest.mark.parametrize("beside", [{}, {"hyper_parameters": {"lr": 0.1}}])
def test_the_architecture_that_a_file_states_is_built(arch, beside, tmp_path):
    import timm

    network = timm.create_model("test_resnet").eval()
    state = {"state_dict": network.state_dict(), **beside}
    holder = state.get("hyper_parameters", state)
    holder["model_name" if beside else "arch"] = "test_resnet.r160_in1k"
    torch.save(state, tmp_path / "w.pth")
    options = CheckpointOptions(arch=arch, mean=(0.0,) * 3, std=(1.0,) * 3)
    model = load_model(f"file://{tmp_path / 'w.pth'}", options)
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(model(x), network(x))
    assert "warnings" not in model.origin


def test_a_network_that_fits_although_it_is_another_is_said(tmp_path, capsys):
    import timm

    content = {"state_dict": timm.create_model("test_resnet").state_dict(), "arch": "resnetblur50"}
    torch.save(content, tmp_path / "w.pth")
    options = CheckpointOptions("test_resnet", (0.5,) * 3, (0.5,) * 3)
    model = load_model(f"file://{tmp_path / 'w.pth'}", options)
    assert "resnetblur50" in model.origin["warnings"][0]
    assert "warning" in capsys.readouterr().err


def test_flags_that_contradict_the_file_are_said_and_used(arch, tmp_path, capsys):
    stated = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
    torch.save({"state_dict": Net().state_dict(), **stated}, tmp_path / "w.pth")
    name = f"file://{tmp_path / 'w.pth'}"
    model = load_model(name, CheckpointOptions(arch, (0.1,) * 3, stated["std"]))
    assert model.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    assert [("mean" in w, "0.5 0.4 0.3" in w) for w in model.origin["warnings"]] == [(True, True)]
    assert "warning" in capsys.readouterr().err
    same = load_model(name, CheckpointOptions(arch, (0.5, 0.4, 0.301), stated["std"]))
    assert "warnings" not in same.origin


@pytest.mark.parametrize(
    ("names", "shape", "scale"),
    [
        (("0.mean", "0.std"), (1, 3, 1, 1), 1),
        (("normalizer.new_mean", "normalizer.new_std"), (3, 1, 1), 1),
        (("pixel_mean", "pixel_std"), (3,), 255),
    ],
)
def test_the_layer_that_normalizes_before_the_chosen_part_is_kept(
    names, shape, scale, arch, tmp_path
):
    values = (torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3]))
    layer = {n: (scale * v).reshape(shape) for n, v in zip(names, values, strict=True)}
    state = {f"1.{name}": value for name, value in Net().state_dict().items()} | layer
    torch.save({"model": state}, tmp_path / "w.pth")
    options = CheckpointOptions(arch, weights_key="model.1")
    model = load_model(f"file://{tmp_path / 'w.pth'}", options)
    torch.testing.assert_close(model.mean.flatten(), values[0])
    torch.testing.assert_close(model.std.flatten(), values[1])
    twice = state | {f"other.{name}": 0.9 * value for name, value in layer.items()}
    torch.save({"model": twice}, tmp_path / "w.pth")  # whose is unknown
    model = load_model(f"file://{tmp_path / 'w.pth'}", options)
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_timms_file_beside_weights_of_another_architecture(tmp_path):
    import timm

    network = timm.create_model("resnet10t").eval()
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    cfg = {"mean": [0.4] * 3, "std": [0.25] * 3}
    config = {"architecture": "test_resnet", "label_names": NAMES, "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load_model(f"file://{tmp_path / 'mine.safetensors'}", CheckpointOptions("resnet10t"))
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert not hasattr(model, "class_names")
