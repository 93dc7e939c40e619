"""The panel of stimuli: every picture at its place, pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import eval_criticalband
import eval_spectral
from bvg.figures.stimulus_panel import stimulus_panel
from stimulus_helpers import NOISE_CONDITIONS, SPECTRAL_CONDITIONS

ORIGINAL = ("clean", "as it was")
ROWS = {"upper": ("a", "b", "c"), "lower": ("d", "e", "f")}


def _pictures(height: int, width: int, rows=ROWS) -> dict[str, np.ndarray]:
    """Return a picture of noise per condition."""
    random = np.random.default_rng(height)
    names = ["clean", *(name for row in rows.values() for name in row)]
    return {name: random.random((height, width, 3), dtype=np.float32) for name in names}


def _draw(pictures, folder, rows=ROWS):
    columns = range(1, 1 + max(map(len, rows.values())))
    return stimulus_panel(pictures, ORIGINAL, rows, columns, "column", folder / "panel")


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
    _draw(pictures, tmp_path)
    page = _pixels(tmp_path / "panel.png")
    at = {name: _corner(page, picture, times) for name, picture in pictures.items()}
    x, y = ({name: corner[axis] for name, corner in at.items()} for axis in (0, 1))
    assert y["a"] == y["b"] == y["c"] < y["d"] == y["e"] == y["f"]
    assert x["clean"] < x["a"] == x["d"] < x["b"] == x["e"] < x["c"] == x["f"]
    # thin gaps, and the original halfway up
    assert 4 <= x["b"] - x["a"] - width * times <= 16
    assert 4 <= y["d"] - y["a"] - height * times <= 16
    assert abs(y["clean"] - (y["a"] + y["d"]) / 2) <= 1
    gap = page[y["a"] : y["d"] + height * times, x["a"] + width * times : x["b"]]
    assert (gap == 255).all()


def test_many_rows_stand_in_two_blocks_each_condition_once(tmp_path, kept):
    rows = {f"row {letter}": (letter,) for letter in "abcdefghijk"}
    pictures = _pictures(32, 32, rows)
    _draw(pictures, tmp_path, rows)
    page = _pixels(tmp_path / "panel.png")
    at = {name: _corner(page, picture, 7) for name, picture in pictures.items()}
    assert len({at[letter][0] for letter in "abcdef"}) == 1
    assert len({at[letter][0] for letter in "ghijk"}) == 1
    for left, right in zip("abcde", "ghijk", strict=True):  # at equal heights
        assert at[left][1] == at[right][1]
        assert at[left][0] + 224 < at[right][0]
    boxes = _labels(kept[0])
    for letter in "agk":
        x, y = at[letter]
        box = boxes[f"row {letter}"]
        assert abs(len(page) - (box.y0 + box.y1) / 2 - (y + 112)) < 3
        assert x - 80 < box.x1 < x
    # the lower right corner is empty
    x, y = at["k"][0], at["f"][1]
    assert (page[y : y + 224, x - 20 :] == 255).all()


def _labels(figure):
    """Return text -> its box in the pixels of the PNG file."""
    figure.set_dpi(200)
    figure.draw_without_rendering()
    texts = [axes.xaxis.label for axes in figure.axes]
    for axes in figure.axes:
        texts += [*axes.get_xticklabels(), *axes.get_yticklabels()]
    return {text.get_text(): text.get_window_extent() for text in texts if text.get_text()}


def test_labels_are_beside_what_they_name(tmp_path, kept):
    pictures = _pictures(224, 224)
    _draw(pictures, tmp_path)
    page = _pixels(tmp_path / "panel.png")
    boxes = _labels(kept[0])
    names = {"as it was": "clean", "1": "a", "2": "b", "3": "c", "upper": "a", "lower": "d"}
    assert set(boxes) == {*names, "column"}
    for label, name in names.items():
        x, y = _corner(page, pictures[name], 1)
        box, top = boxes[label], len(page) - boxes[label].y1  # from above
        if label in ROWS:
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
    _draw(pictures, tmp_path)
    _corner(_pixels(tmp_path / "panel.png"), np.clip(pictures["a"], 0, 1), 1)


def test_a_missing_condition_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(KeyError, match="else"):
        _draw(_pictures(32, 32), tmp_path, {**ROWS, "upper": ("a", "b", "else")})
    assert not list(tmp_path.iterdir())


@pytest.fixture
def asked_for(monkeypatch, tmp_path):
    """Return a function that returns what a script's figure of one image shows, and where."""

    def panel(script):
        asked = []
        monkeypatch.setattr(script, "example", lambda *_: {})
        monkeypatch.setattr(script, "stimulus_panel", lambda *words: asked.append(words) or [])
        for figure in {"curves", "critical_band_figure"} & set(dir(script)):
            monkeypatch.setattr(script, figure, lambda *_, **__: [])
        script.figures([], SimpleNamespace(results=tmp_path), None)
        ((_, original, rows, columns, *_),) = asked
        return original, rows, [str(column) for column in columns]

    return panel


def test_every_spectral_condition_is_under_its_label(asked_for):
    original, rows, columns = asked_for(eval_spectral)
    assert original[0] == "clean"
    assert list(rows) == ["low-pass", "high-pass"]
    named = [f"{row.replace('-', '')}/{cutoff}" for row in rows for cutoff in columns]
    assert [name for row in rows.values() for name in row] == named
    assert {original[0], *named} == set(SPECTRAL_CONDITIONS)


def test_every_condition_of_the_critical_band_is_under_its_label(asked_for):
    original, rows, columns = asked_for(eval_criticalband)
    assert original[0] == "criticalband/f=0/sd=0"
    centres = {"1.75": 0, "3.5": 1, "7": 2, "14": 3, "28": 4, "56": 5, "112": 6}
    assert list(rows) == ["SD 0.02", "SD 0.04", "SD 0.08", "SD 0.16"]
    named = [
        f"criticalband/f={centres[column]}/sd={row.removeprefix('SD ')}"
        for row in rows
        for column in columns
    ]
    assert [name for row in rows.values() for name in row] == named
    assert {original[0], *named} == set(NOISE_CONDITIONS)


def test_the_same_files_twice(tmp_path):
    pictures = _pictures(16, 16)
    paths = _draw(pictures, tmp_path)
    first = [path.read_bytes() for path in paths]
    _draw(pictures, tmp_path)
    assert [path.read_bytes() for path in paths] == first
    # another picture is another file
    _draw(pictures | {"clean": 1 - pictures["clean"]}, tmp_path)
    assert all(path.read_bytes() != old for path, old in zip(paths, first, strict=True))
