"""The interface: [0, 1] in, normalised by the model's own statistics, logits out."""

import pytest
import timm
import torch
from torch import nn

from bvg.data.preprocessing import STUDY
from bvg.zoo.loading import load_model
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.table import zoo
from conftest import refusal


def test_each_channel_is_normalised_by_its_own_numbers():
    model = NormalizedModel(nn.Identity(), (0.5, 0.25, 0.0), (0.5, 0.25, 0.125))
    image = torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)
    # by hand: (1 - 0.5) / 0.5 = 1; (0.5 - 0.25) / 0.25 = 1; (0.5 - 0) / 0.125 = 4
    assert model(image).flatten().tolist() == [1.0, 1.0, 4.0]


def test_whole_numbers_as_statistics_leave_the_input_as_it_is():
    model = NormalizedModel(nn.Identity(), (0, 0, 0), (1, 1, 1))
    image = torch.rand(2, 3, 4, 5)
    assert torch.equal(model(image), image)
    assert model.half()(image.half()).dtype == torch.float16
    assert model.mean.dtype == model.std.dtype == torch.float16


def test_what_is_known_about_a_model_is_carried_along():
    model = NormalizedModel(
        nn.Identity(), (0,) * 3, (1,) * 3, classes=("a", "b"), native=STUDY, origin={"zoo": "x"}
    )
    assert (model.classes, model.native, model.origin) == (("a", "b"), STUDY, {"zoo": "x"})
    plain = NormalizedModel(nn.Identity(), (0,) * 3, (1,) * 3)
    assert (plain.classes, plain.native, plain.origin) == (None, None, {})


def test_the_statistics_are_part_of_what_identifies_the_weights():
    model = NormalizedModel(nn.Linear(1, 1), (0.1, 0.2, 0.3), (1, 1, 1))
    assert {"mean", "std", "network.weight", "network.bias"} == set(model.state_dict())


@pytest.mark.parametrize(
    ("mean", "std", "name"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "mean"),
        ((0.485, 0.456, 0.406), (58.395, 57.12, 57.375), "std"),
        ((103.5, 116.3, 123.7), (1 / 255,) * 3, "mean"),
        ((0, 0, 0), (255, 255, 255), "std"),
        ((0.5, 0.5, 0.5), (0.5, 0.0, 0.5), "std"),
        ((0.5, 0.5, 0.5), (0.5, 0.5, -0.5), "std"),
        ((-0.1, 0.5, 0.5), (0.5, 0.5, 0.5), "mean"),
        ((0.5, float("nan"), 0.5), (0.5, 0.5, 0.5), "mean"),
        ((0.5, 0.5, 0.5), (0.5, 0.5, float("inf")), "std"),
        ((0.5, 0.5), (0.5, 0.5), "mean"),
        ((), (1, 1, 1), "mean"),
    ],
)
def test_statistics_of_other_pixels_than_those_in_0_to_1_are_refused(mean, std, name):
    sentence = refusal(NormalizedModel, nn.Identity(), mean, std)
    assert f"the {name} " in sentence
    assert "[0, 1]" in sentence


def test_the_statistics_on_the_right_scale_are_offered():
    given = refusal(NormalizedModel, nn.Identity(), (127.5,) * 3, (127.5,) * 3)
    assert "0.5 0.5 0.5" in given
    std = (58.395, 57.12, 57.375)
    assert "0.229 0.224 0.225" in refusal(NormalizedModel, nn.Identity(), (0.5,) * 3, std)


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0, 0, 0), (1 / 255,) * 3), ((1, 0, 1), (1, 1, 1)), ([0.5], [0.25]), (torch.zeros(3), 1.0)],
)
def test_unusual_statistics_that_fit_are_used(mean, std):
    image = torch.rand(2, 3, 4, 5)
    expected = (image - torch.as_tensor(mean).view(-1, 1, 1)) / torch.as_tensor(std).view(-1, 1, 1)
    assert torch.allclose(NormalizedModel(nn.Identity(), mean, std)(image), expected)


def test_a_users_factory_that_normalises_on_another_scale_is_refused(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\nfrom bvg.zoo.normalized import NormalizedModel\n"
        "def build(): return NormalizedModel(torch.nn.Identity(), (124, 116, 104), (58, 57, 57))\n"
    )
    assert "the mean 124 116 104" in refusal(load_model, f"{file}:build")


def test_the_statistics_of_the_zoo_and_of_timm_are_accepted():
    rows = [(row.mean, row.std) for row in zoo().values() if row.mean and row.std]
    configs = [timm.get_pretrained_cfg(name) for name in timm.list_models(pretrained=True)]
    pairs = {*rows, *((config.mean, config.std) for config in configs)}
    assert len(pairs) > 5
    for mean, std in pairs:
        NormalizedModel(nn.Identity(), mean, std)
