"""Accuracy under noise of one octave, and the channel that the thresholds make, model by model.

Upwards, the noise gets stronger. A threshold lies in the row of the strongest noise that a model
withstands, so that the channel is a dip: there, little noise is enough to disturb the model. The
channel of humans, where given, is drawn for comparison in each panel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from bvg.figures.drawing import (
    COLUMN_WIDTH,
    HUMAN_COLOUR,
    PAGE_WIDTH,
    letter_width,
    save,
    wrapped,
)
from bvg.figures.heat_map import COLOURS, write_numbers
from bvg.scores.channel import LOWEST_CENTRE, Channel
from bvg.scores.criticalband import accuracy_matrix, channels, noise_grid

_CHANNEL: dict[str, Any] = {"color": "#d55e00", "linewidth": 1.2}
_THRESHOLD: dict[str, Any] = {
    "color": "#d55e00",
    "marker": "o",
    "markersize": 3.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
_HUMANS: dict[str, Any] = {"color": HUMAN_COLOUR, "linewidth": 1.2, "linestyle": (0, (3, 1.2))}
_HUMAN_THRESHOLD: dict[str, Any] = {**_THRESHOLD, "color": HUMAN_COLOUR, "marker": "d"}
_MOST_COLUMNS = 4
_FONT = 6.0  # points
# Inches: a map's height with its ticks; the rows' names; the legend and the lowest panels' labels.
_MAP, _NAMES, _HEAD = 1.5, 0.6, 0.6
_LINE = 1.3 * _FONT / 72  # inches, of the legend


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

    @property
    def is_published(self) -> bool:
        """Return whether bands and deviations are those of the published humans."""
        return (self.bands, self.deviations) == (ChannelPicture.bands, ChannelPicture.deviations)


def channel_picture(
    conditions: tuple[str, ...], correct: np.ndarray, chance: float = 0.0
) -> ChannelPicture:
    """Return a model's picture with the channel at half of the noise-free accuracy, interpolated.

    conditions: the names of the columns of `correct` (N, C), bool. chance: of guessing, in [0, 1].
    """
    accuracy = dict(zip(conditions, 100 * correct.mean(axis=0), strict=True))
    channel = channels(conditions, correct, chance)["_norm_interpolated"]
    return ChannelPicture(accuracy_matrix(accuracy), channel, *noise_grid(conditions))


def critical_band_figure(
    models: Mapping[str, ChannelPicture], path: Path, humans: Channel | None = None
) -> list[Path]:
    """Return the files of a figure with a heat map and its channel per model.

    humans: their published channel, drawn where bands and deviations are the published ones.
    """
    if not all(picture.is_published for picture in models.values()):
        humans = None
    columns = ceil(len(models) / ceil(len(models) / _MOST_COLUMNS))  # that fill the rows evenly
    rows = ceil(len(models) / columns)
    page = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
    titles = _titles(models, (page - _NAMES) / columns)
    lines = max(title.count("\n") + 1 for title in titles)
    height = _HEAD + (_LINE if humans else 0) + rows * (_MAP + 1.25 * lines * _FONT / 72)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, figsize=(page, height), layout="constrained"
    )
    known = [picture.accuracy[np.isfinite(picture.accuracy)] for picture in models.values()]
    scale = Normalize(0, 10 * max(1, ceil(np.concatenate(known).max(initial=0) / 10)))
    panels = grid.flat[: len(models)]
    drawn = zip(panels, titles, models.values(), strict=True)
    for number, (axes, title, picture) in enumerate(drawn):
        if humans:
            _draw_channel(axes, humans, picture.bands, _HUMANS)
            _draw_thresholds(axes, humans, _HUMAN_THRESHOLD)
        _draw(axes, picture, scale)
        axes.set_title(title, fontsize=_FONT, linespacing=1.15, parse_math=False)
        _format_axes(axes, picture, number % columns == 0, number + columns >= len(models))
    for axes in grid.flat[len(models) :]:
        axes.remove()
    legend = {
        "threshold: strongest noise withstood": _THRESHOLD,
        "channel fitted to the thresholds": _CHANNEL,
    }
    if humans:
        legend["humans (published), among 16 categories"] = _HUMAN_THRESHOLD | _HUMANS
    figure.legend(
        [Line2D([], [], **style) for style in legend.values()],
        [*legend],
        loc="outside upper left",
        frameon=False,
        fontsize=_FONT,
    )
    # Beside the legend, above the panels.
    above = figure.add_axes((0.66, 1 - 0.22 / height, 0.3, 0.08 / height))
    figure.colorbar(ScalarMappable(scale, COLOURS), cax=above, orientation="horizontal")
    above.set_title("top-1 accuracy (%)", fontsize=_FONT, pad=2)
    above.tick_params(labelsize=_FONT - 0.5, length=2, pad=1)
    return save(figure, path)


def _titles(models: Mapping[str, ChannelPicture], width: float) -> list[str]:
    """Return each model's name and, below, its channel or why it has none."""
    pairs = [(name, _summary(picture.channel)) for name, picture in models.items()]
    letters = int(width / letter_width([line for pair in pairs for line in pair], _FONT))
    return ["\n".join(wrapped(line, letters) for line in pair) for pair in pairs]


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
    axes.imshow(picture.accuracy, norm=scale, cmap=COLOURS, origin="lower", aspect="auto")
    axes.axhline(0.5, color="white", linewidth=1.5)  # no noise is not a strength of noise
    thresholds = np.full(len(picture.bands), nan)
    if picture.channel is not None:
        thresholds = _draw_thresholds(axes, picture.channel, _THRESHOLD)
        if not picture.channel.degenerate:
            _draw_channel(axes, picture.channel, picture.bands, _CHANNEL)
    # Numbers are in the lower half of the cell, or where a threshold is there, in the upper half.
    depth = thresholds - np.arange(len(picture.accuracy))[:, None]
    shift = np.where((depth > -0.5) & (depth < -0.01), 0.25, -0.25)
    write_numbers(axes, picture.accuracy, scale, 0, _FONT - 0.5, shift)


