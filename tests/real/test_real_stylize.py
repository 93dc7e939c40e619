"""Photographs stylized by the packaged weights, and what a real model then sees.

BVG_EVERY=1 stylizes all 400 photographs instead of every twentieth.
"""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import stylize
from oracles import straight_line

pytest.importorskip("onnxruntime")

NAME = "mobilenet_v2"
EVERY = int(os.environ.get("BVG_EVERY", "20"))


@pytest.fixture(scope="module")
def world(fixtures, tmp_path_factory):
    """Return folders of photographs, and of other photographs as styles."""
    root = tmp_path_factory.mktemp("photographs")
    files = sorted((fixtures / "imagenet" / "val").glob("*/*"))
    for name, chosen in (("images", files[::EVERY]), ("styles", files[7::25])):
        for path in chosen:
            place = root / name / path.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    return root


@pytest.fixture(scope="module")
def stylized(world):
    words = ["--engine", "ghiasi", "--images", str(world / "images"), "--out", str(world / "out")]
    assert stylize.main([*words, "--styles", str(world / "styles")]) == 0
    return world / "out"


def test_a_real_model_keeps_its_answer_on_some(world, stylized, networks):
    rows = list(csv.DictReader((stylized / "manifest.csv").open()))
    assert len(rows) == -(-400 // EVERY) and len({row["style"] for row in rows}) > 8
    kept = []
    for row in rows:
        before = straight_line.logits_of(networks[NAME], world / "images" / row["image"], True)
        after = straight_line.logits_of(networks[NAME], stylized / row["copy"], False)
        kept.append(before.argmax() == after.argmax())
    assert 0.05 < np.mean(kept) < 0.45


def test_the_contours_stay_and_the_colours_are_the_style_s(world, stylized):
    nearer = []
    for row in csv.DictReader((stylized / "manifest.csv").open()):
        paths = world / "images" / row["image"], world / "styles" / row["style"]
        image, style = (np.asarray(Image.open(p).convert("RGB")).mean((0, 1)) for p in paths)
        copy = np.asarray(Image.open(stylized / row["copy"])).mean((0, 1))
        nearer.append(np.abs(copy - style).sum() < np.abs(copy - image).sum())
    assert np.mean(nearer) > 0.7


def test_the_same_bytes_twice_in_any_batches(world, stylized):
    words = ["--engine", "ghiasi", "--images", str(world / "images"), "--out", str(world / "again")]
    words += ["--styles", str(stylized / "styles.npz"), "--limit", "5", "--batch_size", "2"]
    assert stylize.main(words) == 0
    again = sorted((world / "again").rglob("n*/*.png"))
    assert len(again) == 5
    for path in again:
        other = stylized / path.relative_to(world / "again")
        assert path.read_bytes() == other.read_bytes()


def test_the_built_in_styles_and_a_small_variant(world):
    words = ["--engine", "ghiasi", "--images", str(world / "images"), "--limit", "4"]
    assert stylize.main([*words, "--out", str(world / "small"), "--size", "64"]) == 0
    copies = sorted((world / "small").rglob("*.png"))
    assert len(copies) == 4
    assert {Image.open(path).size for path in copies} == {(64, 64)}
