"""The part of the page about a table of models: findings, charts, correlations."""

from pathlib import Path

from bvg.analysis.findings import findings
from bvg.analysis.findings_lowpass import beside
from bvg.analysis.measures import names_of
from bvg.analysis.study import Study
from bvg.files import sha256_of
from bvg.page.data import payload
from bvg.page.parts import Part
from bvg.page.stimuli import example_stimuli
from bvg.page.tables import further, matrices, runs, shape_matrix, tests
from bvg.scores.calibration import ECE
from bvg.table.measures import OUTCOMES, SHAPE_BIAS, SUPPRESSED

_SECTIONS = {
    "findings": "Findings",
    "runs": "Protocols",
    "scatter": "Scatter plot",
    "matrices": "Correlations",
    "cues": "Measures of shape",
    "shape": "Shape bias",
    "suppression": "Suppression",
    "calibration": "Calibration",
    "models": "Models",
    "stimuli": "Stimuli",
}


def study_part(study: Study, results: Path | None) -> Part:
    """Return the part about a table; `results` is the folder of the example stimuli, if any."""
    n, source = len(study.table.values), study.table.path
    categories = study.table.categories.nunique()
    table = study.table.values
    biases, benchmarks = len(study.measures.biases.columns), len(study.measures.benchmarks.columns)
    measured, notes = runs(source)
    shape_measures = shape_matrix(study)
    absent = {
        "cues": not shape_measures,
        "suppression": not any(name in study.measures.biases for name in SUPPRESSED),
        "calibration": ECE not in table or table[ECE].isna().all(),
    }
    return Part(
        template="study.html",
        lead=f"{n} model{'s' * (n != 1)}, {categories} kind{'s' * (categories != 1)} of training, "
        f"{biases} bias{'es' * (biases != 1)} (shape or texture, spatial frequencies, critical "
        f"band), {benchmarks} benchmark{'s' * (benchmarks != 1)}. From {source.name}.",
        sections={name: title for name, title in _SECTIONS.items() if not absent.get(name)},
        values={
            "findings": findings(study),
            "faults": study.faults,
            "runs": measured,
            "notes": notes,
            "matrices": matrices(study),
            "tests": tests(study),
            "shape_measures": shape_measures,
            "absent": absent,
            "further": further(study),
            "low_pass": beside(study),
            "has_shape": SHAPE_BIAS in study.measures.biases,
            "has_fractions": all(name in table and table[name].notna().any() for name in OUTCOMES),
            "has_object_categories": any(
                name.startswith(f"{SHAPE_BIAS}/category/") for name in names_of(table)
            ),
            "stimuli": example_stimuli(results),
        },
        data={"payload": payload(study)},
        script="charts.js",
        files=_files(study),
        footer=f"{source.name}, SHA-256 {sha256_of(source)[:16]}…; how everything is computed: "
        "docs/analysis.md of the repository.",
    )


def _files(study: Study) -> dict[str, tuple[str, str | None]]:
    """Return the files that the page offers: what each is, and its text."""
    offered: dict[str, tuple[str, str | None]] = {
        "benchmark.csv": (
            "the table, a row per model, as it was analysed",
            study.table.values.to_csv(index_label="model"),
        ),
        "correlations.csv": (
            "aggregates: r, p, intervals and corrections",
            study.correlations.to_csv(index=False),
        ),
        "correlations_single.csv": ("single benchmarks", study.singles.to_csv(index=False)),
        "shape_measures.csv": (
            "r of each two measures of shape, turned so that more is more shape",
            study.shape_pairs.to_csv(index=False),
        ),
        "predictions.csv": (
            "cross-validated R² of biases",
            study.predictions.to_csv(index=False),
        ),
    }
    if not len(study.shape_pairs):
        del offered["shape_measures.csv"]
    if len(study.table.intervals):
        offered["intervals.csv"] = (
            "low, high and number of images of each cell",
            study.table.intervals.to_csv(),
        )
    return offered
