"""Visual anagrams: their layout, their labels, and what is refused."""

import pyarrow.parquet as pq
import pytest

from bvg.data.css import CLASSES, members_of, visual_anagrams
from bvg.data.imagenet import imagenet_classes
from conftest import refusal
from oracles.css import ANIMALS
from parquet_helpers import anagram_rows, write_anagrams

WNIDS = imagenet_classes()
NAMES = tuple(ANIMALS)


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return write_anagrams(tmp_path_factory.mktemp("anagrams"), anagram_rows())


def test_the_nine_classes_are_the_paper_s():
    assert {name: [*indices] for name, indices in CLASSES.items()} == ANIMALS
    assert members_of(NAMES, WNIDS) is CLASSES
    assert members_of(("b", "a"), ("a", "x", "b")) == {"b": (2,), "a": (0,)}


def test_the_complete_set(complete):
    images = visual_anagrams(complete, 72, WNIDS)
    rows = anagram_rows()
    assert len(images) == 144 and images.notes == {} and images.classes == NAMES
    assert images.names == tuple(row["filename"] for row in rows)
    assert [NAMES[label] for label in images.labels] == [row["label"] for row in rows]
    assert [NAMES[label] for label in images.columns["foil"]] == [row["foil"] for row in rows]
    assert images.columns["pair"].tolist() == [k for k in range(72) for _ in range(2)]
    assert images.columns["position"].tolist() == [0, 1] * 72
    assert images.view.squash == "pillow" and images.view.crop == 224


def test_shards_in_the_publisher_s_folder_are_one_set(tmp_path):
    rows = anagram_rows()
    (tmp_path / "pairs-72").mkdir()
    for number, part in enumerate((rows[:101], rows[101:])):  # a pair in both
        shard = write_anagrams(tmp_path / f"{number}", part) / "pairs-72.parquet"
        shard.rename(tmp_path / "pairs-72" / f"test-{number:05d}-of-00002.parquet")
    images = visual_anagrams(tmp_path, 72, WNIDS)
    assert images.names == tuple(row["filename"] for row in rows)
    assert images.path(143).parent.name == "test-00001-of-00002.parquet"


def test_other_class_numbers_are_the_same_classes(tmp_path):
    folder = write_anagrams(tmp_path, anagram_rows(), NAMES[::-1])
    images = visual_anagrams(folder, 72, WNIDS)
    assert images.classes == NAMES
    assert [NAMES[k] for k in images.labels] == [row["label"] for row in anagram_rows()]


@pytest.mark.parametrize("count", [142, 143])
def test_an_incomplete_set_needs_partial(tmp_path, count):
    folder = write_anagrams(tmp_path, anagram_rows()[:count])
    assert "--partial" in refusal(visual_anagrams, folder, 72, WNIDS)
    images = visual_anagrams(folder, 72, WNIDS, partial=True)
    assert images.notes["partial"]["images"] == len(images) == count
    assert images.notes["partial"]["expected_images"] == 144


def test_part_of_the_classes_still_are_decided_among_nine(tmp_path):
    folder = write_anagrams(tmp_path, anagram_rows(2))
    assert visual_anagrams(folder, 72, WNIDS, partial=True).classes == NAMES


WRONG = {
    "label": "wolf",  # not the one of its position
    "foil": "wolf",
    "object0": "wolf",
    "position": 2,
    "anagram_id": "001",  # a third image of that pair
    "filename": "001_transform_bear_cat_object0_bear.png",  # a second one of that name
}


@pytest.mark.parametrize("column", WRONG)
def test_rows_that_contradict_each_other_are_refused_even_if_partial(tmp_path, column):
    rows = anagram_rows()
    rows[0] = {**rows[0], column: WRONG[column]}
    folder = write_anagrams(tmp_path, rows)
    sentence = refusal(visual_anagrams, folder, 72, WNIDS, True)
    assert "python code/download.py visual-anagrams" in sentence


@pytest.mark.parametrize("column", ["filename", "anagram_id", "position", "label", "foil"])
def test_a_missing_column_is_named(tmp_path, column):
    folder = write_anagrams(tmp_path, anagram_rows(1))
    table = pq.read_table(folder / "pairs-72.parquet")
    pq.write_table(table.drop_columns([column]), folder / "pairs-72.parquet")
    assert column in refusal(visual_anagrams, folder, 72, WNIDS, True)


def test_other_folders_and_models_are_refused(complete, tmp_path):
    assert "--visual_anagrams" in refusal(visual_anagrams, tmp_path, 72, WNIDS)
    assert "pairs-1440" in refusal(visual_anagrams, complete, 1440, WNIDS)
    file = complete / "pairs-72.parquet"
    assert "--visual_anagrams" in refusal(visual_anagrams, file, 72, WNIDS)
    assert "bear" in refusal(visual_anagrams, complete, 72, ("ant", "bee"))
    others = [{k: "x" if v == "wolf" else v for k, v in row.items()} for row in anagram_rows()]
    folder = write_anagrams(tmp_path, others, (*NAMES[:-1], "x"))
    assert "images of x, which" in refusal(visual_anagrams, folder, 72, WNIDS)
