"""A real model on photographs with the watermark, against one image at a time.

BVG_EVERY=1 looks at all 400 photographs instead of every fortieth.
"""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import eval_imagenet_w
from bvg.predictions.table import read_predictions
from bvg.scores.imagenet_w import DELTA, GAP
from bvg.stimuli.imagenet_w import font_file
from oracles import imagenet_w as oracle

NAME, CARTON = "mobilenet_v2", 478
CROP = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
EVERY = int(os.environ.get("BVG_EVERY", "40"))


@pytest.fixture
def photographs(fixtures, tmp_path):
    """Return a folder of some photographs."""
    for path in sorted((fixtures / "imagenet" / "val").glob("*/*"))[::EVERY]:
        place = tmp_path / "val" / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return tmp_path


def test_answers_and_probabilities_equal_the_straight_line(
    photographs, fixtures, networks, tmp_path
):
    words = ["--model", f"{fixtures}/models/mobilenet_tf.py:{NAME}", "--partial"]
    words += ["--imagenet", str(photographs), "--results", str(tmp_path / "r")]
    assert eval_imagenet_w.main(words) == 0
    folder = tmp_path / "r" / "imagenet_w" / NAME
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    predictions = read_predictions(folder / "predictions.parquet")
    found = {
        (image, condition): (answer, probability)
        for image, condition, answer, probability in zip(
            predictions.images,
            predictions.conditions,
            predictions.answers[:, 0].tolist(),
            predictions.columns["carton_probability"].tolist(),
            strict=True,
        )
    }
    font, right, gained = font_file(None), [], []
    label = dict(zip(predictions.images, predictions.labels.tolist(), strict=True))
    for image in label:
        crop = np.asarray(CROP(Image.open(photographs / "val" / image).convert("RGB")))
        probabilities = {}
        for condition, shown in (("clean", crop), ("imagenet-w", oracle.watermarked(crop, font))):
            with torch.no_grad():
                logits = networks[NAME](transforms.ToTensor()(Image.fromarray(shown))[None])[
                    0
                ].double()
            probabilities[condition] = logits.softmax(dim=0)
            answer, probability = found[image, condition]
            assert answer == int(logits.argmax())
            assert probability == pytest.approx(float(probabilities[condition][CARTON]), rel=1e-3)
        right.append([int(p.argmax()) == label[image] for p in probabilities.values()])
        gained.append(float(probabilities["imagenet-w"][CARTON] - probabilities["clean"][CARTON]))
    clean, marked = 100 * np.mean(right, axis=0)
    assert metrics["top1_acc/clean"]["value"] == pytest.approx(clean)
    assert metrics[GAP]["value"] == pytest.approx(marked - clean)
    assert metrics[DELTA]["value"] == pytest.approx(100 * np.mean(gained), rel=1e-3)
