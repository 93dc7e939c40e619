"""The drawn world on disk: layout, names, re-runs, refusals, interruption."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miniature import draw, world
from miniature.sets import SETS

CONFLICT = "model-vs-human/cue-conflict"
SMALL = ["--per_class", "1", "--num_workers", "1", "--sets", "imagenet", CONFLICT]
CONFLICT_NAME = re.compile(r"([a-z]+)(\d+)-([a-z]+)(\d+)\.png")


@pytest.fixture(autouse=True)
def few_conflicts(monkeypatch):
    """One instance of each pair instead of five; one worker, so that the patch holds."""
    monkeypatch.setattr(world, "CONFLICT_INSTANCES", 1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a world as the command line writes it, drawn by two workers."""
    out = tmp_path_factory.mktemp("world") / "deep" / "set"
    command = [sys.executable, Path(draw.__file__), "--out", out, "--per-class", "2"]
    command += ["--num-workers", "2", "--sets", "imagenet", CONFLICT, "model-vs-human/colour"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=out.parents[1])
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a world as it is drawn in this process, with one instance of each pair."""
    out = tmp_path_factory.mktemp("small") / "w"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "CONFLICT_INSTANCES", 1)
        assert draw.main(["--out", str(out), *SMALL]) == 0
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def published(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()} - {draw.PARTIAL}


def test_validation_folders_hold_jpegs_named_as_in_imagenets_archive(drawn):
    names = {
        f"val/{c}/ILSVRC2012_val_{number:08d}.JPEG"
        for k, c in enumerate(world.CATEGORIES, start=1)
        for number in (k, 16 + k)
    }
    assert set(files(drawn / "imagenet")) == names
    file = drawn / "imagenet" / "val" / "arrow" / "ILSVRC2012_val_00000017.JPEG"
    with Image.open(file) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))
        drawn_as = world.render(0, "val", world.Picture(0, 0, 2), world.VAL_BORDER)
        difference = np.asarray(image).astype(int) - drawn_as
    assert np.abs(difference).mean() < 6


def test_cue_conflict_names_follow_the_published_convention(drawn):
    paths = sorted((drawn / CONFLICT).glob("*/*"))
    matches = [CONFLICT_NAME.fullmatch(path.name) for path in paths]
    assert len({path.name for path in paths}) == len(paths) == 1280
    shapes, n, textures, m = zip(*(match.groups() for match in matches if match), strict=True)
    assert list(shapes) == [path.parent.name for path in paths]
    assert set(shapes) == set(textures) == set(world.CATEGORIES)
    assert set(n) == set(m) == set("12345")
    assert sum(shape == texture for shape, texture in zip(shapes, textures, strict=True)) == 80


def test_a_cue_conflict_file_holds_the_shape_and_texture_of_its_name(drawn):
    with Image.open(drawn / CONFLICT / "bolt" / "bolt3-wave3.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (224, 224))
        expected = world.render(0, "cue-conflict", world.Picture(1, 15, 3))
        assert np.array_equal(np.asarray(image), expected)


def test_the_record_says_how_the_world_was_drawn(drawn):
    assert json.loads((drawn / "world.json").read_text()) == {
        "version": world.VERSION,
        "seed": 0,
        "per_class": 2,
        "files": {"imagenet": 32, CONFLICT: 1280, "model-vs-human/colour": 32},
    }
    assert not (drawn / draw.PARTIAL).exists()


def test_two_workers_in_another_process_draw_the_bytes_of_one_here(drawn, small):
    here, there = files(small), files(drawn)
    del here["world.json"]
    assert len(here) == 16 + 256
    assert all(there[name] == content for name, content in here.items())


def test_a_second_run_draws_nothing(drawn, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(draw, "save", None)  # calling it would raise
    before = files(drawn)
    again = ["--per_class", "2", "--num_workers", "1", "--sets", CONFLICT, "imagenet"]
    assert draw.main(["--out", str(drawn), *again]) == 0
    assert "already complete" in capsys.readouterr().out
    assert files(drawn) == before


def test_another_set_is_added_to_those_that_are_there(tmp_path, capsys):
    out = ["--out", str(tmp_path), "--num_workers", "1", "--per_class", "1", "--sets"]
    assert draw.main([*out, "imagenet"]) == 0
    before = files(tmp_path / "imagenet")
    assert draw.main([*out, "imagenet", "imagenet-real"]) == 0
    assert "2 data sets of 17 files, 1 of them drawn now" in capsys.readouterr().out
    assert files(tmp_path / "imagenet") == before
    recorded = json.loads((tmp_path / "world.json").read_text())["files"]
    assert recorded == {"imagenet": 16, "imagenet-real": 1}


def test_other_parameters_are_refused(tmp_path, capsys):
    out = ["--out", str(tmp_path / "w"), "--per_class", "1", "--num_workers", "1"]
    both = ["--sets", "imagenet", "imagenet-real"]
    assert draw.main([*out, *both]) == 0
    before = files(tmp_path / "w")
    capsys.readouterr()
    assert draw.main([*out, "--seed", "1", *both]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "seed 0" in message
    assert "seed 1" in message
    assert "--out" in message
    assert files(tmp_path / "w") == before
    assert draw.main(["--out", str(tmp_path / "other"), *out[2:], "--seed", "1", *both]) == 0
    after = files(tmp_path / "other")
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in after)


def test_a_missing_file_is_drawn_again(small, tmp_path):
    out = tmp_path / "w"
    shutil.copytree(small, out)
    (out / "imagenet" / "val" / "star" / "ILSVRC2012_val_00000014.JPEG").unlink()
    assert draw.main(["--out", str(out), *SMALL]) == 0
    assert files(out) == files(small)


def test_an_interrupted_run_leaves_only_whole_sets_under_their_names(tmp_path, monkeypatch):
    save, calls = draw.save, []

    def interrupted(name, seed, folder, picture):
        calls.append(picture)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return save(name, seed, folder, picture)

    with monkeypatch.context() as patch:
        patch.setattr(draw, "save", interrupted)
        assert draw.main(["--out", str(tmp_path), *SMALL]) == 130
    assert len(calls) == 40
    assert published(tmp_path) == {"imagenet", "world.json"}
    first = files(tmp_path / "imagenet")
    assert len(first) == 16
    calls.clear()
    monkeypatch.setattr(draw, "save", lambda *what: (calls.append(what), save(*what))[1])
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 0
    assert len(calls) == 256  # only the set that was not whole
    assert files(tmp_path / "imagenet") == first
    assert published(tmp_path) == {"imagenet", "model-vs-human", "world.json"}
    assert not (tmp_path / draw.PARTIAL).exists()


def test_a_run_killed_before_a_set_has_its_name_draws_it_again(tmp_path, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    out = ["--out", str(tmp_path), "--num_workers", "1", "--per_class", "1", "--sets", "imagenet"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        assert draw.main(out) == 130
    assert published(tmp_path) == {"world.json"}
    assert draw.main(out) == 0
    assert len(files(tmp_path / "imagenet")) == 16


def test_a_folder_of_someone_elses_images_is_left_alone(tmp_path, capsys):
    theirs = tmp_path / "imagenet" / "val" / "n01440764" / "a.JPEG"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 2
    assert "not drawn by this script" in capsys.readouterr().err
    assert files(tmp_path) == {"imagenet/val/n01440764/a.JPEG": b"precious"}


def test_a_path_that_cannot_be_a_folder_is_one_sentence_and_exit_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert draw.main(["--out", str(out), *SMALL]) == 2
        message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        assert "--out" in message


@pytest.mark.parametrize("text", ["{", "[]", "", '{"seed": 0}'])
def test_a_damaged_record_is_one_sentence_and_exit_2(tmp_path, capsys, text):
    (tmp_path / "world.json").write_text(text)
    assert draw.main(["--out", str(tmp_path), *SMALL]) == 2
    assert "damaged" in capsys.readouterr().err


def test_an_unknown_set_is_refused_with_those_that_there_are(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        draw.main(["--out", str(tmp_path), "--sets", "imagenet-y"])
    assert stop.value.code == 2
    assert "imagenet-sketch" in capsys.readouterr().err


def test_there_are_a_few_thousand_files_in_all():
    counts = {name: SETS[name].count(20) for name in SETS}
    assert counts.pop("imagenet-c") == 19 * 5 * 32
    assert sum(counts.values()) < 8_000
