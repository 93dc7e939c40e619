"""The notebook, from top to bottom, on the miniature's table and on the published one."""

import os
from pathlib import Path

import pytest

from conftest import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="pip install -r requirements-dev.txt")
nbclient = pytest.importorskip("nbclient", reason="pip install -r requirements-dev.txt")
NOTEBOOK = REPOSITORY / "code" / "plots.ipynb"
BEYOND = "## Beyond these models: published tables"  # from here on, no table of one's own matters


QUICK = """
import sys
sys.path.insert(0, ".")
from bvg.analysis import dependence, prediction, ranks
ranks.RESAMPLES, dependence.SHUFFLES, prediction.SHUFFLES = 200, 200, 50
"""


def executed(monkeypatch, home, until: str | None = None, **environment: str):
    """Return the notebook after its cells, those before a heading, have run with few resamples."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Kernels are looked for where this Python is, not where the user has others.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    notebook = nbformat.read(NOTEBOOK, 4)
    headings = [cell.source.partition("\n")[0] for cell in notebook.cells]
    notebook.cells = notebook.cells[: headings.index(until) if until else None]
    notebook.cells.insert(0, nbformat.v4.new_code_cell(QUICK))
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    return notebook


def outputs(notebook) -> tuple[str, int]:
    """Return everything that was printed, and the number of figures."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in found)
    return text, sum("image/png" in output.get("data", {}) for output in found)


def test_it_runs_from_top_to_bottom(monkeypatch, tmp_path):
    folder = Path(os.environ.get("BVG_FIXTURES") or REPOSITORY.parent / "shared" / "fixtures")
    published = folder / "published"
    tables = "ours published" if published.is_dir() else "ours"
    notebook = executed(
        monkeypatch,
        tmp_path,
        BVG_TABLES=tables,
        BVG_STUDY_TABLE=str(published / "benchmark.csv"),
        BVG_CATEGORIES=str(published / "r50_categories.json"),
    )
    text, figures = outputs(notebook)
    assert "models, benchmark.csv" in text
    assert "ours: 20 models" in text
    if published.is_dir():
        assert "published: 48 models" in text
        assert "326 images only" in text
        assert "25 survive Holm" in text
    assert figures >= (11 if published.is_dir() else 7)


def test_of_few_models_it_says_that_little_can_be_said(monkeypatch, tmp_path):
    lines = (REPOSITORY / "raw-data" / "benchmark.csv").read_text().splitlines(keepends=True)
    few = tmp_path / "benchmark.csv"
    few.write_text("".join(lines[:7]))
    own_part = executed(monkeypatch, tmp_path, BEYOND, BVG_OURS=str(few))
    text, _ = outputs(own_part)
    assert "ours: 6 models" in text
    assert "almost nothing can be said" in text
    assert "no figure: there are too few models for cross-validation" in text


def test_it_is_committed_without_outputs():
    cells = nbformat.read(NOTEBOOK, 4).cells
    assert not any(cell.get("outputs") for cell in cells)
    assert NOTEBOOK.stat().st_size < 20_000
