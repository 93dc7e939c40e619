"""A name → a model: the order of resolution, near misses, and local checkpoints."""

import argparse
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save_file

from bvg.zoo import libraries, loading
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.names import split_alias
from conftest import refusal
from zoo_helpers import HEAD, assert_frozen, normalised, pixels

# Names


@pytest.mark.parametrize(
    ("name", "run_name", "spec"),
    [
        ("resnet50.a1_in1k", "resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("mine=file:///x/y.pth", "mine", "file:///x/y.pth"),
        ("a-b.c_d=torchvision:vgg16", "a-b.c_d", "torchvision:vgg16"),
        ("path/to/net.py:build", "build", "path/to/net.py:build"),
        ("file://runs/best.pth.tar", "best", "file://runs/best.pth.tar"),
        ("file://my model (2).pth", "my_model_2_", "file://my model (2).pth"),
        ("torchvision:resnet50/DEFAULT", "torchvision_resnet50_DEFAULT", None),
        ("..=resnet50", "_resnet50", None),
        ("file://..", "model", None),
    ],
)
def test_the_run_name_is_a_safe_file_name(name, run_name, spec):
    assert split_alias(name) == (run_name, spec or name)


def test_names_resolve_in_the_documented_order(net_file, use_table, monkeypatch, tmp_path):
    asked = []

    def recorder(kind: str) -> Callable[[str], torch.nn.Module]:
        return lambda name: asked.append((kind, name)) or torch.nn.Identity()

    monkeypatch.setattr(libraries, "timm_model", recorder("timm"))
    monkeypatch.setattr(libraries, "torchvision_model", recorder("torchvision"))
    use_table(
        f'[resnet18]\n{HEAD}library = ["torchvision:vgg11/DEFAULT"]\naliases = ["x.py:f"]\n'
        f'[gone]\n{HEAD}unavailable = "its authors never published it"\n'
    )
    monkeypatch.setattr(
        loading, "_from_zoo", lambda row, folder: asked.append(("zoo", row.name)) or torch.nn.ReLU()
    )
    for name in ("resnet18", "x.py:f", "timm:resnet18", "resnet34.a1_in1k", "torchvision:vgg11"):
        load_model(name)
    assert asked == [
        ("zoo", "resnet18"),
        ("zoo", "resnet18"),
        ("timm", "resnet18"),
        ("timm", "resnet34.a1_in1k"),
        ("torchvision", "vgg11"),
    ]
    assert type(load_model(f"{net_file}:tiny")).__name__ == "Tiny"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet5O", "resnet50"),
        ("tv_resnet5", "tv_resnet50"),
        ("resnet50_dinoo", "resnet50_dino"),
        ("robust_resnet50_linf_eps4", "robust_resnet50_linf_eps4.0"),
        ("googlenet", "torchvision:googlenet"),
        ("convnxt_tiny", "convnext_tiny"),
    ],
)
def test_an_unknown_name_has_near_names(name, near):
    sentence = refusal(load_model, name)
    assert sentence.startswith(f"unknown model {name!r} (did you mean ")
    suggested = sentence.partition("(did you mean ")[2].partition("?)")[0].split(" or ")
    assert near in suggested
    assert "file://checkpoint.pth with --arch" in sentence


def test_a_file_without_its_prefix_or_factory_is_recognised(tmp_path, net_file):
    (tmp_path / "w.pth").write_bytes(b"")
    assert f"did you mean file://{tmp_path}/w.pth?" in refusal(load_model, f"{tmp_path}/w.pth")
    assert f"did you mean {net_file}:FACTORY?" in refusal(load_model, str(net_file))
    assert "unknown model 'zzzzqqqq': a model is" in refusal(load_model, "zzzzqqqq")
    assert "unknown model '':" in refusal(load_model, "")


# Local checkpoints


@pytest.fixture
def options(net_file) -> CheckpointOptions:
    return CheckpointOptions(arch=f"{net_file}:tiny")


@pytest.mark.parametrize("where", ["absolute", "relative", "home"])
def test_a_checkpoint_is_found_wherever_it_is(where, tiny, options, tmp_path, monkeypatch):
    torch.save(tiny.state_dict(), tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = {"absolute": f"{tmp_path}/w.pth", "relative": "w.pth", "home": "~/w.pth"}[where]
    model = load_model(f"file://{path}", options)
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))
    assert model.origin == {
        "checkpoint": f"{tmp_path}/w.pth",
        "arch": options.arch,
        "found": "at the top level",
    }
    assert_frozen(model)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
