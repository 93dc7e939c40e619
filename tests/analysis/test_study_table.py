import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from bvg.table.measures import STUDY_COLUMNS
from bvg.table.merging import NO_WEIGHTS
from bvg.table.study_table import read_study_table
from conftest import REPOSITORY, refusal
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


def test_rounding_errors_and_invisible_characters_are_removed(tmp_path):
    text = "model,\u200bshape-bias,top1_acc/imagenet\na\ufeff,-1e-12,100.00000000000001\n"
    table = read_study_table(table_of(text, tmp_path))
    assert table.values.loc["a"].tolist() == [0, 100]


@pytest.mark.parametrize("spelling", ["n.a.", "<NA>", "--", "\u2014", "."])
def test_other_programs_spell_missing_cells_otherwise(spelling, tmp_path):
    text = f"model,shape-bias,top1_acc/imagenet\na,{spelling},76\nb,0.2,70\n"
    values = read_study_table(table_of(text, tmp_path)).values["shape-bias"]
    assert np.isnan(values["a"]) and values["b"] == 0.2


@pytest.mark.parametrize("name", ["metric/suppression/texture/relative", "metric/bandpass/LFC/0.2"])
def test_percentages_of_ratios_are_divided_by_100(name, tmp_path):
    values = read_study_table(table_of(f"model,shape-bias,{name}\na,0.2,93%\n", tmp_path)).values
    assert values.loc["a", name] == 0.93


def test_a_point_alone_is_no_decimal_point(tmp_path):
    text = "model;shape-bias;top1_acc/imagenet\na;.;76,5\nb;0,2;.\n"
    values = read_study_table(table_of(text, tmp_path)).values
    assert np.isnan(values.loc["a", "shape-bias"]) and values.loc["b", "shape-bias"] == 0.2
    assert np.isnan(values.loc["b", "top1_acc/imagenet"])
    assert values.loc["a", "top1_acc/imagenet"] == 76.5


def test_a_models_name_is_never_taken_for_a_missing_value_or_a_number(tmp_path):
    values = read_study_table(table_of("model,shape-bias\n050,0.1\n1e3,0.2\n", tmp_path)).values
    assert [*values.index] == ["050", "1e3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Model,shape-bias\na,0.1\n", "has no column 'model': did you mean 'Model'?"),
        ("name,shape-bias\na,0.1\n", "has no column 'model'"),
        ("model,shape-bias,shape-bias\na,0.1,0.2\n", "two columns called 'shape-bias'"),
        ("model,shape_bias\na,0.1\n", "'shape_bias'; if 'shape-bias' is meant, rename it"),
        ("model,top1_acc/Imagenet\na,70\n", "if 'top1_acc/imagenet' is meant"),
        ("model,shape-bias,top1_acc/imagnet-v2\na,0.1,3\n", "if 'top1_acc/imagenet-v2' is meant"),
        ("model,speed\na,1\n", "none of the columns that are analysed"),
        ("model,shape-bias\na,0.1\na,0.2\n", "two different rows for 'a'"),
        ("model,shape-bias\n,0.1\n", "1 row(s) without a model's name"),
        ("model,shape-bias\n", "contains no models"),
        ("", "is empty"),
        ('model,shape-bias\na,"0,1"\n', "shape-bias of a is '0,1', not a number"),
        ("model,shape-bias\na,inf\n", "not a number"),
        ("model,css/72\na,0.5\nb,70 pairs\n", "css/72 of b is '70 pairs', not a number"),
        ("model,css/72\na,70\n", "css/72 of a is 70, which is not between 0 and 1"),
        ("model,shape-bias\na,1.2\n", "is 1.2, which is not between 0 and 1"),
        ("model,top1_acc/imagenet\na,-3\n", "is -3, which is not between 0 and 100"),
        ("model,top1_acc/imagenet\na,0.7\nb,0.8\n", "accuracies are in percent"),
        ("model,shape-bias\na,15%\nb,soon\n", "shape-bias of b is 'soon', not a number"),
        ("model;shape-bias\na;0,5\nb;0.7\n", "shape-bias of a is '0,5', not a number"),
        ("model;shape-bias\na;0,5;\n", "row 1 below the header has 3 cells, not 2"),
        (
            "model,top1_acc/imagenet,top1_acc/imagenet-r\na,70,.3\nb,80,.4\n",
            "top1_acc/imagenet-r is at most 0.4; accuracies are in percent",
        ),
        ("model,top1_acc/imagenet-sketch\na,.2\nb,.1\n", "accuracies are in percent"),
        ("model,shape-bias,top1_acc/imagenet (%)\na,0.1,70\n", "if 'top1_acc/imagenet' is meant"),
        ("model,metric/bandpass/LPP\na,-0.5\n", "is -0.5, which is not at least 0"),
        ("model,metric/bandpass/spectral-bias\na,1.5\n", "is 1.5, which is not between 0 and 1"),
        ("model|shape-bias\na|0.5\n", "not a table: its first line has no comma, semicolon or tab"),
        ("model,shape-bias,shape-bias \na,0.1,0.2\n", "two columns called 'shape-bias'"),
        ("model,shape-bias\na,0.1,5,6\n", "row 1 below the header has 4 cells, not 2"),
        ("model,shape-bias\na,0.1\n\nb\n", "row 2 below the header has 1 cells, not 2"),
    ],
)
def test_what_cannot_be_right_is_refused(text, words, tmp_path):
    assert words in refusal(read_study_table, table_of(text, tmp_path))


