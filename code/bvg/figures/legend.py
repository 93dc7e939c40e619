"""Legends below a figure, for one observer or fifty."""

from collections.abc import Sequence
from math import ceil

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from bvg.figures.drawing import PAGE_WIDTH, letter_width, wrapped

FONT = 6.5  # points
_HANDLE = 0.47  # inches that a handle and its margins take
_MANY = 8


def columns_for(labels: Sequence[str], font: float = FONT) -> tuple[list[str], int]:
    """Return the labels, in several lines where they must, and in how many columns they fit."""
    letter = 1.08 * letter_width(labels, font)  # a line may hold wider letters than the mean
    room = {columns: int((PAGE_WIDTH / columns - _HANDLE) / letter) for columns in (4, 3, 2)}
    longest = max(map(len, labels))
    fitting = [columns for columns in room if room[columns] >= longest]
    # Long names are wrapped rather than given a page each.
    columns = fitting[0] if fitting else 2
    if len(labels) > _MANY:
        columns = max(columns, 3)
    return [wrapped(label, room[columns]) for label in labels], min(columns, len(labels))


def legend_height(labels: Sequence[str], font: float = FONT) -> float:
    """Return how high a legend of these labels with a title is, in inches."""
    lines, columns = columns_for(labels, font)
    return (ceil(sum(label.count("\n") + 1 for label in lines) / columns) + 1.5) * 1.57 * font / 72


def legend_below(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    title: str,
    font: float = FONT,
) -> None:
    """Draw the legend below all panels; the figure needs constrained layout."""
    lines, columns = columns_for(labels, font)
    legend = figure.legend(
        list(handles),
        lines,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=font,
        title=title,
        title_fontsize=font + 0.5,
        handlelength=3,
        columnspacing=1.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a model's name may have dollars in it
