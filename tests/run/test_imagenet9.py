"""eval_imagenet9.py as whole calls."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import eval_imagenet9
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet9 import CATEGORIES, VARIANTS, category_of_class
from bvg.predictions.table import read_predictions
from bvg.scores.imagenet9 import FOCUS, GAP, key_of
from oracles import imagenet9 as oracle

WNIDS = imagenet_classes()
MODEL = """
import torch
from timm.data import ImageNetInfo

WNIDS = ImageNetInfo("imagenet-1k").label_names()
NINE = ["dog", "bird", "wheeled vehicle", "reptile", "carnivore", "insect", "musical instrument",
        "primate", "fish"]

class Seen(torch.nn.Module):
    # Answers with the class that red and green tell: 4 * red + green.
    def __init__(self, moved, classes):
        super().__init__()
        self.moved, self.classes = moved, classes

    def forward(self, x):
        red, green = (x[:, :2, 0, 0] * 255).round().long().unbind(1)
        best = (4 * red + green).clamp(max=999)
        return self.moved(torch.nn.functional.one_hot(best, 1000) * 9.0)

def known(): return Seen(lambda z: z, WNIDS)
def backwards(): return Seen(lambda z: z.flip(1), WNIDS[::-1])
def nine(): return Seen(lambda z: z[:, [151, 7, 407, 33, 269, 300, 401, 365, 0]], NINE)
def some(): return Seen(lambda z: z[:, :300], WNIDS[:300])
"""


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """Return a small set, whose images tell the model its answer; and these, by variant."""
    root = tmp_path_factory.mktemp("imagenet9")
    generator = np.random.default_rng(0)
    answers = {}
    for variant in VARIANTS:
        for label, name in enumerate(CATEGORIES):
            own = [k for k, of in enumerate(category_of_class(WNIDS)) if of == label]
            for number in range(2):
                right = generator.random() < 0.6
                index = int(generator.choice(own) if right else generator.integers(1000))
                pixels = np.zeros((224, 224, 3), np.uint8)
                pixels[..., 0], pixels[..., 1] = divmod(index, 4)
                file = f"n02497673_{number}"
                if variant.startswith("mixed"):
                    file = f"fg_{file}_bg_n02536864_{number}"
                place = root / variant / "val" / f"{label:02d}_{name}" / f"{file}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place)
                answers.setdefault(variant, []).append((label, index))
    return root, answers


@pytest.fixture
def evaluate(stimuli, tmp_path):
    model = tmp_path / "model.py"
    model.write_text(MODEL)

    def run(*names: str, folder=stimuli[0], words: tuple[str, ...] = ("--partial",)) -> int:
        argv = ["--model", *(f"{model}:{name}" for name in names), "--imagenet9", str(folder)]
        argv += ["--results", str(tmp_path / "r"), "--num_workers", "0", "--wandb", "disabled"]
        return eval_imagenet9.main([*argv, *words])

    return run


def result(tmp_path, model: str):
    folder = tmp_path / "r" / "imagenet9" / model
    predictions = read_predictions(folder / "predictions.parquet")
    return predictions, json.loads((folder / "summary.json").read_text())


def test_all_variants_in_one_pass_and_in_any_order_of_the_classes(
    evaluate, stimuli, tmp_path, capsys
):
    assert evaluate("known", words=()) == 2
    assert "--partial" in capsys.readouterr().err
    assert evaluate("known", "backwards") == 0
    predictions, summary = result(tmp_path, "known")
    assert predictions.classes == CATEGORIES
    assert predictions.condition_names == VARIANTS and len(predictions) == 8 * 18
    of = category_of_class(WNIDS)
    rows = [(v, of[index] == label) for v, some in stimuli[1].items() for label, index in some]
    assert (predictions.answers[:, 0] == predictions.labels).tolist() == [ok for _, ok in rows]
    expected, metrics = oracle.accuracies(rows), summary["metrics"]
    for variant in VARIANTS:
        assert metrics[key_of(variant)]["value"] == pytest.approx(expected[variant])
    assert metrics[GAP]["value"] == pytest.approx(oracle.gap(expected))
    assert metrics[FOCUS]["value"] == pytest.approx(oracle.focus(expected))
    assert metrics[GAP]["low"] < metrics[GAP]["value"] < metrics[GAP]["high"]
    assert summary["settings"]["images_decoded"] == 8 * 18
    moved, other = result(tmp_path, "backwards")
    assert np.array_equal(moved.answers, predictions.answers)
    assert other["metrics"] == metrics
    out = capsys.readouterr().out
    assert GAP in out and "VGG16-BN" in out
    assert (tmp_path / "r" / "imagenet9" / "backgrounds.png").exists()


def test_a_model_of_the_nine_categories(evaluate, tmp_path, capsys):
    assert evaluate("nine") == 0
    predictions, _ = result(tmp_path, "nine")
    assert predictions.classes == CATEGORIES and set(predictions.answers[:, 0]) <= {*range(9)}


def test_missing_variants_are_said(evaluate, stimuli, tmp_path, capsys):
    folder = shutil.copytree(stimuli[0], tmp_path / "some")
    shutil.rmtree(folder / "mixed_same")
    assert evaluate("known", folder=folder) == 0
    assert "mixed_same" in capsys.readouterr().out
    _, summary = result(tmp_path, "known")
    assert summary["images"]["missing_variants"] == ["mixed_same"]
    assert summary["metrics"][GAP]["value"] is None
    assert "mixed_same" in summary["metrics"][GAP]["note"]


def test_a_limit_takes_the_same_objects_of_every_variant(evaluate, tmp_path):
    assert evaluate("known", words=("--partial", "--limit", "5")) == 0
    predictions, _ = result(tmp_path, "known")
    names = [set(predictions.images[predictions.conditions == v]) for v in VARIANTS]
    assert len(names[0]) == 5 and all(of == names[0] for of in names)


def test_models_that_lack_classes_are_refused(evaluate, capsys):
    assert evaluate("some") == 2
    assert "1000 classes" in capsys.readouterr().err
