"""What a notebook does: `from bvg import …`, no command line."""

import json

import pytest
import torch

import bvg
from bvg import (
    accuracy,
    evaluate,
    imagenet_val,
    load_models,
    options,
    top5,
    unchanged,
)
from conftest import CLASSES


class Net(torch.nn.Module):
    classes = CLASSES

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def score(predictions):
    return {"top1_acc": accuracy(predictions, 1)}


@pytest.fixture
def images(val_folder):
    return imagenet_val(val_folder(3))


def test_a_model_by_its_name_and_a_module_at_hand(images, model_file, tmp_path):
    net = Net().train()
    args = options(model={"mine": net, "one": f"{model_file}:one"}, results=tmp_path / "r")
    models, classes = load_models(args)
    assert classes == CLASSES
    runs = evaluate("notebook", models, images, unchanged, top5, score, args)
    assert [run.name for run in runs] == ["mine", "one"]
    assert runs[0].metrics["top1_acc"].n == 12
    right = (runs[0].predictions.answers[:, 0] == runs[0].predictions.labels).mean()
    assert runs[0].metrics["top1_acc"].value == pytest.approx(100 * right)
    assert net.training and net.head.weight.requires_grad  # the notebook's own is as it was
    summary = json.loads((tmp_path / "r/notebook/mine/summary.json").read_text())
    assert summary["identity"]["model"]["spec"] == "Net"


def test_a_module_with_other_weights_is_another_model(images, tmp_path):
    for _ in range(2):
        net = Net()
        args = options(model={"mine": net}, results=tmp_path / "r", limit=4)
        models, _ = load_models(args)
        if (tmp_path / "r").exists() and (tmp_path / "r/notebook").exists():
            with pytest.raises(bvg.UserError, match="weights"):
                evaluate("notebook", models, images, unchanged, top5, score, args)
        else:
            evaluate("notebook", models, images, unchanged, top5, score, args)


def test_all_names_of_the_package_are_there():
    assert all(getattr(bvg, name) is not None for name in bvg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bvg.nothing
