"""eval_suppression.py as whole calls."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

import eval_suppression
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import read_predictions
from bvg.scores.accuracy import correct_in_top
from bvg.stimuli.suppression import condition_name

CUES = {cue: condition_name(steps) for cue, steps in eval_suppression.CUES.items()}
IMAGENET_MODEL = """
import torch

class Known(torch.nn.Module):
    # Answers with the class that the red of the corner tells; the brighter, the more confident.
    def forward(self, x):
        place = (x[:, 0, 0, 0] * 255).round().long()
        logits = torch.zeros(len(x), 1000)
        return logits.scatter_(1, place[:, None], 20.0 * x.mean((1, 2, 3))[:, None])

def known(): return Known()
"""


@pytest.fixture
def evaluate(model_file, val_folder, tmp_path):
    data = val_folder(3)

    def run(results: str, *words: str, models: tuple[str, ...] = ("one",), code: int = 0):
        argv = ["--model", *(f"{model_file}:{name}" for name in models), "--imagenet", str(data)]
        argv += ["--results", str(tmp_path / results), "--num_workers", "0", "--wandb", "disabled"]
        assert eval_suppression.main([*argv, *words]) == code
        return tmp_path / results / "imagenet_suppression"

    return run


def result(folder, model: str = "one"):
    predictions = read_predictions(folder / model / "predictions.parquet")
    return predictions, json.loads((folder / model / "summary.json").read_text())


def test_five_versions_and_the_reliance_on_four_cues(evaluate, capsys):
    predictions, summary = result(evaluate("a", models=("one", "two")))
    assert predictions.condition_names == ("original", *CUES.values())
    assert len(predictions) == 12 * 5
    assert summary["identity"]["protocol"]["preprocessing"]["squash"] == "opencv"
    metrics, correct = summary["metrics"], correct_in_top(predictions, 1)
    accuracy = {
        condition: correct[predictions.conditions == condition].mean()
        for condition in predictions.condition_names
    }
    for condition, value in accuracy.items():
        assert metrics[f"top1_acc/suppression/{condition}"]["value"] == pytest.approx(100 * value)
    for cue, condition in CUES.items():
        ratio = accuracy[condition] / accuracy["original"]
        assert metrics[f"metric/suppression/{cue}/relative"]["value"] == pytest.approx(ratio)
    assert len(metrics) == 5 + 4  # these four classes have no categories
    assert "metric/suppression/colour/relative" in capsys.readouterr().out


def test_curves_are_69_conditions_in_one_pass(evaluate):
    folder = evaluate("a", "--curves", "--limit", "4")
    predictions, summary = result(folder)
    assert len(predictions.condition_names) == 69 and len(predictions) == 4 * 69
    metrics = summary["metrics"]
    accuracy = {
        condition: metrics[f"top1_acc/suppression/{condition}"]["value"]
        for condition in predictions.condition_names
    }
    for name, conditions in eval_suppression.CURVES.items():
        values = [accuracy["original"], *(accuracy[condition_name(c)] for c in conditions)]
        whole = sum((a + b) / 2 for a, b in pairwise(values)) / len(conditions)
        found = metrics[f"metric/suppression/{name}/auc"]["value"]
        assert found == pytest.approx(whole / accuracy["original"])
        assert f"metric/suppression/{name}/auc-normalised" in metrics
    shuffled = accuracy["channel_shuffle"] / accuracy["original"]
    assert metrics["metric/suppression/channel-shuffle/relative"]["value"] == shuffled
    assert summary["settings"]["images_decoded"] == 4


def test_batch_size_workers_and_other_models_change_no_prediction(evaluate):
    reference, _ = result(evaluate("a", "--batch_size", "64"))
    for number, size in enumerate(("1", "5")):
        words = ("--batch_size", size, "--num_workers", str(2 * number))
        other, _ = result(evaluate(f"b{number}", *words))
        assert list(other.images) == list(reference.images)
        assert list(other.conditions) == list(reference.conditions)
        assert np.array_equal(other.answers, reference.answers)
        np.testing.assert_allclose(other.confidence, reference.confidence, rtol=1e-4)
    beside, _ = result(evaluate("c", "--batch_size", "64", models=("two", "one")))
    assert np.array_equal(beside.confidence, reference.confidence)


def test_other_conditions_and_another_squash_are_other_results(evaluate, capsys):
    evaluate("a")
    for words in (("--curves",), ("--squash", "pillow")):
        evaluate("a", *words, code=2)
        assert "--overwrite" in capsys.readouterr().err
    evaluate("a", "--squash", "pillow", "--overwrite")


def test_stimuli_are_saved_as_the_model_sees_them(evaluate, tmp_path):
    target = tmp_path / "stimuli"
    evaluate("a", "--save_stimuli", str(target), "--limit", "4")
    written = [*target.rglob("*.png")]
    assert len(written) == 4 * 5
    for path in (target / "original").rglob("*.png"):
        source = tmp_path / "data" / "val" / path.relative_to(target / "original")
        with Image.open(path) as saved, Image.open(source) as original:
            assert np.array_equal(np.asarray(saved), cv2.resize(np.asarray(original), (224, 224)))


def draw_categories(folder) -> dict[str, int]:
    """Draw ImageNet images of two categories and of none; return which class each shows."""
    shown = {}
    for index in (8, 10, 152, 0):  # two birds, a dog, a tench
        for number, brightness in enumerate((60, 120, 250)):
            name = f"{imagenet_classes()[index]}/{number}.png"
            path = folder / "val" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((32, 32, 3), brightness, np.uint8)
            pixels[..., 0] = index if number else 10  # what the model will answer
            Image.fromarray(pixels).save(path)
            shown[name] = index
    return shown


def test_the_most_confident_images_are_scored_again(tmp_path, capsys):
    folder, model = tmp_path / "imagenet", tmp_path / "known.py"
    draw_categories(folder)
    model.write_text(IMAGENET_MODEL)
    argv = ["--model", f"{model}:known", "--imagenet", str(folder), "--partial"]
    argv += ["--results", str(tmp_path / "r"), "--wandb", "disabled"]
    assert eval_suppression.main([*argv, "--confident_by", "known"]) == 2
    assert "--confident_by" in capsys.readouterr().err
    assert eval_suppression.main(argv) == 0
    _, before = result(tmp_path / "r" / "imagenet_suppression", "known")
    assert before["metrics"]["top1_acc/suppression16/original"]["n"] == 9
    assert not any("confident" in key for key in before["metrics"])
    assert eval_suppression.main([*argv, "--confident_by", "known"]) == 0
    assert "re-scored" in capsys.readouterr().out
    _, after = result(tmp_path / "r" / "imagenet_suppression", "known")
    original = after["metrics"]["top1_acc/suppression16_confident/original"]
    assert original["n"] == 7  # the first image of class 8 and of 152 are taken for 10
    assert after["scored_with"]["confident_by"].startswith("known, 7 images")
    same = {key: value for key, value in after["metrics"].items() if "confident" not in key}
    assert same == before["metrics"]


def test_a_reference_without_categories_is_refused(evaluate, capsys):
    evaluate("a")
    evaluate("a", "--confident_by", "one", code=2)
    assert "ImageNet" in capsys.readouterr().err
