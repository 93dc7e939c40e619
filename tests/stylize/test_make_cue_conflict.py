"""make_cue_conflict.py: stimuli that eval_shape_bias.py reads, the same however interrupted."""

import csv
import json
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eval_shape_bias
import make_cue_conflict
from bvg.stylize.adain import load_adain
from bvg.stylize.gatys import Gatys, load_encoder
from bvg.stylize.masks import rotated
from bvg.stylize.styles import style_picture
from conftest import draw
from forks import fork
from miniature import renditions, world
from stylize_helpers import write_published

ENCODER = """
import torch

def small():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 5, stride=2), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(6, 8, 3)
    )
"""


def make(root: Path, out: str, *words: str, code: int = 0) -> Path:
    """Return the folder `out` with stimuli of 3 × 2 contents and 3 × 1 textures in `root`."""
    argv = ["--contents", str(root / "contents"), "--textures", str(root / "textures")]
    argv += ["--out", str(root / out), "--size", "24", "--device", "cpu"]
    if "--pairs" not in words:
        argv += ["--per-pair", "2"]
    assert make_cue_conflict.main([*argv, *words]) == code
    return root / out


def draw_pictures(root: Path) -> Path:
    """Return `root` with contents, textures and the code of a small network."""
    for k, category in enumerate(("ant", "bee", "cat")):
        for n in (1, 2):
            draw(root / "contents" / category / f"{category}{n}.png", 10 * k + n)
        draw(root / "textures" / f"{category}4.jpg", 50 + k, (40, 60))
    (root / "encoder.py").write_text(ENCODER)
    return root


def flags_of(root: Path) -> tuple[str, ...]:
    """Return the flags of the optimisation with the small network."""
    return (
        *("--encoder", f"{root}/encoder.py:small", "--style_layers", "0", "1"),
        *("--content_layer", "2", "--steps", "15"),
    )


@pytest.fixture
def run(tmp_path):
    """Return a function that makes stimuli in a folder of this test's own."""
    return partial(make, draw_pictures(tmp_path))


