"""The figures of configural shape: bars of pairs, with published ones below; margins."""

import pytest

import eval_css as script
from bvg.figures.css import pairs_figure
from bvg.scores.metric import Metric

MINE = {
    "css/72": Metric(0.25, 0.2, 0.3, 72),
    "css/72/one-right": Metric(0.5),
    "css/72/none-right": Metric(0.25),
    **{f"css/72/margin/{name}": Metric(0.5, 0.4, 0.6, 16) for name in ("ant", "bee")},
}


def test_bars_are_the_fractions_of_pairs_and_published_ones_are_named(kept, tmp_path):
    others = script.published(72)
    paths = pairs_figure({"mine_1": MINE}, others, script.HUMANS, 72, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".png", ".pdf"] and all(p.exists() for p in paths)
    (axes,) = kept[-1].axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths[:3] == [0.25, 0.5, 0.25]
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert names == ["mine_1", *others]
    assert all(name.endswith("(published)") for name in names[1:])
    assert widths[-3:] == pytest.approx([0.8958, 0.1042, 0])
    colours = [label.get_color() for label in axes.get_yticklabels()]
    assert len({*colours}) == 3  # mine, networks, humans


@pytest.mark.parametrize("pairs", [72, 1440])
def test_published_values_are_whole_numbers_of_pairs_and_images(pairs):
    half = 0.5e-4 + 1e-9  # to which the tables are rounded
    for name, (accuracy, score) in script.PUBLISHED[pairs].items():
        assert abs(score - round(score * pairs) / pairs) <= half, name
        assert abs(accuracy - round(2 * accuracy * pairs) / (2 * pairs)) <= half, name
    for name, parts in script.published(pairs).items():
        assert sum(parts) == pytest.approx(1) and min(parts) > -1e-9, name
    assert (script.HUMANS in script.published(pairs)) == (pairs == 72)


def test_margins_by_class(kept, tmp_path):
    script.draw_margins({"mine": MINE}, 72, ("ant", "bee"), tmp_path / "margins")
    (axes,) = kept[-1].axes
    (dots,) = [line for line in axes.lines if line.get_label() == "mine"]
    assert [*dots.get_ydata()] == [0.5, 0.5]
    assert axes.get_ylim()[0] < 0.4
