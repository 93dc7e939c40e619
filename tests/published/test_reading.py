"""Publishers' files are read as they are, or refused with a sentence."""

import pytest

from bvg.errors import UserError
from bvg.published.reading import (
    NoFilesError,
    check_unique,
    find,
    javascript_objects,
    json_of,
    number,
    percent,
    rows_of,
)
from conftest import refusal
from published_helpers import QUBA, write_csv


def objects(text: str) -> list[dict[str, str]]:
    return javascript_objects(text, 0, "the page")


def test_a_javascript_literal_is_parsed():
    first, second = javascript_objects(QUBA, QUBA.index("[\n"), "the page")
    assert first["Model"] == second["Model"] == "Twin"
    assert first["Title"] == 'It\'s "deep", {really}: [1]'
    assert first["Architecture"].startswith(' <svg width="15">')
    assert [first[key] for key in ("Accuracy", "Corruption Robustness", "Calibration Error")] == [
        "0.5652",
        ".3442",
        "1.7e-3",
    ]
    assert (first["Text"], second["Size"]) == ("", "149.6")
    assert len(first) == len(second) == 15


@pytest.mark.parametrize(
    "text",
    [
        "[{a: 1}, {b: 2",  # cut
        "[{a: 1}, {b: 'x",
        "[{a: alert(1)}]",
        "[{a: {b: 1}}]",
        "[{a: [1, 2]}]",
        "[{a 1}]",
        "[1, 2]",
        "{a: 1}",
        "[{a: `x`}]",
        "",
    ],
)
def test_what_is_no_list_of_flat_objects_is_refused(text):
    assert "the page" in refusal(objects, text)


def test_trailing_commas_and_emptiness_are_no_faults():
    assert objects("[ ]") == []
    assert objects('[{a: -1.5e3, "b c": null,},\n ]') == [{"a": "-1.5e3", "b c": "null"}]


def test_rows_know_their_number_and_their_columns_in_any_order(tmp_path):
    path = write_csv(tmp_path / "x.csv", ["b", "a"], [[2, 1], [4, 3]])
    assert rows_of(path, ("a", "b")) == [("1", {"b": "2", "a": "1"}), ("2", {"b": "4", "a": "3"})]


@pytest.mark.parametrize(
    ("columns", "named"),
    [(["a"], "b"), (["a", "b", "c"], "c"), (["a", "a", "b"], "a"), (["a", "B"], "b")],
)
def test_other_columns_are_refused_by_name(columns, named, tmp_path):
    path = write_csv(tmp_path / "x.csv", columns, [[1] * len(columns)])
    sentence = refusal(rows_of, path, ("a", "b"))
    assert str(path) in sentence
    assert f"column {named}" in sentence
    assert "sources.toml" in sentence


@pytest.mark.parametrize(
    "text", ["", "a,b\n", "a,b\n1,2\n3\n", "a,b\n1,2,3\n", "a,b\n1,2\n\n3,4\n"]
)
def test_a_file_without_whole_rows_is_refused(text, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert str(path) in refusal(rows_of, path, ("a", "b"))


def test_numbers_have_no_noise_and_may_have_thousands_commas():
    assert number("1,014.45", "x") == 1014.45
    assert percent("0.5652", "x") == 56.52  # 100 * 0.5652 is 56.519999999999996
    assert percent("0.0079", "x") == 0.79
    assert number("86.50200653076172", "x", high=100) == 86.50200653076172


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-0.1", "100.1", "1,2", "1,0145", "1.2.3"])
def test_what_is_no_number_of_the_range_is_refused(text):
    assert "file, row 3" in refusal(lambda: number(text, "file, row 3", high=100))


def test_a_fraction_over_one_is_no_accuracy():
    assert "row 1" in refusal(percent, "56.52", "row 1")


def test_a_file_is_found_however_deep(tmp_path):
    deep = write_csv(tmp_path / "a" / "b" / "x.csv", ["x"], [[1]])
    assert find(tmp_path, "x.csv") == deep


def test_two_files_of_a_name_must_be_equal(tmp_path):
    write_csv(tmp_path / "a" / "x.csv", ["x"], [[1]])
    write_csv(tmp_path / "b" / "x.csv", ["x"], [[1]])
    assert find(tmp_path, "x.csv").parent.name == "a"
    write_csv(tmp_path / "b" / "x.csv", ["x"], [[2]])
    assert "differ" in refusal(find, tmp_path, "x.csv")


def test_no_file_is_an_error_of_its_own(tmp_path):
    with pytest.raises(NoFilesError, match=r"x\.csv"):
        find(tmp_path, "x.csv")


def test_two_rows_of_a_thing_are_refused_by_name(tmp_path):
    check_unique(tmp_path, ["a", "b"])
    assert "2 rows of b" in refusal(check_unique, tmp_path, ["a", "b", "b"])


def test_a_file_that_is_not_json_or_not_text_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{")
    assert str(path) in refusal(json_of, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError):
        json_of(path)
