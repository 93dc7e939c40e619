"""The zoo as data: models/*.toml, read into dataclasses and checked."""

import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("models")
DEFAULTS = "defaults"  # the table of a file that holds what its rows share
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Sources of the training images, labelled or not, of a model or its teacher. Models trained on more
# than IMAGENET_ONLY may have seen images of the test sets.
TRAINING_DATA = {
    "IN-1k": "ImageNet-1k, 1.3 million images (ILSVRC 2012)",
    "SIN": "Stylized-ImageNet: ImageNet-1k in the style of paintings",
    "IN-21k": "ImageNet-21k, 14 million images",
    "JFT-300M": "Google's JFT-300M",
    "IG-1B": "a billion images from Instagram, with their hashtags",
    "IG-3.6B": "3.6 billion images from Instagram, with their hashtags",
    "YFCC-100M": "a hundred million images from Flickr",
    "WIT-400M": "OpenAI's 400 million image and text pairs, through CLIP",
    "LAION": "image and text pairs from web pages",
    "CC-12M": "12 million image and text pairs from web pages",
    "COYO-700M": "700 million image and text pairs from web pages",
    "COCO": "Microsoft COCO, images with captions",
    "CommonPool": "parts of DataComp's pool of 12.8 billion image and text pairs from web pages",
    "DataComp-1B": "DataComp's filtered 1.4 billion image and text pairs from web pages",
    "DFN": "2 or 5 billion image and text pairs, filtered by a network",
    "MetaCLIP": "0.4 or 2.5 billion image and text pairs, curated as OpenAI's were",
    "WebLI": "Google's 10 billion images from web pages, with texts in many languages",
    "LVD-142M": "142 million images like those of ImageNet-1k, -21k and other curated sets",
    "miniature": "the embedded world (docs/miniature.md)",
    "none": "nothing: initial weights",
}
IMAGENET_ONLY = frozenset({"IN-1k", "SIN"})


@dataclass(frozen=True)
class WeightFile:
    """One file of weights and how its keys become the architecture's keys.

    Steps, in this order: descend to `container` (dotted path; empty: the top level), keep only keys
    that start with `keep`, drop keys that match a pattern of `drop`, remove the prefix `strip`
    (which every key must have), replace the first matching prefix in `rename`, in which `*` stands
    for a number that replaces the corresponding `*` of the replacement.
    guess: the publisher's layout is not known for certain, so the weights are searched in
        `container` (weights.guessed), and a message says where they were found.
    source: URLs, `gdrive:<id>` or `code/<path>` (in this repository), in order of preference.
    sha256: the published hash, or its leading digits; empty: pinned at the first download.
    md5: leading digits, if only the MD5 was published; other downloads are refused.
    safe_globals: classes that the pickle may contain besides tensors, such as argparse.Namespace.
    """

    source: tuple[str, ...]
    container: str = ""
    guess: bool = False
    keep: str = ""
    drop: tuple[str, ...] = ()
    strip: str = ""
    rename: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    md5: str = ""
    safe_globals: tuple[str, ...] = ()


@dataclass(frozen=True)
class ZooModel:
    """One row of the zoo. Weights come from `library`, or from `files` or `seed` with `arch`.

    trained_on: keys of TRAINING_DATA, in the order of training.
    train_size: pixels on a side of the training images.
    parameters: in millions.
    study_top1: top-1 accuracy in the study's table, percent, with the study's preprocessing (Resize
        256, crop 224, bilinear). published_top1: the publisher's, with the model's own.
    library: models of a library with its weights (`timm:…`, `torchvision:…`, `open_clip:…`), in
        order of preference.
    arch: the architecture into which the merged `files` are loaded (strictly): a timm name,
        `torchvision:NAME` or `code/<path>.py:factory` (in this repository); arch_options: further
        arguments of the constructor.
    seed: random seed of the initial weights of an untrained model.
    mean, std: the normalization; None for the library's, or ImageNet's.
    native: the model's own preprocessing, as fields of Preprocessing; libraries provide theirs.
    classes: of the logits: "imagenet-1k", or "miniature" for those of the embedded world.
    unavailable: why the model is unavailable; empty if it is available.
    guess: what is unconfirmed about the row; empty if nothing is.
    """

    name: str
    category: str
    method: str
    paper: str
    year: int
    license: str
    trained_on: tuple[str, ...] = ("IN-1k",)
    train_size: int = 224
    parameters: float | None = None
    study_top1: float | None = None
    published_top1: float | None = None
    aliases: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    arch: str = "timm:resnet50"
    arch_options: dict[str, Any] = field(default_factory=dict)
    files: tuple[WeightFile, ...] = ()
    seed: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    native: dict[str, Any] = field(default_factory=dict)
    classes: str = "imagenet-1k"
    unavailable: str = ""
    guess: str = ""
    notes: str = ""


@cache
def zoo() -> dict[str, ZooModel]:
    """Return the table, by model name.

    Raises ValueError for a row with an unknown or missing field.
    """
    return read_table(*sorted(TABLE.glob("*.toml")))


def read_table(*paths: Path) -> dict[str, ZooModel]:
    """Return the models of tables in the format of models/*.toml, by name."""
    models: dict[str, ZooModel] = {}
    for path in paths:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
        shared = rows.pop(DEFAULTS, {})
        if twice := sorted(set(models) & set(rows)):
            raise ValueError(f"{path}: another table has {twice[0]}, too")
        models |= {name: _model(name, shared | row) for name, row in rows.items()}
    aliases = [alias for model in models.values() for alias in model.aliases]
    if len(set(aliases) | set(models)) < len(aliases) + len(models):
        raise ValueError("an alias is used twice or is also a model's name")
    return models


def find(name: str) -> ZooModel | None:
    """Return the zoo's model of that name or alias, or None."""
    models = zoo()
    by_alias = {alias: model for model in models.values() for alias in model.aliases}
    return models.get(name) or by_alias.get(name)


def _model(name: str, row: dict[str, Any]) -> ZooModel:
    files = tuple(_build(WeightFile, file, f"{name}.files") for file in row.pop("files", []))
    model = _build(ZooModel, {"name": name, "files": files, **row}, name)
    if not (model.library or model.files or model.unavailable or model.seed is not None):
        raise ValueError(f"model {name} has neither library, nor files, nor seed, nor unavailable")
    if unknown := set(model.trained_on) - set(TRAINING_DATA):
        raise ValueError(f"model {name} is trained on {unknown.pop()!r}, not in TRAINING_DATA")
    if (model.mean is None) != (model.std is None):
        raise ValueError(f"model {name} has only one of mean and std")
    for file in files:
        if any(old.count("*") != new.count("*") for old, new in file.rename.items()):
            raise ValueError(f"{name}.files: a rename has another number of * than its replacement")
    return model


def _build(kind: type, row: dict[str, Any], where: str) -> Any:
    """Return a `kind` from a TOML table, its lists as tuples."""
    known = {f.name: f for f in fields(kind)}
    unknown = set(row) - set(known)
    if unknown:
        raise ValueError(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
    for key, value in values.items():
        # A string would pass as a list of its characters.
        if isinstance(value, str) and str(known[key].type).startswith("tuple"):
            raise ValueError(f"{where}: {key} must be a list")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
