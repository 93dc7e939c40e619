"""Frequency cue conflict: the Parquet file, the folders, and what is refused."""

import pytest

from bvg.data.frequency_cue_conflict import frequency_cue_conflict
from conftest import CLASSES, draw, refusal
from parquet_helpers import write_hybrids

PAIRS = [("ant", "bee"), ("bee", "cat"), ("cat", "dog"), ("dog", "ant"), ("ant", "ant")]


@pytest.mark.parametrize("place", ["x.parquet", "set/x.parquet", "set/data/x.parquet"])
def test_the_published_file_wherever_it_is(tmp_path, place):
    write_hybrids(tmp_path / place, PAIRS)
    given = tmp_path / "x.parquet" if place == "x.parquet" else tmp_path / "set"
    images = frequency_cue_conflict(given, CLASSES)
    assert images.names[:2] == ("ant/ant0-bee1.JPEG", "bee/bee1-cat2.JPEG")
    assert images.labels.tolist() == [0, 1, 2, 3, 0]
    assert images.columns["high"].tolist() == [1, 2, 3, 0, 0]
    assert images.view.keep_ready and images.notes == {}


def test_folders_as_published_elsewhere(tmp_path):
    for name in ("ant1-bee2", "bee3-ant1", "cat1-dog1", "dog2-cat12"):
        draw(tmp_path / name[:3] / f"{name}.JPEG", 1)
    images = frequency_cue_conflict(tmp_path, CLASSES)
    assert images.labels.tolist() == [0, 1, 2, 3]
    assert images.columns["high"].tolist() == [1, 0, 3, 2]
    draw(tmp_path / "ant" / "bee1-ant2.JPEG", 1)
    assert "bee1-ant2.JPEG is not named <low><n>-<high><m>" in refusal(
        frequency_cue_conflict, tmp_path, CLASSES
    )


def test_missing_categories_need_partial(tmp_path):
    file = write_hybrids(tmp_path / "x.parquet", PAIRS[:3])
    assert "--partial" in refusal(frequency_cue_conflict, file, CLASSES)
    assert len(frequency_cue_conflict(file, CLASSES, partial=True)) == 3


def test_missing_shards_need_partial(tmp_path):
    for shard in (PAIRS[:2], PAIRS[2:]):
        write_hybrids(tmp_path / f"test-{len(shard) - 2:05d}-of-00002.parquet", shard)
    (tmp_path / "test-00000-of-00002.parquet").rename(tmp_path / "first")
    sentence = refusal(frequency_cue_conflict, tmp_path, CLASSES)
    assert "test-00000-of-00002.parquet" in sentence and "--partial" in sentence
    assert len(frequency_cue_conflict(tmp_path, CLASSES, partial=True)) == 3


@pytest.mark.parametrize("pair", [("ant", "wasp"), ("wasp", "ant"), ("1", "2")])
def test_labels_that_are_no_categories_are_refused(tmp_path, pair):
    file = write_hybrids(tmp_path / "x.parquet", [*PAIRS, pair])
    assert "download.py frequency-cue-conflict" in refusal(frequency_cue_conflict, file, CLASSES)


def test_labels_and_names_must_agree_and_names_differ(tmp_path, monkeypatch):
    monkeypatch.setattr("parquet_helpers.hybrid_name", lambda k, low, high: f"{low}{k}-dog{k}.JPEG")
    file = write_hybrids(tmp_path / "x.parquet", PAIRS)
    assert "ant0-dog0.JPEG" in refusal(frequency_cue_conflict, file, CLASSES)
    monkeypatch.setattr("parquet_helpers.hybrid_name", lambda k, low, high: f"{low}1-{high}1.JPEG")
    file = write_hybrids(tmp_path / "x.parquet", [*PAIRS, PAIRS[0]])
    assert "ant1-bee1.JPEG twice" in refusal(frequency_cue_conflict, file, CLASSES)


def test_other_folders_are_refused(tmp_path):
    assert "--frequency_cue_conflict" in refusal(frequency_cue_conflict, tmp_path, CLASSES)
    missing = tmp_path / "missing"
    assert "--frequency_cue_conflict" in refusal(frequency_cue_conflict, missing, CLASSES)