@pytest.fixture
def gatys(tmp_path):
    return flags_of(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a folder with pictures, and all optimised stimuli of them in `out`."""
    root = draw_pictures(tmp_path_factory.mktemp("whole"))
    make(root, "out", *flags_of(root))
    return root


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*.*"))
        if path.is_file() and not path.name.startswith(".")
    }


def rows_of(out: Path) -> list[dict[str, str]]:
    with open(out / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.size == (224, 224) and image.format == "PNG"
        return np.asarray(image).astype(int)


def test_optimised_stimuli_are_what_the_manifest_says(whole):
    out = whole / "out"
    rows = rows_of(out)
    assert len(rows) == 18 == len(list(out.glob("cue-conflict/*/*.png")))
    record = json.loads((out / "manifest.json").read_text())
    settings = record["stylizer"]
    assert (settings["engine"], settings["style_weight"], settings["steps"]) == ("gatys", 1000, 15)
    assert (settings["style_layers"], settings["content_layer"]) == (["0", "1"], "2")
    assert settings["encoder"] == "encoder.py:small" and len(settings["weights_sha256"]) == 64
    assert record["stimuli"]["count"] == 18
    encoder = load_encoder(f"{whole}/encoder.py:small", None, torch.device("cpu"))
    engine = Gatys(encoder, ["0", "1"], "2", steps=15)
    for row in rows[::8]:
        content, texture = Path(row["content"]), Path(row["texture"])
        assert row["stimulus"].endswith(f"{content.parent}/{content.stem}-{texture.stem}.png")
        with Image.open(whole / "contents" / content) as image:  # 40 × 32 → the centre
            picture = np.asarray(image.resize((30, 24), Image.Resampling.BILINEAR))[:, 3:27]
        with Image.open(whole / "textures" / texture) as image:  # 40 × 60, whole
            style = np.asarray(image.resize((24, 36), Image.Resampling.BILINEAR))
        made = Image.fromarray(engine.make(picture, style))
        expected = np.asarray(made.resize((224, 224), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(pixels(out / row["stimulus"]) - expected).max() <= 1
        shown = engine.encoder.input_of(picture)
        losses = engine.optimised(shown, engine.encoder.input_of(style))[1]
        assert losses[-1] < 0.5 * losses[0]


def test_killed_and_run_again_is_the_same(whole, run, gatys, tmp_path, monkeypatch):
    expected = contents(whole / "out")
    assert len(expected) == 21
    stimulus, begun = make_cue_conflict._stimulus, []

    def killed_in_the_fourth(*arguments):
        begun.append(arguments)
        if len(begun) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return stimulus(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(make_cue_conflict, "_stimulus", killed_in_the_fourth)
        process = fork(run, "out", *gatys, said=tmp_path / "killed")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    halfway = contents(tmp_path / "out")
    assert len(halfway) == 4  # the manifest and three stimuli
    assert all(expected[name] == data for name, data in halfway.items())
    assert contents(run("out", *gatys)) == expected


def test_a_subset_and_a_list_give_the_stimuli_of_the_whole(whole, run, gatys, capsys):
    expected = contents(whole / "out")
    some = run("some", *gatys, "--limit", "5")
    few = {name: data for name, data in contents(some).items() if name.startswith("cue")}
    assert len(few) == 5 == len(rows_of(some))
    assert len({name.split("/")[1] for name in few}) == 3
    assert all(expected[name] == data for name, data in few.items())
    again = run("again", *gatys, "--pairs", str(some / "manifest.csv"))
    assert {k: v for k, v in contents(again).items() if k.startswith("cue")} == few
    capsys.readouterr()
    run("some", *gatys)
    assert "wrote 13 stimuli" in capsys.readouterr().out
    assert contents(some) == expected
    run("some", *gatys, "--limit", "2")  # the manifest and the sheet show all that exist
    assert contents(some) == expected
    assert "ant, bee are not among the 16 categories" in capsys.readouterr().out


def test_other_settings_or_pictures_are_not_mixed_in(run, gatys, tmp_path, capsys):
    before = contents(run("out", *gatys, "--limit", "3"))
    for words, what in (
        (("--seed", "1"), "seed was 0"),
        (("--style_weight", "5"), "style_weight was 1000.0 and is now 5.0"),
        (("--masks", str(tmp_path / "contents")), "masks"),
    ):
        run("out", *gatys, *words, code=2)
        sentence = capsys.readouterr().err
        assert what in sentence and "--out" in sentence
    draw(tmp_path / "textures" / "cat5.jpg", 99)
    run("out", *gatys, code=2)
    assert "--out" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_bad_pictures_are_named_before_any_work(run, gatys, tmp_path, capsys):
    (tmp_path / "contents/bee/bee2.png").write_bytes(b"no image")
    (tmp_path / "textures/cat4.jpg").write_bytes(b"")
    run("out", *gatys, code=2)
    sentence = capsys.readouterr().err
    assert "2 pictures" in sentence and "bee2.png" in sentence and "cat4.jpg" in sentence
    assert not (tmp_path / "out").exists()


def test_stimuli_that_cannot_be_optimised_are_named(run, gatys, tmp_path, capsys):
    run("out", *gatys, "--style_weight", "1e300", "--limit", "2", code=2)
    sentence = capsys.readouterr().err
    assert "2 of 2 stimuli" in sentence and "its loss" in sentence
    assert "--style_weight" in sentence and not rows_of(tmp_path / "out")


def test_transparent_contents_are_on_white_and_masks_may_be_given(run, tmp_path):
    y, x = np.mgrid[:40, :40]
    inside = (np.hypot(x - 20, y - 20) < 12).astype(np.uint8)
    for path in sorted((tmp_path / "contents").glob("*/*.png")):
        rgba = np.dstack([np.zeros((40, 40, 3), np.uint8), 255 * inside])
        Image.fromarray(rgba).save(path)
        mask = tmp_path / "masks" / path.parent.name / path.name
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 * inside).save(mask)
    words = ("--engine", "fill", "--limit", "2")
    cut_out = contents(run("one", *words))
    name = next(name for name in cut_out if name.startswith("cue-conflict"))
    found = pixels(tmp_path / "one" / name)
    assert (found[:20, :20] == 255).all() and found[112, 112].min() < 250
    masked = contents(run("two", *words, "--masks", str(tmp_path / "masks")))
    assert masked[name] == cut_out[name]
    draw(tmp_path / "masks" / name.split("/")[1] / "ant1.png", 1, (9, 9))
    for path in (tmp_path / "masks").glob("*/*.png"):
        path.write_bytes((tmp_path / "masks" / name.split("/")[1] / "ant1.png").read_bytes())
    run("three", *words, "--masks", str(tmp_path / "masks"), code=2)


def test_a_dry_run_writes_nothing(run, gatys, capsys):
    out = run("out", *gatys, "--dry-run")
    assert not out.exists()
    assert "18 stimuli of 3 shapes, about 2 MB and" in capsys.readouterr().out


def test_the_fast_networks_make_stimuli(run, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    write_published(weights / "adain", monkeypatch)
    words = ("--engine", "adain", "--weights_dir", str(weights), "--alpha", "0.7", "--limit", "3")
    out = run("out", *words)
    engine = load_adain(weights / "adain", torch.device("cpu"))
    record = json.loads((out / "manifest.json").read_text())["stylizer"]
    assert (record["engine"], record["alpha"]) == ("adain", 0.7)
    assert record["weights"] == engine.record["weights"]
    for row in rows_of(out):
        style = engine.encode(style_picture(tmp_path / "textures" / row["texture"], 24)[None])
        with Image.open(tmp_path / "contents" / row["content"]) as image:
            picture = np.asarray(image.resize((30, 24), Image.Resampling.BILINEAR))[:, 3:27]
        made = Image.fromarray(engine.stylize(picture[None], style, 0.7)[0])
        expected = np.asarray(made.resize((224, 224), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(pixels(out / row["stimulus"]) - expected).max() <= 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--engine", "fill", "--steps", "3"), "--steps"),
        (("--alpha", "0.5"), "--alpha"),
        (("--encoder", "miniature_plain"), "--style_layers"),
        (("--encoder", "file://net.pth"), "file.py:factory"),
        (("--masks", "nowhere"), "--masks"),
        (("--contents", "nowhere"), "--contents"),
        (("--pairs", "none.csv", "--per_pair", "3"), "--per_pair"),
        (("--engine", "fill", "--per_pair", "3"), "--per_pair 2"),
        (("--engine", "fill"), "silhouettes with --masks"),
        (("--engine", "adain", "--size", "9"), "--size"),
        (("--engine", "fill", "--masks", "."), "there is no mask"),
        (("--encoder", "encoder.pth"), "encoder.pth"),
    ],
)
def test_flags_that_do_not_fit(run, words, remedy, capsys):
    run("out", *words, code=2)
    assert remedy in capsys.readouterr().err


def test_stimuli_inside_the_pictures_folders_are_refused(run, capsys):
    run("contents/new", code=2)
    assert "--out" in capsys.readouterr().err


# The miniature world: textures fill silhouettes, and the planted models are asked.


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return the folder of filled silhouettes, four of each shape, and that of their pictures."""
    root = tmp_path_factory.mktemp("miniature")
    for k, category in enumerate(world.CATEGORIES):
        for number in (1, 2):
            key = world.Picture(k, k, number)
            shape = renditions.black(k, world.generator(7, "silhouette", key), 224)
            texture = renditions.surface(k, world.generator(7, "texture", key), 224)
            for name, picture in (("shapes", shape), ("textures", texture)):
                path = root / name / category / f"{category}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)
    words = ["--engine", "fill", "--contents", str(root / "shapes"), "--size", "224"]
    words += ["--textures", str(root / "textures"), "--out", str(root / "out")]
    assert make_cue_conflict.main([*words, "--per_pair", "1", "--limit", "96"]) == 0
    return root / "out", root


def test_filled_silhouettes_show_the_turned_texture_on_white(filled):
    out, root = filled
    row = rows_of(out)[7]
    found = pixels(out / row["stimulus"])
    name = row["stimulus"].removeprefix("cue-conflict/")
    texture = np.asarray(Image.open(root / "textures" / row["texture"]))
    turned = rotated(texture, make_cue_conflict.angle_of(name, 0)).astype(int)
    inside = np.asarray(Image.open(root / "shapes" / row["content"]))[..., 0] < 100
    assert np.abs(found[inside] - turned[inside]).max() <= 1
    outside = np.asarray(Image.open(root / "shapes" / row["content"])).min(axis=2) == 255
    assert (found[outside] == 255).all() and 0.05 < inside.mean() < 0.6
    angles = {make_cue_conflict.angle_of(r["stimulus"], 0) for r in rows_of(out)}
    assert angles == {*range(0, 360, 36)}


def test_the_contact_sheet_shows_each_shape_and_texture(filled):
    with Image.open(filled[0] / "contact_sheet.png") as sheet:
        assert min(sheet.size) > 16 * 100
        assert np.asarray(sheet.convert("L")).std() > 20


def test_planted_models_go_to_their_ends_and_the_record_says_whose_stimuli(filled, tmp_path):
    models = ("miniature_stylised", "miniature_shape_randomised")
    argv = ["--model", *models, "--stimuli", str(filled[0]), "--results", str(tmp_path)]
    assert eval_shape_bias.main([*argv, "--device", "cpu"]) == 0
    names = [Path(row["stimulus"]).stem for row in rows_of(filled[0])]
    cues = [[part.rstrip("0123456789") for part in name.split("-")] for name in names]
    conflicting = sum(shape != texture for shape, texture in cues)
    assert len(names) == 96 and 80 < conflicting < 96
    metrics = {}
    for model in models:
        (path,) = (tmp_path / "imagenet_shape_bias").glob(f"{model}/**/summary.json")
        summary = json.loads(path.read_text())
        metrics[model] = summary["metrics"]
        assert summary["images"]["stylizer"]["engine"] == "fill"
        assert summary["metrics"]["shape-bias"]["n"] == conflicting
        congruent = summary["metrics"]["top1_acc/cue-conflict/congruent"]
        assert congruent["n"] == 96 - conflicting and congruent["value"] > 70
    shape, texture = (metrics[model] for model in models)
    assert shape["shape-bias"]["value"] > 0.95 and texture["shape-bias"]["value"] < 0.05
    assert shape["fraction-correct-shape"]["value"] > 0.75
    assert texture["fraction-correct-texture"]["value"] > 0.85


def test_optimised_textures_move_the_planted_models(filled, tmp_path):
    """Gatys with a miniature network: answers follow the silhouette, and the new texture."""
    words = ["--contents", str(filled[1] / "shapes"), "--textures", str(filled[1] / "textures")]
    words += ["--encoder", "miniature_plain", "--content_layer", "blocks.4", "--style_layers"]
    words += ["stem", *(f"blocks.{k}" for k in range(4)), "--style_weight", "1e5"]
    words += ["--steps", "19", "--masks", "white", "--size", "224", "--device", "cpu"]
    words += ["--per_pair", "1", "--limit", "8", "--out", str(tmp_path / "out")]
    assert make_cue_conflict.main(words) == 0
    models = ("miniature_stylised", "miniature_shape_randomised")
    argv = ["--model", *models, "--stimuli", str(tmp_path / "out"), "--partial"]
    assert eval_shape_bias.main([*argv, "--results", str(tmp_path), "--device", "cpu"]) == 0
    found = {}
    for model in models:
        (path,) = (tmp_path / "imagenet_shape_bias").glob(f"{model}/**/summary.json")
        found[model] = json.loads(path.read_text())["metrics"]
    assert found[models[0]]["fraction-correct-shape"]["value"] > 0.6
    assert found[models[1]]["fraction-correct-texture"]["value"] > 0.3
