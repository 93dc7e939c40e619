"""Verified low precision on photographs through a real model: every answer is fp32's.

All three models on more photographs and all corruptions take long: benchmarks/verified.py.
"""

import numpy as np

import eval_criticalband
import eval_spectral
from bvg import evaluate, imagenet_val, load_models, options
from bvg.run import precision
from bvg.run.decisions import top5_and_category
from bvg.scores.accuracy import condition_accuracies, top1_by_condition
from bvg.stimuli.imagenet_c import CORRUPTIONS

FEWEST, LIMIT = 2, 6


def stimuli(batch):
    yield from eval_spectral.stimuli(batch)
    yield from eval_criticalband.stimuli(batch)
    for name in ("contrast", "gaussian_noise"):
        for severity in (1, 5):
            yield f"{name}_{severity}", CORRUPTIONS[name](batch, severity)


def score(predictions):
    return condition_accuracies(*top1_by_condition(predictions))


def test_verified_answers_of_a_mobilenet_equal_those_of_fp32(fixtures, tmp_path, monkeypatch):
    monkeypatch.setenv("BVG_SIMULATED_FP16", "1")
    monkeypatch.setattr(precision, "FEWEST", FEWEST)
    runs = {}
    for how in ("fp32", "verified"):
        args = options(
            model=[f"{fixtures}/models/mobilenet_tf.py:mobilenet_v1_025"],
            precision=how,
            results=tmp_path / how,
            limit=LIMIT,
            preprocess="study",
            wandb="disabled",
        )
        models, classes = load_models(args)
        images = imagenet_val(fixtures / "imagenet", classes, partial=True)
        decide = top5_and_category(classes)
        (runs[how],) = evaluate("all", models, images, stimuli, decide, score, args)
    exact, checked = (run.predictions for run in runs.values())
    assert len(exact) == LIMIT * (1 + 22 + 29 + 4)
    np.testing.assert_array_equal(checked.answers[:, 0], exact.answers[:, 0])
    in_top = [(p.answers == p.labels[:, None]).any(axis=1) for p in (exact, checked)]
    np.testing.assert_array_equal(*in_top)
    np.testing.assert_array_equal(checked.columns["category"], exact.columns["category"])
    np.testing.assert_allclose(checked.confidence, exact.confidence, atol=0.02)
    found = runs["verified"].summary["precision"]
    assert 0 < found["near"] < 0.6 * found["inputs"]
    assert found["repaired"] > 0
    assert found["changed"] == 0
