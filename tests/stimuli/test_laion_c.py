"""The corruptions of LAION-C against the definition, pixel by pixel."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from bvg.data.laion_c import Stickers
from bvg.stimuli.laion_c import corrupted, line_pixels, vertical_lines
from bvg.stimuli.randomness import keyed_generator
from eval_laion_c import GENERATED, generator
from oracles import laion_c as oracle
from stimulus_helpers import batch_of, photo_like

LEVELS = (1, 2, 3, 4, 5)
TILES = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
BANK = Stickers(tuple("abcdefgh"), TILES)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    noise = np.random.default_rng(5).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    ends = noise // 128 * 255  # black and white, which no change of luminance may leave
    return [photo_like(1), noise, ends]


def made(images, name, *, names=("a", "b", "x"), seed=0) -> dict[str, np.ndarray]:
    """Return (B, H, W, 3) uint8 of one corruption at all levels."""
    conditions = {f"{name}_{level}": generator(name, level, BANK) for level in LEVELS}
    found = {}
    for condition, x in corrupted(batch_of(*images, names=names, seed=seed), conditions):
        exact = (x * 255).round()
        assert torch.equal(exact / 255, x)
        found[condition] = exact.permute(0, 2, 3, 1).to(torch.uint8).numpy()
    return found


def defined(corruption: str, value, image: np.ndarray, name: str, draws) -> np.ndarray:
    if corruption == "stickers":
        bank = dict(zip(BANK.names, BANK.tiles, strict=True))
        return oracle.stickers(image, name, draws, value, bank)
    if corruption == "vertical_lines":
        return oracle.vertical_lines(image, *value)
    if corruption == "geometric_shapes":
        return oracle.geometric_shapes(image, draws, value)
    return oracle.luminance_checkerboard(image, draws, *value)


@pytest.mark.parametrize("corruption", GENERATED)
def test_images_are_those_of_the_definition(images, corruption):
    if corruption == "stickers":  # whose definition is slow
        images = [image[:72, :96] for image in images]
    stimuli = made(images, corruption, seed=3)
    for level, value in zip(LEVELS, GENERATED[corruption], strict=True):
        condition = f"{corruption}_{level}"
        for number, name in enumerate("abx"):
            if number == level % 3:  # each image under some levels
                draws = keyed_generator(3, condition, name)
                expected = defined(corruption, value, images[number], name, draws)
                assert np.array_equal(stimuli[condition][number], expected)


@pytest.mark.parametrize("corruption", GENERATED)
def test_an_image_is_changed_the_same_way_in_every_batch(images, corruption):
    together = made(images, corruption)
    alone = made(images[1:2], corruption, names=("b",))
    for condition, stimuli in alone.items():
        assert np.array_equal(stimuli[0], together[condition][1])
    if corruption != "vertical_lines":  # which has nothing random
        other = made(images[1:2], corruption, names=("b",), seed=1)
        assert all(not np.array_equal(other[c], alone[c]) for c in alone)


@pytest.mark.parametrize("corruption", ["stickers", "geometric_shapes"])
def test_more_of_an_image_is_covered_from_level_to_level(images, corruption):
    found = made(images[1:2], corruption, names=("b",)).values()
    covered = [(stimuli[0] != images[1]).any(axis=2).mean() for stimuli in found]
    assert all(less < more for less, more in pairwise(covered))
    assert covered[0] < 0.5 and covered[-1] > 0.75


def test_lines_of_an_image_with_fewer_columns_than_lines():
    image = photo_like(2, 50, 60)
    ((_, x),) = corrupted(batch_of(image), {"x": vertical_lines(84, 6)})
    stimulus = (x[0] * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(stimulus, oracle.vertical_lines(image, 84, 6))


def test_no_sticker_is_of_the_image_itself():
    """With stickers of one colour each, the image's own colour is never there."""
    tiles = np.stack([np.full((16, 16, 3), 10 * (k + 1), np.uint8) for k in range(8)])
    bank = Stickers(tuple("abcdefgh"), tiles)
    grey = np.zeros((224, 224, 3), np.uint8)
    seen = {}
    for name in "abz":
        batch = batch_of(grey, names=(name,))
        ((_, x),) = corrupted(batch, {"stickers_5": generator("stickers", 5, bank)})
        seen[name] = {*(x * 255).round().to(torch.uint8).unique().tolist()} - {0}
    every = {10 * (k + 1) for k in range(8)}
    assert seen == {"a": every - {10}, "b": every - {20}, "z": every}


def test_lines_are_straight_and_without_gaps():
    ends = np.random.default_rng(0).integers(0, 60, (4, 200))
    rows, columns, number = line_pixels(*ends)
    for line, (x0, y0, x1, y1) in enumerate(ends.T):
        y, x = rows[number == line], columns[number == line]
        assert (x[0], y[0], x[-1], y[-1]) == (x0, y0, x1, y1)
        steps = np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))
        assert (steps == 1).all()
        length = max(np.hypot(x1 - x0, y1 - y0), 1)
        off = np.abs((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
        assert off.max() <= 0.5


def test_what_pillow_draws_has_the_shapes_form():
    """A pixel clearly inside a shape is filled, and one clearly outside is not."""
    centre = 40
    for kind, size, area in ((0, 15, 0.5), (1, 15, 1), (3, 15, np.pi / 4)):
        canvas = np.zeros((80, 80, 3), np.uint8)
        picture = oracle.Image.fromarray(canvas)
        draw = oracle.ImageDraw.Draw(picture)
        oracle.shape(draw, kind, centre, centre, size, 0, (255, 255, 255))
        filled = np.asarray(picture)[..., 0] > 0
        assert filled.sum() == pytest.approx(area * (size + 1) ** 2, rel=0.1)
        rows, columns = np.nonzero(filled)
        assert rows.min() == columns.min() == centre
        assert rows.max() == columns.max() == centre + size


def test_brighter_and_darker_tiles_take_turns():
    grey = np.full((224, 224, 3), 128, np.uint8)
    for level, (low, high) in enumerate(GENERATED["luminance_checkerboard"], start=1):
        conditions = {"x": generator("luminance_checkerboard", level, BANK)}
        ((_, x),) = corrupted(batch_of(grey), conditions)
        tiles = (x[0, 0] * 255).reshape(16, 14, 16, 14)
        means = tiles.mean(dim=(1, 3)).numpy()
        assert np.allclose(tiles.std(dim=(1, 3)), 0, atol=1e-3)
        sign = 1 - 2 * (np.add.outer(np.arange(16), np.arange(16)) % 2)
        change = (means - 128) * sign
        assert change.min() >= min(low - 1, 127) and change.max() <= min(high + 1, 128)
        assert len(np.unique(change.round())) > 20 or low >= 100  # where most are clipped
