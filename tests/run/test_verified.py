"""Verified low precision: fp32's answers, whatever the low precision does."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bvg import evaluate, options
from bvg.data.image_set import ImageSet
from bvg.data.imagenet import imagenet_val
from bvg.data.preprocessing import decode
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import Predictions, read_predictions
from bvg.run import loop, precision, verified
from bvg.run.decisions import top5, with_margins
from bvg.run.evaluate import load_models
from bvg.run.precision import clopper_pearson, measured_sample, upper_bound
from bvg.run.runs import Run
from bvg.stimuli.batch import unchanged
from conftest import refusal
from noise_benchmark import NOISE

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")
EACH = 30  # images
_BRIGHTNESS = (0, 0, 0, 0, 95, 95, 127, 127)  # of each class; means around 0.25, 0.62 and 0.75
BRIGHT, BRIGHTEST = 0.5, 0.69

# `ties`: two classes have a twin that is hardly different. `large`: no number of fp16 holds its
# activations. `equal`: all logits are. `undefined`: NaN for the brightest. `half`: weights of 16
# bits.
MODEL_FILE = """
import torch

class Net(torch.nn.Module):
    classes = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")

    def __init__(self, seed, scale=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = torch.nn.Conv2d(3, 16, 5, stride=3)
        self.head = torch.nn.Linear(144, 8)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.head.bias.data.zero_()
        for parameter in self.conv.parameters():
            parameter.data *= scale
        for twin, original in ((6, 0), (7, 1)):
            near = 1e-3 * torch.randn(144, generator=generator)
            self.head.weight.data[twin] = self.head.weight.data[original] + near

    def forward(self, x):
        features = self.conv(x - x.mean((2, 3), keepdim=True)).relu()
        features = torch.nn.functional.adaptive_avg_pool2d(features, 3).flatten(1)
        features = features / features.norm(dim=1, keepdim=True)
        return self.head(features - features.mean(1, keepdim=True))

def ties(): return Net(3)
def other(): return Net(4)
def large(): return Net(3, 1e6)

class Equal(Net):
    def forward(self, x):
        return 0 * super().forward(x) + 1

class Undefined(Net):
    def forward(self, x):
        bright = x.mean((1, 2, 3))[:, None] > 0.69
        return torch.where(bright, torch.nan, super().forward(x))

def equal(): return Equal(3)
def undefined(): return Undefined(3)
def half(): return Net(3).bfloat16()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, Path]:
    """Return the file of models, and a folder of images."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "nets.py").write_text(MODEL_FILE)
    draws = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / "val" / name).mkdir(parents=True)
        for image in range(EACH):
            rough = draws.integers(0, 128, (4, 4, 3)) + _BRIGHTNESS[number]
            picture = Image.fromarray(rough.astype(np.uint8)).resize((32, 32), 2)
            picture.save(folder / "val" / name / f"{image}.png")
    return folder / "nets.py", folder


@pytest.fixture
def run(world, tmp_path):
    """Return a function: precision, words → exit code; results in a folder of the same name.

    model: one name or several.
    """
    models, data = world

    def evaluated(how: str, *words: str, model: str = "ties", results: str = "") -> int:
        argv = ["--model", *(f"{models}:{name}" for name in model.split())]
        argv += ["--data", str(data), "--num_workers", "0"]
        argv += ["--batch_size", "20", "--precision", how, *words]
        return NOISE.main([*argv, "--results", str(tmp_path / (results or how))])

    return evaluated


@pytest.fixture
def simulating(monkeypatch):
    monkeypatch.setenv("BVG_SIMULATED_FP16", "1")


def _folder(tmp_path: Path, results: str, model: str = "ties") -> Path:
    return tmp_path / results / "noise" / model


def _predictions(tmp_path: Path, results: str, model: str = "ties") -> Predictions:
    return read_predictions(_folder(tmp_path, results, model) / "predictions.parquet")


def _found(tmp_path: Path, results: str, model: str = "ties") -> dict:
    return json.loads((_folder(tmp_path, results, model) / "summary.json").read_text())["precision"]


def _changed(one: Predictions, other: Predictions) -> int:
    return int((one.answers[:, 0] != other.answers[:, 0]).sum())


def test_answers_are_those_of_fp32_also_near_planted_ties(
    run, simulating, tmp_path, monkeypatch, capsys
):
    assert run("fp32") == run("verified") == 0
    exact, checked = (_predictions(tmp_path, how) for how in ("fp32", "verified"))
    assert len(exact) == 2 * len(CLASSES) * EACH
    assert _changed(exact, checked) == 0
    in_top = [(p.answers == p.labels[:, None]).any(axis=1) for p in (exact, checked)]
    np.testing.assert_array_equal(*in_top)
    np.testing.assert_allclose(checked.confidence, exact.confidence, atol=0.01)
    found = _found(tmp_path, "verified")
    assert found["form"] == "simulated fp16"
    assert found["changed"] == found["raises"] == 0
    assert found["measured"] == 2 * precision.FEWEST
    assert found["inputs"] == len(exact)
    recomputed = found["near"] + found["audited"]
    assert found["recomputed_share"] == recomputed / len(exact)
    assert found["near"] > 100
    assert found["repaired"] > 10
    assert found["changed_at_most"] == pytest.approx(upper_bound(0, found["audited"]))
    assert "recomputed in fp32" in capsys.readouterr().out
    # Without the bound and the audit, some of these decisions are other ones.
    monkeypatch.setattr(precision.Error, "bound", -1.0)
    monkeypatch.setattr(verified, "MOST_DRAWN", 0.0)
    assert run("verified", results="unverified") == 0
    assert _changed(exact, _predictions(tmp_path, "unverified")) > 10


def test_batches_and_company_change_no_answer(run, simulating, tmp_path):
    assert run("verified") == run("verified", "--batch_size", "7", results="small") == 0
    assert run("verified", model="other ties", results="two") == 0
    whole = _predictions(tmp_path, "verified")
    assert _changed(whole, _predictions(tmp_path, "small")) == 0
    assert _found(tmp_path, "small")["near"] == pytest.approx(
        _found(tmp_path, "verified")["near"], abs=5
    )
    assert _bytes(tmp_path, "two") == _bytes(tmp_path, "verified")


def test_a_batch_seen_again_for_want_of_memory_counts_once(run, simulating, tmp_path, monkeypatch):
    end, failures = verified.Check.end, []

    def failing(self, images):
        end(self, images)
        if self.run.name == "other" and not failures:
            failures.append(images)
            raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(verified.Check, "end", failing)
    assert run("fp32") == run("verified", model="ties other") == 0
    assert failures == [20]
    exact = _predictions(tmp_path, "fp32")
    assert _changed(exact, _predictions(tmp_path, "verified")) == 0
    assert _found(tmp_path, "verified")["inputs"] == len(exact)


def test_a_rest_that_is_too_large_for_the_memory_is_recomputed_in_parts(
    run, simulating, tmp_path, monkeypatch
):
    recompute, sizes = verified.Check.recompute, []

    def limited(self, count):
        sizes.append(count)
        if count > 4 and count != 20:
            raise torch.OutOfMemoryError("no memory")
        recompute(self, count)

    monkeypatch.setattr(verified.Check, "recompute", limited)
    monkeypatch.setattr(verified, "GROUP", 1)
    assert run("fp32") == run("verified") == 0
    assert max(size for size in sizes if size != 20) > 4
    exact = _predictions(tmp_path, "fp32")
    assert _changed(exact, _predictions(tmp_path, "verified")) == 0


def test_inputs_are_recomputed_in_full_batches(evaluated, simulating, monkeypatch):
    recompute, counts = verified.Check.recompute, []

    def watched(self, count):
        left = self.left
        recompute(self, count)
        counts.append(left - self.left)

    monkeypatch.setattr(verified.Check, "recompute", watched)
    monkeypatch.setattr(verified, "GROUP", 6)  # of the 12 batches of the only condition
    found = evaluated("verified").summary["precision"]
    assert sum(counts) == found["near"] + found["audited"]
    assert counts.count(20) >= len(counts) - 2


@pytest.mark.parametrize(
    ("changes", "groups"),
    [
        ({}, 6),
        ({"frames": 2, "reader": lambda path: [decode(path)] * 2}, 12),
        ({"stimuli": {"ties": unchanged}}, 12),  # a killed attack loses one batch
    ],
)
def test_a_group_has_so_many_batches(evaluated, simulating, monkeypatch, changes, groups):
    end_group, ended = loop._Pass._end_group, []

    def watched(self):
        ended.append(self.done)
        return end_group(self)

    monkeypatch.setattr(loop._Pass, "_end_group", watched)
    monkeypatch.setattr(verified, "GROUP", 2)
    evaluated("verified", **changes)
    assert len(ended) == groups


def test_the_error_is_measured_on_images_of_many_classes(evaluated, simulating):
    count, classes = 50_000, tuple(f"class {k}" for k in range(1000))
    names = tuple(f"{k}.png" for k in range(count))
    sorted_by_class = ImageSet(Path(), names, names, np.repeat(np.arange(1000), 50), classes)
    sample = measured_sample(sorted_by_class, seed=0)
    assert len(sample) == len(set(sample.labels)) == 128
    conditions = ("a",) * 30_000 + ("b",) * 20_000
    by_condition = measured_sample(replace(sorted_by_class, conditions=conditions), seed=0)
    assert Counter(by_condition.conditions) == {"a": 128, "b": 128}
    assert len(measured_sample(sorted_by_class.select(np.arange(40)), seed=0)) == 32
    assert precision.Error().bound == np.inf  # of a condition without measured images


def test_few_images_are_computed_in_fp32(run, simulating, tmp_path, capsys):
    words = ("--limit", str(precision.FEWEST))
    assert run("fp32", *words) == run("verified", *words) == 0
    assert "so few" in capsys.readouterr().out
    assert _bytes(tmp_path, "fp32") == _bytes(tmp_path, "verified")
    assert _found(tmp_path, "verified")["form"] == "fp32"


def test_equal_logits_are_all_recomputed(run, simulating, tmp_path):
    assert run("fp32", model="equal") == run("verified", model="equal") == 0
    assert _bytes(tmp_path, "fp32", "equal") == _bytes(tmp_path, "verified", "equal")
    found = _found(tmp_path, "verified", "equal")
    assert found["near"] == found["inputs"]


@pytest.mark.parametrize("fewest", [3, 32])  # without and with measured images that are NaN
def test_nan_in_fp32_is_an_error_that_names_the_image(run, simulating, monkeypatch, capsys, fewest):
    monkeypatch.setattr(precision, "FEWEST", fewest)
    assert run("verified", model="undefined") == 2
    error = capsys.readouterr().err
    assert "gnu/0.png" in error and "overflow" not in error


def _bytes(tmp_path: Path, results: str, model: str = "ties") -> bytes:
    return (_folder(tmp_path, results, model) / "predictions.parquet").read_bytes()


def _erring(error: float, above: float):
    """Return low precision with an error of one logit on images whose mean is above a value."""

    def low_precision(form, model, settings, forward):
        def low(x):
            logits = forward(model, x).clone()
            logits[:, 0] += 1e-3
            logits[x.mean((1, 2, 3)) > above, 0] += error
            return logits

        return low

    return low_precision


@pytest.fixture
def late_error(simulating, monkeypatch):
    """An error that the measured images do not show, and the audit finds."""
    monkeypatch.setattr(verified, "low_precision", _erring(0.05, BRIGHTEST))
    monkeypatch.setattr(precision, "FEWEST", 3)  # of 240 images, none of the brightest
    monkeypatch.setattr(verified, "GROUP", 3)  # two batches of images under two conditions
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 20)


def test_an_error_above_the_bound_raises_it_and_all_is_done_again(
    run, late_error, tmp_path, capsys
):
    assert run("fp32") == run("verified") == 0
    assert "what was accepted is computed again" in capsys.readouterr().err
    found = _found(tmp_path, "verified")
    assert found["raises"] >= 1
    assert max(found["bounds"].values()) == pytest.approx(0.102, rel=1e-3)
    assert _changed(_predictions(tmp_path, "fp32"), _predictions(tmp_path, "verified")) == 0
    # What counts is the last start alone.
    assert found["inputs"] == len(_predictions(tmp_path, "verified"))


def test_images_that_are_done_are_not_counted_again(run, simulating, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 20)
    monkeypatch.setattr(verified, "GROUP", 1)
    collect = loop._Pass._collect

    def interrupted(self, *arguments):
        if collect(self, *arguments) == 20:
            raise KeyboardInterrupt
        return self.done

    with monkeypatch.context() as patched:
        patched.setattr(loop._Pass, "_collect", interrupted)
        assert run("verified") == 130
    assert run("verified", "--batch_size", "64") == 0
    assert _found(tmp_path, "verified")["inputs"] == 2 * len(CLASSES) * EACH


@pytest.mark.parametrize("groups", [2, 4, 7, 9])
def test_interrupted_before_or_after_a_raise_it_ends_with_the_same_bytes(
    run, late_error, tmp_path, monkeypatch, groups
):
    assert run("verified") == 0
    collect, left = loop._Pass._collect, [groups]

    def interrupted(self, *arguments):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return collect(self, *arguments)

    monkeypatch.setattr(loop._Pass, "_collect", interrupted)
    assert run("verified", results="again") == 130
    assert run("verified", results="again") == 0
    assert _bytes(tmp_path, "again") == _bytes(tmp_path, "verified")
    assert _found(tmp_path, "again") == _found(tmp_path, "verified")


def test_interrupted_while_answers_are_collected_it_ends_with_the_same_bytes(
    run, simulating, tmp_path, monkeypatch
):
    monkeypatch.setattr(verified, "GROUP", 2)
    assert run("verified") == 0
    settle, left = loop.Stopwatch.settle, [3]

    def interrupted(self):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        settle(self)

    monkeypatch.setattr(loop.Stopwatch, "settle", interrupted)
    assert run("verified", results="again") == 130
    assert run("verified", results="again") == 0
    assert _bytes(tmp_path, "again") == _bytes(tmp_path, "verified")
    assert _found(tmp_path, "again") == _found(tmp_path, "verified")


@pytest.mark.parametrize("above", [-1, BRIGHT])
def test_a_wrong_model_in_low_precision_is_refused(run, simulating, monkeypatch, capsys, above):
    monkeypatch.setattr(verified, "low_precision", _erring(30.0, above))
    assert run("verified") == 2
    error = capsys.readouterr().err
    assert "model ties in simulated fp16" in error
    assert "--precision fp32" in error


def test_wrong_weights_in_low_precision_are_refused(run, world, simulating, monkeypatch, capsys):
    rounded = verified.simulated

    def sabotaged(model):
        other = rounded(model)
        other.head.weight.data = other.head.weight.data.roll(1, 0)
        return other

    monkeypatch.setattr(verified, "simulated", sabotaged)
    assert run("verified") == 2
    assert "use --precision fp32" in capsys.readouterr().err


def test_a_model_that_is_wrong_for_some_classes_is_refused_by_the_audit(
    run, late_error, monkeypatch, capsys
):
    monkeypatch.setattr(verified, "low_precision", _erring(30.0, BRIGHTEST))
    assert run("verified") == 2
    error = capsys.readouterr().err
    assert "model ties in simulated fp16" in error
    assert "--precision fp32" in error


def test_an_overflow_in_one_condition_is_recomputed_there(evaluated, simulating, monkeypatch):
    monkeypatch.setattr(verified, "low_precision", _erring(torch.inf, BRIGHT))
    monkeypatch.setattr(verified, "OFTEN", 0.6)
    conditions = ("dark",) * 4 * EACH + ("bright",) * 4 * EACH
    exact, checked = (evaluated(how, conditions=conditions) for how in ("fp32", "verified"))
    assert _changed(exact.predictions, checked.predictions) == 0
    found = checked.summary["precision"]
    assert found["form"] == "simulated fp16"
    assert found["bounds"]["bright"] is None
    assert found["bounds"]["dark"] < 0.01
    assert found["near"] < found["inputs"]


def test_an_overflow_falls_back_to_fp32(run, simulating, tmp_path, capsys):
    assert run("fp32", model="large") == run("verified", model="large") == 0
    assert "simulated fp16 overflows in this model: using fp32" in capsys.readouterr().err
    assert _bytes(tmp_path, "fp32", "large") == _bytes(tmp_path, "verified", "large")
    assert _found(tmp_path, "verified", "large")["form"] == "fp32"


def test_inputs_that_overflow_are_recomputed(run, simulating, tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "low_precision", _erring(torch.inf, BRIGHT))
    monkeypatch.setattr(verified, "OFTEN", 1.0)
    assert run("fp32") == run("verified") == 0
    assert max(_found(tmp_path, "verified")["bounds"].values()) < 0.01
    exact, checked = (_predictions(tmp_path, how) for how in ("fp32", "verified"))
    assert _changed(exact, checked) == 0
    bright = exact.labels >= 4
    np.testing.assert_allclose(checked.confidence[bright], exact.confidence[bright], rtol=1e-5)


def test_without_fast_low_precision_everything_is_fp32(run, tmp_path, capsys):
    assert run("fp32") == run("verified") == 0
    assert "has no faster arithmetic of 11 bits" in capsys.readouterr().out
    assert _bytes(tmp_path, "fp32") == _bytes(tmp_path, "verified")
    found = _found(tmp_path, "verified")
    assert (found["form"], found["recomputed_share"], found["changed_at_most"]) == ("fp32", 1, 0)


@pytest.fixture
def evaluated(world, tmp_path):
    """Return a function: precision, decision, images' changes → the result, without a script."""

    def result(how: str, decide=top5, stimuli=unchanged, **changes) -> Run:
        models, data = world
        words = {"batch_size": 20, "num_workers": 0, "preprocess": "study"}
        args = options(
            model=[f"{models}:ties"],
            precision=how,
            results=tmp_path / how,
            wandb="disabled",
            **words,
        )
        loaded, classes = load_models(args)
        images = replace(imagenet_val(data, classes), view=NOISE.view, **changes)
        (run,) = evaluate("mine", loaded, images, stimuli, decide, NOISE.score, args)
        return run

    return result


