import pytest
from matplotlib import pyplot as plt


@pytest.fixture
def kept(monkeypatch):
    """Return the list of figures that are saved, and close them afterwards."""
    figures, close = [], plt.close
    monkeypatch.setattr(plt, "close", figures.append)
    yield figures
    for figure in figures:
        close(figure)
