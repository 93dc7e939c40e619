"""The figures of suppression: published values are in their place, curves begin at originals."""

from types import SimpleNamespace

import pytest

import eval_suppression as script
from bvg.scores.metric import Metric
from bvg.stimuli.suppression import condition_name

RULES = ("suppression", "suppression16", "suppression16_confident")


def metrics(*rules: str) -> dict[str, Metric]:
    return {
        f"metric/{rule}/{cue}/relative": Metric(value, value - 0.1, value + 0.1, 50)
        for rule in rules
        for cue, value in zip(script.CUES, (0.8, 0.3, 0.6, 0.9), strict=True)
    }


def drawn(kept, tmp_path, *rules: str):
    arguments = SimpleNamespace(confident_by="tv_resnet50")
    paths = script.draw_relative({"mine": metrics(*rules)}, arguments, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".png", ".pdf"] and all(p.exists() for p in paths)
    return kept[-1]


def dots(axes, label: str) -> list[float]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [round(float(value), 3) for value in line.get_ydata()]


@pytest.mark.parametrize("rules", [RULES, RULES[:2]])
def test_published_values_stand_beside_those_of_16_categories(kept, tmp_path, rules):
    figure = drawn(kept, tmp_path, *rules)
    first, second = figure.axes
    assert ("tv_resnet50" in first.get_title()) == (len(rules) == 3)
    assert dots(first, "mine") == dots(second, "mine") == [0.8, 0.3, 0.6, 0.9]
    assert dots(first, "ResNet-50 (published)") == [0.832, 0.276, 0.795, 0.924]
    assert not any(line.get_label() == "ResNet-50 (published)" for line in second.lines)
    (bars,) = [c for c in first.collections if len(c.get_paths()) == 4 and c.get_linewidth() > 1.2]
    assert [float(path.vertices[0, 1]) for path in bars.get_paths()] == [0.965, 0.763, 0.979, 0.999]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == 1 + len(script.PUBLISHED)


def test_other_classes_are_not_beside_published_values(kept, tmp_path):
    figure = drawn(kept, tmp_path, "suppression")
    assert len(figure.axes) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mine"]


def test_curves_begin_with_the_originals(kept, tmp_path):
    found = {"top1_acc/suppression/original": Metric(70, 69, 71, 50)}
    for curve in script.CURVES.values():
        for strength, condition in enumerate(curve):
            value = 60 - strength
            key = f"top1_acc/suppression/{condition_name(condition)}"
            found[key] = Metric(value, value - 1, value + 1, 50)
    script.draw_curves({"mine": found}, tmp_path / "curves")
    assert len(kept[-1].axes) == len(script.CURVES) == 10
    for axes, (name, curve) in zip(kept[-1].axes, script.CURVES.items(), strict=True):
        values = dots(axes, "mine")
        assert len(values) == 1 + len(curve) and values[0] == 70
        if name == "patch-shuffle":
            assert values[1:] == [60 - strength for strength in range(8)]


def test_the_example_shows_five_strengths_of_each_curve_from_weakest_to_strongest(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        script, "stimulus_panel", lambda pictures, original, rows, *_: shown.update(rows)
    )
    script.draw_example({}, True, None)
    for conditions, curve in zip(shown.values(), script.CURVES.values(), strict=True):
        assert len(set(conditions)) == 5
        assert conditions[0] == condition_name(curve[0])
        assert conditions[-1] == condition_name(curve[-1])