PLAIN = "model,shape-bias,top1_acc/imagenet,remark\na,0.1525,70.5,x\nb,,71.25,y\n"
GERMAN = PLAIN.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        GERMAN,
        GERMAN.replace(";", "\t"),
        GERMAN.replace("\n", "\r\n")
        .replace("remark", "remark;;")
        .replace("\r\na", "\r\na")
        .replace("x\r", "x;;\r")
        .replace("y\r", "y;;\r")
        + ";;;;;\r\n",
        "sep=;\r\n" + GERMAN,
        PLAIN.encode("utf-8-sig"),
        GERMAN.encode("utf-16"),
        "," + PLAIN.replace("\na", "\n0,a").replace("\nb", "\n1,b"),
        "Unnamed: 0," + PLAIN.replace("\na", "\n0,a").replace("\nb", "\n1,b"),
        PLAIN.replace("0.1525", "15.25%").replace("70.5", "70.5 %"),
        GERMAN.replace("0,1525", "15,25 %"),
        PLAIN.replace(",,", ",#N/A,"),
        PLAIN.replace(",,", ",NaN,"),
        PLAIN.replace(",", " , "),
        '"' + PLAIN.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
        PLAIN + PLAIN.splitlines()[1],
    ],
)
def test_tables_of_spreadsheets_and_pandas_are_read_alike(content, tmp_path):
    path = tmp_path / "benchmark.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    values = read_study_table(path).values
    expected = pd.DataFrame(
        {"shape-bias": [0.1525, np.nan], "top1_acc/imagenet": [70.5, 71.25]},
        index=pd.Index(["a", "b"], name="model"),
    )
    pd.testing.assert_frame_equal(values, expected, rtol=1e-15)


def test_a_first_column_without_a_name_is_the_models(tmp_path):
    table = read_study_table(table_of(",shape-bias\na,0.1\nb,0.2\n", tmp_path))
    assert table.values["shape-bias"].to_dict() == {"a": 0.1, "b": 0.2}
    assert "taken as the models' names" in table.notes[0]


def test_a_true_minus_sign_is_one(tmp_path):
    text = "model,shape-bias,own\na,0.1,−0.5\nb,0.2,1\n"
    assert read_study_table(table_of(text, tmp_path)).values["own"].tolist() == [-0.5, 1]


@pytest.mark.parametrize(
    "name",
    [
        "metric/bandpass/LFC/0.05",
        "metric/bandpass/LFC/0.15",
        "metric/bandpass/HFC/0.25",
        "top1_acc/imagenet-x",
        "top1_acc/imagenet-e",
        "top1_acc/imagenet-v3",
        "top1_acc/PGD-40/eps=1_255",
        "top1_acc/PGD-20/eps=0.5_255",
        "top1_acc/my_noise_1",
        "metric/criticalband/f=7/sd=0.32",
        "top1_acc/criticalband/f=7/sd=0.01",
    ],
)
def test_other_conditions_are_not_taken_for_slips(name, tmp_path):
    frame = made_up(3, names=("shape-bias", name))
    assert [*read_study_table(write(frame, tmp_path)).values] == ["shape-bias", name]


