"""The tidy tables: written in one way only, read as they were written."""

import pytest

from bvg.published.reading import TOP1, Value
from bvg.published.sources import READERS
from bvg.published.tables import COLUMNS, read_published, read_sources, table_text, wide
from conftest import refusal

VALUES = [
    Value("b", TOP1, 56.52, "f.csv", "2", "size=288 crop=0.95", 50_000),
    Value("b", TOP1, 0.1 + 0.2, "f.csv", "1", "size=224 crop=0.95", 50_000),
    Value("a", "shape-bias", 0.25, "f, g.csv", "3", "", None, 'doubtful: "x"'),
]
SOURCES = "[one]\ncommitted = true\n[two]\ncommitted = false\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sources.toml").write_text(SOURCES)
    (tmp_path / "one.csv").write_text(table_text("one", VALUES))
    return tmp_path


def test_a_table_is_sorted_and_its_numbers_are_those_given():
    text = table_text("one", VALUES)
    assert text == table_text("one", VALUES[::-1])
    header, first, *_ = text.splitlines()
    assert header == ",".join(COLUMNS)
    assert first == 'one,a,,shape-bias,0.25,,"doubtful: ""x""","f, g.csv",3'
    assert "0.30000000000000004" in text


def test_what_was_written_is_read(folder):
    table = read_published(folder)
    assert table["value"].tolist() == [0.25, 0.30000000000000004, 56.52]
    assert table["size"].tolist() == ["", "224", "288"]
    assert table["n"].isna().tolist() == [True, False, False]
    assert table["row"].tolist() == ["3", "1", "2"]
    assert table["flag"].tolist() == ['doubtful: "x"', "", ""]


def test_a_source_that_is_not_in_the_repository_may_be_missing(folder):
    (folder / "two.csv").write_text(table_text("two", VALUES[:1]))
    assert set(read_published(folder)["source"]) == {"one", "two"}
    (folder / "one.csv").unlink()
    assert "one.csv" in refusal(read_published, folder)


@pytest.mark.parametrize(
    ("before", "after"), [("value", "values"), ("0.25", "much"), (",1\n", ",1,2\n")]
)
def test_a_table_that_was_changed_is_refused(before, after, folder):
    path = folder / "one.csv"
    path.write_text(path.read_text().replace(before, after))
    assert str(path) in refusal(read_published, folder)


def test_a_row_per_model_and_size(folder):
    frame = wide(read_published(folder), "one")
    assert frame.loc[("b", "288"), TOP1] == 56.52
    assert frame.shape == (3, 2)
    twice = [*VALUES, Value("b", TOP1, 1.0, "f.csv", "9", "size=224 crop=1")]
    (folder / "one.csv").write_text(table_text("one", twice))
    assert TOP1 in refusal(wide, read_published(folder), "one")


def test_every_source_is_described():
    about = read_sources()
    assert [*about] == [*READERS]
    for source, entry in about.items():
        for field in ("title", "citation", "address", "commit", "licence", "protocol"):
            assert entry[field], source
        assert entry["faults"] and entry["files"] and entry["models"] > 0
        free = entry["licence"].startswith(("MIT", "Apache-2.0", "CC BY 4.0"))
        assert entry["committed"] == free, source


def test_the_repository_s_tables_are_whole():
    table = read_published()
    for source, entry in read_sources().items():
        if entry["committed"]:
            own = table[table["source"] == source]
            assert own["model"].nunique() == entry["models"]
            assert not own.duplicated(["model", "protocol", "measure"]).any()
            assert (own["file"] != "").all()
            assert (own["row"] != "").all()
            wide(table, source)
    accuracies = table[table["measure"].str.startswith("top1_acc")]["value"]
    assert accuracies.between(0, 100).all()
    assert accuracies.max() > 90
    biases = table[table["measure"].isin(["shape-bias", "object-focus", "css/72"])]["value"]
    assert biases.between(0, 1).all()
    flags = table["flag"][table["flag"] != ""]
    assert flags.str.startswith(("corrected: ", "doubtful: ")).all()
