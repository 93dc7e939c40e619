"""eval_imagenet_w.py as whole calls."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFont

import eval_imagenet_w
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import read_predictions
from bvg.scores.imagenet_w import CARTON_GAP, DELTA, GAP
from bvg.stimuli import imagenet_w
from bvg.stimuli.imagenet_w import font_file
from oracles import imagenet_w as oracle

WNIDS = imagenet_classes()
CARTON = 478
MODEL = """
import torch
from timm.data import ImageNetInfo

WNIDS = ImageNetInfo("imagenet-1k").label_names()

class Reads(torch.nn.Module):
    # Takes images with white in them for cartons, and others for what their corner's red says.
    def __init__(self, moved=lambda z: z, classes=WNIDS):
        super().__init__()
        self.moved, self.classes = moved, classes

    def forward(self, x):
        logits = torch.zeros(len(x), 1000)
        place = (x[:, 0, 0, 0] * 255).round().long()
        logits.scatter_(1, place[:, None], 8.0)
        logits[:, 478] = 60 * (x.amax((1, 2, 3)) - 0.4).clamp(min=0)
        return self.moved(logits)

def known(): return Reads()
def backwards(): return Reads(lambda z: z.flip(1), WNIDS[::-1])
"""


@pytest.fixture
def evaluate(tmp_path):
    model, data = tmp_path / "model.py", tmp_path / "data"
    model.write_text(MODEL)
    for index in (1, 2, CARTON, 5):
        for number in range(2):
            pixels = np.full((224, 224, 3), 80, np.uint8)
            pixels[..., 0] = index if number and index != CARTON else 3
            path = data / "val" / WNIDS[index] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((256, 256)).save(path)

    def run(*names: str, words: tuple[str, ...] = (), code: int = 0):
        argv = ["--model", *(f"{model}:{name}" for name in names), "--imagenet", str(data)]
        argv += ["--results", str(tmp_path / "r"), "--partial", "--num_workers", "0"]
        assert eval_imagenet_w.main([*argv, "--wandb", "disabled", *words]) == code
        return tmp_path / "r" / "imagenet_w"

    return run


def result(folder, model: str):
    predictions = read_predictions(folder / model / "predictions.parquet")
    return predictions, json.loads((folder / model / "summary.json").read_text())


def test_the_watermark_makes_cartons_of_all_images(evaluate, capsys):
    folder = evaluate("known", "backwards")
    predictions, summary = result(folder, "known")
    metrics = summary["metrics"]
    assert predictions.condition_names == ("clean", "imagenet-w") and len(predictions) == 16
    marked = predictions.conditions == "imagenet-w"
    assert (predictions.answers[marked, 0] == CARTON).all()
    assert metrics["top1_acc/clean"]["value"] == 100 * 3 / 8  # the second of classes 1, 2 and 5
    assert metrics["top1_acc/imagenet-w"]["value"] == 25
    assert metrics[GAP]["value"] == pytest.approx(-12.5)
    assert metrics[CARTON_GAP]["value"] == 100
    gained = predictions.columns["carton_probability"]
    assert metrics[DELTA]["value"] == pytest.approx(
        100 * (gained[marked].mean(dtype=float) - gained[~marked].mean(dtype=float))
    )
    assert metrics[DELTA]["value"] > 90
    assert summary["settings"]["images_decoded"] == 8
    assert result(folder, "backwards")[1]["metrics"] == metrics
    assert GAP in (out := capsys.readouterr().out) and "LLE" in out
    for name in ("watermark", "example_stimuli"):
        assert (folder / f"{name}.png").exists()


def test_stimuli_are_those_of_the_package(evaluate, tmp_path):
    target = tmp_path / "stimuli"
    evaluate("known", words=("--save_stimuli", str(target), "--limit", "3"))
    clean, marked = (
        {p.name: p for p in (target / c).rglob("*.png")} for c in ("clean", "imagenet-w")
    )
    assert len([*target.rglob("*.png")]) == 6 and clean.keys() == marked.keys()
    for path in (target / "clean").rglob("*.png"):
        other = target / "imagenet-w" / path.relative_to(target / "clean")
        expected = oracle.watermarked(np.asarray(Image.open(path)), font_file(None))
        assert np.array_equal(np.asarray(Image.open(other)), expected)


def test_another_font_is_another_result_and_is_said(evaluate, tmp_path, monkeypatch, capsys):
    # Matplotlib has a font of its own; it lacks these characters, as any wrong font may.
    from matplotlib import font_manager

    other = font_manager.findfont("DejaVu Sans")
    assert ImageFont.truetype(other)
    evaluate("known")
    capsys.readouterr()
    evaluate("known", words=("--font", other), code=2)
    said = capsys.readouterr()
    assert "not the published" in said.out and "--overwrite" in said.err
    monkeypatch.setattr(imagenet_w, "packaged_font", lambda: None)
    evaluate("known", code=2)
    assert "pip install" in capsys.readouterr().err
