"""Human decisions as published: who counts, and what is said of other folders."""

import gzip

import numpy as np
import pandas as pd
import pytest

from bvg.data.categories import CATEGORIES
from bvg.errors import UserError
from bvg.scores.humans import (
    fingerprint,
    human_decisions,
    humans_for,
    humans_of_one_set,
    locate_humans,
    read_human_cues,
    read_humans,
)
from conftest import refusal
from model_vs_human_helpers import write_humans


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


@pytest.mark.parametrize(
    ("condition", "image"),
    [("0", "0001_edg_s01_0_bear_00_bear3.png"), ("c05", "0001_x_s01_c05_bear_10_n01_2.png")],
)
def test_tables_of_another_data_set_are_refused(tmp_path, condition, image):
    write_humans(tmp_path, "silhouette", {"subject-01": lambda c, n: True}, 4)
    path = next((tmp_path / "silhouette").glob("*.csv"))
    row = f"subject-01,1,99,0.7,bear,bear,{condition},{image}\n"
    path.write_text(path.read_text() + row)
    expected = image if condition == "0" else condition
    assert expected in refusal(human_decisions, tmp_path / "silhouette")
    edge = tmp_path / "edge"
    (tmp_path / "silhouette").rename(edge)
    if condition == "0":
        assert len(human_decisions(edge)) == 5


