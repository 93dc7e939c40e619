"""A local server with a small catalogue of data sets, as fixtures for the tests of downloads."""

import importlib
import sys
from pathlib import Path

import pytest

from download_helpers import A_TAR, CATALOGUE, CONTRAST, EDGE, LABELS, SKETCH, TABLES
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
        site.files |= {f"/repository/0123abcd/{name}": text for name, text in TABLES.items()}
        yield site


@pytest.fixture
def catalogue(site: Site, tmp_path: Path) -> Path:
    """Return the catalogue of what the local server has."""
    path = tmp_path / "downloads.toml"
    path.write_text(CATALOGUE.replace("URL", site.url))
    return path


@pytest.fixture
def once(monkeypatch):
    """Let a transfer fail when its connection breaks, so that the next call resumes it."""
    monkeypatch.setattr("bvg.data.fetch.RETRIES", 0)


@pytest.fixture
def retries(monkeypatch):
    """Let a transfer go on twice when its connection breaks, without waiting."""
    monkeypatch.setattr("bvg.data.fetch.RETRIES", 2)
    monkeypatch.setattr("random.uniform", lambda least, most: 0.0)


@pytest.fixture
def small_blocks(monkeypatch):
    """Let no byte that has arrived be lost when a connection breaks."""
    importlib.import_module("gdown.download")  # a module that a function of its package hides
    monkeypatch.setattr(sys.modules["gdown.download"], "CHUNK_SIZE", 1000)


@pytest.fixture
def to(tmp_path) -> Path:
    return tmp_path / "data"
