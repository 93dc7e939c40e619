"""The loop: one decode per image, and results that do not depend on how the work is cut up."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bvg.predictions.table import read_predictions
from bvg.run import loop
from conftest import CLASSES
from noise_benchmark import NOISE


@pytest.fixture
def evaluate(model_file, val_folder, tmp_path):
    data = val_folder(10)

    def run(results: str, *words: str, models: tuple[str, ...] = ("one",)) -> Path:
        specs = [f"{model_file}:{name}" for name in models]
        argv = ["--model", *specs, "--data", str(data), "--results", str(tmp_path / results)]
        if "--num_workers" not in words:
            argv += ["--num_workers", "0"]
        assert NOISE.main([*argv, *words]) == 0
        return tmp_path / results / "noise"

    return run


def test_batch_size_workers_and_company_change_nothing(evaluate):
    reference = read_predictions(evaluate("a", "--batch_size", "40") / "one/predictions.parquet")
    variants = {
        "b": ("--batch_size", "1"),
        "c": ("--batch_size", "7"),
        "d": ("--batch_size", "7", "--num_workers", "2"),
    }
    for results, words in variants.items():
        other = read_predictions(evaluate(results, *words) / "one/predictions.parquet")
        np.testing.assert_array_equal(other.answers, reference.answers)
        np.testing.assert_allclose(other.confidence, reference.confidence, rtol=1e-5)
        assert list(other.images) == list(reference.images)
    together = evaluate("e", "--batch_size", "40", models=("two", "one"))
    alone = (together.parent.parent / "a/noise/one/predictions.parquet").read_bytes()
    assert (together / "one/predictions.parquet").read_bytes() == alone


def test_noise_is_the_images_own_and_the_seeds(evaluate):
    first = read_predictions(evaluate("a", "--batch_size", "8") / "one/predictions.parquet")
    noisy = first.conditions == "noise"
    assert (first.confidence[noisy] != first.confidence[~noisy]).any()
    seeded = read_predictions(evaluate("b", "--seed", "1") / "one/predictions.parquet")
    np.testing.assert_allclose(seeded.confidence[~noisy], first.confidence[~noisy], rtol=1e-5)
    assert not np.allclose(seeded.confidence[noisy], first.confidence[noisy], rtol=1e-3)
    limited = read_predictions(evaluate("c", "--limit", "8") / "one/predictions.parquet")
    known = {key: row for row, key in enumerate(zip(first.images, first.conditions, strict=True))}
    rows = [known[key] for key in zip(limited.images, limited.conditions, strict=True)]
    np.testing.assert_allclose(limited.confidence, first.confidence[rows], rtol=1e-5)
    assert np.bincount(limited.labels).tolist() == [4] * len(CLASSES)  # 2 conditions x 2 images
    complete = (evaluate("a", "--limit", "999") / "one" / "summary.json").read_text()
    assert json.loads(complete)["identity"]["protocol"]["limit"] is None  # of all images


def test_images_are_decoded_once_however_many_models_and_conditions(evaluate, monkeypatch, capsys):
    from bvg.data import loading

    decoded = []
    monkeypatch.setattr(
        loading,
        "decode",
        lambda path, decode=loading.decode: (decoded.append(path), decode(path))[1],
    )
    evaluate("a", models=("one", "two"))
    assert len(decoded) == len(set(decoded)) == 40
    out = capsys.readouterr().out
    assert "decoded 40 images once for 2 model(s): 80 stimuli, 160 model inputs" in out


def test_rows_are_ordered_by_image_then_condition(evaluate):
    predictions = read_predictions(evaluate("a", "--batch_size", "7") / "one/predictions.parquet")
    assert predictions.condition_names == ("clean", "noise")
    assert list(predictions.images[::2]) == sorted(set(predictions.images))
    assert list(predictions.images[::2]) == list(predictions.images[1::2])
    assert predictions.classes == CLASSES


def test_answers_are_what_the_model_says(evaluate, model_file, val_folder):
    from PIL import Image
    from torchvision import transforms

    from bvg.zoo.loading import load_model

    model = load_model(f"{model_file}:one")
    resize = transforms.Compose(
        [transforms.Resize(32), transforms.CenterCrop(24), transforms.ToTensor()]
    )
    predictions = read_predictions(evaluate("a") / "one/predictions.parquet")
    data = val_folder(10)
    clean = predictions.conditions == "clean"
    for image, answers, confidence in zip(
        predictions.images[clean],
        predictions.answers[clean],
        predictions.confidence[clean],
        strict=True,
    ):
        x = resize(Image.open(data / "val" / image).convert("RGB"))
        probabilities = model(x[None])[0].double().softmax(0)
        assert list(answers) == sorted(range(4), key=lambda k: -probabilities[k])
        assert confidence == pytest.approx(float(probabilities.max()), rel=1e-5)


def test_memory_is_bounded_by_the_chunk_not_by_the_set(evaluate, monkeypatch):
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 8)
    held = []
    original = loop._Pass._collect

    def collect(self, *arguments):
        done = original(self, *arguments)
        held.append(sum(len(rows["label"]) for run in self.runs for rows in run.rows))
        return done

    monkeypatch.setattr(loop._Pass, "_collect", collect)
    evaluate("a", "--batch_size", "4")
    assert len(held) == 10
    assert max(held) <= 8 * 2


def test_a_model_that_raises_midway_keeps_what_was_done(evaluate, model_file, capsys, monkeypatch):
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 8)
    model_file.write_text(
        model_file.read_text()
        + "\nclass Odd(Tiny):\n    calls = 0\n    def forward(self, x):\n"
        + "        self.calls += 1\n        assert self.calls < 11, 'I am tired'\n"
        + "        return super().forward(x)\ndef odd(): return Odd(1)\n"
    )
    with pytest.raises(AssertionError):
        evaluate("a", "--batch_size", "8", models=("odd",))
    err = capsys.readouterr().err
    assert "model odd failed on images of shape (8, 3, 24, 24) (AssertionError: I am" in err
    evaluate("a", "--batch_size", "8", models=("odd",))  # 7 calls are enough for the rest
    assert "odd: resuming at image 16 of 40" in capsys.readouterr().out


def test_a_decoding_process_that_dies_is_no_traceback(evaluate, monkeypatch, capsys):
    import os

    from bvg.data import loading

    monkeypatch.setattr(loading, "decode", lambda path: os._exit(1))
    with pytest.raises(AssertionError):
        evaluate("a", "--num_workers", "1")
    err = capsys.readouterr().err
    assert "a worker process that decodes images died" in err
    assert "--num_workers" in err


def test_bf16_runs_and_is_another_protocol(evaluate, capsys):
    folder = evaluate("a", "--precision", "bf16")
    summary = json.loads((folder / "one/summary.json").read_text())
    assert summary["identity"]["protocol"]["precision"] == "bf16"
    with pytest.raises(AssertionError):
        evaluate("a", "--precision", "fp32")
    assert "precision was bf16 and is now fp32" in capsys.readouterr().err


def test_a_model_that_gives_nan_is_refused_by_name(model_file, evaluate, capsys):
    model_file.write_text(
        model_file.read_text()
        + "\nclass Bad(Tiny):\n    def forward(self, x):\n"
        + "        return super().forward(x) * (float('nan') if len(x) > 5 else 1)\n"
        + "def bad(): return Bad(1)\n"
    )
    for precision in ("fp32", "bf16"):
        with pytest.raises(AssertionError):
            evaluate(precision, "--precision", precision, models=("bad",))
        err = capsys.readouterr().err
        assert "model bad returns NaN" in err
        assert "ant/ant_000.png (condition clean)" in err
        assert ("--precision fp32" in err) == (precision != "fp32")


@pytest.mark.parametrize("change", ["[:1]", ".flatten()", ".tolist()", ".argmax(1)"])
def test_outputs_that_are_no_logits_in_large_batches_only(change, model_file, evaluate, capsys):
    model_file.write_text(
        model_file.read_text()
        + "\nclass Bad(Tiny):\n    def forward(self, x):\n"
        + "        z = super().forward(x)\n"
        + f"        return z{change} if len(x) > 5 else z\n"
        + "def bad(): return Bad(1)\n"
    )
    with pytest.raises(AssertionError):
        evaluate("a", models=("bad",))
    err = capsys.readouterr().err
    assert "error: model bad returns" in err
    assert "Traceback" not in err


def _small_memory(monkeypatch, most: int) -> list[int]:
    """Let the model fail for want of memory with more than `most` images; return batches' sizes."""
    seen: list[int] = []
    forward = torch.nn.Linear.forward

    def limited(self, x):
        seen.append(len(x))
        if len(x) > most:
            raise torch.OutOfMemoryError("no memory")
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", limited)
    return seen


