"""eval_laion_c.py as whole calls, on files in the published layout and on generated corruptions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval_laion_c
from bvg.data.imagenet import imagenet_classes
from bvg.data.laion_c import CORRUPTIONS, SEVERITIES, SUPERCLASS_INDICES, SUPERCLASSES
from bvg.figures import drawing
from bvg.predictions.table import read_predictions
from conftest import CLASSES, draw, draw_val, write_model
from oracles import laion_c as oracle
from variant_helpers import THOUSAND


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder with models, validation images and files in the published layout."""
    folder = tmp_path_factory.mktemp("laion")
    write_model(folder)
    draw_val(folder / "own", 3)
    (folder / "thousand.py").write_text(THOUSAND)
    classes = imagenet_classes()
    for label, indices in enumerate(SUPERCLASS_INDICES.values()):
        for number in range(2):
            path = folder / "imagenet" / "val" / classes[indices[number]] / f"{number}.png"
            draw(path, 5 * label + number)
    for seed, (corruption, severity) in enumerate((c, s) for c in CORRUPTIONS for s in SEVERITIES):
        for label, name in enumerate(SUPERCLASSES):
            at = folder / "files" / corruption / f"intensity_level_{severity}" / name
            draw(at / f"img_{corruption}_{severity}.JPEG", 100 * seed + label, (30, 24))
    return folder


@pytest.fixture
def evaluate(place, tmp_path, capsys):
    def run(*words: str, models=("tiny.py:one",), results="a", code: int = 0) -> Path:
        argv = ["--model", *(f"{place}/{name}" for name in models)] if models else []
        argv += ["--results", str(tmp_path / results), "--num_workers", "0", "--wandb", "disabled"]
        assert eval_laion_c.main([*argv, *words]) == code
        name = "laion_c_generated" if "--generate" in words else "laion_c"
        return tmp_path / results / name

    return run


def result(folder: Path, model: str = "one"):
    predictions = read_predictions(folder / model / "predictions.parquet")
    return predictions, json.loads((folder / model / "summary.json").read_text())


def test_published_files_are_answered_with_superclasses(evaluate, place, capsys):
    folder = evaluate(
        "--laion_c", str(place / "files"), models=("thousand.py:Net",), results="thousand"
    )
    predictions, summary = result(folder, "Net")
    assert predictions.classes == SUPERCLASSES and len(predictions) == 30 * 16
    assert predictions.answers.shape[1] == 5 and predictions.answers.max() < 16
    metrics = summary["metrics"]
    right = predictions.answers[:, 0] == predictions.labels
    for name in CORRUPTIONS:
        own = [c.startswith(name) for c in predictions.conditions]
        value = metrics[f"top1_acc/laion-c/{name}"]["value"]
        assert value == pytest.approx(100 * right[own].mean())
    assert metrics["top1_acc/laion-c"]["value"] == pytest.approx(100 * right.mean())
    assert metrics["top1_acc/laion-c"]["n"] == 16  # one image, under all conditions
    assert summary["identity"]["protocol"]["preprocessing"]["squash"] == "pillow"
    out = capsys.readouterr().out
    assert "best human (published) 55.2" in out and "top1_acc/laion-c" in out
    with Image.open(folder / "levels.png") as picture:
        assert min(picture.size) > 1.5 * drawing.DPI


def test_published_values_are_shown_only_beside_the_published_images(evaluate, place, monkeypatch):
    drawn = []
    monkeypatch.setattr(eval_laion_c, "curves", lambda *a, **more: drawn.append((a, more)) or [])
    evaluate("--laion_c", str(place / "files"), models=("thousand.py:Net",))
    words = ("--generate", "--imagenet", str(place / "imagenet"), "--partial")
    evaluate(*words, "--corruptions", "luminance_checkerboard", models=("thousand.py:Net",))
    (models, panels, _), more = drawn[0]
    assert {*models} == {"Net", *eval_laion_c.PUBLISHED}
    assert more["humans"].metrics["top1_acc/laion-c"].value == 55.2
    assert len(panels) == 6 + 1 and "top1_acc/laion-c" in panels[-1].keys.values()
    (models, panels, _), more = drawn[1]
    assert {*models} == {"Net"} and "humans" not in more
    assert panels[0].keys[0] == "top1_acc/laion-c-generated/clean"


