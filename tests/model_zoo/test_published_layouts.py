"""The table's own rows load files of their publishers' layouts: same logits as the source."""

import argparse
import hashlib
from dataclasses import replace

import pytest
import timm
import torch

from model_zoo.loading import CheckpointOptions, load_model
from model_zoo.table import zoo
from zoo_helpers import assert_frozen, normalised, pixels, prefixed, saved


def randomised_resnet50() -> torch.nn.Module:
    """Return timm's resnet50 with numbers that differ by output channel only, so files are small.

    Even so, no two layers, channels or logits are the same.
    """
    network = timm.create_model("resnet50").eval()
    generator = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            signs = torch.randn((len(value), *[1] * (value.ndim - 1)), generator=generator)
            small = 1 / value[0].numel() if value.ndim > 1 else 0.3  # so that nothing explodes
            value.copy_(signs * small)
            if value.ndim == 1 and key.endswith(("weight", "running_var")):
                value.abs_().add_(0.5)
    return network


def compact(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the same tensors, repetitions not stored (they take no space in a file)."""
    first = (slice(None), slice(0, 1), slice(0, 1), slice(0, 1))
    return {
        k: v[first[: v.ndim]].clone().expand(v.shape) if v.ndim else v for k, v in state.items()
    }


def pytorch_examples(state: dict) -> list[bytes]:
    content = {"epoch": 60, "arch": "resnet50", "state_dict": prefixed(state, "module.")}
    content |= {"best_prec1": torch.tensor(60.0), "optimizer": {"state": {}, "param_groups": []}}
    return [saved(content, legacy=True)]


def robustness(state: dict) -> list[bytes]:
    normalizer = {"new_mean": torch.ones(3, 1, 1), "new_std": torch.ones(3, 1, 1)}
    wrong = {key: value + 1 for key, value in state.items()}
    model = (
        prefixed(normalizer, "module.normalizer.")
        | prefixed(state, "module.model.")
        | prefixed(normalizer, "module.attacker.normalize.")
        | prefixed(compact(wrong), "module.attacker.model.")
    )
    assert len(model) == 644
    return [saved({"model": model, "optimizer": {}, "schedule": None, "epoch": 89})]


def dino(state: dict) -> list[bytes]:
    backbone = {key: value for key, value in state.items() if not key.startswith("fc.")}
    head = {f"module.linear.{key}": state[f"fc.{key}"] for key in ("weight", "bias")}
    return [saved(backbone), saved({"epoch": 100, "state_dict": head, "best_acc": 75.3})]


def undescribed(state: dict) -> list[bytes]:
    content = {"model": prefixed(state, "module."), "args": argparse.Namespace(lr=0.1)}
    return [saved(content)]


@pytest.fixture(scope="module")
def resnet50():
    return randomised_resnet50()


def served(row, site, contents: list[bytes]):
    """Return the zoo's row with its files at `site` instead of at their publisher's."""
    files = []
    for number, (file, content) in enumerate(zip(row.files, contents, strict=True)):
        site.files[f"/{number}.pth"] = content
        source = (f"{site.url}/{number}.pth?download=1",)
        files.append(replace(file, source=source, sha256=hashlib.sha256(content).hexdigest()))
    return replace(row, files=tuple(files))


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("resnet50_trained_on_SIN", pytorch_examples),
        ("resnet50_moco_v3_1000ep", pytorch_examples),
        ("robust_resnet50_linf_eps4.0", robustness),
        ("resnet50_dino", dino),
        ("resnet50_frozen_random", undescribed),
    ],
)
def test_the_tables_own_rows_load_their_publishers_layouts(
    name, layout, resnet50, site, use_rows, tmp_path
):
    row = zoo()[name]
    use_rows({name: served(row, site, layout(compact(resnet50.state_dict())))})
    model = load_model(name, CheckpointOptions(weights_dir=tmp_path / "weights"))
    x = pixels(64)
    with torch.no_grad():
        logits, expected = model(x), resnet50(normalised(x))
    assert expected.std() > 1e-3
    assert torch.isfinite(expected).all()
    assert torch.equal(logits, expected)
    assert_frozen(model)
    assert model.origin["zoo"] == name
    stored = {path.name for path in (tmp_path / "weights").glob("*.pth")}
    assert stored == {f"{name}--{number}.pth" for number in range(len(row.files))}
