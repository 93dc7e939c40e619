"""The curve of a run: its file, its mirror on W&B, and its figure."""

import argparse
import csv
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bvg.data.preprocessing import Preprocessing
from bvg.figures import training as figure
from bvg.run import wandb_mirror
from bvg.scores.metric import Metric
from bvg.training.curve import read_curve, row_of, validation_sets, write_curve
from conftest import refusal
from training_helpers import CLASSES, draw_world

METRICS = {
    "shape-bias": Metric(0.1 + 0.2, 0.25, 1 / 3, 100),
    "fraction-correct-shape": Metric(0.3),
    "top1_acc/imagenet": Metric(60.18),
    "imagenet-x/pose/accuracy": Metric(0.5),
}


def rows(epochs: int) -> list:
    start = row_of(0, 0, None, None, {**METRICS, "shape-bias": Metric(None, note="none")})
    return [start, *(row_of(k, 5 * k, 0.1, 2 / 3, METRICS) for k in range(1, epochs + 1))]


def test_a_curve_is_read_as_it_was_written(tmp_path):
    write_curve(tmp_path / "A", rows(2), "training", {"seed": 0})
    found = read_curve(tmp_path / "A" / "curve.csv")
    before = (tmp_path / "A" / "curve.csv").read_bytes()
    write_curve(tmp_path / "A", found, "training", {"seed": 0})
    assert (tmp_path / "A" / "curve.csv").read_bytes() == before
    assert found[2]["shape-bias"] == 0.1 + 0.2 and found[2]["shape-bias/high"] == 1 / 3
    assert found[0]["shape-bias"] is None and found[0]["loss"] is None
    with open(tmp_path / "A" / "curve.csv", newline="") as file:
        assert next(csv.reader(file))[:6] == [
            "epoch",
            "step",
            "lr",
            "loss",
            "shape-bias",
            "shape-bias/low",
        ]
    assert read_curve(tmp_path / "none.csv") == []
    text = before.decode()
    for changed in (text.replace(",", ";"), text + "1,2\n", text.replace("0.1,", "0.1 %,"), "x"):
        (tmp_path / "changed.csv").write_text(changed)
        assert "restore" in refusal(read_curve, tmp_path / "changed.csv")


def test_wandb_has_one_run_whose_rows_are_epochs(tmp_path, monkeypatch):
    started, logged = [], []

    def init(**settings):
        started.append(settings)
        log = lambda row, step: logged.append((step, row))  # noqa: E731
        return SimpleNamespace(log=log, finish=lambda: None, url="")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Settings=dict))
    for epochs in (0, 1):
        path = write_curve(tmp_path / "A", rows(epochs), "training", {"seed": 0})
        wandb_mirror._log(path, tmp_path)
    assert [step for step, _ in logged] == [0, 0, 1]
    assert logged[2][1]["shape-bias"] == 0.1 + 0.2 and "shape-bias" not in logged[0][1]
    first, second = started
    assert first["id"] == second["id"] and first["project"] == "training" and first["name"] == "A"
    path = write_curve(tmp_path / "A", rows(1), "training", {"seed": 1})
    wandb_mirror._log(path, tmp_path)
    assert started[2]["id"] != first["id"]  # another run in the same folder


def test_the_figure_shows_every_run(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure, "save", lambda picture, path: drawn.append(picture) or [path])
    other = [{**row, "top1_acc/stylized-imagenet": 5.0 * k} for k, row in enumerate(rows(3))]
    figure.training_figure({"A": rows(2), "C": other}, tmp_path / "curve", milestones=(2, 9))
    shown = {axes.get_title(): axes for axes in drawn[0].axes if axes.get_title()}
    assert len(shown) == 5  # no decisions for texture were measured
    bias, stylized = shown["shape bias"], shown["top-1, stylized (%)"]
    epochs, values = bias.lines[1].get_data()
    assert [*epochs] == [0, 1, 2, 3] and np.allclose(values[1:], 0.3) and np.isnan(values[0])
    assert stylized.lines[1].get_ydata()[3] == 15
    assert len(bias.lines) == 3  # two runs, and the milestone that one of them reached
    (band, _) = bias.collections
    assert band.get_datalim(bias.transData).bounds[1] == pytest.approx(0.25)


def test_validation_sets_are_those_that_are_there(tmp_path, monkeypatch):
    world = draw_world(tmp_path / "world")
    shutil.rmtree(world / "sin" / "val")

    def found(**given):
        flags = {"imagenet": None, "stylized_imagenet": None, "partial": False}
        args = argparse.Namespace(stimuli=world / "stimuli", **{**flags, **given})
        return validation_sets(64, ("stylized-imagenet",), args, CLASSES)

    own = {"stylized_imagenet": world / "sin"}
    assert [*found(**own)] == ["imagenet_shape_bias"]
    both = found(**own, imagenet=world / "imagenet")
    assert [*both] == ["imagenet_shape_bias", "imagenet"]
    assert both["imagenet"].view == Preprocessing(73, 64)
    assert both["imagenet_shape_bias"].view == Preprocessing(64, 64, keep_ready=True)
    shutil.rmtree(world / "imagenet" / "val")
    assert [*found(**own, imagenet=world / "imagenet")] == ["imagenet_shape_bias"]
    assert "imagenet" in found(**own, imagenet=world / "imagenet" / "train")
    monkeypatch.setenv("BVG_IMAGENET", str(world / "elsewhere"))  # of other classes than the model
    assert [*found(**own)] == ["imagenet_shape_bias"]
