from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from scipy.optimize import curve_fit

from bvg.scores import channel
from bvg.scores.channel import Channel, fit_channel

BANDS = np.arange(7.0)
FEW = "fewer than three distinct thresholds"
OUTSIDE = "the centre is outside the tested bands"
WIDE = "the bandwidth exceeds the 7 octaves tested"
NARROW = "the bandwidth is below the one octave between bands"


def gaussian(band, a, mu, sigma):
    return a * np.exp(-((band - mu) ** 2) / (2 * sigma**2))


def slow_fit(thresholds) -> tuple[float, float, float]:
    """Return bandwidth, centre and peak sensitivity straight from the specification."""
    limits = ([0, -np.inf, -np.inf], [4, np.inf, np.inf])
    (a, mu, sigma), _ = curve_fit(
        gaussian, BANDS, np.array(thresholds, float), p0=[1, 0, 1], bounds=limits
    )
    return 2 * np.sqrt(np.log(4)) * abs(sigma), 1.75 * 2**mu, 2 ** (a - 4)


def measures(fit: Channel) -> tuple[float, float, float]:
    return fit.bandwidth, fit.centre, fit.peak_sensitivity


def test_the_parameters_by_hand():
    fit = Channel((0.0,) * 7, 3.0, 2.0, -1.5, None, ())
    assert fit.centre == 7
    assert fit.peak_sensitivity == 0.5
    edge = 2.0 + fit.bandwidth / 2
    assert gaussian(edge, 3.0, 2.0, 1.5) == pytest.approx(1.5)  # half of the peak


@pytest.mark.parametrize(
    ("a", "mu", "sigma"), [(3.2, 4.1, 1.8), (1.5, 0.3, 0.8), (3.9, 5.8, 2.5), (0.4, 3.0, 1.0)]
)
def test_a_gaussian_is_recovered(a, mu, sigma):
    fit = fit_channel(gaussian(BANDS, a, mu, sigma))
    assert (fit.amplitude, fit.mu, abs(fit.sigma)) == pytest.approx((a, mu, sigma), rel=1e-5)
    assert fit.r_squared == pytest.approx(1, abs=1e-9)
    assert fit.degenerate == ()


def test_it_is_the_specified_fit():
    generator = np.random.default_rng(0)
    vectors = [tuple(gaussian(BANDS, 3.5, 4, 2) + generator.normal(0, 0.3, 7)) for _ in range(20)]
    vectors += [(0, 1, 2, 3, 4, 4, 3), (0, 0, 1, 3, 4, 3, 0), (1, 2, 3, 3, 3, 4, 3)]
    for vector in vectors:
        fit = fit_channel(vector)
        assert measures(fit) == pytest.approx(slow_fit(vector), rel=1e-5)
        assert fit.thresholds == vector


def test_equal_sensitivity_everywhere_gives_the_studys_number_and_is_degenerate():
    fit = fit_channel([4] * 7)
    assert fit.bandwidth == pytest.approx(11295.347, rel=1e-6)
    assert fit.r_squared is None
    assert FEW in fit.degenerate
    assert WIDE in fit.degenerate
    assert OUTSIDE in fit.degenerate


@pytest.mark.parametrize(
    ("thresholds", "reasons"),
    [
        ((0, 0, 4, 4, 4, 0, 0), {FEW}),
        ((0, 0, 0, 0, 1, 2, 4), {OUTSIDE}),
        ((3, 3, 3, 4, 3, 3, 2), {WIDE}),
        ((0, 0, 1, 3, 0, 0, 0), {NARROW}),
        ((2, 3, 4, 4, 4, 4, 4), {WIDE}),
        ((0, 0, 0, 0, 0, 0, 4), {FEW, "the fit did not converge"}),
        ((0, 1, 2, nan, 3, 2, 1), {"the fit did not converge"}),
        ((0, 1, 2, 3, 4, 3, 1), set()),
    ],
)
def test_why_a_fit_means_nothing(thresholds, reasons):
    assert set(fit_channel(thresholds).degenerate) == reasons


