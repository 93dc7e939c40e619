"""Critical-band masking: the published layout, its labels and conditions, and what is refused."""

import shutil
from itertools import product
from pathlib import Path

import pytest

from bvg.data.categories import CATEGORIES
from bvg.data.critical_band_masking import CONDITIONS, OTHER_DRAW, TRIALS, critical_band_masking
from conftest import refusal
from variant_helpers import jpeg

WHOLE = 16 * 35


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Return all categories under all conditions, with `train`."""
    folder = tmp_path_factory.mktemp("published") / "CBMSplit"
    content = jpeg()
    for number, (category, sd, band) in enumerate(product(CATEGORIES, TRIALS, range(7))):
        split = "train" if number % 50 == 7 else str(number % 5)
        (folder / split).mkdir(parents=True, exist_ok=True)
        name = f"{number}_cbm_noise{sd}_freq{band}_gray_g_{category}.JPEG"
        (folder / split / name).write_bytes(content)
        (folder / str(number % 5)).mkdir(exist_ok=True)
        (folder / str(number % 5) / name).write_bytes(content)
    return folder


@pytest.fixture
def folder(published, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("bvg.data.critical_band_masking.IMAGES", WHOLE)
    once = dict.fromkeys(TRIALS, (16,) * 7)
    monkeypatch.setattr("bvg.data.critical_band_masking.TRIALS", once)
    return Path(shutil.copytree(published, tmp_path / "CBMSplit"))


def test_the_complete_set_without_what_observers_practised_with(folder):
    images = critical_band_masking(folder, CATEGORIES)
    assert len(images) == WHOLE
    assert not any("train" in file for file in images.files)
    assert {*images.conditions} == {*CONDITIONS}
    for index in range(0, WHOLE, 17):
        assert images.path(index).is_file()
        stem = images.path(index).stem
        assert stem.endswith(f"_{CATEGORIES[images.labels[index]]}")
        sd = images.conditions[index].rpartition("=")[2]
        assert f"_noise{sd}_" in stem
        band = images.conditions[index].partition("f=")[2][0]
        assert f"_freq{band}_" in stem or sd == "0"
    assert images.notes == {}


def test_folders_around_it_are_understood(folder, tmp_path):
    assert len(critical_band_masking(tmp_path, CATEGORIES)) == WHOLE
    (tmp_path / "repository" / "stimuli").mkdir(parents=True)
    shutil.move(folder, tmp_path / "repository" / "stimuli" / "CBMSplit")
    assert len(critical_band_masking(tmp_path / "repository", CATEGORIES)) == WHOLE


def test_an_incomplete_set_needs_partial(folder):
    shutil.rmtree(folder / "3")
    assert "--partial" in refusal(critical_band_masking, folder, CATEGORIES)
    images = critical_band_masking(folder, CATEGORIES, partial=True)
    assert images.notes["partial"]["images"] == len(images) == WHOLE * 4 // 5


def test_another_draw_of_the_noise_is_noted(folder):
    name = next(folder.glob("[0-4]/*_cbm_noise0.08_freq3_*"))
    name.rename(name.with_name(name.name.replace("freq3", "freq4")))
    images = critical_band_masking(folder, CATEGORIES)
    assert OTHER_DRAW in images.notes and "partial" not in images.notes


def test_another_world_has_its_own_categories_and_numbers(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "0_cbm_noise0_freq3_gray_g_star.JPEG").write_bytes(jpeg())
    (tmp_path / "0" / "1_cbm_noise0.02_freq3_gray_g_arrow.JPEG").write_bytes(jpeg())
    images = critical_band_masking(tmp_path, ("arrow", "star"))
    assert images.labels.tolist() == [1, 0]
    assert critical_band_masking(tmp_path, None).classes == ("arrow", "star")
    assert "star" in refusal(critical_band_masking, tmp_path, ("arrow", "bolt"))


@pytest.mark.parametrize(
    "name",
    [
        "7_color_gray_g_dog.JPEG",  # of GraySplit
        "7_cbm_noise0.32_freq3_gray_g_dog.JPEG",
        "7_cbm_noise0.16_freq7_gray_g_dog.JPEG",
        "7_cbm_noise0.16_freq3_gray_g_zebra.JPEG",
    ],
)
def test_other_names_are_refused(folder, name):
    (folder / "4" / name).write_bytes(jpeg())
    assert name in refusal(critical_band_masking, folder, CATEGORIES)


def test_other_folders_are_refused(folder, tmp_path):
    assert str(folder) in refusal(critical_band_masking, folder / "2", CATEGORIES)
    (tmp_path / "empty").mkdir()
    words = refusal(critical_band_masking, tmp_path / "empty", CATEGORIES)
    assert "--critical_band_masking" in words
    (folder / "5").mkdir()
    assert str(folder / "5") in refusal(critical_band_masking, folder, CATEGORIES)
    for split in range(6):
        shutil.rmtree(folder / str(split))
        (folder / str(split)).mkdir()
    assert "--critical_band_masking" in refusal(critical_band_masking, folder, CATEGORIES)
