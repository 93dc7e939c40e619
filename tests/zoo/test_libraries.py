"""timm and torchvision: the weights as those libraries load them, or one sentence in seconds."""

import copy
import socket
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save, save_file
from torchvision import models

from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.zoo.libraries import _timm_native, architecture, timm_names
from bvg.zoo.loading import load_model
from conftest import refusal
from local_server import serve
from zoo_helpers import normalised, pixels

SMALL = "test_resnet.r160_in1k"  # timm's own test model: 0.5 M parameters


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """Make the Hugging Face hub unreachable and its cache an empty folder, which is returned."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def torch_hub(monkeypatch):
    """Return the answer of torch.hub's loader, to be set, and the options it was called with."""
    hub = SimpleNamespace(state={}, options=[])

    def load(url, **options):
        hub.options.append(options)
        if isinstance(hub.state, Exception):
            raise hub.state
        return copy.copy(hub.state)  # with the versions that a state dict carries

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    return hub


def cached(hub, name: str):
    """Return the path of the cached weights of a timm model."""
    folder = hub / f"models--timm--{name}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    return folder / "snapshots" / ("0" * 40) / "model.safetensors"


# timm


def test_without_internet_timm_fails_at_once_with_one_sentence(no_hub, capfd, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: pytest.fail("waits"))
    sentence = refusal(load_model, f"timm:{SMALL}")
    assert sentence == (
        f"the weights of timm's {SMALL} could not be downloaded (127.0.0.1: Connection refused): "
        "check the internet connection, or point HF_HOME to a cache that holds them"
    )
    assert capfd.readouterr() == ("", "")
    assert not constants.HF_HUB_OFFLINE  # only that download was without the hub


