import numpy as np
import pytest

from oracles import corruptions_weather_digital as oracle
from stimuli.corruptions.edges import UNIT, canny, distances


def images() -> np.ndarray:
    """Return a noisy, a smooth and a constant image, (3, 48, 60) uint8."""
    random = np.random.default_rng(0)
    noisy = random.integers(0, 256, (48, 60))
    smooth = random.normal(0, 12, (48, 60)).cumsum(0).cumsum(1) % 256
    blocks = np.kron(random.choice([0, 20, 200], (8, 10)), np.ones((6, 6)))
    return np.stack([noisy, smooth, blocks, np.full((48, 60), 7)]).astype(np.uint8)


def test_edges_are_those_of_a_pixel_by_pixel_loop():
    ours = canny(images(), 50, 150)
    for image, edges in zip(images(), ours, strict=True):
        assert np.array_equal(edges, oracle.canny(image, 50, 150))
    assert ours[:3].any((1, 2)).all() and not ours[3].any()


def test_weak_edges_need_a_strong_one_in_their_own_image():
    images = np.zeros((2, 20, 20), np.uint8)
    images[0, :, 10:] = 255
    images[1, :, 10:] = 20  # strength 80: between the thresholds
    edges = canny(images, 50, 150)
    assert edges[0].any() and not edges[1].any()
    images[1, :3, 10:] = 255
    assert canny(images, 50, 150)[1, -1].any()


def test_distances_are_the_shortest_paths_from_any_edge_pixel():
    edges = np.random.default_rng(1).random((3, 50, 40)) < np.array([0.02, 0.003, 1])[:, None, None]
    ours = distances(edges) / UNIT
    for image, far in zip(edges, ours, strict=True):
        expected = oracle.chamfer(image)
        assert np.abs(np.minimum(far, 25) - expected).max() < 1e-9
    assert (ours[2] == 0).all()


@pytest.mark.parametrize(("down", "right"), [(0, 7), (-4, 0), (3, 3), (2, -1), (-5, 2), (4, 3)])
def test_one_edge_pixel_is_as_far_as_its_path_is_long(down, right):
    edges = np.zeros((1, 31, 31), bool)
    edges[0, 15, 15] = True
    ours = distances(edges)[0, 15 + down, 15 + right] / UNIT
    assert ours == pytest.approx(oracle.path_length(down, right))


def test_without_edges_everything_is_far_away():
    assert (distances(np.zeros((1, 30, 30), bool)) >= 100 * UNIT).all()
