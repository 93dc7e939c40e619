"""Warnings about images that are not the published validation images, or mislabelled."""

import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

import bvg.data.imagenet
from bvg.data.imagenet import check_archive, imagenet_classes, imagenet_val, timm_file
from bvg.data.imagenet_ood import VARIANTS, Variant, variant_images
from conftest import draw, refusal

WNIDS = imagenet_classes()
REAL = json.loads(Path(timm_file("imagenet_real_labels.json")).read_bytes())
LABELLED = [number for number, labels in enumerate(REAL[:60], 1) if labels][:24]


def val_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return 24 files of several sizes."""
    folder = tmp_path_factory.mktemp("photos")
    return [draw(folder / f"{k}.jpg", k, (40 + k % 3, 32 + k % 2)) for k in range(24)]


def fill(folder: Path, photos: list[Path], name_of) -> Path:
    for k, photo in enumerate(photos):
        path = folder / "val" / name_of(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.read_bytes())
    return folder


@pytest.fixture
def warnings(capsys):
    """Return a function that reads ImageNet images and gives the notes and what was printed."""

    def read(folder: Path):
        images = imagenet_val(folder, partial=True)
        return images, capsys.readouterr().err

    return read


def sorted_in(shift: int):
    """Return the names of the images in class folders that are `shift` images off."""

    def name(k: int) -> str:
        label = REAL[LABELLED[(k + shift) % len(LABELLED)] - 1][0]
        return f"{WNIDS[label]}/{val_name(LABELLED[k])}"

    return name


def test_the_published_labels_are_fine(photos, tmp_path, warnings):
    images, said = warnings(fill(tmp_path, photos, sorted_in(0)))
    assert said == ""
    assert images.notes.keys() == {"partial"}


def test_class_folders_that_are_off_by_one_image(photos, tmp_path, warnings):
    images, said = warnings(fill(tmp_path, photos, sorted_in(1)))
    assert "contradict" in said
    assert images.notes["labels_unlike_real"]["of"] == 24


def test_a_list_of_labels_that_is_off_by_one_line(photos, tmp_path, warnings):
    fill(tmp_path, photos, lambda k: val_name(LABELLED[k]))
    rows = [
        f"{val_name(number)[:-5]},{WNIDS[REAL[LABELLED[k - 1] - 1][0]]} 1 2 3 4"
        for k, number in enumerate(LABELLED)
    ]
    table = "\n".join(["ImageId,PredictionString", *rows])
    (tmp_path / "LOC_val_solution.csv").write_text(table)
    assert "contradict" in warnings(tmp_path)[1]


def test_few_numbers_and_other_names_prove_nothing(photos, tmp_path, warnings):
    assert warnings(fill(tmp_path / "few", photos[:19], sorted_in(1)))[1] == ""
    assert warnings(fill(tmp_path / "named", photos, lambda k: f"{WNIDS[k]}/{k}.JPEG"))[1] == ""


def test_training_images_are_recognised_by_their_names(photos, tmp_path, warnings):
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{WNIDS[k]}_{1000 + k}.JPEG")
    images, said = warnings(folder)
    assert "training images" in said
    assert images.notes["named_like_training_images"] == 24


def test_some_training_images_among_others_are_noticed(photos, tmp_path, warnings):
    many = photos * 3
    names = [val_name(k + 1) for k in range(70)] + [f"{WNIDS[7]}_{1000 + k}.JPEG" for k in range(2)]
    images, said = warnings(fill(tmp_path, many, lambda k: f"{WNIDS[7]}/{names[k]}"))
    assert f"{WNIDS[7]}_1000" in said
    assert images.notes["named_like_training_images"] == 2


def test_a_folder_with_the_training_images_only_is_not_recommended(photos, tmp_path):
    fill(tmp_path, photos[:2], lambda k: f"{WNIDS[k]}/a.JPEG")
    (tmp_path / "val").rename(tmp_path / "train")
    assert f"{tmp_path / 'train'}" not in refusal(imagenet_val, tmp_path)


@pytest.mark.parametrize("side", [64, 224, 256])
def test_images_that_were_all_made_square(side, photos, tmp_path, warnings, capsys):
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{k}.JPEG")
    for path in folder.glob("val/*/*"):
        Image.open(path).resize((side, side)).save(path)
    images, said = warnings(folder)
    assert f"{side} x {side}" in said
    assert images.notes["all_resized_to"] == side
    sketch = next(variant for variant in VARIANTS if variant.key == "imagenet-sketch")
    variant_images(folder / "val", sketch, WNIDS, partial=True)
    assert f"{side} x {side}" in capsys.readouterr().err
    # Stylized images are made at 224 pixels.
    imagenet_val(folder, partial=True, name="stylized-imagenet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "again",
    [
        f"{WNIDS[0]}/ILSVRC2012_val_00000293.jpg",
        f"{WNIDS[1]}/ILSVRC2012_val_00000293.JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 (1).JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 - Copy.JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 copy 2.JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 (another copy).JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 - Kopie (2).JPEG",
        f"{WNIDS[0]}/ILSVRC2012_val_00000293 - コピー.JPEG",
    ],
)
def test_an_image_that_is_there_twice_is_refused(again, photos, tmp_path):
    names = [f"{WNIDS[0]}/ILSVRC2012_val_00000293.JPEG", f"{WNIDS[0]}/other (1).JPEG"]
    fill(tmp_path, photos[:2], names.__getitem__)
    assert len(imagenet_val(tmp_path, partial=True)) == 2  # a copy without its original
    fill(tmp_path, photos[:1], lambda k: again)
    sentence = refusal(lambda: imagenet_val(tmp_path, partial=True))
    assert "an image twice" in sentence


def test_numbered_images_are_no_copies_unless_their_bytes_are_the_same(photos, tmp_path):
    names = ["x (1).jpg", "x (2).jpg", "x.jpg"]  # as Windows renames, and browsers download
    fill(tmp_path, photos[:3], lambda k: f"{WNIDS[0]}/{names[k]}")
    assert len(imagenet_val(tmp_path, partial=True)) == 3
    # As ImageNet-A's names, which contain spaces.
    fill(tmp_path, [photos[2]], lambda k: f"{WNIDS[1]}/0.1_fox squirrel _ sea lion_0.9.jpg")
    assert len(imagenet_val(tmp_path, partial=True)) == 4
    fill(tmp_path, [photos[2]], lambda k: f"{WNIDS[0]}/{names[0]}")
    assert "x (1).jpg" in refusal(lambda: imagenet_val(tmp_path, partial=True))


def test_links_in_a_circle_are_no_folders(photos, tmp_path):
    folder = fill(tmp_path, photos[:2], lambda k: f"{WNIDS[k]}/a.JPEG")
    (folder / "val" / "loop").symlink_to("loop")
    (folder / "val" / WNIDS[0] / "loop").symlink_to("loop")
    assert len(imagenet_val(folder, partial=True)) == 2


@pytest.mark.parametrize(("side", "of"), [(64, min), (80, max)])
def test_images_whose_shorter_or_longer_sides_were_made_equal(side, of, photos, tmp_path, warnings):
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{k}.JPEG")
    assert warnings(folder)[1] == ""
    for path in folder.glob("val/*/*"):
        image = Image.open(path)
        scale = side / of(image.size)
        image.resize((round(image.width * scale), round(image.height * scale))).save(path)
    images, said = warnings(folder)
    assert f"{side} pixels" in said
    assert images.notes["all_resized_to"] == side


def test_published_images_mostly_have_500_pixels(photos, tmp_path, warnings):
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{k}.JPEG")
    for k, path in enumerate(folder.glob("val/*/*")):
        Image.new("RGB", (500, 300 + k)).save(path)
    assert warnings(folder)[1] == ""


def test_images_that_were_compressed_again(photos, tmp_path, capsys, monkeypatch):
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{k}.JPEG")
    with tarfile.open(tmp_path / "val.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.glob("val/*/*")):
            archive.add(path, path.name)
        size = archive.offset
    monkeypatch.setattr(bvg.data.imagenet, "VAL_IMAGES", len(photos))
    monkeypatch.setattr(bvg.data.imagenet, "_ARCHIVE", size)
    images = imagenet_val(folder, partial=True)
    check_archive(images)
    assert capsys.readouterr().err == "" and "bytes_in_archive" not in images.notes
    for path in folder.glob("val/*/*"):
        Image.open(path).save(path, quality=100)
    images = imagenet_val(folder, partial=True)
    for _ in range(2):  # two evaluations of the same images
        check_archive(images)
    assert capsys.readouterr().err.count("archive of") == 1
    assert images.notes["bytes_in_archive"]["published"] == size
    assert images.notes["bytes_in_archive"]["found"] > size


def test_classes_that_were_exchanged(photos, tmp_path, warnings):
    alone = {label: [n for n, own in enumerate(REAL, 1) if own == [label]] for label in (0, 1, 2)}
    numbers = {k: alone[k][:30] for k in alone}
    exchanged = {0: 1, 1: 0, 2: 2}
    names = [f"{WNIDS[exchanged[k]]}/{val_name(n)}" for k, own in numbers.items() for n in own]
    right = [f"{WNIDS[2]}/{val_name(n)}" for n in alone[2][30:]]
    right += [f"{WNIDS[own[0]]}/{val_name(n)}" for n, own in enumerate(REAL[:120], 1) if own]
    names = [*dict.fromkeys([*names, *right])]
    images, said = warnings(fill(tmp_path, [photos[0]] * len(names), names.__getitem__))
    assert images.notes["classes_unlike_real"] == [WNIDS[0], WNIDS[1]]
    assert WNIDS[0] in said and "labels_unlike_real" not in images.notes


NAMES = {
    "imagenet": val_name,
    "imagenet-v2": lambda k: f"{k:040x}.jpeg",
    "imagenet-a": lambda k: f"0.{k:06d}_fox squirrel _ sea lion_0.{k}.jpg",
    "imagenet-r": lambda k: f"origami_{k}.jpg",
    "imagenet-sketch": lambda k: f"sketch_{k}.JPEG",
}


@pytest.mark.parametrize("named", NAMES)
@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if not variant.subset])
def test_images_that_are_named_like_another_data_set_s(named, variant, photos, tmp_path, capsys):
    folder = fill(tmp_path, photos[:6], lambda k: f"{WNIDS[k]}/{NAMES[named](k + 1)}") / "val"
    images = variant_images(folder, variant, WNIDS, partial=True)
    said = capsys.readouterr().err
    if named == variant.key:
        assert said == "" and "named_like" not in images.notes
    else:
        assert variant.entry.flag in said
        assert images.notes["named_like"] == {"data_set": named, "images": 6}


@pytest.mark.parametrize("named", ["imagenet-sketch", "training"])
def test_a_data_set_of_ones_own_may_have_any_names_and_sizes(named, photos, tmp_path, capsys):
    name_of = NAMES.get(named, lambda k: f"{WNIDS[0]}_{k + 100}.JPEG")
    folder = fill(tmp_path, photos, lambda k: f"{WNIDS[k]}/{name_of(k)}") / "val"
    for path in folder.glob("*/*"):
        Image.new("RGB", (224, 224)).save(path)
    images = variant_images(folder, Variant("stylized-imagenet", images=24), WNIDS, partial=True)
    assert len(images) == 24 and images.notes.keys() == {"partial"}
    assert capsys.readouterr().err == ""