def test_no_column_of_a_full_run_is_a_slip_for_another_that_is_missing(tmp_path):
    frame = pd.read_csv(REPOSITORY / "raw-data" / "benchmark.csv", index_col="model")
    others = frame.drop(columns=[name for name in STUDY_COLUMNS if name != "shape-bias"])
    assert len(others.columns) > 500
    read_study_table(write(others, tmp_path))


def test_the_studys_attack_is_known_by_its_strength(tmp_path):
    text = "model,shape-bias,top1_acc/PGD-40/eps=1_510\na,0.1,18\n"
    assert read_study_table(table_of(text, tmp_path)).values.loc["a", "top1_acc/PGD-40/low"] == 18


def test_models_that_know_nothing_are_not_taken_for_shares(tmp_path):
    text = "model,top1_acc/imagenet,top1_acc/imagenet-v2\nuntrained,0.1,0.09\n"
    path = table_of(text, tmp_path)
    (tmp_path / "intervals.csv").write_text(
        "model,column,low,high,n,note\nuntrained,top1_acc/imagenet,0.07,0.13,50000,\n"
    )
    assert read_study_table(path).values.loc["untrained", "top1_acc/imagenet"] == 0.1
    text = "model,top1_acc/imagenet,top1_acc/imagenet-a,top1_acc/PGD-40/low\na,76.1,0.1,0.2\n"
    assert read_study_table(table_of(text, tmp_path)).values.loc["a", "top1_acc/imagenet-a"] == 0.1


ALIAS = "resnet50.tv_in1k"  # of the zoo's tv_resnet50


@pytest.mark.parametrize("names", [("tv_resnet50", ALIAS), (ALIAS, "tv_resnet50")])
def test_a_model_and_its_alias_are_one(names, tmp_path):
    text = "model,shape-bias,top1_acc/imagenet\n{},0.2,\nother,0.3,70\n{},0.2,76\n"
    table = read_study_table(table_of(text.format(*names), tmp_path))
    assert [*table.values.index] == [names[0], "other"]
    assert table.values.loc[names[0]].tolist() == [0.2, 76]
    assert f"{names[1]} is {names[0]} under another name" in table.notes[0]


def test_models_of_equal_weights_are_one_with_their_intervals(tmp_path):
    text = "model,shape-bias,top1_acc/imagenet\nmine,0.2,\nother,0.2,\ntv_resnet50,0.2,76\n"
    path = table_of(text, tmp_path)
    (tmp_path / "models.csv").write_text(
        "model,category,weights_sha256\nmine,own,aa\nother,own,bb\ntv_resnet50,baseline,aa\n"
    )
    (tmp_path / "intervals.csv").write_text(
        "model,column,low,high,n,note\nmine,shape-bias,0.1,0.3,9,\n"
        "tv_resnet50,shape-bias,0.15,0.25,9,\ntv_resnet50,top1_acc/imagenet,75,77,9,\n"
    )
    table = read_study_table(path)
    assert [*table.values.index] == ["mine", "other"]
    assert table.values.loc["mine", "top1_acc/imagenet"] == 76
    assert table.intervals.loc[("mine", "shape-bias")].tolist() == [0.1, 0.3, 9]
    assert table.intervals.loc[("mine", "top1_acc/imagenet"), "low"] == 75


@pytest.mark.parametrize(
    ("weights", "values", "models", "words"),
    [
        (("aa", "aa"), (0.2, 0.3), 2, "differ in shape-bias (0.2 and 0.3): both count"),
        (("aa", "bb"), (0.2, 0.2), 2, ""),  # another model under an alias's name
        ((NO_WEIGHTS, NO_WEIGHTS), (0.2, 0.2), 1, "under another name"),  # by the zoo
        (("", "bb"), (0.2, 0.2), 1, "under another name"),
    ],
)
def test_what_is_not_certain_is_said(weights, values, models, words, tmp_path):
    text = f"model,shape-bias\ntv_resnet50,{values[0]}\n{ALIAS},{values[1]}\n"
    path = table_of(text, tmp_path)
    (tmp_path / "models.csv").write_text(
        f"model,category,weights_sha256\ntv_resnet50,x,{weights[0]}\n{ALIAS},x,{weights[1]}\n"
    )
    table = read_study_table(path)
    assert len(table.values) == models
    assert words in " ".join(table.notes)
    assert bool(words) == bool(table.notes)