def test_generated_corruptions_are_a_result_of_their_own(evaluate, place, capsys):
    data = ("--generate", "--imagenet", str(place / "own"))
    folder = evaluate(*data, models=("tiny.py:one", "tiny.py:two"))
    assert "decoded 12 images once for 2 model(s)" in capsys.readouterr().out
    predictions, summary = result(folder, "two")
    conditions = [
        f"{c}_{s}" for c in CORRUPTIONS if c in eval_laion_c.GENERATED for s in SEVERITIES
    ]
    assert predictions.condition_names == ("clean", *conditions)
    assert predictions.classes == CLASSES and len(predictions) == 12 * 21
    metrics, protocol = summary["metrics"], summary["identity"]["protocol"]
    assert all(key.startswith("top1_acc/laion-c-generated") for key in metrics)
    right = predictions.answers[:, 0] == predictions.labels
    corrupted = predictions.conditions != "clean"
    value = metrics["top1_acc/laion-c-generated"]["value"]
    assert value == pytest.approx(100 * right[corrupted].mean())
    assert protocol["levels"]["stickers"] == [100, 200, 400, 600, 1200]
    assert len(protocol["stickers"]) == 16
    assert (folder / "levels.png").exists() and (folder / "example_stimuli.png").exists()
    assert not (folder.parent / "laion_c").exists()


def test_batch_size_workers_and_a_limit_change_no_prediction(evaluate, place):
    data = ("--generate", "--imagenet", str(place / "own"), "--severities", "2")
    reference, _ = result(evaluate(*data, "--batch_size", "64"))
    of_row = {
        (image, condition): row
        for row, (image, condition) in enumerate(
            zip(reference.images, reference.conditions, strict=True)
        )
    }
    for number, words in enumerate((("--batch_size", "7"), ("--limit", "6"))):
        other, _ = result(evaluate(*data, *words, results=f"b{number}"))
        rows = [of_row[key] for key in zip(other.images, other.conditions, strict=True)]
        assert len(rows) == (len(reference), 6 * 5)[number]
        np.testing.assert_allclose(other.confidence, reference.confidence[rows], rtol=1e-4)
        assert np.array_equal(other.answers, reference.answers[rows])


def test_stimuli_are_saved_as_the_models_see_them(evaluate, place, tmp_path):
    target = tmp_path / "stimuli"
    words = ("--generate", "--imagenet", str(place / "own"), "--limit", "2")
    evaluate(*words, "--save_stimuli", str(target), models=())
    assert len([*target.rglob("*.png")]) == 2 * 21
    for path in (target / "clean").rglob("*.png"):
        clean = np.asarray(Image.open(path))
        lines = target / "vertical_lines_4" / path.relative_to(target / "clean")
        assert np.array_equal(np.asarray(Image.open(lines)), oracle.vertical_lines(clean, 84, 6))


def test_images_of_the_superclasses_alone_are_used(evaluate, place):
    words = ("--generate", "--imagenet", str(place / "imagenet"), "--severities", "1")
    words += ("--corruptions", "luminance_checkerboard", "--partial")
    predictions, _ = result(evaluate(*words, models=("thousand.py:Net",)), "Net")
    assert predictions.classes == SUPERCLASSES
    assert np.bincount(predictions.labels).tolist() == [4] * 16  # two images, two conditions


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--generate", "--laion_c", "files"), "--imagenet"),
        (("--imagenet", "own"), "--generate"),
        (("--laion_c", "files", "--save_stimuli", "x", "--limit", "1"), "--save_stimuli"),
        (("--generate", "--imagenet", "own", "--corruptions", "mosaic"), "--laion_c"),
        ((), "BVG_LAION_C"),
        (("--laion_c", "own"), "--laion_c"),
        (("--laion_c", "files"), "`classes`"),  # the model's classes are not the superclasses
    ],
)
def test_wrong_calls_are_refused_with_the_remedy(evaluate, place, words, remedy, capsys):
    here = [str(place / word) if word in ("files", "own") else word for word in words]
    evaluate(*here, code=2)
    error = capsys.readouterr().err
    assert remedy in error and error.count("\n") == 1
