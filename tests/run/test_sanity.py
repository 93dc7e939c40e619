"""--check_top1: the right model passes, the commonest mistakes are noticed."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import eval_imagenet
from bvg.data import imagenet
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.run import input_check, loop
from bvg.run.check_top1 import check_top1, expected_top1, verdict
from bvg.run.command_line import parser
from conftest import refusal
from miniature import world
from miniature.draw import save

NATIVE = Preprocessing(232, 224)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """Return a folder with four validation images of each category."""
    folder = tmp_path_factory.mktemp("world")
    for picture in world.matched(4):
        save("imagenet", 0, folder, picture)
    return folder


def evaluate(tmp_path, miniature, *words: str) -> None:
    words = (*words, "--imagenet", str(miniature), "--results", str(tmp_path), "--limit", "16")
    assert eval_imagenet.main([*words, "--wandb", "disabled"]) == 0


def test_the_zoos_own_model_is_as_expected(tmp_path, miniature, capsys):
    evaluate(tmp_path, miniature, "--model", "miniature_plain", "--check_top1", "64")
    out, err = capsys.readouterr()
    line = (
        r"miniature_plain: (98\.4|100\.0) % of 64 clean images are right, as expected \(the zoo's"
    )
    assert re.search(line + r" table says 99\.4 %\)", out)
    assert "warning" not in out + err


def test_a_model_whose_classes_are_in_another_order_is_noticed(tmp_path, miniature, capsys):
    path = tmp_path / "net.py"
    path.write_text(
        "from bvg.zoo.loading import load_model\n"
        "def build():\n"
        "    model = load_model('miniature_plain')\n"
        "    right = model.forward\n"
        "    model.forward = lambda x: right(x).roll(1, dims=1)\n"
        "    return model\n"
    )
    model = f"{path}:build"
    evaluate(tmp_path / "results", miniature, "--model", model, "--check_top1", "64")
    out, err = capsys.readouterr()
    assert re.search(r"build: warning: \d\.\d % of 64 clean images are right, but the zoo's", err)
    assert "the order of the classes" in err
    assert "top1_acc/imagenet" in out  # a warning, not a refusal


@pytest.mark.parametrize(
    ("correct", "count", "expected", "fine"),
    [
        (76, 100, 76.1, True),
        (68, 100, 76.1, True),  # 8 points off: 100 images leave that open
        (680, 1000, 76.1, False),
        (38000, 50000, 76.13, True),
        (37750, 50000, 76.13, True),  # 0.63 points off: just beyond what other libraries may do
        (37000, 50000, 76.13, False),
        (0, 100, 76.1, False),
        (100, 100, 76.1, False),
        (50, 50, 99.8, True),
        (0, 100, 0.066, True),  # the untrained network
    ],
)
def test_the_sample_size_decides_what_is_far(correct, count, expected, fine):
    words, is_fine = verdict(correct, count, expected, 1000)
    assert is_fine == fine
    assert words.startswith("warning: ") != fine
    assert f"{100 * correct / count:.1f} % of {count:,} clean images" in words


def test_honest_models_are_hardly_ever_suspected():
    draws = np.random.default_rng(0).binomial(200, 0.75, 1000)
    suspected = sum(not verdict(int(correct), 200, 75.0, 1000)[1] for correct in draws)
    assert suspected <= 3


@pytest.mark.parametrize(
    ("correct", "classes", "fine"),
    [(0, 1000, False), (1, 1000, False), (30, 1000, True), (7, 16, False), (30, 16, True)],
)
def test_a_model_without_a_number_must_beat_chance(correct, classes, fine):
    words, is_fine = verdict(correct, 100, None, classes)
    assert is_fine == fine
    assert ("--mean and --std" in words) != fine


def test_a_number_is_only_compared_in_the_view_it_was_measured_in():
    assert expected_top1("tv2_resnet50", STUDY, NATIVE) == 80.342
    assert expected_top1("tv2_resnet50", NATIVE, NATIVE) == 80.846
    assert expected_top1("tv2_resnet50", Preprocessing(300, 288), NATIVE) is None
    assert expected_top1("tf_efficientnet_b0_ns", STUDY, NATIVE) is None
    assert expected_top1("alexnet", STUDY, STUDY) == 56.522
    assert expected_top1("vit_base_patch16_224.mae_in1k", STUDY, NATIVE) is None
    assert expected_top1("", STUDY, None) is None


IMAGENET = "pixels normalized with ImageNet's mean and std"
HALF = "pixels normalized with mean and std 0.5"
GREY = "(x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True).expand_as(x)"
COLOURS = np.random.default_rng(3).uniform(0.05, 0.95, (12, 3))
# A network that knows twelve colours as it expects them, in a factory that may get its input wrong.
COLOUR_FILE = """
import torch
m = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
s = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)

