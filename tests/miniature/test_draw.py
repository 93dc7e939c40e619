"""The drawn world on disk: layout, names, re-runs, refusals, interruption."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miniature import draw, world

SMALL = ["--per_class", "1", "--num_workers", "1"]
CONFLICT_NAME = re.compile(r"([a-z]+)(\d+)-([a-z]+)(\d+)\.png")


@pytest.fixture(autouse=True)
def few_conflicts(monkeypatch):
    """One instance of each pair instead of five; one worker, so that the patch holds."""
    monkeypatch.setattr(world, "CONFLICT_INSTANCES", 1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a whole set as the command line writes it, drawn by two workers."""
    out = tmp_path_factory.mktemp("world") / "deep" / "set"
    script = Path(draw.__file__)
    command = [sys.executable, script, "--out", out, "--per-class", "2", "--num-workers", "2"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=out.parents[1])
    assert result.returncode == 0, result.stderr
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def published(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()} - {draw.PARTIAL}


def test_validation_folders_hold_jpegs_of_each_category(drawn):
    names = {f"{c}/{c}_{n:04d}.JPEG" for c in world.CATEGORIES for n in (1, 2)}
    assert set(files(drawn / "val")) == names
    with Image.open(drawn / "val" / "arrow" / "arrow_0002.JPEG") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))
        drawn_as = world.render(0, "val", world.Picture(0, 0, 2), world.VAL_BORDER)
        difference = np.asarray(image).astype(int) - drawn_as
    assert np.abs(difference).mean() < 6


def test_cue_conflict_names_follow_the_published_convention(drawn):
    paths = sorted((drawn / "cue-conflict").glob("*/*"))
    matches = [CONFLICT_NAME.fullmatch(path.name) for path in paths]
    assert len({path.name for path in paths}) == len(paths) == 1280
    shapes, n, textures, m = zip(*(match.groups() for match in matches if match), strict=True)
    assert list(shapes) == [path.parent.name for path in paths]
    assert set(shapes) == set(textures) == set(world.CATEGORIES)
    assert set(n) == set(m) == set("12345")
    assert sum(shape == texture for shape, texture in zip(shapes, textures, strict=True)) == 80


def test_a_cue_conflict_file_holds_the_shape_and_texture_of_its_name(drawn):
    with Image.open(drawn / "cue-conflict" / "bolt" / "bolt3-wave3.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (224, 224))
        expected = world.render(0, "cue-conflict", world.Picture(1, 15, 3))
        assert np.array_equal(np.asarray(image), expected)


def test_the_record_says_how_the_set_was_drawn(drawn):
    assert json.loads((drawn / "world.json").read_text()) == {
        "version": world.VERSION,
        "seed": 0,
        "per_class": 2,
        "counts": {"val": 32, "cue-conflict": 1280},
    }
    assert not (drawn / draw.PARTIAL).exists()


def test_two_workers_in_another_process_draw_the_bytes_of_one_here(drawn, tmp_path):
    assert draw.main(["--out", str(tmp_path / "w"), *SMALL]) == 0
    here, there = files(tmp_path / "w"), files(drawn)
    del here["world.json"]
    assert len(here) == 16 + 256
    assert all(there[name] == content for name, content in here.items())


def test_a_second_run_draws_nothing(drawn, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(draw, "save", None)  # calling it would raise
    before = files(drawn)
    assert draw.main(["--out", str(drawn), "--per_class", "2", "--num_workers", "1"]) == 0
    assert "there already" in capsys.readouterr().out
    assert files(drawn) == before


def test_other_parameters_are_refused_until_overwriting_is_asked_for(tmp_path, capsys):
    out = ["--out", str(tmp_path / "w"), *SMALL]
    assert draw.main(out) == 0
    before = files(tmp_path / "w")
    capsys.readouterr()
    assert draw.main([*out, "--seed", "1"]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "seed 0" in message
    assert "seed 1" in message
    assert "--overwrite" in message
    assert files(tmp_path / "w") == before
    assert draw.main([*out, "--seed", "1", "--overwrite"]) == 0
    after = files(tmp_path / "w")
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)


def test_a_missing_file_is_drawn_again(tmp_path, capsys):
    out = ["--out", str(tmp_path), *SMALL]
    assert draw.main(out) == 0
    before = files(tmp_path)
    (tmp_path / "val" / "star" / "star_0001.JPEG").unlink()
    assert draw.main(out) == 0
    assert files(tmp_path) == before


def test_an_interrupted_run_leaves_nothing_under_a_final_name(tmp_path, monkeypatch):
    save, calls = draw.save, []

    def interrupted(item, seed, folder):
        calls.append(item)
        if len(calls) == 40:
            raise KeyboardInterrupt
        save(item, seed, folder)

    with monkeypatch.context() as patch:
        patch.setattr(draw, "save", interrupted)
        assert draw.main(["--out", str(tmp_path), *SMALL]) == 130
    assert len(calls) == 40
    assert published(tmp_path) == set()
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"val", "cue-conflict", "world.json"}


def test_a_run_killed_while_publishing_is_completed_without_drawing(tmp_path, monkeypatch):
    real_rename = os.rename
    moved: list[Path] = []

    def killed(source, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        real_rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        assert draw.main(["--out", str(tmp_path), *SMALL]) == 130
    assert published(tmp_path) == {"val"}
    monkeypatch.setattr(draw, "save", None)
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"val", "cue-conflict", "world.json"}


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_a_folder_of_someone_elses_images_is_left_alone(tmp_path, capsys, flags):
    theirs = tmp_path / "val" / "n01440764" / "a.JPEG"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    assert draw.main(["--out", str(tmp_path), *SMALL, *flags]) == 2
    assert "not drawn by this program" in capsys.readouterr().err
    assert files(tmp_path) == {"val/n01440764/a.JPEG": b"precious"}


def test_a_path_that_cannot_be_a_folder_is_one_sentence_and_exit_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert draw.main(["--out", str(out), *SMALL]) == 2
        message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        assert "choose another --out" in message


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_damaged_record_is_one_sentence_and_exit_2(tmp_path, capsys, text):
    (tmp_path / "world.json").write_text(text)
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 2
    assert "damaged" in capsys.readouterr().err
