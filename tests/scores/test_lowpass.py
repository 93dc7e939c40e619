"""Scores by filter, against the same scores of the filter's rows alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from bvg.data.model_vs_human import DATA_SETS
from bvg.predictions.table import Predictions
from bvg.scores.lowpass import by_filter, filter_of, filters_of, metrics_under, under_filter
from bvg.scores.model_vs_human import model_vs_human_metrics, rights
from bvg.scores.shape_bias import shape_bias_metrics
from model_vs_human_helpers import answers_of

FILTERS = ("unfiltered", "blur=1", "blur=2.5", "downsample=64")


def filtered(runs: dict[str, Predictions]) -> Predictions:
    """Return runs by filter as one: all filters of an image one after the other."""
    count, number = len(next(iter(runs.values()))), len(runs)
    order = np.arange(count * number).reshape(number, count).T.ravel()

    def woven(of) -> np.ndarray:
        return np.concatenate([of(run, name) for name, run in runs.items()])[order]

    def conditions(run: Predictions, name: str) -> np.ndarray:
        if name == "unfiltered":
            return run.conditions
        if set(run.conditions) == {"clean"}:
            return np.full(len(run), name, dtype=object)
        return np.array([f"{condition}/{name}" for condition in run.conditions], dtype=object)

    first = next(iter(runs.values()))
    return Predictions(
        first.classes,
        woven(lambda run, _: run.images),
        woven(conditions),
        woven(lambda run, _: run.labels),
        woven(lambda run, _: run.answers),
        woven(lambda run, _: run.confidence),
        {key: woven(lambda run, _, key=key: run.columns[key]) for key in first.columns},
    )


def runs_by_filter(names=tuple(DATA_SETS)) -> dict[str, Predictions]:
    """Return a model's answers under each filter: the stronger it is, the more are wrong."""
    return {
        name: answers_of(lambda d, c, n, w=w: (n * 7 + len(c) + len(d)) % 11 < w, 12, names)
        for w, name in enumerate(FILTERS, start=2)
    }


def humans_of(run: Predictions) -> dict[str, pd.DataFrame]:
    """Return two observers who are right on some of the images."""
    rng = np.random.default_rng(0)
    return {
        name: pd.DataFrame(rng.integers(0, 2, (len(table), 2)) * 1.0, table.index, ["a", "b"])
        for name, table in rights(run).items()
    }


def test_metrics_by_filter_are_those_of_the_filters_rows_alone():
    runs = runs_by_filter()
    score = partial(model_vs_human_metrics, humans=humans_of(runs["unfiltered"]))
    metrics = by_filter(filtered(runs), score)
    assert filters_of(metrics) == [*FILTERS]
    found = set()
    for name, run in runs.items():
        alone = score(run)
        under = metrics_under(metrics, name)
        assert under == {key: alone[key] for key in under}
        found |= alone.keys() - under.keys()
        for key in ("shape-bias", "top1_acc/ood_mean", "error-consistency/mean"):
            assert under[key].value is not None
        for data_set in DATA_SETS:
            assert {f"top1_acc/{data_set}", f"error-consistency/{data_set}"} <= under.keys()
    left_out = {key.partition("/")[2] for key in found}
    conditions = {f"{d}/{c}" for d, of in DATA_SETS.items() for c in of.conditions}
    assert all(key.startswith("category/") or key in conditions for key in left_out)
    assert "contrast/c50" in left_out
    assert len({metrics_under(metrics, name)["top1_acc/ood_mean"].value for name in FILTERS}) == 4


def test_images_without_conditions_of_their_own_have_the_filter_alone():
    runs = {
        name: replace(run, conditions=np.full(len(run), "clean", dtype=object))
        for name, run in runs_by_filter(("cue-conflict",)).items()
    }
    metrics = by_filter(filtered(runs), shape_bias_metrics)
    for name, run in runs.items():
        alone = shape_bias_metrics(run)
        under = metrics_under(metrics, name)
        assert under == {key: m for key, m in alone.items() if "/category/" not in key}
        assert "top1_acc/cue-conflict/congruent" in under


def test_the_rows_of_a_filter_are_a_run_without_filters():
    runs = runs_by_filter(("edge", "contrast"))
    both = filtered(runs)
    for name, run in runs.items():
        rows = under_filter(both, name)
        assert rows.conditions.tolist() == run.conditions.tolist()
        assert rows.images.tolist() == run.images.tolist()
        assert np.array_equal(rows.answers, run.answers)


def test_a_condition_names_its_filter():
    assert filter_of("clean") == filter_of("eidolonI/1-10-10") == "unfiltered"
    assert filter_of("blur=2.5") == filter_of("high-pass/0.45/blur=2.5") == "blur=2.5"
