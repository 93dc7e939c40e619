"""Styles that can be told apart, names in lines, and files that appear whole."""

import runpy

import pytest
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from PIL import Image

from bvg.figures import drawing
from bvg.figures.drawing import DPI, colour, letter_width, line_style, marker, save, wrapped
from conftest import refusal


def _figure(height=1.0):
    figure, axes = plt.subplots(figsize=(2, height))
    axes.plot([0, 1], [0, 1], label="a line")
    axes.set_title("fi × −95 %")
    return figure


def test_fifty_observers_look_different():
    styles = [(colour(number), marker(number), line_style(number)) for number in range(50)]
    assert len(set(styles)) == 50
    # in black and white, too, eight neighbours differ
    assert all(len({s[1] for s in styles[first : first + 8]}) == 8 for first in range(42))
    # where a colour comes back, the line is another one
    assert len({line for paint, _, line in styles if paint == colour(0)}) == 7


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("resnet50", ["resnet50"]),
        ("exactly_ten", ["exactly_", "ten"]),
        ("ten_letter", ["ten_letter"]),
        ("vit_base_patch16_224.mae_in1k", ["vit_base_", "patch16_", "224.mae_", "in1k"]),
        ("eps 12.345678", ["eps", "12.345678"]),
        ("unbreakablelongname", ["unbreakabl", "elongname"]),
    ],
)
def test_names_are_broken_where_they_can_be(text, lines):
    assert wrapped(text, 10).split("\n") == lines


@pytest.mark.parametrize("width", [1, 2, 7, 40])
def test_no_letter_of_a_name_is_lost(width):
    name = "file://resnet50_trained-on.SIN_v1.5/model.pth"
    lines = wrapped(name, width).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= width


def test_letters_are_as_wide_as_they_are_drawn():
    figure = plt.figure(dpi=720)  # fine enough for hinting not to matter
    drawn = figure.text(0, 0, "WMWMWM$a$", fontsize=10, parse_math=False)
    width = drawn.get_window_extent().width / 720 / len("WMWMWM$a$")
    plt.close(figure)
    assert letter_width(["iiiiiiiiiiii", "WMWMWM$a$"], 10) == pytest.approx(width, rel=0.01)


def test_a_png_has_the_size_in_inches_times_dpi(tmp_path):
    save(_figure(height=1.5), tmp_path / "figure")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (2 * DPI, 1.5 * DPI)


def test_equal_figures_are_equal_files_at_any_time(tmp_path, monkeypatch):
    contents = []
    for moment in ("0", "1000000000"):  # matplotlib's clock
        monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
        paths = save(_figure(), tmp_path / "figure")
        assert paths == [tmp_path / "figure.png", tmp_path / "figure.pdf"]
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")
    assert contents[0][1].startswith(b"%PDF")


def test_pdf_letters_are_truetype(tmp_path, monkeypatch):
    as_for_users = runpy.run_path(drawing.__file__)["PDF_FONTS"]  # other tests have another
    monkeypatch.setattr(drawing, "PDF_FONTS", as_for_users)
    save(_figure(), tmp_path / "figure")
    content = (tmp_path / "figure.pdf").read_bytes()
    assert b"TrueType" in content or b"CIDFontType2" in content
    assert b"/Type3" not in content
    assert content.count(b"/FontFile2 ") == 1  # ligatures and the minus sign need no second font


def test_both_files_have_the_layout_of_the_figure(tmp_path, monkeypatch):
    figure, axes = plt.subplots(layout="constrained")
    axes.set_ylabel("a label\nof two lines")
    drawn = []
    monkeypatch.setattr(axes, "draw", lambda _: drawn.append(axes.get_position().bounds))
    before = axes.get_position().x0
    save(figure, tmp_path / "figure")
    assert len(drawn) == 2 and drawn[0] == drawn[1]
    assert drawn[0][0] != before


class _Unfinished(Artist):
    def draw(self, renderer):
        raise RuntimeError("half drawn")


def test_a_figure_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("old")
    figure = _figure()
    figure.add_artist(_Unfinished())
    with pytest.raises(RuntimeError, match="half drawn"):
        save(figure, tmp_path / "figure")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert not plt.fignum_exists(figure.number)


def test_a_saved_figure_is_closed(tmp_path):
    figure = _figure()
    assert plt.fignum_exists(figure.number)
    save(figure, tmp_path / "figure")
    assert not plt.fignum_exists(figure.number)


def test_a_missing_folder_is_one_sentence(tmp_path):
    path = tmp_path / "nowhere" / "figure"
    assert f"{path}.png" in refusal(save, _figure(), path)
