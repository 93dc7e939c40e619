"""Answers at chance level are said to be that, and only those."""

import numpy as np
import pytest
import torch
from torch import nn

from bvg.data.categories import CATEGORIES
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import Predictions
from bvg.run.checks import guesses, guessing
from bvg.run.command_line import options
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.scores.accuracy import imagenet_accuracy
from bvg.stimuli.batch import unchanged
from conftest import draw

WNIDS = imagenet_classes()


def predictions(right, images, classes=WNIDS, conditions=("clean",), columns=None, seed=0):
    """Return predictions of which a part `right` (by condition) are right, the others wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(classes), images).astype(np.int16)
    rows, answers = np.tile(labels, len(conditions)), []
    for part in right:
        wrong = (labels + 1) % len(classes)
        answers.append(np.where(np.arange(images) < part * images, labels, wrong))
    names = np.array([f"{k}" for k in range(images)] * len(conditions))
    shown = np.repeat(np.array(conditions), images)
    answer = np.concatenate(answers).astype(np.int16)[:, None]
    confidence = np.ones(len(rows), np.float32)
    return Predictions(classes, names, shown, rows, answer, confidence, columns or {})


def image_set(found, **notes):
    names = [*dict.fromkeys(found.images)]
    return ImageSet(None, names, names, found.labels[: len(names)], found.classes, notes=notes)


@pytest.mark.parametrize(
    ("right", "images", "expected"),
    [
        ([0.0], 24, True),
        ([0.0], 50_000, True),
        ([0.001], 50_000, True),
        ([0.0], 19, False),  # too few to tell
        ([0.02], 50, False),  # one in 50, of a model that is poor, or tested on hard images
        ([0.1], 50, False),
        ([0.005], 50_000, False),
        ([0.0, 0.5], 24, False),  # one condition is enough
        ([0.0, 0.0], 24, True),
    ],
)
def test_among_a_thousand_classes(right, images, expected):
    found = predictions(right, images, conditions=("a", "b")[: len(right)])
    assert guesses(found, [], 1000) is expected
    assert bool(guessing("imagenet", WNIDS, found, image_set(found))) is expected


def test_a_texture_is_as_good_a_label_as_a_shape():
    found = predictions([0.05], 1280, CATEGORIES)
    texture = found.answers[:, 0].copy()
    texture[400:] = (found.labels[400:] + 2) % 16
    by_texture = predictions([0.05], 1280, CATEGORIES, columns={"texture": texture})
    assert guessing("imagenet_shape_bias", WNIDS, found, image_set(found))
    assert not guessing("imagenet_shape_bias", WNIDS, by_texture, image_set(by_texture))
    # Right by chance in two of sixteen cases.
    texture[64:] = (found.labels[64:] + 2) % 16
    assert guessing("imagenet_shape_bias", WNIDS, by_texture, image_set(by_texture))


def test_where_chance_is_higher_or_expected_nothing_is_said():
    found = predictions([0.005], 1000)
    images = image_set(found, restricted_to=[*WNIDS[:200]])
    assert guessing("imagenet_r", WNIDS, found, images)  # 1 of 200 is chance
    assert not guessing("imagenet_a", WNIDS, found, images)
    assert not guesses(found, [], 1)  # the only class is always right
    few = predictions([0.0], 400, ("a", "b", "c", "d"))
    assert guessing("imagenet", few.classes, few, image_set(few))
    assert not guessing("imagenet_sketch", few.classes, few, image_set(few))


class Always(nn.Module):
    """Answers every image with the last of 100 classes, and by the image among the others."""

    def __init__(self, **origin):
        super().__init__()
        self.classes, self.origin = tuple(f"{k}" for k in range(100)), origin

    def forward(self, x):
        last = 9 * nn.functional.one_hot(torch.tensor([99]), 100)
        return last + x.flatten(1)[:, :100]


@pytest.mark.parametrize("origin", [{}, {"untrained": True}])
def test_a_warning_is_printed_and_kept_unless_weights_are_initial(origin, tmp_path, capsys):
    files = [draw(tmp_path / f"{k}.png", k).name for k in range(24)]
    classes = Always().classes
    images = ImageSet(tmp_path, files, files, np.arange(24) % 99, classes)
    args = options(model={"m": Always(**origin)}, results=tmp_path / "results", device="cpu")
    models, _ = load_models(args)
    (run,) = evaluate("imagenet", models, images, unchanged, top5, imagenet_accuracy, args)
    assert ("guesses" in run.summary.get("warning", "")) == (not origin)
    assert ("guesses" in capsys.readouterr().err) == (not origin)
