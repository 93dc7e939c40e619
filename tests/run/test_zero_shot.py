"""Whole calls with zero-shot models, beside others."""

import json

import pytest
import torch

import eval_imagenet
import eval_imagenet_adv
import eval_shape_bias
from bvg.data.categories import CATEGORIES
from bvg.data.imagenet import imagenet_classes
from bvg.data.preprocessing import READY_224
from bvg.predictions.table import read_predictions
from bvg.scores.decision_table import read_decisions, table_files
from bvg.scores.shape_bias import count_table
from bvg.zoo.loading import CheckpointOptions, Text, load_model
from bvg.zoo.zero_shot import by_category
from conftest import draw
from model_vs_human_helpers import write_data_set
from zero_shot_helpers import CLIP, write_model

pytest.importorskip("open_clip", reason="open_clip is not installed")

# A model of ImageNet's classes that is no zero-shot model.
OTHER = """
import torch
from bvg.data.preprocessing import Preprocessing

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.head = torch.nn.Linear(3, 1000, bias=False)
        self.native = Preprocessing(resize=48, crop=40)
        self.head.weight.data = 9 * torch.randn(1000, 3, generator=generator)

    def forward(self, x):
        return self.head(x.mean((2, 3)))

def net(): return Net()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    write_model(root / "clip", CLIP)
    (root / "net.py").write_text(OTHER)
    write_data_set(root / "stimuli", "cue-conflict", 32)
    for number, wnid in enumerate(imagenet_classes()[:3]):
        draw(root / "data" / "val" / wnid / f"{number}.png", number)
    return root


@pytest.fixture
def call(world, tmp_path):
    def run(script, *words: str, code: int = 0) -> None:
        zero_shot = f"zero=open_clip:local-dir:{world / 'clip'}"
        argv = ["--model", zero_shot, f"other={world / 'net.py'}:net", "--templates", "none"]
        argv += ["--results", str(tmp_path / "results"), "--num_workers", "0", "--device", "cpu"]
        assert script.main([*argv, *words]) == code

    return run


def summary(tmp_path, benchmark: str, model: str = "zero") -> dict:
    return json.loads((tmp_path / "results" / benchmark / model / "summary.json").read_text())


def test_the_sixteen_names_are_a_second_rule_under_keys_of_their_own(call, world, tmp_path):
    call(eval_shape_bias, "--stimuli", str(world / "stimuli" / "cue-conflict"))
    by_classes = summary(tmp_path, "imagenet_shape_bias")
    summary(tmp_path, "imagenet_shape_bias", "other")
    by_names = summary(tmp_path, "imagenet_shape_bias_names")
    results = tmp_path / "results" / "imagenet_shape_bias_names"
    assert [folder.name for folder in results.iterdir()] == ["zero"]
    assert by_names["identity"]["model"] == by_classes["identity"]["model"]
    assert by_names["identity"]["model"]["templates"] == "none"
    plain = {key for key in by_classes["metrics"] if "/category/" not in key}
    of_one_rule = {f"{key}/names" for key in plain if not key.endswith("/max")}
    assert of_one_rule == set(by_names["metrics"])
    # The decisions are those of the network of 16 names, and the key is their shape bias.
    options = CheckpointOptions(text=Text("none"))
    model = by_category(load_model(f"open_clip:local-dir:{world / 'clip'}", options))
    predictions = read_predictions(results / "zero" / "predictions.parquet")
    from PIL import Image

    for image, answers in zip(predictions.images[:5], predictions.answers[:5], strict=True):
        pixels = READY_224(Image.open(world / "stimuli" / "cue-conflict" / image).convert("RGB"))
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
        assert answers[0] == model(x).argmax()
    assert predictions.classes == CATEGORIES
    (table,) = table_files(results / "zero")
    bias = by_names["metrics"]["shape-bias/names"]["value"]
    assert count_table(read_decisions(table)).bias().value == pytest.approx(bias)


def test_native_preprocessing_mixes_with_other_models_and_results_resume(
    call, world, tmp_path, capsys
):
    words = ("--imagenet", str(world / "data"), "--partial", "--preprocess", "native")
    call(eval_imagenet, *words)
    for model, crop in (("zero", 32), ("other", 40)):
        found = summary(tmp_path, "imagenet", model)
        assert found["metrics"]["top1_acc/imagenet"]["n"] == 3
        assert found["identity"]["protocol"]["preprocessing"]["crop"] == crop
    call(eval_imagenet, *words)
    assert capsys.readouterr().out.count("already complete") == 2
    call(eval_imagenet, *words, "--templates", "simple7", code=2)
    assert "--templates was none and is now simple7" in capsys.readouterr().err


def test_an_attack_lowers_the_logit_of_the_label(call, world, tmp_path):
    words = ("--imagenet", str(world / "data"), "--partial", "--attack", "fgsm", "--eps", "8/255")
    call(eval_imagenet_adv, *words)
    assert summary(tmp_path, "imagenet_adv_fgsm")["metrics"]
    from PIL import Image

    from bvg.data.preprocessing import STUDY

    options = CheckpointOptions(text=Text("none"))
    model = load_model(f"open_clip:local-dir:{world / 'clip'}", options)
    (first, *_) = (world / "data" / "val").rglob("*.png")
    x = torch.from_numpy(STUDY(Image.open(first)).copy()).permute(2, 0, 1)[None] / 255
    x.requires_grad_()
    before = model(x).log_softmax(1)[0, 5]
    before.backward()
    attacked = (x - 8 / 255 * x.grad.sign()).clamp(0, 1).detach()
    assert model(attacked).log_softmax(1)[0, 5] < before
