"""Accuracy under noise of one octave, and the channel that the thresholds make, model by model.

Upwards, the noise gets stronger. A threshold lies in the row of the strongest noise that a model
withstands, so that the channel is a dip: there, little noise is enough to disturb the model.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import ceil, nan
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import LinearLocator

from bvg.figures.drawing import COLUMN_WIDTH, PAGE_WIDTH, letter_width, save, wrapped
from bvg.scores.channel import LOWEST_CENTRE, Channel
from bvg.scores.criticalband import accuracy_matrix, channels, noise_grid

_COLOURS = matplotlib.colormaps["cividis"].with_extremes(bad="0.85")
_CHANNEL: dict[str, Any] = {"color": "#d55e00", "linewidth": 1.2}
_THRESHOLD: dict[str, Any] = {
    "color": "#d55e00",
    "marker": "o",
    "markersize": 3.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
_MOST_COLUMNS = 4
# Sizes in inches, letters in points.
_LEFT, _RIGHT, _BETWEEN, _HEAD, _FOOT = 0.56, 0.1, 0.12, 0.42, 0.1
_MAP, _TICKS = 1.2, 0.26  # heights
_FONT = 6.5
_LINE = 1.25 * _FONT / 72


@dataclass(frozen=True)
class ChannelPicture:
    """The data drawn for one model.

    accuracy: (1 + deviations, bands) in percent, the first row without noise; NaN where it is
    unknown. channel: what was fitted to the thresholds, if anything. bands: octaves. deviations: SD
    of the noise, as they are written.
    """

    accuracy: np.ndarray
    channel: Channel | None
    bands: tuple[int, ...] = tuple(range(7))
    deviations: tuple[str, ...] = ("0.02", "0.04", "0.08", "0.16")


def channel_picture(
    conditions: tuple[str, ...], correct: np.ndarray, chance: float = 0.0
) -> ChannelPicture:
    """Return a model's picture with the channel at half of the noise-free accuracy, interpolated.

    conditions: the names of the columns of `correct` (N, C), bool. chance: of guessing, in [0, 1].
    """
    accuracy = dict(zip(conditions, 100 * correct.mean(axis=0), strict=True))
    channel = channels(conditions, correct, chance)["_norm_interpolated"]
    return ChannelPicture(accuracy_matrix(accuracy), channel, *noise_grid(conditions))


def critical_band_figure(models: dict[str, ChannelPicture], paths: list[Path]) -> None:
    """Draw a heat map with its channel per model, and write the figure to each of `paths`."""
    columns = _columns(len(models))
    page = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
    width = (page - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns
    titles = [_title(name, picture.channel, width) for name, picture in models.items()]
    depths = _depths(titles, columns)
    height = depths[-1] + _FOOT
    figure = plt.figure(figsize=(page, height))
    scale = Normalize(0, _top([picture.accuracy for picture in models.values()]))
    for number, (title, picture) in enumerate(zip(titles, models.values(), strict=True)):
        row, column = divmod(number, columns)
        left = _LEFT + column * (width + _BETWEEN)
        bottom = height - depths[row] + _TICKS
        axes = figure.add_axes(
            (left / page, bottom / height, width / page, _MAP / height), title=title
        )
        _draw(axes, picture, scale)
        _format_axes(axes, picture, first=column == 0, last=number + columns >= len(models))
    _head(figure, scale)
    save(figure, paths)


def _columns(models: int) -> int:
    """Return the columns that fill the rows evenly."""
    return ceil(models / ceil(models / _MOST_COLUMNS))


def _depths(titles: list[str], columns: int) -> list[float]:
    """Return how far below the upper edge each row ends, in inches."""
    rows = [titles[first : first + columns] for first in range(0, len(titles), columns)]
    lines = [max(title.count("\n") + 1 for title in row) for row in rows]
    return [_HEAD + depth for depth in accumulate(n * _LINE + _MAP + _TICKS for n in lines)]


def _top(accuracies: list[np.ndarray]) -> float:
    """Return the upper end of the colours: the highest accuracy, rounded up to tens."""
    known = np.concatenate([accuracy[~np.isnan(accuracy)] for accuracy in accuracies])
    return 10 * max(1, ceil(known.max(initial=0) / 10))


def _title(name: str, channel: Channel | None, width: float) -> str:
    """Return the model's name and, below, its channel or why it has none."""
    lines = (name, _summary(channel))
    letters = int((width + _BETWEEN / 2) / letter_width(lines, _FONT - 0.5))
    return "\n".join(wrapped(line, letters) for line in lines)


