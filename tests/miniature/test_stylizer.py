"""The miniature world's stylizer: its weights, its training, and what is left of each cue."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import eval_stylized_imagenet
import stylize
import train
from bvg.stylize.adain import ENCODER_USED, WIDTHS, decoder_network, encoder_network
from bvg.training.curve import CURVE, read_curve
from conftest import refusal
from miniature import draw, measure, train_adain, world
from miniature.renditions import surface
from miniature.sets import TRAINED, conflict_name
from miniature.stylizer import WEIGHTS, load_miniature

CPU = torch.device("cpu")
UNSEEN = 7  # a world seed that neither the stylizer nor a network was trained on
FOLDER = WEIGHTS.parent / "weights"


def test_the_networks_are_the_published_ones_with_fewer_channels():
    with torch.device("meta"):
        published = {"encoder": encoder_network()[:ENCODER_USED], "decoder": decoder_network()}
    state = load_file(WEIGHTS)
    own = {f"{name}.{key}" for name, network in published.items() for key in network.state_dict()}
    assert set(state) == own
    assert state["encoder.29.weight"].shape[0] < WIDTHS[-1]
    assert WEIGHTS.stat().st_size < 600_000


def test_weights_of_another_layout_or_of_no_stylizer_are_refused(tmp_path):
    state = load_file(WEIGHTS)
    path = tmp_path / "adain.safetensors"
    save_file({key: value for key, value in state.items() if key != "decoder.1.bias"}, path)
    assert "missing keys: decoder.1.bias" in refusal(load_miniature, CPU, path)
    save_file({key: value.flip(0) for key, value in state.items()}, path)
    assert "train_adain.py" in refusal(load_miniature, CPU, path)


@pytest.fixture(scope="module")
def stylized():
    """Return the categories of 64 pictures, (64,), and these before and after stylization.

    The styles are pictures of other categories.
    """
    keys = list(world.matched(4))
    others = [world.Picture(*2 * ((k + 5 * n) % 16,), n) for k, _, n in keys]
    contents, styles = (
        np.stack([world.render(UNSEEN, split, key) for key in some])
        for split, some in (("stylizer", keys), ("stylizer/style", others))
    )
    engine = load_miniature(CPU)
    copies = [
        engine.stylize(contents[k : k + 16], engine.encode(styles[k : k + 16]), 1.0)
        for k in range(0, len(keys), 16)
    ]
    labels = torch.tensor([key.shape for key in keys])
    both = (contents, np.concatenate(copies))
    return labels, *(torch.from_numpy(x).permute(0, 3, 1, 2) for x in both)


def answers(name: str, images: torch.Tensor) -> torch.Tensor:
    return measure.decisions(measure.load(FOLDER / f"{name}.safetensors"), images)


def test_stylised_keeps_its_answers_and_shape_randomised_loses_them(stylized):
    labels, contents, copies = stylized
    kept = {}
    for name in ("stylised", "shape_randomised"):
        before, after = answers(name, contents), answers(name, copies)
        assert (before == labels).double().mean() > 0.9
        kept[name] = (before == after).double().mean().item()
    assert kept["stylised"] > 0.5
    assert kept["shape_randomised"] < 0.35  # chance is 0.06
    assert kept["stylised"] > kept["shape_randomised"] + 0.3


def test_a_world_for_training_is_drawn_when_it_is_asked_for(tmp_path, monkeypatch):
    keys = [world.Picture(3, 3, 2), world.Picture(3, 3, TRAINED + 2)]
    few = replace(draw.ALL["imagenet-train"], pictures=lambda per_class: keys)
    monkeypatch.setitem(draw.ALL, "imagenet-train", few)
    argv = ["--out", str(tmp_path), "--sets", "imagenet-train", "--num_workers", "0"]
    assert draw.main(argv) == 0
    files = sorted((tmp_path / "imagenet-train").rglob("*.JPEG"))
    assert [path.parent.relative_to(tmp_path / "imagenet-train").as_posix() for path in files] == [
        "train/crescent",
        "val/crescent",
    ]
    sizes = [Image.open(path).size for path in files]
    assert sizes == [(224, 224), (256, 256)]


@pytest.mark.parametrize("size", [64, 224])
def test_a_stylized_world_is_the_same_twice_and_can_be_evaluated(tmp_path, size):
    """Eight pictures, in textures alone."""
    draw.make(tmp_path, 0, 2, 0, ["imagenet"])
    textures = tmp_path / "textures"
    textures.mkdir()
    for k, name in enumerate(world.CATEGORIES):
        Image.fromarray(surface(k, np.random.default_rng(k), world.SIDE)).save(
            textures / f"{name}.png"
        )
    words = ["--weights", "miniature", "--images", str(tmp_path / "imagenet"), "--device", "cpu"]
    words += ["--styles", str(textures), "--size", str(size), "--limit", "8"]
    for out in ("once", "twice"):
        assert stylize.main([*words, "--out", str(tmp_path / out)]) == 0
    once, twice = (sorted((tmp_path / out).rglob("*.png")) for out in ("once", "twice"))
    assert len(once) == 8
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in twice]
    assert Image.open(once[0]).size == (size, size)
    record = json.loads((tmp_path / "once" / "manifest.json").read_text())["stylizer"]
    assert list(record["weights"]) == [WEIGHTS.name]
    if size == 224:
        argv = ["--model", "miniature_stylised", "--stylized_imagenet", str(tmp_path / "once")]
        argv += ["--partial"]
        argv += ["--results", str(tmp_path / "results"), "--wandb", "disabled", "--device", "cpu"]
        assert eval_stylized_imagenet.main(argv) == 0


def test_the_weights_are_of_adain_and_not_of_the_published_copies(tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    (images / "picture.png").write_bytes(b"")
    argv = ["--weights", "miniature", "--images", str(images), "--styles", str(images)]
    argv += ["--out", str(tmp_path / "out")]
    for words in (["--engine", "ghiasi"], ["--as_published"]):
        assert stylize.main([*argv, *words]) == 2
        assert "--weights miniature" in capsys.readouterr().err


def test_training_twice_gives_the_same_file_and_networks_that_load(tmp_path, monkeypatch):
    for name, value in {"PER_CLASS": 1, "ENCODER_STEPS": 8, "DECODER_STEPS": 4}.items():
        monkeypatch.setattr(train_adain, name, value)
    for out in ("once", "twice"):
        assert train_adain.main(["--out", str(tmp_path / out)]) == 0
    first, second = (tmp_path / out / WEIGHTS.name for out in ("once", "twice"))
    assert first.read_bytes() == second.read_bytes()
    assert set(load_file(first)) == set(load_file(WEIGHTS))


def write(folder: Path, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Write pictures as <folder>/train/<category>/<n>.png."""
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "train" / world.CATEGORIES[label] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def test_recipe_a_raises_shape_bias_and_c_lowers_it(stylized, tmp_path):
    """From the plain network on stylized pictures, and from there on the pictures themselves."""
    labels, contents, copies = stylized
    write(tmp_path / "imagenet", contents, labels)
    write(tmp_path / "sin", copies, labels)
    for key in (k for k in world.cue_conflict(1) if (k.texture - k.shape) % 16 in (1, 3, 6, 9, 12)):
        path = tmp_path / "stimuli" / conflict_name(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(world.render(UNSEEN, "cue-conflict", key)).save(path)

    def fractions(recipe: str, model: str) -> tuple[dict[str, float], dict[str, float]]:
        """Return the rows of the curve before and after training."""
        argv = ["--recipe", recipe, "--model", model, "--out", str(tmp_path / recipe)]
        argv += ["--imagenet", str(tmp_path / "imagenet"), "--stylized", str(tmp_path / "sin")]
        argv += ["--stimuli", str(tmp_path / "stimuli"), "--device", "cpu"]
        argv += ["--epochs", "2", "--milestones", "--batch_size", "16", "--least_area", "0.8"]
        argv += ["--lr", "0.003", "--wandb", "disabled"]
        assert train.main(argv) == 0
        rows = read_curve(tmp_path / recipe / CURVE)
        return rows[0], rows[-1]

    plain, a = fractions("A", "miniature_plain")
    start, c = fractions("C", f"file://{tmp_path}/A/weights.safetensors")
    assert start["shape-bias"] == a["shape-bias"]
    assert a["shape-bias"] > plain["shape-bias"] + 0.03
    assert c["shape-bias"] < a["shape-bias"] - 0.03
