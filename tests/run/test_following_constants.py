"""Another constant in a script, and everything downstream follows."""

import json

import pandas as pd
import pytest

import collect
import eval_criticalband
import eval_imagenet_adv
import eval_imagenet_c
import eval_spectral
from bvg.analysis.measures import measures_of
from bvg.errors import UserError
from bvg.stimuli.imagenet_c import CORRUPTIONS, imagenet_c
from bvg.table.measures import HPP, LPP, SPECTRAL
from bvg.table.study_table import read_study_table


@pytest.fixture
def call(model_file, val_folder, tmp_path):
    """Return a function that runs a script and returns its metrics' values."""
    data = val_folder(6)

    def run(script, results: str, *words: str) -> dict[str, float | None]:
        argv = ["--model", f"{model_file}:one", "--imagenet", str(data), "--num_workers", "0"]
        assert script.main([*argv, "--results", str(tmp_path / results), *words]) == 0
        (path,) = (tmp_path / results).glob("*/*/summary.json")
        metrics = json.loads(path.read_text())["metrics"]
        return {key: metric["value"] for key, metric in metrics.items()}

    run.folder = tmp_path
    return run


def _table(call, results: str) -> pd.DataFrame:
    out = call.folder / f"{results}-table"
    assert collect.main(["--results", str(call.folder / results), "--out", str(out)]) == 0
    return read_study_table(out / "benchmark.csv").values


def test_another_cutoff_leaves_the_biases_as_they_are(call, monkeypatch):
    before = call(eval_spectral, "a")
    monkeypatch.setattr(eval_spectral, "CUTOFFS", (0.05, *eval_spectral.CUTOFFS, 0.25))
    after = call(eval_spectral, "b")
    assert {key: after[key] for key in before} == pytest.approx(before, nan_ok=True)
    assert "top1_acc/highpass/0.25" in after and "metric/bandpass/LFC/0.05" in after
    biases = measures_of(_table(call, "b")).biases
    for key in (LPP, HPP, SPECTRAL):
        assert biases.loc["one", key] == pytest.approx(before[key])
    figure = call.folder / "b" / "imagenet_spectral" / "spectral.png"
    assert figure.stat().st_size > 5_000


def test_other_mean_cutoffs_are_another_measure(call, monkeypatch):
    before = call(eval_spectral, "a")
    monkeypatch.setattr(eval_spectral, "MEAN_CUTOFFS", (0.1, 0.2))
    after = call(eval_spectral, "b")
    parts = [before[f"metric/bandpass/LFC/{cutoff}"] for cutoff in (0.1, 0.2)]
    assert after["metric/bandpass/LPP"] == pytest.approx(sum(parts) / 2)
    monkeypatch.setattr(eval_spectral, "MEAN_CUTOFFS", (0.1, 0.15))
    assert call(eval_spectral, "c")["metric/bandpass/LPP"] is None


def test_other_octaves_and_strengths_of_noise(call, monkeypatch):
    before = call(eval_criticalband, "a")
    monkeypatch.setattr(eval_criticalband, "BANDS", (-1, 0, 1, 2, 3, 4, 5, 6))
    monkeypatch.setattr(eval_criticalband, "DEVIATIONS", (0.04, 0.08, 0.16))
    after = call(eval_criticalband, "b")
    same = [
        key for key in before if key.startswith("top1_acc/criticalband/f=") and "0.02" not in key
    ]
    finer = [key for key in same if "/f=0/" not in key]  # f = 0 is the residual of seven levels
    assert len(finer) == 18
    assert {key: after[key] for key in finer} == {key: before[key] for key in finer}
    assert "top1_acc/criticalband/f=-1/sd=0.16" in after
    assert "metric/criticalband/bw_norm" in after
    assert {"top1_acc/criticalband/f=-1/sd=0.04"} <= set(_table(call, "b"))


def test_a_band_that_pixels_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="finest"):
        next(iter(eval_criticalband.critical_band(_grey(), (7,), (0.02,))))  # first: without noise
        list(eval_criticalband.critical_band(_grey(), (7,), (0.02,)))


def test_strengths_of_noise_that_are_not_octaves_are_refused():
    with pytest.raises(UserError, match="double"):
        next(iter(eval_criticalband.critical_band(_grey(), (1, 2), (0.04, 0.08, 0.12))))


def _grey():
    from stimulus_helpers import batch_of, photo_like

    return batch_of(photo_like(0))


def test_another_epsilon_is_a_column(call):
    found = call(eval_imagenet_adv, "a", "--attack", "fgsm", "--eps", "3/255")
    assert "top1_acc/FGSM/eps=3_255" in found
    assert "top1_acc/FGSM/eps=3_255" in _table_columns(call, "a")


def _table_columns(call, results: str) -> list[str]:
    out = call.folder / f"{results}-table"
    assert collect.main(["--results", str(call.folder / results), "--out", str(out)]) == 0
    return [*pd.read_csv(out / "benchmark.csv", nrows=0)]


def test_a_corruption_of_ones_own_with_a_sixth_severity(call, monkeypatch):
    darken = lambda batch, severity: batch.pixels * (1 - 0.15 * severity)  # noqa: E731
    monkeypatch.setitem(CORRUPTIONS, "darken", darken)
    monkeypatch.setattr(eval_imagenet_c, "ADDED", ("darken",))
    monkeypatch.setattr(eval_imagenet_c, "SEVERITIES", (1, 2, 3, 4, 5, 6))
    argv = ["--corruptions", "darken", "--severities", "5", "6", "--generate"]
    found = call(eval_imagenet_c, "a", *argv)
    assert found["top1_acc/darken"] == pytest.approx(
        (found["top1_acc/darken_5"] + found["top1_acc/darken_6"]) / 2
    )
    assert "top1_acc/imagenet-c" not in found or found["top1_acc/imagenet-c"] is None
    columns = _table_columns(call, "a")
    assert "imagenet_c_generated/top1_acc/darken_6" in columns
    with pytest.raises(UserError, match="fog is defined at severities 1 to 5"):
        imagenet_c(["fog", "darken"], [5, 6])