def test_observers_of_decision_tables_are_no_models(tmp_path):
    """Not even where their name is that of a model of the zoo, or other columns have humans."""
    path = table_of(
        "model,top1_acc/imagenet,shape-bias,decisions/shape-bias\n"
        "resnet50.tv_in1k,76,0.2,\nresnet50,,,0.3\nhumans,,0.96,\nhumans (lab),,,0.9\n"
        "resnet50-max-rule,,,0.1\nempty,,,\n",
        tmp_path,
    )
    table = read_study_table(path)
    assert [*table.values.index] == ["resnet50.tv_in1k", "empty"]
    (note,) = table.notes
    assert "resnet50, humans, humans (lab), resnet50-max-rule" in note


def test_summaries_of_rows_are_no_models(tmp_path):
    text = "model,top1_acc/imagenet\na,70\nb,80\nMean,75\nstd,7\ncount,200\nmeanshift,10\n"
    text += "Mittelwert,75\n25%,72\nMean (n=2),75\n"
    table = read_study_table(table_of(text, tmp_path))
    assert [*table.values.index] == ["a", "b", "meanshift"]
    assert "Mean, std, count" in table.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,shape-bias\nResNet50,0.1\nresnet50,0.2\n", "ResNet50 and resnet50 differ in case"),
        ("model,shape-bias\nmy net,0.1\nmy  net,0.2\n", "differ in case or spaces only"),
        ("model,shape-bias,shape-bias.1\na,0.1,0.2\n", "shape-bias.1 may be a second column"),
        (
            "model,top1_acc/imagenet,top1_acc/imagenet-v2\na,0.76,.65\nb,76,65\n",
            "All accuracies of a are at most 1 %",
        ),
        ("model,shape-bias,own\na,0.1,1\nb,0.2,inf\n", "own of b is 'inf', not a number"),
        ("model,shape-bias,Shape-Bias\na,0.1,0.2\n", "Shape-Bias may be a second column"),
        ("model,shape-bias\nu\u0308,0.1\n\u00fc,0.2\n", "differ in case or spaces only"),
        (
            "model,top1_acc/imagenet,top1_acc/imagenet-r\na,70,30\nb,71,.4\nc,70,32\n",
            "top1_acc/imagenet-r of b is at most 1 %",
        ),
        (
            "model,top1_acc/imagenet,top1_acc/imagenet-a\na,70,.3\nb,80,.4\n",
            "top1_acc/imagenet-a of a, b is at most 1 %",
        ),
        ("model,metric/bandpass/LPP\na,.5\nb,57\n", "LPP of b is above 2"),
    ],
)
def test_what_may_be_wrong_is_noted(text, words, tmp_path):
    (note,) = read_study_table(table_of(text, tmp_path)).notes
    assert words in note


def test_what_is_right_is_not_doubted(tmp_path):
    text = "model,shape-bias,shape-bias/blur=2,shape-bias/blur=2.5,top1_acc/imagenet\n"
    text += "a,0.1,0.2,0.3,76\nb,0.1,0.2,0.3,0\n"
    assert read_study_table(table_of(text, tmp_path)).notes == ()
    text = "model,top1_acc/imagenet,top1_acc/imagenet-a,metric/bandpass/LPP\n"
    text += "a,70,0.3,1.2\nb,80,20,0.5\n"
    assert read_study_table(table_of(text, tmp_path)).notes == ()
    text = "model,top1_acc/imagenet,top1_acc/imagenet-a\na,76.1,0.03\nb,74.2,0.9\n"
    assert read_study_table(table_of(text, tmp_path)).notes == ()


def test_a_changed_table_has_no_intervals_of_other_values(tmp_path):
    path = table_of("model,shape-bias,top1_acc/imagenet\na,0.2,70\nb,0.3,80\n", tmp_path)
    record = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    (tmp_path / "intervals.csv").write_text(
        "model,column,low,high,n,note\na,shape-bias,0.1,0.3,9,\na,top1_acc/imagenet,69,71,9,\n"
        "b,shape-bias,,,9,why\n"
    )
    assert len(read_study_table(path).intervals) == 3 and read_study_table(path).notes == ()
    path.write_text(path.read_text().replace("70", "76"))
    table = read_study_table(path)
    assert [*table.intervals.index] == [("a", "shape-bias"), ("b", "shape-bias")]
    assert "not as code/collect.py wrote it" in table.notes[0]


