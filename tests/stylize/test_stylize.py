"""stylize.py: a folder's copy, the same however it was interrupted."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylize
from bvg.stylize.adain import load_adain
from bvg.stylize.styles import keyed_draws, load_styles, style_picture
from conftest import draw, draw_val
from forks import fork
from stylize_helpers import write_published


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that stylizes a folder of 12 images in 5 styles with narrow networks."""
    draw_val(tmp_path / "images", 3)
    for k in range(5):
        draw(tmp_path / "styles" / f"{k}.png", 50 + k)
    write_published(tmp_path / "weights" / "adain", monkeypatch)

    def run(out: str = "out", *words: str, code: int = 0) -> Path:
        argv = ["--images", str(tmp_path / "images"), "--out", str(tmp_path / out)]
        argv += ["--styles", str(tmp_path / "styles"), "--weights_dir", str(tmp_path / "weights")]
        argv += ["--size", "32", "--batch_size", "4", "--device", "cpu"]
        assert stylize.main([*argv, *words]) == code
        return tmp_path / out

    return run


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*.*"))
        if path.suffix in (".png", ".JPEG", ".csv", ".json") and not path.name.startswith(".")
    }


def test_every_image_has_a_copy_in_the_style_that_the_manifest_names(run, tmp_path):
    out = run()
    rows = list(csv.DictReader((out / "manifest.csv").open()))
    images = sorted((tmp_path / "images").rglob("*.png"))
    assert [row["image"] for row in rows] == [
        path.relative_to(tmp_path / "images").as_posix() for path in images
    ]
    drawn = keyed_draws([row["image"] for row in rows], 0, 5)
    assert [row["style"] for row in rows] == [f"{k}.png" for k in drawn]
    assert len(set(drawn)) > 2
    engine = load_adain(tmp_path / "weights" / "adain", torch.device("cpu"))
    for row in rows:
        style = engine.encode(style_picture(tmp_path / "styles" / row["style"], 32)[None])
        with Image.open(tmp_path / "images" / row["image"]) as image:
            x0 = round((round(40 * 37 / 32) - 32) / 2)
            picture = image.resize((46, 37), Image.Resampling.BILINEAR)
            picture = picture.crop((x0, 2, x0 + 32, 34))
        expected = engine.stylize(np.asarray(picture)[None], style, 1.0)[0].astype(int)
        with Image.open(out / row["copy"]) as image:
            assert image.format == "PNG"
            assert np.abs(np.asarray(image) - expected).max() <= 1


def test_the_manifest_says_how_the_copies_were_made(run, tmp_path):
    record = json.loads((run() / "manifest.json").read_text())["stylizer"]
    assert record["engine"] == "adain" and set(record["weights"]) == {
        "vgg_normalised.pth",
        "decoder.pth",
    }
    assert (record["size"], record["alpha"], record["seed"]) == (32, 1.0, 0)
    assert record["styles"]["count"] == 5 and record["styles"]["style_size"] == 32


def test_gaps_are_filled_with_the_same_bytes(run, capsys):
    out = run()
    before = contents(out)
    assert len(before) == 14
    (out / "val/bee/bee_001.png").unlink()
    (out / "val/dog/dog_002.png").write_bytes(b"")
    run()
    assert "wrote 2 images" in capsys.readouterr().out.splitlines()[-1]
    assert contents(out) == before
    run("out", "--limit", "5")  # of which all copies exist: the manifest names the others, too
    assert contents(out) == before
    assert contents(run("again")) == before