def test_a_raise_goes_back_to_where_the_condition_began(evaluated, simulating, monkeypatch, capsys):
    monkeypatch.setattr(verified, "low_precision", _erring(0.05, BRIGHTEST))
    monkeypatch.setattr(precision, "FEWEST", 1)
    monkeypatch.setattr(verified, "GROUP", 1)
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 20)
    stops, go_back = [], ResultFolder.go_back

    def going_back(self, stop):
        stops.append(stop)
        go_back(self, stop)

    monkeypatch.setattr(ResultFolder, "go_back", going_back)
    half = len(CLASSES) * EACH // 2
    conditions = ("dark",) * half + ("bright",) * half
    exact, checked = (evaluated(how, conditions=conditions) for how in ("fp32", "verified"))
    assert set(stops) == {half}
    found = checked.summary["precision"]
    assert found["raises"] == len(stops)
    assert found["inputs"] == 2 * half
    assert found["bounds"]["bright"] > 0.09 > 0.01 > found["bounds"]["dark"]
    assert _changed(exact.predictions, checked.predictions) == 0


def test_a_decision_without_margins_is_computed_in_fp32(evaluated, simulating, capsys):
    def mine(logits):
        return top5(logits)

    exact, checked = (evaluated(how, mine) for how in ("fp32", "verified"))
    assert "declares no margins" in capsys.readouterr().out
    assert checked.summary["precision"]["form"] == "fp32"
    assert exact.store.predictions.read_bytes() == checked.store.predictions.read_bytes()