@pytest.mark.parametrize("most", [1, 5, 9])
def test_a_batch_that_does_not_fit_is_halved(evaluate, monkeypatch, capsys, most):
    whole = read_predictions(evaluate("a", "--batch_size", "16") / "one/predictions.parquet")
    seen = _small_memory(monkeypatch, most)
    capsys.readouterr()
    halved = read_predictions(evaluate("b", "--batch_size", "16") / "one/predictions.parquet")
    np.testing.assert_array_equal(halved.answers, whole.answers)
    np.testing.assert_allclose(halved.confidence, whole.confidence, rtol=1e-5)
    assert list(halved.images) == list(whole.images)
    captured = capsys.readouterr()
    assert "decoded 40 images once for 1 model(s): 80 stimuli, 80 model inputs" in captured.out
    said = [line for line in captured.err.splitlines() if "memory" in line]
    sizes = [16 >> k for k in range(1, 5) if 16 >> (k - 1) > most]
    assert [f"--batch_size {size} " in line for size, line in zip(sizes, said, strict=True)]
    assert max(seen[seen.index(16) + len(sizes) :]) <= most  # after that, no batch is too large


def test_a_halved_batch_of_which_a_part_is_done_is_completed(evaluate, monkeypatch):
    whole = read_predictions(evaluate("a", "--batch_size", "40") / "one/predictions.parquet")
    collect = loop._Pass._collect

    def killed(self, *arguments):
        done = collect(self, *arguments)
        if done == 14:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched, pytest.raises(AssertionError):
        patched.setattr(loop._Pass, "_collect", killed)
        evaluate("b", "--batch_size", "7")
    _small_memory(monkeypatch, 10)
    both = evaluate("b", "--batch_size", "40", models=("one", "two"))
    resumed = read_predictions(both / "one/predictions.parquet")
    assert list(resumed.images) == list(whole.images)
    np.testing.assert_array_equal(resumed.answers, whole.answers)
    np.testing.assert_allclose(resumed.confidence, whole.confidence, rtol=1e-5)


def test_a_memory_too_small_for_one_image_is_one_sentence(evaluate, monkeypatch, capsys):
    _small_memory(monkeypatch, 0)
    with pytest.raises(AssertionError):
        evaluate("a", "--batch_size", "16")
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("error: ") and "Traceback" not in err