def _summary(channel: Channel | None) -> str:
    if channel is None:
        return "no channel: not fitted"
    if channel.degenerate:
        return f"no channel: {channel.degenerate[0]}"
    centre = f"{channel.centre:.0f}" if channel.centre >= 10 else f"{channel.centre:.1f}"
    sensitivity = f"{channel.peak_sensitivity:.2f}"
    return f"BW {channel.bandwidth:.1f} oct, CF {centre} c/img, PNS {sensitivity}"


def _draw(axes: Axes, picture: ChannelPicture, scale: Normalize) -> None:
    """Draw one model; rows are 0 (no noise) … n (the strongest noise) upwards."""
    axes.imshow(picture.accuracy, norm=scale, cmap=_COLOURS, origin="lower", aspect="auto")
    axes.axhline(0.5, color="white", linewidth=1.5)  # no noise is not a strength of noise
    thresholds = np.full(len(picture.bands), nan)
    if picture.channel is not None:
        # Threshold step j is the row n - j.
        thresholds = len(picture.deviations) - np.array(picture.channel.thresholds)
        axes.plot(range(len(thresholds)), thresholds, **_THRESHOLD, zorder=5)
        if not picture.channel.degenerate:
            _draw_channel(axes, picture.channel, picture.bands)
    for (row, band), value in np.ndenumerate(picture.accuracy):
        cell = _COLOURS(scale(value))
        # In the lower half of the cell, or where a threshold is there, in the upper half.
        offset = 0.25 if -0.5 < thresholds[band] - row < -0.01 else -0.25
        axes.text(
            band,
            row + offset,
            "–" if np.isnan(value) else f"{value:.0f}",
            fontsize=_FONT - 1,
            color=_contrasting(cell),
            ha="center",
            va="center_baseline",
            zorder=4,
            path_effects=[Stroke(linewidth=2, foreground=cell), Normal()],  # keeps the curve off
        )


def _draw_channel(axes: Axes, channel: Channel, bands: tuple[int, ...]) -> None:
    columns = np.linspace(-0.5, len(bands) - 0.5, 200)
    # Half an octave beyond the first and the last band; between bands as far apart as they are.
    ends = (bands[0] - 0.5, *bands, bands[-1] + 0.5)
    octaves = np.interp(columns, (-0.5, *range(len(bands)), len(bands) - 0.5), ends)
    steps = channel.amplitude * np.exp(-((octaves - channel.mu) ** 2) / (2 * channel.sigma**2))
    rim = [Stroke(linewidth=2.2, foreground="white"), Normal()]
    axes.plot(columns, channel.steps - steps, **_CHANNEL, path_effects=rim, zorder=3)


def _contrasting(colour: tuple[float, ...]) -> str:
    """Return black or white, whichever is easier to read on the colour (WCAG's luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "black" if luminance > 0.179 else "white"


def _format_axes(axes: Axes, picture: ChannelPicture, first: bool, last: bool) -> None:
    """Set the ticks; first: of its row; last: of its column."""
    axes.title.set(fontsize=_FONT - 0.5, linespacing=1.15, parse_math=False)
    rows = ["no noise", *(f"SD {sd}" for sd in picture.deviations)]
    centres = [f"{LOWEST_CENTRE * 2.0**f:g}" for f in picture.bands]
    axes.set_xticks(range(len(centres)), centres)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=_FONT - 1, length=2, pad=1.5, labelleft=first)
    axes.set(xlim=(-0.5, len(centres) - 0.5), ylim=(-0.5, len(rows) - 0.5))
    if last:
        axes.set_xlabel("centre of the noise (cycles/image)", fontsize=_FONT - 0.5, labelpad=2)


def _head(figure: Figure, scale: Normalize) -> None:
    """Explain marks and colours, on top, where a page of many models is seen first."""
    height = figure.get_figheight()
    marks = [Line2D([], [], **_THRESHOLD), Line2D([], [], **_CHANNEL)]
    names = ["threshold: strongest noise withstood", "channel fitted to the thresholds"]
    figure.legend(
        marks,
        names,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize=_FONT,
        borderaxespad=0.2,
    )
    axes = figure.add_axes((0.66, 1 - 0.22 / height, 0.3, 0.08 / height))
    bar = figure.colorbar(ScalarMappable(scale, _COLOURS), cax=axes, orientation="horizontal")
    bar.locator = LinearLocator(3)
    axes.set_title("top-1 accuracy (%)", fontsize=_FONT, pad=2)
    axes.tick_params(labelsize=_FONT - 1, length=2, pad=1)
