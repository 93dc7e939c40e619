"""The engines of the packaged weights, on small pictures."""

import numpy as np
import pytest

from bvg.stylize import ghiasi
from bvg.stylize.ghiasi import BuiltIn, Ghiasi
from conftest import refusal

pytest.importorskip("onnxruntime")


def _pictures(count: int, *size: int) -> np.ndarray:
    rough = np.random.default_rng(count).integers(0, 256, (count, 3, 3, 3), dtype=np.uint8)
    return np.stack(
        [np.resize(np.kron(p, np.ones((20, 20, 1), np.uint8)), (*size, 3)) for p in rough]
    )


@pytest.fixture(scope="module")
def arbitrary():
    return Ghiasi()


def test_pictures_do_not_depend_on_each_other_and_keep_their_shape(arbitrary):
    pictures, styles = _pictures(2, 41, 60), arbitrary.encode(_pictures(2, 50, 50))
    assert styles.shape == (2, 100) and styles.std() > 0
    both = arbitrary.stylize(pictures, styles, 1.0)
    assert both.shape == pictures.shape and both.dtype == np.uint8
    np.testing.assert_array_equal(arbitrary.stylize(pictures[1:], styles[1:], 1.0)[0], both[1])
    assert np.abs(both.astype(int) - pictures).mean() > 10


def test_alpha_blends_the_style_with_the_content_s_own(arbitrary):
    picture, style = _pictures(1, 48, 48), arbitrary.encode(_pictures(3, 48, 48)[2:])
    own = arbitrary.encode(picture)
    blended = arbitrary.stylize(picture, style, 0.25)
    expected = arbitrary.stylize(picture, 0.25 * style + 0.75 * own, 1.0)
    assert np.abs(blended.astype(int) - expected).max() <= 1


def test_the_built_in_styles_differ():
    engine, picture = BuiltIn(), _pictures(1, 41, 60)
    assert len(ghiasi.BUILT_IN_STYLES) == 26
    results = engine.stylize(picture.repeat(3, axis=0), np.eye(26)[[0, 7, 25]])
    assert results.shape == (3, 41, 60, 3)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(results[one].astype(int) - results[other]).mean() > 10
    again = engine.stylize(picture, np.eye(26)[[7]])
    np.testing.assert_array_equal(again[0], results[1])


def test_without_the_package_or_with_another_version(monkeypatch):
    monkeypatch.setitem(ghiasi.SHA256, ghiasi.BUILT_IN, "0" * 64)
    assert "pip install" in refusal(BuiltIn)
    monkeypatch.setattr(ghiasi, "PACKAGE", "no-such-package")
    assert "pip install" in refusal(Ghiasi)
