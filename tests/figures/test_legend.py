"""Legends that fit below a figure, however many and long the names are."""

import pytest
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from bvg.figures.drawing import PAGE_WIDTH, save
from bvg.figures.legend import columns_for, legend_below, legend_height


@pytest.mark.parametrize("count", [1, 3, 6, 48])
@pytest.mark.parametrize("length", [5, 40])
def test_the_legend_lies_inside_the_page(count, length, tmp_path, kept):
    names = [f"{'model_' * 10}"[:length] + str(k) for k in range(count)]
    height = legend_height(names)
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 1.5 + height), layout="constrained")
    legend_below(figure, [Line2D([], []) for _ in names], names, "what the lines mean")
    save(figure, tmp_path / "figure")
    box = kept[0].legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.height / figure.dpi <= height + 0.05
    assert axes.get_window_extent().height > 0.8 * figure.dpi
    shown = [text.get_text().replace("\n", "") for text in kept[0].legends[0].get_texts()]
    assert shown == names


def test_long_names_are_wrapped_and_short_ones_are_not():
    assert columns_for(["a", "b", "c"]) == (["a", "b", "c"], 3)
    lines, columns = columns_for(["x" * 200, "y"])
    assert columns == 2
    assert "\n" in lines[0]
