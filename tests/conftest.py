"""What the tests share: the real fixtures, and tiny worlds that are drawn in milliseconds."""

import gc
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bvg.errors import UserError
from bvg.figures import drawing
from bvg.run.settings import keep_freed_memory

torch.set_num_threads(1)  # tiny tensors: threads only cost
keep_freed_memory()  # networks outside of a run take half as long, too
drawing.PDF_FONTS = 3  # which are written at once

REPOSITORY = Path(__file__).resolve().parents[1]
HOMES = count()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives to the end: modules and tests, a second each time.

    It is called by statsmodels, too, for every correction of p-values.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Return the folder of real data, or skip."""
    folder = Path(os.environ.get("BVG_FIXTURES") or REPOSITORY.parent / "shared" / "fixtures")
    if not folder.is_dir():
        pytest.skip(f"the real data are not here: {folder} (set BVG_FIXTURES)")
    return folder


@pytest.fixture(scope="session")
def homes(tmp_path_factory) -> Path:
    """Return a folder of its own: pytest looks through the folder in which it numbers another."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True, scope="module")
def coarse_figures():
    """Write figures with a sixteenth of the pixels; those of tests/figures have all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "DPI", drawing.DPI // 4)
        yield


@pytest.fixture(autouse=True)
def one_thread():
    """Undo what a script under test sets: in the last digits, results depend on it."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_home(homes, monkeypatch):
    """Keep every test away from the user's caches, logins and settings."""
    home = homes / str(next(HOMES))
    home.mkdir()
    for name in [*os.environ]:
        if name.startswith(("WANDB", "BVG_")) and name != "BVG_FIXTURES":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BVG_CACHE", str(home / "cache"))


def refusal(function: Callable, *arguments) -> str:
    """Return the one sentence with which `function` refuses its arguments."""
    with pytest.raises(UserError) as caught:
        function(*arguments)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def draw(path: Path, seed: int, size: tuple[int, int] = (40, 32), **options) -> Path:
    """Return `path`, an image of smooth random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


CLASSES = ("ant", "bee", "cat", "dog")

# A model of four classes, as a user would write it: fixed random weights, three parameters to load.
MODEL_FILE = """
import torch

class Tiny(torch.nn.Module):
    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = torch.nn.Conv2d(3, 8, 7, stride=4)
        self.head = torch.nn.Linear(8, 4)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))

def one(): return Tiny(1)
def two(): return Tiny(2)
"""


def write_model(folder: Path) -> Path:
    """Return a Python file with the factories `one` and `two`."""
    path = folder / "tiny.py"
    path.write_text(MODEL_FILE)
    return path


def draw_val(folder: Path, per_class: int) -> Path:
    """Return `folder` with a validation set of four classes in it."""
    for label, name in enumerate(CLASSES):
        for number in range(per_class):
            draw(folder / "val" / name / f"{name}_{number:03d}.png", 97 * label + number)
    return folder


@pytest.fixture
def model_file(tmp_path) -> Path:
    return write_model(tmp_path)


@pytest.fixture
def val_folder(tmp_path) -> Callable[[int], Path]:
    return lambda per_class: draw_val(tmp_path / "data", per_class)
