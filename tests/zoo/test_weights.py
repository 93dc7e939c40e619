"""Which weights of a checkpoint are loaded, where it holds several or hides them."""

import copy

import pytest
import torch
from safetensors.torch import save_file
from timm.models import load_state_dict as timms_loader
from torch import nn
from torch.optim.swa_utils import AveragedModel

from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.weights import chosen
from conftest import refusal
from zoo_helpers import assert_same, normalised, pixels, prefixed


def other(network: nn.Module) -> nn.Module:
    """Return the network with other weights."""
    moved = copy.deepcopy(network)
    for value in moved.state_dict().values():
        if value.is_floating_point():
            value.mul_(1.25)
    return moved


@pytest.fixture
def sets(tiny) -> tuple[dict, dict]:
    """Return the raw and the averaged weights of a network."""
    return other(tiny).state_dict(), tiny.state_dict()


def found(content, network, key: str = "") -> dict:
    return chosen(content, network, "x.pth", key).state


# Raw or averaged


@pytest.mark.parametrize(
    "keys", [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model", "state_dict_ema")]
)
def test_averaged_weights_are_the_default_as_in_timm_and_the_raw_ones_can_be_chosen(
    keys, sets, tiny, tmp_path
):
    raw, averaged = sets
    torch.save({keys[0]: raw, keys[1]: averaged, "epoch": 3}, tmp_path / "w.pth")
    content = torch.load(tmp_path / "w.pth")
    assert_same(found(content, tiny), averaged)
    assert_same(found(content, tiny), timms_loader(str(tmp_path / "w.pth")))
    assert_same(found(content, tiny, keys[0]), raw)
    assert_same(found(content, tiny, keys[1]), averaged)
    remark = chosen(content, tiny, "x.pth").remark
    assert keys[1] in remark
    assert f"--weights_key {keys[0]}" in remark


def test_of_two_averaged_sets_timms_order_decides(sets, tiny, tmp_path):
    raw, averaged = sets
    content = {"model": raw, "model_ema": raw, "state_dict": raw, "state_dict_ema": averaged}
    torch.save(content, tmp_path / "w.pth")
    assert_same(found(content, tiny), averaged)
    assert_same(found(content, tiny), timms_loader(str(tmp_path / "w.pth")))


def test_torchs_own_averaged_model_with_its_counter_and_prefix(tiny, sets):
    average = AveragedModel(tiny)
    assert "n_averaged" in average.state_dict()
    assert_same(found({"model": sets[0], "model_ema": average.state_dict()}, tiny), sets[1])
    assert_same(found(average.state_dict(), tiny), sets[1])
    wrapped = prefixed(average.state_dict(), "module.")  # what DistributedDataParallel adds to it
    assert_same(found({"swa": {**wrapped}}, tiny), sets[1])


@pytest.mark.parametrize("key", ["ema", "ema_state_dict", "model.ema", "online_backbone"])
def test_averaged_weights_alone_are_found_under_any_name(key, sets, tiny):
    content = sets[1]
    for name in reversed(key.split(".")):
        content = {name: content, "epoch": 2}
    assert_same(found(content, tiny), sets[1])
    assert key in chosen(content, tiny, "x").found


def test_averaged_weights_of_another_shape_are_not_used_and_that_is_said(tiny, sets):
    small = {key: value[:2] for key, value in sets[1].items() if value.ndim}
    result = chosen({"state_dict": sets[0], "state_dict_ema": small}, tiny, "x")
    assert_same(result.state, sets[0])
    assert "state_dict_ema" in result.remark


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("teacher", "student"),
        ("model", "ema"),
        ("params", "params_ema"),
        ("state_dict", "model"),
        ("online_backbone", "target_backbone"),
        ("state_dict", "best.state_dict"),
    ],
)
def test_where_no_convention_says_which_the_user_is_asked(first, second, sets, tiny):
    raw, averaged = sets
    outer, _, inner = second.partition(".")
    content = {first: raw, outer: {inner: averaged} if inner else averaged, "epoch": 1}
    sentence = refusal(chosen, content, tiny, "x.pth")
    assert "--weights_key" in sentence
    assert first in sentence
    assert second in sentence
    assert_same(found(content, tiny, first), raw)
    assert_same(found(content, tiny, second), averaged)


@pytest.mark.parametrize(
    ("online", "target", "more"),
    [
        ("online_model.", "ema_model.", ["initted", "step"]),
        ("module.encoder_q.", "module.encoder_k.", ["module.queue", "module.queue_ptr"]),
        ("module.base_encoder.", "module.momentum_encoder.", ["module.predictor.0.weight"]),
        ("online_network.", "target_network.", []),
        ("model.", "model_ema.module.", ["model_ema.decay"]),
    ],
)
@pytest.mark.parametrize("container", ["", "state_dict"])
def test_several_networks_in_one_state_dict(online, target, more, container, sets, tiny):
    raw, averaged = sets
    state = prefixed(raw, online) | prefixed(averaged, target)
    state |= {name: torch.ones(1) for name in more}
    content = {container: state, "epoch": 1} if container else state
    sentence = refusal(chosen, content, tiny, "x.pth")
    for prefix, expected in ((online, raw), (target, averaged)):
        key = f"{container}.{prefix}".strip(".")
        assert key in sentence
        assert_same(found(content, tiny, key), expected)


