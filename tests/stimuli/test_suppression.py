from collections import Counter
from itertools import permutations

import cv2
import numpy as np
import pytest
import torch

from bvg.stimuli.nl_means import denoised
from bvg.stimuli.randomness import keyed_generator
from bvg.stimuli.suppression import (
    Condition,
    bilateral,
    channel_shuffle,
    condition_name,
    gaussian,
    greyscale,
    nl_means,
    patch_rotation,
    patch_shuffle,
    suppressed,
    tile_edges,
    tile_order,
)
from oracles import suppression as oracle
from stimulus_helpers import batch_of, photo_like

GRIDS = (1, 2, 3, 4, 6, 8, 10, 12, 14, 16)
UNEQUAL = (3, 6, 10, 12)  # do not divide 224
BILATERAL = ((4, 50), (6, 80), (8, 110), (10, 140), (12, 170), (14, 200))
GAUSSIAN = ((3, 0.33), (5, 0.66), (7, 1), (9, 1.33), (11, 1.66), (13, 2), (15, 2.33))
NL_MEANS = (5, 10, 15, 20, 25)
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1)
GREY, BLURRED = greyscale(1), bilateral(12, 170)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    noise = np.random.default_rng(5).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    return [photo_like(1), photo_like(2), noise]


def levels(x: torch.Tensor) -> np.ndarray:
    """Return (B, H, W, 3) uint8 of stimuli, which must hold nothing but such levels."""
    exact = (x * 255).round()
    assert torch.equal(exact / 255, x)
    return exact.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def shown(batch, *conditions: Condition) -> dict[str, np.ndarray]:
    return {name: levels(x) for name, x in suppressed(batch, conditions)}


def one(batch, *steps) -> np.ndarray:
    (stimuli,) = shown(batch, steps).values()
    return stimuli


@pytest.mark.parametrize("grid", range(1, 17))
@pytest.mark.parametrize("size", [224, 192, 97])
def test_tiles_begin_where_albumentations_lets_them(size, grid):
    edges = tile_edges(size, grid)
    assert edges.tolist() == np.linspace(0, size, grid + 1, dtype=np.int32).tolist()


@pytest.mark.parametrize("grid", GRIDS)
def test_shuffled_tiles_are_a_permutation_of_the_tiles(images, grid):
    batch = batch_of(*images, names=("a", "b", "c"), seed=4)
    stimuli = one(batch, patch_shuffle(grid))
    for name, image, stimulus in zip(batch.names, images, stimuli, strict=True):
        draws = keyed_generator(4, f"patch_shuffle/{grid}", name)
        order = oracle.drawn_order(224, grid, draws)
        assert np.array_equal(stimulus, oracle.shuffled(image, grid, order))
        before, after = (
            Counter(
                picture[top:bottom, left:right].tobytes()
                for top, left, bottom, right in oracle.tiles(224, grid)
            )
            for picture in (image, stimulus)
        )
        assert before == after
        if grid != 2:  # of whose 24 orders one is the image's own
            assert np.array_equal(stimulus, image) == (grid == 1)


@pytest.mark.parametrize("grid", UNEQUAL)
def test_unequal_tiles_change_places_only_with_those_of_the_same_size(grid):
    tiles, edges = oracle.tiles(224, grid), tile_edges(224, grid)
    shapes = [oracle.shape(tile) for tile in tiles]
    assert len(set(shapes)) == 4
    moved = np.zeros(len(tiles), dtype=bool)
    for seed in range(50):
        order = tile_order(edges, edges, torch.Generator().manual_seed(seed))
        assert [shapes[index] for index in order] == shapes
        moved |= order != np.arange(len(order))
    alone = [index for index, count in enumerate(shapes) if shapes.count(count) == 1]
    assert len(alone) == (grid == 3)  # the tile of 74 x 74 pixels at the upper left
    assert np.flatnonzero(~moved).tolist() == alone


def test_all_orders_of_tiles_are_equally_likely():
    edges, draws = tile_edges(224, 2), torch.Generator().manual_seed(0)
    counts = Counter(tuple(tile_order(edges, edges, draws).tolist()) for _ in range(4800))
    assert set(counts) == set(permutations(range(4)))
    chi_squared = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_squared < 49.7  # 23 degrees of freedom, p = .001


def test_tiles_of_images_that_are_not_square_are_permuted(images):
    image = images[0][:96, :160]
    (stimulus,) = one(batch_of(image), patch_shuffle(4))
    tiles = [
        {p[r : r + 24, c : c + 40].tobytes() for r in range(0, 96, 24) for c in range(0, 160, 40)}
        for p in (image, stimulus)
    ]
    assert tiles[0] == tiles[1] and not np.array_equal(image, stimulus)


@pytest.mark.parametrize("grid", GRIDS)
def test_rotated_tiles_are_the_definition(images, grid):
    batch = batch_of(*images, names=("a", "b", "c"), seed=4)
    stimuli = one(batch, patch_rotation(grid))
    for name, image, stimulus in zip(batch.names, images, stimuli, strict=True):
        draws = keyed_generator(4, f"patch_rotation/{grid}", name)
        turns = torch.randint(4, (grid, grid), generator=draws).tolist()
        assert np.array_equal(stimulus, oracle.rotated(image, grid, turns))


def test_all_four_turns_are_equally_likely():
    image = np.zeros((16, 16, 3), np.uint8)
    image[0, 0] = 255  # where it ends tells the turn
    names = tuple(map(str, range(400)))
    stimuli = one(batch_of(*[image] * 400, names=names), patch_rotation(1))
    corners = Counter(tuple(np.argwhere(x[..., 0])[0].tolist()) for x in stimuli)
    assert set(corners) == {(0, 0), (15, 0), (15, 15), (0, 15)}
    assert min(corners.values()) > 60


