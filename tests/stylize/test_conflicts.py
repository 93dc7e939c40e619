"""Which content meets which texture: categories, the balanced design, lists, names."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from bvg.data.categories import CATEGORIES
from bvg.stylize.conflicts import (
    Pair,
    balanced,
    by_category,
    check_names,
    listed,
    name_of,
    short_name,
)
from conftest import refusal


def folder(root: Path, counts: dict[str, int], inside: bool = True) -> Path:
    """Return `root` with empty files: in folders of categories, or named by category."""
    for category, count in counts.items():
        place = root / category if inside else root
        place.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            (place / f"{category}{number}.png").touch()
    return root


def world(tmp_path, contents: dict[str, int], textures: dict[str, int]):
    return (
        by_category(folder(tmp_path / "contents", contents), "--contents"),
        by_category(folder(tmp_path / "textures", textures, inside=False), "--textures"),
    )


def test_the_design_is_balanced_as_the_published_one(tmp_path):
    contents, textures = world(
        tmp_path, dict.fromkeys(CATEGORIES, 10), dict.fromkeys(CATEGORIES, 3)
    )
    pairs = balanced(contents, textures, 5, seed=0)
    assert len(pairs) == len({name_of(contents, textures, pair) for pair in pairs}) == 1280
    of = [(contents.labels[pair.content], textures.labels[pair.texture]) for pair in pairs]
    assert Counter(Counter(of).values()) == {5: 256}
    assert sum(shape == texture for shape, texture in of) == 80
    meetings = Counter((pair.content, textures.labels[pair.texture]) for pair in pairs)
    assert set(meetings.values()) == {1}
    assert set(Counter(pair.content for pair in pairs).values()) == {8}
    assert set(Counter(pair.texture for pair in pairs).values()) == {26, 27}
    assert balanced(contents, textures, 5, seed=0) == pairs
    assert balanced(contents, textures, 5, seed=1) != pairs


@pytest.mark.parametrize(("contents", "textures", "per_pair"), [(7, 1, 3), (3, 9, 3), (11, 2, 4)])
def test_any_numbers_of_pictures_are_used_equally_often(tmp_path, contents, textures, per_pair):
    names = ("bee", "cat", "dog")
    folders = world(tmp_path, dict.fromkeys(names, contents), dict.fromkeys(names, textures))
    pairs = balanced(*folders, per_pair, seed=3)
    of = Counter((folders[0].labels[c], folders[1].labels[t]) for c, t in pairs)
    assert len(of) == 9 and set(of.values()) == {per_pair}
    for uses in (Counter(pair.content for pair in pairs), Counter(pair.texture for pair in pairs)):
        assert max(uses.values()) - min(uses.values()) <= 1
    assert max(Counter((c, folders[1].labels[t]) for c, t in pairs).values()) == 1


def test_designs_that_cannot_be_are_refused(tmp_path):
    contents, textures = world(tmp_path, {"bee": 4, "cat": 5}, {"bee": 1, "cat": 1})
    sentence = refusal(balanced, contents, textures, 5, 0)
    assert "bee has 4" in sentence and "--per_pair 4" in sentence
    assert len(balanced(contents, textures, 4, 0)) == 16
    contents, textures = world(tmp_path, {"bee": 5, "cat": 5, "dog": 5}, {})
    assert "no textures of dog" in refusal(balanced, contents, textures, 4, 0)
    contents, textures = world(tmp_path, {}, {"dog": 1, "elk": 1})
    assert "no contents of elk" in refusal(balanced, contents, textures, 4, 0)


def test_categories_and_numbers_come_from_folders_or_names(tmp_path):
    for name in ("cat10.png", "cat2.jpg", "hot-dog_07.png", "bee.png", "notes.txt"):
        (tmp_path / name).touch()
    images = by_category(tmp_path, "--contents")
    assert images.classes == ("bee", "cat", "hot-dog")
    shown = {file: short_name(images, k) for k, file in enumerate(images.files)}
    assert shown == {
        "bee.png": "bee1",
        "cat10.png": "cat10",
        "cat2.jpg": "cat2",
        "hot-dog_07.png": "hot-dog7",
    }
    for name in ("n01.JPEG", "n1.JPEG", "photo.JPEG"):  # not all numbered, or twice the same
        (tmp_path / "folders" / "cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "folders" / "cat" / name).touch()
    images = by_category(tmp_path / "folders", "--contents")
    assert [short_name(images, k) for k in range(3)] == ["cat1", "cat2", "cat3"]
    (tmp_path / "long" / "cat").mkdir(parents=True)
    (tmp_path / "long" / "cat" / "cat20261126185427000001.png").touch()
    assert short_name(by_category(tmp_path / "long", "--contents"), 0) == "cat1"
    (tmp_path / "empty").mkdir()
    assert "--textures" in refusal(by_category, tmp_path / "empty", "--textures")


def test_names_that_would_be_misread_are_refused(tmp_path):
    contents, textures = world(tmp_path, {"cat": 1, "mp3": 1, "a1-b": 1}, {"cat": 1, "hot-dog": 1})
    cat = contents.classes.index("cat")
    check_names(contents, textures, [Pair(cat, 0), Pair(cat, 1)])
    for category in ("mp3", "a1-b"):
        index = contents.files.index(f"{category}/{category}1.png")
        assert category in refusal(check_names, contents, textures, [Pair(index, 0)])


def test_a_list_names_pictures_by_file_or_number(tmp_path):
    contents, textures = world(tmp_path, {"bee": 2, "cat": 12}, {"bee": 3, "cat": 3})
    path = tmp_path / "pairs.csv"

    def write(*rows: tuple[str, ...]) -> Path:
        with open(path, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    write(("texture", "note", "content"), ("bee3", "", "cat/cat10.png"), ("cat1.png", "x", "bee2"))
    names = [name_of(contents, textures, pair) for pair in listed(path, contents, textures)]
    assert names == ["cat/cat10-bee3.png", "bee/bee2-cat1.png"]
    cases = {
        "content and texture": [("content", "style")],
        "line 3": [("content", "texture"), ("cat1", "bee1"), ("cat13", "bee1")],
        "textures": [("content", "texture"), ("cat1", "cat9")],
        "twice": [("content", "texture"), ("cat1", "bee1"), ("cat/cat1.png", "bee1.png")],
        "no pairs": [("content", "texture")],
    }
    for words, rows in cases.items():
        write(*rows)
        assert words in refusal(listed, path, contents, textures)
    path.write_bytes(b"content,texture\ncaf\xe91,bee1\n")
    assert "UTF-8" in refusal(listed, path, contents, textures)
    assert "--pairs" in refusal(listed, tmp_path / "none.csv", contents, textures)
