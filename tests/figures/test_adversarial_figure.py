import json

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from bvg.figures.imagenet_adv import adversarial_pictures, robustness_figure
from bvg.scores.metric import Metric, proportion


def _metrics(clean: int, by_epsilon: dict[str, int], attack: str = "PGD-40") -> dict:
    hits = {"clean": clean, **{f"{attack}/eps={name}": hit for name, hit in by_epsilon.items()}}
    return {f"top1_acc/{name}": proportion(hit, 100, scale=100) for name, hit in hits.items()}


MODELS = {
    "plain": _metrics(76, {"0.5_255": 20, "1_255": 4, "10_255": 0}),
    "robust $x_1$": _metrics(55, {"0.5_255": 52, "1_255": 50, "10_255": 9}),
}
CONDITIONS = {
    "PGD-40": {e / 255: f"PGD-40/eps={e:g}_255" for e in (0.5, 1, 10)},
}
SURVIVAL = {name: ("PGD-40/eps=10_255", np.linspace(50, 0, 41)) for name in MODELS}


@pytest.fixture
def drawn(monkeypatch):
    """Return the figures as they are when they are saved."""
    figures = []
    close = matplotlib.pyplot.close
    monkeypatch.setattr("bvg.figures.drawing.plt.close", lambda f: (figures.append(f), close(f)))
    return figures


def test_curves_begin_at_the_clean_accuracy(tmp_path, drawn):
    paths = robustness_figure(MODELS, CONDITIONS, SURVIVAL, tmp_path / "a")
    assert all(path.stat().st_size > 5_000 for path in paths)
    left, right = drawn[0].axes
    np.testing.assert_allclose(left.lines[0].get_xdata(), [0, 0.5, 1, 10])
    assert left.lines[0].get_ydata().tolist() == [76, 20, 4, 0]
    assert left.lines[1].get_ydata().tolist() == [55, 52, 50, 9]
    assert len(right.lines[0].get_xdata()) == 41
    assert right.lines[0].get_ydata().tolist() == SURVIVAL["plain"][1].tolist()
    assert right.get_title() == "still right: PGD-40, ε = 10/255"


def test_without_counted_steps_there_is_one_panel(tmp_path, drawn):
    models = {"m": _metrics(76, {"4_255": 3}, "AutoAttack")}
    attack = {"AutoAttack": {4 / 255: "AutoAttack/eps=4_255"}}
    robustness_figure(models, attack, {}, tmp_path / "a")
    assert len(drawn[0].axes) == 1
    norms = {"m": _metrics(76, {"0.5": 40, "3": 3}, "PGD-40-l2")}
    attack = {"PGD-40-l2": {0.5: "PGD-40-l2/eps=0.5", 3: "PGD-40-l2/eps=3"}}
    robustness_figure(norms, attack, {}, tmp_path / "b")
    assert drawn[1].axes[0].lines[0].get_xdata().tolist() == [0, 0.5, 3]
    assert "L2" in drawn[1].axes[0].get_xlabel()


def test_each_attack_has_a_panel_without_what_has_no_value(tmp_path, drawn):
    metrics = _metrics(70, {"2_255/from=m": 9, "10_255/from=m": 1}, "P")
    metrics |= _metrics(70, {"2_255/from=m": 8}, "Q") | {"top1_acc/P/eps=20_255": Metric(None)}
    metrics |= _metrics(70, {"2_255/from=m": 3}, "P-any")  # shown nowhere
    conditions = {
        f"{attack} from m": {e / 255: f"{attack}/eps={e}_255/from=m" for e in (2, 10, 20)}
        for attack in "PQ"
    }
    robustness_figure({"net": metrics}, conditions, {}, tmp_path / "a")
    (p,), (q,) = (axes.lines for axes in drawn[0].axes)
    np.testing.assert_allclose(p.get_xdata(), [0, 2, 10])
    assert p.get_ydata().tolist() == [70, 9, 1]
    np.testing.assert_allclose(q.get_xdata(), [0, 2])
    assert q.get_ydata().tolist() == [70, 8]
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles == [f"robust accuracy: {attack} from m" for attack in "PQ"]


def test_fifty_models_are_drawn(tmp_path):
    models = {f"resnet50.model_{k}": MODELS["plain"] for k in range(50)}
    robustness_figure(models, CONDITIONS, {}, tmp_path / "a")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_kept_images_are_rows_and_conditions_columns(tmp_path, drawn):
    for condition, first in (("P/eps=10_255", 3), ("P/eps=2_255", -1)):
        for number, name in enumerate(("ant", "bee")):
            original = torch.full((3, 8, 8), 0.25)
            tensors = {"original": original, "adversarial": original + 0.01 * number}
            about = {
                "label": name,
                "condition": condition,
                "perturbation": 0.01,
                "first_success": first if number else -2,
            }
            folder = tmp_path / "kept" / condition / name
            folder.mkdir(parents=True)
            save_file(tensors, folder / f"{name}.safetensors", {"about": json.dumps(about)})
    adversarial_pictures(tmp_path / "kept", tmp_path / "p")
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size[0] > picture.size[1]
    axes = np.array(drawn[0].axes).reshape(2, 5)
    titles = [one.get_title() for one in axes[0]]
    assert titles[2] == "P, ε = 2/255" and titles[4] == "P, ε = 10/255"
    texts = [[one.get_xlabel() for one in row] for row in axes]
    assert texts[0] == ["ant", "norm 0.01", "misclassified without attack", *texts[0][3:]]
    assert texts[1][2] == "still right" and texts[1][4] == "misclassified after 3 steps"
    assert axes[0, 1].images[0].get_array().max() == pytest.approx(0.5)
    assert axes[1, 1].images[0].get_array().max() == pytest.approx(1)
