"""The panel of stimuli: every picture at its place, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bvg.figures.stimulus_panel import (
    Layout,
    critical_band_layout,
    spectral_layout,
    stimulus_panel,
)
from eval_criticalband import BANDS, DEVIATIONS
from eval_spectral import CUTOFFS
from stimulus_helpers import NOISE_CONDITIONS, SPECTRAL_CONDITIONS

LAYOUT = Layout(
    original="clean",
    original_label="as it was",
    grid=(("a", "b", "c"), ("d", None, "e")),
    row_labels=("upper", "lower"),
    column_labels=("1", "2", "3"),
    columns="column",
)


def _pictures(height: int, width: int, layout: Layout = LAYOUT) -> dict[str, np.ndarray]:
    """Return a picture of noise per condition."""
    random = np.random.default_rng(height)
    names = [layout.original, *(name for row in layout.grid for name in row if name)]
    return {name: random.random((height, width, 3), dtype=np.float32) for name in names}


def _pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _corner(page: np.ndarray, picture: np.ndarray, times: int) -> tuple[int, int]:
    """Return the (x, y) at which the page has the picture, exactly, and only there."""
    picture = np.rint(picture * 255).astype(np.uint8).repeat(times, 0).repeat(times, 1)
    height, width = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], width, axis=1)
    starts = (windows[..., ::7] == picture[0, ::7, 0]).all(-1)
    found = [
        (int(x), int(y))
        for y, x in np.argwhere(starts)
        if np.array_equal(page[y : y + height, x : x + width], picture)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("height", "width", "times"), [(224, 224, 1), (60, 80, 3), (32, 32, 7), (230, 300, 1)]
)
def test_every_picture_is_at_its_place_unchanged(tmp_path, height, width, times):
    pictures = _pictures(height, width)
    stimulus_panel(pictures, LAYOUT, [tmp_path / "panel.png"])
    page = _pixels(tmp_path / "panel.png")
    at = {name: _corner(page, picture, times) for name, picture in pictures.items()}
    x, y = ({name: corner[axis] for name, corner in at.items()} for axis in (0, 1))
    assert y["a"] == y["b"] == y["c"] < y["d"] == y["e"]
    assert x["clean"] < x["a"] == x["d"] < x["b"] < x["c"] == x["e"]
    # thin gaps, and the original halfway up
    assert 4 <= x["b"] - x["a"] - width * times <= 16
    assert 4 <= y["d"] - y["a"] - height * times <= 16
    assert abs(y["clean"] - (y["a"] + y["d"]) / 2) <= 1
    empty = page[y["d"] : y["d"] + height * times, x["b"] : x["b"] + width * times]
    assert (empty == 255).all()


def test_labels_are_beside_what_they_name(tmp_path, kept):
    pictures = _pictures(224, 224)
    stimulus_panel(pictures, LAYOUT, [tmp_path / "panel.png"])
    page = _pixels(tmp_path / "panel.png")
    figure = kept[0]
    figure.set_dpi(200)
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
    names = {"as it was": "clean", "1": "a", "2": "b", "3": "c", "upper": "a", "lower": "d"}
    assert set(boxes) == {*names, "column"}
    for label, name in names.items():
        x, y = _corner(page, pictures[name], 1)
        box, top = boxes[label], len(page) - boxes[label].y1  # from above
        if label in LAYOUT.row_labels:
            assert abs(top + box.height / 2 - (y + 112)) < 3
            assert x - 30 < box.x1 < x
        else:
            assert abs(box.x0 + box.width / 2 - (x + 112)) < 3
            assert y - 30 < top + box.height <= y
    assert all(box.x0 >= 0 and box.x1 <= page.shape[1] for box in boxes.values())
    assert all(box.y0 >= 0 and box.y1 <= page.shape[0] for box in boxes.values())
    assert boxes["column"].y0 >= boxes["2"].y1


def test_values_outside_the_range_are_clipped(tmp_path):
    pictures = {name: np.full((224, 224, 3), 0.5) for name in _pictures(1, 1)}
    pictures["a"] = np.where(np.arange(224 * 224 * 3).reshape(224, 224, 3) % 5 < 2, -0.2, 1.3)
    stimulus_panel(pictures, LAYOUT, [tmp_path / "panel.png"])
    _corner(_pixels(tmp_path / "panel.png"), np.clip(pictures["a"], 0, 1), 1)


def test_a_missing_condition_is_refused_before_anything_is_written(tmp_path):
    layout = replace(LAYOUT, grid=(("a", "b", "else"), ("d", None, "e")))
    with pytest.raises(KeyError, match="else"):
        stimulus_panel(_pictures(32, 32), layout, [tmp_path / "panel.png"])
    assert not list(tmp_path.iterdir())


def test_spectral_layout_has_every_condition_under_its_label():
    layout = spectral_layout(CUTOFFS)
    assert layout.original == "clean"
    assert layout.row_labels == ("low-pass", "high-pass")
    named = [
        f"{row.replace('-', '')}/{cutoff}"
        for row in layout.row_labels
        for cutoff in layout.column_labels
    ]
    assert [name for row in layout.grid for name in row] == named
    assert {layout.original, *named} == set(SPECTRAL_CONDITIONS)


def test_critical_band_layout_has_every_condition_under_its_label():
    layout = critical_band_layout(BANDS, DEVIATIONS)
    assert layout.original == "criticalband/f=0/sd=0"
    centres = {"1.75": 0, "3.5": 1, "7": 2, "14": 3, "28": 4, "56": 5, "112": 6}
    named = [
        f"criticalband/f={centres[column]}/sd={row.removeprefix('SD ')}"
        for row in ("SD 0.02", "SD 0.04", "SD 0.08", "SD 0.16")
        for column in layout.column_labels
    ]
    assert [name for row in layout.grid for name in row] == named
    assert {layout.original, *named} == set(NOISE_CONDITIONS)


def test_the_same_files_twice(tmp_path):
    layout = critical_band_layout(BANDS, DEVIATIONS)
    pictures = _pictures(16, 16, layout)
    paths = [tmp_path / "panel.png", tmp_path / "panel.pdf"]
    stimulus_panel(pictures, layout, paths)
    first = [path.read_bytes() for path in paths]
    stimulus_panel(pictures, layout, paths)
    assert [path.read_bytes() for path in paths] == first
    # another picture is another file
    stimulus_panel(pictures | {layout.original: 1 - pictures[layout.original]}, layout, paths)
    assert all(path.read_bytes() != old for path, old in zip(paths, first, strict=True))
