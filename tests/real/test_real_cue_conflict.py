"""New cue conflicts of photographs, with a real network; the design of the published ones."""

import csv
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

import make_cue_conflict
from bvg.data.shape_bias import cues_of
from bvg.stylize.gatys import Encoder, Gatys, check_layers

LAYERS = [f"features.{k}" for k in (0, 2, 4, 7)]
CONTENT = "features.7"


def test_the_published_set_has_the_balanced_design(fixtures):
    folder = fixtures / "published" / "texture-vs-shape"
    path = next(folder.glob("style-transfer-512-nomask-*/*_resnet50_session-1.csv"))
    with open(path, newline="") as file:
        names = [row["imagename"].rpartition("_")[2] for row in csv.DictReader(file)]
    cues = [cues_of(name) for name in names]
    pictures = [name.removesuffix(".png").split("-") for name in names]
    assert len({*names}) == 1280 and len({content for content, _ in pictures}) == 160
    assert len({texture for _, texture in pictures}) == 48
    assert Counter(Counter(cues).values()) == {5: 256}
    meetings = Counter((p[0], c[1]) for p, c in zip(pictures, cues, strict=True))
    assert set(meetings.values()) == {1}


def test_the_loss_falls_with_a_real_network(fixtures, networks):
    files = sorted((fixtures / "imagenet" / "val").glob("*/*"))
    pictures = []
    for path in (files[10], files[200]):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB").resize((96, 96))))
    unchanged = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    network = deepcopy(networks["mobilenet_v2"]).requires_grad_(False)
    encoder = Encoder(network, *unchanged)
    check_layers(encoder, "mobilenet_v2", [*LAYERS, CONTENT], 96)
    engine = Gatys(encoder, LAYERS, CONTENT, steps=19)
    content, texture = (encoder.input_of(picture) for picture in pictures)
    found, losses = engine.optimised(content, texture)
    assert len(losses) == 20 and losses[-1] < 0.2 * losses[0]
    grams = [engine.target(x, x).grams for x in (content, texture, found)]
    for name in LAYERS:
        before, after = ((g[name] - grams[1][name]).square().sum() for g in (grams[0], grams[2]))
        assert after < before


def test_the_packaged_network_makes_stimuli_of_photographs(fixtures, tmp_path):
    pytest.importorskip("onnxruntime")
    files = sorted((fixtures / "imagenet" / "val").glob("*/*"))
    for what, start in (("contents", 0), ("textures", 7)):
        for k, category in enumerate(("clock", "dog")):
            (tmp_path / what).mkdir(exist_ok=True)
            with Image.open(files[start + 90 * k]) as image:
                image.save(tmp_path / what / f"{category}{k + 3}.png")
    words = ["--engine", "ghiasi", "--contents", str(tmp_path / "contents"), "--per_pair", "1"]
    words += ["--textures", str(tmp_path / "textures"), "--out", str(tmp_path / "out")]
    assert make_cue_conflict.main([*words, "--size", "224"]) == 0
    made = sorted((tmp_path / "out" / "cue-conflict").glob("*/*.png"))
    names = ["clock3-clock3.png", "clock3-dog4.png", "dog4-clock3.png", "dog4-dog4.png"]
    assert [path.name for path in made] == names
    pictures = [np.asarray(Image.open(path)).astype(int) for path in made]
    assert all(picture.shape == (224, 224, 3) and picture.std() > 10 for picture in pictures)
    assert np.abs(pictures[0] - pictures[1]).mean() > 10
