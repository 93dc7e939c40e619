"""Finished results on disk, for the tests of collecting."""

import json
from pathlib import Path
from typing import Any

from bvg.scores.metric import Metric

PROTOCOL = {
    "preprocessing": {"resize": 256, "crop": 224},
    "precision": "fp32",
    "limit": None,
    "seed": 0,
}


def finish(
    results: Path,
    benchmark: str,
    model: str,
    metrics: dict[str, Metric],
    weights: str = "",
    count: int = 50_000,
    scored_with: dict[str, str | None] | None = None,
    **protocol: Any,
) -> Path:
    """Write a finished result as run/runs does, and return its folder."""
    folder = results / benchmark / model
    folder.mkdir(parents=True)
    summary = {
        "format": 1,
        "identity": {
            "benchmark": benchmark,
            "model": {"spec": model, "weights_sha256": weights or f"weights of {model}"},
            "images": {"count": count, "fingerprint": f"{benchmark} {count}"},
            "protocol": PROTOCOL | protocol,
        },
        "metrics": {name: metric.as_dict() for name, metric in metrics.items()},
        "images": {"folder": "/somewhere/private", "evaluated": count, "skipped": []},
        "seconds": {"model": 1.0},
        "model": {"spec": model, "kind": "zoo"},
        "environment": {"python": "3.12", "git_commit": "abc"},
    }
    if scored_with:
        summary["scored_with"] = scored_with
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def observe(results: Path, name: str, metrics: dict[str, Metric]) -> None:
    """Write the scores of an observer's decision tables as score_decisions.py does."""
    summary = {
        "format": 1,
        "identity": {"benchmark": "decisions", "model": {"name": name}, "protocol": {}},
        "metrics": {key: metric.as_dict() for key, metric in metrics.items()},
    }
    folder = results / "decisions" / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))


def accuracy(value: float, n: int = 50_000) -> Metric:
    return Metric(value, value - 1, value + 1, n)


def imagenet(value: float, n: int = 50_000) -> dict[str, Metric]:
    return {"top1_acc/imagenet": accuracy(value, n)}
