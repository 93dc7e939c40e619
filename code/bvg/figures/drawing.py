"""Helpers shared by the figures: how models and humans are drawn, and writing files atomically."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np

from bvg.files import written_atomically
from bvg.scores.metric import Metric

matplotlib.use("Agg")  # files only: no display is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

DPI = 200  # of PNG files
PDF_FONTS = 42  # embedded as TrueType: publishers refuse matplotlib's default, Type 3
COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.2  # inches; one and two columns of a paper
MANY = 8  # models; above, everything is drawn finer and without intervals
HUMANS = "humans"
HUMAN_COLOUR = "#a51e37"  # red, as in Geirhos et al., NeurIPS 2021
# Okabe & Ito's colours, which people with colour-vision deficiencies can tell apart.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#666666", "#000000")
_MARKERS = "osD^vP<>Xhp*"
LineStyle = Literal["-"] | tuple[int, tuple[float, ...]]
_LINES: tuple[LineStyle, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (3, 3)),
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)

Metrics = Mapping[str, Metric]


def colour(number: int) -> str:
    """Return the colour of the observer with this number, from 0; they repeat after 8."""
    return _COLOURS[number % len(_COLOURS)]


def marker(number: int) -> str:
    """Return the marker of the observer with this number, from 0; they repeat after 12."""
    return _MARKERS[number % len(_MARKERS)]


def line_style(number: int) -> LineStyle:
    """Return the line's style: solid, and another one each time that the colours repeat."""
    return _LINES[number // len(_COLOURS) % len(_LINES)]


def model_style(number: int, many: bool) -> dict[str, Any]:
    """Return how the line and markers of the model with this number, from 0, are drawn."""
    return {
        "color": colour(number),
        "linestyle": line_style(number),
        "linewidth": 0.7 if many else 1.1,
        "marker": marker(number),
        "markersize": 2.2 if many else 3.4,
        "markeredgewidth": 0 if many else 0.3,
        "markeredgecolor": "white",
    }


def numbers(metrics: Metrics, keys: Iterable[str]) -> np.ndarray:
    """Return value, lower and upper end under each key, (3, keys); NaN where unknown."""
    found = [metrics.get(key, Metric(None)) for key in keys]
    return np.array([(m.value, m.low, m.high) for m in found], dtype=float).reshape(-1, 3).T


def labelled(name: str, metric: Metric | None, digits: int) -> str:
    """Return the model's name, with the metric's value in brackets if there is one."""
    value = metric and metric.value
    return name if value is None else f"{name} ({value:.{digits}f})"


def wrapped(text: str, width: int) -> str:
    """Return `text` in lines of at most `width` characters, if possible broken after space _ . / -.

    Numbers are not split, and nothing is truncated: names may differ in their last letter only.
    """
    lines = rf".{{1,{width}}}$|.{{0,{width - 1}}}(?:[ _/-]|\.(?!\d))|.{{1,{width}}}"
    return "\n".join(line.strip() for line in re.findall(lines, text))


def letter_width(texts: Iterable[str], points: float) -> float:
    """Return how wide a letter of this size is, in inches: the mean of the widest-set text."""
    font = FontProperties(size=points)
    return max(
        text_to_path.get_text_width_height_descent(text, font, False)[0] / len(text) / 72
        for text in texts
    )


def remove(*paths: Path) -> None:
    """Remove figures of an earlier call, which `save` wrote, so that none is out of date."""
    for path in paths:
        for kind in ("png", "pdf"):
            path.with_name(f"{path.name}.{kind}").unlink(missing_ok=True)


def observer_styles(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each observer: the papers' red circles for humans."""
    styles = {}
    for number, name in enumerate(names):
        own = (colour(number), marker(number + 1))  # marker 0 is the humans'
        styles[name] = (HUMAN_COLOUR, "o") if name == HUMANS else own
    return styles


def beside(axes: Axes, picture: np.ndarray, place: tuple[float, float], inches: float) -> None:
    """Draw a small picture, (H, W, 3) uint8, centred at a place in data coordinates."""
    image = OffsetImage(picture, zoom=72 * inches / picture.shape[0])
    axes.add_artist(AnnotationBbox(image, place, frameon=False, pad=0, annotation_clip=False))


def below(axes: Axes, picture: np.ndarray, x: float, inches: float) -> None:
    """Draw a small picture, (H, W, 3) uint8, just below the axis at `x` in data coordinates."""
    image = OffsetImage(picture, zoom=72 * inches / picture.shape[0])
    place, centre = axes.get_xaxis_transform(), (0, -72 * (inches / 2 + 0.05))
    box = AnnotationBbox(image, (x, 0), centre, place, "offset points", frameon=False, pad=0)
    box.set_annotation_clip(False)
    axes.add_artist(box)


def save(figure: Figure, path: Path) -> list[Path]:
    """Return the two files that the figure was written to, `path` with .png and with .pdf.

    A file appears when it is complete; equal figures are equal byte for byte. The figure is closed.
    Raises UserError when the disk refuses.
    """
    without_date: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}}
    paths = []
    try:
        _without_ligatures(figure)
        _lay_out(figure)
        # matplotlib 3.11 takes from PostScript's setting how many letters a font of a PDF can have,
        # and embeds a second one for the minus sign if that is 256.
        with matplotlib.rc_context({"pdf.fonttype": PDF_FONTS, "ps.fonttype": PDF_FONTS}):
            for kind, metadata in without_date.items():
                paths.append(path.with_name(f"{path.name}.{kind}"))
                with written_atomically(paths[-1]) as file:
                    figure.savefig(file, format=kind, dpi=DPI, metadata=metadata)
    finally:
        plt.close(figure)
    return paths


def _without_ligatures(figure: Figure) -> None:
    """Draw "fi" and the like as two letters, as matplotlib did before 3.11.

    For ligatures, a second font would be embedded into the PDF.
    """
    for text in figure.findobj(Text):
        if hasattr(text, "set_fontfeatures"):
            text.set_fontfeatures(["-liga"])


def _lay_out(figure: Figure) -> None:
    """Lay the figure out, once for both files: each of them would draw it once more for that."""
    figure.set_dpi(DPI)
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)
