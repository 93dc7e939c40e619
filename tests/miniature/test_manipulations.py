"""Renditions, corruptions, perturbations and manipulations do what their names say."""

import numpy as np
import pytest

from bvg.data.imagenet_p import PERTURBATIONS as PUBLISHED
from bvg.data.model_vs_human import DATA_SETS
from eval_imagenet_cbar import IMAGENET_CBAR
from miniature import corrupting, parametric, perturbing, renditions
from miniature.world import CATEGORIES, SIDE, VAL_BORDER, Picture, generator, render

KEY = Picture(8, 8, 1)
CLEAN = render(0, "manipulations", KEY).astype(np.float32) / 255
WHOLE = render(0, "manipulations", KEY, VAL_BORDER).astype(np.float32) / 255


def rng(what: str = "") -> np.random.Generator:
    return generator(0, what, KEY)


def spectrum(x: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft2(x))


def manipulated(name: str, condition: str) -> np.ndarray:
    return parametric.MANIPULATIONS[name](CLEAN, condition, rng())


def test_tables_have_the_published_names():
    assert tuple(corrupting.CORRUPTIONS) == IMAGENET_CBAR.corruptions
    assert set(perturbing.PERTURBATIONS) == set(PUBLISHED)
    assert set(parametric.MANIPULATIONS) < set(DATA_SETS)


@pytest.mark.parametrize("name", corrupting.CORRUPTIONS)
def test_a_corruption_grows_with_severity(name):
    distances = []
    for severity in corrupting.SEVERITIES:
        seen = np.clip(corrupting.CORRUPTIONS[name](CLEAN, severity, rng()), 0, 1)
        assert seen.shape == CLEAN.shape
        distances.append(float(np.abs(seen - CLEAN).mean()))
    assert distances == sorted(distances)
    assert distances[-1] > 1.2 * distances[0] > 0


@pytest.mark.parametrize("name", perturbing.PERTURBATIONS)
def test_frames_leave_the_first_one_slowly(name):
    frames = [
        np.clip(perturbing.PERTURBATIONS[name](WHOLE, VAL_BORDER, k, rng()), 0, 1)
        for k in range(perturbing.FRAMES)
    ]
    assert all(frame.shape == CLEAN.shape for frame in frames)
    steps = [float(np.abs(a - frames[0]).mean()) for a in frames]
    if "noise" in name:
        assert min(steps[1:]) > 0.05
    elif name == "snow":  # as many flakes fall in as out
        assert min(steps[1:]) > 0
    else:
        assert np.diff(steps).min() > -0.1 * max(steps)  # a shifted texture may meet itself
        assert steps[1] < 0.6 * max(steps)
    if name != "snow":
        assert np.abs(frames[0] - WHOLE[16:-16, 16:-16]).max() < 0.01


def test_a_hard_picture_is_smaller_and_fainter():
    """A small and faint figure adds little to the spread of lightness."""
    spread = {"plain": 0.0, "hard": 0.0}
    for k in range(0, 16, 3):
        key = Picture(k, k, 1)
        hard = renditions.hard(k, generator(0, "hard", key), SIDE)
        spread["hard"] += hard.mean(axis=2).std()
        spread["plain"] += render(0, "hard", key).mean(axis=2).std()
    assert spread["hard"] < 0.6 * spread["plain"]


@pytest.mark.parametrize("style", renditions.RENDITIONS, ids=lambda style: style.__name__)
def test_renditions_differ_by_category_and_not_by_chance(style):
    square, star = (
        style(CATEGORIES.index(name), rng("rendition"), SIDE) for name in ("square", "star")
    )
    again = style(CATEGORIES.index("star"), rng("rendition"), SIDE)
    assert star.shape == (SIDE, SIDE, 3)
    assert star.dtype == np.uint8
    assert np.array_equal(star, again)
    assert np.mean(square != star) > 0.02


def test_sketches_are_outlines_and_silhouettes_are_filled():
    for shape in (3, 11, 14):
        line = renditions.sketch(shape, rng("line"), SIDE)[..., 0]
        filled = renditions.black(shape, rng("line"), SIDE)[..., 0]
        assert set(np.unique(filled)) >= {0, 255}
        ink, black = (line < 200).sum(), (filled < 128).sum()
        assert 0.02 * black < ink < 0.4 * black
        assert (filled[line < 150] < 250).all()  # the line is inside the silhouette