def test_weights_at_the_top_level_beside_averaged_ones(sets, tiny):
    raw, averaged = sets
    content = {**raw, "ema": averaged}
    assert "--weights_key" in refusal(chosen, content, tiny, "x.pth")
    assert_same(found(content, tiny, "."), raw)
    assert_same(found(content, tiny, "ema"), averaged)


def test_averaged_weights_that_hide_beside_other_tensors_are_not_passed_over(sets, tiny):
    raw, averaged = sets
    hidden = {**prefixed(averaged, "ema_model."), "step": torch.ones(1)}
    sentence = refusal(chosen, {"state_dict": raw, "ema": hidden}, tiny, "x.pth")
    assert "ema.ema_model" in sentence
    assert_same(found({"state_dict": raw, "ema": hidden}, tiny, "ema.ema_model"), averaged)


def test_the_moments_of_an_optimizer_are_no_weights(tiny, sets):
    moments = {name: torch.zeros_like(value) for name, value in sets[0].items()}
    content = {"model": sets[0], "optimizer": {"exp_avg": moments, "state": {0: moments}}}
    assert_same(found(content, tiny), sets[0])


# Prefixes


@pytest.mark.parametrize("prefix", ["model.", "net.", "model.backbone.", "_orig_mod.module.net."])
def test_a_prefix_that_leads_to_exactly_the_networks_names_is_removed_and_said(prefix, sets, tiny):
    content = {"state_dict": prefixed(sets[0], prefix), "pytorch-lightning_version": "2.0"}
    result = chosen(content, tiny, "x.pth")
    assert_same(result.state, sets[0])
    assert prefix in result.found
    assert prefix in result.remark


@pytest.mark.parametrize("spoil", ["missing", "more"])
def test_a_prefix_that_leads_to_almost_the_networks_names_is_not_removed(spoil, tiny, sets):
    state = prefixed(sets[0], "model.")
    if spoil == "more":
        state["criterion.weight"] = torch.ones(5)
        assert "--weights_key state_dict.model" in refusal(chosen, {"state_dict": state}, tiny, "x")
    else:
        del state["model.fc.bias"]
        assert set(found({"state_dict": state}, tiny)) == set(state)  # refused by load_strictly


def test_a_network_whose_own_names_have_such_a_prefix(tiny):
    network = nn.ModuleDict({"module": nn.ModuleDict({"model": tiny})})
    assert_same(found(network.state_dict(), network), network.state_dict())
    assert_same(found(tiny.state_dict(), tiny), tiny.state_dict())


# From the command line's options to the numbers


@pytest.mark.parametrize("key", ["", "model", "model_ema"])
def test_the_chosen_weights_compute_and_are_recorded(key, sets, tiny, net_file, tmp_path, capsys):
    torch.save({"model": sets[0], "model_ema": prefixed(sets[1], "module.")}, tmp_path / "w.pth")
    options = CheckpointOptions(arch=f"{net_file}:tiny", weights_key=key)
    model = load_model(f"file://{tmp_path}/w.pth", options)
    expected = other(tiny) if key == "model" else tiny
    assert torch.equal(model(pixels()), expected(normalised(pixels())))
    assert repr(key or "model_ema") in model.origin["found"]
    assert ("--weights_key model" in capsys.readouterr().err) == (not key)


def test_safetensors_with_two_networks(sets, tiny, net_file, tmp_path):
    save_file(prefixed(sets[0], "a.") | prefixed(sets[1], "b."), tmp_path / "w.safetensors")
    name, arch = f"file://{tmp_path}/w.safetensors", f"{net_file}:tiny"
    assert "--weights_key a or b" in refusal(load_model, name, CheckpointOptions(arch))
    model = load_model(name, CheckpointOptions(arch, weights_key="b"))
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))


@pytest.mark.parametrize("key", ["no", "model.no", "model.fc.weight", "epoch"])
def test_a_key_that_leads_to_no_weights_is_refused_with_those_that_do(key, sets, tiny):
    content = {"model": sets[0], "teacher": sets[1], "epoch": 3}
    sentence = refusal(chosen, content, tiny, "x.pth", key)
    assert repr(key) in sentence
    assert "--weights_key model or teacher" in sentence


def test_a_key_may_lead_to_what_fits_another_architecture_only(net_file, tiny, tmp_path):
    torch.save({"model": tiny.state_dict(), "head": {"fc.bias": torch.ones(2)}}, tmp_path / "w.pth")
    options = CheckpointOptions(arch=f"{net_file}:tiny", weights_key="head")
    assert "missing keys: bn.bias" in refusal(load_model, f"file://{tmp_path}/w.pth", options)
