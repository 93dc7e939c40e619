"""The figures of accuracy under corruptions: every number is where it belongs."""

import warnings

import numpy as np
import pytest

from bvg.data.imagenet_c import SEVERITIES, corruption_condition
from bvg.figures.imagenet_c import corruption_figures
from bvg.scores.metric import Metric
from eval_imagenet_c import IMAGENET_C
from eval_imagenet_cbar import IMAGENET_CBAR


def metrics_of(seed: int, data=IMAGENET_C, clean=True, severities=SEVERITIES, names=None) -> dict:
    random = np.random.default_rng(seed)
    keys = ["clean"] if clean else []
    keys += [corruption_condition(c, s) for c in names or data.corruptions for s in severities]
    return {f"top1_acc/{key}": Metric(random.uniform(5, 90)) for key in keys}


def panels(figure) -> dict:
    return {axes.get_title().replace(" ", "_"): axes for axes in figure.axes}


def points(axes, number: int) -> dict[float, float]:
    line = axes.lines[number]
    return dict(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True))


def cells(axes) -> dict[tuple[int, int], str]:
    return {text.get_position()[::-1]: text.get_text() for text in axes.texts}


@pytest.mark.parametrize("data", [IMAGENET_C, IMAGENET_CBAR], ids=["C", "C-bar"])
def test_every_accuracy_is_in_its_panel_and_its_cell(tmp_path, kept, data):
    clean = data is IMAGENET_C
    models = {name: metrics_of(seed, data, clean) for seed, name in enumerate(("one", "two"))}
    files = corruption_figures(models, data.corruptions, tmp_path)
    assert sorted(path.name for path in files) == [
        "corruptions.pdf",
        "corruptions.png",
        "severities.pdf",
        "severities.png",
    ]
    curves, table = kept[0], kept[-1]
    for number, metrics in enumerate(models.values()):
        means = []
        for column, name in enumerate(data.corruptions):
            expected = {
                s: metrics[f"top1_acc/{corruption_condition(name, s)}"].value for s in SEVERITIES
            }
            means.append(np.mean(list(expected.values())))
            if clean:
                expected[0] = metrics["top1_acc/clean"].value
            assert points(panels(curves)[name], number) == pytest.approx(expected)
            assert cells(table.axes[0])[(number, column)] == f"{means[-1]:.0f}"
        assert cells(table.axes[0])[(number, len(means))] == f"{np.mean(means):.0f}"
        overall = points(panels(curves)["mean"], number)
        of_three = [metrics[f"top1_acc/{name}_3"].value for name in data.corruptions]
        assert overall[3] == pytest.approx(np.mean(of_three))
    assert len(panels(curves)) == len(data.corruptions) + 1
    labels = [label.get_text() for label in table.axes[0].get_xticklabels()]
    assert labels == [*(name.replace("_", " ") for name in data.corruptions), "mean"]


def test_what_was_not_measured_is_not_drawn(tmp_path, kept):
    metrics = metrics_of(0, severities=(2, 4), names=("fog",), clean=False)
    metrics["top1_acc/snow_1"] = Metric(None, note="nothing")
    corruption_figures({"one": metrics}, IMAGENET_C.corruptions, tmp_path)
    assert list(panels(kept[0])) == ["snow", "fog", "mean"]
    assert list(points(panels(kept[0])["fog"], 0)) == [2, 4]
    assert not panels(kept[0])["snow"].lines
    shown = cells(kept[-1].axes[0])
    assert shown[(0, 0)] == "–"


def test_some_severities_have_a_mean_that_says_so(tmp_path, kept):
    metrics = metrics_of(3, severities=(2, 4), names=("fog", "snow"), clean=False)
    corruption_figures({"one": metrics}, IMAGENET_C.corruptions, tmp_path)
    fog = np.mean([metrics["top1_acc/fog_2"].value, metrics["top1_acc/fog_4"].value])
    assert cells(kept[-1].axes[0])[(0, 1)] == f"{fog:.0f}"
    assert "severities 2, 4" in kept[-1].texts[0].get_text()


@pytest.mark.parametrize("count", [1, 48])
def test_any_number_of_models_fits_on_the_page(tmp_path, kept, count):
    names = [f"vit_large_patch14_clip_336.laion2b_ft_in1k${n}" for n in range(count)]
    models = {name: metrics_of(seed) for seed, name in enumerate(names)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout that does not work out
        corruption_figures(models, IMAGENET_C.corruptions, tmp_path)
    curves, table = kept
    for figure in kept:
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        texts = [*figure.texts]
        for axes in figure.axes:
            low, high = axes.get_xlim()
            texts += [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
            texts += [axes.title, *axes.texts]
        texts += table.axes[0].get_yticklabels() if figure is table else []
        texts += [text for legend in figure.legends for text in legend.get_texts()]
        for text in (text for text in texts if text.get_text() and text.get_visible()):
            box = text.get_window_extent()
            inside = min(box.x0, box.y0) >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, (text.get_text(), box.extents, width, height)
    lowest, highest = curves.axes[0].get_ylim()
    assert lowest == 0  # and every panel's values are below the top, which they share
    assert max(m.value for metrics in models.values() for m in metrics.values()) < highest
    assert len(curves.legends[0].get_texts()) == count
