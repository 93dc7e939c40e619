"""Decision tables of stimuli with conditions: published names and conditions, read back as sent."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from bvg.data.model_vs_human import DATA_SETS, condition_of
from bvg.scores.decision_table import (
    COLUMNS,
    correctness,
    decision_table,
    original_image,
    read_decisions,
    write_decisions,
)
from bvg.scores.model_vs_human import rights, split
from model_vs_human_helpers import answers_of


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("0001_cop_s01_c30_knife_10_n03041632_7380.png", "n03041632_7380"),
        ("0002_nse_dnn_0.90_knife_10_n03041632_82878.JPEG", "n03041632_82878"),
        ("0003_s5n_s01_0_dog_00_dog10-bicycle1.png", "dog10-bicycle1"),
        ("0720_ske_dnn_0_oven_00_oven-0021-sketch-27.png", "oven-0021-sketch-27"),
        ("edge/oven/oven10.png", "oven10"),
    ],
)
def test_the_image_is_the_original_files_name(name, image):
    assert original_image(name) == image


def test_tables_of_an_earlier_call_are_gone(tmp_path):
    """Of other weights, both rules may decide alike, and there may be other data sets."""
    table = decision_table(answers_of(lambda *_: 1, 5, ["edge"]), "net", "edg")
    both = [("edge", table), ("edge", table.assign(subj="net-max-rule")), ("sketch", table)]
    assert len(write_decisions(both, tmp_path)) == 3
    (tmp_path / "own.csv").write_text("a user's")
    assert write_decisions(both[:1], tmp_path) == [tmp_path / "edge_net_session-1.csv"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"edge_net_session-1.csv", "own.csv"}


@pytest.mark.parametrize("data_set", ["contrast", "edge", "sketch", "cue-conflict"])
def test_a_table_reads_back_with_published_names(data_set, tmp_path):
    rng = np.random.default_rng(0)
    predictions = answers_of(lambda *_: rng.integers(0, 2), 5, [data_set])
    table = decision_table(predictions, "net_1", "edg")
    (path,) = write_decisions([(data_set, table)], tmp_path)
    assert path.name == f"{data_set}_net-1_session-1.csv"
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    back = read_decisions(path)
    assert len(back) == len(predictions)
    for row, image in zip(back.itertuples(), predictions.images, strict=True):
        parts = row.imagename.split("_")
        assert parts[0] == f"{row.trial:04d}"
        assert (parts[3], parts[4]) == (row.condition, row.category)
        file = image.rpartition("/")[2]
        if data_set in ("edge", "cue-conflict"):
            assert row.imagename == f"{row.trial:04d}_edg_dnn_0_{row.category}_00_{file}"
        else:
            assert row.imagename == file
    ours = rights(predictions, "net_1")[data_set]
    theirs = correctness(back, partial(condition_of, data_set)).sort_index()
    assert (theirs["net_1"] == ours["net_1"]).all()
    assert len(theirs) == len(ours)


def test_conditions_of_the_table_are_as_the_file_writes_them():
    predictions = answers_of(lambda *_: 0, 1, ["high-pass"])
    predictions.images[1] = predictions.images[1].replace("_3.0_", "_3_")
    table = decision_table(split(predictions)["high-pass"], "net", "hp")
    assert table["condition"].tolist() == ["inf", "3", *DATA_SETS["high-pass"].conditions[2:]]


def test_the_session_is_the_folders():
    predictions = answers_of(lambda *_: 0, 1, ["rotation"])
    predictions.images[0] = predictions.images[0].replace("session-1", "session-2")
    assert decision_table(predictions, "net", "rot")["session"].tolist() == [2, 1, 1, 1]


def test_the_first_of_two_responses_counts_and_a_missed_one_is_wrong():
    table = decision_table(answers_of(lambda *_: 0, 2, ["edge"]), "net", "edg")
    again = table.assign(object_response="na")
    twice = correctness(pd.concat([table, again]), lambda c: c)
    assert twice["net"].tolist() == [1, 1]
    assert correctness(again, lambda c: c)["net"].tolist() == [0, 0]
