"""Small networks, temporary zoos, and checkpoints with a publisher's layout."""

from pathlib import Path

import pytest
import torch

from bvg.zoo.table import read_table
from local_server import serve

# A network with everything that real ones have: convolution, batch normalisation, a linear head.
NET_FILE = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))

def tiny():
    return Tiny()
"""


def randomised(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Return the network in eval mode, every number in it (running statistics, too) its own."""
    generator = torch.Generator().manual_seed(seed)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) / 4 + 0.05)
    return network.eval()


@pytest.fixture
def net_file(tmp_path) -> Path:
    """Return a Python file with the factory `tiny`."""
    path = tmp_path / "net.py"
    path.write_text(NET_FILE)
    return path


@pytest.fixture
def tiny(net_file) -> torch.nn.Module:
    """Return the network of net_file's factory, randomised."""
    names: dict = {}
    exec(NET_FILE, names)
    return randomised(names["tiny"]())


@pytest.fixture
def use_rows(monkeypatch):
    """Return a function that makes the given rows the whole zoo."""

    def use(rows: dict) -> None:
        monkeypatch.setattr("bvg.zoo.table.zoo", lambda: rows)
        monkeypatch.setattr("bvg.zoo.loading.zoo", lambda: rows)

    return use


@pytest.fixture
def use_table(tmp_path, use_rows):
    """Return a function that makes a text in the format of models/*.toml the whole zoo."""

    def use(text: str) -> None:
        path = tmp_path / "models.toml"
        path.write_text(text)
        use_rows(read_table(path))

    return use


@pytest.fixture
def site():
    """Yield a running web server."""
    with serve() as site:
        yield site
