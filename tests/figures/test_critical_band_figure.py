"""The figure of critical bands: accuracies, thresholds and channels where they belong."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from bvg.figures.criticalband import ChannelPicture, critical_band_figure
from bvg.figures.drawing import DPI, HUMAN_COLOUR
from bvg.scores.channel import Channel

CHANNEL = Channel(
    thresholds=(0.0, 1.0, 2.5, 3.0, 4.0, 2.0, 1.0),
    amplitude=3.0,
    mu=4.0,
    sigma=1.5,
    r_squared=0.9,
    degenerate=(),
)
DEGENERATE = replace(CHANNEL, degenerate=("too few thresholds", "no covariance"))


def _accuracy(seed: int, top: float = 68) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, top, (5, 7))


def _panels(figure):
    return [axes for axes in figure.axes if axes.images]


def _drawn(tmp_path, kept, **models):
    critical_band_figure(models, tmp_path / "figure")
    return _panels(kept[-1])


def _line(axes, points):
    """Return the one line of that many points, or None."""
    found = [line for line in axes.lines if len(line.get_xdata()) == points]
    return found[0] if found else None


def _thresholds(axes):
    return _line(axes, 7)


def _curve(axes):
    return _line(axes, 200)


def test_every_accuracy_is_in_its_cell(tmp_path, kept):
    accuracy = _accuracy(1)
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(accuracy, CHANNEL))
    rows = {label.get_text(): label.get_position()[1] for label in axes.get_yticklabels()}
    columns = {label.get_text(): label.get_position()[0] for label in axes.get_xticklabels()}
    deviations = ["no noise", "SD 0.02", "SD 0.04", "SD 0.08", "SD 0.16"]
    assert list(rows) == deviations
    assert list(rows.values()) == [0, 1, 2, 3, 4]
    assert list(columns) == ["1.75", "3.5", "7", "14", "28", "56", "112"]
    assert list(columns.values()) == [0, 1, 2, 3, 4, 5, 6]
    assert axes.get_ylim() == (-0.5, 4.5)
    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (-0.5, 6.5, -0.5, 4.5)
    assert image.origin == "lower"  # the array's first row is at the bottom, by "no noise"
    assert np.array_equal(image.get_array(), accuracy)
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in axes.texts}
    written = {at: text.get_text() for at, text in cells.items()}
    assert written == {at: f"{value:.0f}" for at, value in np.ndenumerate(accuracy)}


def test_thresholds_are_at_the_noise_that_is_withstood(tmp_path, kept):
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(_accuracy(1), CHANNEL))
    line = _thresholds(axes)
    assert line.get_linestyle() == "None"
    assert list(line.get_xdata()) == list(range(7))
    # step 0 is the row of SD 0.16, at the top; step 4 that of no noise, at the bottom
    assert list(line.get_ydata()) == [4.0, 3.0, 1.5, 1.0, 0.0, 2.0, 3.0]


def test_no_threshold_hides_a_number(tmp_path, kept):
    channel = replace(CHANNEL, thresholds=(0.0, 0.2, 0.5, 1.3, 1.7, 2.9, 4.0))
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(_accuracy(1), channel))
    kept[0].set_dpi(DPI)
    line = _thresholds(axes)
    radius = (line.get_markersize() + line.get_markeredgewidth()) / 2 / 72 * DPI
    centres = axes.transData.transform(line.get_xydata())
    for text in axes.texts:
        box = text.get_window_extent()  # a line's full height, of which digits take the middle half
        near, far = box.y0 + box.height / 4, box.y1 - box.height / 4
        for x, y in centres:
            outside = max(box.x0 - x, x - box.x1, near - y, y - far)
            assert outside > radius / 2


def test_the_curve_is_the_channel(tmp_path, kept):
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(_accuracy(1), CHANNEL))
    octaves, heights = _curve(axes).get_data()
    half = 1.5 * np.sqrt(2 * np.log(2))  # where a Gaussian has half its peak
    at = np.interp([4, 4 - half, 4 + half], octaves, heights)
    assert at == pytest.approx([1, 2.5, 2.5], abs=1e-3)
    assert (octaves[0], octaves[-1]) == (-0.5, 6.5)
    assert axes.get_title() == "net\nBW 3.5 oct, CF 28 c/img, PNS 0.50"


@pytest.mark.parametrize(
    ("mu", "amplitude", "summary"),
    [
        (0.0, 4.0, "BW 3.5 oct, CF 1.8 c/img, PNS 1.00"),
        (6.0, 0.0, "BW 3.5 oct, CF 112 c/img, PNS 0.06"),
    ],
)
def test_parameters_have_sensible_digits(tmp_path, kept, mu, amplitude, summary):
    channel = replace(CHANNEL, mu=mu, amplitude=amplitude)
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(_accuracy(1), channel))
    assert axes.get_title().split("\n")[1] == summary


def test_the_humans_are_drawn_for_comparison(tmp_path, kept):
    humans = replace(CHANNEL, thresholds=(0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0), amplitude=4.0, mu=4.5)
    models = {"net": ChannelPicture(_accuracy(1), None), "own": ChannelPicture(_accuracy(2), None)}
    critical_band_figure(models, tmp_path / "figure", humans)
    for axes in _panels(kept[-1]):
        assert list(_thresholds(axes).get_ydata()) == [4, 4, 4, 4, 2, 2, 4]
        octaves, heights = _curve(axes).get_data()
        assert np.interp(4.5, octaves, heights) == pytest.approx(0, abs=1e-3)
        assert _curve(axes).get_color() == HUMAN_COLOUR
    assert any("humans" in text.get_text() for text in kept[-1].legends[0].get_texts())


def test_humans_are_not_compared_under_other_noise(tmp_path, kept):
    accuracy = np.full((3, 7), 50.0)
    other = ChannelPicture(accuracy, None, deviations=("0.05", "0.1"))
    critical_band_figure({"net": other}, tmp_path / "figure", CHANNEL)
    (axes,) = _panels(kept[-1])
    assert _curve(axes) is None
    assert not any("humans" in text.get_text() for text in kept[-1].legends[0].get_texts())


def test_a_degenerate_fit_has_thresholds_and_a_reason_but_no_curve(tmp_path, kept):
    nowhere = replace(DEGENERATE, amplitude=np.nan, mu=np.nan, sigma=np.nan)
    wide, unfitted, never = _drawn(
        tmp_path,
        kept,
        wide=ChannelPicture(_accuracy(1), DEGENERATE),
        unfitted=ChannelPicture(_accuracy(2), nowhere),
        never=ChannelPicture(_accuracy(3), None),
    )
    for axes, name in ((wide, "wide"), (unfitted, "unfitted")):
        assert axes.get_title() == f"{name}\nno channel: too few thresholds"
        assert list(_thresholds(axes).get_ydata())[:2] == [4.0, 3.0]
    assert _thresholds(never) is None
    assert never.get_title() == "never\nno channel: not fitted"
    assert [_curve(axes) for axes in (wide, unfitted, never)] == [None] * 3


def test_an_unknown_accuracy_is_a_dash(tmp_path, kept):
    accuracy = _accuracy(1)
    accuracy[2, 3] = np.nan
    nothing = np.full((5, 7), np.nan)
    known, unknown = _drawn(
        tmp_path,
        kept,
        known=ChannelPicture(accuracy, None),
        unknown=ChannelPicture(nothing, None),
    )
    dashes = [text.get_position()[0] for text in known.texts if text.get_text() == "–"]
    assert dashes == [3]
    assert {text.get_text() for text in unknown.texts} == {"–"}
    # neither the page's white nor a colour of the scale
    assert known.images[0].cmap(np.nan) not in {(1.0, 1.0, 1.0, 1.0), *map(_cividis, range(256))}


def _cividis(number):
    return plt.colormaps["cividis"](number)


def test_all_models_share_one_scale_of_colours(tmp_path, kept):
    low, high = _accuracy(1, top=30), _accuracy(2)
    high[4, 6] = 61.2
    high[high > 61.2] = 0
    panels = _drawn(tmp_path, kept, a=ChannelPicture(low, None), b=ChannelPicture(high, None))
    scales = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in panels}
    assert scales == {(0, 70)}
    (bar,) = [axes for axes in kept[0].axes if not axes.images]
    assert bar.get_xlim() == (0, 70)
    assert "%" in bar.get_title()


def _luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_number_can_be_read_on_its_colour(tmp_path, kept):
    accuracy = np.linspace(0, 100, 35).reshape(5, 7)
    (axes,) = _drawn(tmp_path, kept, net=ChannelPicture(accuracy, None))
    image = axes.images[0]
    for text, value in zip(axes.texts, accuracy.flat, strict=True):
        cell = _luminance(image.cmap(image.norm(value)))
        letters = _luminance(to_rgb(text.get_color()))
        contrast = (max(cell, letters) + 0.05) / (min(cell, letters) + 0.05)
        assert contrast >= 4.5  # the WCAG's level AA


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (6, 3), (9, 3)])
def test_the_grid_has_at_most_four_columns(tmp_path, kept, count, columns):
    pictures = {
        f"net{number}": ChannelPicture(_accuracy(number), CHANNEL) for number in range(count)
    }
    panels = _drawn(tmp_path, kept, **pictures)
    assert [axes.get_title().split("\n")[0] for axes in panels] == list(pictures)
    lefts = [round(axes.get_position().x0, 4) for axes in panels]
    assert len(set(lefts)) == columns
    for number, axes in enumerate(panels):
        assert np.array_equal(axes.images[0].get_array(), pictures[f"net{number}"].accuracy)
        # the rows' names once per row, the columns' unit once per column
        assert axes.yaxis.get_tick_params()["labelleft"] == (number % columns == 0)
        assert bool(axes.get_xlabel()) == (number + columns >= count)


def test_fifty_models_with_long_names_fit_on_the_page(tmp_path, kept):
    name = "resnet50_trained_on_SIN_and_IN_then_finetuned_on_IN_$\\x$_"
    reason = replace(DEGENERATE, degenerate=("the bandwidth exceeds the 7 octaves tested",))
    models = {
        f"{name}{number}": ChannelPicture(_accuracy(number), (CHANNEL, reason, None)[number % 3])
        for number in range(50)
    }
    critical_band_figure(models, tmp_path / "figure")
    figure = kept[0]
    figure.set_dpi(DPI)
    panels = _panels(figure)
    titles = [axes.get_title().replace("\n", "") for axes in panels]
    assert all(title.startswith(model) for title, model in zip(titles, models, strict=True))
    assert figure.get_figwidth() == 7.2
    everything = [figure.legends[0].get_window_extent(), figure.axes[-1].get_tightbbox()]
    for axes in panels:
        everything += [axes.title.get_window_extent(), axes.get_window_extent()]
        everything += [axes.xaxis.get_tightbbox()]
    page = figure.bbox
    for box in everything:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
    overlaps = [
        (one, other)
        for number, one in enumerate(everything)
        for other in everything[:number]
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    ]
    assert not overlaps


def test_the_same_files_twice(tmp_path):
    models = {"a": ChannelPicture(_accuracy(1), CHANNEL), "b": ChannelPicture(_accuracy(2), None)}
    paths = critical_band_figure(models, tmp_path / "figure")
    first = [path.read_bytes() for path in paths]
    critical_band_figure(models, tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == first
    assert sorted(tmp_path.iterdir()) == sorted(paths)
