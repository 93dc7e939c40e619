"""The curve of training: shape bias, what decisions followed, and accuracies by epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bvg.figures.drawing import PAGE_WIDTH, model_style, save
from bvg.figures.legend import legend_below, legend_height

_FONT = 7.0  # points
_HEIGHT = 1.55  # inches, of a row of panels
_RATES: dict[str, str] = {
    "shape-bias": "shape bias",
    "fraction-correct-shape": "decisions for shape",
    "fraction-correct-texture": "decisions for texture",
}
_ACCURACIES = {
    "top1_acc/imagenet": "top-1, ImageNet (%)",
    "top1_acc/stylized-imagenet": "top-1, stylized (%)",
    "loss": "training loss",
}

Rows = Sequence[Mapping[str, float | None]]


def training_figure(
    runs: Mapping[str, Rows], path: Path, milestones: Sequence[int] = ()
) -> list[Path]:
    """Return the files of a figure of training runs: `path` with .png and with .pdf.

    runs: by name, the rows of each curve (training.curve.read_curve). milestones: epochs after
    which the learning rate falls, as dotted lines. What no run has measured is left out.
    """
    rows = [
        {
            key: title
            for key, title in group.items()
            if any(_known(run, key) for run in runs.values())
        }
        for group in (_RATES, _ACCURACIES)
    ]
    height = len(rows) * _HEIGHT + legend_height([*runs])
    figure, grid = plt.subplots(
        len(rows), 3, figsize=(PAGE_WIDTH, height), layout="constrained", squeeze=False
    )
    for group, line in zip(rows, grid, strict=True):
        for axes, (key, title) in zip(line, group.items(), strict=False):
            for number, run in enumerate(runs.values()):
                _draw(axes, run, key, number)
            _format(axes, title, milestones)
            if key in _RATES:
                axes.set_ylim(0, 1)
        for axes in line[len(group) :]:
            axes.set_axis_off()
    handles = [Line2D([], [], **model_style(number, False)) for number in range(len(runs))]
    legend_below(figure, handles, [*runs], "light bands: 95 % intervals over stimuli")
    return save(figure, path)


def _known(run: Rows, key: str) -> bool:
    return any(row.get(key) is not None for row in run)


def _draw(axes: Axes, run: Rows, key: str, number: int) -> None:
    def column(name: str) -> np.ndarray:
        return np.array([row.get(name) for row in run], dtype=float)

    epochs, values = column("epoch"), column(key)
    style = model_style(number, many=len(epochs) > 30)
    axes.plot(epochs, values, **style)
    axes.fill_between(
        epochs, column(f"{key}/low"), column(f"{key}/high"), color=style["color"], alpha=0.18, lw=0
    )


def _format(axes: Axes, title: str, milestones: Sequence[int]) -> None:
    axes.set_title(title, fontsize=_FONT + 0.5, pad=4)
    axes.set_xlabel("epoch", fontsize=_FONT, labelpad=2)
    axes.tick_params(labelsize=_FONT - 0.5, length=2, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    last = axes.dataLim.x1
    for epoch in milestones:
        if epoch < last:
            axes.axvline(epoch, color="0.6", linewidth=0.6, linestyle=":", zorder=1)