@pytest.mark.parametrize("container", ["state_dict", "model", "model_state_dict"])
def test_a_training_scripts_checkpoint_computes_what_was_trained(
    container, prefix, tiny, options, tmp_path
):
    state = {prefix + key: value for key, value in tiny.state_dict().items()}
    torch.save({container: state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    model = load_model(f"file://{tmp_path}/w.pth", options)
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))


def test_its_own_mean_and_std_are_used(tiny, net_file, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "w.pth")
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    options = CheckpointOptions(f"{net_file}:tiny", mean, std)
    model = load_model(f"file://{tmp_path}/w.pth", options)
    assert torch.allclose(model(pixels()), tiny(normalised(pixels(), mean, std)), atol=1e-6)


def test_an_architecture_that_normalises_by_itself_is_refused(tiny, net_file, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "w.pth")
    net_file.write_text(
        net_file.read_text() + "\nfrom bvg.zoo.normalized import NormalizedModel\n"
        "def whole(): return NormalizedModel(Tiny(), (0.5,) * 3, (0.5,) * 3)\n"
    )
    options = CheckpointOptions(f"{net_file}:whole")
    assert "--arch" in refusal(load_model, f"file://{tmp_path}/w.pth", options)


def test_what_the_architecture_says_of_its_classes_and_input_is_kept(net_file, tiny, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "w.pth")
    net_file.write_text(
        net_file.read_text() + "\nfrom bvg.data.preprocessing import Preprocessing\n"
        "def named():\n    net = Tiny()\n    net.classes = list('abcde')\n"
        "    net.native = Preprocessing(64, 32)\n    return net\n"
    )
    model = load_model(f"file://{tmp_path}/w.pth", CheckpointOptions(f"{net_file}:named"))
    assert (model.classes, model.native.crop) == (["a", "b", "c", "d", "e"], 32)


def test_a_layer_that_is_called_classes_is_only_a_layer(net_file, tiny, tmp_path):
    net_file.write_text(net_file.read_text().replace("self.fc", "self.classes"))
    state = {key.replace("fc.", "classes."): value for key, value in tiny.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    model = load_model(f"file://{tmp_path}/w.pth", CheckpointOptions(f"{net_file}:tiny"))
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))
    assert model.classes is None
    assert {key.partition(".")[0] for key in model.state_dict()} == {"network", "mean", "std"}


def test_half_precision_safetensors_are_widened(tiny, options, tmp_path):
    half = {key: value.half() for key, value in tiny.state_dict().items()}
    save_file(half, tmp_path / "w.safetensors")
    model = load_model(f"file://{tmp_path}/w.safetensors", options)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    widened = {key: value.float() for key, value in half.items()}
    tiny.load_state_dict(widened)
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))


def test_what_does_not_fit_names_every_kind_and_the_option(tiny, options, tmp_path):
    state = tiny.state_dict()
    del state["fc.bias"]
    state["fc.weight"] = torch.ones(7, 4)
    state["head"] = torch.ones(1)
    state["bn.bias"] = torch.ones(4, dtype=torch.int8)
    torch.save(state, tmp_path / "w.pth")
    sentence = refusal(load_model, f"file://{tmp_path}/w.pth", options)
    for words in ("missing keys: fc.bias", "unexpected keys: head", "fc.weight is (7, 4)", "int8"):
        assert words in sentence
    assert "--arch" in sentence


def test_bad_files_and_architectures_are_one_sentence(options, net_file, tmp_path, tiny):
    path = tmp_path / "w.pth"
    name = f"file://{path}"
    assert "does not exist" in refusal(load_model, name, options)
    assert "does not exist" in refusal(load_model, "file://~no-such-user/w.pth", options)
    assert "is a folder" in refusal(load_model, f"file://{tmp_path}", options)
    torch.save([torch.ones(1)], path)
    assert "has no state dict" in refusal(load_model, name, options)
    torch.save({"model": tiny.state_dict(), "args": argparse.Namespace(lr=1)}, path)
    assert "argparse.Namespace" in refusal(load_model, name, options)
    torch.save(tiny.state_dict(), path)
    assert "did you mean resnet50" in refusal(load_model, name, CheckpointOptions(arch="resnet5O"))
    assert "has no function 'big'" in refusal(
        load_model, name, CheckpointOptions(arch=f"{net_file}:big")
    )
    assert "does not exist" in refusal(load_model, name, CheckpointOptions(arch="~/no.py:tiny"))


def test_the_default_architecture_is_timms_resnet50(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pth")
    assert "does not fit the architecture ResNet" in refusal(load_model, f"file://{tmp_path}/w.pth")


def test_an_unknown_name_is_refused_before_any_network_is_built(monkeypatch):
    import timm

    monkeypatch.setattr(timm, "create_model", lambda *words, **options: pytest.fail("built"))
    assert "resnet50" in refusal(load_model, "resnet5O")
