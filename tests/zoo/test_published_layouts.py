"""Every row with files loads what its publisher would have saved, and nothing that is damaged."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from bvg.zoo import loading
from bvg.zoo.loading import CheckpointOptions, architecture_of, load_model
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD, ZooModel, zoo
from conftest import refusal
from publishers import LAYOUTS, Layout, as_files, compact, publish, randomise
from zoo_helpers import assert_frozen, assert_same, normalised, prefixed

CASES = [(name, layout) for name, layouts in LAYOUTS.items() for layout in layouts]
IDS = [f"{name}-{layout.__name__}" for name, layout in CASES]


def smaller(row: ZooModel) -> ZooModel:
    """Return the row, with a smaller network in place of one of 3.3 GB, and of DINOv2's 16."""
    if row.name.startswith("dinov2"):
        small = {"depth": 4, "embed_dim": 12, "num_heads": 2}
        return replace(row, arch_options=row.arch_options | small)
    return replace(row, arch_options={"base_width": 4}) if row.parameters > 500 else row


@cache
def _source(arch: str, options: str) -> torch.nn.Module:
    rows = [row for row in map(smaller, zoo().values()) if row.files]
    row = next(r for r in rows if (r.arch, str(r.arch_options)) == (arch, options))
    return randomise(architecture_of(row))


def source_of(row: ZooModel) -> torch.nn.Module:
    """Return a network with weights of its own; rows of one architecture share it."""
    return _source(row.arch, str(row.arch_options))


def test_every_row_with_files_of_others_has_a_layout():
    rows = zoo().values()
    of_others = {r.name for r in rows if r.files and not r.files[0].source[0].startswith("code/")}
    assert of_others == set(LAYOUTS)


@pytest.mark.parametrize(("name", "layout"), CASES, ids=IDS)
def test_a_row_loads_its_publishers_layout(name, layout, site, use_rows, tmp_path, capsys):
    row = smaller(zoo()[name])
    source = source_of(row)
    use_rows({name: publish(row, site, as_files(layout, compact(source.state_dict())))})
    model = load_model(name, CheckpointOptions(weights_dir=tmp_path / "weights"))
    side = 224 if "vit" in row.arch else 56 if row.name.startswith("dinov2") else 64
    x = torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(x)
        expected = source(normalised(x, row.mean or IMAGENET_MEAN, row.std or IMAGENET_STD))
    assert expected.std() > 1e-3
    assert torch.isfinite(expected).all()
    assert torch.equal(logits, expected)
    assert_same(model.network.state_dict(), source.state_dict())
    assert_frozen(model)
    assert model.origin["zoo"] == name
    stored = {path.name for path in (tmp_path / "weights").glob("*.pth")}
    assert stored == {f"{name}--{number}.pth" for number in range(len(row.files))}
    said = capsys.readouterr().err
    assert ("the weights were found" in said) == any(file.guess for file in row.files)
    assert ("unconfirmed" in said) == bool(row.guess)


class Payload:
    """Makes a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def head_of(state: dict) -> str:
    (key,) = [
        key
        for key in state
        if key.endswith((".fc.weight", "head.weight", "er.6.weight")) or key == "fc.weight"
    ]
    return key


def damages(layout: Layout, state: dict, proof: Path) -> dict[str, tuple[list[bytes], str]]:
    """Return damaged versions of the row's files, and what must be said about each."""
    head = head_of(state)
    without = {key: value for key, value in state.items() if key != head}
    narrow = torch.ones(7).expand(1000, 7)
    content, legacy = layout(state)[0]
    good = as_files(layout, state)
    evil = as_files(lambda _: [(content | {"notes": [Payload(proof)]}, legacy)], state)
    half = good[0][: len(good[0]) // 2]
    damaged = {
        "missing": (as_files(layout, without), f"missing keys: {head}"),
        "extra": (as_files(layout, state | prefixed({"w": narrow}, "more.")), "more.w"),
        "shape": (as_files(layout, state | {head: state[head][:999]}), f"{head} is (999, "),
        "head": (as_files(layout, state | {head: narrow}), f"{head} is (1000, 7) instead"),
        "malicious": (evil + good[1:], "could run arbitrary code, so it is refused"),
        "truncated": ([half, *good[1:]], "truncated"),
    }
    if len(good) > 1:
        damaged["files swapped"] = (good[::-1], "")
    return damaged


@pytest.mark.parametrize("name", LAYOUTS)
def test_damaged_files_are_refused_in_one_sentence(
    name, site, use_rows, tmp_path, monkeypatch, capsys
):
    row = smaller(zoo()[name])
    source = source_of(row)
    monkeypatch.setattr(loading, "architecture_of", lambda row: source)
    before = {key: value.clone() for key, value in source.state_dict().items()}
    layout, proof = LAYOUTS[name][0], tmp_path / "proof"
    state = compact(source.state_dict())
    for kind, (files, words) in damages(layout, state, proof).items():
        use_rows({name: publish(row, site, files, hashed=False)})
        options = CheckpointOptions(weights_dir=tmp_path / kind)
        assert words in refusal(load_model, name, options), kind
        assert not proof.exists(), kind
    served = publish(row, site, as_files(layout, state))
    wrong = replace(served.files[0], sha256="0123abcd")
    use_rows({name: replace(served, files=(wrong, *served.files[1:]))})
    sentence = refusal(load_model, name, CheckpointOptions(weights_dir=tmp_path / "hash"))
    assert "0123abcd… was published" in sentence
    assert_same(source.state_dict(), before)  # nothing was loaded, not even in part


def test_the_payload_of_these_tests_is_a_working_one(tmp_path):
    torch.save([Payload(tmp_path / "proof")], tmp_path / "x.pth")
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert (tmp_path / "proof").exists()


def test_rows_of_one_file_share_its_download(site, use_rows, tmp_path):
    names = ["resnet50_diffusionnoise_fixed_nonoise", "resnet50_diffusionnoise_fixed"]
    quiet, noisy = (zoo()[name] for name in names)
    state = compact(source_of(quiet).state_dict())
    files = as_files(LAYOUTS[names[0]][0], state)
    use_rows({row.name: publish(row, site, files) for row in (quiet, noisy)})
    for name in names:
        load_model(name, CheckpointOptions(weights_dir=tmp_path / "weights"))
    assert len(site.requests) == 1
