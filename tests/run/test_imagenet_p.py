"""eval_imagenet_p.py as a whole: what is written, whatever the batch size, and how it refuses."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import eval_imagenet_p
from bvg.data.imagenet_p import PERTURBATIONS, read_frames
from bvg.data.preprocessing import READY_224
from bvg.figures import drawing
from bvg.predictions.table import read_predictions
from conftest import CLASSES
from oracles import stability as slow
from sequence_helpers import moving, write_frames, write_mp4

# Its answers follow the mean colour, so that they flip where a frame's colours change.
MODEL = """
import torch

class Colour(torch.nn.Module):
    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(4, 3, generator=generator))

    def forward(self, x):
        return (x.mean((2, 3)) - 0.5) @ self.weight.T

def one(): return Colour(1)
def two(): return Colour(2)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Return the ten perturbations of four sequences each, of 1 to 6 frames."""
    folder = tmp_path_factory.mktemp("world")
    for p, perturbation in enumerate(PERTURBATIONS):
        for label, name in enumerate(CLASSES):
            count = 1 if (perturbation, name) == ("snow", "cat") else 2 + (p + label) % 5
            size = 64 if name == "dog" else 224
            frames = [moving(100 * p + 10 * label + k, 1, size)[0] for k in range(count)]
            write_frames(folder / perturbation / name / f"{name}_0", frames)
    return folder


@pytest.fixture
def model_file(tmp_path) -> Path:
    path = tmp_path / "colour.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def evaluate(world, model_file, tmp_path):
    def run(results: str, *words: str, models: tuple[str, ...] = ("one",), code: int = 0) -> Path:
        argv = ["--model", *(f"{model_file}:{name}" for name in models)]
        argv += ["--imagenet_p", str(world), "--results", str(tmp_path / results)]
        argv += [] if "--num_workers" in words else ["--num_workers", "0"]
        assert eval_imagenet_p.main([*argv, *words]) == code
        return tmp_path / results / "imagenet_p"

    return run


def _metrics(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())["metrics"]


def test_the_result_is_the_straight_lines(evaluate, world, model_file):
    folder = evaluate("a")
    namespace = runpy.run_path(str(model_file))
    model = namespace["one"]().double()
    flips, distances = {}, {}
    for perturbation in PERTURBATIONS:
        of_sequences = []
        for path in sorted((world / perturbation).glob("*/*")):
            crops = [READY_224(frame) for frame in read_frames(path)]
            x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).double() / 255
            with torch.no_grad():
                logits = model(x).numpy()
            if len(logits) > 1:
                of_sequences.append(slow.of_sequence(list(logits), perturbation))
        flips[perturbation], distances[perturbation] = np.mean(of_sequences, axis=0)
    metrics = _metrics(folder / "one")
    for key, values in (("flip_prob", flips), ("top5_distance", distances)):
        for perturbation, value in values.items():
            assert metrics[f"{key}/{perturbation}"]["value"] == pytest.approx(value)
        mean = np.mean([*values.values()])
        assert metrics[f"{key}/imagenet-p"]["value"] == pytest.approx(mean)
        assert max(values.values()) > 0
    assert "1 sequence(s) of one frame" in metrics["flip_prob/snow"]["note"]
    assert metrics["flip_prob/snow"]["n"] == 3 and metrics["flip_prob/tilt"]["n"] == 4
    summary = json.loads((folder / "one" / "summary.json").read_text())
    assert summary["images"]["resized_although_ready"] > 0  # the frames of 64 pixels


def test_predictions_hold_every_frame_of_every_sequence(evaluate, world):
    predictions = read_predictions(evaluate("a") / "one" / "predictions.parquet")
    assert len(predictions) == 40 and predictions.answers.shape == (40, 6 * 4)
    for row in range(40):
        folder = world / predictions.conditions[row] / predictions.images[row]
        count = len([*folder.glob("*.png")])
        assert predictions.columns["frames"][row] == count
        answers = predictions.answers[row].reshape(6, 4)
        assert (np.sort(answers[:count]) == np.arange(4)).all() and (answers[count:] == -1).all()


def test_batch_size_and_workers_change_no_answer(evaluate):
    reference = read_predictions(evaluate("a") / "one/predictions.parquet")
    for number, (size, workers) in enumerate([("1", "0"), ("200", "0"), ("100", "2")]):
        words = ("--batch_size", size, "--num_workers", workers)
        other = read_predictions(evaluate(f"b{number}", *words) / "one/predictions.parquet")
        assert list(other.images) == list(reference.images)
        assert list(other.conditions) == list(reference.conditions)
        np.testing.assert_array_equal(other.answers, reference.answers)
        np.testing.assert_allclose(other.confidence, reference.confidence, rtol=1e-4)


def test_videos_give_the_answers_of_their_frames(evaluate, world, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    for path in world.glob("*/*/*"):
        frames = [np.asarray(frame) for frame in read_frames(path)]
        write_mp4(tmp_path / "v" / path.relative_to(world).with_suffix(".mp4"), frames, True)
    filmed = evaluate("b", "--imagenet_p", str(tmp_path / "v"))
    metrics = _metrics(evaluate("a") / "one")
    assert _metrics(filmed / "one") == metrics
    summary = json.loads((filmed / "one" / "summary.json").read_text())
    assert summary["images"]["decoder"].startswith("PyAV")


def test_a_reference_relates_a_finished_result_without_a_new_pass(evaluate, capsys):
    folder = evaluate("a", models=("one", "two"))
    assert not (folder / "one" / "relative.csv").exists()
    before = _metrics(folder / "one")
    capsys.readouterr()
    evaluate("a", "--reference", str(folder / "two"), models=("one", "two"))
    out = capsys.readouterr().out
    assert "already complete" in out and "decoded" not in out
    after = _metrics(folder / "one")
    assert {key: after[key] for key in before} == before
    ours, theirs = _metrics(folder / "one"), _metrics(folder / "two")
    one, two = (
        pd.read_csv(folder / m / "relative.csv", index_col="metric") for m in ("one", "two")
    )
    for key, measure in (("FR", "flip_prob"), ("T5D", "top5_distance")):
        ratios = []
        for p in PERTURBATIONS:
            ratios.append(100 * ours[f"{measure}/{p}"]["value"] / theirs[f"{measure}/{p}"]["value"])
            assert one.loc[f"{key}/{p}", "value"] == pytest.approx(ratios[-1])
        assert one.loc[f"m{key}", "value"] == pytest.approx(np.mean(ratios))
        assert two.loc[f"m{key}", "value"] == pytest.approx(100)
        assert f"m{key}" in out
        assert after[f"m{key}"]["value"] == one.loc[f"m{key}", "value"]
    evaluate("a", models=("one", "two"))  # without the reference, nothing relates to it
    assert _metrics(folder / "one") == before
    assert not (folder / "one" / "relative.csv").exists()


def test_the_figure_is_drawn_and_the_table_printed(evaluate, capsys):
    folder = evaluate("a", models=("one", "two"))
    out = capsys.readouterr().out
    with Image.open(folder / "stability.png") as picture:
        assert min(picture.size) > 1.5 * drawing.DPI
    assert (folder / "stability.pdf").read_bytes().startswith(b"%PDF")
    assert f"wrote {folder / 'stability.png'}" in out and "flip_prob/imagenet-p" in out


def test_some_perturbations_are_measured_by_name(evaluate, capsys):
    metrics = _metrics(evaluate("a", "--perturbations", "tilt", "snow") / "one")
    assert set(metrics) == {
        f"{m}/{p}" for m in ("flip_prob", "top5_distance") for p in ("tilt", "snow", "imagenet-p")
    }
    assert metrics["flip_prob/imagenet-p"]["value"] is None
    assert "not measured: gaussian_noise" in capsys.readouterr().out


def test_a_broken_sequence_is_refused_or_left_out(evaluate, world, tmp_path, capsys):
    shutil.copytree(world / "tilt", tmp_path / "p" / "tilt")
    (tmp_path / "p" / "tilt" / "ant" / "ant_0" / "img1.png").write_bytes(b"no image")
    words = ("--imagenet_p", str(tmp_path / "p"), "--perturbations", "tilt")
    evaluate("a", *words, code=2)
    said = capsys.readouterr().err
    assert "its frame img1.png cannot be decoded" in said and "--skip_bad_images" in said
    folder = evaluate("b", *words, "--skip_bad_images")
    assert _metrics(folder / "one")["flip_prob/tilt"]["n"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--imagenet_p", "/nowhere"), "does not exist"),
        (("--reference", "/nowhere"), "not a file"),
        (("--perturbations", "shear"), "<perturbation>/<class>"),
    ],
)
def test_mistakes_are_one_sentence(evaluate, capsys, words, said):
    evaluate("a", *words, code=2)
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_the_folder_is_asked_for(model_file, tmp_path, capsys):
    words = ["--model", f"{model_file}:one", "--results", str(tmp_path / "a")]
    assert eval_imagenet_p.main(words) == 2
    assert "BVG_IMAGENET_P" in capsys.readouterr().err
