"""The JSON summary of a result, and the table that a run prints last."""

from typing import Any

from bvg.data.image_set import ImageSet
from bvg.predictions.store import ResultFolder
from bvg.scores.metric import Metric

FORMAT = 1  # of summary.json


def summarise(
    store: ResultFolder,
    identity: dict[str, Any],
    images: ImageSet,
    metrics: dict[str, Metric],
) -> dict[str, Any]:
    """Return the content of summary.json for a finished result; session adds how it was run."""
    infos = [chunk.info for chunk in store.chunks()]
    skipped = store.skipped()
    resized = {name for info in infos for name in info["resized"]}
    return {
        "format": FORMAT,
        "identity": identity,
        "metrics": {name: metric.as_dict() for name, metric in metrics.items()},
        "images": {
            "folder": str(images.root.resolve()),
            "evaluated": len(images) - len(skipped),
            "skipped": skipped,
            "resized_although_ready": len(resized),
            **images.notes,
        },
        "seconds": _seconds(infos),
    }


def _seconds(infos: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of all sessions that led to the result, by section.

    decode is the sum over the workers; wait is how long the loop waited for them; all but `model`
    are of the pass, which the models of one call share.
    """
    total: dict[str, float] = {}
    for info in infos:
        for section, seconds in info["seconds"].items():
            total[section] = total.get(section, 0.0) + seconds
    return {section: round(seconds, 3) for section, seconds in sorted(total.items())}


def metrics_table(metrics: dict[str, dict[str, Metric]], shown: tuple[str, ...]) -> str:
    """Return the metrics named in `shown` as text, a line per model and metric.

    Below the table, a line for each undefined value says why it is.
    """
    rows = [("model", "metric", "value", "95 % interval", "images")]
    for model, values in metrics.items():
        for name in shown:
            if name in values:
                rows.append((model, name, *_cells(values[name])))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        left = (cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True))
        right = (cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))
        lines.append("  ".join([*left, *right]))
    for model, values in metrics.items():
        absent = [name for name in shown if name in values and values[name].value is None]
        lines += [f"{model}, {name}: {values[name].note}" for name in absent]
    return "\n".join(lines)


def _cells(metric: Metric) -> tuple[str, str, str]:
    if metric.value is None:
        return "undefined", "", f"{metric.n:,}"
    digits = 4 if abs(metric.value) <= 1 and (metric.high or 0) <= 1 else 2
    interval = (
        f"{metric.low:.{digits}f} – {metric.high:.{digits}f}"
        if metric.low is not None and metric.high is not None
        else ""
    )
    return f"{metric.value:.{digits}f}", interval, f"{metric.n:,}"
