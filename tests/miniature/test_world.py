"""The miniature world: what a picture depends on, and what it does not."""

import itertools

import numpy as np
import pytest

from miniature import world
from miniature.silhouettes import REACH, SILHOUETTES, mask
from miniature.textures import TEXTURES, pattern
from miniature.world import CATEGORIES, SIDE, Picture, render

CLASSES = range(len(CATEGORIES))
RADIUS = 90.0


def silhouette(name: str, angle: float = 0.0) -> np.ndarray:
    return mask(name, SIDE, (112.0, 112.0), RADIUS, angle)


def fill(name: str, seed: int, angle: float) -> np.ndarray:
    return pattern(name, SIDE, (3.0, 8.0), angle, 1.0, np.random.default_rng(seed))


def signature(filling: np.ndarray) -> np.ndarray:
    """Return the spectrum by radius of a texture: unchanged by phase, turn and swapped colours."""
    power = np.abs(np.fft.fft2(filling - filling.mean())) ** 2
    f = np.fft.fftfreq(SIDE) * SIDE
    radius = np.hypot(f[:, None], f[None, :]).astype(int).ravel()
    rings = np.bincount(radius, power.ravel())[: SIDE // 2]
    blurred = np.convolve(np.sqrt(rings), [0.25, 0.5, 0.25], mode="same")
    return blurred / np.linalg.norm(blurred)


def test_sixteen_category_names_are_plain_words_in_alphabetical_order():
    assert len(CATEGORIES) == len(TEXTURES) == 16
    assert list(CATEGORIES) == sorted(set(CATEGORIES))
    assert all(name.isascii() and name.isalpha() and name.islower() for name in CATEGORIES)


def test_a_picture_is_an_rgb_image_of_bytes():
    image = render(0, "val", Picture(3, 7, 1))
    assert image.shape == (224, 224, 3)
    assert image.dtype == np.uint8
    assert image.max() - image.min() > 60


def test_colours_are_in_range_and_apart_in_lightness():
    """Clipping would tie a colour to a texture's share of light and dark."""
    for seed in range(300):
        colours = world.colours(np.random.default_rng(seed))
        light = np.sort(colours.mean(axis=1))
        assert colours.min() >= 0
        assert colours.max() <= 1
        assert np.diff(light).min() > 0.1


def test_the_same_key_gives_the_same_picture_in_any_order():
    keys = list(itertools.islice(world.cue_conflict(5), 0, 1280, 97))
    forwards = {key: render(0, "val", key) for key in keys}
    backwards = {key: render(0, "val", key) for key in reversed(keys)}
    assert all(np.array_equal(forwards[key], backwards[key]) for key in keys)


def test_pictures_do_not_touch_the_global_generators():
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    render(0, "val", Picture(13, 13, 1))
    assert np.random.random() == expected


def test_every_part_of_the_key_changes_the_picture():
    reference = render(0, "val", Picture(1, 2, 1))
    others = [
        render(1, "val", Picture(1, 2, 1)),
        render(0, "train", Picture(1, 2, 1)),
        render(0, "val", Picture(3, 2, 1)),
        render(0, "val", Picture(1, 3, 1)),
        render(0, "val", Picture(1, 2, 2)),
    ]
    assert all(np.mean(reference != other) > 0.3 for other in others)


def test_shape_and_texture_each_change_the_pixels_all_else_being_equal():
    def drawn(shape: int, texture: int) -> np.ndarray:
        return world.draw(shape, texture, np.random.default_rng(5)).astype(int)

    reference = drawn(0, 0)
    for k in CLASSES[1:]:
        assert np.mean(np.abs(reference - drawn(k, 0)).max(axis=-1) > 20) > 0.02
        assert np.mean(np.abs(reference - drawn(0, k)).max(axis=-1) > 20) > 0.02


def test_unknown_categories_are_refused():
    with pytest.raises(IndexError):
        world.draw(16, 0, np.random.default_rng(0))


def test_every_two_silhouettes_differ_at_any_turn_they_are_drawn_with():
    turns = np.linspace(-world.TURN, world.TURN, 9)
    upright = {name: silhouette(name) for name in SILHOUETTES}
    for name in SILHOUETTES:
        turned = [silhouette(name, 2 * angle) for angle in turns]
        for other in set(SILHOUETTES) - {name}:
            overlap = [
                np.minimum(t, upright[other]).sum() / np.maximum(t, upright[other]).sum()
                for t in turned
            ]
            assert max(overlap) < 0.87, (name, other)


@pytest.mark.parametrize("name", SILHOUETTES)
def test_a_silhouette_has_its_reach(name):
    reach = max(np.hypot(*vertices.T).max() for vertices, adds in SILHOUETTES[name] if adds)
    assert 0.8 < reach <= REACH


@pytest.mark.parametrize("name", SILHOUETTES)
def test_a_silhouette_stays_inside_the_picture_and_is_antialiased(name):
    for angle in np.linspace(-world.TURN, world.TURN, 5):
        covered = silhouette(name, angle)
        assert covered.dtype == np.float32
        assert covered[[0, -1]].max() == covered[:, [0, -1]].max() == 0
        assert 0.1 < covered.mean() < 0.6
        assert 50 < np.count_nonzero((covered > 0) & (covered < 1)) < 4000


def test_a_turned_silhouette_has_turned_clockwise():
    arrow = silhouette("arrow", np.pi / 2)
    assert arrow[:, 180:].any()
    assert arrow[:, :40].sum() > arrow[:, -20:].sum()  # the broad end left, the tip right
    assert np.allclose(arrow, arrow[::-1], atol=0.3)


def test_a_disc_covers_its_area():
    radius = 0.85 * RADIUS
    assert silhouette("disc").sum() == pytest.approx(np.pi * radius**2, rel=0.01)


def test_a_ring_is_hollow():
    assert silhouette("ring")[112, 112] == 0


def test_every_two_textures_differ_more_than_one_differs_from_itself():
    """By a spectrum that ignores phase and turn; the nearest neighbour must be of one's own."""
    names = list(TEXTURES)
    known = np.stack([signature(fill(name, 0, 0.4)) for name in names])
    for seed, angle in ((1, 1.3), (2, 2.9)):
        for k, name in enumerate(names):
            likeness = known @ signature(fill(name, seed, angle))
            assert likeness.argmax() == k, (name, names[likeness.argmax()])


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_has_both_colours_in_every_patch(name):
    filling = fill(name, 0, 0.7)
    assert filling.dtype == np.float32
    assert filling.min() >= 0
    assert filling.max() <= 1
    assert 0.1 < filling.mean() < 0.9
    patches = filling.reshape(4, 56, 4, 56).transpose(0, 2, 1, 3).reshape(16, -1)
    assert patches.std(axis=1).min() > 0.1


def test_neither_background_nor_tone_carries_the_category():
    """The spread of category means is what chance leaves of the spread between pictures."""
    features = np.array(
        [
            [
                [image[:12, :12].mean(), image[-12:, -12:].mean(), image[90:134, 90:134].mean()]
                for image in (render(0, "probe", Picture(k, k, n)) for n in range(1, 25))
            ]
            for k in CLASSES
        ]
    )
    within = features.var(axis=1, ddof=1).mean(axis=0)
    between = 24 * features.mean(axis=1).var(axis=0, ddof=1)
    assert (between / within < 2.5).all()  # the 0.2 % quantile of F(15, 368)


def test_the_background_is_smoother_than_any_texture():
    rng = np.random.default_rng(0)
    ground = world.background(np.array([0.3, 0.5, 0.7], np.float32), rng)
    steps = np.abs(np.diff(ground, axis=0)).max()
    assert ground.shape == (SIDE, SIDE, 3)
    assert 0 < steps < 0.02
    assert ground.std(axis=(0, 1)).max() < 3 * world.BACKGROUND_CONTRAST


def test_matched_pictures_have_their_own_texture():
    pictures = list(world.matched(3))
    assert len(set(pictures)) == 48
    assert all(picture.shape == picture.texture for picture in pictures)


def test_randomised_cues_meet_every_category_equally_often():
    stylised = list(world.texture_randomised(32))
    assert len(set(stylised)) == 16 * 32
    pairs = [(picture.shape, picture.texture) for picture in stylised]
    assert all(pairs.count(pair) == 2 for pair in itertools.product(CLASSES, CLASSES))
    swapped = [(texture, shape) for shape, texture in pairs]
    assert swapped == [(p.shape, p.texture) for p in world.shape_randomised(32)]


def test_cue_conflict_is_every_shape_in_every_texture_five_times():
    pictures = list(world.cue_conflict(world.CONFLICT_INSTANCES))
    assert len(set(pictures)) == 1280
    assert sum(picture.shape == picture.texture for picture in pictures) == 80
