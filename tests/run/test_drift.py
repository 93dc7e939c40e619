"""Models that change while they answer, so that their answers depend on the images before."""

import numpy as np
import pytest
import torch
from torch import nn

from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import STUDY
from bvg.run.command_line import options
from bvg.run.decisions import top5
from bvg.run.evaluate import evaluate, load_models
from bvg.run.models import load_one
from bvg.run.settings import Settings
from bvg.scores.accuracy import imagenet_accuracy
from bvg.stimuli.batch import unchanged
from bvg.zoo.loading import CheckpointOptions
from conftest import draw, refusal


class Tiny(nn.Module):
    classes = ("a", "b", "c")

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x):
        return self.fc(x.mean((2, 3)) - self.seen)


class Follows(Tiny):
    """Updates a running mean too slowly for its answers to differ from batch to batch."""

    def forward(self, x):
        self.seen.lerp_(x.mean((0, 2, 3)), 1e-4)
        return super().forward(x)


class Learns(Tiny):
    def forward(self, x):
        self.fc.weight.data.mul_(1 - 1e-6)
        return super().forward(x)


class Observes(Tiny):
    """Keeps the largest input, as the observers of quantization do."""

    def forward(self, x):
        torch.maximum(self.seen, 1e-4 * x.amax((0, 2, 3)), out=self.seen)
        return super().forward(x)


class FillsTable(Tiny):
    """Computes a buffer when it is first used, as some position embeddings do."""

    def forward(self, x):
        self.seen = torch.full((3,), 1 / x.shape[-1])
        return super().forward(x)


class AddsMask(Tiny):
    def forward(self, x):
        if not hasattr(self, "mask"):
            self.register_buffer("mask", torch.ones(x.shape[-2:]))
        return super().forward(x * self.mask)


def load(model, **settings):
    settings = Settings(torch.device("cpu"), batch_size=2, **settings)
    return load_one("m", model, CheckpointOptions(), settings, STUDY)


@pytest.mark.parametrize("kind", [Follows, Learns, Observes])
def test_what_changes_is_refused_or_recorded(kind):
    assert "--allow_unstable" in refusal(load, kind())
    assert load(kind(), allow_unstable=True).identity["unstable"] == "the images before"


@pytest.mark.parametrize("kind", [Tiny, AddsMask, FillsTable])
def test_what_stays_the_same_is_not(kind):
    assert "unstable" not in load(kind()).identity


# Models that change without their tensors showing it


class Counts(nn.Module):
    """Answers otherwise from the 20th call on, which is after the probe."""

    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, after=20):
        super().__init__()
        self.fc, self.after, self.calls = nn.Linear(3, 4), after, 0

    def forward(self, x):
        self.calls += 1
        return self.fc(x.mean((2, 3)) if self.calls < self.after else 1 - x.mean((2, 3)))


@pytest.mark.parametrize(("after", "said"), [(20, True), (1000, False)])
def test_a_model_that_changes_during_the_run_is_said_and_recorded(after, said, tmp_path, capsys):
    files = [draw(tmp_path / f"{k}.png", k).name for k in range(24)]
    images = ImageSet(tmp_path, files, files, np.arange(24) % 4, Counts.classes)
    args = options(
        model={"m": Counts(after)}, results=tmp_path / "results", device="cpu", batch_size=1
    )
    models, _ = load_models(args)
    (run,) = evaluate("mine", models, images, unchanged, top5, imagenet_accuracy, args)
    assert ("test pictures" in run.summary.get("warning", "")) == said
    assert ("test pictures" in capsys.readouterr().err) == said


def test_trained_batch_norms_without_statistics_are_said(capsys):
    def named(**values):
        network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Flatten(2))
        norm = network[1]
        norm.weight.data = torch.tensor([1.0, 2.0, 3.0])
        for name, value in values.items():
            getattr(norm, name).data.fill_(value)
        return load(Means(network))

    assert "net.1" in named().origin["warnings"][0]
    assert "warning" in capsys.readouterr().err
    for stated in ({"running_var": 2.0}, {"running_mean": 0.1}, {"weight": 1.0}):
        assert "warnings" not in named(**stated).origin
    assert capsys.readouterr().err == ""


class Means(nn.Module):
    classes = Tiny.classes

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).mean(2)