def test_killed_and_run_again_is_the_same(run, tmp_path, monkeypatch):
    whole = contents(run("whole"))
    save, saved = stylize._save, []

    def killed_by_the_third(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(stylize, "_save", killed_by_the_third)
        patch.setattr(stylize.os, "cpu_count", lambda: 1)
        process = fork(run, said=tmp_path / "killed")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    halfway = contents(tmp_path / "out")
    assert sorted(halfway) == ["manifest.json", *sorted(whole)[2:5]]
    assert all(whole[name] == data for name, data in halfway.items())
    assert contents(run()) == whole


def test_other_settings_or_strangers_are_not_mixed_in(run, tmp_path, capsys):
    before = contents(run())
    for words, what in (
        (("--seed", "1"), "seed was 0 and is now 1"),
        (("--alpha", "0.5"), "alpha was 1.0 and is now 0.5"),
        (("--size", "64"), "size was 32 and is now 64"),
    ):
        run("out", *words, code=2)
        sentence = capsys.readouterr().err
        assert what in sentence and "--out" in sentence
    draw(tmp_path / "styles" / "new.png", 99)
    run("out", code=2)
    assert "--out" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before
    assert len(load_styles(tmp_path / "out" / "styles.npz").names) == 5
    draw(tmp_path / "foreign" / "photo.png", 1)
    run("foreign", code=2)
    assert "did not write" in capsys.readouterr().err
    for inside in ("images/inside", "styles/inside"):
        run(inside, code=2)
        assert "--out" in capsys.readouterr().err
    run("new", "--styles", str(tmp_path / "images" / "val"), code=2)
    assert "stylized, too" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_before_styles_are_encoded(run, tmp_path, monkeypatch):
    run()
    draw(tmp_path / "foreign" / "photo.png", 1)
    monkeypatch.setattr(stylize, "encoded", None)
    run("foreign", code=2)
    run("out", "--style_size", "48", code=2)


def test_a_subset_has_the_copies_that_the_whole_has(run):
    some, whole = run("some", "--limit", "5"), run("whole")
    few = {name: data for name, data in contents(some).items() if name.endswith(".png")}
    assert len(few) == 5
    for name in few:
        with Image.open(some / name) as one, Image.open(whole / name) as other:
            assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1


def test_bad_images_and_styles_are_named_and_the_others_made(run, tmp_path, capsys):
    (tmp_path / "images/val/cat/cat_001.png").write_bytes(b"no image")
    (tmp_path / "styles/2.png").write_bytes(b"no image")
    out = run("out", code=2)
    printed = capsys.readouterr()
    assert "1 styles cannot be used" in printed.out and "2.png" in printed.out
    assert "1 of 12 images" in printed.err and "cat_001.png" in printed.err
    rows = list(csv.DictReader((out / "manifest.csv").open()))
    assert len(rows) == 11 == len(list(out.rglob("val/*/*.png")))
    assert {row["style"] for row in rows} <= {"0.png", "1.png", "3.png", "4.png"}
    record = json.loads((out / "manifest.json").read_text())["images"]
    assert record["unreadable"] == ["val/cat/cat_001.png"] and record["count"] == 12
    run("out", "--limit", "1")  # which is another one
    assert json.loads((out / "manifest.json").read_text())["images"] == record
    draw(tmp_path / "images/val/ant/ant_001.png", 8, (50, 50))  # it has its copy
    run("out", code=2)
    assert "--out" in capsys.readouterr().err
    draw(tmp_path / "images/val/ant/ant_001.png", 1)
    (tmp_path / "images/val/cat/cat_001.png").unlink()  # the draws may depend on the number
    run("out", code=2)
    assert "12 and is now 11" in capsys.readouterr().err
    draw(tmp_path / "images/val/cat/cat_001.png", 7)
    run("out")
    assert contents(out) == contents(run("whole")) and len(contents(out)) == 14


def test_images_may_keep_their_sizes(run, tmp_path):
    draw(tmp_path / "images/val/ant/wide.jpg", 3, (70, 33))
    out = run("out", "--size", "0", "--style_size", "32", "--quality", "90")
    sizes = {path.stem: Image.open(path).size for path in out.rglob("val/*/*.JPEG")}
    assert len(sizes) == 13
    assert sizes.pop("wide") == (70, 33) and set(sizes.values()) == {(40, 32)}


def test_saved_styles_give_the_same_copies(run, tmp_path, capsys):
    pictures = contents(run())
    again = contents(run("again", "--styles", str(tmp_path / "out" / "styles.npz")))
    assert again == pictures
    run("other", "--styles", str(tmp_path / "out" / "styles.npz"), "--as_published", code=2)
    assert "--styles" in capsys.readouterr().err


def test_order_and_draws_as_published(run, tmp_path, capsys):
    for k in range(5):
        draw(tmp_path / "styles" / f"{k}.png", 50 + k, (230, 240))
    draw(tmp_path / "images" / "train" / "ant" / "0.png", 200)
    draw(tmp_path / "styles" / "small.png", 1, (230, 223))
    out = run("out", "--as-published")
    rows = list(csv.DictReader((out / "manifest.csv").open()))
    assert [row["image"].partition("/")[0] for row in rows] == ["val"] * 12 + ["train"]
    drawn = np.random.RandomState(49809)
    assert [row["style"] for row in rows] == [f"{drawn.randint(0, 5)}.png" for _ in range(13)]
    printed = capsys.readouterr().out
    assert "79,395" in printed and "50,000 of val/" in printed


def test_a_dry_run_writes_nothing(run, tmp_path, capsys):
    out = run("out", "--dry_run")
    assert not out.exists()
    assert "12 images in 4 folders, about" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--engine", "ghiasi", "--as_published"), "--engine adain"),
        (("--engine", "ghiasi", "--style_size", "100"), "--style_size"),
        (("--styles", "built-in"), "--engine ghiasi"),
        (("--styles", "nowhere"), "--styles"),
        (("--images", "nowhere"), "--images"),
    ],
)
def test_flags_that_do_not_fit(run, words, remedy, capsys):
    run("out", *words, code=2)
    assert remedy in capsys.readouterr().err
