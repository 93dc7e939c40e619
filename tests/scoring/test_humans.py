"""Human decisions as published: who counts, and what is said of other folders."""

import pytest

from basics.errors import UserError
from conftest import refusal
from model_vs_human_helpers import write_humans
from scoring.humans import (
    human_decisions,
    humans_of_one_set,
    locate_humans,
    read_human_cues,
    read_humans,
)


def _write(root, name="contrast"):
    people = {"subject-01": lambda c, n: n % 2 == 0, "subject-02": lambda c, n: c == "c100"}
    return write_humans(root, name, people, 4)


def test_humans_are_read_and_models_tables_are_not(tmp_path):
    _write(tmp_path)
    write_humans(tmp_path, "contrast", {"resnet50": lambda c, n: True}, 4)
    (tmp_path / "performances").mkdir()
    right = read_humans(tmp_path)
    assert [*right] == ["contrast"]
    assert [*right["contrast"].columns] == ["subject-01", "subject-02"]
    assert right["contrast"].loc["c100"].mean().tolist() == [0.5, 1.0]
    assert right["contrast"].loc["c01"].mean().tolist() == [0.5, 0.0]
    assert set(human_decisions(tmp_path / "contrast")["subj"]) == {"subject-01", "subject-02"}


def test_a_folder_of_models_only_holds_no_humans(tmp_path):
    write_humans(tmp_path, "edge", {"resnet50": lambda c, n: True}, 4)
    assert read_humans(tmp_path) == {}
    assert read_human_cues(tmp_path) is None


def test_cue_conflict_decisions_are_there_for_the_shape_bias(tmp_path):
    _write(tmp_path, "cue-conflict")
    table = read_human_cues(tmp_path)
    assert len(table) == 8
    write_humans(tmp_path / "models", "cue-conflict", {"net": lambda c, n: True}, 4)
    assert read_human_cues(tmp_path / "models") is None


def test_a_false_folder_is_explained(tmp_path):
    _write(tmp_path / "raw-data")
    right = tmp_path / "raw-data"
    assert locate_humans(str(right)) == right
    assert "give the folder above it" in refusal(locate_humans, str(right / "contrast"))
    assert f"{right} does: give that" in refusal(locate_humans, str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert "holds no human decisions" in refusal(locate_humans, str(tmp_path / "empty"))
    assert "does not exist" in refusal(locate_humans, str(tmp_path / "none"))


def test_a_file_that_is_no_table_is_named(tmp_path):
    _write(tmp_path)
    (tmp_path / "contrast" / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"x\.csv is not a decision table"):
        read_humans(tmp_path)


def test_downloaded_decisions_are_used_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path))
    assert locate_humans(None) is None
    _write(tmp_path / "data" / "human-decisions")
    assert locate_humans(None) == tmp_path / "data" / "human-decisions"


def test_a_folder_of_models_tables_holds_no_humans(tmp_path):
    columns = "subj,session,trial,rt,object_response,category,condition,imagename"
    row = "alexnet,1,1,NaN,bicycle,airplane,0,0001_s5n_dnn_0_airplane_00_airplane1-bicycle2.png"
    (tmp_path / "cue_alexnet_session-1.csv").write_text(f"{columns}\n{row}\n")
    assert "but none of humans" in refusal(humans_of_one_set, str(tmp_path))
    human = row.replace("alexnet", "subject-01", 1)
    (tmp_path / "cue_subject-01_session-1.csv").write_text(f"{columns}\n{human}\n")
    assert humans_of_one_set(str(tmp_path))["subj"].tolist() == ["subject-01"]
