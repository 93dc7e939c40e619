import json

import numpy as np
import pandas as pd
import pytest

from analysis.study_table import read_study_table
from conftest import refusal
from study_helpers import made_up, write


def table_of(text: str, folder) -> str:
    path = folder / "benchmark.csv"
    path.write_text(text)
    return path


def test_numbers_come_back_to_the_last_digit(tmp_path):
    frame = made_up(5)
    table = read_study_table(write(frame, tmp_path))
    pd.testing.assert_frame_equal(table.values, frame, check_exact=True)
    assert set(table.categories) == {"unknown"}
    assert table.notes == ()
    assert table.intervals.empty


def test_missing_cells_in_every_spelling_are_missing(tmp_path):
    text = "model,shape-bias,top1_acc/imagenet\na,,70\nb,nan,NA\nc, 0.5 ,71\n"
    values = read_study_table(table_of(text, tmp_path)).values
    assert values.isna().to_numpy().tolist() == [[True, False], [True, True], [False, False]]
    assert values.loc["c", "shape-bias"] == 0.5


def test_a_models_name_is_never_taken_for_a_missing_value_or_a_number(tmp_path):
    values = read_study_table(table_of("model,shape-bias\n050,0.1\n1e3,0.2\n", tmp_path)).values
    assert [*values.index] == ["050", "1e3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Model,shape-bias\na,0.1\n", "has no column 'model': is it the one called 'Model'?"),
        ("name,shape-bias\na,0.1\n", "has no column 'model'"),
        ("model,shape-bias,shape-bias\na,0.1,0.2\n", "two columns called 'shape-bias'"),
        ("model,shape_bias\na,0.1\n", "'shape_bias'; if 'shape-bias' is meant, rename it"),
        ("model,top1_acc/Imagenet\na,70\n", "if 'top1_acc/imagenet' is meant"),
        ("model,shape-bias,top1_acc/imagnet-v2\na,0.1,3\n", "if 'top1_acc/imagenet-v2' is meant"),
        ("model,speed\na,1\n", "none of the columns that are analysed"),
        ("model,shape-bias\na,0.1\na,0.2\n", "two different rows for 'a'"),
        ("model,shape-bias\n,0.1\n", "1 row(s) without a model's name"),
        ("model,shape-bias\n", "has no model in it"),
        ("", "is empty"),
        ('model,shape-bias\na,"0,1"\n', "shape-bias of a is '0,1', not a number"),
        ("model,shape-bias\na,inf\n", "not a number"),
        ("model,shape-bias\na,1.2\n", "is 1.2, which is not between 0 and 1"),
        ("model,top1_acc/imagenet\na,-3\n", "is -3, which is not between 0 and 100"),
        ("model,top1_acc/imagenet\na,0.7\nb,0.8\n", "accuracies are in percent"),
        ("model,shape-bias\na,0.1,5,6\n", "row 1 below the header has 4 cells, not 2"),
        ("model,shape-bias\na,0.1\n\nb\n", "row 2 below the header has 1 cells, not 2"),
    ],
)
def test_what_cannot_be_right_is_refused(text, words, tmp_path):
    assert words in refusal(read_study_table, table_of(text, tmp_path))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "code/collect.py" in refusal(read_study_table, tmp_path / "benchmark.csv")
    (tmp_path / "benchmark.csv").write_bytes(b"\xff\xfe\x00\x80")
    assert "not a table" in refusal(read_study_table, tmp_path / "benchmark.csv")


def test_equal_rows_count_once_and_are_noted(tmp_path):
    table = read_study_table(table_of("model,shape-bias\na,0.1\nb,0.2\na,0.1\n", tmp_path))
    assert [*table.values.index] == ["a", "b"]
    assert table.notes[0].startswith("1 row(s) stood in the table twice")


def test_other_columns_may_hold_anything(tmp_path):
    table = read_study_table(table_of("model,shape-bias,remark\na,0.1,good\n", tmp_path))
    assert [*table.values] == ["shape-bias"]
    assert table.notes == ("Columns that hold no numbers are left out: remark.",)


def test_categories_of_the_user_select_and_order_models(tmp_path):
    path = write(made_up(4), tmp_path)
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"good": ["model_3", "gone"], "bad": ["model_1"]}))
    table = read_study_table(path, chosen)
    assert table.categories.to_dict() == {"model_3": "good", "model_1": "bad"}
    assert [*table.values.index] == ["model_3", "model_1"]
    assert table.notes == ("Without a row in the table: gone.",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be a JSON file"),
        ("{", "must be a JSON file"),
        ('{"a": 3}', "must be a JSON file"),
        ('{"a": ["model_0"], "b": ["model_0"]}', "model_0 is in a and in b"),
        ('{"a": ["gone"]}', "no model of"),
    ],
)
def test_wrong_categories_are_refused(text, words, tmp_path):
    path = write(made_up(2), tmp_path)
    chosen = tmp_path / "chosen.json"
    chosen.write_text(text)
    assert words in refusal(read_study_table, path, chosen)
    assert "must be a JSON file" in refusal(read_study_table, path, tmp_path / "no.json")


def test_categories_come_from_beside_the_table_else_from_the_zoo(tmp_path):
    frame = made_up(3)
    frame.index = pd.Index(["tv_resnet50", "mine", "resnet50.a1_in1k"], name="model")
    path = write(frame, tmp_path)
    zoo = {"tv_resnet50": "baseline", "mine": "unknown", "resnet50.a1_in1k": "training_recipes"}
    assert read_study_table(path).categories.to_dict() == zoo
    (tmp_path / "models.csv").write_text("model,category\nmine,home-made\ntv_resnet50,old\n")
    beside = read_study_table(path).categories.to_dict()
    assert beside == {**zoo, "mine": "home-made", "tv_resnet50": "old"}


def test_intervals_come_from_beside_the_table(tmp_path):
    path = write(made_up(2), tmp_path)
    (tmp_path / "intervals.csv").write_text(
        "model,column,low,high,n,note\nmodel_0,shape-bias,0.1,0.3,1200,\nmodel_1,shape-bias,,,,why\n"
    )
    intervals = read_study_table(path).intervals
    assert intervals.loc[("model_0", "shape-bias")].tolist() == [0.1, 0.3, 1200]
    assert np.isnan(intervals.loc[("model_1", "shape-bias"), "low"])
