"""How many visual anagrams models recognise in both arrangements, in one, in none."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.patches import Patch

from bvg.figures.drawing import HUMAN_COLOUR, PAGE_WIDTH, Metrics, numbers, save, wrapped
from bvg.figures.legend import legend_below

_FONT = 7.0  # points
_ROW = 0.2  # inches per line of a name
_SHADES = {"both right": "#0072b2", "one right": "#9ecae1", "none right": "#eeeeee"}


def pairs_figure(
    models: Mapping[str, Metrics],
    published: Mapping[str, tuple[float, float, float]],
    humans: str,
    pairs: int,
    path: Path,
) -> list[Path]:
    """Return the files of a figure of bars: the fractions of pairs with both, one, no image right.

    models: name -> metrics, which are drawn above with the 95 % interval of the score. published:
    name -> these three fractions, drawn below in the same way; `humans` is the name in red.
    """
    keys = [f"css/{pairs}{ending}" for ending in ("", "/one-right", "/none-right")]
    values = {name: numbers(metrics, keys) for name, metrics in models.items()}
    rows = {name: found[0] for name, found in values.items()}
    labels = [wrapped(name, 34) for name in (*models, *published)]
    heights = [1 + label.count("\n") * 0.6 for label in labels]
    figure, axes = plt.subplots(
        figsize=(PAGE_WIDTH, 1.1 + _ROW * sum(heights)), layout="constrained"
    )
    places = [sum(heights[:row]) + height / 2 for row, height in enumerate(heights)]
    for place, found in zip(places, (*rows.values(), *published.values()), strict=True):
        left = 0.0
        for share, shade in zip(found, _SHADES.values(), strict=True):
            axes.barh(place, share, 0.72, left, color=shade)
            left += share
    for place, (centre, low, high) in zip(places, (v[:, 0] for v in values.values()), strict=False):
        axes.plot([low, high], [place, place], color="black", linewidth=0.9)
        axes.plot(centre, place, "|", color="black", markersize=5)
    axes.set_yticks(places, labels, fontsize=_FONT, parse_math=False)
    for label, name in zip(axes.get_yticklabels(), (*models, *published), strict=True):
        label.set_color(HUMAN_COLOUR if name == humans else "0.45" if name in published else "0")
    axes.axvline(1 / 81, color="0.5", linewidth=0.7, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_ylim(sum(heights), 0)
    axes.tick_params(axis="x", labelsize=_FONT)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"fraction of the {pairs:,} pairs", fontsize=_FONT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    patches = [Patch(color=shade) for shade in _SHADES.values()]
    legend_below(figure, patches, [*_SHADES], "black: 95 % interval; dotted: chance, 1/81")
    return save(figure, path)
