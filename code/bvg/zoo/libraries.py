"""Models whose weights come from timm or torchvision."""

import difflib
import math
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from torch import nn

from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError, reason_of, root_cause
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.weights import load_strictly

# Networks ported from TensorFlow: with torchvision's weights (only), they renormalize the input.
_TRANSFORMS_INPUT = ("googlenet", "inception_v3")
# Names of layers in torchvision's DenseNet checkpoints (norm.1, where the network has norm1).
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")
DELETE_CACHED = "delete the file in the cache ({}) to download it again"
_STALL = 15  # seconds without data after which downloads of torch.hub, which has no limit, fail


def timm_names() -> list[str]:
    """Return the names of timm's models that have weights."""
    import timm

    return timm.list_models(pretrained=True)


def known_names() -> list[str]:
    """Return every name that timm_model or torchvision_model accepts, for suggestions."""
    tagged = timm_names()
    vision = [f"torchvision:{name}" for name in _torchvision_names()]
    return [*dict.fromkeys(name.partition(".")[0] for name in tagged), *tagged, *vision]


def is_timm_name(name: str) -> bool:
    """Return whether timm has an architecture of that name (the part before the tag)."""
    import timm

    return timm.is_model(name.partition(".")[0])


def bare_name(arch: str) -> str:
    """Return the name of an architecture without its library and the tag of its weights."""
    return arch.removeprefix("timm:").removeprefix("torchvision:").partition(".")[0]


def is_library_name(arch: str) -> bool:
    """Return whether timm or torchvision has an architecture of that name."""
    return is_timm_name(arch.removeprefix("timm:")) or bare_name(arch) in _torchvision_names()


def timm_model(name: str) -> NormalizedModel:
    """Return timm's model `name` with its weights and its own mean, std and preprocessing.

    Raises UserError when timm has no weights of that name or they are unavailable.
    """
    import timm

    if not timm.is_model_pretrained(name):
        known = [k for k in timm_names() if k.startswith(name.partition(".")[0] + ".")]
        raise UserError(
            f"timm has no weights named {name!r}{near_names(name, known or timm_names())}"
        )
    with hub_or_cache() as problem, socket_timeout():
        try:
            network = timm.create_model(name, pretrained=True)
        except OSError as error:  # of huggingface_hub, httpx and urllib
            reason = problem or reason_of(error)
            raise UserError(_no_download(f"timm's {name}", "HF_HOME", reason)) from error
        except Exception as error:  # torch, safetensors and zipfile raise many kinds of errors
            raise UserError(_broken(f"timm's {name}", "HF_HOME", error)) from error
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    origin: dict[str, object] = {"timm": f"{config['architecture']}.{config['tag']}".rstrip(".")}
    return NormalizedModel(
        network, config["mean"], config["std"], native=_timm_native(config), origin=origin
    )