def test_margins_that_are_too_large_are_refused(evaluated, simulating, monkeypatch):
    monkeypatch.setattr(verified, "MOST_DRAWN", 1.0)
    never = with_margins(
        lambda logits: top5(logits), lambda logits, _: torch.full_like(logits[:, 0], torch.inf)
    )
    assert "with_margins" in refusal(evaluated, "verified", never)


def test_a_restart_of_one_model_changes_nothing_of_another(run, late_error, tmp_path, monkeypatch):
    assert run("verified") == 0  # with an error that is found late
    erring, rounded = verified.low_precision, _erring(0.0, BRIGHT)

    def of_one(form, model, settings, forward):
        low = erring if forward.args == ("ties",) else rounded
        return low(form, model, settings, forward)

    monkeypatch.setattr(verified, "low_precision", of_one)
    assert run("verified", model="other", results="alone") == 0
    assert run("verified", model="other ties", results="two") == 0
    assert _found(tmp_path, "two")["raises"] > 0 == _found(tmp_path, "two", "other")["raises"]
    for name, alone in (("ties", "verified"), ("other", "alone")):
        assert _bytes(tmp_path, "two", name) == _bytes(tmp_path, alone, name)
        assert _found(tmp_path, "two", name) == _found(tmp_path, alone, name)