def test_edges_are_where_the_picture_changes():
    picture = np.full((SIDE, SIDE, 3), 60, np.uint8)
    picture[:, 112:] = 200
    seen = renditions.edges(picture)[..., 0]
    assert (seen[:, 111:113] == 0).all()
    assert (seen[:, :110] == 255).all() and (seen[:, 114:] == 255).all()


def test_colour_manipulations_keep_the_luma():
    luma = CLEAN @ parametric.LUMA
    assert np.allclose(manipulated("colour", "bw"), luma)
    opposite = manipulated("false-colour", "False")
    assert np.allclose(opposite @ parametric.LUMA, luma, atol=1e-5)
    chroma = (CLEAN - luma[..., None]).ravel()
    assert np.corrcoef((opposite - luma[..., None]).ravel(), chroma)[0, 1] < -0.999
    assert manipulated("colour", "cr") is CLEAN
    assert manipulated("false-colour", "True") is CLEAN


def test_contrast_and_uniform_noise_have_the_strength_of_their_names():
    luma = CLEAN @ parametric.LUMA
    assert np.allclose(manipulated("contrast", "c05") - 0.5, 0.05 * (luma - 0.5), atol=1e-6)
    pale = manipulated("uniform-noise", "0.0")
    noise = manipulated("uniform-noise", "0.2") - pale
    assert pale.std() == pytest.approx(0.3 * luma.std(), rel=1e-3)
    assert 0.199 < np.abs(noise).max() <= 0.2
    assert noise.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.02)


def test_filters_take_away_what_they_should():
    luma = spectrum(CLEAN @ parametric.LUMA)
    low, high = spectrum(manipulated("low-pass", "5")), spectrum(manipulated("high-pass", "1.0"))
    assert low[60:110, 60:].sum() < 0.05 * luma[60:110, 60:].sum()
    assert high[1:6, 1:6].sum() < 0.1 * luma[1:6, 1:6].sum()
    assert high[60:110, 60:].sum() > 0.8 * luma[60:110, 60:].sum()
    for name, condition in (("low-pass", "0"), ("high-pass", "inf"), ("phase-scrambling", "0")):
        assert np.allclose(manipulated(name, condition), CLEAN @ parametric.LUMA, atol=1e-5)


def test_phases_are_scrambled_and_amplitudes_are_not():
    luma = CLEAN @ parametric.LUMA
    seen = manipulated("phase-scrambling", "90")
    assert np.allclose(spectrum(seen), spectrum(luma), rtol=1e-3, atol=1e-2)
    shift = np.angle(np.fft.rfft2(seen) / np.fft.rfft2(luma))[1:100, 1:100]
    assert np.abs(shift).max() <= np.pi / 2 + 0.01
    assert np.abs(shift).mean() == pytest.approx(np.pi / 4, rel=0.05)


def test_power_is_equalised_and_phases_are_kept():
    amplitude = spectrum(render(0, "other", Picture(2, 2, 1))[..., 0] / 255)
    seen = parametric.equalised(CLEAN, amplitude)
    assert np.allclose(spectrum(seen), amplitude, rtol=1e-3, atol=1e-2)


def test_rotation_is_counter_clockwise_and_exact():
    luma = CLEAN @ parametric.LUMA
    assert np.array_equal(manipulated("rotation", "0"), luma)
    assert np.array_equal(manipulated("rotation", "180"), luma[::-1, ::-1])
    assert manipulated("rotation", "90")[0, 0] == luma[0, -1]


def test_eidolons_go_further_with_reach_and_without_coherence():
    luma = CLEAN @ parametric.LUMA
    near, far = (
        np.abs(manipulated("eidolonI", f"{reach}-10-10") - luma).mean() for reach in (1, 16)
    )
    assert near < far
    # Coherently, the scales of an edge stay together; else they come apart and add up to blur.
    whole, torn = (
        spectrum(parametric.eidolon(CLEAN, f"8-{coherence}-10", rng()))[20:60, 20:60].sum()
        for coherence in (10, 0)
    )
    assert torn < whole
