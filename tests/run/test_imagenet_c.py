"""eval_imagenet_c.py as whole calls, on published files and on generated corruptions."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval_imagenet_c
from bvg.data.imagenet_c import corruption_condition
from bvg.figures import drawing
from bvg.figures.stimulus_panel import DPI
from bvg.predictions.table import read_predictions
from bvg.stimuli.corruptions.frost_textures import load_frost
from bvg.stimuli.imagenet_c import CORRUPTIONS
from conftest import CLASSES, draw
from eval_imagenet_c import GROUPS, IMAGENET_C, STANDARD

FEW = ("--corruptions", "gaussian_noise", "contrast", "--severities", "5", "1")
CONDITIONS = ["gaussian_noise_1", "gaussian_noise_5", "contrast_1", "contrast_5"]


@pytest.fixture
def evaluate(model_file, tmp_path):
    def run(results: str, *words: str, models=("one",), code: int = 0) -> Path:
        argv = ["--model", *(f"{model_file}:{name}" for name in models)] if models else []
        argv += ["--results", str(tmp_path / results)]
        argv += [] if "--num_workers" in words else ["--num_workers", "0"]
        assert eval_imagenet_c.main([*argv, *words]) == code
        name = "imagenet_c_generated" if "--generate" in words else "imagenet_c"
        return tmp_path / results / name

    return run


@pytest.fixture
def generate(evaluate, val_folder):
    data = str(val_folder(5))
    return lambda results, *words, **more: evaluate(
        results, "--generate", "--imagenet", data, *FEW, *words, **more
    )


@pytest.fixture
def files(tmp_path) -> Path:
    """Return three images of four classes under four conditions, in the published layout."""
    for seed, condition in enumerate(CONDITIONS):
        corruption, _, severity = condition.rpartition("_")
        group = "noise" if corruption == "gaussian_noise" else "digital"
        for label, name in enumerate(CLASSES):
            for number in range(3):
                folder = tmp_path / "c" / group / corruption / severity / name
                draw(folder / f"{number}.JPEG", 100 * seed + 10 * label + number, (224, 224))
    return tmp_path / "c"


def metrics_of(folder: Path, model: str = "one") -> dict:
    return json.loads((folder / model / "summary.json").read_text())["metrics"]


def test_names_are_those_of_the_stimuli():
    assert IMAGENET_C.corruptions == tuple(CORRUPTIONS) and len(CORRUPTIONS) == 19
    assert [name for group in GROUPS.values() for name in group] == list(CORRUPTIONS)
    assert IMAGENET_C.subsets["15"] == tuple(STANDARD)
    assert corruption_condition("fog", 3) == "fog_3"


def test_published_files_are_measured_as_they_are(evaluate, files):
    folder = evaluate("a", "--imagenet_c", str(files), *FEW)
    predictions = read_predictions(folder / "one" / "predictions.parquet")
    assert list(dict.fromkeys(predictions.conditions)) == CONDITIONS
    assert len(predictions) == 4 * 12
    metrics = metrics_of(folder)
    right = predictions.answers[:, 0] == predictions.labels
    for condition in CONDITIONS:
        value = metrics[f"top1_acc/{condition}"]["value"]
        assert value == pytest.approx(100 * right[predictions.conditions == condition].mean())
    assert metrics["top1_acc/imagenet-c"]["value"] is None
    assert metrics["top1_acc/imagenet-c/measured"]["value"] == pytest.approx(100 * right.mean())
    summary = json.loads((folder / "one" / "summary.json").read_text())
    assert summary["identity"]["protocol"]["corruptions"] == ["gaussian_noise", "contrast"]
    assert summary["identity"]["protocol"]["severities"] == [1, 5]
    assert summary["images"]["resized_although_ready"] == 0
    for name in ("severities", "corruptions"):
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 0.5 * drawing.DPI
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_folder_may_be_named_by_the_environment(evaluate, files, monkeypatch, capsys):
    assert evaluate("a", *FEW, code=2)
    assert "BVG_IMAGENET_C" in capsys.readouterr().err
    monkeypatch.setenv("BVG_IMAGENET_C", str(files))
    assert metrics_of(evaluate("a", *FEW))


def test_a_limit_means_the_same_images_in_each_condition(evaluate, files):
    folder = evaluate("a", "--imagenet_c", str(files), *FEW, "--limit", "5")
    predictions = read_predictions(folder / "one" / "predictions.parquet")
    chosen = [list(predictions.images[predictions.conditions == c]) for c in CONDITIONS]
    assert chosen == [chosen[0]] * 4 and len(chosen[0]) == 5


def test_a_broken_image_is_left_out_of_every_condition(evaluate, files, capsys):
    (files / "digital/contrast/5/bee/1.JPEG").write_bytes(b"no image")
    words = ("--imagenet_c", str(files), *FEW)
    evaluate("a", *words, code=2)
    assert "contrast/5/bee/1.JPEG cannot be decoded" in capsys.readouterr().err
    metrics = metrics_of(evaluate("b", *words, "--skip_bad_images"))
    assert {metrics[f"top1_acc/{c}"]["n"] for c in CONDITIONS} == {11}


def test_generated_corruptions_are_decoded_once(generate, capsys):
    folder = generate("a", models=("one", "two"))
    out = capsys.readouterr().out
    assert "decoded 20 images once for 2 model(s): 100 stimuli, 200 model inputs" in out
    last = out[out.rindex("model  metric") :]
    assert "top1_acc/clean" in last and "top1_acc/imagenet-c/measured" in last
    assert "mCE" not in last  # not of two corruptions
    predictions = read_predictions(folder / "two" / "predictions.parquet")
    assert predictions.condition_names == ("clean", *CONDITIONS)
    assert metrics_of(folder)["top1_acc/clean"]["n"] == 20
    assert not (folder.parent / "imagenet_c").exists()
    with Image.open(folder / "example_stimuli.png") as picture:
        assert picture.size[1] > 2 * 224 * drawing.DPI / DPI


def test_the_panel_of_stimuli_has_a_row_per_corruption(generate, monkeypatch):
    asked = []
    monkeypatch.setattr(eval_imagenet_c, "stimulus_panel", lambda *words: asked.append(words) or [])
    generate("a")
    ((pictures, original, rows, columns, *_),) = asked
    assert set(pictures) == {"clean", *CONDITIONS} and original[0] == "clean"
    assert rows == {
        "gaussian\nnoise": ["gaussian_noise_1", "gaussian_noise_5"],
        "contrast": ["contrast_1", "contrast_5"],
    }
    assert list(columns) == [1, 5]


def test_batch_size_and_workers_change_no_prediction(generate):
    reference = read_predictions(generate("a") / "one/predictions.parquet")
    for number, (size, workers) in enumerate((("1", "0"), ("7", "2"))):
        words = ("--batch_size", size, "--num_workers", workers)
        other = read_predictions(generate(f"b{number}", *words) / "one/predictions.parquet")
        assert list(other.images) == list(reference.images)
        assert list(other.conditions) == list(reference.conditions)
        np.testing.assert_array_equal(other.answers, reference.answers)
        np.testing.assert_allclose(other.confidence, reference.confidence, rtol=1e-4)


def test_published_and_generated_are_never_mixed(generate, capsys):
    generate("a")
    for words, what in (
        (("--as_published",), "as_published was False and is now True"),
        (("--seed", "3"), "seed was 0 and is now 3"),
        (("--severities", "5"), "severities was [1, 5] and is now [5]"),
    ):
        generate("a", *words, code=2)
        assert what in capsys.readouterr().err
    generate("a", "--corruptions", "contrast", "gaussian_noise")  # in any order
    assert "already complete" in capsys.readouterr().out


def test_the_source_of_the_frost_is_recorded(evaluate, val_folder, tmp_path, monkeypatch):
    for seed in range(2):
        draw(tmp_path / "frost" / f"frost{seed}.png", seed, (300, 260))
    words = ("--generate", "--imagenet", str(val_folder(1)), "--severities", "1", "--corruptions")
    installed = []
    monkeypatch.setattr("bvg.stimuli.imagenet_c.published_frost", lambda: installed or None)

    def source(name: str, *more: str) -> str | None:
        folder = evaluate(name, *words, *more)
        summary = json.loads((folder / "one" / "summary.json").read_text())
        return summary["identity"]["protocol"]["frost"]

    assert source("a", "frost") == "procedural"
    photographs = source("b", "frost", "--frost", str(tmp_path / "frost"))
    assert re.fullmatch(r"2 photographs, [0-9a-f]{16}", photographs)
    assert source("c", "fog", "--frost", str(tmp_path / "frost")) is None
    installed += load_frost(tmp_path / "frost")  # from now on, the package is there
    assert source("d", "frost") == photographs
    assert source("e", "frost", "--frost", "procedural") == "procedural"
    assert source("f", "fog") is None


def test_a_result_with_drawn_frost_is_not_continued_with_photographs(
    evaluate, val_folder, tmp_path, monkeypatch, capsys
):
    words = ("a", "--generate", "--imagenet", str(val_folder(1)), "--severities", "1")
    words += ("--corruptions", "frost")
    monkeypatch.setattr("bvg.stimuli.imagenet_c.published_frost", lambda: None)
    evaluate(*words)
    draw(tmp_path / "frost" / "frost1.png", 1, (300, 260))
    photographs = load_frost(tmp_path / "frost")
    monkeypatch.setattr("bvg.stimuli.imagenet_c.published_frost", lambda: photographs)
    evaluate(*words, code=2)
    assert "frost was procedural and is now 1 photographs" in capsys.readouterr().err
    evaluate(*words, "--frost", "procedural")
    assert "already complete" in capsys.readouterr().out


def test_flags_that_would_have_no_effect_are_refused(evaluate, files, val_folder, capsys):
    val = str(val_folder(1))
    for words, what in (
        (("--imagenet_c", str(files), "--as_published"), "--as_published applies to"),
        (("--imagenet", val), "add --generate"),
        (("--generate", "--imagenet", val, "--imagenet_c", str(files)), "not --imagenet_c"),
        (("--imagenet_c", str(files), "--save_stimuli", "x", "--limit", "1"), "nothing to write"),
    ):
        evaluate("a", *words, code=2)
        assert what in capsys.readouterr().err
    for words in (("--corruptions", "rain"), ("--severities", "6"), ("--preprocess", "native")):
        with pytest.raises(SystemExit, match="2"):
            evaluate("a", "--generate", "--imagenet", val, *words)


def test_generated_stimuli_are_saved_without_a_model(generate, tmp_path):
    generate("a", "--save_stimuli", str(tmp_path / "stimuli"), "--limit", "4", models=())
    written = sorted(path.parts[-3] for path in (tmp_path / "stimuli").rglob("*.png"))
    assert written == sorted(4 * ["clean", *CONDITIONS])