@contextmanager
def hub_or_cache() -> Iterator[str]:
    """Yield why the Hugging Face hub cannot be reached, or "" if it can.

    Without internet, its client tries each file six times: 47 s for a model that is not in the
    cache, minutes if connections time out. Therefore a single request, with the client's time limit
    ($HF_HUB_ETAG_TIMEOUT), decides whether it is in offline mode inside the block, as with
    $HF_HUB_OFFLINE: cached weights are loaded, others fail at once.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    offline = constants.HF_HUB_OFFLINE
    problem = "HF_HUB_OFFLINE is set" if offline else ""
    if not offline:
        try:
            get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        except Exception as error:  # of requests or httpx, depending on the client's version
            problem = f"{urlsplit(constants.ENDPOINT).hostname}: {reason_of(root_cause(error))}"
    constants.HF_HUB_OFFLINE = offline or bool(problem)
    try:
        yield problem
    finally:
        constants.HF_HUB_OFFLINE = offline


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Set a time limit for connections that have none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or _STALL)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _timm_native(config: dict[str, Any]) -> Preprocessing | None:
    """Return timm's evaluation preprocessing, or None if it is not resize and square centre crop.

    It is that of timm's published results, with the test size and crop if the weights have separate
    ones (many were trained at 224 and are tested at 288).
    """
    _, height, width = config.get("test_input_size") or config["input_size"]
    crop_fraction = config.get("test_crop_pct") or config["crop_pct"]
    if height != width or config.get("crop_mode", "center") != "center":
        return None
    resize = math.floor(width / crop_fraction)  # timm rounds down
    return Preprocessing(resize=resize, crop=width, interpolation=config["interpolation"])


def torchvision_model(name: str) -> NormalizedModel:
    """Return torchvision's model `NAME` or `NAME/WEIGHTS` (for example resnet50/IMAGENET1K_V1).

    Without WEIGHTS, torchvision's DEFAULT, the newest; the result records which. Weights are loaded
    with weights_only=True, unlike in torchvision's model builders.
    Raises UserError for an unknown name, or when the weights are unavailable.
    """
    from torchvision import models

    name, _, wanted = name.partition("/")
    if name not in _torchvision_names():
        raise UserError(_no_classifier(name))
    available = models.get_model_weights(name)
    if wanted and wanted not in available.__members__:
        raise UserError(
            f"torchvision's {name} has no weights {wanted!r}; "
            f"it has {', '.join(available.__members__)}"
        )
    weights = available[wanted or "DEFAULT"]
    options: dict[str, Any] = {"transform_input": True} if name in _TRANSFORMS_INPUT else {}
    if name.startswith("vit_"):  # the weights are for one size
        options["image_size"] = weights.meta["min_size"][0]
    state = _torchvision_state(name, weights)
    network = _torchvision_network(name, **options)
    load_strictly(network, state, f"the file of {weights}", DELETE_CACHED.format("TORCH_HOME"))
    preset = weights.transforms()
    native = Preprocessing(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
    )
    origin: dict[str, object] = {"torchvision": f"{name}/{weights.name}"}
    return NormalizedModel(network, preset.mean, preset.std, native=native, origin=origin)


def _torchvision_state(name: str, weights: Any) -> dict[str, Any]:
    what = f"torchvision's {name}"
    try:
        with socket_timeout():
            state = weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, weights_only=True
            )
    except OSError as error:
        reason = f"{urlsplit(weights.url).hostname}: {reason_of(error)}"
        raise UserError(_no_download(what, "TORCH_HOME", reason)) from error
    except Exception as error:  # a damaged file in the cache, or one with another hash
        raise UserError(_broken(what, "TORCH_HOME", error)) from error
    if name.startswith("densenet"):
        for key in list(state):
            state[_OLD_DENSENET.sub(r"\1", key)] = state.pop(key)
    return state


def architecture(name: str, **options: Any) -> nn.Module:
    """Return a network without trained weights: a timm name, `timm:NAME` or `torchvision:NAME`.

    options: further arguments of the library's constructor.
    Raises UserError for an unknown name.
    """
    import timm

    if name.startswith("torchvision:"):
        return _torchvision_network(name.removeprefix("torchvision:"), **options)
    bare = name.removeprefix("timm:")
    if not is_timm_name(bare):
        raise UserError(
            f"timm has no architecture {bare!r}{near_names(bare, timm.list_models())}; "
            "give --arch NAME (timm) or --arch torchvision:NAME"
        )
    return timm.create_model(bare, pretrained=False, **options)


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _torchvision_network(name: str, **options: Any) -> nn.Module:
    from torchvision import models

    if name not in _torchvision_names():
        raise UserError(_no_classifier(name))
    if name in _TRANSFORMS_INPUT:
        options["init_weights"] = False  # slow, and the weights are about to be replaced
    return models.get_model(name, weights=None, **options)


def _no_classifier(name: str) -> str:
    return f"torchvision has no classifier {name!r}{near_names(name, _torchvision_names())}"


def near_names(name: str, known: list[str]) -> str:
    """Return a question that names the known names nearest to `name`, or ""."""
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _no_download(what: str, variable: str, reason: str) -> str:
    return (
        f"the weights of {what} could not be downloaded ({reason}): check the internet connection, "
        f"or point {variable} to a cache that holds them"
    )


def _broken(what: str, variable: str, error: Exception) -> str:
    return (
        f"the weights of {what} could not be loaded ({type(error).__name__}: {reason_of(error)}): "
        + DELETE_CACHED.format(variable)
    )
