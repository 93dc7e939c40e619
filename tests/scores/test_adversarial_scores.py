import numpy as np
import pytest

from bvg.predictions.table import Predictions
from bvg.scores.imagenet_adv import (
    adversarial_metrics,
    condition_order,
    epsilon_value,
    survival,
    warnings_of,
)
from bvg.scores.metric import Metric, proportion

WEAK, STRONG = "PGD-4/eps=0.5_255", "PGD-4/eps=1_255"
# By image: answers (clean, weak, strong), first_success, masked_gradients and perturbation of both.
ROWS = {
    "a": ((0, 0, 0), (-1, -1), (0, 0), (0.1, 0.2)),
    "b": ((0, 0, 1), (-1, 3), (0, 2), (0.1, 0.2)),
    "c": ((0, 0, 1), (2, 1), (0, 0), (0.3, 0.4)),  # broken on the way, right at the end
    "d": ((2, 2, 2), (-2, -2), (0, 0), (0.0, 0.0)),  # wrong without an attack
}


def _predictions(rows=ROWS, conditions=("clean", WEAK, STRONG)) -> Predictions:
    count = len(rows) * len(conditions)
    answers = [answer for row in rows.values() for answer in row[0]]

    def column(number, absent, dtype):
        return np.array([v for row in rows.values() for v in (absent, *row[number])], dtype)

    return Predictions(
        ("x", "y", "z"),
        np.repeat(np.array(list(rows), dtype=object), len(conditions)),
        np.array(list(conditions) * len(rows), dtype=object),
        np.zeros(count, np.int16),
        np.array(answers, np.int16)[:, None],
        np.ones(count, np.float32),
        {
            "first_success": column(1, -2, np.int16),
            "masked_gradients": column(2, 0, np.int16),
            "perturbation": column(3, 0, np.float32),
        },
    )


def test_robust_accuracies_count_every_image():
    metrics = adversarial_metrics(_predictions())
    assert metrics["top1_acc/clean"].value == 75
    assert metrics[f"top1_acc/{WEAK}"] == proportion(3, 4, scale=100)
    assert metrics[f"top1_acc/{STRONG}"].value == 25
    assert metrics["top1_acc/PGD-4-any/eps=0.5_255"].value == 50
    assert metrics["top1_acc/PGD-4-any/eps=1_255"].value == 25


def test_diagnostics_are_of_the_images_that_were_attacked():
    metrics = adversarial_metrics(_predictions())
    assert metrics[f"metric/{STRONG}/median-steps"] == Metric(2.0, n=2)
    assert metrics[f"metric/{STRONG}/median-perturbation"].value == pytest.approx(0.2)
    masked = metrics[f"metric/{STRONG}/masked-gradients"]
    assert (masked.value, masked.n) == (pytest.approx(100 / 3), 3)
    unbroken = {name: (row[0], (-1, -1), row[2], row[3]) for name, row in ROWS.items()}
    steps = adversarial_metrics(_predictions(unbroken))[f"metric/{WEAK}/median-steps"]
    assert steps.value is None and steps.note == "no image was broken"


def test_any_iterate_is_not_a_key_of_attacks_that_stop_or_have_no_steps():
    for attack in ("PGD-4-first", "FGSM", "AutoAttack", "PGD-4-targeted"):
        conditions = ("clean", f"{attack}/eps=1_255", f"{attack}/eps=2_255")
        metrics = adversarial_metrics(_predictions(conditions=conditions))
        assert f"top1_acc/{attack}/eps=1_255" in metrics
        assert not [key for key in metrics if "-any" in key]
    transferred = ("clean", f"{WEAK}/from=m", f"{STRONG}/from=m")
    assert not [k for k in adversarial_metrics(_predictions(conditions=transferred)) if "any" in k]
    decaying = ("clean", "PGD-4-decay/eps=1_255", "PGD-4-l2-step=0.1/eps=2")
    metrics = adversarial_metrics(_predictions(conditions=decaying))
    assert "top1_acc/PGD-4-decay-any/eps=1_255" in metrics
    assert "top1_acc/PGD-4-l2-step=0.1-any/eps=2" in metrics


def _accuracies(**values: float) -> dict[str, Metric]:
    return {f"top1_acc/{key}": Metric(value, n=100) for key, value in values.items()}


def test_accuracy_that_rises_with_epsilon_is_doubted():
    falling = _accuracies(**{"clean": 70, "P/eps=0.5_255": 50, "P/eps=10_255": 1, "P/eps=2_255": 9})
    assert warnings_of(falling) == []
    rising = falling | _accuracies(**{"P/eps=10_255": 12})
    (sentence,) = warnings_of(rising)
    assert sentence.startswith(
        "top1_acc/P/eps=10_255 (12.00 %) is above top1_acc/P/eps=2_255 (9.00 %)"
    )
    others = _accuracies(**{"P/eps=2_255": 9, "Q/eps=4_255": 30, "P/eps=4_255/from=m": 60})
    assert warnings_of(others) == []


def test_accuracy_that_rises_with_steps_is_doubted():
    values = {"PGD-5/eps=1_255": 20, "PGD-40/eps=1_255": 21, "PGD-5/eps=2_255": 9}
    (sentence,) = warnings_of(_accuracies(**values))
    assert "PGD-40/eps=1_255 (21.00 %) is above top1_acc/PGD-5/eps=1_255" in sentence
    assert (
        warnings_of(_accuracies(**{**values, "PGD-40-l2/eps=1_255": 30, "PGD-40/eps=1_255": 20}))
        == []
    )


def test_images_that_came_back_and_masked_gradients_are_told():
    sentences = warnings_of(adversarial_metrics(_predictions()))
    assert sentences[0].startswith(
        "1 image(s) were misclassified at an earlier step and right again"
    )
    assert sentences[1].startswith(
        f"33.3 % of the attacked images had a zero or non-finite gradient under {STRONG}"
    )
    assert len(sentences) == 2


def test_survival_by_steps():
    condition, percent = survival(_predictions())
    assert condition == STRONG
    assert percent.tolist() == [75, 50, 50, 25, 25]
    for name in ("FGSM/eps=1_255", "AutoAttack/eps=1_255", f"{STRONG}/from=m"):
        assert survival(_predictions(conditions=("clean", "FGSM/eps=0.1", name))) is None


def test_names_of_epsilons_are_read_back():
    assert epsilon_value("0.5_255") == 0.5 / 255
    assert epsilon_value("0.06") == 0.06
    conditions = ["P/eps=10_255", "O/eps=1", "P/eps=2_255/from=m"]
    assert sorted(conditions, key=condition_order) == [conditions[1], conditions[2], conditions[0]]