def test_a_hub_that_never_answers_is_asked_once_within_the_users_limit(no_hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: pytest.fail("waits"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "could not be downloaded (127.0.0.1: timed out)" in refusal(load_model, SMALL)


def test_a_user_who_works_offline_is_obeyed(no_hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with serve() as site:
        monkeypatch.setattr(constants, "ENDPOINT", site.url)
        assert "could not be downloaded (HF_HUB_OFFLINE is set)" in refusal(load_model, SMALL)
        assert site.requests == []
    assert constants.HF_HUB_OFFLINE


def test_a_hub_that_answers_is_asked_for_the_weights(no_hub, monkeypatch):
    network = timm.create_model(SMALL, pretrained=False).eval()
    weights = save(network.state_dict())
    with serve() as site:
        site.files[f"/timm/{SMALL}/resolve/main/model.safetensors"] = weights
        site.etag, site.head = '"abcd"', {"X-Repo-Commit": "0" * 40}
        monkeypatch.setattr(constants, "ENDPOINT", site.url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            site.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        model = load_model(SMALL)
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(model(x), network((x - 0.5) / 0.5))


def test_a_download_of_torch_hub_may_not_be_silent_for_ever(torch_hub, monkeypatch):
    seen = []
    before = socket.getdefaulttimeout()
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda url, **_: seen.append(socket.getdefaulttimeout()) or {"a": torch.ones(1)},
    )
    refusal(load_model, "torchvision:resnet18")
    assert seen[0] and seen[0] <= 60
    assert socket.getdefaulttimeout() == before


def test_without_internet_a_cached_timm_model_is_loaded(no_hub):
    network = timm.create_model(SMALL, pretrained=False).eval()
    save_file(network.state_dict(), cached(no_hub, SMALL))
    model = load_model(SMALL)
    x = torch.rand(1, 3, 64, 64)
    config = network.pretrained_cfg
    assert (config["mean"], config["std"]) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert torch.equal(model(x), network((x - 0.5) / 0.5))
    assert model.origin == {"timm": SMALL}
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_a_broken_file_in_the_hubs_cache_is_named_as_such(no_hub):
    path = cached(no_hub, SMALL)
    save_file({"a": torch.ones(9)}, path)
    path.write_bytes(path.read_bytes()[:-5])
    sentence = refusal(load_model, SMALL)
    assert f"the weights of timm's {SMALL} could not be loaded (SafetensorError" in sentence
    assert "delete the file in the cache (HF_HOME)" in sentence


def test_weights_of_another_network_in_the_cache_are_refused(no_hub):
    save_file({"a": torch.ones(9)}, cached(no_hub, SMALL))
    assert f"the weights of timm's {SMALL} could not be loaded" in refusal(load_model, SMALL)


def test_unknown_weights_of_a_known_timm_architecture_have_near_names():
    assert "timm has no weights named 'resnet50.tv_1k'; did you mean" in refusal(
        load_model, "resnet50.tv_1k"
    )
    assert "resnet50.tv_in1k" in refusal(load_model, "resnet50.tv_1k")


def test_the_own_view_of_every_timm_model_is_timms_own():
    seen, odd = set(), 0
    for name in timm_names():
        config = timm.get_pretrained_cfg(name).to_dict()
        keys = ("input_size", "crop_pct", "interpolation", "crop_mode")
        keys += ("test_input_size", "test_crop_pct")
        kind = tuple(config.get(key) for key in keys)
        if kind in seen:
            continue
        seen.add(kind)
        native = _timm_native(config)
        resize, crop, *_ = timm.data.create_transform(
            **timm.data.resolve_data_config(pretrained_cfg=config, use_test_size=True)
        ).transforms
        plain = (type(resize).__name__, type(crop).__name__) == ("Resize", "CenterCrop")
        if not plain or not isinstance(resize.size, int):  # squashed, padded, …
            assert native is None, name
            odd += 1
            continue
        height, width = crop.size
        if native is None:
            assert height != width, name
            continue
        assert (resize.size, height, width) == (native.resize, native.crop, native.crop), name
        assert resize.interpolation.value == native.interpolation, name
    assert len(seen) > 50
    assert odd


# torchvision


def _old_densenet(key: str) -> str:
    if "denselayer" in key:
        for layer in ("norm1", "norm2", "conv1", "conv2"):
            key = key.replace(f".{layer}.", f".{layer[:-1]}.{layer[-1]}.")
    return key


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "densenet121", "mnasnet0_5"])
def test_networks_with_habits_compute_what_torchvisions_own_builder_does(name, torch_hub):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    state = getattr(models, name)(weights=None, **options).state_dict()
    generator = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if value.is_floating_point():
            spread = 0.5 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
            value.normal_(1.0 if value.ndim == 1 else 0.0, spread, generator=generator)
            if key.endswith("running_var"):
                value.abs_()
    if name == "densenet121":  # as the published files name the layers
        # … which have neither counters nor versions.
        state = {_old_densenet(k): v for k, v in state.items() if "num_batches" not in k}
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch_hub.state = state
    expected = getattr(models, name)(weights="IMAGENET1K_V1").eval()
    torch_hub.options.clear()
    model = load_model(f"torchvision:{name}/IMAGENET1K_V1")
    (options,) = torch_hub.options
    assert options["weights_only"] is True
    assert options["check_hash"] is True
    x = torch.rand((2, 3, 96, 96), generator=generator)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    wanted = expected((x - mean) / std)
    assert wanted.std() > 1e-3
    assert torch.equal(model(x), wanted)
    assert model.origin == {"torchvision": f"{name}/IMAGENET1K_V1"}
    size = 342 if name == "inception_v3" else 256
    assert (model.native.resize, model.native.interpolation) == (size, "bilinear")


def test_a_users_own_googlenet_does_not_transform_its_input():
    assert architecture("torchvision:googlenet").transform_input is False


def test_without_weights_the_newest_are_taken_and_named(torch_hub):
    torch_hub.state = models.squeezenet1_1(weights=None).state_dict()
    assert load_model("torchvision:squeezenet1_1").origin == {
        "torchvision": "squeezenet1_1/IMAGENET1K_V1"
    }
    torch_hub.state = models.mobilenet_v3_small(weights=None).state_dict()
    wide = models.get_model_weights("mobilenet_v3_small").DEFAULT.name
    assert load_model("torchvision:mobilenet_v3_small").origin["torchvision"].endswith(wide)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            URLError(OSError(-2, "Name or service not known")),
            "could not be downloaded (download.pytorch.org: Name or service not known): "
            "check the internet connection, or point TORCH_HOME",
        ),
        (TimeoutError("timed out"), "could not be downloaded (download.pytorch.org: timed out)"),
        (RuntimeError('invalid hash value (expected "0676ba61", got "00")'), "invalid hash value"),
        (EOFError(), "could not be loaded (EOFError"),
    ],
)
def test_what_stops_torchvision_is_one_sentence(torch_hub, error, words):
    torch_hub.state = error
    sentence = refusal(load_model, "torchvision:resnet18")
    assert "the weights of torchvision's resnet18" in sentence
    assert words in sentence


