"""The probe: what is refused, what is not, and what it says of a model's identity."""

import json
import random
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

import eval_imagenet
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.predictions.identity import same_outputs
from bvg.run.probe import PICTURES, Probe, pictures, probe
from bvg.run.settings import Settings
from bvg.zoo.loading import load_model
from bvg.zoo.noisy import DiffusionNoise, VOneBlock
from bvg.zoo.normalized import NormalizedModel
from conftest import refusal

VIEW = Preprocessing(40, 32)


def settings(precision: str = "fp32", batch_size: int = 16, allow: bool = False) -> Settings:
    device = torch.device("cpu")
    return Settings(device, precision, batch_size, num_workers=0, allow_unstable=allow)


def network(classes: int = 16, seed: int = 0) -> nn.Module:
    """Return a small network with batch normalisation whose logits spread as a trained one's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 12, 5, 2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 12, 3),
            nn.Flatten(),
            nn.LazyLinear(classes),
        )
        model(torch.rand(8, 3, 32, 32))
        nn.init.normal_(model[-1].weight)
    return model.eval().requires_grad_(False)


class Changed(nn.Module):
    """A network and what becomes of its logits."""

    def __init__(self, change, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net if net is not None else network()
        self.change = change

    def forward(self, x):
        return self.change(self.net(x))


class Called(nn.Module):
    """A network that is called in a way of one's own."""

    def __init__(self, call, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net if net is not None else network()
        self.call = call

    def forward(self, x):
        return self.call(self.net, x)


def probed(model: nn.Module, *how, view: Preprocessing = VIEW) -> Probe:
    return probe(model, view, settings(*how), "mine")


def refused(model: nn.Module, *how, view: Preprocessing = VIEW) -> str:
    sentence = refusal(probe, model, view, settings(*how), "mine")
    assert "mine" in sentence
    return sentence


def test_the_pictures_are_fixed_and_like_photographs():
    shown = pictures(64)
    assert shown.shape == (PICTURES, 3, 64, 64)
    assert shown.dtype == torch.float32
    steps = shown.double() * 255
    assert (steps - steps.round()).abs().max() < 1e-4  # so that every machine has the same bits
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 1
    assert int(steps.round().sum()) == 5_666_429  # of the key; other pictures, other identities
    assert shown.std(dim=(1, 2, 3)).min() > 0.15
    neighbours = np.corrcoef(shown[:, :, :, 1:].flatten(), shown[:, :, :, :-1].flatten())[0, 1]
    assert neighbours > 0.7  # of white noise: 0


# What is refused: the model, and what the sentence must say.

NOT_LOGITS = {
    "softmax of two classes": (lambda z: z[:, :2].softmax(1), "softmax"),
    "softmax in 16 bits": (lambda z: z.softmax(1).bfloat16(), "softmax"),
    "a mean of softmaxes": (lambda z: (z.softmax(1) + (z / 2).softmax(1)) / 2, "softmax"),
    "percentages": (lambda z: 100 * z.softmax(1), "softmax"),
    "negative log-probabilities": (lambda z: -z.log_softmax(1), "softmax"),
    "decisions, one-hot": (lambda z: F.one_hot(z.argmax(1), 16).float(), "softmax"),
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "similarities": (lambda z: 0.2 + 0.05 * F.normalize(z), "scale"),
    "a tuple": (lambda z: (z, z), "tuple"),
    "a dict": (lambda z: {"out": z}, "dict"),
    "sparse": (lambda z: z.to_sparse(), "to_dense"),
    "nothing": (lambda z: None, "NoneType"),
    "an array": (lambda z: z.numpy(), "return a tensor"),
    "maps of one pixel": (lambda z: z[..., None, None], ".flatten(1)"),
    "squeezed": (torch.squeeze, "squeeze()"),
    "transposed": (torch.t, "(16, 1)"),
    "one answer to the batch": (lambda z: z.mean(0, keepdim=True), "(1, 16)"),
    "class numbers": (lambda z: z.argmax(1), "int64"),
    "whole numbers": (lambda z: z.round().int(), "int32"),
    "NaN": (lambda z: z * float("nan"), "NaN"),
    "infinite": (lambda z: z / 0, "infinite"),
    "NaN in one class": (lambda z: torch.cat([z[:, 1:], z[:, :1].log().log()], 1), "NaN"),
}


@pytest.mark.parametrize("kind", NOT_LOGITS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_not_logits_is_refused(kind, precision):
    change, word = NOT_LOGITS[kind]
    sentence = refused(Changed(change), precision)
    assert word in sentence
    assert "--precision" not in sentence  # none of it is a matter of precision


LOGITS = {
    "as they are": lambda z: z,
    "log-probabilities": lambda z: z.log_softmax(1),
    "log-probabilities of a sigmoid": F.logsigmoid,
    "cosines": F.normalize,
    "scaled similarities": lambda z: 100 * (0.2 + 0.05 * F.normalize(z)),
    "decisions, scaled": lambda z: 10.0 * F.one_hot(z.argmax(1), 16).float(),
    "in double precision": lambda z: z.double(),
    "in half precision": lambda z: z.half(),
    "classes left out": lambda z: z.masked_fill(torch.arange(16) > 3, -torch.inf),
    "classes nearly left out": lambda z: z.masked_fill(torch.arange(16) > 3, -1e9),
    "a large offset": lambda z: z + 1000,
    "very large": lambda z: z * 1e4,
    "two classes": lambda z: z[:, :2],
    "positive": F.softplus,
}


@pytest.mark.parametrize("kind", LOGITS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_logits_is_not_refused(kind, precision):
    answer = probed(Changed(LOGITS[kind]), precision)
    assert answer.unstable == ""
    assert len(answer.logits) == PICTURES
    assert same_outputs(answer.record(), probed(Changed(LOGITS[kind])).record())
    json.dumps(answer.record(), allow_nan=False)
    assert answer.warnings == ()


def test_a_model_can_insist_that_probabilities_are_its_logits():
    for change in (torch.sigmoid, lambda z: z.softmax(1)):
        model = Changed(change)
        assert 'outputs = "logits"' in refused(model)
        model.outputs = "logits"
        probed(model)
        probed(NormalizedModel(model, (0.5,) * 3, (0.5,) * 3).eval())
        model.outputs = nn.Linear(1, 1)  # a layer of that name says nothing
        refused(model)


def test_a_transformers_output_is_not_its_logits():
    class Output(tuple):
        @property
        def logits(self):
            return self[0]

    assert ".logits" in refused(Changed(lambda z: Output([z])))


def test_a_model_that_answers_the_same_to_everything_is_said():
    for change in (lambda z: z * 0, lambda z: z * 0 + torch.arange(16.0), lambda z: z * 0 + 0.5):
        answer = probed(Changed(change))
        assert answer.unstable == ""
        assert len(answer.warnings) == 1


# Answers that depend on chance or on the other images.


class StaysInTraining(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.train()

    def eval(self):
        return self

    def forward(self, x):
        return self.net(x)


def _without_statistics() -> nn.Module:
    model = network()
    model[1].track_running_stats, model[1].running_mean, model[1].running_var = False, None, None
    return model


def _dropping(p: float) -> nn.Module:
    model = network()
    model.insert(5, nn.Dropout(p))
    model[5].eval = lambda: model[5]
    return model.train(False)


def _noise_of_one_seed(net, x):
    return net(x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))


def _sometimes(draw: Callable[[], float]):
    """Return a call that mirrors each image with a probability of 10 %, as augmentations do."""
    return lambda net, x: net(torch.stack([i.flip(2) if draw() < 0.1 else i for i in x]))


UNSTABLE = {
    "training mode": (StaysInTraining, "other images", "net.1 (BatchNorm2d)"),
    "no running statistics": (_without_statistics, "other images", "1 (BatchNorm2d)"),
    "centred over the batch": (lambda: Changed(lambda z: z - z.mean(0)), "other images", ""),
    "scaled by the largest of the batch": (
        lambda: Called(lambda net, x: net(x / x.max())),
        "other images",
        "",
    ),
    "slightly centred over the batch": (
        lambda: Called(lambda net, x: net(x - 0.2 * x.mean((0, 2, 3), keepdim=True))),
        "other images",
        "",
    ),
    "rare flips by PyTorch": (lambda: Called(_sometimes(lambda: torch.rand(()))), "chance", ""),
    "rare flips by NumPy": (lambda: Called(_sometimes(np.random.rand)), "chance", ""),
    "rare flips by Python": (lambda: Called(_sometimes(random.random)), "chance", ""),
    "noise of one seed": (lambda: Called(_noise_of_one_seed), "other images", ""),
    "functional dropout": (lambda: Changed(lambda z: F.dropout(z, 0.1, True)), "chance", ""),
    "a random crop": (
        lambda: Called(lambda net, x: net(x.roll(int(torch.randint(4, 28, ())), 3))),
        "chance",
        "",
    ),
}


@pytest.mark.parametrize("kind", UNSTABLE)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_unstable_models_are_refused_or_recorded(kind, precision):
    build, cause, layer = UNSTABLE[kind]
    torch.manual_seed(0)  # with others, two random crops may be the same by chance
    np.random.seed(0)
    random.seed(0)
    sentence = refused(build(), precision)
    assert "--allow_unstable" in sentence
    assert cause in sentence
    assert layer in sentence
    answer = probed(build(), precision, 16, True)
    assert cause in answer.unstable
    assert "logits" not in answer.record()


def test_the_layer_in_training_mode_is_named():
    model = network().append(nn.Dropout(0.5))
    model[6].train()
    sentence = refused(model)
    assert "6 (Dropout)" in sentence
    assert "Conv2d" not in sentence


def test_random_numbers_without_an_effect_are_said():
    answer = probed(Called(lambda net, x: net(x + 0 * torch.rand_like(x))))
    assert answer.unstable == ""
    assert "random numbers" in answer.warnings[0]
    own = torch.Generator().manual_seed(0)
    harmless = Called(lambda net, x: net(x + 0 * torch.rand(x.shape, generator=own)))
    assert probed(harmless).warnings == ()


def test_a_batch_of_one_does_not_hide_it():
    assert "other images" in refused(StaysInTraining(), "fp32", 1)


def test_a_model_that_takes_one_image_at_a_time():
    def alone(net, x):
        assert len(x) == 1, "expected batch 1"
        return net(x)

    assert "--batch_size 1" in refused(Called(alone))
    expected = probed(network()).logits
    assert torch.allclose(probed(Called(alone), "fp32", 1).logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["VOneNet", "diffusion noise"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_zoos_noisy_models_are_stable(kind, precision):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if kind == "VOneNet":
            block = VOneBlock()
            for convolution in (block.simple_conv_q0, block.simple_conv_q1):
                nn.init.normal_(convolution.weight, std=0.1)
            head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 16)]
            inner = nn.Sequential(block, *head)
        else:
            inner = DiffusionNoise(network())
    model = NormalizedModel(inner, (0.5,) * 3, (0.5,) * 3).eval()
    assert probed(model, precision).unstable == ""


# Honest models.


ARCHITECTURES = (
    "vit_tiny_patch16_224",
    "resnet10t",
    "resnet50_gn",
    "mobilenetv3_small_050",
    "convnext_atto",
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_with_initial_weights(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"img_size": 64} if name.startswith("vit") else {}
        model = timm.create_model(name, **options).eval()
    view = Preprocessing(64, 64)
    in_fp32 = probed(model, view=view)
    assert in_fp32.unstable == ""
    for precision, batch_size in (("bf16", 16), ("fp32", 1)):
        assert same_outputs(
            probed(model, precision, batch_size, view=view).record(), in_fp32.record()
        )
    torch.set_num_threads(2)
    layouts = probed(model.to(memory_format=torch.channels_last), view=view)
    assert same_outputs(layouts.record(), in_fp32.record())


@pytest.mark.parametrize("name", ["miniature_plain", "miniature_adversarial", "miniature_stylised"])
def test_trained_models(name):
    model = load_model(name)
    records = [probed(model, how, view=STUDY).record() for how in ("fp32", "bf16", "fp16")]
    assert records[0] == records[1] == records[2]  # in fp32, whatever --precision is
    other = probed(load_model("miniature_plain_seed1"), view=STUDY).record()
    assert not same_outputs(records[0], other)


def test_models_that_misuse_their_input_or_output():
    expected = probed(network()).logits
    buffer = torch.zeros(PICTURES + 1, 16)

    def same_tensor(net, x):
        return buffer[: len(x)].copy_(net(x))

    def with_gradient(net, x):
        with torch.enable_grad():
            return net(x.clone().requires_grad_())

    def in_place(net, x):
        answer = net(x)
        x.zero_()
        return answer

    for call in (same_tensor, with_gradient, in_place):
        assert torch.allclose(probed(Called(call)).logits, expected)


# Failures, and remedies that hold.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_type(dtype):
    model = network().to(dtype)
    sentence = refused(model)
    assert ".float()" in sentence
    assert str(dtype).removeprefix("torch.") in sentence
    precision = {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype)
    assert ("--precision" in sentence) == bool(precision)
    if precision:
        assert f"--precision {precision}" in sentence
        assert probed(model, precision).coarse
    assert not probed(model.float()).coarse


def test_16_bit_weights_that_cast_their_own_input():
    model = Called(lambda net, x: net(x.half()), network().half())
    assert probed(model).coarse
    assert same_outputs(probed(model).record(), probed(network()).record())


def test_a_damaged_checkpoint_is_named():
    model = network()
    model[3].weight[0, 0, 0, 0] = float("nan")
    assert "3.weight" in refused(model)
    assert "3.weight" in refused(model, "bf16")


def test_too_large_for_fp16():
    model = Called(lambda net, x: (1e3 * net[0](x)).square().mean((2, 3)))
    probed(model)
    assert "--precision fp32" in refused(model, "fp16")


def test_a_model_built_for_another_size():
    def only_48(net, x):
        assert x.shape[-1] == 48, "expected 48 pixels"
        return net(x[..., :32, :32])

    model = Called(only_48)
    assert "--preprocess" not in refused(model)  # the stimuli of that script have one size
    assert "`native`" in refused(model, view=STUDY)
    model.native = Preprocessing(48, 48)
    assert "use --preprocess native" in refused(model, view=STUDY)
    probed(model, view=model.native)
    model.native = Preprocessing(40, 40)
    assert "--preprocess" not in refused(model, view=model.native)


# Identity.

HIDDEN = """
import os, torch
from tiny import Tiny

class Hidden(torch.nn.Module):
    classes = Tiny.classes

    def __init__(self, run):
        super().__init__()
        self.run = [run]

    def forward(self, x):
        return self.run[0](x)

def seeded(): return Tiny(int(os.environ["MODEL_SEED"]))

def listed(): return Hidden(seeded())

def tensors():
    weights = [p.detach() for p in seeded().parameters()]
    f = torch.nn.functional
    return Hidden(lambda x: f.linear(f.conv2d(x, *weights[:2], stride=4).relu().mean((2, 3)),
                                     *weights[2:]))

def behind_statistics():  # its only registered tensors are the mean and standard deviation
    from bvg.zoo.normalized import NormalizedModel
    return NormalizedModel(listed(), (.5,) * 3, (.5,) * 3, classes=Tiny.classes)

def frozen():
    module = torch.jit.freeze(torch.jit.trace(seeded().eval(), torch.rand(1, 3, 32, 32)))
    model = Hidden(module)
    return model

def half_registered():
    model = Hidden(seeded())
    model.head = torch.nn.Linear(4, 4)
    torch.nn.init.eye_(model.head.weight), torch.nn.init.zeros_(model.head.bias)
    model.run.append(model.head)
    return model

def plain(): return Tiny(1)
"""


@pytest.fixture
def evaluate(model_file, val_folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "hidden.py").write_text(HIDDEN)
    data = val_folder(2)

    def run(factory: str, seed: int, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("MODEL_SEED", str(seed))
        argv = ["--model", f"net={tmp_path}/hidden.py:{factory}", "--imagenet", str(data)]
        argv += ["--results", str(tmp_path / "r"), "--num_workers", "0", "--wandb", "disabled"]
        capsys.readouterr()
        code = eval_imagenet.main([*argv, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.summary = tmp_path / "r/imagenet/net/summary.json"
    return run


@pytest.mark.parametrize(
    "factory", ["listed", "tensors", "behind_statistics", "frozen", "half_registered"]
)
def test_hidden_weights_are_told_apart(evaluate, factory):
    code, _, err = evaluate(factory, 1)
    assert code == 0
    assert ("no parameters" in err) == (factory != "half_registered")
    code, out, _ = evaluate(factory, 1)
    assert code == 0
    assert "already complete" in out
    code, _, err = evaluate(factory, 2)
    assert code == 2
    assert "outputs for the probe images changed" in err
    assert "--overwrite" in err
    assert evaluate(factory, 2, "--overwrite")[0] == 0


def test_an_unstable_model_is_measured_knowingly(evaluate, tmp_path):
    (tmp_path / "hidden.py").write_text(
        HIDDEN + "\nclass Dropping(Tiny):\n    def forward(self, x):\n"
        "        return torch.nn.functional.dropout(super().forward(x), .5)\n"
        "def dropping(): return Dropping(1)\n"
    )
    code, _, err = evaluate("dropping", 1)
    assert code == 2
    assert "--allow_unstable" in err
    assert not evaluate.summary.exists()
    assert evaluate("dropping", 1, "--allow_unstable")[0] == 0
    assert json.loads(evaluate.summary.read_text())["identity"]["model"]["unstable"] == "chance"
    code, out, _ = evaluate("dropping", 1, "--allow_unstable")
    assert "already complete" in out


def test_the_flag_changes_nothing_for_a_stable_model(evaluate):
    assert evaluate("plain", 1)[0] == 0
    code, out, _ = evaluate("plain", 1, "--allow_unstable")
    assert code == 0
    assert "already complete" in out


def test_a_model_that_computes_gradients_by_itself_is_evaluated(evaluate, tmp_path):
    (tmp_path / "hidden.py").write_text(
        HIDDEN + "\nclass Grad(Tiny):\n    def forward(self, x):\n"
        "        with torch.enable_grad():\n"
        "            return super().forward(x.requires_grad_())\n"
        "def grad(): return Grad(1)\n"
    )
    assert evaluate("grad", 1)[0] == 0
    first = json.loads(evaluate.summary.read_text())["metrics"]
    assert evaluate("plain", 1, "--overwrite")[0] == 0
    assert json.loads(evaluate.summary.read_text())["metrics"] == first