@pytest.mark.parametrize("column", ["condition", "category"])
def test_a_column_that_was_sorted_without_the_others_is_noticed(tmp_path, column):
    pairs = [("c50", "bear"), ("c05", "cat"), ("c50", "cat"), ("c05", "bear")]
    table = pd.DataFrame(pairs, columns=["condition", "category"])
    table["imagename"] = [f"0001_cop_s01_{c}_{name}_10_n0{c}_{name}.png" for c, name in pairs]
    table = table.assign(subj="subject-01", session=1, trial=1, rt=0.7, object_response="bear")
    (tmp_path / "contrast").mkdir()
    table.to_csv(tmp_path / "contrast" / "a.csv", index=False)
    assert len(human_decisions(tmp_path / "contrast")) == 4
    spelled = table.assign(category=["Bear", "cat", "CAT", "bear"])
    spelled.to_csv(tmp_path / "contrast" / "a.csv", index=False)
    assert len(human_decisions(tmp_path / "contrast")) == 4
    table[column] = sorted(table[column])
    table.to_csv(tmp_path / "contrast" / "a.csv", index=False)
    assert column in refusal(human_decisions, tmp_path / "contrast")


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
    assert f"contains it, {right}, with --humans" in refusal(locate_humans, str(right / "contrast"))
    assert f"{right} does: give that" in refusal(locate_humans, str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert "the human decisions with --humans" in refusal(locate_humans, str(tmp_path / "empty"))
    assert "does not exist" in refusal(locate_humans, str(tmp_path / "none"))


def test_a_file_that_is_no_table_is_named(tmp_path):
    _write(tmp_path)
    (tmp_path / "contrast" / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"x\.csv is not a decision table"):
        read_humans(tmp_path)


def test_two_people_of_one_number_are_refused(tmp_path):
    _write(tmp_path)
    path = next((tmp_path / "contrast").glob("*subject-01*"))
    text = path.read_text()
    path.with_name("copy.csv").write_text(text)
    whole = read_humans(tmp_path)["contrast"]
    header, first, *_ = text.splitlines()
    word = first.split(",")[4]
    other = first.replace(f",{word},", ",na,", 1)
    path.with_name("other.csv").write_text(f"{header}\n{other}\n")
    said = refusal(read_humans, tmp_path)
    assert "subject-01" in said and "other.csv" in said and "number" in said
    path.with_name("other.csv").write_text(f"{header}\n{other.replace(',1,', ',2,', 1)}\n")
    assert read_humans(tmp_path)["contrast"].equals(whole)  # the first session counts


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


def _rewritten(path, change, name=None, encoding="utf-8"):
    """Write the table again, its text changed, perhaps under another name."""
    text = change(path.read_text())
    path.unlink()
    path.with_name(name or path.name).write_bytes(text.encode(encoding))


def _responses(change):
    """Return what changes the response (5th column) of every row but the header."""

    def changed(text):
        header, *rows = text.splitlines()
        cells = [row.split(",") for row in rows]
        return "\n".join([header, *(",".join([*c[:4], change(c[4]), *c[5:]]) for c in cells)])

    return changed


_SPELLINGS = {
    "title case": _responses(str.title),
    "blanks in front": _responses(lambda word: f"  {word}"),
    "no-break space": _responses(lambda word: f"{word}\u00a0"),
    "NA of R": _responses(lambda word: "NA" if word == "na" else word),
    "empty": _responses(lambda word: "" if word == "na" else word),
    "quoted": _responses(lambda word: f'"{word}"'),
    "British": lambda text: text.replace("airplane", "aeroplane"),
    "subjects": lambda text: text.replace("subject-0", "Subject_"),
    "all upper case": str.upper,
    "semicolons": lambda text: text.replace(",", ";"),
    "tabs and CRLF": lambda text: text.replace(",", "\t").replace("\n", "\r\n"),
    "byte-order mark": lambda text: "\ufeff" + text,
    "row names": lambda text: "\n".join(
        f'"{k or ""}",{line}' for k, line in enumerate(text.splitlines())
    ),
    "row names as of R": lambda text: "\n".join(
        f"{k},{line}" if k else line for k, line in enumerate(text.splitlines())
    ),
    "empty rows": lambda text: text + ",,,,,,,\n\n",
    "Windows paths": lambda text: text.replace(",00", ",C:\\stimuli\\00"),
    "no ending": lambda text: text.replace(".png", ""),
    "columns of one's own": lambda text: "\n".join(
        f"{line},{'note' if not k else 'tired'}" for k, line in enumerate(text.splitlines())
    ),
}


@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_spelling_that_leaves_no_doubt_changes_nothing(tmp_path, spelling):
    _write(tmp_path)
    before = read_humans(tmp_path)["contrast"]
    for path in [*(tmp_path / "contrast").iterdir()]:
        _rewritten(path, _SPELLINGS[spelling])
    after = read_humans(tmp_path)["contrast"]
    assert after.equals(before)
    assert after.loc["c100"].mean().tolist() == [0.5, 1.0]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig"])
def test_encodings_are_recognised(tmp_path, encoding):
    _write(tmp_path)
    before = read_humans(tmp_path)["contrast"].to_numpy()
    for path in [*(tmp_path / "contrast").iterdir()]:
        _rewritten(path, lambda text: text.replace("_x_", "_café_"), encoding=encoding)
    after = read_humans(tmp_path)["contrast"]
    np.testing.assert_array_equal(after.to_numpy(), before)


def test_other_systems_hidden_files_are_ignored_and_compressed_tables_read(tmp_path):
    _write(tmp_path)
    before = read_humans(tmp_path)["contrast"]
    (tmp_path / "contrast" / "._contrast_subject-01_session_1.csv").write_bytes(b"\0\5\26\7Mac")
    (tmp_path / "contrast" / ".hidden.csv").write_text("")
    path = tmp_path / "contrast" / "contrast_subject-01_session_1.csv"
    path.with_name("contrast_subject-01.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert read_humans(tmp_path)["contrast"].equals(before)


def test_a_table_that_is_there_twice_counts_once(tmp_path):
    _write(tmp_path, "cue-conflict")
    path = tmp_path / "cue-conflict" / "cue-conflict_subject-01_session_1.csv"
    before = read_human_cues(tmp_path)
    path.with_name("cue-conflict_subject-01_session_1 (1).csv").write_bytes(path.read_bytes())
    assert len(read_human_cues(tmp_path)) == len(before)


_WRONG = {
    "a misspelt response": (_responses(lambda word: "biycle"), "'biycle'"),
    "a number instead of a category": (_responses(lambda _: "3"), "'3'"),
    "an unknown condition": (lambda text: text.replace(",c50,", ",c55,"), "'c55'"),
    "a date instead of a condition": (lambda t: t.replace(",c50,", ",01.10.2010,"), "'01.10.2010'"),
    "a misspelt category": (lambda text: text.replace(",cat,", ",kat,"), "'kat'"),
    "no text at all": (lambda _: "", "is empty"),
    "only a header": (lambda text: text.splitlines()[0], "has no trial"),
    "cut off": (lambda text: text.rstrip().rpartition(",")[0], "incomplete row"),
    "another separator": (lambda text: text.replace(",", "|"), "has no column"),
    "a comma at the end of rows": (
        lambda text: "\n".join(
            line + "," * (k > 0) for k, line in enumerate(text.strip().splitlines())
        ),
        "contrast_subject-01",
    ),
    "a column that is there twice": (
        lambda text: "\n".join(
            f"{line},{'SESSION' if not k else 2}" for k, line in enumerate(text.splitlines())
        ),
        "the column session twice",
    ),
    "rows of any length": (lambda text: text + "1,2,3,4,5,6,7,8,9,10\n", "not a decision table"),
}


@pytest.mark.parametrize("what", _WRONG)
def test_what_is_unknown_is_refused_with_the_file(tmp_path, what):
    _write(tmp_path)
    change, said = _WRONG[what]
    _rewritten(tmp_path / "contrast" / "contrast_subject-01_session_1.csv", change)
    sentence = refusal(read_humans, tmp_path)
    assert said in sentence
    assert "contrast_subject-01_session_1.csv" in sentence


def test_a_texture_that_is_no_category_is_refused(tmp_path):
    _write(tmp_path, "cue-conflict")
    path = tmp_path / "cue-conflict" / "cue-conflict_subject-01_session_1.csv"
    _rewritten(path, lambda text: text.replace("0.png", "0-marble1.png"))
    assert "marble1" in refusal(read_human_cues, tmp_path)


def test_a_category_that_is_not_the_shape_is_refused(tmp_path):
    """As where the columns of categories and responses are swapped, or the texture is the label."""
    rows = [
        (k, "subject-01", 1, k, 0.5, "cat", "dog", "0", f"{k}_c_s_0_dog_0_dog{k}-cat1.png")
        for k in range(4)
    ]
    names = ["x", "subj", "session", "trial", "rt", "object_response", "category", "condition"]
    table = pd.DataFrame(rows, columns=[*names, "imagename"])
    path = tmp_path / "cue-conflict" / "cue-conflict_subject-01_session_1.csv"
    path.parent.mkdir()
    table.to_csv(path, index=False)
    assert len(read_human_cues(tmp_path)) == 4
    table.assign(category="cat").to_csv(path, index=False)
    assert "in the column category (4 row(s)), where the shape" in refusal(
        read_human_cues, tmp_path
    )


def test_observers_of_other_categories_may_have_them(tmp_path):
    """A world of one's own: all categories are other ones."""
    _write(tmp_path, "edge")
    words = {word: f"x{k}x" for k, word in enumerate(CATEGORIES)}

    def renamed(text):
        header, _, rows = text.partition("\n")
        for word, other in words.items():
            rows = rows.replace(word, other)
        return f"{header}\n{rows}"

    before = read_humans(tmp_path)["edge"].to_numpy()
    for path in [*(tmp_path / "edge").iterdir()]:
        _rewritten(path, renamed)
    np.testing.assert_array_equal(read_humans(tmp_path)["edge"].to_numpy(), before)


def test_no_human_in_a_folder_that_was_given_is_refused(tmp_path):
    write_humans(tmp_path, "edge", {"resnet50": lambda c, n: True}, 4)
    assert "none of humans" in refusal(humans_for, str(tmp_path), ["edge"])
    _write(tmp_path)
    assert humans_for(str(tmp_path), ["edge"]) is None
    assert [*humans_for(str(tmp_path), ["edge", "contrast"])] == ["contrast"]


def test_the_fingerprint_tells_decisions_apart_and_not_files(tmp_path):
    _write(tmp_path)
    one = fingerprint(read_humans(tmp_path))
    assert one.startswith("2 observers in 1 data set ")
    path = tmp_path / "contrast" / "contrast_subject-01_session_1.csv"
    _rewritten(path, str.title, "zzz.csv")
    assert fingerprint(read_humans(tmp_path)) == one
    path = path.with_name("zzz.csv")
    _rewritten(path, lambda text: text.replace(",Na,", ",Truck,", 1))
    other = fingerprint(read_humans(tmp_path))
    assert other == one  # a wrong answer instead of none is as wrong
    path.unlink()
    assert fingerprint(read_humans(tmp_path)) != one
    assert fingerprint(None) is fingerprint({}) is None