def test_a_cached_file_of_another_network_is_refused(torch_hub):
    torch_hub.state = {"a": torch.ones(1)}
    sentence = refusal(load_model, "torchvision:resnet18")
    assert "does not fit the architecture ResNet" in sentence
    assert "delete the file in the cache (TORCH_HOME)" in sentence


def test_unknown_names_of_torchvision():
    assert "did you mean resnet50" in refusal(load_model, "torchvision:resnet5O")
    assert "has no weights 'V9'; it has IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT" in refusal(
        load_model, "torchvision:resnet50/V9"
    )


def test_a_zoo_model_of_two_libraries_names_both_reasons(no_hub, torch_hub, capfd):
    torch_hub.state = URLError("refused by the firewall")
    sentence = refusal(load_model, "tv_resnet50")
    first, _, second = sentence.partition("; or else ")
    assert "timm's resnet50.tv_in1k could not be downloaded (127.0.0.1: Connection ref" in first
    assert "torchvision's resnet50 could not be downloaded" in second
    assert "refused by the firewall" in second
    assert capfd.readouterr() == ("", "")


def test_architectures_come_untrained_and_unknown_ones_have_near_names():
    assert isinstance(architecture("torchvision:squeezenet1_1"), models.SqueezeNet)
    assert type(architecture("timm:test_resnet")) is type(architecture("test_resnet"))
    for name, near in [("resnet5O", "resnet50"), ("torchvision:vgg61", "vgg16")]:
        with pytest.raises(UserError, match=near):
            architecture(name)


def test_a_vision_transformer_has_the_size_of_its_weights(torch_hub):
    with torch.device("meta"):
        network = models.vit_b_16(image_size=384)
    state = {key: torch.zeros(1).expand(value.shape) for key, value in network.state_dict().items()}
    torch_hub.state = state
    model = load_model("swag_vit_b16_in1k")
    assert model.network.image_size == 384
    assert model.native.crop == 384
    assert model.origin["zoo"] == "swag_vit_b16_in1k"


def test_options_reach_the_librarys_constructor():
    with torch.device("meta"):
        averaged = architecture("vit_tiny_patch16_224", global_pool="avg").state_dict()
        assert "fc_norm.weight" in averaged
        assert architecture("torchvision:vit_b_16", image_size=384).image_size == 384


def test_a_row_of_a_library_is_loaded_under_its_published_name(no_hub):
    network = timm.create_model("resnet18", pretrained=False).eval()
    save_file(network.state_dict(), cached(no_hub, "resnet18.a1_in1k"))
    model = load_model("resnet18")
    assert model.origin == {"timm": "resnet18.a1_in1k", "zoo": "resnet18"}
    assert torch.equal(model(pixels()), network(normalised(pixels())))
    assert model.native == Preprocessing(288, 288, "bicubic")
