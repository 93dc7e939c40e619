"""Files among the images: what is read, what is counted, and names and links that are odd."""

import errno
import json
import os
from collections import Counter

import numpy as np
import pytest

import eval_imagenet
from bvg.data.folders import image_files, in_class_folders
from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.image_set import unused_sentence as said
from bvg.data.imagenet import imagenet_val
from bvg.data.imagenet_c import corruption_folders
from bvg.data.imagenet_ood import VARIANTS, variant_folder, variant_images
from bvg.data.imagenet_p import imagenet_p, read_frames
from bvg.data.shape_bias import cue_conflict
from bvg.predictions.table import read_predictions
from conftest import CLASSES, draw, refusal
from eval_imagenet_cbar import IMAGENET_CBAR


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_every_kind_of_file_that_is_not_read_is_counted(tmp_path):
    write(tmp_path, "ant/a.png", "ant/B.GIF", "bee/c.jp2", "cat/d.tga", "cat/e.Tiff", "dog/f.ppm")
    assert not in_class_folders(tmp_path, CLASSES).unused
    write(tmp_path, "ant/a.heic", "bee/b.HEIC", "ant/boxes.txt", "cat/img_0001", "cat/x.00017")
    write(tmp_path, "dog/spare/a.png", "dog/spare/b.jpg", "bee/deep/down/c.png", "loose.png")
    found = in_class_folders(tmp_path, CLASSES)
    assert found.files == [
        "ant/B.GIF",
        "ant/a.png",
        "bee/c.jp2",
        "cat/d.tga",
        "cat/e.Tiff",
        "dog/f.ppm",
    ]
    assert found.labels.tolist() == [0, 0, 1, 2, 2, 3]
    assert found.unused == {
        ".heic": 2,
        ".txt": 1,
        "other file": 2,
        "image in a deeper folder": 2,
        "folder with no images directly in it": 1,
        "image beside the class folders": 1,
    }


def test_hidden_files_and_what_file_browsers_leave_are_not_counted(tmp_path):
    write(tmp_path, "ant/a.png", "ant/.DS_Store", "ant/._a.png", "ant/Thumbs.db", "ant/desktop.ini")
    write(tmp_path, "._ant", ".DS_Store", "README.txt", "ant/.thumbnails/a.png")
    found = in_class_folders(tmp_path, CLASSES)
    assert found.files == ["ant/a.png"] and not found.unused
    (tmp_path / "bee").mkdir()  # empty
    assert in_class_folders(tmp_path, CLASSES).files == ["ant/a.png"]


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"]
)
def test_folders_of_operating_systems_are_no_classes(tmp_path, name):
    write(tmp_path, "ant/a.png", f"ant/{name}/a.png", f"{name}/x.jpg", f"{name}/y/x.jpg")
    images = imagenet_val(tmp_path, CLASSES, partial=True)
    assert images.files == ("ant/a.png",) and "unused" not in images.notes
    assert imagenet_val(tmp_path).classes == ("ant",)


def test_images_one_folder_deeper_are_read_where_their_class_is_certain(tmp_path):
    write(tmp_path / "flat", "ant/0.png", "ant/1.png", "bee/0.png")
    write(tmp_path / "deep", "ant/images/0.png", "ant/images/1.png", "bee/bee/0.png")
    flat, deep = (imagenet_val(tmp_path / name, CLASSES, True) for name in ("flat", "deep"))
    assert deep.names == flat.names and deep.fingerprint == flat.fingerprint
    assert (
        deep.path(2) == tmp_path / "deep" / "bee" / "bee" / "0.png" and "unused" not in deep.notes
    )
    write(tmp_path / "deep", "ant/2.png", "bee/other/3.png")
    images = imagenet_val(tmp_path / "deep", CLASSES, True)
    assert images.files == ("ant/2.png", "bee/bee/0.png")
    assert images.notes["unused"] == {"image in a deeper folder": 3}
    assert "3 x image in a deeper folder" in said(images)


def test_images_that_cannot_be_read_are_named_where_there_is_no_other(tmp_path):
    write(tmp_path, "ant/a.heic", "bee/b.heic")
    sentence = refusal(imagenet_val, tmp_path, CLASSES, True)
    assert "no readable image" in sentence and "2 x .heic" in sentence
    write(tmp_path / "packed", "validation-00000-of-00014.parquet")
    assert "1 x .parquet" in refusal(imagenet_val, tmp_path / "packed", CLASSES, True)


def test_a_link_to_no_class_folder_is_counted(tmp_path):
    write(tmp_path, "ant/a.png")
    (tmp_path / "bee").symlink_to("/nowhere/bee")
    (tmp_path / "cat").symlink_to(tmp_path / "ant")
    found = in_class_folders(tmp_path, CLASSES)
    assert found.files == ["ant/a.png", "cat/a.png"]
    assert found.unused == {"link to nothing beside the class folders": 1}


def test_flat_images_do_not_count_the_ground_truth(tmp_path):
    write(tmp_path, "n01440764_1.JPEG", "notes.md", "data/meta.mat", "more/n01440764_2.JPEG")
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n")
    images = imagenet_val(tmp_path, ("n01440764", "n01443537"), True)
    assert images.notes["unused"] == {".md": 1, "image in a deeper folder": 1}


