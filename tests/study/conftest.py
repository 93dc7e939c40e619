import pytest

import run_study
from bvg.data import finding
from cell_helpers import DATA, fake_benchmarks
from real_study_helpers import run, world


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a study's folder; the only benchmarks are the fake ones."""
    monkeypatch.setattr(run_study, "BENCHMARKS", fake_benchmarks(tmp_path))
    monkeypatch.setattr(run_study, "data_sets", lambda: DATA)
    monkeypatch.setattr(finding, "data_sets", lambda: DATA)
    monkeypatch.setattr(run_study, "RETRY_SECONDS", 0.1)
    return tmp_path


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """Return a folder of data that are laid out like the miniature world's."""
    return world(tmp_path_factory.mktemp("miniature"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, miniature):
    """Return the folder of a study of real scripts that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder, miniature, "--together", "3", "--no_report") == 0
    return folder
