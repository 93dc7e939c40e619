"""Modules that a notebook gives, in every state in which people have them."""

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

from bvg.data.preprocessing import STUDY
from bvg.run.command_line import options
from bvg.run.evaluate import load_models
from bvg.run.models import load_one
from bvg.run.settings import Settings
from bvg.zoo.factories import call
from bvg.zoo.loading import CheckpointOptions, load_model
from conftest import refusal


class Net(nn.Module):
    classes = ("a", "b", "c", "d")

    def __init__(self, before=lambda: None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.drop, self.fc = nn.Dropout(0.5), nn.Linear(3, 4)
        self.before = before

    def forward(self, x):
        self.before()
        return self.fc(self.drop(x).mean((2, 3)))


X = torch.rand(2, 3, 8, 8)


def load(model):
    return load_one("m", model, CheckpointOptions(), Settings(torch.device("cpu")), STUDY)


class NoResult(Net):
    def train(self, mode=True):  # as in OpenMMLab's networks
        super().train(mode)


class Exported(Net):
    def train(self, mode=True):  # as programs of torch.export
        raise NotImplementedError("Calling train() is not supported yet.")


@pytest.mark.parametrize("kind", [NoResult, Exported])
def test_whatever_eval_returns_the_model_is_in_eval_mode(kind):
    model = load(kind()).model
    assert torch.equal(model(X), Net().eval()(X))
    assert not any(module.training for module in model.modules())


def test_a_factorys_model_need_not_return_itself(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def train(self, mode=True):\n"
        "        super().train(mode)\n"
        "def build(): return Net(nn.Dropout(0.5))\n"
    )
    assert torch.equal(load_model(f"{path}:build")(X), X)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_that_cannot_be_copied():
    network = Net()
    weight_norm(network.fc)
    assert "parametrizations" in refusal(load, network)


def in_inference_mode():
    with torch.inference_mode():
        return Net()


def on_meta():
    with torch.device("meta"):
        return Net()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), "1.weight"),
        (on_meta, "fc.weight"),
        (in_inference_mode, "inference_mode"),
        (lambda: Net, "torch.nn.Module"),
        (lambda: lambda x: x, "torch.nn.Module"),
    ],
)
def test_what_is_no_model_yet_is_one_sentence(make, word):
    assert word in refusal(load, make())


def test_weights_of_inference_mode_in_a_factory(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n@torch.inference_mode()\ndef build(): return torch.nn.Linear(1, 1)\n"
    )
    assert "inference_mode" in refusal(call, path, "build")


@pytest.mark.parametrize("model", [Net(), [Net()]])
def test_a_module_needs_a_name(model, tmp_path):
    assert "{NAME: module}" in refusal(load_models, options(model=model, results=tmp_path))


@pytest.mark.parametrize("name", ["a/b", "../m", "", 1, ".."])
def test_a_name_is_one_of_a_folder(name, tmp_path):
    sentence = refusal(load_models, options(model={name: Net()}, results=tmp_path))
    assert repr(name) in sentence


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda: torch.set_default_dtype(torch.float64), "dtype"),
        (lambda: torch.autocast("cpu", torch.bfloat16).__enter__(), "autocast"),
        (lambda: setattr(torch.backends.cudnn, "allow_tf32", True), "allow_tf32"),
    ],
)
def test_settings_that_are_changed_while_answering_are_refused_and_restored(change, word):
    torch.backends.cudnn.allow_tf32 = False
    assert word in refusal(load, Net(change))
    assert torch.get_default_dtype() == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.backends.cudnn.allow_tf32


def test_a_notebooks_own_autocast_does_not_reach_the_models():
    with torch.autocast("cpu", torch.bfloat16):
        record = load(Net()).identity["probe"]
    assert record == load(Net()).identity["probe"]


def test_a_preprocessing_of_another_kind_is_none():
    model = Net()
    model.native = 224
    settings = Settings(torch.device("cpu"))
    assert "`native`" in refusal(load_one, "m", model, CheckpointOptions(), settings, None)
