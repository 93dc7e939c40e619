"""Shape bias of real models on 640 published stimuli, through low-pass filters."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

import eval_shape_bias
from bvg.predictions.table import read_predictions
from oracles import lowpass as oracle
from oracles import straight_line

CONDITIONS = {
    "mobilenet_v2": ("--blur", "1", "2.5", "4", "--downsample", "64"),
    "mobilenet_v1_075": ("--blur", "2.5"),
}
# Decisions for the shape and for the texture on the 601 stimuli whose cues differ, as a plain
# script counted them.
COUNTED = {
    ("mobilenet_v2", "unfiltered"): (69, 322),
    ("mobilenet_v2", "blur=1"): (113, 232),
    ("mobilenet_v2", "blur=2.5"): (170, 66),
    ("mobilenet_v2", "blur=4"): (150, 40),
    ("mobilenet_v2", "downsample=64"): (147, 134),
    ("mobilenet_v1_075", "unfiltered"): (58, 344),
    ("mobilenet_v1_075", "blur=2.5"): (143, 84),
}


@pytest.fixture(scope="module")
def results(fixtures, tmp_path_factory):
    results = tmp_path_factory.mktemp("lowpass")
    words = ["--stimuli", str(fixtures / "model-vs-human"), "--results", str(results)]
    for name, conditions in CONDITIONS.items():
        model = f"{fixtures}/models/mobilenet_tf.py:{name}"
        assert eval_shape_bias.main(["--model", model, *words, *conditions]) == 0
    return results / "imagenet_shape_bias_lowpass"


@pytest.mark.parametrize(("name", "condition"), COUNTED)
def test_decisions_are_those_that_were_counted(name, condition, results):
    metrics = json.loads((results / name / "summary.json").read_text())["metrics"]
    shape, texture = (
        metrics[f"fraction-correct-{cue}/{condition}"] for cue in ("shape", "texture")
    )
    assert shape["n"] == texture["n"] == 601
    counted = COUNTED[name, condition]
    assert abs(601 * shape["value"] - counted[0]) <= 1.001
    assert abs(601 * texture["value"] - counted[1]) <= 1.001
    bias = metrics[f"shape-bias/{condition}"]["value"]
    assert bias == pytest.approx(counted[0] / sum(counted), abs=0.01)


def test_decisions_are_those_on_the_slowly_filtered_images(results, fixtures, networks):
    members = straight_line.read_members(fixtures)
    filters = {
        "blur=2.5": lambda image: oracle.blurred(image, 2.5),
        "downsample=64": lambda image: oracle.downsampled(image, 64),
    }
    predictions = {
        name: read_predictions(results / name / "predictions.parquet") for name in CONDITIONS
    }
    images = list(dict.fromkeys(predictions["mobilenet_v2"].images))[::64]
    compared: Counter[str] = Counter()
    for image in images:
        path = fixtures / "model-vs-human" / "cue-conflict" / image
        pixels = np.asarray(Image.open(path).convert("RGB")) / 255
        for condition, slow in filters.items():
            x = torch.from_numpy(slow(pixels)).permute(2, 0, 1)[None].float()
            for name, of in predictions.items():
                if condition not in of.condition_names:
                    continue
                (row,) = np.flatnonzero((of.images == image) & (of.conditions == condition))
                with torch.no_grad():
                    logits = networks[name](x)[0].numpy().astype(np.float64)
                expected = straight_line.category(logits, members)
                assert of.classes[of.answers[row, 0]] == expected, (name, image, condition)
                compared[name] += 1
    assert compared == {"mobilenet_v2": 20, "mobilenet_v1_075": 10}
