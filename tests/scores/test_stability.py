"""Flip probability and top-5 distance: equal to the slow definition, and honest at the edges."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_p import PERTURBATIONS
from bvg.predictions.table import Predictions
from bvg.scores.imagenet_p import (
    ALEXNET_FLIPS,
    compares_with_first,
    read_reference,
    reference_fingerprint,
    relative_metrics,
    stability,
    stability_metrics,
    top5_distances,
    write_relative,
)
from bvg.scores.metric import Metric
from conftest import refusal
from oracles import stability as slow

Sequences = dict[tuple[str, str], list[np.ndarray]]  # by (perturbation, name), a frame's logits


def _predictions(sequences: Sequences, classes: int) -> Predictions:
    """Return what the loop would write of these logits."""
    ranks, longest = min(5, classes), max(map(len, sequences.values()))
    answers = np.full((len(sequences), longest * ranks), -1, dtype=np.int16)
    for row, frames in zip(answers, sequences.values(), strict=True):
        best = [np.argsort(-logits, kind="stable")[:ranks] for logits in frames]
        row[: len(frames) * ranks] = np.concatenate(best)
    lengths = np.array([len(frames) for frames in sequences.values()], dtype=np.int16)
    return Predictions(
        classes=tuple(f"c{k}" for k in range(classes)),
        images=np.array([name for _, name in sequences], dtype=object),
        conditions=np.array([perturbation for perturbation, _ in sequences], dtype=object),
        labels=np.zeros(len(sequences), dtype=np.int16),
        answers=answers,
        confidence=np.ones(len(sequences), dtype=np.float32),
        columns={"frames": lengths},
    )


def _walks(
    perturbations, names, classes, seed=0, lengths=(2, 7), ties=False
) -> Sequences:  # of logits that change a little from frame to frame
    generator = np.random.default_rng(seed)
    sequences = {}
    for perturbation, name in itertools.product(perturbations, names):
        count = generator.integers(lengths[0], lengths[1] + 1)
        walk = np.cumsum(generator.normal(size=(count, classes)) * 0.3, axis=0)
        walk += generator.normal(size=classes)
        sequences[perturbation, name] = list(np.round(walk) if ties else walk)
    return sequences


@pytest.mark.parametrize("classes", [2, 4, 5, 6, 30])
@pytest.mark.parametrize("ties", [False, True])
def test_every_sequence_equals_the_definition(classes, ties):
    names = [f"s{k}" for k in range(12)]
    sequences = _walks(("shot_noise", "snow", "tilt"), names, classes, seed=classes, ties=ties)
    found = stability(_predictions(sequences, classes))
    moved = set()
    for (perturbation, name), frames in sequences.items():
        at = list(found[perturbation].names).index(name)
        values = found[perturbation].values
        flip, distance = slow.of_sequence(frames, perturbation)
        assert values["flip_prob"][at] == pytest.approx(flip, abs=1e-12)
        assert values["top5_distance"][at] == pytest.approx(distance, abs=1e-12)
        moved |= {flip > 0, distance > 0}
    assert moved == {False, True}  # the test saw both rest and change


def test_the_short_sum_is_the_papers_double_sum_and_at_most_18():
    generator = np.random.default_rng(1)
    for _ in range(200):
        before, after = generator.normal(size=(2, 9))
        assert slow.top5_distance(before, after) == slow.published_distance(before, after)
    # Where the five best go: to a rank up to 5, no two to one, or beyond (6).
    worst = max(
        sum(abs(i - s) for i, s in enumerate(ranks, start=1))
        for ranks in itertools.product(range(1, 7), repeat=5)
        if len(inside := [s for s in ranks if s < 6]) == len(set(inside))
    )
    assert worst == 18


def test_the_distance_goes_from_the_earlier_frame_to_the_later():
    earlier, later = np.array([0, 1, 2, 3, 4]), np.array([5, 0, 1, 2, 3])
    assert top5_distances(earlier, later) == 5  # each falls by one rank, the last one out
    assert top5_distances(later, earlier) == 9  # the first one out (5), the others rise by one
    assert top5_distances(earlier, earlier) == 0
    assert top5_distances(earlier, np.array([5, 6, 7, 8, 9])) == 15


def test_noise_is_compared_with_the_first_frame_and_the_rest_with_the_one_before():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    sequences = {(p, "s"): [a, b, b, b, a] for p in ("gaussian_noise", "snow")}
    found = stability(_predictions(sequences, 2))
    assert found["gaussian_noise"].values["flip_prob"].tolist() == [3 / 4]
    assert found["snow"].values["flip_prob"].tolist() == [2 / 4]
    assert [p for p in PERTURBATIONS if compares_with_first(p)] == list(slow.NOISE)
    assert compares_with_first("speckle_noise") and compares_with_first("gaussian_noise_3")


def test_single_frames_have_no_pair_and_are_counted():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    metrics = stability_metrics(
        _predictions({("snow", "s"): [a], ("snow", "t"): [a, b], ("tilt", "s"): [a]}, 2)
    )
    snow, tilt = metrics["flip_prob/snow"], metrics["flip_prob/tilt"]
    assert (snow.value, snow.low, snow.n) == (1.0, None, 1) and "1 sequence(s)" in snow.note
    assert tilt.value is None and "no sequence has two frames" in tilt.note
    assert metrics["flip_prob/imagenet-p"].value is None
    assert "gaussian_noise" in metrics["flip_prob/imagenet-p"].note


def test_unusual_numbers_of_frames_are_noted_for_imagenets_classes():
    for frames, unusual in ((31, False), (16, True), (62, True)):
        walks = _walks(["snow", "tilt"], "ab", 6, lengths=(frames, frames))
        own = _predictions(walks, 6)
        imagenet = replace(own, classes=imagenet_classes())
        notes = {name: metric.note for name, metric in stability_metrics(imagenet).items()}
        assert all((f"snow {frames}" in note) == unusual for note in notes.values())
        assert not any("frames" in metric.note for metric in stability_metrics(own).values())


def test_the_mean_of_the_ten_is_of_perturbations_not_of_sequences():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    sequences = {(p, "s"): [a, a, a] for p in PERTURBATIONS} | {("speckle_noise", "s"): [a, b]}
    sequences |= {("scale", f"t{k}"): [a, b] for k in range(4)}  # 4 of 5 flip
    metrics = stability_metrics(_predictions(sequences, 2))
    assert metrics["flip_prob/scale"].value == pytest.approx(0.8)
    assert metrics["flip_prob/speckle_noise"].value == 1
    assert metrics["flip_prob/imagenet-p"].value == pytest.approx(0.08)
    assert metrics["flip_prob/imagenet-p"].n == 5


def _bootstrapped_error(found, measure, weights, replicates=3000) -> float:
    """Return the standard error of the weighted sum of means when sequences are drawn anew."""
    generator = np.random.default_rng(0)
    names = sorted({name for p in weights for name in found[p].names})
    tables = {p: dict(zip(found[p].names, found[p].values[measure], strict=True)) for p in weights}
    sums = []
    for _ in range(replicates):
        drawn = [names[k] for k in generator.integers(len(names), size=len(names))]
        means = {p: np.mean([t[n] for n in drawn if n in t]) for p, t in tables.items()}
        sums.append(sum(weights[p] * means[p] for p in weights))
    return float(np.std(sums))


@pytest.mark.parametrize("shared", [True, False])
def test_intervals_are_as_wide_as_a_bootstrap_over_sequences(shared):
    names = [f"s{k}" for k in range(60)]
    sequences = _walks(PERTURBATIONS, names, 4, seed=3, lengths=(4, 9))
    if shared:  # what is unstable once is unstable always: the mean is hardly surer than one
        for p, name in sequences:
            sequences[p, name] = sequences["tilt", name]
    else:
        sequences = {(p, f"{p if p > 'snow' else ''}{n}"): s for (p, n), s in sequences.items()}
    predictions = _predictions(sequences, 4)
    found, metrics = stability(predictions), stability_metrics(predictions)
    for measure in ("flip_prob", "top5_distance"):
        cases = {"tilt": {"tilt": 1.0}, "imagenet-p": dict.fromkeys(PERTURBATIONS, 0.1)}
        half = {}
        for key, weights in cases.items():
            metric = metrics[f"{measure}/{key}"]
            half[key] = (metric.high - metric.low) / 2
            expected = 1.96 * _bootstrapped_error(found, measure, weights)
            assert half[key] == pytest.approx(expected, rel=0.08)
        assert (half["imagenet-p"] > 0.6 * half["tilt"]) == shared


def test_relative_metrics_are_ratios_to_the_reference_in_percent(tmp_path):
    names = [f"s{k}" for k in range(10)]
    ours = _predictions(_walks(PERTURBATIONS, names, 6, seed=4), 6)
    theirs = stability_metrics(_predictions(_walks(PERTURBATIONS, names, 6, seed=5), 6))
    summary = {"metrics": {name: metric.as_dict() for name, metric in theirs.items()}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    reference = read_reference(tmp_path)
    assert reference == read_reference(tmp_path / "summary.json")
    metrics, own = relative_metrics(ours, reference, "them"), stability_metrics(ours)
    for short, measure in (("FR", "flip_prob"), ("T5D", "top5_distance")):
        ratios = [
            100 * own[f"{measure}/{p}"].value / theirs[f"{measure}/{p}"].value
            for p in PERTURBATIONS
        ]
        for p, ratio in zip(PERTURBATIONS, ratios, strict=True):
            assert metrics[f"{short}/{p}"].value == pytest.approx(ratio)
        mean = metrics[f"m{short}"]
        assert mean.value == pytest.approx(np.mean(ratios)) and mean.low < mean.value < mean.high
    itself = relative_metrics(ours, {k: m.value for k, m in own.items()}, "itself")
    assert itself["mFR"].value == pytest.approx(100)
    written = write_relative(metrics, tmp_path, "them").read_text().splitlines()
    assert written[0] == "metric,value,low,high,n,note,reference" and len(written) == 23


def test_a_reference_that_lacks_something_leaves_the_mean_undefined(tmp_path):
    ours = _predictions(_walks(PERTURBATIONS, ["s", "t"], 6), 6)
    rows = ["perturbation,flip_prob,top5_distance", "snow,0.1,2.0", "tilt,0.0,1.0"]
    (tmp_path / "alexnet.csv").write_text("\n".join(rows))
    metrics = relative_metrics(ours, read_reference(tmp_path / "alexnet.csv"), "alexnet")
    assert set(metrics) == {"FR/snow", "mFR", "T5D/snow", "T5D/tilt", "mT5D"}
    assert metrics["mFR"] == Metric(None, note=metrics["mFR"].note)
    assert "alexnet" in metrics["mFR"].note and "tilt" in metrics["mFR"].note


def test_alexnets_own_flips_give_ratios_that_are_marked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reference = read_reference(Path("alexnet"))
    assert reference == ALEXNET_FLIPS
    assert "unsourced" in reference_fingerprint(reference)
    ours = _predictions(_walks(PERTURBATIONS, [f"s{k}" for k in range(10)], 6), 6)
    metrics, own = relative_metrics(ours, reference, "alexnet"), stability_metrics(ours)
    assert metrics["FR/tilt"].value == pytest.approx(100 * own["flip_prob/tilt"].value / 0.0705)
    assert metrics["mFR"].value is not None and metrics["mT5D"].value is None
    assert all("corroborated" in metric.note for metric in metrics.values())
    other = {**reference, "flip_prob/tilt": 0.0704}
    assert "unsourced" not in reference_fingerprint(other)
    assert not any(
        metric.note for key, metric in relative_metrics(ours, other, "o").items() if "FR" in key
    )
    (tmp_path / "alexnet").mkdir()  # a result of one's own comes first
    assert "summary.json is not a file" in refusal(read_reference, Path("alexnet"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "perturbation,flip_prob,top5_distance\nsnow,11.9,2\n", "in [0, 1]"),
        ("a.csv", "snow,0.1\n", "neither"),
        ("a.csv", "perturbation,flip_prob,top5_distance\nsnow,often,2\n", "neither"),
        ("a.csv", "", "neither"),
        ("a.json", "{", "neither"),
        ("a.json", "[]", "neither"),
        ("a.json", '{"metrics": {"top1_acc/imagenet": {"value": 76.1}}}', "no flip_prob"),
    ],
)
def test_a_reference_of_another_kind_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    assert said in refusal(read_reference, tmp_path / name)


def test_a_reference_that_is_not_there_is_refused(tmp_path):
    assert "summary.json is not a file" in refusal(read_reference, tmp_path)


def test_sequences_that_agree_claim_no_certainty():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    sequences = {("snow", f"s{k}"): [a, b, b] for k in range(3)}
    sequences |= {("tilt", f"s{k}"): [a, a] for k in range(3)}
    metrics = stability_metrics(_predictions(sequences, 2))
    for perturbation, value in (("snow", 0.5), ("tilt", 0.0)):
        metric = metrics[f"flip_prob/{perturbation}"]
        assert (metric.value, metric.low, metric.high, metric.n) == (value, None, None, 3)
        assert "all sequences agree" in metric.note