@pytest.mark.parametrize(("diameter", "sigma"), BILATERAL)
def test_bilateral_filter_is_opencvs(images, diameter, sigma):
    for image, stimulus in zip(
        images, one(batch_of(*images), bilateral(diameter, sigma)), strict=True
    ):
        assert np.array_equal(stimulus, oracle.bilateral(image, diameter, sigma))


@pytest.mark.parametrize(("width", "sigma"), GAUSSIAN)
def test_gaussian_blur_is_opencvs(images, width, sigma):
    for image, stimulus in zip(images, one(batch_of(*images), gaussian(width, sigma)), strict=True):
        assert np.array_equal(stimulus, oracle.gaussian(image, width, sigma))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_blend_with_grey_is_the_definition(alpha):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    for image in (photo_like(3, 64, 64), noise, ramp):
        (stimulus,) = one(batch_of(image), greyscale(alpha))
        assert np.array_equal(stimulus, oracle.blended(image, alpha))
        if alpha == 1:
            assert np.array_equal(stimulus, np.repeat(oracle.grey(image)[..., None], 3, axis=2))


def test_greys_are_opencvs(images):
    for image in images:
        assert np.array_equal(oracle.grey(image), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def test_channels_are_permuted_in_all_six_ways():
    image = np.full((8, 8, 3), (10, 20, 30), np.uint8)
    names = tuple(map(str, range(300)))
    stimuli = one(batch_of(*[image] * 300, names=names), channel_shuffle())
    assert (stimuli == stimuli[:, :1, :1]).all()
    counts = Counter(tuple(x[0, 0].tolist()) for x in stimuli)
    assert set(counts) == set(permutations((10, 20, 30)))
    assert min(counts.values()) > 25


def test_a_second_suppression_starts_from_the_first_one(images):
    batch = batch_of(*images)
    pairs = [(patch_shuffle(6), GREY), (BLURRED, patch_shuffle(10)), (BLURRED, GREY)]
    stimuli = shown(batch, *pairs, (patch_shuffle(6),), (BLURRED,))
    assert list(stimuli) == [
        "patch_shuffle/6+greyscale/1",
        "bilateral/12/170+patch_shuffle/10",
        "bilateral/12/170+greyscale/1",
        "patch_shuffle/6",
        "bilateral/12/170",
    ]
    for pair in pairs:
        first = batch_of(*stimuli[pair[0].name], names=batch.names, seed=batch.seed)
        assert np.array_equal(one(first, pair[1]), stimuli[condition_name(pair)])
    shuffled = one(batch, patch_shuffle(10))
    assert not np.array_equal(stimuli["bilateral/12/170+patch_shuffle/10"], shuffled)


RANDOM = (
    (patch_shuffle(4),),
    (patch_rotation(6),),
    (channel_shuffle(),),
    (BLURRED, patch_shuffle(3)),
)


def test_stimuli_depend_on_the_seed_and_the_image_and_not_on_the_batch(images):
    names = ("a", "b", "c")
    whole = shown(batch_of(*images, names=names, seed=2), *RANDOM)
    for number in (2, 0, 1):
        alone = batch_of(images[number], names=(names[number],), seed=2)
        for condition, stimuli in shown(alone, *reversed(RANDOM)).items():
            assert np.array_equal(stimuli[0], whole[condition][number])
    other = shown(batch_of(*images, names=names, seed=3), *RANDOM)
    renamed = shown(batch_of(*images, names=("d", "e", "f"), seed=2), *RANDOM)
    for condition, stimuli in whole.items():
        assert not np.array_equal(stimuli, other[condition])
        assert not np.array_equal(stimuli, renamed[condition])


def test_the_images_stay_as_they_are(images):
    batch = batch_of(*images)
    before = batch.pixels.clone()
    kept = [(x, x.clone()) for _, x in suppressed(batch, [(GREY,), *RANDOM])]
    assert all(torch.equal(now, then) for now, then in kept)
    assert torch.equal(batch.pixels, before)


def test_non_local_means_are_opencvs(images):
    found = shown(batch_of(*images[:2]), (nl_means(5),), (nl_means(25),))
    assert list(found) == ["nl_means/5", "nl_means/25"]
    for name, stimuli in found.items():
        h = int(name.rpartition("/")[2])
        for image, stimulus in zip(images[:2], stimuli, strict=True):
            assert np.array_equal(stimulus, oracle.nl_means(image, h))


@pytest.mark.parametrize(("height", "width"), [(48, 48), (33, 70)])
@pytest.mark.parametrize(("template", "search"), [(14, 21), (7, 21), (4, 5)])
def test_whole_numbers_of_the_gpu_are_opencvs(height, width, template, search):
    """On the CPU: whole numbers are the same everywhere."""
    noise = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    flat = np.full((height, width, 3), 77, np.uint8)
    images = [photo_like(1, height, width), noise, flat]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    strengths = (0.7, *NL_MEANS, 200)
    for h, ours in zip(strengths, denoised(batch, strengths, template, search), strict=True):
        for image, stimulus in zip(images, ours.permute(0, 2, 3, 1).numpy(), strict=True):
            expected = cv2.fastNlMeansDenoising(image, None, h, template, search)
            assert np.array_equal(stimulus, expected)


def test_whole_numbers_of_the_gpu_are_opencvs_at_full_size(images):
    batch = torch.from_numpy(np.stack(images[:1])).permute(0, 3, 1, 2)
    for h, ours in zip((10,), denoised(batch, (10,), 14, 21), strict=True):
        assert np.array_equal(ours[0].permute(1, 2, 0).numpy(), oracle.nl_means(images[0], h))
