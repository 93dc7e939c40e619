"""The scripts of many conditions, as whole calls: eval_spectral.py and eval_criticalband.py."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval_criticalband
import eval_spectral
from bvg.figures import drawing
from bvg.predictions.table import read_predictions
from bvg.run import loop
from bvg.scores.accuracy import correct_in_top
from conftest import CLASSES
from forks import fork

BENCHMARKS = {
    "spectral": (eval_spectral, "imagenet_spectral", 23),
    "critical band": (eval_criticalband, "imagenet_criticalband", 29),
}


@pytest.fixture(params=BENCHMARKS)
def evaluate(request, model_file, val_folder, tmp_path):
    script, name, count = BENCHMARKS[request.param]
    data = val_folder(5)

    def run(results: str, *words: str, models: tuple[str, ...] = ("one",), code: int = 0) -> Path:
        argv = ["--model", *(f"{model_file}:{name}" for name in models)] if models else []
        argv += ["--imagenet", str(data), "--results", str(tmp_path / results)]
        argv += [] if "--num_workers" in words else ["--num_workers", "0"]
        assert script.main([*argv, *words]) == code
        return tmp_path / results / name

    run.count, run.name, run.main = count, name, script.main
    run.spectral = request.param == "spectral"
    return run


def test_batch_size_and_workers_change_no_prediction(evaluate):
    reference = read_predictions(evaluate("a", "--batch_size", "64") / "one/predictions.parquet")
    assert len(reference) == 20 * evaluate.count
    for number, (size, workers) in enumerate([("1", "0"), ("7", "2")]):
        words = ("--batch_size", size, "--num_workers", workers)
        other = read_predictions(evaluate(f"b{number}", *words) / "one/predictions.parquet")
        assert list(other.images) == list(reference.images)
        assert list(other.conditions) == list(reference.conditions)
        np.testing.assert_array_equal(other.answers, reference.answers)
        np.testing.assert_allclose(other.confidence, reference.confidence, rtol=1e-4)


def test_killed_and_resumed_is_the_same_to_the_last_byte(
    evaluate, model_file, val_folder, tmp_path, monkeypatch
):
    whole = evaluate("a", "--batch_size", "4") / "one" / "predictions.parquet"
    slow = model_file.with_name("slow.py")
    slow.write_text(
        f"import sys, time; sys.path.insert(0, {str(model_file.parent)!r})\nimport tiny\n"
        "def one():\n    model = tiny.one()\n"
        "    model.register_forward_hook(lambda *a: time.sleep(0.01))\n    return model\n"
    )
    argv = ["--model", f"{slow}:one", "--imagenet", str(val_folder(5)), "--batch_size", "4"]
    argv += ["--results", str(tmp_path / "b"), "--num_workers", "0"]
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 4)
    process = fork(evaluate.main, argv, said=tmp_path / "killed")
    partial = tmp_path / "b" / evaluate.name / "one" / "partial"
    deadline = time.monotonic() + 100
    while not [*partial.glob("chunk-*.parquet")]:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.join()
    assert 0 < len([*partial.glob("chunk-*.parquet")]) < 5
    assert evaluate.main(argv) == 0
    resumed = tmp_path / "b" / evaluate.name / "one" / "predictions.parquet"
    assert resumed.read_bytes() == whole.read_bytes()


def test_the_summary_has_every_condition_and_the_derived_measures(evaluate):
    folder = evaluate("a", models=("one", "two"))
    summary = json.loads((folder / "one" / "summary.json").read_text())
    metrics = summary["metrics"]
    predictions = read_predictions(folder / "one" / "predictions.parquet")
    correct = correct_in_top(predictions, 1)
    for condition in predictions.condition_names:
        metric = metrics[f"top1_acc/{condition}"]
        assert metric["value"] == 100 * correct[predictions.conditions == condition].mean()
        assert metric["low"] <= metric["value"] <= metric["high"] and metric["n"] == 20
    assert sum(key.startswith("top1_acc/") for key in metrics) == evaluate.count
    derived = {key for key in metrics if key.startswith("metric/")}
    if evaluate.spectral:
        assert {"metric/bandpass/LFC/0.1", "metric/bandpass/spectral-bias"} <= derived
        assert summary["identity"]["protocol"]["cutoffs"][:2] == [0.01, 0.1]
    else:
        assert {"metric/criticalband/bw_norm", "metric/criticalband/pns_interpolated"} <= derived
        assert not any("16" in key for key in derived)  # these four classes have no categories
        assert summary["identity"]["protocol"]["deviations"] == [0.02, 0.04, 0.08, 0.16]


def test_figures_are_written_and_shown_by_name(evaluate, capsys):
    folder = evaluate("a", models=("one", "two"))
    first = "spectral" if evaluate.spectral else "critical_band"
    out = capsys.readouterr().out
    for name in (first, "example_stimuli"):
        with Image.open(folder / f"{name}.png") as picture:
            assert min(picture.size) > 1.5 * drawing.DPI
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert f"wrote {folder / name}.png" in out
    assert any(line.startswith("two ") for line in out.splitlines())


def test_stimuli_are_saved_as_the_model_sees_them(evaluate, tmp_path, capsys):
    target = tmp_path / "stimuli"
    evaluate("a", "--save-stimuli", str(target), "--limit", "4", models=())
    assert f"wrote {4 * evaluate.count} stimuli of 4 images to {target}" in capsys.readouterr().out
    assert not (tmp_path / "a").exists()  # nothing was measured
    written = sorted(str(path.relative_to(target)) for path in target.rglob("*.png"))
    assert len(written) == 4 * evaluate.count
    sample = "lowpass/0.1" if evaluate.spectral else "criticalband/f=3/sd=0.08"
    chosen = [path for path in written if path.startswith(sample)]
    assert len(chosen) == 4 and {path.split("/")[-2] for path in chosen} == set(CLASSES)
    with Image.open(target / chosen[0]) as picture:
        assert picture.size == (224, 224) and picture.mode == "RGB"


def test_saving_stimuli_asks_of_how_many_images(evaluate, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        evaluate("a", "--save-stimuli", str(tmp_path / "stimuli"))
    assert "--limit N" in capsys.readouterr().err


def test_an_image_that_is_broken_is_refused_or_skipped(evaluate, val_folder, tmp_path, capsys):
    sorted((val_folder(5) / "val" / CLASSES[0]).iterdir())[0].write_bytes(b"no image")
    words = ("--save_stimuli", str(tmp_path / "stimuli"), "--limit", "4")
    evaluate("a", *words, models=(), code=2)
    sentence = capsys.readouterr().err
    assert "cannot be decoded (it is not an image)" in sentence and "--skip_bad_images" in sentence
    evaluate("a", *words, "--skip_bad_images", models=())
    assert f"wrote {3 * evaluate.count} stimuli" in capsys.readouterr().out


def test_with_a_model_stimuli_are_saved_and_measured(evaluate, tmp_path):
    words = ("--save_stimuli", str(tmp_path / "stimuli"), "--limit", "4")
    folder = evaluate("a", *words)
    assert (folder / "one" / "summary.json").exists()
    saved = [*(tmp_path / "stimuli").rglob("*.png")]
    assert len(saved) == 4 * evaluate.count


def test_other_sizes_work_or_are_refused_before_any_work(evaluate, model_file, tmp_path, capsys):
    model_file.write_text(
        model_file.read_text()
        + "\nfrom bvg.data.preprocessing import Preprocessing\n"
        + "def native():\n    model = Tiny(1)\n"
        + "    model.native = Preprocessing(resize=100, crop=90)\n    return model\n"
    )
    code = 0 if evaluate.spectral else 2
    evaluate("a", "--preprocess", "native", models=("native",), code=code)
    if not evaluate.spectral:
        assert "224 x 224 pixels" in capsys.readouterr().err
        assert not (tmp_path / "a" / evaluate.name).exists()


def test_a_model_that_changes_its_input_spoils_it_for_nobody(evaluate, model_file):
    model_file.write_text(
        model_file.read_text()
        + "\nclass Rude(Tiny):\n    def forward(self, x):\n"
        + "        logits = super().forward(x)\n        x.zero_()\n        return logits\n"
        + "def rude(): return Rude(1)\n"
    )
    folder = evaluate("a", models=("rude", "one"))
    rude, one = ((folder / name / "predictions.parquet").read_bytes() for name in ("rude", "one"))
    assert rude == one
