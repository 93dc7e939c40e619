"""What is made on a GPU is queued there without waiting for it, shown without a GPU.

Tensors of a pretended GPU (PyTorch's FakeTensor) have a shape, but no values: what asks for one
fails, and copies that would block are counted. tests/cuda has the same on a real GPU.
"""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

import eval_spectral
from bvg.data.imagenet import imagenet_classes
from bvg.run import decisions
from bvg.run.batches import Returning, as_batch
from bvg.stimuli import criticalband, laion_c, suppression
from bvg.stimuli import imagenet_c as imagenet_c_module
from bvg.stimuli.attacks import Attack, AttackedModel, run_attack
from bvg.stimuli.batch import Batch, on_device, on_its_way, with_levels
from bvg.stimuli.corruptions import glass
from bvg.stimuli.imagenet_c import CORRUPTIONS, imagenet_c
from bvg.stimuli.lowpass import lowpass
from bvg.stimuli.suppression import channel_shuffle, nl_means, patch_shuffle

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="tests/cuda has this on the GPU that is here"
)
GPU = torch.device("cuda:0")


class Pretended(TorchDispatchMode):
    """Computes on the CPU as usual, and pretends to for a GPU.

    Counts the copies that would block, and what is queued (views included).
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocking: list[str] = []
        self.queued = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, function.name()
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = any(x.device == GPU for x in tensors)
        target = kwargs.get("device") or GPU if there else kwargs.get("device")
        if not there and target != GPU and not any(isinstance(x, FakeTensor) for x in tensors):
            with _disable_current_modes():
                return function(*args, **kwargs)
        self.queued += 1
        if name == "aten::_to_copy":
            self._count(name, tensors[0].device, target, kwargs.get("non_blocking"))
        elif name == "aten::copy_":
            self._count(name, args[1].device, args[0].device, args[2:] and args[2])
        elif name == "aten::index.Tensor":
            for index in (index for index in args[1] if index is not None):
                self._count(name, index.device, GPU, False)
        return function(*args, **kwargs)  # of FakeTensorMode

    def _count(self, name, source, target, behind) -> None:
        if source != target and not behind:
            self.blocking.append(name)


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU; return the copies that block."""
    # Pinned memory and events cannot be pretended.
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, pin_memory=False, **o: empty(*size, **o))
    monkeypatch.setattr(torch.cuda, "Event", lambda: SimpleNamespace(record=lambda: None))
    with FakeTensorMode(allow_non_fake_inputs=True), Pretended() as pretended:
        yield pretended


def batch(count: int = 2) -> Batch:
    """Return a batch as the loop makes it, whose images were decoded on the CPU."""
    labels = torch.zeros(count, dtype=torch.int64, device=GPU)
    pixels, names = torch.rand(count, 3, 224, 224, device=GPU), tuple("abcdefgh"[:count])
    made = Batch(pixels, names, labels, 0)
    return with_levels(made, np.full((count, 224, 224, 3), 90, np.uint8))


def test_decoded_images_stay_on_the_cpu_as_well(gpu):
    images = SimpleNamespace(names=("a", "b", "c"), labels=np.array([4, 5, 6]))
    with _disable_current_modes():
        decoded = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).view(2, 4, 4, 3)
        positions = torch.tensor([2, 0])
    made = as_batch(images, decoded, positions, GPU, 0)
    assert made.pixels.device == GPU and made.names == ("c", "a")
    assert np.array_equal(made.levels, decoded.numpy()) and not gpu.blocking


def test_this_would_notice(gpu):
    x = torch.rand(2, 10, device=GPU)
    with pytest.raises(DataDependentOutputException):
        x.sum().item()
    torch.ones(2).to(GPU)
    x[:, [1, 2]]
    x.to("cpu")
    assert len(gpu.blocking) == 3


def test_a_copy_to_an_apple_gpu_is_waited_for():
    apple, values = torch.device("mps"), Mock()
    on_device(values, apple)
    values.to.assert_called_once_with(apple, non_blocking=False)


def test_decisions(gpu):
    classes = imagenet_classes()
    groups = {"a": range(3), "b": range(3, 9)}
    logits, labels = torch.rand(2, 1000, device=GPU), torch.zeros(2, dtype=torch.int64, device=GPU)
    chosen = [
        decisions.top5,
        decisions.top5_among(range(0, 1000, 5)),
        decisions.sixteen_way(classes),
        decisions.best_groups([*groups.values()]),
        decisions.top5_and_category(classes),
        decisions.top5_and_ranks(classes, {"a": classes[3:5]}),
        decisions.largest_of(groups),
        decisions.top1_category([0] * 1000),
        decisions.top5_and_probability("it", 3),
        decisions.top5_and_category_sums(classes),
    ]
    for decide in chosen:
        decisions.decided(decide, logits, labels)  # indices are copied once
    gpu.blocking.clear()
    answers = [decisions.decided(decide, logits, labels) for decide in chosen]
    for columns in answers:
        Returning([("clean", columns)])
    assert not gpu.blocking


