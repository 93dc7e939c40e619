"""Robust accuracy by ε and by number of steps, and adversarial images next to their originals."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from safetensors import safe_open

from bvg.figures.curves import Panel, curves
from bvg.figures.drawing import Metrics, save, wrapped
from bvg.scores.imagenet_adv import condition_order
from bvg.scores.metric import Metric
from bvg.stimuli.attacks import NEVER
from bvg.stimuli.batch import CLEAN
from bvg.stimuli.imagenet_adv import amplified

_FONT = 7.5  # points
_LEVELS = 255  # ε is written in levels of 8-bit pixels, as is usual
_MOST_ROWS = 8
_WIDTH = 1.15  # inches of a picture

Survival = Mapping[str, tuple[str, np.ndarray]]


def robustness_figure(
    models: Mapping[str, Metrics],
    conditions: Mapping[str, Mapping[float, str]],
    survival: Survival,
    path: Path,
) -> list[Path]:
    """Return the files of a figure of robust accuracy by ε, a panel per attack, and by steps.

    models: name -> metrics, top1_acc/clean and top1_acc/<condition>, in percent. conditions:
    attack -> ε -> condition. survival: name -> condition, and the percentage of images that are
    right at every iterate up to each step; if empty, that panel is omitted.
    """
    panels = []
    for attack, by_epsilon in conditions.items():
        scale, unit = (1, "L2 norm of the pixels") if "-l2" in attack else (_LEVELS, "in 1/255")
        keys = {scale * epsilon: f"top1_acc/{name}" for epsilon, name in by_epsilon.items()}
        title = f"robust accuracy: {attack}"
        panels.append(Panel(title, {0: f"top1_acc/{CLEAN}", **keys}, f"ε ({unit})"))
    survived: dict[str, Metrics] = {}
    for name, metrics in models.items():
        _, percent = survival.get(name, ("", np.array([])))
        after = {f"right after {k}": Metric(value) for k, value in enumerate(percent)}
        survived[name] = {**metrics, **after}
    if survival:
        condition, percent = next(iter(survival.values()))
        title = f"still right: {_title(condition)}"
        places: dict[float, str] = {k: f"right after {k}" for k in range(len(percent))}
        panels.append(Panel(title, places, "steps (0: the start)", steps=True))
    return curves(survived, panels, path, limits=(0, 100))


def adversarial_pictures(folder: Path, path: Path) -> list[Path]:
    """Return the files of a figure of the images that --save_adversarial saved in `folder`.

    A row per image, at most eight: the original, and for each condition what was added, amplified,
    and the result. Pixels are drawn as they are, without interpolation.
    """
    rows: dict[str, dict[str, tuple[np.ndarray, np.ndarray, dict]]] = {}
    for saved in sorted(folder.rglob("*.safetensors")):
        with safe_open(saved, "np") as file:
            about = json.loads(file.metadata()["about"])
            original, made = (
                file.get_tensor(name).transpose(1, 2, 0) for name in ("original", "adversarial")
            )
        rows.setdefault(saved.stem, {})[about["condition"]] = (original, made, about)
    conditions = sorted({name for row in rows.values() for name in row}, key=condition_order)
    shown = [*rows.values()][:_MOST_ROWS]
    columns = 1 + 2 * len(conditions)
    size = (_WIDTH * columns, (_WIDTH + 0.16) * len(shown) + 0.5)
    figure, axes = plt.subplots(
        len(shown), columns, squeeze=False, layout="constrained", figsize=size
    )
    for number, condition in enumerate(conditions):
        added, result = axes[:, 1 + 2 * number], axes[:, 2 + 2 * number]
        added[0].set_title("added, amplified", fontsize=_FONT)
        result[0].set_title(wrapped(_title(condition), 20), fontsize=_FONT)
        for line, row in enumerate(shown):
            if condition in row:
                original, made, about = row[condition]
                _show(axes[line, 0], original, about["label"])
                norm = f"norm {about['perturbation']:.3g}"
                _show(added[line], amplified(made - original), norm)
                _show(result[line], made, _fate(about))
    axes[0, 0].set_title("original", fontsize=_FONT)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
        one.set_frame_on(False)
    return save(figure, path)


def _title(condition: str) -> str:
    attack, _, epsilon = condition.partition("/eps=")
    epsilon, _, source = epsilon.partition("/from=")
    return f"{attack}, ε = {epsilon.replace('_', '/')}" + (f" from {source}" if source else "")


def _show(axes: Axes, picture: np.ndarray, text: str) -> None:
    axes.imshow(np.clip(picture, 0, 1), interpolation="none")
    axes.set_xlabel(text, fontsize=_FONT - 1, parse_math=False)


def _fate(about: dict) -> str:
    first = about["first_success"]
    if first == NEVER:
        return "still right"
    if first < NEVER:
        return "misclassified without attack"
    if "AutoAttack" in about["condition"]:
        return f"misclassified by attack {first}"
    return f"misclassified after {first} step" + "s" * (first != 1)
