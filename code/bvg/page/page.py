"""The report: one HTML page that holds everything it shows, charts' library included."""

import base64
import gzip
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bvg.analysis.findings import findings
from bvg.analysis.measures import OUTCOMES, SHAPE_BIAS, names_of
from bvg.analysis.study import Study
from bvg.files import sha256_of
from bvg.page.data import payload
from bvg.page.stimuli import example_stimuli
from bvg.page.tables import further, matrices, runs, tests

_FOLDER = Path(__file__).with_name("template")
_SECTIONS = {
    "findings": "Findings",
    "runs": "What was evaluated",
    "scatter": "Scatter plot",
    "matrices": "Correlations",
    "shape": "Shape bias",
    "models": "Models",
    "stimuli": "Stimuli",
    "downloads": "Data",
}


def page_of(study: Study, results: Path | None = None) -> str:
    """Return the page as HTML text, which needs no network and no other file.

    results: the folder whose example stimuli are shown; without it there are none.
    """
    loader = FileSystemLoader(_FOLDER)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    n, source = len(study.table.values), study.table.path
    categories = study.table.categories.nunique()
    table = study.table.values
    biases, benchmarks = len(study.measures.biases.columns), len(study.measures.benchmarks.columns)
    measured, notes = runs(source)
    return environment.get_template("page.html").render(
        title="Do biases explain generalisation?",
        lead=f"{n} model{'s' * (n != 1)}, {categories} kind{'s' * (categories != 1)} of training, "
        f"{biases} bias{'es' * (biases != 1)} (shape or texture, spatial frequencies, critical "
        f"band), {benchmarks} benchmark{'s' * (benchmarks != 1)}. From {source.name}.",
        sections=_SECTIONS.items(),
        findings=findings(study),
        faults=study.faults,
        runs=measured,
        notes=notes,
        matrices=matrices(study),
        tests=tests(study),
        further=further(study),
        has_shape=SHAPE_BIAS in study.measures.biases,
        has_fractions=all(name in table and table[name].notna().any() for name in OUTCOMES),
        has_object_categories=any(
            name.startswith(f"{SHAPE_BIAS}/category/") for name in names_of(table)
        ),
        stimuli=example_stimuli(results),
        files=[{"name": name, "what": what} for name, (what, _) in _files(study).items()],
        file_texts=_as_script({name: text for name, (_, text) in _files(study).items()}),
        payload=_as_script(payload(study)),
        plotly=_plotly(),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        scripts=[
            (_FOLDER / name).read_text(encoding="utf-8") for name in ("table.js", "charts.js")
        ],
        footer=f"{source.name}, SHA-256 {sha256_of(source)[:16]}…; how everything is computed: "
        "docs/analysis.md of the repository.",
    )


def _files(study: Study) -> dict[str, tuple[str, str]]:
    """Return the files that the page offers: what each is, and its text."""
    offered = {
        "benchmark.csv": (
            "the table, a row per model, as it was analysed",
            study.table.values.to_csv(index_label="model"),
        ),
        "correlations.csv": (
            "aggregates: r, p, intervals and corrections",
            study.correlations.to_csv(index=False),
        ),
        "correlations_single.csv": ("single benchmarks", study.singles.to_csv(index=False)),
        "predictions.csv": (
            "cross-validated R² of biases",
            study.predictions.to_csv(index=False),
        ),
    }
    if len(study.table.intervals):
        offered["intervals.csv"] = (
            "low, high and number of images of each cell",
            study.table.intervals.to_csv(),
        )
    return offered


def _as_script(value: Any) -> str:
    """Return JSON that can stand in a script element, whatever names it holds."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _plotly() -> str:
    """Return Plotly's browser library, compressed and as text."""
    library = resources.files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(library, mtime=0)).decode()