def test_a_table_of_observers_only_keeps_them(tmp_path):
    (tmp_path / "provenance.json").write_text("{}")
    path = table_of("model,decisions/shape-bias\nhumans,0.9\nnet,0.2\n", tmp_path)
    assert [*read_study_table(path).values.index] == ["humans", "net"]


def test_models_without_registered_weights_are_not_one(tmp_path):
    path = table_of("model,shape-bias\none,0.2\ntwo,0.2\n", tmp_path)
    (tmp_path / "models.csv").write_text(
        f"model,category,weights_sha256\none,x,{NO_WEIGHTS}\ntwo,x,{NO_WEIGHTS}\n"
    )
    assert len(read_study_table(path).values) == 2


def test_categories_may_use_an_alias(tmp_path):
    path = table_of(f"model,shape-bias\n{ALIAS},0.2\nother,0.3\n", tmp_path)
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"plain": ["tv_resnet50", "other"]}))
    table = read_study_table(path, chosen)
    assert table.categories.to_dict() == {ALIAS: "plain", "other": "plain"}
    assert table.notes == ()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("models.csv", "model,kind\na,x\n", "has no column 'category'"),
        ("intervals.csv", "model,column,low\na,shape-bias,1\n", "cannot be read"),
        ("intervals.csv", "model,column,low,high,n\na,shape-bias,few,1,1\n", "cannot be read"),
        (
            "intervals.csv",
            "model,column,low,high,n\na,shape-bias,0,1,1\na,shape-bias,0,.5,1\n",
            "two intervals of one cell",
        ),
    ],
)
def test_files_beside_the_table_that_cannot_be_right_are_refused(name, text, words, tmp_path):
    path = table_of("model,shape-bias\na,0.1\n", tmp_path)
    (tmp_path / name).write_text(text)
    sentence = refusal(read_study_table, path)
    assert words in sentence
    assert name in sentence


def test_files_beside_the_table_may_come_from_a_spreadsheet(tmp_path):
    path = table_of(GERMAN, tmp_path)
    (tmp_path / "models.csv").write_text("model;category;weights_sha256\na;mine;\nb;yours;\n")
    (tmp_path / "intervals.csv").write_text(
        "model;column;low;high;n;note\na;shape-bias;0,1;0,2;1200;\n"
    )
    table = read_study_table(path)
    assert table.categories.to_dict() == {"a": "mine", "b": "yours"}
    assert table.intervals.loc[("a", "shape-bias")].tolist() == [0.1, 0.2, 1200]


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "code/collect.py" in refusal(read_study_table, tmp_path / "benchmark.csv")
    (tmp_path / "benchmark.csv").write_bytes(b"\xff\xfe\x00\x80")
    assert "not a table" in refusal(read_study_table, tmp_path / "benchmark.csv")


def test_equal_rows_count_once_and_are_noted(tmp_path):
    table = read_study_table(table_of("model,shape-bias\na,0.1\nb,0.2\na,0.1\n", tmp_path))
    assert [*table.values.index] == ["a", "b"]
    assert table.notes[0].startswith("1 row(s) are duplicates")


def test_other_columns_may_hold_anything(tmp_path):
    table = read_study_table(table_of("model,shape-bias,remark\na,0.1,good\n", tmp_path))
    assert [*table.values] == ["shape-bias"]
    assert table.notes == ("Columns without numbers are skipped: remark.",)


def test_categories_of_the_user_select_and_order_models(tmp_path):
    path = write(made_up(4), tmp_path)
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"good": ["model_3", "gone"], "bad": ["model_1"]}))
    table = read_study_table(path, chosen)
    assert table.categories.to_dict() == {"model_3": "good", "model_1": "bad"}
    assert [*table.values.index] == ["model_3", "model_1"]
    assert table.notes == ("Without a row in the table: gone.",)


@pytest.mark.parametrize("name", ["adversarial", "Adversarially trained", "AT"])
def test_a_category_that_may_be_that_of_robust_models_is_noted(name, tmp_path):
    path = write(made_up(2), tmp_path)
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({name: ["model_0"], "attention": ["model_1"]}))
    (note,) = read_study_table(path, chosen).notes
    assert repr(name) in note and "group AT" in note


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
