"""A split of the published stimuli through real models, and the channels of published networks."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

import eval_critical_band_masking
import score_predictions
from bvg.data.critical_band_masking import TRIALS
from bvg.predictions.table import read_predictions
from oracles import straight_line

FACTORIES = ("mobilenet_v2", "mobilenet_v1_075", "mobilenet_v1_025")
NOISES = ("0", "0.02", "0.04", "0.08", "0.16")


def words_of(path: Path) -> tuple[str, int, str]:
    """Return SD, octave and category from a file's name."""
    parts = path.stem.split("_")
    return parts[2].removeprefix("noise"), int(parts[3].removeprefix("freq")), parts[6]


def thresholds_of(accuracy: np.ndarray) -> list[int]:
    """Return the thresholds at 50 % of a matrix (5, 7), from no noise upwards."""
    return [next((j for j in range(5) if accuracy[4 - j, f] > 50), 4) for f in range(7)]


def fitted(thresholds: list[int]) -> tuple[float, float, float]:
    """Return bandwidth, centre and peak sensitivity, by SciPy's finite differences."""
    (a, mu, sigma), _ = curve_fit(
        lambda x, a, mu, sigma: a * np.exp(-((x - mu) ** 2) / (2 * sigma**2)),
        np.arange(7),
        thresholds,
        p0=[1.0, 0.0, 1.0],
        bounds=((0, -np.inf, -np.inf), (4, np.inf, np.inf)),
    )
    return 2 * np.sqrt(np.log(4)) * abs(sigma), 1.75 * 2**mu, 2 ** (a - 4)


def test_three_models_decide_as_the_straight_line(fixtures, networks, tmp_path):
    root = fixtures / "critical-band" / "stimuli"
    words = ["--model", *(f"{fixtures}/models/mobilenet_tf.py:{name}" for name in FACTORIES)]
    words += ["--critical_band_masking", str(root), "--results", str(tmp_path)]
    assert eval_critical_band_masking.main([*words, "--partial", "--wandb", "disabled"]) == 0
    members = straight_line.read_members(fixtures)
    files = sorted((root / "0").glob("*.JPEG"))
    assert len(files) == 210
    for number, name in enumerate(FACTORIES):
        folder = tmp_path / "critical_band_masking" / name
        metrics = json.loads((folder / "summary.json").read_text())["metrics"]
        predictions = read_predictions(folder / "predictions.parquet")
        best = predictions.answers[:, 0]
        decided = dict(zip(predictions.images, best, strict=True))
        # Each model on some of the images, one at a time.
        for path in files[number :: 3 * len(FACTORIES)]:
            logits = straight_line.logits_of(networks[name], path, False)
            category = straight_line.category(logits, members)
            assert predictions.classes[decided[f"0/{path.name}"]] == category
        right: dict[tuple[str, int], list[bool]] = {}
        for path in files:
            sd, band, category = words_of(path)
            answer = predictions.classes[decided[f"0/{path.name}"]]
            right.setdefault((sd, 0 if sd == "0" else band), []).append(answer == category)
        assert len(right) == 29
        for (sd, band), trials in right.items():
            metric = metrics[f"top1_acc/critical-band/f={band}/sd={sd}"]
            assert metric["value"] == pytest.approx(100 * np.mean(trials))
            assert metric["n"] == len(trials)
        rows = [
            [100 * np.mean(right[sd, 0 if sd == "0" else f]) for f in range(7)] for sd in NOISES
        ]
        expected = fitted(thresholds_of(np.array(rows)))
        for key, value in zip(("bandwidth", "centre", "peak-sensitivity"), expected, strict=True):
            metric = metrics[f"critical-band/{key}"]
            if metric["value"] is None:
                assert metrics["critical-band/degenerate"]["value"] == 1
            else:
                assert metric["value"] == pytest.approx(value, rel=1e-3)
    assert metrics["top1_acc/critical-band/f=0/sd=0"]["n"] == 45


def test_channels_of_the_published_trials_are_those_of_the_table(fixtures, tmp_path):
    out = tmp_path / "channels.csv"
    trials = fixtures / "critical-band" / "networks"
    assert score_predictions.main(["--trials", str(trials), "--out", str(out)]) == 0
    first = json.loads(next(trials.glob("*.json")).read_text())
    counts = {sd: tuple(len(first[f"noise{sd}freq{f}"]) for f in range(7)) for sd in NOISES}
    assert counts == TRIALS
    found = pd.read_csv(out, keep_default_na=False)
    assert len(found) == 43 and (found["trials"] == 1050).all()
    table = pd.read_csv(fixtures / "published" / "external" / "critical_band_networks.csv")
    table = table.drop_duplicates("model").set_index("model").loc[found["model"]]
    columns = {"bandwidth": "BW", "centre": "CF", "peak-sensitivity": "PNS"}
    flat = []
    for (_, own), (name, published) in zip(found.iterrows(), table.iterrows(), strict=True):
        thresholds = ast.literal_eval(published["thresholds"])
        assert [int(step) for step in own["thresholds"].split()] == thresholds
        for measure, column in columns.items():
            if len(set(thresholds)) == 1 and column == "CF":  # rounding noise on a flat valley
                assert own["critical-band/centre"] > 1000 < published["CF"]
                flat.append(name)
            else:
                value = own[f"critical-band/{measure}"]
                assert value == pytest.approx(published[column], rel=5e-4), (name, column)
        # The publisher's seven accuracies without noise count alike in the table.
        assert own["without noise (%)"] == pytest.approx(published["clean16"], abs=1)
        assert bool(own["degenerate"]) == (published["BW"] > 7 or published["clean16"] < 50)
    assert len(flat) == 3
