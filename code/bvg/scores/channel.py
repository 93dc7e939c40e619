"""A channel: a Gaussian over octave bands that describes a model's sensitivity to noise in them.

Source: Subramanian, Sizikova, Majaj & Pelli, "Spatial-frequency channels, shape bias, and
adversarial robustness", NeurIPS 2023, in the form of Gavrikov & Keuper, CVPR 2024. Thresholds are
steps of noise (bvg.scores.criticalband), high where a little noise suffices.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, log, nan, sqrt

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

LOWEST_CENTRE = 1.75  # cycles per image of 224 pixels, of band 0
OCTAVES_PER_SIGMA = 2 * sqrt(log(4))  # a Gaussian's full width at half its peak
START = (1.0, 0.0, 1.0)  # of the fit: amplitude, mu, sigma
# For bands an octave apart, as published. In a channel with a width of w octaves, the third-nearest
# band is at least an octave from the centre and has at most 4 * 2**-(2 / w)**2 steps. For w < 1,
# that is less than 1/4, which is negligible: the three parameters then depend on two thresholds.
NARROWEST = 1.0


@dataclass(frozen=True)
class Channel:
    """A Gaussian fitted to the thresholds: T(f) = amplitude * exp(-(f - mu)**2 / (2 sigma**2)).

    thresholds: of the octave bands, in steps of noise, 0 … `steps`, which stands for no noise.
    amplitude (0 … steps), mu and sigma (octaves) are NaN if the fit did not converge.
    r_squared: fraction of the thresholds' variance explained by the fit; None for equal thresholds
    or if the fit did not converge.
    degenerate: why the parameters are meaningless; empty for a valid fit.
    """

    thresholds: tuple[float, ...]
    amplitude: float
    mu: float
    sigma: float
    r_squared: float | None
    degenerate: tuple[str, ...]
    steps: int = 4

    @property
    def bandwidth(self) -> float:
        """Return the full width at half the peak of T, in octaves, never negative."""
        return OCTAVES_PER_SIGMA * abs(self.sigma)

    @property
    def centre(self) -> float:
        """Return the centre frequency in cycles per image (of 224 pixels)."""
        with np.errstate(over="ignore"):
            return LOWEST_CENTRE * float(np.exp2(self.mu))

    @property
    def peak_sensitivity(self) -> float:
        """Return the peak noise sensitivity: 1/16 (SD 0.16 is tolerated) … 1 (not even 0.02).

        The strengths of noise are octaves apart.
        """
        return 2.0 ** (self.amplitude - self.steps)


def fit_channel(
    thresholds: Iterable[float],
    invalid: str = "",
    bands: Sequence[int] = range(7),
    steps: int = 4,
) -> Channel:
    """Return the least-squares fit of a channel to the thresholds of `bands`.

    bands: octaves, in rising order. steps: the number of strengths of noise.
    invalid: why the thresholds are meaningless, if they are; the channel is then degenerate.
    Never raises for unusual numbers: the channel is degenerate then. With two separate peaks, the
    fit may be a local optimum, as in the study; r_squared is low then.
    """
    values = np.array([float(value) for value in thresholds])
    parameters, covariance = np.full(3, nan), np.full((3, 3), nan)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)
            parameters, covariance = curve_fit(
                _gaussian,
                np.array(bands, dtype=float),
                values,
                p0=START,
                bounds=((0.0, -np.inf, -np.inf), (float(steps), np.inf, np.inf)),
                jac=_jacobian,
            )
    except (RuntimeError, ValueError):  # too many iterations; numbers that are not finite
        pass
    amplitude, mu, sigma = parameters.tolist()
    return Channel(
        thresholds=tuple(values.tolist()),
        amplitude=amplitude,
        mu=mu,
        sigma=sigma,
        r_squared=_r_squared(values, _gaussian(np.array(bands), amplitude, mu, sigma)),
        # Other reasons would only follow from invalid thresholds.
        degenerate=(invalid,) if invalid else _why_degenerate(values, bands, mu, sigma, covariance),
        steps=steps,
    )


def _gaussian(band, amplitude, mu, sigma):
    return amplitude * np.exp(-((band - mu) ** 2) / (2 * sigma**2))


def _jacobian(band, amplitude, mu, sigma):
    """Return the derivatives (bands, 3); as by finite differences, in 2/3 of the time."""
    distance = band - mu
    bell = np.exp(-(distance**2) / (2 * sigma**2))
    slope = amplitude * bell * distance / sigma**2
    return np.stack([bell, slope, slope * distance / sigma], axis=1)


def _why_degenerate(
    thresholds: np.ndarray, bands: Sequence[int], mu: float, sigma: float, covariance: np.ndarray
) -> tuple[str, ...]:
    width = OCTAVES_PER_SIGMA * abs(sigma)
    tested, apart = bands[-1] - bands[0] + 1, int(np.diff(bands).max(initial=1))
    distance = "one octave" if apart == 1 else f"{apart} octaves"
    converged = isfinite(sigma)
    reasons = {
        "fewer than three distinct thresholds": len(set(thresholds.tolist())) < 3,
        "the fit did not converge": not converged,
        "the centre is outside the tested bands": converged and not bands[0] <= mu <= bands[-1],
        f"the bandwidth exceeds the {tested} octaves tested": width > tested,
        f"the bandwidth is below the {distance} between bands": width < NARROWEST * apart,
        "the covariance is not finite": converged and not np.isfinite(covariance).all(),
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def _r_squared(values: np.ndarray, fitted: np.ndarray) -> float | None:
    if len(set(values.tolist())) == 1:
        return None
    with np.errstate(all="ignore"):
        share = 1 - ((values - fitted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    return float(share) if np.isfinite(share) else None