class Net(torch.nn.Module):
    classes = tuple("abcdefghijkl")

    def __init__(self):
        super().__init__()
        x = torch.tensor({colours})[..., None, None]
        self.register_buffer("known", ({expected}).flatten(1))

    def forward(self, seen):
        assert not {strict} or seen.min() >= 0 and seen.max() <= 1
        x = {given}
        return -torch.cdist(x.mean((2, 3)), self.known)

def net(): return Net()
"""


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Return a folder with eight images of each colour."""
    folder = tmp_path_factory.mktemp("colours")
    for name, colour in zip("abcdefghijkl", COLOURS, strict=True):
        (folder / "val" / name).mkdir(parents=True)
        for number in range(8):
            image = Image.new("RGB", (24, 24), tuple(int(255 * value) for value in colour))
            image.save(folder / "val" / name / f"{number}.png")
    return folder


def _suspected(tmp_path, folder, capsys, given: str, expected: str, strict: bool = False) -> str:
    path = tmp_path / "colour.py"
    text = COLOUR_FILE.format(
        colours=COLOURS.tolist(), given=given, expected=expected, strict=strict
    )
    path.write_text(text)
    evaluate(tmp_path / "results", folder, "--model", f"{path}:net", "--check_top1", "96")
    out, err = capsys.readouterr()
    assert "of 96 clean images" in out + err
    return "".join(line for line in err.splitlines() if "probably" in line)


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        ("seen", "(x - m) / s", f"{IMAGENET} (but gets pixels in [0, 1])"),
        ("seen", "2 * x - 1", f"{HALF} (but gets pixels in [0, 1])"),
        ("((seen - m) / s - m) / s", "(x - m) / s", f"pixels in [0, 1] (but gets {IMAGENET})"),
        ("2 * (2 * seen - 1) - 1", "2 * x - 1", f"pixels in [0, 1] (but gets {HALF})"),
        ("(seen - m) / s", "2 * x - 1", f"{HALF} (but gets {IMAGENET})"),
        ("2 * seen - 1", "(x - m) / s", f"{IMAGENET} (but gets {HALF})"),
        ("(seen - m) / s", "(x.flip(1) - m) / s", "BGR channels:"),
        ("seen", "x * 255", "pixels in 0-255 (but gets pixels in [0, 1])"),
        ("(seen - m) / s", "(255 * x - m) / s", "pixels in 0-255 (but gets pixels in [0, 1])"),
        (
            "seen",
            "(255 * x).flip(1) - torch.tensor((103.939, 116.779, 123.68)).view(3, 1, 1)",
            "Caffe",
        ),
    ],
)
def test_a_likely_mistake_of_the_input_is_named(tmp_path, colours, capsys, given, expected, words):
    said = _suspected(tmp_path, colours, capsys, given, expected)
    assert words in said
    assert "100.0 % of 64 photographs are right instead of" in said


def test_a_network_of_grey_images_is_noticed(tmp_path, colours, capsys):
    assert "grey images:" in _suspected(tmp_path, colours, capsys, "seen", GREY)


@pytest.mark.parametrize("right", ["x", "(x - m) / s", "2 * x - 1", "255 * x.flip(1)"])
@pytest.mark.parametrize("strict", [False, True])  # whether it refuses pixels outside [0, 1]
def test_the_right_input_is_not_suspected(tmp_path, colours, capsys, right, strict):
    assert not _suspected(tmp_path, colours, capsys, right.replace("x", "seen"), right, strict)


