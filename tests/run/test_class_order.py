"""Models of ImageNet's classes under other names and in another order give the same results."""

import json

import pytest

import eval_imagenet
import eval_imagenet_c
import eval_imagenet_ood
import eval_model_vs_human
import eval_shape_bias
import eval_spectral
from bvg.data.categories import CATEGORIES
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import read_predictions
from conftest import draw

WNIDS = imagenet_classes()
# One network of 1000 logits, and the same one with its logits moved about and named.
MODELS = """
import torch
from timm.data import ImageNetInfo
from torchvision.models import ResNet18_Weights

WNIDS = ImageNetInfo("imagenet-1k").label_names()
ENGLISH = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]

class Net(torch.nn.Module):
    def __init__(self, moved=lambda z: z, classes=None):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(3, 8, 16, stride=16), torch.nn.Linear(8, 1000)
        generator = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.moved = moved
        if classes is not None:
            self.classes = classes

    def forward(self, x):
        return self.moved(self.head(self.conv(x - 0.5).relu().mean((2, 3))))

def with_background(z):
    return torch.cat([z[:, :1] + 50, z], 1)

def plain(): return Net()
def counted(): return Net(classes=1000)
def english(): return Net(classes=ENGLISH)
def reversed_wnids(): return Net(lambda z: z.flip(1), WNIDS[::-1])
def reversed_english(): return Net(lambda z: z.flip(1), {k: v for k, v in enumerate(ENGLISH[::-1])})
def background(): return Net(with_background, ["background", *WNIDS])
def background_last(): return Net(lambda z: with_background(z).roll(-1, 1), [*WNIDS, "background"])

def unnamed_1001(): return Net(with_background)
def some_200(): return Net(lambda z: z[:, :200], WNIDS[:200])
def unknown_names(): return Net(classes=[f"thing {k}" for k in range(1000)])
def twice(): return Net(classes=[*WNIDS[:999], WNIDS[0]])

class Fixed(Net):
    def forward(self, x):
        assert x.shape[-1] == 64, f"input height {x.shape[-1]} does not match 64"
        return super().forward(x)

def fixed(): return Fixed()
def half(): return Net().half()
def double(): return Net().double()
"""
SAME = ("counted", "english", "reversed_wnids", "reversed_english", "background", "background_last")


@pytest.fixture
def call(tmp_path, capsys):
    """Return a function that runs a benchmark and gives (exit code, last line of stderr)."""
    file = tmp_path / "models.py"
    file.write_text(MODELS)

    def run(benchmark, models, *words) -> tuple[int, str]:
        argv = ["--model", *(f"{file}:{name}" for name in models), "--num_workers", "0"]
        argv += ["--results", str(tmp_path / "results"), *map(str, words)]
        capsys.readouterr()
        code = benchmark.main(argv)
        err = capsys.readouterr().err.strip()
        assert "Traceback" not in err
        return code, err.splitlines()[-1] if err else ""

    run.results = tmp_path / "results"
    return run


@pytest.fixture
def val(tmp_path):
    for number, wnid in enumerate((WNIDS[0], WNIDS[7], WNIDS[500], WNIDS[999])):
        draw(tmp_path / "imagenet" / "val" / wnid / "a.png", number)
    return "--imagenet", tmp_path / "imagenet", "--partial"


@pytest.fixture
def cue_conflict(tmp_path):
    for number, (shape, texture) in enumerate([("cat", "dog"), ("car", "cat"), ("dog", "clock")]):
        path = tmp_path / "stimuli" / shape / f"{shape}1-{texture}2.png"
        draw(path, number, (224, 224))
    return "--stimuli", tmp_path / "stimuli", "--partial"


def results(folder, name):
    predictions = read_predictions(folder / name / "predictions.parquet")
    summary = json.loads((folder / name / "summary.json").read_text())
    return predictions, summary


def test_the_same_outputs_in_every_order_of_the_logits(call, val, cue_conflict):
    models = ("plain", *SAME)
    assert call(eval_imagenet, models, *val)[0] == 0
    assert call(eval_shape_bias, models, *cue_conflict)[0] == 0
    for benchmark in ("imagenet", "imagenet_shape_bias"):
        folder = call.results / benchmark
        expected, summary = results(folder, "plain")
        for name in SAME:
            found, its = results(folder, name)
            assert (found.answers == expected.answers).all()
            assert found.classes == expected.classes
            assert its["metrics"] == summary["metrics"]
    assert len({tuple(row) for row in expected.answers}) > 1  # the images make a difference


def test_what_was_moved_is_recorded_and_part_of_the_identity(call, val, tmp_path):
    assert call(eval_imagenet, ("plain", "english", "reversed_wnids"), *val)[0] == 0
    records = {n: results(call.results / "imagenet", n)[1] for n in ("plain", "reversed_wnids")}
    assert "ImageNet's order" in json.dumps(records["reversed_wnids"])
    assert "ImageNet's order" not in json.dumps(records["plain"])
    assert "classes_sha256" in records["reversed_wnids"]["identity"]["model"]
    assert "classes_sha256" not in records["plain"]["identity"]["model"]
    hashes = {r["identity"]["model"]["weights_sha256"] for r in records.values()}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("benchmark", "data"),
    [
        (eval_imagenet, "val"),
        (eval_spectral, "val"),
        (eval_shape_bias, "cue_conflict"),
        (eval_model_vs_human, "edge"),
        (eval_imagenet_c, "c"),
        (eval_imagenet_ood, "sketch"),
    ],
)
def test_models_of_other_classes_are_one_sentence_about_the_model(
    benchmark, data, call, val, cue_conflict, tmp_path
):
    draw(tmp_path / "mvh" / "edge" / CATEGORIES[0] / "a.png", 1, (224, 224))
    for number, wnid in enumerate((WNIDS[0], WNIDS[999])):
        draw(tmp_path / "sketch" / wnid / "a.JPEG", number)
        draw(tmp_path / "c" / "fog" / "1" / wnid / "a.JPEG", number, (224, 224))
    words = {
        "val": val,
        "cue_conflict": cue_conflict,
        "edge": ("--stimuli", tmp_path / "mvh", "--datasets", "edge", "--partial"),
        "c": (
            "--imagenet_c",
            tmp_path / "c",
            "--partial",
            "--corruptions",
            "fog",
            "--severities",
            1,
        ),
        "sketch": ("--imagenet_sketch", tmp_path / "sketch", "--partial"),
    }[data]
    assert call(benchmark, ("plain",), *words)[0] == 0
    for model in ("some_200", "unknown_names", "twice", "unnamed_1001"):
        code, err = call(benchmark, (model,), *words)
        assert code == 2
        assert err.startswith("error: ")
        if model in ("twice", "unnamed_1001"):
            assert err.startswith(f"error: model {model} has ")
        assert "class" in err
        assert "model" in err


def test_the_remedy_for_another_size_is_one_that_the_script_has(call, val, cue_conflict):
    code, err = call(eval_imagenet, ("fixed",), *val)
    assert (code, "--preprocess native" in err, "`native`" in err) == (2, True, True)
    code, err = call(eval_shape_bias, ("fixed",), *cue_conflict)
    assert (code, "--preprocess" in err) == (2, False)
    assert "224 x 224" in err


@pytest.mark.parametrize(("model", "kind"), [("half", "float16"), ("double", "float64")])
def test_weights_of_another_precision_are_named(model, kind, call, val):
    code, err = call(eval_imagenet, (model,), *val)
    assert code == 2
    assert kind in err
    assert ".float()" in err
    assert "--preprocess" not in err
