"""`hf:ORG/NAME` or `hf:FOLDER`: image classifiers of the transformers library.

Their labels decide which logit stands for which class of ImageNet. Each label must be a name of
its class (the wnid, WordNet's synonyms or the first of them, or torchvision's name), so that a
model whose classes are others, or unnamed, is refused instead of being scored as wrong.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bvg.data.imagenet import VAL_CLASSES, imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError, first_few, reason_of
from bvg.zoo.libraries import DELETE_CACHED, hub_or_cache
from bvg.zoo.normalized import NormalizedModel

_INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_SQUASHED_FROM = 384  # pixels; larger images are not cropped where a crop_pct is given (ConvNeXt)


class Logits(nn.Module):
    """A transformers classifier as a network of normalized images → logits alone."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, labels)."""
        return self.classifier(pixel_values=x).logits


def hugging_face_model(name: str) -> NormalizedModel:
    """Return the classifier `name`, of the hub or in a folder, with its own normalization.

    Its 1000 classes are named by wnid, in the order of its logits.
    Raises UserError without transformers, for labels that are not certainly ImageNet's, if the
    weights do not fill the network exactly, or if anything is unavailable.
    """
    library = _library()
    path = Path(name).expanduser()
    source = str(path) if path.is_dir() else name
    with hub_or_cache() as problem:
        try:
            network, loaded = library.AutoModelForImageClassification.from_pretrained(
                source, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
            )
            processor = library.AutoImageProcessor.from_pretrained(source)
        except Exception as error:  # of the hub, of torch, safetensors and json
            raise UserError(
                f"the classifier hf:{name} could not be loaded ({problem or reason_of(error)}): "
                "check the name and the internet connection, or " + DELETE_CACHED.format("HF_HOME")
            ) from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := loaded.get(kind):
            raise UserError(
                f"the weights of hf:{name} do not fit its network ({kind.replace('_', ' ')}: "
                f"{first_few(sorted(map(str, keys)), 4)}): give a checkpoint of an image classifier"
            )
    if network.config.model_type == "timm_wrapper":
        own = f"file://{source}/model.safetensors" if path.is_dir() else name.rpartition("/")[2]
        raise UserError(f"hf:{name} is a model of timm: give --model {own}")
    labels = [network.config.id2label[number] for number in range(network.config.num_labels)]
    config = processor.to_dict()
    mean, std = _statistics(config, name)
    origin: dict[str, object] = {"hugging_face": name, "transformers": library.__version__}
    if revision := getattr(network.config, "_commit_hash", None):
        origin["revision"] = revision
    return NormalizedModel(
        Logits(network),
        mean,
        std,
        classes=imagenet_labels(labels, f"hf:{name}"),
        native=_native(config),
        origin=origin,
    )


def imagenet_labels(labels: Sequence[str], model: str) -> tuple[str, ...]:
    """Return the wnid of each label; a background class, if there is one, keeps its name.

    A label may stand at the index of its class, where some name of the class suffices (two
    classes are called crane), or, if all labels together have only one reading, anywhere else.
    Raises UserError for labels whose classes are not certain.
    """
    wnids = imagenet_classes()
    background = [label for label in labels if "background" in label.casefold()]
    own = [label for label in labels if label not in background]
    if len(own) != VAL_CLASSES or len(background) > 1:
        raise UserError(
            f"{model} has {len(labels):,} labels, not ImageNet's {VAL_CLASSES:,} "
            f"({first_few(own)}): give a classifier of ImageNet-1k"
        )
    readings = _readings(own)
    if all(k in classes for k, classes in enumerate(readings)):
        found = [*wnids]
    else:
        unclear = [label for label, ks in zip(own, readings, strict=True) if len(ks) != 1]
        if unclear or len({min(ks) for ks in readings}) < len(own):
            raise UserError(
                f"{model} has labels that do not say certainly which of ImageNet's classes they "
                f"are ({first_few(unclear or own)}): load it in a factory, --model "
                "path/to/file.py:factory, that names its classes in an attribute `classes`"
            )
        found = [wnids[min(ks)] for ks in readings]
    named = iter(found)
    return tuple(label if label in background else next(named) for label in labels)


def mostly_in_order(labels: Sequence[str]) -> bool:
    """Return whether most of 1000 labels stand at the index of their class.

    The others may be spelled otherwise, as a third of CLIP's names are.
    """
    in_place = sum(k in classes for k, classes in enumerate(_readings(labels)))
    return len(labels) == VAL_CLASSES and 2 * in_place > VAL_CLASSES


def _readings(labels: Sequence[str]) -> list[set[int]]:
    """Return, for each label, the classes of ImageNet that it may name."""
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet50_Weights

    info = ImageNetInfo("imagenet-1k")
    english = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    classes: dict[str, set[int]] = {}
    for k, wnid in enumerate(imagenet_classes()):
        synonyms = info.index_to_description(k)
        for name in (wnid, synonyms, synonyms.split(",")[0], english[k]):
            classes.setdefault(_plain(name), set()).add(k)
    return [classes.get(_plain(label), set()) for label in labels]


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").split())


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"Hugging Face's classifiers need the package transformers ({reason_of(error)}): "
            "pip install transformers"
        ) from error
    return transformers


def _statistics(config: dict[str, Any], name: str) -> tuple[list[float], list[float]]:
    """Return the mean and std of a processor; raises UserError if pixels are not in [0, 1]."""
    scale = config.get("rescale_factor", 1 / 255) * 255 if config.get("do_rescale", True) else 255
    if abs(scale - 1) > 1e-6 or config.get("rescale_offset"):
        raise UserError(
            f"hf:{name} does not scale its pixels to [0, 1]: load it in a factory, --model "
            "path/to/file.py:factory, that scales them"
        )
    if not config.get("do_normalize", True):
        return [0.0] * 3, [1.0] * 3
    return list(config["image_mean"]), list(config["image_std"])


def _native(config: dict[str, Any]) -> Preprocessing | None:
    """Return the preprocessing of a processor's configuration, or None for any other kind."""
    size = {k: v for k, v in dict(config.get("size") or {}).items() if v is not None}
    crop = {k: v for k, v in dict(config.get("crop_size") or {}).items() if v is not None}
    interpolation = _INTERPOLATIONS.get(int(config.get("resample", -1)), "")
    cropped, square = config.get("do_center_crop"), len({*crop.values()}) == 1
    if not config.get("do_resize", True) or not interpolation:
        return None
    if size.keys() == {"height", "width"} and len({*size.values()}) == 1 and not cropped:
        side = size["height"]
        return Preprocessing(side, side, interpolation, squash="pillow")
    if size.keys() != {"shortest_edge"}:
        return None
    short = size["shortest_edge"]
    if fraction := config.get("crop_pct"):
        if short >= _SQUASHED_FROM:
            return Preprocessing(short, short, interpolation, squash="pillow")
        return Preprocessing(int(short / fraction), short, interpolation)
    if cropped and square:
        return Preprocessing(short, next(iter(crop.values())), interpolation)
    return None
