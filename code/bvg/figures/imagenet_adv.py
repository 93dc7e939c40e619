"""Robust accuracy by ε and by number of steps, and adversarial images next to their originals."""

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from safetensors import safe_open

from bvg.figures.drawing import PAGE_WIDTH, LineStyle, colour, line_style, marker, save, wrapped
from bvg.figures.legend import legend_below, legend_height
from bvg.scores.imagenet_adv import Series, attack_series, condition_order
from bvg.scores.metric import Metric
from bvg.stimuli.attacks import NEVER
from bvg.stimuli.imagenet_adv import amplified

_FONT = 7.5  # points
_MANY = 8  # models; above, everything is drawn finer
_LEVELS = 255  # ε is written in levels of 8-bit pixels, as is usual
_MOST_ROWS = 8
_WIDTH = 1.15  # inches of a picture

Survival = dict[str, tuple[str, np.ndarray]]


def adversarial_figure(
    models: dict[str, dict[str, Metric]], survival: Survival, paths: list[Path]
) -> None:
    """Draw robust accuracy by ε, and by steps for the largest ε, and write it to each of `paths`.

    models: name -> metrics, top1_acc/clean and top1_acc/<attack>/eps=<ε>, in percent. survival:
    name -> condition, and the percentage of images that are right at every iterate up to each step;
    if empty, the second panel is omitted.
    """
    many, labels = len(models) > _MANY, list(models)
    series = {name: attack_series(metrics) for name, metrics in models.items()}
    attacks = sorted({one.attack for all_of in series.values() for one in all_of})
    figure, panels = plt.subplots(
        1,
        2 if survival else 1,
        sharey=True,
        squeeze=False,
        layout="constrained",
        figsize=(PAGE_WIDTH, (3.4 if many else 2.8) + legend_height(labels)),
    )
    for number, (name, metrics) in enumerate(models.items()):
        for one in series[name]:
            # Lines tell attacks apart or, of one attack, models whose colours are the same.
            dash = line_style(8 * attacks.index(one.attack) if len(attacks) > 1 else number)
            _curve(panels[0, 0], one, metrics["top1_acc/clean"], number, dash, many)
        if survival:
            _survival(panels[0, 1], survival[name][1], number, many, line_style(number))
    _format_axes(panels[0], attacks, survival)
    handles = [
        Line2D(
            [],
            [],
            color=colour(n),
            marker=marker(n),
            markersize=3.5,
            linewidth=1,
            linestyle=line_style(n) if len(attacks) == 1 else "-",
        )
        for n in range(len(labels))
    ]
    legend_below(figure, handles, labels, "" if many else "light bands: 95 % intervals")
    save(figure, paths)


def _curve(
    axes: Axes, series: Series, clean: Metric, number: int, dash: LineStyle, many: bool
) -> None:
    scale = 1 if series.is_l2 else _LEVELS
    points = [(0.0, clean), *((scale * epsilon, metric) for epsilon, metric in series.points)]
    known = [(x, metric.value, metric.low, metric.high) for x, metric in points]
    x, value, low, high = np.array(known, dtype=float).T
    if not many:  # so many bands, one over the other, would hide the lines
        axes.fill_between(x, low, high, color=colour(number), alpha=0.18, linewidth=0)
    axes.plot(
        x,
        value,
        color=colour(number),
        marker=marker(number),
        markersize=2.5 if many else 3.5,
        linewidth=0.7 if many else 1.1,
        linestyle=dash,
        clip_on=False,
    )