def test_every_reader_counts(tmp_path):
    write(tmp_path / "r", "ant/a.png", "bee/a.bin", "cat/a.jpg")
    assert variant_images(tmp_path / "r", VARIANTS[2], CLASSES).notes["unused"] == {".bin": 1}
    write(tmp_path / "c", "sparkles/1/ant/a.png", "sparkles/1/ant/b.exr", "sparkles/2/ant/a.png")
    write(tmp_path / "c", "sparkles/2/ant/b.exr")
    images = corruption_folders(tmp_path / "c", IMAGENET_CBAR, CLASSES, ("sparkles",), (1, 2), True)
    assert images.notes["unused"] == {".exr": 2} and "2 x .exr" in said(images)
    write(tmp_path / "q", "ant/ant1-bee2.png", "ant/ant1-cat2.raw")
    assert cue_conflict(tmp_path / "q", CLASSES).notes["unused"] == {".raw": 1}
    for name in ("ant", "bee"):
        draw(tmp_path / "p" / "snow" / name / "s" / "0.png", 1)
    write(tmp_path / "p", "snow/ant/t.avi", "snow/bee/loose.png", "snow/bee/._t.mp4")
    images = imagenet_p(tmp_path / "p", CLASSES, ["snow"], True)
    assert list(images.names) == ["ant/s", "bee/s"]
    assert images.notes["unused"] == {".avi": 1, ".png": 1}


def test_frames_among_other_files_are_no_whole_sequence(tmp_path):
    for number in range(3):
        draw(tmp_path / f"img{number}.gif", number)
    assert len(read_frames(tmp_path)) == 3
    write(tmp_path, "img3.heic")
    with pytest.raises(ValueError, match=r"1 x \.heic"):
        read_frames(tmp_path)


def test_folders_that_may_not_be_read(tmp_path, monkeypatch):
    write(tmp_path, "ant/a.png", "bee/b.png", "lost+found/x")
    scan = os.scandir

    def scandir(path):
        if os.fspath(path).endswith(("bee", "lost+found")):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    sentence = refusal(in_class_folders, tmp_path, CLASSES)
    assert str(tmp_path / "bee") in sentence and "permission" in sentence.lower()
    assert variant_folder(tmp_path, VARIANTS[2]) == tmp_path  # looks into all folders


ODD = [b"caf\xe9.png", b"\xff\xfe.png", "café.png".encode()]


def test_names_that_are_not_utf_8_are_escaped(tmp_path):
    folder = tmp_path / "ant"
    folder.mkdir()
    for number, name in enumerate(ODD):
        draw(tmp_path / "plain.png", number).rename(os.fsdecode(os.fsencode(folder) + b"/" + name))
    images = imagenet_val(tmp_path, CLASSES, True)
    assert set(images.names) == {"ant/caf\\xe9.png", "ant/\\xff\\xfe.png", "ant/café.png"}
    "".join(images.names).encode()
    assert all(images.path(k).is_file() for k in range(3))
    assert images.fingerprint == imagenet_val(tmp_path, CLASSES, True).fingerprint
    assert len(class_balanced(images, 2, seed=0)) == 2
    assert images.select(np.array([1])).names == (images.names[1],)
    draw(folder / "caf\\xe9.png", 9)
    assert "rename one of them" in refusal(imagenet_val, tmp_path, CLASSES, True)


def test_the_escapes_leave_other_names_alone():
    names = ("a\\x00.png", "ünï.png", "日本.png")
    images = ImageSet(None, names, names, np.zeros(3, int), CLASSES)
    assert images.names == names


def run(tmp_path, *words):
    argv = [
        "--model",
        f"{tmp_path}/tiny.py:one",
        "--results",
        str(tmp_path / "results"),
        "--imagenet",
        str(tmp_path / "data"),
        "--partial",
        "--num_workers",
        "0",
    ]
    code = eval_imagenet.main([*argv, *words])
    return code, tmp_path / "results" / "imagenet" / "one"


def test_a_run_over_a_tree_with_links_odd_names_and_other_files(
    tmp_path, model_file, val_folder, capsys
):
    val = val_folder(2) / "val"
    (val / "ant" / "gone.png").symlink_to("/nowhere/MD5E-s1.png")
    (val / "bee" / "bee_000.png").rename(os.fsdecode(os.fsencode(val / "bee") + b"/b\xe9\xe9.png"))
    write(val, "cat/c.heic", "dog/notes.txt")
    code, folder = run(tmp_path)
    captured = capsys.readouterr()
    assert code == 2 and "--skip_bad_images" in captured.err and "gone.png" in captured.err
    code, folder = run(tmp_path, "--skip_bad_images")
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    assert "1 x .heic" in captured.out and "1 x .txt" in captured.out
    facts = json.loads((folder / "summary.json").read_text())["images"]
    assert facts["evaluated"] == 8 and facts["unused"] == {".heic": 1, ".txt": 1}
    assert [entry["image"] for entry in facts["skipped"]] == ["ant/gone.png"]
    images = read_predictions(folder / "predictions.parquet").images
    assert len(images) == 8 and "bee/b\\xe9\\xe9.png" in images
    assert run(tmp_path, "--skip_bad_images")[0] == 0  # the same images again
    assert "already complete" in capsys.readouterr().out


def test_listing_a_folder_leaves_links_to_images_in(tmp_path):
    (tmp_path / "a.JPEG").symlink_to("/nowhere")
    draw(tmp_path / "b.png", 1)
    assert image_files(tmp_path) == ["a.JPEG", "b.png"]
    assert Counter(in_class_folders(tmp_path, ()).unused).total() == 2
