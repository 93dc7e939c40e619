"""A local server with a small catalogue of data sets, as fixtures for the tests of downloads."""

from pathlib import Path

import pytest

from download_helpers import A_TAR, CATALOGUE, CONTRAST, EDGE, LABELS, SKETCH
from local_server import Site, serve


@pytest.fixture
def site():
    with serve() as site:
        site.files |= {
            "/a.tar": A_TAR,
            "/mirror/a.tar": A_TAR,
            "/edge.tar.gz": EDGE,
            "/contrast.tar.gz": CONTRAST,
            "/Sketch.zip": SKETCH,
            "/real.json": LABELS,
        }
        yield site


@pytest.fixture
def catalogue(site: Site, tmp_path: Path) -> Path:
    """Return the catalogue of what the local server has."""
    path = tmp_path / "downloads.toml"
    path.write_text(CATALOGUE.replace("URL", site.url))
    return path


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Return the seconds that transfers have waited, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr("bvg.data.transfer.sleep", seconds.append)
    return seconds


@pytest.fixture
def small_blocks(monkeypatch):
    """Let no byte that has arrived be lost when a connection breaks."""
    monkeypatch.setattr("bvg.data.transfer.BLOCK", 1000)


@pytest.fixture
def to(tmp_path) -> Path:
    return tmp_path / "data"
