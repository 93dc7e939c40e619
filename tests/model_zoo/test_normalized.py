"""The interface: [0, 1] in, normalised by the model's own statistics, logits out."""

import torch
from torch import nn

from images.preprocessing import STUDY
from model_zoo.normalized import NormalizedModel


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
