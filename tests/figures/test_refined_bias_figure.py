"""The figures of REFINED-BIAS: points are in their place, published values beside them."""

import pytest

from bvg.figures.refined_bias import refined_bias_figures
from bvg.scores.metric import Metric


def metrics(shape: float, texture: float) -> dict[str, Metric]:
    found = {}
    for cue, value, names in (("shape", shape, "ab"), ("texture", texture, "c")):
        key = f"refined-bias/{cue}-mrr"
        found[key] = Metric(value, value - 0.1, value + 0.1, 30)
        found |= {f"{key}/class/{n}": Metric(value, value - 0.2, value + 0.2, 10) for n in names}
    return found


@pytest.mark.parametrize("models", [2, 9])
def test_a_point_per_model_and_a_mark_per_published_value(kept, tmp_path, models):
    shown = {f"m{k}": metrics(0.2 + 0.05 * k, 0.8 - 0.05 * k) for k in range(models)}
    files = refined_bias_figures(shown, {"BagNet-9": 0.0518}, tmp_path)
    assert [path.name for path in files if path.suffix == ".png"] == [
        "shape_and_texture.png",
        "shape_classes.png",
        "texture_classes.png",
    ]
    (axes,) = kept[0].axes
    lines = [line.get_xydata().round(4).tolist() for line in axes.lines]
    assert lines[1:3] == [[[0.8, 0.2]], [[0.75, 0.25]]]  # after the diagonal
    assert lines[-1] == [[0.985, 0.0518], [1, 0.0518]]
    assert len(lines) == 1 + models + 1
    assert [text.get_text().split()[0] for text in axes.texts] == ["BagNet-9"]
    assert len(axes.collections) == (2 * models if models == 2 else 0)  # intervals of few
    labels = [label.get_text() for label in kept[1].axes[0].get_xticklabels()]
    assert labels == ["a", "b"]
