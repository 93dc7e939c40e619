"""--check_top1: the right model passes, the commonest mistakes are noticed."""

import re

import numpy as np
import pytest

import eval_imagenet
from conftest import refusal
from evaluation.command_line import parser
from evaluation.sanity import check_top1, expected_top1, verdict
from images.preprocessing import STUDY, Preprocessing
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
        "from model_zoo.loading import load_model\n"
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


def test_without_imagenet_the_flag_is_refused(tmp_path):
    arguments = parser(None).parse_args(["--model", "x", "--check_top1", "5"])
    sentence = refusal(check_top1, [None], arguments, None)
    assert "--imagenet" in sentence and "BVG_IMAGENET" in sentence
    check_top1([], arguments, None)  # nothing to check
    check_top1([None], parser(None).parse_args(["--model", "x"]), None)  # not asked for
