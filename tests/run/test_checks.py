"""Answers at chance level are said to be that, and only those."""

import numpy as np
import pytest
import torch
from torch import nn

from bvg.data.categories import CATEGORIES
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import Predictions
from bvg.run.checks import guesses, guessing, misplaced, others_in_place
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


# Classes in another order


def honest(each: int, accuracy: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of 1000 classes and answers; wrong ones are mostly near, a few are everywhere.

    Of every hundredth class, the majority is taken for its neighbour, whose own are recognised.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(1000), each)
    near = (labels + rng.choice([-2, -1, 1, 2], len(labels))) % 1000
    wrong = np.where(rng.random(len(labels)) < 0.5, near, rng.integers(0, 1000, len(labels)))
    wrong = np.where(labels % 100 == 7, labels + 1, wrong)
    return labels, np.where(rng.random(len(labels)) < accuracy, labels, wrong)


@pytest.mark.parametrize("accuracy", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("each", [1, 5, 10, 50])
def test_honest_models_have_their_classes_in_place(each, accuracy):
    for seed in range(3):
        assert others_in_place(*honest(each, accuracy, seed))[0] == 0


def missing(k: np.ndarray) -> np.ndarray:
    """Return the positions of classes where the folder of class 700 was missing in training."""
    return np.where(k > 700, k - 1, k)


PERMUTED = np.r_[:800, 800 + np.random.default_rng(0).permutation(200)]


@pytest.mark.parametrize(
    ("move", "each", "found"),
    [
        (lambda k: (k + 1) % 1000, 1, range(700, 1000)),
        (lambda k: (k - 1) % 1000, 1, range(700, 1000)),
        (missing, 1, range(200, 300)),
        (missing, 50, range(290, 301)),
        (lambda k: PERMUTED[k], 10, range(180, 201)),
        (lambda k: 999 - k, 50, range(950, 1001)),
    ],
)
def test_classes_elsewhere_are_counted(move, each, found):
    labels, answers = honest(each, 0.8)
    count, (of, to) = others_in_place(labels, move(answers))
    assert count in found
    assert to == move(np.array([of]))[0]


def test_one_answer_to_everything_puts_no_class_elsewhere():
    labels = np.repeat(np.arange(0, 1000, 5), 10)
    assert others_in_place(labels, np.full_like(labels, 6))[0] == 0
    assert others_in_place(labels, np.full_like(labels, -1))[0] == 0


def test_a_permutation_with_fixed_points_is_no_guess_but_said():
    """A few classes of 1000 in their places suffice for an accuracy above chance."""
    labels, answers = honest(50, 0.8)
    moved = np.r_[:3, np.roll(np.arange(3, 1000), 300)]
    shown, rows = np.full(len(labels), "clean"), labels.astype(np.int16)
    answer = moved[answers].astype(np.int16)[:, None]
    found = Predictions(WNIDS, shown, shown, rows, answer, np.ones(len(labels), np.float32), {})
    images = ImageSet(None, ["a"], ["a"], rows[:1], WNIDS)
    assert guessing("imagenet", WNIDS, found, images) == ""
    assert "`classes`" in misplaced("imagenet", WNIDS, found, images)
    assert misplaced("css_72", WNIDS, found, images) == ""
    assert misplaced("shape_bias", CATEGORIES, found, images) == ""
