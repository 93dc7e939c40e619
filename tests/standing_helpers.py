"""Tables with a record of their protocols, and published rows to place their models among."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bvg.table.study_table import StudyTable, read_study_table

STUDY_VIEW = {"resize": 256, "crop": 224, "interpolation": "bilinear", "keep_ready": False}
READY_VIEW = STUDY_VIEW | {"keep_ready": True}
STUDY_WORDS = "size=224 crop=0.875 interpolation=bilinear precision=amp classes=1000"
OWN_WORDS = "size=288 crop=1 interpolation=bicubic precision=amp classes=1000"


def result(model: str, benchmark: str = "imagenet", **how: Any) -> dict[str, Any]:
    """Return a result of provenance.json; how: view, count, limit, restricted_to, spec, images."""
    images = {"count": how.get("count", 50_000)}
    if "restricted_to" in how:
        images["restricted_to"] = how["restricted_to"]
    identity = {
        "benchmark": how.get("evaluated", benchmark),
        "model": {"spec": how.get("spec", model)},
        "images": images,
        "protocol": {"limit": how.get("limit"), "preprocessing": how.get("view", STUDY_VIEW)},
    }
    found = {"model": model, "benchmark": benchmark, "identity": identity}
    return found | ({"images": how["images"]} if "images" in how else {})


def own_table(
    folder: Path,
    values: dict[str, dict[str, float]],
    results: list[dict[str, Any]] | None = None,
    intervals: str = "",
) -> StudyTable:
    """Return a table of values, {model: {column: value}}, as read from files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "benchmark.csv"
    pd.DataFrame.from_dict(values, orient="index").to_csv(path, index_label="model")
    if results is not None:
        named = {f"{one['benchmark']}/{one['model']}": one for one in results}
        record = {"protocols": {}, "results": named}
        (folder / "provenance.json").write_text(json.dumps(record))
    if intervals:
        (folder / "intervals.csv").write_text("model,column,low,high,n,note\n" + intervals)
    return read_study_table(path)


def published_rows(*rows: tuple, measure: str = "top1_acc/imagenet", n: float = 50_000):
    """Return published rows of (model, value[, protocol[, source[, flag]]])."""
    whole = [(*row, *(STUDY_WORDS, "timm", "")[len(row) - 2 :]) for row in rows]
    frame = pd.DataFrame(whole, columns=["model", "value", "protocol", "source", "flag"])
    return frame.assign(measure=measure, n=n)
