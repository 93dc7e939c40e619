"""Corrupted photographs, and what a real model decides on them, against the definitions."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

import eval_laion_c
from bvg.data.imagenet import imagenet_classes
from bvg.data.laion_c import SUPERCLASS_INDICES, SUPERCLASSES
from bvg.predictions.table import read_predictions
from bvg.stimuli.randomness import keyed_generator
from oracles import laion_c as oracle

NAME = "mobilenet_v1_025"


def test_superclasses_are_the_published_ones(fixtures):
    path = fixtures / "published" / "external" / "laionc_category_mapping.json"
    published = json.loads(path.read_text())
    assert list(published) == list(SUPERCLASSES)
    for name, indices in SUPERCLASS_INDICES.items():
        assert {imagenet_classes()[index] for index in indices} == {*published[name]}


@torch.inference_mode()
def test_decisions_on_photographs_equal_the_straight_line(fixtures, networks, tmp_path):
    words = ["--model", f"{fixtures}/models/mobilenet_tf.py:{NAME}", "--generate", "--partial"]
    words += ["--imagenet", str(fixtures / "imagenet"), "--limit", "4", "--seed", "2"]
    words += ["--results", str(tmp_path), "--wandb", "disabled", "--severities", "1", "3"]
    words += ["--corruptions", "luminance_checkerboard", "vertical_lines", "geometric_shapes"]
    assert eval_laion_c.main(words) == 0
    folder = tmp_path / "laion_c_generated" / NAME
    predictions = read_predictions(folder / "predictions.parquet")
    assert len(predictions) == 4 * 7
    assert len({*predictions.labels}) == 4
    for row, (name, condition) in enumerate(
        zip(predictions.images, predictions.conditions, strict=True)
    ):
        photograph = Image.open(fixtures / "imagenet" / "val" / name).convert("RGB")
        crop = np.asarray(Compose([Resize(256), CenterCrop(224)])(photograph))
        draws = keyed_generator(2, condition, name)
        corruption, _, level = condition.rpartition("_")
        if corruption == "luminance_checkerboard":
            low, high = {"1": (0, 50), "3": (100, 125)}[level]
            crop = oracle.luminance_checkerboard(crop, draws, low, high)
        elif corruption == "vertical_lines":
            crop = oracle.vertical_lines(crop, *{"1": (224, 1), "3": (112, 4)}[level])
        elif corruption == "geometric_shapes":
            crop = oracle.geometric_shapes(crop, draws, {"1": 150, "3": 600}[level])
        else:
            assert condition == "clean"
        pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255
        probabilities = networks[NAME](pixels)[0].double().softmax(dim=0)
        means = [probabilities[list(i)].mean().item() for i in SUPERCLASS_INDICES.values()]
        assert predictions.answers[row, 0] == int(np.argmax(means))
        assert predictions.confidence[row] == pytest.approx(max(means), rel=1e-3)
        wnid = name.partition("/")[0]
        own = SUPERCLASS_INDICES[SUPERCLASSES[predictions.labels[row]]]
        assert imagenet_classes().index(wnid) in own