# It uses random numbers, and fails once there is a chunk if the file .stop exists.
DRAWING = """
from pathlib import Path
import torch
stop = Path(__file__ + ".stop")
def drawing(x):
    torch.rand(1)
    assert not stop.exists() or not any(stop.parent.rglob("chunk-*"))
    return x
"""


@pytest.fixture
def swapped(tmp_path):
    """Return the file of a network that expects BGR, but gets RGB."""
    path = tmp_path / "swapped.py"
    parts = {"colours": COLOURS.tolist(), "given": "drawing(seen)", "expected": "x.flip(1)"}
    path.write_text(DRAWING + COLOUR_FILE.format(**parts, strict=False))
    return path


def _run(results, folder, path, *words: str) -> int:
    words = ("--imagenet", str(folder), "--results", str(results), "--batch_size", "8", *words)
    return eval_imagenet.main(["--model", f"{path}:net", *words, "--wandb", "disabled"])


def _summary(results) -> dict:
    return json.loads((results / "imagenet" / "net" / "summary.json").read_text())


def test_long_runs_are_checked_and_no_answer_changes(
    tmp_path, colours, swapped, capsys, monkeypatch
):
    assert _run(tmp_path / "without", colours, swapped) == 0
    assert "probably" not in capsys.readouterr().err
    assert "input_check" not in _summary(tmp_path / "without")
    monkeypatch.setattr(input_check, "LONG", 0)
    assert _run(tmp_path / "with", colours, swapped) == 0
    assert "probably expects BGR channels" in capsys.readouterr().err
    found = _summary(tmp_path / "with")["input_check"]
    assert found["images"] == 96 - input_check.SCREENED and found["classes"] == len(COLOURS)
    assert found["best_other"] == "BGR channels" and found["p"] < input_check.SURE
    assert found["best_other_top1"] == 100 > found["top1"]
    assert "x.flip(1)" in found["warning"]
    one, other = (
        tmp_path / name / "imagenet/net/predictions.parquet" for name in ("with", "without")
    )
    assert one.read_bytes() == other.read_bytes()


def test_an_interrupted_run_keeps_what_its_check_found(
    tmp_path, colours, swapped, capsys, monkeypatch
):
    monkeypatch.setattr(input_check, "LONG", 0)
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 8)
    stop = swapped.with_name("swapped.py.stop")
    stop.touch()
    assert _run(tmp_path / "results", colours, swapped) == 2
    stop.unlink()
    capsys.readouterr()
    monkeypatch.setattr(input_check, "LONG", 10**6)  # another check would not be due
    assert _run(tmp_path / "results", colours, swapped) == 0
    out, err = capsys.readouterr()
    assert "resuming" in out and "probably expects BGR channels" in err
    assert "warning" in _summary(tmp_path / "results")["input_check"]


def test_the_zoos_models_are_only_checked_on_demand(tmp_path, miniature, capsys, monkeypatch):
    monkeypatch.setattr(input_check, "LONG", 0)
    evaluate(tmp_path, miniature, "--model", "miniature_plain")
    assert "convention" not in capsys.readouterr().out
    evaluate(tmp_path, miniature, "--model", "miniature_plain", "--check_top1", "16", "--overwrite")
    assert "no other convention" in capsys.readouterr().out
    summary = json.loads((tmp_path / "imagenet/miniature_plain/summary.json").read_text())
    assert summary["input_check"]["images"] == 8 and "warning" not in summary["input_check"]


def test_warnings_of_the_images_are_printed_once(tmp_path, colours, swapped, capsys, monkeypatch):
    monkeypatch.setattr(imagenet, "check_images", lambda *_: print("these are others"))
    assert _run(tmp_path / "results", colours, swapped, "--check_top1", "16") == 0
    assert capsys.readouterr().out.count("these are others") == 1


def test_without_imagenet_the_flag_is_refused(tmp_path):
    arguments = parser(None).parse_args(["--model", "x", "--check_top1", "5"])
    sentence = refusal(check_top1, [None], arguments, None)
    assert "--imagenet" in sentence and "BVG_IMAGENET" in sentence
