import pytest

from cell_helpers import fake_kinds
from study import benchmarks


@pytest.fixture
def kinds(tmp_path, monkeypatch):
    """Return a study's folder in which there are only the fake benchmarks."""
    found = fake_kinds(tmp_path)
    monkeypatch.setattr(benchmarks, "KINDS", found)
    monkeypatch.setattr("study.cells.KINDS", found)
    monkeypatch.setattr("run_study.KINDS", found)
    return tmp_path
