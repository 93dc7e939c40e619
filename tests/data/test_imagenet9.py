"""ImageNet-9: its layout, which images have the same object, its categories, what is refused."""

import shutil
from collections import Counter

import numpy as np
import pytest

from bvg.data import imagenet9 as data
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet9 import CATEGORIES, VARIANTS, category_of_class, imagenet9
from conftest import refusal
from variant_helpers import jpeg

WNIDS = imagenet_classes()
FOLDERS = tuple(f"{number:02d}_{name}" for number, name in enumerate(CATEGORIES))


def files_of(variant: str) -> list[str]:
    """Return the files of two objects, named as the published ones."""
    if variant.startswith("mixed"):
        return [f"fg_n02497673_0{k}_bg_n02536864_1{k}.JPEG" for k in range(2)]
    return [f"n02497673_0{k}.JPEG" for k in range(2)]


@pytest.fixture
def stimuli(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "IMAGES", 2 * len(CATEGORIES))
    root = tmp_path / "bg_challenge"
    for variant in VARIANTS:
        for folder in FOLDERS:
            place = root / variant / "val" / folder
            place.mkdir(parents=True)
            for file in files_of(variant):
                (place / file).write_bytes(jpeg())
    return root


def test_the_complete_set(stimuli):
    images = imagenet9(stimuli, WNIDS)
    assert images.classes == CATEGORIES and len(CATEGORIES) == 9
    assert Counter(images.conditions) == dict.fromkeys(VARIANTS, 18)
    assert all(images.path(index).is_file() for index in range(len(images)))
    for index in range(len(images)):
        name = f"{images.labels[index]:02d}_{CATEGORIES[images.labels[index]]}"
        assert f"{images.conditions[index]}/val/{name}/" in str(images.path(index))
    assert images.notes == {}


def test_an_object_has_one_name_in_all_variants(stimuli):
    images = imagenet9(stimuli, WNIDS)
    names = {
        variant: [n for n, c in zip(images.names, images.conditions, strict=True) if c == variant]
        for variant in VARIANTS
    }
    assert names["original"][:3] == ["dog/n02497673_00", "dog/n02497673_01", "bird/n02497673_00"]
    assert all(of == names["original"] for of in names.values())


def test_names_that_are_not_unique_pair_nothing(stimuli):
    again = stimuli / "mixed_rand" / "val" / FOLDERS[0]
    (again / files_of("mixed_rand")[0]).rename(again / "fg_n02497673_01_bg_n3_1.JPEG")
    images = imagenet9(stimuli, WNIDS)
    own = [n for n, c in zip(images.names, images.conditions, strict=True) if c == "mixed_rand"]
    assert len(set(own)) == 18 and "dog/fg_n02497673_01_bg_n3_1.JPEG" in own


def test_the_archive_and_the_folder_in_it_are_the_same(stimuli):
    assert imagenet9(stimuli.parent, WNIDS).root == imagenet9(stimuli, WNIDS).root == stimuli


def test_categories_are_known_by_wnid_in_any_order():
    of = category_of_class(WNIDS)
    assert Counter(of) == {-1: 630} | dict(enumerate((116, 52, 42, 36, 35, 27, 26, 20, 16)))
    assert CATEGORIES[of[WNIDS.index("n02099601")]] == "dog"  # golden retriever
    assert CATEGORIES[of[WNIDS.index("n04285008")]] == "wheeled vehicle"  # sports car
    assert of[WNIDS.index("n02123045")] == -1  # tabby cat
    order = np.random.default_rng(0).permutation(1000)
    assert category_of_class([WNIDS[k] for k in order]) == tuple(of[k] for k in order)
    assert category_of_class(("ant", "bee")) == (0, 1)


def test_a_model_of_the_categories_answers_in_its_own_order(stimuli):
    classes = CATEGORIES[::-1]
    images = imagenet9(stimuli, classes)
    assert images.classes == classes
    shown = {
        name.partition("/")[0]: int(k) for name, k in zip(images.names, images.labels, strict=True)
    }
    assert shown == {name: k for k, name in enumerate(classes)}
    assert category_of_class(classes) == tuple(range(9))


def test_without_a_model_the_folders_tell_the_categories(stimuli):
    assert imagenet9(stimuli, ()).classes == CATEGORIES


def test_missing_variants_need_partial(stimuli):
    for variant in ("only_fg", "no_fg"):
        shutil.rmtree(stimuli / variant)
    sentence = refusal(imagenet9, stimuli, WNIDS)
    assert "--partial" in sentence and "only_fg" in sentence and "no_fg" in sentence
    images = imagenet9(stimuli, WNIDS, partial=True)
    assert images.notes == {"missing_variants": ["only_fg", "no_fg"]}
    assert set(images.conditions) == set(VARIANTS) - {"only_fg", "no_fg"}


@pytest.mark.parametrize("lost", ["original/val/00_dog", "mixed_next/val/08_fish"])
def test_missing_images_need_partial(stimuli, lost):
    shutil.rmtree(stimuli / lost)
    assert "--partial" in refusal(imagenet9, stimuli, WNIDS)
    images = imagenet9(stimuli, WNIDS, partial=True)
    ((variant, note),) = images.notes.items()
    assert lost.startswith(variant)
    assert note["partial"] == {
        "images": 16,
        "classes": 8,
        "expected_images": 18,
        "expected_classes": 9,
    }


def test_variants_of_other_categories_need_equally_many_images(stimuli):
    for variant in VARIANTS:
        for number, inner in enumerate(FOLDERS):
            folder = stimuli / variant / "val" / inner
            folder.rename(folder.with_name(f"{number:02}_kind{number}"))
    kinds = tuple(f"kind{number}" for number in range(len(FOLDERS)))
    assert len(imagenet9(stimuli, kinds)) == 18 * len(VARIANTS)
    next((stimuli / "mixed_rand" / "val" / "00_kind0").iterdir()).unlink()
    assert "--partial" in refusal(imagenet9, stimuli, kinds)
    assert imagenet9(stimuli, kinds, partial=True).notes["mixed_rand"]["partial"]["images"] == 17


def test_other_folders_are_refused(stimuli, tmp_path):
    assert str(stimuli) in refusal(imagenet9, stimuli / "original", WNIDS)
    (tmp_path / "empty").mkdir()
    assert "--imagenet9" in refusal(imagenet9, tmp_path / "empty", WNIDS)
    (stimuli / "no_fg" / "val" / "09_cat").mkdir()
    assert "09_cat" in refusal(imagenet9, stimuli, WNIDS)


def test_models_of_other_classes_are_refused(stimuli):
    for classes in (("ant", "bee"), WNIDS[:200], WNIDS[:-900]):
        assert "classes" in refusal(imagenet9, stimuli, classes)
