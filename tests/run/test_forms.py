"""Forms of a model: same decisions, kept on resuming, and refused where they differ."""

import json
import os
import time

import pytest
import torch
from torch import nn

from bvg.predictions.table import read_predictions
from bvg.run import forms, loop
from conftest import draw_val, refusal
from noise_benchmark import NOISE

NORMED = """
import torch
from torch import nn

class Normed(nn.Module):
    classes = ("ant", "bee", "cat", "dog")

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        )
        for norm in (self.body[1], self.body[4]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.normal_(1, 0.3)
        self.head = nn.Linear(8, 4)
        self.head.weight.data *= 2

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

class Untraceable(Normed):
    def forward(self, x):
        return super().forward(x if x.mean() > -1 else -x)

def normed(): return Normed()
def untraceable(): return Untraceable()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    (folder / "normed.py").write_text(NORMED)
    return folder, draw_val(folder / "data", 10)


@pytest.fixture
def evaluate(world, tmp_path):
    folder, data = world

    def run(results: str, *words: str, model: str = "normed"):
        argv = ["--model", f"{model}={folder / 'normed.py'}:{model}", "--data", str(data)]
        argv += ["--results", str(tmp_path / results), "--batch_size", "7", "--num_workers", "0"]
        assert NOISE.main([*argv, *words]) == 0
        return tmp_path / results / "noise" / model

    return run


def answers_of(folder):
    return read_predictions(folder / "predictions.parquet")


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def uncompiled(monkeypatch):
    """Let torch.compile return the model, and count what was compiled."""
    calls = []
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: calls.append(model) or model)
    return calls


def test_eager_is_the_default_and_leaves_no_trace(evaluate):
    default = evaluate("a")
    assert "form" not in summary_of(default)
    asked = evaluate("b", "--form", "eager")
    assert (asked / "predictions.parquet").read_bytes() == (
        default / "predictions.parquet"
    ).read_bytes()


@pytest.mark.parametrize("form", ["folded", "compiled"])
def test_a_form_gives_the_same_decisions(evaluate, uncompiled, form):
    eager, other = evaluate("a"), evaluate("b", "--form", form)
    assert summary_of(other)["form"]["computed"] == [form]
    assert len(uncompiled) == (form == "compiled")
    expected, found = answers_of(eager), answers_of(other)
    assert (found.answers == expected.answers).all()
    assert abs(found.confidence - expected.confidence).max() < 1e-5
    assert (found.confidence != expected.confidence).any()  # it was folded


def test_a_result_ends_in_the_form_in_which_it_began(evaluate, monkeypatch, capsys):
    whole = evaluate("whole", "--form", "folded")
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 8)
    collect = loop._Pass._collect

    def killed(self, *arguments):
        done = collect(self, *arguments)
        if done > 20:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched, pytest.raises(AssertionError):
        patched.setattr(loop._Pass, "_collect", killed)
        evaluate("killed", "--form", "folded")
    capsys.readouterr()
    resumed = evaluate("killed")
    assert "continuing folded" in capsys.readouterr().out
    assert (resumed / "predictions.parquet").read_bytes() == (
        whole / "predictions.parquet"
    ).read_bytes()
    assert summary_of(resumed)["form"]["computed"] == ["folded"]
    assert "complete" in (evaluate("killed", "--form", "auto"), capsys.readouterr().out)[1]


@pytest.fixture
def speeds(monkeypatch, uncompiled):
    """Let each form take the time that its speed, images/s, says, by the clock and of the CPU."""
    speeds = {"eager": 10.0, "folded": 12.0, "compiled": 15.0}

    def seconds(model, x):
        compiled = isinstance(model, forms._OfOneShape)
        form = "compiled" if compiled else "folded" if not forms._norms(model) else "eager"
        return len(x) / speeds[form], 2 * len(x) / speeds[form]

    monkeypatch.setattr(forms, "_seconds", seconds)
    monkeypatch.setattr(forms, "TIMING_PAYS", 0)
    return speeds


def test_the_fastest_form_is_taken_and_recorded(evaluate, monkeypatch, uncompiled, speeds, capsys):
    short = summary_of(evaluate("short", "--form", "auto"))["form"]
    assert short == {"computed": ["folded"], "images_per_second": {"eager": 10.0, "folded": 12.0}}
    assert not uncompiled
    monkeypatch.setattr(forms, "COMPILE_PAYS", 80 / 12)  # 40 images under 2 conditions
    long = summary_of(evaluate("long", "--form", "auto"))["form"]
    assert long == {"computed": ["compiled"], "images_per_second": speeds}
    speeds |= {"folded": 10.1, "compiled": 9.0}
    slow = summary_of(evaluate("slow", "--form", "auto"))["form"]
    assert slow["computed"] == ["eager"]
    assert capsys.readouterr().out.count("the fastest form") == 3


def test_a_short_run_is_eager_without_any_timing(evaluate, speeds, monkeypatch):
    # A first batch of 7 images under 2 conditions: each twice, and one of them in turns.
    trial = 2 * (2 + forms.TURNS) * 7
    monkeypatch.setattr(forms, "TIMING_PAYS", 80 / trial + 0.01)
    found = summary_of(evaluate("short", "--form", "auto"))["form"]
    assert found == {"computed": ["eager"], "images_per_second": {}}
    monkeypatch.setattr(forms, "TIMING_PAYS", 80 / trial)
    found = summary_of(evaluate("long", "--form", "auto"))["form"]
    assert found["computed"] == ["folded"]


@pytest.mark.parametrize(
    ("seconds", "gain"),
    [
        ([(4, 8), (2, 4)] * 5, 2.0),
        ([(4, 8), (2, 7)] * 5, 8 / 7),  # something else slowed the other one down
        ([(4, 8), (5, 4)] * 5, 4 / 5),  # one core instead of two
        ([(4, 8), (4, 8)] * 3 + [(40, 80), (4, 8)] * 2, 1.0),  # disturbed in two turns
    ],
)
def test_a_gain_is_one_of_time_and_cpu_time_in_most_turns(monkeypatch, seconds, gain):
    times = iter(seconds)
    monkeypatch.setattr(forms, "_seconds", lambda model, x: next(times))
    assert forms._gain(None, None, None) == pytest.approx(gain)


def test_seconds_are_of_the_model():
    class Busy(nn.Module):
        def forward(self, x):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
            return x

    class Asleep(nn.Module):
        def forward(self, x):
            time.sleep(0.02)
            return x

    clock, cpu = forms._seconds(Busy(), torch.zeros(1))
    assert clock >= 0.02 <= cpu
    clock, cpu = forms._seconds(Asleep(), torch.zeros(1))
    assert cpu < 0.02 <= clock


@pytest.mark.parametrize("chosen", [None, "/mine"])
def test_what_was_compiled_is_kept_although_torchvision_names_a_folder(
    monkeypatch, tmp_path, uncompiled, chosen
):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/torchinductor_me")
    monkeypatch.setattr(forms, "_CHOSEN", chosen)
    forms.compiled(nn.Identity(), torch.Size([1]))
    kept = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    assert kept == (chosen or str(tmp_path / "compiled"))


@pytest.mark.parametrize("form", ["folded", "compiled", "auto"])
def test_what_cannot_be_traced_or_compiled_is_computed_as_it_is(
    evaluate, monkeypatch, capsys, form
):
    def refuse(model, dynamic):
        def fail(x):
            raise RuntimeError("no C++ compiler is there")

        return fail

    monkeypatch.setattr(torch, "compile", refuse)
    monkeypatch.setattr(forms, "COMPILE_PAYS", 0)
    monkeypatch.setattr(forms, "TIMING_PAYS", 0)
    found = evaluate("b", "--form", form, model="untraceable")
    words = {"folded": "cannot trace", "compiled": "no C++ compiler", "auto": "no C++ compiler"}
    assert words[form] in capsys.readouterr().out
    expected = evaluate("a", model="untraceable")
    assert (found / "predictions.parquet").read_bytes() == (
        expected / "predictions.parquet"
    ).read_bytes()
    assert summary_of(found)["form"]["computed"] == ["eager"]


def test_a_form_with_other_weights_is_refused(evaluate, monkeypatch, capsys):
    fold = forms.folded

    def wrong(model):
        made = fold(model)
        made.head.weight.mul_(1.01)
        return made

    monkeypatch.setattr(forms, "folded", wrong)
    folder = evaluate("a", "--form", "folded")
    assert "the logits of this form differ" in capsys.readouterr().out
    assert summary_of(folder)["form"]["computed"] == ["eager"]


def test_a_form_that_minds_a_smaller_batch_is_refused():
    class OfThree(nn.Module):
        def forward(self, x):
            return x.reshape(3, 4)

    def largest(logits):
        return {"answers": logits.argmax(1, keepdim=True)}

    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    first = forms.FirstInputs([x], torch.zeros(3, dtype=torch.int64), 3)
    assert not forms.disagreement(nn.Identity(), nn.Identity(), first, largest)
    assert "fails" in forms.disagreement(OfThree(), nn.Identity(), first, largest)


def test_stimuli_made_against_a_model_are_answered_by_it(world, capsys):
    from types import SimpleNamespace

    settings = SimpleNamespace(form="folded")
    run = SimpleNamespace(name="mine", begun=None, form=None)
    forms.choose_forms([run], None, {"mine": None}, None, settings)
    assert run.form is None
    assert "mine: eager" in capsys.readouterr().out


def test_verified_answers_without_low_precision_are_eager(evaluate, capsys):
    verified = evaluate("a", "--form", "folded", "--precision", "verified")
    assert "eager, since" in capsys.readouterr().out
    assert "form" not in summary_of(verified)
    exact = evaluate("b", "--precision", "fp32")
    assert (verified / "predictions.parquet").read_bytes() == (
        exact / "predictions.parquet"
    ).read_bytes()


def test_sixteen_bits_have_no_form():
    from bvg.run.command_line import options
    from bvg.run.settings import settings_from

    sentence = refusal(settings_from, options(form="folded", precision="bf16", device="cpu"))
    assert "--form" in sentence and "--precision fp32" in sentence
