import numpy as np
import pytest
import torch

from bvg.stimuli.corruptions.motion import gathered, line_offsets, motion_blurred
from oracles import corruptions_noise_blur as oracle
from stimulus_helpers import photo_like

ANGLES = [0.0, 13.7, -13.7, 44.9, -44.9, -90.0, 90.0, -120.3, -134.9, 179.0]


def blurred(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    return motion_blurred(x, radius, sigma, [angle])[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(("radius", "sigma"), [(10, 3), (20, 15)])
def test_blur_is_the_definition(radius, sigma, angle):
    image = photo_like(1, 61, 90) / 255
    expected = oracle.motion_blurred(image, radius, sigma, angle)
    assert np.abs(blurred(image, radius, sigma, angle) - expected).max() < 1e-6


def test_a_point_becomes_a_fading_line_to_the_left_at_angle_0():
    """The blur reads pixels to the right, so what is bright leaves a trail on its left."""
    image = np.zeros((41, 81, 3))
    image[20, 40] = 1
    trail = blurred(image, 10, 3, 0)[..., 0]
    assert trail[20].argmax() == 40 and (trail[20, 41:] == 0).all()
    assert (np.diff(trail[20, 20:41]) > 0).all() and trail[20, 19] == 0
    assert trail.sum() == pytest.approx(1) and trail[:20].sum() == trail[21:].sum() == 0


def test_positive_angles_read_further_down():
    image = np.zeros((81, 81, 3))
    image[40, 40] = 1
    for angle, above in ((30, True), (-30, False)):
        rows, columns = blurred(image, 10, 3, angle)[..., 0].nonzero()
        assert columns.max() == 40 and (rows.min() < 40) == above and (rows.max() > 40) != above


def test_steps_of_a_line_are_rounded_halves_down():
    assert line_offsets(4, 0) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert line_offsets(4, 90) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert line_offsets(3, -45) == [(0, 0), (-1, 1), (-1, 1)]
    assert line_offsets(2, 60) in ([(0, 0), (1, 0)], [(0, 0), (1, 1)])  # half a step


def test_each_image_has_its_own_angle_and_no_other_images():
    images = torch.rand(5, 1, 50, 40, generator=torch.Generator().manual_seed(0))
    angles = [-100.0, -60.0, 0.0, 20.0, 45.0]
    whole = motion_blurred(images, 12, 8, angles)
    assert whole.shape == images.shape
    for number, angle in enumerate(angles):
        alone = motion_blurred(images[number : number + 1], 12, 8, [angle])
        assert torch.equal(alone[0], whole[number])


def test_all_images_at_once_are_the_same():
    images = torch.rand(10, 3, 50, 37, generator=torch.Generator().manual_seed(1))
    for radius, sigma in ((10, 3), (20, 15)):
        weights = [np.exp(-(k**2) / (2 * sigma**2)) for k in range(2 * radius + 1)]
        weights = [float(weight / sum(weights)) for weight in weights]
        lines = [line_offsets(2 * radius + 1, angle) for angle in ANGLES]
        there = gathered(images, weights, lines)
        assert (there - motion_blurred(images, radius, sigma, ANGLES)).abs().max() < 1e-6


def test_flat_images_stay_flat():
    flat = torch.full((1, 3, 30, 30), 0.7)
    assert (motion_blurred(flat, 20, 15, [33.0]) - 0.7).abs().max() < 1e-6