def test_a_restart_ends_the_pass_before(run, late_error, monkeypatch):
    decode, passes = loop.decoded_batches, []

    def watched(*words, **options):
        passes.append("begins")
        try:
            yield from decode(*words, **options)
        finally:
            passes.append("ends")

    monkeypatch.setattr(loop, "decoded_batches", watched)
    assert run("verified") == 0
    assert len(passes) > 2
    assert passes == ["begins", "ends"] * (len(passes) // 2)


def test_a_sample_counts_the_changed_decisions_of_bf16(run, tmp_path, monkeypatch, capsys):
    assert run("fp32") == run("bf16") == 0
    sampled = _found(tmp_path, "bf16")
    assert 30 < sampled["sampled"] < 90  # an eighth of 480
    assert f"{sampled['changed']:,} of {sampled['sampled']:,} sampled" in capsys.readouterr().out
    assert "precision" not in json.loads((_folder(tmp_path, "fp32") / "summary.json").read_text())
    monkeypatch.setattr(verified, "MOST_DRAWN", 1.0)
    assert run("bf16", results="all") == 0
    exact, coarse = (_predictions(tmp_path, how) for how in ("fp32", "bf16"))
    found = _found(tmp_path, "all")
    assert found["sampled"] == len(exact)
    known = [(p.answers == p.labels[:, None]).any(axis=1) for p in (exact, coarse)]
    best = exact.answers[:, 0] != coarse.answers[:, 0]
    assert found["changed"] == int((best | (known[0] != known[1])).sum())
    assert found["changed"] > 20
    low, high = sampled["changed_95"]
    assert low < found["changed"] / len(exact) < high
    assert _bytes(tmp_path, "bf16") == _bytes(tmp_path, "all")  # sampling changes nothing


def test_the_sample_does_not_depend_on_batches(run, tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "SAMPLED", 24)
    monkeypatch.setattr(verified, "GROUP", 1)
    for size in ("20", "240"):
        assert run("bf16", "--batch_size", size, results=size) == 0
    assert _found(tmp_path, "20")["sampled"] == _found(tmp_path, "240")["sampled"] < 48


def test_weights_of_16_bits_have_no_fp32_to_compare_with(run, tmp_path):
    assert run("bf16", model="half") == 0
    summary = json.loads((_folder(tmp_path, "bf16", "half") / "summary.json").read_text())
    assert "precision" not in summary


def test_the_upper_bound_is_the_exact_one():
    from scipy.stats import beta

    assert upper_bound(0, 6000) == pytest.approx(1 - 0.05 ** (1 / 6000))
    assert upper_bound(0, 6000) < 0.0005
    assert upper_bound(3, 50) == pytest.approx(beta.ppf(0.95, 4, 47))
    assert clopper_pearson(3, 50) == pytest.approx((beta.ppf(0.025, 3, 48), beta.ppf(0.975, 4, 47)))
    assert clopper_pearson(0, 50)[0] == 0
    assert clopper_pearson(50, 50)[1] == upper_bound(0, 0) == 1
