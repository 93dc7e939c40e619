"""ImageNet-V2, -A, -R and -Sketch: their layouts, and the messages for other ones."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

import bvg.data.imagenet_ood
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_ood import VARIANTS, Variant, variant_folder, variant_images
from bvg.errors import UserError
from conftest import CLASSES, refusal
from variant_helpers import lay_out

V2, A, R, SKETCH = VARIANTS
WNIDS = imagenet_classes()
OF_A = [WNIDS[k] for k in A.subset]
OF_R = [WNIDS[k] for k in R.subset]
NUMBERS = [str(k) for k in range(1000)]


@pytest.fixture
def small(monkeypatch):
    """Shrink the published numbers of images, so that whole sets are made in no time."""
    table = tuple(
        replace(variant, images=count)
        for variant, count in zip(VARIANTS, (1000, 400, 600, 2000), strict=True)
    )
    monkeypatch.setattr(bvg.data.imagenet_ood, "VARIANTS", table)
    return table


def test_the_table_has_the_published_facts():
    facts = {
        v.key: (v.images, v.classes, v.entry.flag, v.entry.variable, v.benchmark) for v in VARIANTS
    }
    assert facts == {
        "imagenet-v2": (10_000, 1000, "--imagenet_v2", "BVG_IMAGENET_V2", "imagenet_v2"),
        "imagenet-a": (7_500, 200, "--imagenet_a", "BVG_IMAGENET_A", "imagenet_a"),
        "imagenet-r": (30_000, 200, "--imagenet_r", "BVG_IMAGENET_R", "imagenet_r"),
        "imagenet-sketch": (
            50_889,
            1000,
            "--imagenet_sketch",
            "BVG_IMAGENET_SKETCH",
            "imagenet_sketch",
        ),
    }


@pytest.mark.parametrize(("variant", "letter"), [(A, "a"), (R, "r")])
def test_the_classes_of_a_and_r_are_those_that_timm_lists(variant, letter):
    listed = files("timm.data") / "_info" / f"imagenet_{letter}_synsets.txt"
    if not listed.is_file():
        pytest.skip("this timm has no list of the classes")
    assert sorted(WNIDS[k] for k in variant.subset) == sorted(listed.read_text().split())


def test_v2s_folders_are_positions_not_ranks(small, tmp_path):
    found = variant_images(lay_out(tmp_path, NUMBERS), small[0], WNIDS)
    label_of = dict(zip(found.files, found.labels.tolist(), strict=True))
    assert label_of == {f"{k}/0.JPEG": k for k in range(1000)}
    assert label_of["10/0.JPEG"] == 10  # the third name by the alphabet, after 0 and 1
    assert found.labels.tolist() == sorted(found.labels.tolist())
    assert found.names[999] == f"{WNIDS[999]}/0.JPEG"
    assert not found.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NUMBERS)


def test_v2_for_a_model_that_has_imagenets_classes_in_another_order(small, tmp_path):
    other = ("entity", *reversed(WNIDS))
    found = variant_images(lay_out(tmp_path, NUMBERS), small[0], other)
    assert all(
        other[label] == WNIDS[int(file.partition("/")[0])]
        for file, label in zip(found.files, found.labels, strict=True)
    )


@pytest.mark.parametrize("folders", [[f"{k:04d}" for k in range(1000)], WNIDS])
def test_v2_in_other_layouts_is_the_same_set(small, tmp_path, folders):
    usual = variant_images(lay_out(tmp_path / "usual", NUMBERS), small[0], WNIDS)
    other = variant_images(lay_out(tmp_path / "other", folders), small[0], WNIDS)
    assert other.names == usual.names
    assert other.labels.tolist() == usual.labels.tolist()
    assert other.fingerprint == usual.fingerprint


@pytest.mark.parametrize(
    "more", [["1000"], ["007"], ["extra"], [WNIDS[3]]], ids=["1000", "twice", "word", "wnid"]
)
def test_v2_with_unclear_numbers_is_refused(tmp_path, more):
    folder = lay_out(tmp_path, [*NUMBERS[:12], *more])
    sentence = refusal(variant_images, folder, V2, WNIDS, True)
    assert "not clear which number is which class" in sentence
    assert "give ImageNet-V2 as it was published" in sentence


def test_another_selection_of_v2_is_refused(tmp_path):
    folder = lay_out(tmp_path / "imagenetv2-threshold0.7-format-val", NUMBERS[:3])
    sentence = refusal(variant_images, folder, V2, WNIDS, True)
    assert "another selection of ImageNet-V2" in sentence
    both = lay_out(tmp_path / "imagenetv2-matched-frequency-format-val", NUMBERS[:3])
    assert variant_folder(tmp_path, V2) == both


@pytest.mark.parametrize(
    "folder", ["ImageNetV2-Top-Images", "v2_topimages", "imagenetv2-threshold0.7/val"]
)
def test_another_selection_of_v2_in_other_spellings(tmp_path, folder):
    lay_out(tmp_path / folder, NUMBERS[:3])
    assert "another selection" in refusal(variant_images, tmp_path / folder, V2, WNIDS, True)


def test_other_folders_may_have_the_selections_words(tmp_path):
    folder = lay_out(tmp_path / "threshold" / "imagenetv2", NUMBERS[:3])
    assert variant_folder(folder, V2) == folder


@pytest.mark.parametrize("selection", ["matchedfrequency", "threshold", "topimages"])
def test_another_selection_of_v2_is_known_by_its_images(tmp_path, selection):
    known = bvg.data.imagenet_ood._SELECTIONS[selection].split()
    assert len(known) == 24
    for folders in (NUMBERS, WNIDS):
        folder = tmp_path / folders[0]
        for number, name in enumerate(known):
            path = folder / folders[number] / f"{name}{number:032x}.jpeg"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"")
        if selection == "matchedfrequency":
            assert len(variant_images(folder, V2, WNIDS, True)) == 24
        else:
            assert "another selection" in refusal(variant_images, folder, V2, WNIDS, True)


def test_a_restricts_to_its_200_classes_and_takes_files_beside_them(small, tmp_path):
    lay_out(tmp_path, OF_A, 2)
    (tmp_path / "README.txt").write_text("n01498041 stingray")
    (tmp_path / "preview.png").write_bytes(b"")
    found = variant_images(tmp_path, small[1], WNIDS)
    assert (len(found), len(set(found.labels.tolist()))) == (400, 200)
    assert sorted(set(found.labels.tolist())) == list(A.subset)
    beside = {"image beside the class folders": 1}  # preview.png
    assert found.notes == {"restricted_to": OF_A, "unused": beside}
    assert found.select(np.arange(2)).notes["restricted_to"] == OF_A


@pytest.mark.parametrize("below", ["sketch", "ImageNet-Sketch"])
def test_sketch_below_a_folder_of_its_own(small, tmp_path, below):
    lay_out(tmp_path / below, WNIDS, 2)
    (tmp_path / "empty").mkdir()
    found = variant_images(tmp_path, small[3], WNIDS)
    assert found.root == tmp_path / below
    assert len(found) == 2000
    assert not found.notes


def test_a_doubled_folder_is_recognised(small, tmp_path):
    inner = lay_out(tmp_path / "imagenetv2-matched-frequency-format-val", NUMBERS)
    assert variant_images(tmp_path, small[0], WNIDS).root == inner


def test_the_right_one_of_several_is_found_by_name_or_asked_for(tmp_path):
    for name in ("imagenet-a", "imagenet-r", "train", "val"):
        lay_out(tmp_path / name, OF_A[:2])
    assert variant_folder(tmp_path, A) == tmp_path / "imagenet-a"
    sentence = refusal(variant_folder, tmp_path, SKETCH)
    assert "holds several data sets (imagenet-a, imagenet-r, train and 1 more)" in sentence
    assert "--imagenet_sketch" in sentence


@pytest.mark.parametrize(("variant", "name"), [(V2, "17"), (A, OF_A[0]), (SKETCH, WNIDS[0])])
def test_one_class_alone_names_the_folder_above(tmp_path, variant, name):
    folder = lay_out(tmp_path / "set", [name])
    sentence = refusal(variant_folder, folder / name, variant)
    assert f"give the folder that contains it, {folder}, with {variant.entry.flag}" in sentence


def test_a_folder_of_anything_else(tmp_path):
    sentence = refusal(variant_folder, tmp_path, A)
    assert "contains no images or class folders" in sentence
    assert "class folders (such as n01498041/)" in sentence
    assert "python code/download.py imagenet-a" in sentence
    (tmp_path / "a.JPEG").write_bytes(b"")
    assert "contains 1 image(s) in no class folders" in refusal(variant_folder, tmp_path, V2)
    assert "(0/ to 999/)" in refusal(variant_folder, tmp_path, V2)
    sentence = refusal(variant_folder, tmp_path / "nowhere", R)
    assert "the ImageNet-R folder" in sentence
    assert "give the right one with --imagenet_r" in sentence


def test_a_subset_needs_partial_and_is_noted(tmp_path):
    lay_out(tmp_path, OF_A[:3], 2)
    sentence = refusal(variant_images, tmp_path, A, WNIDS)
    assert "holds 6 images of 3 classes, not 7,500 of 200" in sentence
    assert "--partial" in sentence
    found = variant_images(tmp_path, A, WNIDS, partial=True)
    assert found.notes == {
        "partial": {"images": 6, "classes": 3, "expected_images": 7500, "expected_classes": 200},
        "restricted_to": OF_A,
    }


def test_the_whole_of_imagenet_a_is_no_subset(tmp_path):
    lay_out(tmp_path, OF_A, 37)
    lay_out(tmp_path, OF_A[:100], 38)
    assert len(variant_images(tmp_path, A, WNIDS)) == 7500


@pytest.mark.parametrize("partial", [False, True])
def test_a_set_given_for_another_is_recognised_by_its_counts(small, tmp_path, partial):
    lay_out(tmp_path, OF_R, 3)
    sentence = refusal(variant_images, tmp_path, small[1], WNIDS, partial)
    assert "holds 600 images of 200 classes, as ImageNet-R does: give it with --imagenet_r" in (
        sentence
    )
    assert "and the folder of ImageNet-A with --imagenet_a" in sentence


def test_a_set_of_ones_own_may_have_the_counts_of_another(small, tmp_path):
    own = Variant("stylized-imagenet", images=small[0].images)
    assert len(variant_images(lay_out(tmp_path, WNIDS), own, WNIDS)) == 1000


def test_imagenet_val_is_recognised(monkeypatch, tmp_path):
    monkeypatch.setattr(bvg.data.imagenet_ood, "VAL_IMAGES", 3000)
    lay_out(tmp_path / "val", WNIDS, 3)
    sentence = refusal(variant_images, tmp_path, SKETCH, WNIDS)
    assert "as ImageNet val does: give it with --imagenet of eval_imagenet.py" in sentence


def test_classes_that_the_set_does_not_have_are_refused(tmp_path):
    lay_out(tmp_path, OF_R[:5])  # one of them, n01531178, is in both
    sentence = refusal(variant_images, tmp_path, A, WNIDS, True)
    only = sorted(set(OF_R[:5]) - set(OF_A))
    assert f"{only[0]}, {only[1]}, {only[2]}" in sentence
    assert "which ImageNet-A does not have: give its folder with --imagenet_a" in sentence


def test_numbered_folders_are_v2(tmp_path):
    sentence = refusal(variant_images, lay_out(tmp_path, NUMBERS[:9]), SKETCH, WNIDS)
    assert "as ImageNet-V2 has: give it with --imagenet_v2" in sentence


def test_folders_that_are_no_classes_are_named(tmp_path):
    lay_out(tmp_path, [*OF_A[:3], "backup"])
    assert "not classes of the model (backup)" in refusal(variant_images, tmp_path, A, WNIDS, True)
    (tmp_path / "ants").mkdir()
    lay_out(tmp_path / "ants", ["ant", "bee"])
    sentence = refusal(variant_images, tmp_path / "ants", A, WNIDS, True)
    assert "contains the folders ant, bee" in sentence and "ImageNet-A" in sentence


@pytest.mark.parametrize(("variant", "folders"), [(V2, NUMBERS[:5]), (A, OF_A[:5])])
def test_a_model_of_other_classes_is_told_which_are_needed(tmp_path, variant, folders):
    sentence = refusal(variant_images, lay_out(tmp_path, folders), variant, CLASSES, True)
    assert "the model's 4 classes (ant, bee, cat and 1 more)" in sentence
    assert "evaluate a model of ImageNet's 1000 classes" in sentence


def test_a_set_of_the_models_own_classes(tmp_path):
    lay_out(tmp_path, ["bee", "dog"], 2)
    found = variant_images(tmp_path, R, CLASSES)
    assert found.labels.tolist() == [1, 1, 3, 3]
    assert found.notes == {"restricted_to": ["bee", "dog"]}
    assert "4 images of 2 classes, not 4 of 4" in refusal(variant_images, tmp_path, V2, CLASSES)
    lay_out(tmp_path, CLASSES, 1)
    assert not variant_images(tmp_path, V2, CLASSES).notes


def test_class_folders_without_images(tmp_path):
    lay_out(tmp_path, OF_A[:2], per_folder=0)
    with pytest.raises(UserError, match="contains the folders n01498041, n01531178"):
        variant_images(tmp_path, A, WNIDS, True)
    lay_out(tmp_path, OF_A[1:2])
    found = variant_images(tmp_path, A, WNIDS, True)
    assert found.notes["restricted_to"] == OF_A
    assert len(found) == 1


def test_a_model_chooses_among_the_published_classes_whatever_images_are_there(tmp_path):
    other = ("entity", *reversed(WNIDS))
    for variant, published in ((A, OF_A), (R, OF_R)):
        folder = lay_out(tmp_path / variant.key, published[::50])
        for classes in (WNIDS, other):
            found = variant_images(folder, variant, classes, True)
            assert set(found.notes["restricted_to"]) == set(published)
            ranks = [classes.index(name) for name in found.notes["restricted_to"]]
            assert ranks == sorted(ranks)


def test_a_model_that_lacks_some_of_the_published_classes(tmp_path):
    lay_out(tmp_path, OF_A[:3])
    sentence = refusal(variant_images, tmp_path, A, tuple(OF_A[:150]), True)
    assert "150 classes" in sentence
    assert OF_A[150] in sentence


def test_images_one_folder_deeper_are_the_same_set(tmp_path):
    usual = variant_images(lay_out(tmp_path / "a", OF_A[:3], 2), A, WNIDS, True)
    deeper = lay_out(tmp_path / "b", [f"{name}/images" for name in OF_A[:3]], 2)
    assert variant_images(deeper, A, WNIDS, True).fingerprint == usual.fingerprint


def test_without_a_model_v2s_numbers_are_imagenets(small, tmp_path):
    found = variant_images(lay_out(tmp_path, NUMBERS), small[0], tuple(sorted(NUMBERS)))
    assert found.classes == WNIDS
    assert found.labels.tolist() == list(range(1000))