def _survival(axes: Axes, percent: np.ndarray, number: int, many: bool, dash: LineStyle) -> None:
    axes.plot(
        np.arange(len(percent)),
        percent,
        color=colour(number),
        linewidth=0.7 if many else 1.1,
        drawstyle="steps-post",
        linestyle=dash,
        marker=marker(number),
        markersize=2.5 if many else 3.5,
        markevery=max(1, len(percent) // 5),
        clip_on=False,
    )


def _format_axes(panels: np.ndarray, attacks: list[str], survival: Survival) -> None:
    unit = "L2 norm of the pixels" if any("-l2" in name for name in attacks) else "in 1/255"
    panels[0].set_xlabel(f"ε ({unit})", fontsize=_FONT + 1)
    panels[0].set_ylabel("top-1 accuracy (%)", fontsize=_FONT + 1)
    panels[0].set_title("robust accuracy", fontsize=_FONT + 1)
    panels[0].set_xlim(left=0)
    if len(attacks) > 1:
        lines = [
            Line2D([], [], color="0.3", linestyle=line_style(8 * n), linewidth=1)
            for n in range(len(attacks))
        ]
        panels[0].legend(lines, attacks, fontsize=_FONT - 1, frameon=False, handlelength=3)
    if survival:
        condition = _title(next(iter(survival.values()))[0])
        panels[1].set_title(f"still right: {condition}", fontsize=_FONT + 1)
        panels[1].set_xlabel("steps (0: the start)", fontsize=_FONT + 1)
        panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in panels:
        axes.set_ylim(0, 100)
        axes.tick_params(labelsize=_FONT)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)


def adversarial_pictures(folder: Path, paths: list[Path]) -> None:
    """Draw the images saved by --save_adversarial in `folder`, and write them to each of `paths`.

    A row per image, at most eight: the original, and for each condition what was added, amplified,
    and the result. Pixels are drawn as they are, without interpolation.
    """
    found = sorted(folder.rglob("*.safetensors"))
    rows: dict[str, dict[str, tuple[np.ndarray, np.ndarray, dict]]] = {}
    for path in found:
        original, made, about = _kept(path)
        rows.setdefault(path.stem, {})[about["condition"]] = (original, made, about)
    conditions = sorted({name for row in rows.values() for name in row}, key=condition_order)
    shown = list(rows.items())[:_MOST_ROWS]
    columns = 1 + 2 * len(conditions)
    figure, axes = plt.subplots(
        len(shown),
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(_WIDTH * columns, (_WIDTH + 0.16) * len(shown) + 0.5),
    )
    for line, (_, row) in zip(axes, shown, strict=True):
        for number, condition in enumerate(conditions):
            if condition in row:
                original, made, about = row[condition]
                _show(line[0], original, about["label"])
                _show(line[1 + 2 * number], amplified(made - original), _size(about))
                _show(line[2 + 2 * number], made, _fate(about))
    for number, condition in enumerate(conditions):
        title = wrapped(_title(condition), 20)
        axes[0, 2 + 2 * number].set_title(title, fontsize=_FONT)
        axes[0, 1 + 2 * number].set_title("added, amplified", fontsize=_FONT)
    axes[0, 0].set_title("original", fontsize=_FONT)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
        one.set_frame_on(False)
    save(figure, paths)


def _title(condition: str) -> str:
    attack, _, epsilon = condition.partition("/eps=")
    epsilon, _, source = epsilon.partition("/from=")
    return f"{attack}, ε = {epsilon.replace('_', '/')}" + (f" from {source}" if source else "")


def _kept(path: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["about"])
        pictures = [
            file.get_tensor(name).transpose(1, 2, 0) for name in ("original", "adversarial")
        ]
    return pictures[0], pictures[1], about


def _show(axes: Axes, picture: np.ndarray, text: str) -> None:
    axes.imshow(np.clip(picture, 0, 1), interpolation="none")
    axes.set_xlabel(text, fontsize=_FONT - 1, parse_math=False)


def _size(about: dict) -> str:
    return f"norm {about['perturbation']:.3g}"


def _fate(about: dict) -> str:
    first = about["first_success"]
    if first == NEVER:
        return "still right"
    if first < NEVER:
        return "misclassified without attack"
    return (
        f"misclassified by attack {first}"
        if "AutoAttack" in about["condition"]
        else (f"misclassified after {first} step" + "s" * (first != 1))
    )
