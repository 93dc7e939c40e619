from math import nan

import numpy as np
import pytest

from bvg.scores.bootstrap import resampled_accuracies
from bvg.scores.spectral import spectral_measures, spectral_metrics
from eval_spectral import CUTOFFS
from stimulus_helpers import SPECTRAL_CONDITIONS as CONDITIONS


def slow_measures(accuracy: dict[str, float]) -> dict[str, float]:
    """Return the measures of one model, straight from the specification."""
    measures, means = {}, {}
    for short, mean, band in (("LFC", "LPP", "lowpass"), ("HFC", "HPP", "highpass")):
        total = 0.0
        for c in (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
            relative = accuracy[f"{band}/{c}"] / accuracy["clean"] if accuracy["clean"] else nan
            measures[f"metric/bandpass/{short}/{c}"] = relative
            if 0.1 <= c <= 0.5:
                total += relative
        means[mean] = measures[f"metric/bandpass/{mean}"] = total / 5
    both = means["LPP"] + means["HPP"]
    measures["metric/bandpass/spectral-bias"] = means["HPP"] / both if both else nan
    return measures


def by_hand(clean: float, low: float, high: float) -> dict[str, float]:
    """Return accuracies that are the same at all cutoffs."""
    accuracy = {"clean": clean}
    accuracy |= {f"lowpass/{cutoff}": low for cutoff in CUTOFFS}
    return accuracy | {f"highpass/{cutoff}": high for cutoff in CUTOFFS}


def test_a_case_by_hand():
    accuracy = by_hand(80, 60, 20) | {"lowpass/0.1": 20, "lowpass/0.6": 79, "highpass/0.01": 4}
    measures = spectral_measures(accuracy)
    assert measures["metric/bandpass/LFC/0.1"] == 0.25
    assert measures["metric/bandpass/LFC/0.6"] == 79 / 80
    assert measures["metric/bandpass/HFC/0.01"] == 0.05
    assert measures["metric/bandpass/LPP"] == pytest.approx((0.25 + 4 * 0.75) / 5)
    assert measures["metric/bandpass/HPP"] == pytest.approx(0.25)
    assert measures["metric/bandpass/spectral-bias"] == pytest.approx(0.25 / (0.25 + 0.65))
    assert len(measures) == 25


def test_many_replicates_are_as_many_single_ones():
    generator = np.random.default_rng(0)
    accuracy = {name: generator.random(12) for name in CONDITIONS}
    accuracy["clean"][3] = 0
    for name in CONDITIONS[1:]:
        accuracy[name][5] = 0
    measures = spectral_measures(accuracy)
    for number in range(12):
        slow = slow_measures({name: values[number] for name, values in accuracy.items()})
        assert measures.keys() == slow.keys()
        for name, value in slow.items():
            np.testing.assert_allclose(measures[name][number], value, rtol=1e-12, err_msg=name)


def test_percent_and_fractions_give_the_same():
    in_percent = spectral_measures(by_hand(80, 60, 20))
    for name, value in spectral_measures(by_hand(0.8, 0.6, 0.2)).items():
        assert value == pytest.approx(in_percent[name])


def test_undefined_is_nan():
    assert all(np.isnan(value) for value in spectral_measures(by_hand(0, 10, 10)).values())
    blind = spectral_measures(by_hand(80, 0, 0))
    assert blind["metric/bandpass/LPP"] == blind["metric/bandpass/HPP"] == 0
    assert np.isnan(blind["metric/bandpass/spectral-bias"])


def test_a_cutoff_that_was_not_measured_leaves_out_what_needs_it():
    whole = spectral_measures(by_hand(80, 60, 20))
    for missing, lost in {
        "highpass/0.7": {"HFC/0.7"},
        "highpass/0.3": {"HFC/0.3", "HPP", "spectral-bias"},
        "lowpass/0.3": {"LFC/0.3", "LPP", "spectral-bias"},
    }.items():
        accuracy = by_hand(80, 60, 20)
        del accuracy[missing]
        found = spectral_measures(accuracy)
        assert set(whole) - set(found) == {f"metric/bandpass/{name}" for name in lost}
        assert found == {name: whole[name] for name in found}
    with pytest.raises(KeyError, match="clean"):
        spectral_measures({"lowpass/0.1": 1.0})


def test_a_run_without_one_of_the_mean_cutoffs_says_why_the_biases_are_undefined():
    names = tuple(name for name in CONDITIONS if name != "lowpass/0.2")
    correct = drawn(by_hand(0.8, 0.6, 0.2), 50, 0)[:, [CONDITIONS.index(name) for name in names]]
    metrics = spectral_metrics(names, correct)
    assert metrics["metric/bandpass/LPP"].value is None
    assert "0.2" in metrics["metric/bandpass/LPP"].note
    assert metrics["metric/bandpass/HPP"].value is not None


def drawn(probability: dict[str, float], n: int, seed: int) -> np.ndarray:
    """Return answers (n, 23); an image that is easy is easy under all conditions."""
    generator = np.random.default_rng(seed)
    ease = (generator.random((n, 1)) + generator.random((n, 23))) / 2  # P(ease < 1/2) = 1/2
    levels = [np.sqrt(p / 2) if p < 0.5 else 1 - np.sqrt((1 - p) / 2) for p in probability.values()]
    return ease < np.array(levels)


def test_metrics_are_the_measures_with_intervals():
    correct = drawn(by_hand(0.8, 0.5, 0.1), 300, seed=0)
    metrics = spectral_metrics(CONDITIONS, correct)
    measured = slow_measures(dict(zip(CONDITIONS, correct.mean(0), strict=True)))
    assert metrics.keys() == measured.keys()
    for name, metric in metrics.items():
        assert metric.value == pytest.approx(measured[name], rel=1e-12)
        assert metric.low < metric.value < metric.high
        assert (metric.n, metric.note) == (300, "")
    bias = [
        slow_measures(dict(zip(CONDITIONS, row, strict=True)))["metric/bandpass/spectral-bias"]
        for row in resampled_accuracies(correct)
    ]
    metric = metrics["metric/bandpass/spectral-bias"]
    assert (metric.low, metric.high) == pytest.approx(tuple(np.percentile(bias, (2.5, 97.5))))


def test_columns_may_come_in_any_order():
    correct = drawn(by_hand(0.8, 0.5, 0.1), 60, seed=0)
    names = (*CONDITIONS[::-1], "another")
    shuffled = np.hstack([correct[:, ::-1], np.ones((60, 1), bool)])
    assert spectral_metrics(names, shuffled) == spectral_metrics(CONDITIONS, correct)


def test_metrics_of_a_blind_model_say_why():
    correct = np.zeros((20, 23), bool)
    for metric in spectral_metrics(CONDITIONS, correct).values():
        assert metric.value is metric.low is metric.high is None
        assert metric.n == 20
        assert "no image is right without a filter" in metric.note
    correct[:, 0] = True
    metrics = spectral_metrics(CONDITIONS, correct)
    assert metrics["metric/bandpass/LPP"].value == 0
    bias = metrics["metric/bandpass/spectral-bias"]
    assert bias.value is None
    assert "none is right under the bias's filters" in bias.note


def test_a_bias_that_hangs_on_one_image_has_no_interval():
    correct = np.zeros((20, 23), bool)
    correct[:, 0] = True
    correct[4, CONDITIONS.index("lowpass/0.2")] = True
    bias = spectral_metrics(CONDITIONS, correct)["metric/bandpass/spectral-bias"]
    assert (bias.value, bias.low) == (0, None)
    assert bias.note.startswith("no interval: in 3")  # (1 - 1/20)**20 = 36 % of the resamples
    assert "of 1000 resamples" in bias.note


def test_intervals_of_the_bias_cover_it_as_often_as_they_say():
    probability = by_hand(0.8, 0.5, 0.2)
    truth = slow_measures(probability)["metric/bandpass/spectral-bias"]
    covered = 0
    for seed in range(100):
        metrics = spectral_metrics(CONDITIONS, drawn(probability, 200, seed))
        metric = metrics["metric/bandpass/spectral-bias"]
        covered += metric.low <= truth <= metric.high
    assert 89 <= covered <= 99  # 95 ± 2.8 standard errors of 100 draws, less for the skew
