import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bvg.stimuli.corruptions import blur
from bvg.stimuli.corruptions.blur import (
    defocus_blur,
    defocus_kernel,
    gaussian_blur,
    motion_blur,
    zoom_blur,
    zoomed,
)
from bvg.stimuli.corruptions.filters import border_indices, gaussian_blurred, quantised
from oracles import corruptions_noise_blur as oracle
from stimulus_helpers import batch_of, photo_like

SEVERITIES = (1, 2, 3, 4, 5)
# Where the disk touches the kernel's border, its mirror image is smoothed into the kernel, too:
# OpenCV's GaussianBlur of the same disks has these sums, too, so the two strongest brighten.
KERNEL_SUMS = (1, 1, 1, 1.0129754, 1.0107858)
BLURS = pytest.mark.parametrize(
    "corruption",
    [defocus_blur, motion_blur, zoom_blur, gaussian_blur],
    ids=lambda function: function.__name__,
)


def rows_and_columns(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


def test_parameters_are_the_papers():
    assert list(blur.DEFOCUS_BLUR) == oracle.DEFOCUS_BLUR
    assert list(blur.MOTION_BLUR) == oracle.MOTION_BLUR
    assert list(blur.GAUSSIAN_BLUR) == oracle.GAUSSIAN_BLUR
    factors = [[1 + n * step for n in range(count)] for step, count in blur.ZOOM_BLUR]
    for ours, papers in zip(factors, oracle.ZOOM_BLUR, strict=True):
        assert ours == pytest.approx(papers, abs=1e-12)


@pytest.mark.parametrize("corruption", [defocus_blur, zoom_blur, gaussian_blur])
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size", [(224, 224), (90, 123)])
def test_blur_is_the_definition(corruption, severity, size):
    image = photo_like(severity, *size)
    ours = rows_and_columns(corruption(batch_of(image), severity))
    expected = getattr(oracle, corruption.__name__)(image / 255, severity)
    assert ours.dtype == np.float32
    assert np.abs(ours - expected).max() < 1e-5


@pytest.mark.parametrize("severity", SEVERITIES)
def test_motion_blur_is_the_definition_at_the_drawn_angle(severity, monkeypatch):
    drawn = []

    def recorded(x, radius, sigma, angles):
        drawn.extend(angles)
        return motion_blurred(x, radius, sigma, angles)

    motion_blurred = blur.motion_blurred
    monkeypatch.setattr(blur, "motion_blurred", recorded)
    images = [photo_like(seed, 100, 110) for seed in range(3)]
    ours = motion_blur(batch_of(*images), severity)
    for number, image in enumerate(images):
        expected = oracle.motion_blur(image / 255, severity, drawn[number])
        assert np.abs(ours[number].permute(1, 2, 0).numpy() - expected).max() < 1e-6


def test_angles_are_uniform_between_45_degrees_either_way(monkeypatch):
    drawn = []
    monkeypatch.setattr(blur, "motion_blurred", lambda x, r, s, angles: drawn.extend(angles) or x)
    black = np.zeros((1, 1, 3), np.uint8)
    motion_blur(batch_of(*[black] * 400), 1)
    motion_blur(batch_of(*[black] * 400, seed=1), 1)
    assert len(set(drawn)) == 800 and -45 <= min(drawn) < -44 and 44 < max(drawn) <= 45
    counts, _ = np.histogram(drawn, bins=8, range=(-45, 45))
    assert ((counts - 100) ** 2 / 100).sum() < 24.3  # chi², 7 degrees of freedom, p = 0.001


@BLURS
def test_an_images_blur_does_not_depend_on_its_batch(corruption):
    images = [photo_like(seed, 64, 48) for seed in range(19)]
    names = tuple(f"image {number}" for number in range(19))
    whole = corruption(batch_of(*images, names=names), 2)
    for size in (1, 7):
        for start in range(0, 19, size):
            part = slice(start, start + size)
            alone = corruption(batch_of(*images[part], names=names[part]), 2)
            assert torch.equal(alone, whole[part])


@BLURS
def test_blur_keeps_flat_images_and_its_input(corruption):
    batch = batch_of(np.full((224, 224, 3), 200, np.uint8), photo_like(2))
    before = batch.pixels.clone()
    for severity in SEVERITIES:
        x = corruption(batch, severity)
        gain = KERNEL_SUMS[severity - 1] if corruption is defocus_blur else 1
        assert (x[0] - gain * 200 / 255).abs().max() < 1e-5
        assert x.shape == before.shape
    assert torch.equal(batch.pixels, before)


@BLURS
def test_severities_are_in_order(corruption):
    batch = batch_of(photo_like(5))
    changes = [(corruption(batch, severity) - batch.pixels).abs().mean() for severity in SEVERITIES]
    if corruption is zoom_blur:  # its second severity has steps of 1 %, its third of 2 %
        assert changes[0] < changes[1] < changes[4] and changes[2] < changes[3] < changes[4]
    elif corruption is motion_blur:  # the angles differ
        assert changes[0] < changes[4]
    else:
        assert changes == sorted(changes)


def test_defocus_kernels_are_the_definitions():
    for (radius, alias_blur), total in zip(blur.DEFOCUS_BLUR, KERNEL_SUMS, strict=True):
        kernel = defocus_kernel(radius, alias_blur)
        assert kernel.shape == ((17, 17) if radius <= 8 else (21, 21))
        assert np.abs(kernel - oracle.disk(radius, alias_blur)).max() < 1e-15
        assert kernel.sum() == pytest.approx(total, abs=1e-7)


@pytest.mark.parametrize("factor", [1.01, 1.1, 1.11, 1.15, 1.24, 1.3, 2.5, 4])
def test_zooms_are_scipys(factor):
    image = photo_like(3, 101, 224)
    ours = zoomed(batch_of(image).pixels, factor)
    assert np.abs(rows_and_columns(ours) - oracle.zoomed(image / 255, factor)).max() < 1e-5


def test_published_zoom_has_one_more_factor_at_severity_1_only():
    batch = batch_of(photo_like(4))
    for severity in SEVERITIES[1:]:
        assert torch.equal(zoom_blur(batch, severity, True), zoom_blur(batch, severity))
    twelve = zoom_blur(batch, 1) * 12 + zoomed(batch.pixels, 1.11)
    assert (zoom_blur(batch, 1, published=True) - twelve / 13).abs().max() < 1e-6


def test_published_motion_is_rounded_to_8_bits():
    batch = batch_of(photo_like(4))
    exact, published = motion_blur(batch, 1) * 255, motion_blur(batch, 1, published=True) * 255
    assert torch.allclose(published, exact.round(), atol=1e-4)


@pytest.mark.parametrize("border", ["nearest", "reflect", "mirror"])
@pytest.mark.parametrize(("sigma", "truncate"), [(0.7, 4), (1.9, 3), (170.8, 3)])
def test_gaussians_are_scipys(border, sigma, truncate):
    image = photo_like(6, 57, 40) / 255
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    ours = rows_and_columns(gaussian_blurred(x, sigma, truncate, border))
    expected = gaussian_filter(image, (sigma, sigma, 0), truncate=truncate, mode=border)
    assert np.abs(ours - expected).max() < 2e-6


def test_an_unknown_border_is_an_error():
    with pytest.raises(ValueError, match="wrapped"):
        border_indices(np.arange(3), 3, "wrapped")


def test_quantised_truncates_and_keeps_whole_levels():
    levels = torch.arange(256) / 255
    assert torch.equal(quantised(levels), levels)
    assert torch.equal(quantised(levels - 1e-7), levels)  # a rounding error is no level
    assert torch.equal(quantised(levels[:-1] + 0.9 / 255), levels[:-1])
    assert quantised(torch.tensor([-0.5, 1.5, 0.9999])).tolist() == pytest.approx([0, 1, 254 / 255])
