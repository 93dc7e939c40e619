from dataclasses import replace

import pytest
import torch

from bvg.data.imagenet_c import corruption_condition
from bvg.stimuli import imagenet_c as module
from bvg.stimuli.batch import Batch, bytes_of
from bvg.stimuli.corruptions import blur, filters, noise
from bvg.stimuli.corruptions.digital import compressed
from bvg.stimuli.corruptions.filters import quantised
from bvg.stimuli.imagenet_c import (
    CORRUPTIONS,
    SEVERITIES,
    imagenet_c,
)
from conftest import refusal
from eval_imagenet_c import GROUPS, STANDARD
from stimulus_helpers import batch_of, photo_like

# The paper's order: 15 standard corruptions and 4 more.
NAMES = [
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    *("speckle_noise", "gaussian_blur", "spatter", "saturate"),
]


def by_condition(stimuli, batch: Batch) -> dict[str, torch.Tensor]:
    return dict(stimuli(batch))


def test_names_groups_and_conditions_are_the_benchmarks():
    assert list(CORRUPTIONS) == NAMES
    assert [name for names in GROUPS.values() for name in names] == NAMES
    assert list(GROUPS) == ["noise", "blur", "weather", "digital", "extra"]
    assert list(STANDARD) == NAMES[:15]
    assert corruption_condition("gaussian_noise", 1) == "gaussian_noise_1"
    assert all(function.__name__ == name for name, function in CORRUPTIONS.items())


def test_95_conditions_come_in_order_as_8_bits_hold_them():
    batch = batch_of(photo_like(0), photo_like(1))
    before, levels_before = batch.pixels.clone(), batch.levels.copy()
    names = []
    for name, x in imagenet_c(NAMES)(batch):
        names.append(name)
        assert x.shape == (2, 3, 224, 224) and x.dtype == torch.float32, name
        assert x.min() >= 0 and x.max() <= 1, name
        levels = x * 255
        assert (levels - levels.round()).abs().max() < 1e-4, name
        assert not torch.equal(x, before), name
    assert names == [f"{name}_{severity}" for name in NAMES for severity in SEVERITIES]
    assert torch.equal(batch.pixels, before)
    assert (batch.levels == levels_before).all()


def test_what_is_asked_for_is_made_in_that_order():
    stimuli = imagenet_c(["zoom_blur", "gaussian_noise"], [5, 2])
    names = [name for name, _ in stimuli(batch_of(photo_like(0)))]
    assert names == ["zoom_blur_5", "zoom_blur_2", "gaussian_noise_5", "gaussian_noise_2"]


@pytest.mark.parametrize("name", NAMES)
def test_an_images_corruptions_do_not_depend_on_its_batch(name):
    images = [photo_like(seed) for seed in range(3)]
    stimuli = imagenet_c([name], [3])
    ((_, whole),) = stimuli(batch_of(*images))
    for number, image in enumerate(images):
        batch = batch_of(image, names=(f"image {number}",))
        ((_, alone),) = stimuli(replace(batch, pixels=batch.pixels.contiguous()))
        assert torch.equal(alone[0], whole[number])


@pytest.mark.parametrize("name", ["shot_noise", "defocus_blur", "glass_blur", "gaussian_blur"])
def test_a_batch_at_once_as_on_a_gpu_gives_the_same(name, monkeypatch):
    batch = batch_of(photo_like(0), photo_like(1), photo_like(2))
    one_by_one = CORRUPTIONS[name](batch, 4)
    for user in (blur, filters, noise):
        monkeypatch.setattr(user, "cached_parts", lambda x: (x,))
    at_once = CORRUPTIONS[name](batch, 4)
    # Glass blur truncates in between, where a rounding error may decide a step of 1 / 255.
    assert (at_once - one_by_one).abs().mean() < 1e-6
    assert (at_once - one_by_one).abs().max() < (1.01 / 255 if name == "glass_blur" else 1e-5)


def test_each_severity_is_clipped_and_truncated():
    batch = batch_of(photo_like(2))
    for name in ("gaussian_noise", "shot_noise", "elastic_transform"):
        for condition, x in imagenet_c([name])(batch):
            raw = CORRUPTIONS[name](batch, int(condition[-1])).double()
            expected = (raw.clamp(0, 1) * 255 + 1e-3).floor() / 255
            assert ((x - expected).abs() > 1e-6).float().mean() < 1e-3, condition


@pytest.mark.parametrize(
    ("name", "least", "most"),
    # Half of the colours' resolution is lost: little of an image, but much of coloured noise.
    [("gaussian_noise", 0.02, 0.2), ("saturate", 0.001, 0.05), ("pixelate", 0.001, 0.05)],
)
def test_as_published_is_jpeg_of_quality_85(name, least, most):
    batch = batch_of(photo_like(3))
    stored = by_condition(imagenet_c([name]), batch)
    for condition, x in imagenet_c([name], as_published=True)(batch):
        assert torch.equal(x, compressed(bytes_of(stored[condition]), 85, x.device))
        assert least < (x - stored[condition]).abs().mean() < most, condition


@pytest.mark.parametrize("name", ["motion_blur", "zoom_blur"])
def test_as_published_makes_some_blurs_as_the_published_files(name):
    batch = batch_of(photo_like(3))
    for condition, x in imagenet_c([name], as_published=True)(batch):
        raw = CORRUPTIONS[name](batch, int(condition[-1]), published=True)
        assert torch.equal(x, compressed(bytes_of(quantised(raw)), 85, x.device)), condition


def test_as_published_has_all_conditions_in_their_order():
    batch = batch_of(photo_like(3))
    for count in (1, 2, 5):
        made = imagenet_c(["contrast"], range(1, count + 1), as_published=True)(batch)
        assert [name for name, _ in made] == [f"contrast_{k}" for k in range(1, count + 1)]


def test_frost_takes_the_photographs_it_is_given():
    batch = batch_of(photo_like(3))
    red = torch.zeros(3, 300, 300, dtype=torch.uint8)
    red[0] = 200
    ((_, x),) = imagenet_c(["frost"], [5], frost_photographs=[red])(batch)
    expected = 0.6 * batch.pixels + 0.75 * torch.tensor([200 / 255, 0, 0])[:, None, None]
    assert (x - expected.clamp(0, 1)).abs().max() < 1.01 / 255


@pytest.mark.parametrize(("height", "width"), [(288, 288), (224, 200), (64, 64)])
def test_another_size_is_refused_before_any_work(height, width, monkeypatch):
    def work(batch: Batch, severity: int) -> torch.Tensor:
        raise AssertionError("work was begun")

    monkeypatch.setitem(module.CORRUPTIONS, "gaussian_noise", work)
    stimuli = imagenet_c(["gaussian_noise"])
    sentence = refusal(lambda: next(stimuli(batch_of(photo_like(0, height, width)))))
    assert "224 x 224" in sentence and "--preprocess study" in sentence


def test_what_there_is_not_is_refused():
    assert "'haze'" in refusal(imagenet_c, ["fog", "haze"])
    assert "not 6" in refusal(imagenet_c, ["fog"], [1, 6])


def test_another_seed_changes_what_is_random():
    image = photo_like(4)
    random = [name for name in NAMES if name.endswith("noise")] + ["glass_blur", "motion_blur"]
    one, other = (by_condition(imagenet_c(random, [3]), batch_of(image, seed=s)) for s in (0, 1))
    assert all((one[name] - other[name]).abs().max() > 0.01 for name in one)
