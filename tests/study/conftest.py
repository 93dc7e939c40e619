import pytest

from cell_helpers import fake_kinds
from real_study_helpers import run, world
from study import benchmarks


@pytest.fixture
def kinds(tmp_path, monkeypatch):
    """Return a study's folder in which there are only the fake benchmarks."""
    found = fake_kinds(tmp_path)
    monkeypatch.setattr(benchmarks, "KINDS", found)
    monkeypatch.setattr("study.cells.KINDS", found)
    monkeypatch.setattr("run_study.KINDS", found)
    return tmp_path


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """Return the folder of the miniature world's data."""
    return world(tmp_path_factory.mktemp("miniature"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, miniature):
    """Return the folder of a study of real scripts that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder, miniature, "--together", "3", "--no_report") == 0
    return folder
