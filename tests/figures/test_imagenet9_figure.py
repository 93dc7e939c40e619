"""ImageNet-9's and ImageNet-W's figures: published values are marked and in their place."""

import eval_imagenet9
import eval_imagenet_w
from bvg.data.imagenet import imagenet_classes
from bvg.scores.imagenet9 import GAP, key_of
from bvg.scores.metric import Metric


def dots(axes, label: str) -> list[tuple[float, float]]:
    """Return place and height of an observer's dots."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [(round(float(x)), round(float(y), 2)) for x, y in line.get_xydata()]


def names(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_accuracy_by_variant(kept, tmp_path):
    mine = {
        key_of(variant): Metric(90.0 - k, 80.0, 95.0, 50)
        for k, variant in enumerate(eval_imagenet9.VARIANTS)
    }
    mine[GAP] = Metric(1.0)
    paths = eval_imagenet9.draw({"mine": mine}, True, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".png", ".pdf"] and all(p.exists() for p in paths)
    (axes,) = kept[-1].axes
    assert dots(axes, "mine (1.0)") == [(k, 90 - k) for k in range(8)]
    assert dots(axes, "ResNet-50, published (7.3)") == [(0, 95.6), (1, 86.2), (2, 78.9)]
    assert len(names(kept[-1])) == 1 + len(eval_imagenet9.PUBLISHED)
    eval_imagenet9.draw({"mine": mine}, False, tmp_path / "figure")
    assert names(kept[-1]) == ["mine (1.0)"]


def test_changes_with_the_watermark(kept, tmp_path):
    mine = {eval_imagenet_w.GAP: Metric(-12.5, -15, -10, 50)}
    eval_imagenet_w.draw({"mine": mine}, imagenet_classes(), tmp_path / "figure")
    (axes,) = kept[-1].axes
    assert dots(axes, "mine") == [(0, -12.5)]
    assert dots(axes, "ResNet-50, published") == [(0, -25.4), (1, 30)]
    assert axes.get_ylim()[0] < -25.4 and axes.get_ylim()[1] > 30
    eval_imagenet_w.draw({"mine": mine}, ("ant", "bee"), tmp_path / "figure")
    assert not any("published" in name for name in names(kept[-1]))
    assert len(kept[-1].axes[0].get_xticks()) == 1