def test_bands_with_gaps_are_of_the_octaves_that_they_span():
    bands, sigma = (0, 2, 4, 6), 2.0  # 4.7 octaves wide: more than there are bands, less than 7
    thresholds = 4 * np.exp(-((np.array(bands) - 2.6) ** 2) / (2 * sigma**2))
    fit = fit_channel(thresholds, bands=bands)
    assert fit.degenerate == () and fit.bandwidth == pytest.approx(4.7096, abs=1e-4)
    narrow = 4 * np.exp(-((np.array(bands) - 2.6) ** 2) / (2 * 0.7**2))  # 1.6 octaves
    (reason,) = fit_channel(narrow, bands=bands).degenerate
    assert reason == "the bandwidth is below the 2 octaves between bands"


def test_where_thresholds_are_invalid_no_other_reason_matters():
    fit = fit_channel([4] * 7, invalid="nothing is right")
    assert fit.degenerate == ("nothing is right",)
    assert fit.bandwidth == fit_channel([4] * 7).bandwidth


def test_an_unknown_covariance_is_degenerate(monkeypatch):
    parameters = np.array([3.0, 3.0, 1.5])
    monkeypatch.setattr(channel, "curve_fit", lambda *_, **__: (parameters, np.full((3, 3), inf)))
    assert fit_channel((0, 1, 2, 3, 4, 3, 1)).degenerate == ("the covariance is not finite",)


@pytest.mark.parametrize(("sigma", "reasons"), [(-1.5, ()), (-9.0, (WIDE,)), (-0.3, (NARROW,))])
def test_the_sign_of_sigma_does_not_matter(monkeypatch, sigma, reasons):
    parameters = np.array([3.0, 3.0, sigma])
    monkeypatch.setattr(channel, "curve_fit", lambda *_, **__: (parameters, np.eye(3)))
    assert fit_channel((0, 1, 2, 3, 4, 3, 1)).degenerate == reasons


def test_a_fit_that_does_not_converge_has_no_parameters():
    fit = fit_channel((0, 0, 0, 4, 0, 0, 0))
    assert all(isnan(value) for value in measures(fit))
    assert fit.r_squared is None


def test_the_explained_share_by_hand():
    vector = np.array([0, 1, 2, 3, 4, 4, 3])
    fit = fit_channel(vector)
    rest = vector - gaussian(BANDS, fit.amplitude, fit.mu, fit.sigma)
    assert fit.r_squared == pytest.approx(1 - np.mean(rest**2) / np.var(vector))
    assert 0.9 < fit.r_squared < 1
    assert fit_channel([0.1] * 7).r_squared is None  # whose mean is not 0.1


def test_odd_thresholds_never_raise_and_sound_fits_are_in_range():
    generator = np.random.default_rng(1)
    odd = [(inf,) * 7, (nan,) * 7, (1e300,) * 7, (-5,) * 7, (0,) * 7, (1e-300, *[0] * 6)]
    odd += [tuple(row) for row in generator.normal(0, 50, (20, 7))]
    odd += list(product((0, 4), repeat=7))[::4]
    odd += [tuple(row) for row in generator.integers(0, 5, (100, 7))]
    sound = 0
    for vector in odd:
        fit = fit_channel(vector)
        if not fit.degenerate:
            sound += 1
            assert 1 <= fit.bandwidth <= 7
            assert 1.75 <= fit.centre <= 112
            assert 1 / 16 <= fit.peak_sensitivity <= 1
    assert 10 < sound < len(odd) - 50


def test_a_centre_far_away_is_infinite():
    assert Channel((), 1.0, 5000.0, 1.0, None, ()).centre == inf
    assert Channel((), 1.0, -5000.0, 1.0, None, ()).centre == 0
