"""Faults of published tables are recognised in their numbers, and only there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bvg.analysis.published_faults import PADDED
from bvg.published import faults
from bvg.published.faults import IN_MEMORY, ON_DISK, OWN_SIZE
from bvg.published.reading import TOP1, Value
from conftest import refusal
from study_helpers import publish

SET = "top1_acc/fog_1"


def of_quba(model: str, calibration: float, balance: float) -> list[Value]:
    measures = {
        TOP1: 80.0,
        "calibration-error": calibration,
        "class-balance": balance,
        "relative-acc/adversarial": 0.3,
    }
    return [Value(model, measure, value, "f", "1") for measure, value in measures.items()]


def test_probabilities_taken_for_logits_are_dropped_and_attacks_flagged():
    good = of_quba("good", 0.002, 0.80)
    one_sign = [*of_quba("miscalibrated", 0.02, 0.84), *of_quba("even", 0.002, 0.90)]
    kept, sentences = faults.probabilities_as_logits(
        [*good, *of_quba("clip", 0.03, 0.90), *one_sign]
    )
    by_model = pd.DataFrame(kept).groupby("model")["measure"].apply(set)
    assert by_model["clip"] == {TOP1}
    assert {len(by_model[name]) for name in ("good", "miscalibrated", "even")} == {4}
    flagged = {(v.measure, bool(v.flag)) for v in kept}
    assert ("relative-acc/adversarial", True) in flagged
    assert ("calibration-error", True) not in flagged
    assert any("clip" in sentence and "3 values" in sentence for sentence in sentences)


@pytest.mark.parametrize("seed", range(3))
def test_accuracies_divided_by_the_severity_are_restored_to_the_image(seed):
    images = np.random.default_rng(seed).integers(5_000, 45_000, (15, 5))
    accuracies = images * 100 / 50_000
    restored, was_divided = faults.whole_images(accuracies / np.arange(1, 6), "x")
    assert was_divided
    assert (restored == accuracies).all()
    same, was_divided = faults.whole_images(accuracies, "x")
    assert not was_divided
    assert (same == accuracies).all()


def test_other_accuracies_are_refused():
    numbers = np.random.default_rng(0).uniform(10, 80, (15, 5))
    assert "summary.csv" in refusal(faults.whole_images, numbers, "summary.csv")


def flips_of(scale: float, odd: bool = False) -> dict[str, list[float]]:
    names = ("gaussian_noise", "shot_noise", "brightness", "tilt", "scale")
    profile = np.array([0.17, 0.22, 0.04, 0.05, 0.16])
    values = scale * (profile[::-1] if odd else profile)
    return {name: [value, 1.0] for name, value in zip(names, values.tolist(), strict=True)}


def test_networks_without_weights_are_recognised_on_each_kind_of_set():
    accuracies = {
        ("C", "resnet"): {"fog": [70.0, 60.0], "snow": [50.0, 40.0]},
        ("C", "empty"): {"fog": [0.1, 0.1], "snow": [0.12, 0.1]},
        ("C", "weak"): {"fog": [3.0, 0.5], "snow": [0.4, 0.2]},
    }
    flips = {f"trained{k}": flips_of(scale) for k, scale in enumerate((0.4, 1.0, 1.3, 2.0, 30.0))}
    flips |= {"odd": flips_of(1.0, odd=True), "empty": flips_of(0.5), "never": flips_of(0.0)}
    flips["never"]["scale"][0] = 0.01
    without, sentences = faults.untrained(accuracies, flips)
    assert without == {"empty", "odd", "never"}
    assert "empty" in sentences[0]
    assert "odd" in sentences[1]
    assert faults.untrained({}, {}) == (set(), [])


def values_of_testbed(models: int, gaps: dict[str, dict[str, float]], files: float = 8.0):
    """Return clean, in-memory and on-disk accuracies; gaps: of sets in memory, by model."""
    values = []
    for k in range(models):
        model, clean = f"m{k}", 70.0 + k
        values.append(Value(model, TOP1, clean, "f", "1", OWN_SIZE))
        for name in ("fog_1", "fog_2", "snow_1", "zoom_blur_1"):
            measure = f"top1_acc/{name}"
            gap = gaps.get(name, {}).get(model, 5.0)
            values.append(Value(model, measure, clean - gap, "f", "1", IN_MEMORY))
            values.append(Value(model, measure, clean - 5.0 - files, "f", "1", ON_DISK))
    return values


def test_sets_that_were_not_corrupted_are_dropped():
    gaps = {
        "zoom_blur_1": {**{f"m{k}": 0.0 for k in range(6)}, "m6": -0.9, "m7": 20.0},
        "fog_1": {"m8": 0.004, "m9": 0.3},  # equal but for rounding; nearly equal, by chance
        "fog_2": {"m3": 0.0},  # severities above 1 are what they should be
        "snow_1": {"m8": 0.0},
    }
    kept, sentences = faults.of_testbed(values_of_testbed(10, gaps), {})
    dropped = {
        (f"m{k}", f"top1_acc/{name}")
        for k in range(10)
        for name in ("fog_1", "fog_2", "snow_1", "zoom_blur_1")
    } - {(v.model, v.measure) for v in kept if v.protocol == IN_MEMORY}
    zoom = {(f"m{k}", "top1_acc/zoom_blur_1") for k in range(7)}
    assert dropped == zoom | {("m8", SET), ("m8", "top1_acc/snow_1")}
    assert "9 accuracies" in sentences[0]


@pytest.mark.parametrize(("files", "flagged"), [(3.0, True), (0.2, False)])
def test_files_that_cost_more_than_the_same_in_memory_were_resized_again(files, flagged):
    means = {"top1_acc/imagenet-c": ["top1_acc/fog_1", "top1_acc/fog_2"], "none": ["top1_acc/x_1"]}
    kept, sentences = faults.of_testbed(values_of_testbed(3, {}, files), means)
    on_disk = [v for v in kept if v.protocol == ON_DISK]
    assert [v.measure for v in on_disk] == ["top1_acc/imagenet-c"] * 3
    assert on_disk[0].value == pytest.approx(65 - files)
    assert {bool(v.flag) for v in on_disk} == {flagged}
    assert ("resized" in sentences[-1]) == flagged


def test_a_network_that_is_there_twice_counts_once_unless_its_results_differ():
    name = "top1_acc/critical-band/clean"
    once = [Value("a", name, 90.0, "f", "1"), Value("broken", name, 3.0, "f", "2")]
    kept, sentences = faults.of_critical_band(
        [*once, replace(once[0], row="3")], ["broken", "flat"]
    )
    assert kept == [once[0]]
    assert "a is there twice" in sentences[0]
    assert "broken" in sentences[1]
    assert sentences[2].endswith("flat.")
    assert " a " in refusal(
        faults.of_critical_band, [once[0], Value("a", name, 91.0, "f", "3")], []
    )


def test_css_without_untrained_networks_and_with_a_note_on_confused_weights():
    models = ("resnet50_in1k", "resnet50_in1k_untrained", "robust_resnet50_l2_eps_0_25")
    kept, sentences = faults.of_css([Value(m, "css/72", 0.2, "f", "1") for m in models])
    assert [(v.model, bool(v.flag)) for v in kept] == [(models[0], False), (models[2], True)]
    assert models[1] in sentences[0]


def test_an_adaptive_attack_that_leaves_less_is_flagged():
    value = Value("a", "top1_acc/autoattack-linf-4", 59.64, "f", "autoattack_acc")
    assert "58.22" in faults.adaptively_attacked(value, 58.22).flag
    assert faults.adaptively_attacked(value, 60.0) == value


def test_the_study_s_faults_are_corrected_or_flagged(monkeypatch):
    published = pd.DataFrame(
        {
            "top1_acc/imagenet-real": [100 * 282 / 326, 100 * 289 / 326],
            "top1_acc/PGD-40/low": [100 * (9168 + 48) / PADDED, 100 * 48 / PADDED],
            "metric/criticalband/bw_norm": [4.7, 7.9],
        },
        index=["a", "b"],
    )
    publish(monkeypatch, published)
    values = [
        Value(str(model), str(name), float(published.loc[model, name]), "f", "1")
        for name in published
        for model in published.index
    ]
    kept, sentences = faults.of_study(values, published)
    found = {(v.model, v.measure.rpartition("/")[2]): v for v in kept}
    assert [found[model, "low"].value for model in "ab"] == [100 * 9168 / 50_000, 0.0]
    assert found["a", "low"].flag.startswith("corrected")
    assert all("326" in found[model, "imagenet-real"].flag for model in "ab")
    assert [bool(found[model, "bw_norm"].flag) for model in "ab"] == [False, True]
    assert len(sentences) == 3
    robust = Value("a", "top1_acc/PGD-40/low", 12.3456, "f", "1")
    assert "PGD-40" in refusal(faults.of_study, [robust], published)


def test_a_set_that_lacks_a_model_is_named():
    rows = [("imagenet", "a"), ("imagenet", "b"), ("imagenet-a", "a"), ("imagenet-a", "c")]
    values = [Value(m, f"top1_acc/{s}", 1.0, "f", "1", "size=224 crop=1") for s, m in rows]
    (sentence,) = faults.incomplete(values)
    assert "imagenet-a lacks b at 224 and adds c at 224" in sentence
    assert faults.incomplete(values[:2]) == []
