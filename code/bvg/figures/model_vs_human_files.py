"""What model-vs-human writes besides the metrics: decision tables, comparisons, figures."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from bvg.figures.drawing import png_and_pdf
from bvg.figures.error_consistency import consistency_figure, matrix_figure, mean_consistency
from bvg.figures.model_vs_human import HUMANS, accuracy_figure
from bvg.figures.shape_bias import shape_bias_figure
from bvg.files import write_text
from bvg.predictions.table import Predictions
from bvg.scores.decision_table import decision_table, write_decisions
from bvg.scores.error_consistency import consistency_matrix
from bvg.scores.metric import Metric
from bvg.scores.model_vs_human import (
    Rights,
    human_metrics,
    is_whole,
    on_images_of,
    rights,
    split,
    with_humans,
)

COMPARISON = "human_comparison.csv"
_HUMAN_FIGURE = ("error_consistency_humans.png", "error_consistency_humans.pdf")
# The abbreviations in published image names of data sets whose files have none.
_EXPERIMENTS = {"edge": "edg", "silhouette": "sif", CUE_CONFLICT: "cue"}


def model_vs_human_files(
    models: Mapping[str, tuple[Predictions, Mapping[str, Metric]]],
    folder: Path,
    humans: Rights | None,
    human_cues: pd.DataFrame | None = None,
) -> list[Path]:
    """Write a call's tables and figures below `folder`, and return their paths.

    models: predictions and metrics by name; a model's own folder is `folder`/<name>. humans: data
    set -> which images each observer got right. human_cues: their decisions on cue-conflict
    stimuli.
    """
    paths, cues = [], {}
    for name, (predictions, _) in models.items():
        for data_set, part in split(predictions).items():
            experiment = _EXPERIMENTS.get(data_set, data_set)
            table = decision_table(part, name, experiment)
            paths.append(write_decisions(table, folder / name, data_set))
            if data_set == CUE_CONFLICT:
                cues[name] = table
    right = {name: rights(predictions, name) for name, (predictions, _) in models.items()}
    metrics = {name: values for name, (_, values) in models.items()}
    shown = on_images_of(right, humans or {})
    paths += _draw(lambda to: accuracy_figure(metrics, shown, to), folder, "accuracy")
    if cues:
        observers = cues if human_cues is None else {**cues, HUMANS: human_cues}
        paths += _draw(lambda to: shape_bias_figure(observers, to), folder, "shape_bias")
    return paths + _consistency_files(right, shown, folder)


def _draw(draw, folder: Path, name: str) -> list[Path]:
    paths = png_and_pdf(folder, name)
    draw(paths)
    return paths


def _consistency_files(
    right: Mapping[str, dict[str, pd.DataFrame]], humans: Rights, folder: Path
) -> list[Path]:
    paths = []
    for name in (COMPARISON, *_HUMAN_FIGURE):  # of an earlier call, perhaps with other humans
        (folder / name).unlink(missing_ok=True)
    matrix, count = _matrix(right)
    mean = f"mean of {count} data set{'s' * (count > 1)}"
    if humans:
        compared, own = with_humans(right, humans), human_metrics(humans)
        path = folder / COMPARISON
        write_text(path, _as_csv({**compared, HUMANS: own}))
        paths.append(path)
        paths += _draw(
            lambda to: consistency_figure(compared, own, to), folder, "error_consistency_humans"
        )
        if len(humans) != count:
            mean += f", with humans of {len(humans)}"
        for name, metrics in {**compared, HUMANS: own}.items():
            value = mean_consistency(metrics).value
            matrix.loc[HUMANS, name] = matrix.loc[name, HUMANS] = value
    if len(matrix) > 1:
        path = folder / "error_consistency.csv"
        write_text(path, matrix.to_csv(index_label="observer"))
        paths.append(path)
        paths += _draw(lambda to: matrix_figure(matrix, mean, to), folder, "error_consistency")
    return paths


def _matrix(right: Mapping[str, dict[str, pd.DataFrame]]) -> tuple[pd.DataFrame, int]:
    """Return all models' consistency with each other, and of how many data sets it is the mean.

    Data sets that lack conditions do not count.
    """
    present = [
        name
        for name in DATA_SETS
        if any(name in tables and is_whole(name, tables[name]) for tables in right.values())
    ]
    if not present:
        return pd.DataFrame(float("nan"), index=[*right], columns=[*right]), 0
    joined = {
        name: pd.concat([tables[name] for tables in right.values() if name in tables], axis=1)
        for name in present
    }
    counted = {name: DATA_SETS[name].counted for name in present}
    return consistency_matrix(joined, counted), len(present)


def _as_csv(metrics: Mapping[str, Mapping[str, Metric]]) -> str:
    rows = [
        {
            "observer": name,
            "metric": key,
            "value": m.value,
            "low": m.low,
            "high": m.high,
            "n": m.n,
            "note": m.note,
        }
        for name, values in metrics.items()
        for key, m in values.items()
    ]
    return pd.DataFrame(rows).to_csv(index=False)
