"""ImageNet-X's files: what is read, and files that are missing or something else."""

import json
from pathlib import Path

import pytest

from bvg.data.imagenet_x import (
    FACTORS,
    LABELS,
    PROTOTYPES,
    TOP_FACTOR,
    read_annotations,
    read_val_labels,
)
from conftest import refusal
from imagenet_x_helpers import entry, val_file, write_annotations

ENTRIES = [entry(7, 3, "pose"), entry(2, 9, None), entry(50_000, 999, "multiple_objects")]


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_annotations(tmp_path / "x", ENTRIES, labels={7: 3, 2: 9})


def test_each_image_has_its_class_and_its_factor(folder):
    found = read_annotations(folder)
    assert found.numbers.tolist() == [7, 2, 50_000]
    assert found.classes.tolist() == [3, 9, 999]
    assert [FACTORS[k] if k >= 0 else None for k in found.factors] == [
        "pose",
        None,
        "multiple_objects",
    ]
    assert read_val_labels(folder) == {7: 3, 2: 9}


def test_prototypes_do_not_count(folder):
    write_annotations(folder, ENTRIES, prototypes=[2, 4_711])
    assert read_annotations(folder).numbers.tolist() == [7, 50_000]
    write_annotations(folder, ENTRIES, prototypes=[2, 7, 50_000])
    assert len(read_annotations(folder).factors) == 0


@pytest.mark.parametrize("name", [TOP_FACTOR, PROTOTYPES])
def test_a_missing_file_is_named_with_what_to_do(folder, name):
    (folder / name).unlink()
    sentence = refusal(read_annotations, folder)
    assert name in sentence and "--imagenet_x" in sentence and "download.py" in sentence


@pytest.mark.parametrize(
    "bad",
    [
        "<!DOCTYPE html>",
        "[]",
        json.dumps(entry(7, 3, "pose")),  # a second time
        json.dumps({**entry(8, 3, "pose"), "style": 1}),  # two factors: the other file
        json.dumps({**entry(8, 3, "pose"), "pose": 2}),
        json.dumps({**entry(8, 3, "pose"), "class": "goldfish"}),
        json.dumps({**entry(8, 3, "pose"), "file_name": "n03633091_15528.JPEG"}),  # of training
        json.dumps({k: v for k, v in entry(8, 3, "pose").items() if k != "darker"}),
    ],
)
def test_lines_of_something_else(folder, bad):
    with open(folder / TOP_FACTOR, "a") as file:
        file.write(bad + "\n")
    sentence = refusal(read_annotations, folder)
    assert "line 4" in sentence and TOP_FACTOR in sentence and "download.py" in sentence


@pytest.mark.parametrize("content", ["", "name\na\n", "\0\0", f"file_name\n{val_file(1)[1:]}\n"])
def test_other_lists_of_prototypes(folder, content):
    (folder / PROTOTYPES).write_text(content)
    assert PROTOTYPES in refusal(read_annotations, folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "file_name\nval_1\n",
        f"file_name\n{val_file(1)}\n",
        f"file_name,label\n{val_file(1)},cat\n",
    ],
)
def test_other_tables_of_labels(folder, content):
    (folder / LABELS).write_text(content)
    assert LABELS in refusal(read_val_labels, folder)


def test_the_fingerprint_is_of_what_counts(tmp_path, folder):
    first = read_annotations(folder).fingerprint
    moved = write_annotations(tmp_path / "y", ENTRIES, prototypes=[1_000])
    assert read_annotations(moved).fingerprint == first
    others = {read_annotations(write_annotations(tmp_path / "z", ENTRIES[1:])).fingerprint}
    others.add(read_annotations(write_annotations(tmp_path / "z", ENTRIES, [2])).fingerprint)
    changed = [entry(7, 3, "style"), *ENTRIES[1:]]
    others.add(read_annotations(write_annotations(tmp_path / "z", changed)).fingerprint)
    assert len(others | {first}) == 4