def _draw_thresholds(axes: Axes, channel: Channel, style: dict[str, Any]) -> np.ndarray:
    """Draw the thresholds, step j of n in the row n - j; return the rows."""
    rows = channel.steps - np.array(channel.thresholds)
    axes.plot(range(len(rows)), rows, **style, zorder=5)
    return rows


def _draw_channel(
    axes: Axes, channel: Channel, bands: tuple[int, ...], style: dict[str, Any]
) -> None:
    columns = np.linspace(-0.5, len(bands) - 0.5, 200)
    # Half an octave beyond the first and the last band; between bands as far apart as they are.
    ends = (bands[0] - 0.5, *bands, bands[-1] + 0.5)
    octaves = np.interp(columns, (-0.5, *range(len(bands)), len(bands) - 0.5), ends)
    steps = channel.amplitude * np.exp(-((octaves - channel.mu) ** 2) / (2 * channel.sigma**2))
    rim = [Stroke(linewidth=2.2, foreground="white"), Normal()]
    axes.plot(columns, channel.steps - steps, **style, path_effects=rim, zorder=3)


def _format_axes(axes: Axes, picture: ChannelPicture, first: bool, last: bool) -> None:
    """Set the ticks; first: of its row; last: of its column."""
    rows = ["no noise", *(f"SD {sd}" for sd in picture.deviations)]
    centres = [f"{LOWEST_CENTRE * 2.0**f:g}" for f in picture.bands]
    axes.set_xticks(range(len(centres)), centres)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=_FONT - 0.5, length=2, pad=1.5, labelleft=first)
    axes.set(xlim=(-0.5, len(centres) - 0.5), ylim=(-0.5, len(rows) - 0.5))
    if last:
        axes.set_xlabel("centre of the noise (cycles/image)", fontsize=_FONT, labelpad=2)
