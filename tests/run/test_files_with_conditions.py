"""Data sets whose files show the conditions, files of several frames, several sets in one call."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bvg.data.folders import in_class_folders
from bvg.data.image_set import ImageSet, crossed
from bvg.data.loading import decode
from bvg.predictions.table import read_predictions
from bvg.run import loop
from bvg.run.batches import save_stimuli
from bvg.run.settings import Settings
from bvg.scores.accuracy import by_condition, correct_in_top
from bvg.stimuli.batch import unchanged
from conftest import CLASSES, draw
from noise_benchmark import NOISE

CONDITIONS = {"fog_1": "fog/1", "snow_2": "snow/2"}


def _conditions(folder: Path, classes) -> ImageSet:
    files, labels, *_ = in_class_folders(folder / "fog" / "1", classes)
    return crossed(ImageSet(folder, tuple(files), tuple(files), labels, classes), CONDITIONS)


def _frames(path: Path) -> list[Image.Image]:
    return [decode(frame) for frame in sorted(path.iterdir())]


def _sequences(folder: Path, classes) -> ImageSet:
    names = [f"{name}/{number}" for name in classes for number in range(3)]
    labels = np.repeat(np.arange(len(classes)), 3)
    files = [f"shake/{name}" for name in names]
    conditions = ("shake",) * len(names)
    reading = {"reader": _frames, "frames": 4}
    return ImageSet(folder, files, names, labels, classes, conditions=conditions, **reading)


@pytest.fixture
def measured(tmp_path, model_file):
    def run(benchmark, results: str, *words: str) -> Path:
        argv = ["--model", f"{model_file}:one", "--data", str(tmp_path), "--num_workers", "0"]
        assert benchmark.main([*argv, "--results", str(tmp_path / results), *words]) == 0
        return tmp_path / results / benchmark.name / "one"

    return run


@pytest.fixture
def corrupted(tmp_path):
    for number, folder in enumerate(CONDITIONS.values()):
        for label, name in enumerate(CLASSES):
            for image in range(3):
                seed = 100 * number + 10 * label + image
                draw(tmp_path / folder / name / f"{image}.png", seed)
    return replace(NOISE, name="corrupted", images=_conditions, stimuli=unchanged)


@pytest.fixture
def shaken(tmp_path):
    for label, name in enumerate(CLASSES):
        for sequence in range(3):
            for frame in range(2 + sequence):  # of 2, 3 and 4 frames
                path = tmp_path / "shake" / name / str(sequence) / f"{frame}.png"
                draw(path, 1000 * label + 10 * sequence + frame, size=(24, 24))
    return replace(NOISE, name="shaken", images=_sequences, stimuli=unchanged, frames=4)


def test_a_row_has_its_files_condition(corrupted, measured, tmp_path):
    predictions = read_predictions(measured(corrupted, "a") / "predictions.parquet")
    assert predictions.condition_names == tuple(CONDITIONS)
    assert len(predictions) == 2 * 12
    alone = replace(corrupted, images=_fog_alone)
    fog = read_predictions(measured(alone, "b") / "predictions.parquet")
    np.testing.assert_array_equal(fog.answers, predictions.answers[:12])
    correct = by_condition(predictions, correct_in_top(predictions, 1))
    assert correct.shape == (12, 2)


def _fog_alone(folder: Path, classes) -> ImageSet:
    files, labels, *_ = in_class_folders(folder / "fog" / "1", classes)
    return ImageSet(folder / "fog" / "1", files, files, labels, classes)


def test_files_conditions_and_made_ones_combine(corrupted, measured):
    both = replace(corrupted, stimuli=NOISE.stimuli)
    predictions = read_predictions(measured(both, "a") / "predictions.parquet")
    assert predictions.condition_names == ("fog_1", "fog_1/noise", "snow_2", "snow_2/noise")


def test_a_limit_is_equal_across_conditions(corrupted, measured):
    predictions = read_predictions(measured(corrupted, "a", "--limit", "4") / "predictions.parquet")
    assert len(predictions) == 8
    assert list(predictions.images[:4]) == list(predictions.images[4:])
    assert predictions.labels.tolist() == [0, 1, 2, 3] * 2


def test_stimuli_are_saved_by_their_files_condition(corrupted, tmp_path, capsys):
    argv = ["--data", str(tmp_path), "--save_stimuli", str(tmp_path / "out"), "--limit", "4"]
    given = replace(corrupted, images=lambda folder, classes: _conditions(folder, CLASSES))
    assert given.main(argv) == 0
    assert "wrote 8 stimuli of 8 images" in capsys.readouterr().out
    written = sorted(
        p.relative_to(tmp_path / "out").parts[0] for p in (tmp_path / "out").rglob("*.png")
    )
    assert written == ["fog_1"] * 4 + ["snow_2"] * 4


def test_frames_are_shown_one_by_one_and_kept_by_file(shaken, measured, tmp_path):
    folder = measured(shaken, "a", "--batch_size", "8")
    predictions = read_predictions(folder / "predictions.parquet")
    assert len(predictions) == 12
    assert predictions.columns["frames"].tolist() == [2, 3, 4] * 4
    assert predictions.answers.shape == (12, 4 * 4)  # four frames, four classes
    frames = _each_frame_alone(shaken, measured, tmp_path)
    for row, name in enumerate(predictions.images):
        count = predictions.columns["frames"][row]
        answers = predictions.answers[row].reshape(4, 4)
        assert (answers[count:] == -1).all()
        for frame in range(count):
            alone = frames[f"{name}/{frame}.png"]
            assert answers[frame].tolist() == alone[0]
        mean = np.mean([frames[f"{name}/{frame}.png"][1] for frame in range(count)])
        assert predictions.confidence[row] == pytest.approx(mean, rel=1e-5)


def _each_frame_alone(shaken, measured, tmp_path) -> dict[str, tuple[list[int], float]]:
    def every(folder, classes):
        paths = sorted(path.relative_to(folder) for path in (folder / "shake").rglob("*.png"))
        labels = np.array([classes.index(path.parts[1]) for path in paths])
        names = ["/".join(path.parts[1:]) for path in paths]
        return ImageSet(folder, [str(path) for path in paths], names, labels, classes)

    single = replace(shaken, name="single", images=every, frames=1)
    table = read_predictions(measured(single, "frames") / "predictions.parquet")
    rows = zip(table.images, table.answers.tolist(), table.confidence, strict=True)
    return {name: (answers, confidence) for name, answers, confidence in rows}


def test_batches_and_chunks_do_not_change_sequences(shaken, measured, monkeypatch):
    whole = measured(shaken, "a", "--batch_size", "48")
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 1)  # chunks of different longest sequences
    one_by_one = measured(shaken, "b", "--batch_size", "1")
    parallel = measured(shaken, "c", "--batch_size", "20", "--num_workers", "2")
    expected = read_predictions(whole / "predictions.parquet")
    for folder in (one_by_one, parallel):
        other = read_predictions(folder / "predictions.parquet")
        np.testing.assert_array_equal(other.answers, expected.answers)
        np.testing.assert_allclose(other.confidence, expected.confidence, rtol=1e-5)


def test_a_broken_sequence_can_be_left_out(shaken, measured, tmp_path, capsys):
    (tmp_path / "shake" / "bee" / "1" / "0.png").write_bytes(b"no image")
    predictions = read_predictions(
        measured(shaken, "a", "--skip_bad_images") / "predictions.parquet"
    )
    assert len(predictions) == 11
    assert "bee/1" not in set(predictions.images)
    assert "1 image(s) skipped" in capsys.readouterr().out


def test_stimuli_of_sequences_are_saved_by_frame(shaken, tmp_path):
    import torch

    images = _sequences(tmp_path, CLASSES).select(np.array([2]))
    out = tmp_path / "out"
    count = save_stimuli(out, images, NOISE.view, unchanged, Settings(torch.device("cpu")))
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert count == 4
    assert written == [f"shake/ant/2/{frame:03d}.png" for frame in range(4)]
