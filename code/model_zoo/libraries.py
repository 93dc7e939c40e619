"""Models whose weights timm or torchvision deliver."""

import difflib
from typing import Any

from torch import nn

from basics.errors import UserError
from images.preprocessing import Preprocessing
from model_zoo.normalized import NormalizedModel

# Two networks that torchvision builds differently when it loads its weights (they were ported from
# TensorFlow and change the input's normalisation themselves).
_TORCHVISION_EXTRAS: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "init_weights": False},
}


def timm_names() -> list[str]:
    """Return the names of timm's models that have weights."""
    import timm

    return timm.list_models(pretrained=True)


def is_timm_name(name: str) -> bool:
    """Return whether timm has an architecture of that name (the part before the tag)."""
    import timm

    return timm.is_model(name.partition(".")[0])


def timm_model(name: str) -> NormalizedModel:
    """Return timm's model `name` with its weights and its own mean, std and preprocessing.

    Raises UserError when timm has no weights of that name or they cannot be downloaded.
    """
    import timm

    if not timm.is_model_pretrained(name):
        known = [k for k in timm_names() if k.startswith(name.partition(".")[0] + ".")]
        raise UserError(
            f"timm has no weights called {name!r}{_perhaps(name, known or timm_names())}"
        )
    try:
        network = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:  # huggingface_hub's and httpx's are these
        raise UserError(_no_download(f"timm's {name}", "HF_HOME", error)) from error
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    native = Preprocessing(
        resize=round(config["input_size"][-1] / config["crop_pct"]),
        crop=config["input_size"][-1],
        interpolation=config["interpolation"],
    )
    origin: dict[str, object] = {"timm": f"{config['architecture']}.{config['tag']}".rstrip(".")}
    return NormalizedModel(network, config["mean"], config["std"], native=native, origin=origin)


def torchvision_model(name: str) -> NormalizedModel:
    """Return torchvision's model `NAME` or `NAME/WEIGHTS` (for example resnet50/IMAGENET1K_V1).

    Without WEIGHTS, torchvision's DEFAULT: its newest, which the result names. Weights are loaded
    with weights_only=True, which torchvision's own builders leave off.
    Raises UserError for an unknown name, or when the download fails.
    """
    from torchvision import models

    name, _, wanted = name.partition("/")
    network = _torchvision_network(name)
    available = models.get_model_weights(name)
    if wanted and wanted not in available.__members__:
        raise UserError(
            f"torchvision's {name} has no weights {wanted!r}; "
            f"it has {', '.join(available.__members__)}"
        )
    weights = available[wanted or "DEFAULT"]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UserError(_no_download(f"torchvision's {name}", "TORCH_HOME", error)) from error
    network.load_state_dict(state, strict=True)
    preset = weights.transforms()
    native = Preprocessing(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
    )
    origin: dict[str, object] = {"torchvision": f"{name}/{weights.name}"}
    return NormalizedModel(network, preset.mean, preset.std, native=native, origin=origin)


def architecture(name: str) -> nn.Module:
    """Return a network without trained weights: a timm name, `timm:NAME` or `torchvision:NAME`.

    Raises UserError for an unknown one.
    """
    import timm

    if name.startswith("torchvision:"):
        return _torchvision_network(name.removeprefix("torchvision:"))
    bare = name.removeprefix("timm:")
    if not timm.is_model(bare.partition(".")[0]):
        raise UserError(
            f"timm has no architecture {bare!r}{_perhaps(bare, timm.list_models())}; "
            "give --arch NAME (timm) or --arch torchvision:NAME"
        )
    return timm.create_model(bare, pretrained=False)


def _torchvision_network(name: str) -> nn.Module:
    from torchvision import models

    if name not in models.list_models(module=models):
        known = models.list_models(module=models)
        raise UserError(f"torchvision has no classifier {name!r}{_perhaps(name, known)}")
    return models.get_model(name, weights=None, **_TORCHVISION_EXTRAS.get(name, {}))


def _perhaps(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _no_download(what: str, variable: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no answer"
    return (
        f"the weights of {what} could not be downloaded ({reason}): check the internet connection, "
        f"or point {variable} to a cache that holds them"
    )
