"""Models that change while they answer, so that their answers depend on the images before."""

import pytest
import torch
from torch import nn

from bvg.data.preprocessing import STUDY
from bvg.run.models import load_one
from bvg.run.settings import Settings
from bvg.zoo.loading import CheckpointOptions
from conftest import refusal


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