def test_filters(gpu):
    for _ in range(2):
        gpu.blocking.clear()
        made = dict(eval_spectral.stimuli(batch())) | dict(lowpass(batch(), [1], [64]))
    assert not gpu.blocking
    assert all(x.device == GPU for x in made.values())


def test_a_batch_of_the_critical_band_waits_once_for_what_is_queued_before_it(gpu, monkeypatch):
    waits = []

    def on_its_way(values):
        assert values.device == GPU and values.shape == (8, 2)
        assert not waits or waits[-1] == "arrived"
        waits.append("queued")

        def arrived():
            waits.append("arrived")
            return np.array([[0.3, 0.6], *([-0.2, 0.2] for _ in range(7))])

        return arrived

    monkeypatch.setattr(criticalband, "on_its_way", on_its_way)
    for _ in range(2):
        gpu.blocking.clear()
        waits.clear()
        conditions = criticalband.critical_band(batch(), range(7), (0.08, 0.16))
        next(conditions)  # without noise
        assert waits == ["queued"]
        assert len(list(conditions)) == 14
        assert waits == ["queued", "arrived"]
    assert not gpu.blocking


def test_values_on_their_way_are_not_waited_for_when_they_are_queued(gpu, monkeypatch):
    waited = []
    event = SimpleNamespace(record=lambda: None, synchronize=lambda: waited.append(True))
    monkeypatch.setattr(torch.cuda, "Event", lambda: event)
    arrived = on_its_way(torch.ones(3, device=GPU))
    assert not gpu.blocking and not waited
    assert arrived().device.type == "cpu" and waited == [True]


def test_suppression(gpu, monkeypatch):
    # Its hundreds of operations, none of which looks at values, take long to pretend.
    monkeypatch.setattr(suppression, "denoised", lambda images, strengths, *_: [images, images])
    steps = [patch_shuffle(4), nl_means(10), nl_means(20), channel_shuffle()]
    made = dict(suppression.suppressed(batch(), [(step,) for step in steps]))
    assert not gpu.blocking and len(made) == 4
    assert all(x.device == GPU for x in made.values())


def test_laion_c(gpu):
    made = dict(laion_c.corrupted(batch(), {"shapes": laion_c.geometric_shapes(3)}))
    assert not gpu.blocking and made["shapes"].device == GPU


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions(gpu, name, monkeypatch):
    # Glass blur's thousands of operations take long to pretend: some of them are tested below.
    same = torch.zeros(2, 224**2, dtype=torch.int64, device=GPU)
    monkeypatch.setattr(glass, "scattered_on_gpu", lambda size, reach, offsets: same)
    photograph = torch.zeros(3, 300, 300, dtype=torch.uint8)
    for _ in range(2):
        gpu.blocking.clear()
        ((_, x),) = imagenet_c([name], [4], frost_photographs=[photograph])(batch())
    assert not gpu.blocking
    assert x.device == GPU


@pytest.mark.parametrize("name", ["motion_blur", "snow", "shot_noise"])
def test_larger_batches_take_no_more_operations(gpu, name):
    stimuli = imagenet_c([name], [5])
    list(stimuli(batch()))  # makes tables
    counts = []
    for count in (2, 8):
        images = batch(count)
        before = gpu.queued
        assert len(list(stimuli(images))) == 1
        counts.append(gpu.queued - before)
    assert counts[0] == counts[1] < 300


def test_published_files_wait_for_a_stimulus_after_the_next_one_is_queued(gpu, monkeypatch):
    order = []

    def bytes_on_their_way(x):
        assert x.device == GPU
        order.append("queued")
        return lambda: order.append("arrived") or np.zeros((2, 224, 224, 3), np.uint8)

    monkeypatch.setattr(imagenet_c_module, "bytes_on_their_way", bytes_on_their_way)
    made = list(imagenet_c(["contrast"], (1, 2, 3), as_published=True)(batch()))
    assert order == ["queued", "queued", "arrived", "queued", "arrived", "arrived"]
    assert not gpu.blocking and all(x.device == GPU for _, x in made)


def test_the_replacements_of_glass_blur(gpu):
    offsets = torch.zeros(2, 2, 10, 8, dtype=torch.uint8, device=GPU)
    sources = glass.scattered_on_gpu((12, 10), 1, offsets)
    assert not gpu.blocking
    assert sources.device == GPU and sources.shape == (2, 120)


def test_the_last_iterate_of_an_attack(gpu, monkeypatch):
    # Autograd's own threads cannot pretend.
    monkeypatch.setattr(torch.autograd, "grad", lambda loss, leaf: (torch.rand_like(leaf),))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 5, device=GPU))
    x = torch.rand(3, 3, 8, 8, device=GPU)
    labels = torch.zeros(3, dtype=torch.int64, device=GPU)
    gpu.blocking.clear()
    run_attack(AttackedModel("it", model, 5), x, labels, x, 0.1, Attack(steps=3, step=0.1), 2)
    assert not gpu.blocking
