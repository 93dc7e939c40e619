"""Labels of flat validation images: by what each file says of itself, or not at all."""

from pathlib import Path

import pytest
import torch

from bvg.data.imagenet import (
    classes_in,
    imagenet_classes,
    imagenet_val,
    val_number,
    wnids_of_flat_val,
)
from conftest import refusal
from variant_helpers import jpeg

WNIDS = imagenet_classes()
CSV, SYNSETS = "LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt"


def val(number: int, ending: str = "JPEG") -> str:
    return f"ILSVRC2012_val_{number:08d}.{ending}"


def write(folder, *names):
    """Return `folder` with images of these names in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(jpeg())
    return folder


def kaggle(path, wnid_of: dict[int, str], start: str = "", end: str = "\n"):
    rows = [f"ILSVRC2012_val_{n:08d},{wnid} 1 2 3 4 {wnid} 5 6 7 8 " for n, wnid in wnid_of.items()]
    text = start + end.join(["ImageId,PredictionString", *rows]) + end
    path.write_bytes(text.encode())


def labels(folder) -> dict[str, str]:
    images = imagenet_val(folder, WNIDS, partial=True)
    return {Path(f).name: WNIDS[k] for f, k in zip(images.files, images.labels, strict=True)}


def test_a_row_of_kaggles_table_belongs_to_its_image_wherever_it_stands(tmp_path):
    write(tmp_path / "val", val(2), val(4), val(49_999))
    kaggle(tmp_path / CSV, {49_999: WNIDS[7], 4: WNIDS[5], 2: WNIDS[900], 6: WNIDS[1]})
    expected = {val(2): WNIDS[900], val(4): WNIDS[5], val(49_999): WNIDS[7]}
    assert labels(tmp_path) == labels(tmp_path / "val") == expected
    kaggle(tmp_path / CSV, {4: WNIDS[5], 2: WNIDS[900], 49_999: WNIDS[7]}, "\ufeff", "\r\n")
    assert labels(tmp_path) == expected


@pytest.mark.parametrize("ending", ["jpeg", "jpg", "png", "PNG", "webp"])
def test_converted_files_are_the_same_images(tmp_path, ending):
    write(tmp_path / "val", val(3, ending))
    kaggle(tmp_path / CSV, {3: WNIDS[30], 1: WNIDS[10]})
    assert labels(tmp_path) == {val(3, ending): WNIDS[30]}


@pytest.mark.parametrize(
    "name",
    [
        "ilsvrc2012_val_00000003.jpeg",
        f"val\\{WNIDS[30]}\\ILSVRC2012_val_00000003.JPEG",
    ],
)
def test_names_that_windows_archives_may_leave(tmp_path, name):
    write(tmp_path / "val", name)
    kaggle(tmp_path / CSV, {3: WNIDS[30], 1: WNIDS[10]})
    assert labels(tmp_path) == {Path(name).name: WNIDS[30]}
    assert val_number(Path(imagenet_val(tmp_path, WNIDS, partial=True).names[0]).stem) == 3


def test_a_row_may_be_of_any_name(tmp_path):
    write(tmp_path / "val", "holiday_1.jpg")
    (tmp_path / CSV).write_text(f"ImageId,PredictionString\nholiday_1,{WNIDS[4]} 1 2 3 4\n")
    assert labels(tmp_path) == {"holiday_1.jpg": WNIDS[4]}


def test_images_without_a_row_are_counted_and_refused(tmp_path):
    write(tmp_path / "val", *map(val, range(1, 6)))
    kaggle(tmp_path / CSV, {2: WNIDS[2], 4: WNIDS[4]})
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert f"3 of the 5 images in {tmp_path / 'val'}" in sentence
    assert val(1) in sentence and CSV in sentence


@pytest.mark.parametrize(
    "text",
    [
        "Id,Label\na,n01440764\n",
        "ImageId;PredictionString\nILSVRC2012_val_00000001;n01440764 1 2 3 4\n",
        "ImageId,PredictionString\nILSVRC2012_val_00000001,tench 1 2 3 4\n",
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4 n01443537 1 2 3 4\n",
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n"
        "ILSVRC2012_val_00000001,n01443537 1 2 3 4\n",
        "ImageId,PredictionString\nILSVRC2012_val_00000001\n",
    ],
    ids=["columns", "semicolons", "name", "two wnids", "two rows", "cut"],
)
def test_tables_of_anything_else_are_refused(tmp_path, text):
    write(tmp_path / "val", val(1))
    (tmp_path / CSV).write_text(text)
    assert str(tmp_path / CSV) in refusal(imagenet_val, tmp_path, WNIDS, True)


def test_a_row_that_is_there_twice_is_one(tmp_path):
    write(tmp_path / "val", val(1))
    kaggle(tmp_path / CSV, {1: WNIDS[9]})
    (tmp_path / CSV).write_text(
        (tmp_path / CSV).read_text() + f"ILSVRC2012_val_00000001,{WNIDS[9]}"
    )
    assert labels(tmp_path) == {val(1): WNIDS[9]}


@pytest.mark.parametrize("below", ["ILSVRC/Data/CLS-LOC/val", "ILSVRC", ""])
def test_kaggles_archive(tmp_path, below):
    place = write(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val", val(1), val(12))
    write(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "test", "ILSVRC2012_test_00000001.JPEG")
    kaggle(tmp_path / CSV, {12: WNIDS[3], 1: WNIDS[999]})
    assert labels(tmp_path / below) == {val(1): WNIDS[999], val(12): WNIDS[3]}
    assert imagenet_val(tmp_path / below, WNIDS, True).root == place
    assert classes_in(tmp_path / below) == WNIDS


def test_kaggles_archive_with_class_folders(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / split / WNIDS[3], "a.JPEG")
    assert imagenet_val(tmp_path, WNIDS, True).labels.tolist() == [3]
    assert labels(tmp_path / "ILSVRC/Data/CLS-LOC/train") == {"a.JPEG": WNIDS[3]}


def test_a_relative_path_finds_what_lies_above(tmp_path, monkeypatch):
    write(tmp_path / "val", val(1))
    kaggle(tmp_path / CSV, {1: WNIDS[9]})
    monkeypatch.chdir(tmp_path / "val")
    assert labels(".") == {val(1): WNIDS[9]}


@pytest.mark.parametrize("folder", ["val", "val_images", "data/val_images"])
def test_a_wnid_in_the_name_is_the_label(tmp_path, folder):
    names = {
        f"ILSVRC2012_val_00000007_{WNIDS[70]}.JPEG": WNIDS[70],
        f"{WNIDS[8]}_10026_{WNIDS[8]}.JPEG": WNIDS[8],
        f"{WNIDS[9]}_3.png": WNIDS[9],
        f"12-{WNIDS[10]}.jpg": WNIDS[10],
    }
    write(tmp_path / folder, *names)
    assert labels(tmp_path) == labels(tmp_path / folder) == names


def test_a_short_list_says_nothing_of_other_names(tmp_path):
    names = {f"{WNIDS[k]}_{25 - k}.JPEG": WNIDS[k] for k in range(24)}
    write(tmp_path / "val", *names)
    (tmp_path / SYNSETS).write_text("\n".join(names.values()))
    assert labels(tmp_path) == names


def test_a_short_list_is_certain_only_where_it_is_of_all_images(tmp_path):
    write(tmp_path / "val", val(1), val(2), val(3))
    (tmp_path / SYNSETS).write_text("\n".join(WNIDS[5:8]) + "\n\n")
    assert labels(tmp_path) == {val(k): WNIDS[4 + k] for k in (1, 2, 3)}
    (tmp_path / "val" / val(2)).rename(tmp_path / "val" / val(4))
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert "has 3 lines, not ImageNet's 50,000" in sentence
    assert "3 of the 3 images" in sentence


@pytest.mark.parametrize("kind", ["synsets", "meta.bin"])
def test_the_whole_list_is_by_number(tmp_path, kind):
    truth = [WNIDS[(7 * k) % 1000] for k in range(50_000)]
    write(tmp_path / "val", val(2), val(50_000))
    if kind == "synsets":
        (tmp_path / SYNSETS).write_text("\n".join(truth), "utf-8-sig")
    else:
        torch.save(({}, truth), tmp_path / kind)
    assert labels(tmp_path) == {val(2): WNIDS[7], val(50_000): WNIDS[(7 * 49_999) % 1000]}
    write(tmp_path / "val", "ILSVRC2012_val_00050001.JPEG")
    assert "1 of the 3 images" in refusal(imagenet_val, tmp_path, WNIDS, True)


@pytest.mark.parametrize(
    "name",
    [
        "photo_2.JPEG",
        "2.JPEG",
        "ILSVRC2012_val_2.JPEG",
        "val_00000002.JPEG",
        "x00000002.JPEG",
        "ILSVRC2012_val_00000002 (copy).JPEG",
        "ILSVRC2010_val_00000002.JPEG",
        "xn014407642.JPEG",
    ],
)
def test_any_other_number_is_no_identity(tmp_path, name):
    write(tmp_path / "val", val(1), name)
    (tmp_path / SYNSETS).write_text("\n".join([WNIDS[0]] * 50_000))
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert "1 of the 2 images" in sentence and name in sentence


@pytest.mark.parametrize("where", ["test", "val"])
@pytest.mark.parametrize("more", ["", f"_{WNIDS[0]}"])
def test_test_images_have_no_labels(tmp_path, where, more):
    write(tmp_path / where, f"ILSVRC2012_test_00000003{more}.JPEG")
    (tmp_path / SYNSETS).write_text("\n".join([WNIDS[0]] * 50_000))
    assert "test images" in refusal(imagenet_val, tmp_path / where, WNIDS, True)


def test_contradictions_are_refused(tmp_path):
    named = f"ILSVRC2012_val_00000002_{WNIDS[5]}.JPEG"
    write(tmp_path / "val", named)
    kaggle(tmp_path / CSV, {2: WNIDS[6]})
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert WNIDS[5] in sentence and WNIDS[6] in sentence and CSV in sentence
    kaggle(tmp_path / CSV, {2: WNIDS[5]})
    assert labels(tmp_path) == {named: WNIDS[5]}
    (tmp_path / SYNSETS).write_text("\n".join([WNIDS[7]] * 50_000))
    assert SYNSETS in refusal(imagenet_val, tmp_path, WNIDS, True)
    (tmp_path / SYNSETS).unlink()
    write(tmp_path / "val", f"{WNIDS[1]}_{WNIDS[2]}.JPEG")
    assert "several labels" in refusal(imagenet_val, tmp_path, WNIDS, True)


def test_a_name_that_contradicts_its_class_folder(tmp_path):
    write(tmp_path / "val" / WNIDS[3], f"ILSVRC2012_val_00000009_{WNIDS[3]}.JPEG")
    assert list(labels(tmp_path).values()) == [WNIDS[3]]
    write(tmp_path / "val" / WNIDS[3], f"{WNIDS[4]}_12.JPEG")
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert f"{WNIDS[4]} by its name" in sentence


def test_one_image_as_two_files(tmp_path):
    write(tmp_path / "val", val(1), val(1, "png"))
    kaggle(tmp_path / CSV, {1: WNIDS[6]})
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert val(1) in sentence and val(1, "png") in sentence


@pytest.mark.parametrize("line", ["tench, Tinca tinca", "1", "n1440764", "n01440764 tench"])
def test_lists_of_anything_but_wnids_are_refused(tmp_path, line):
    write(tmp_path / "val", val(1))
    (tmp_path / SYNSETS).write_text(f"{line}\n")
    sentence = refusal(imagenet_val, tmp_path, WNIDS, True)
    assert str(tmp_path / SYNSETS) in sentence and "line 1" in sentence


def test_broken_ground_truth_is_named(tmp_path):
    write(tmp_path / "val", val(1))
    (tmp_path / "meta.bin").write_bytes(b"no zip")
    assert "meta.bin cannot be read" in refusal(imagenet_val, tmp_path, WNIDS, True)
    (tmp_path / "meta.bin").unlink()
    (tmp_path / "meta.mat").write_bytes(b"no matrix")
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n")
    assert "ground_truth.txt cannot be read" in refusal(imagenet_val, tmp_path, WNIDS, True)


def test_wnids_that_are_not_among_the_classes(tmp_path):
    write(tmp_path / "val", "n99999999_1.JPEG")
    assert wnids_of_flat_val(tmp_path / "val", ["n99999999_1.JPEG"]) == ["n99999999"]
    assert "lack n99999999" in refusal(imagenet_val, tmp_path, WNIDS, True)
