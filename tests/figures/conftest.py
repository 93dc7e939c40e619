import warnings

import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True, scope="module")
def coarse_figures():
    """Leave the figures as they are published, unlike in all other tests."""


@pytest.fixture(autouse=True)
def whole_layouts():
    """Make a layout that does not work out an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout")
        yield


@pytest.fixture
def kept(monkeypatch):
    """Return the list of figures that are saved, and close them afterwards."""
    figures, close = [], plt.close
    monkeypatch.setattr(plt, "close", figures.append)
    yield figures
    for figure in figures:
        close(figure)
