"""The zoo as data: models.toml, read into dataclasses and checked."""

import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("models.toml")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class WeightFile:
    """One file of weights and how its keys become the architecture's keys.

    The steps are taken in this order: descend to `container` (dotted path; empty: the top level),
    keep only keys that start with `keep`, remove keys that match a pattern of `drop`, remove the
    prefix `strip` (which every key must have), replace prefixes by `rename`: the first that fits; a
    `*` in it stands for a number, which takes the place of the same `*` in the replacement.
    guess: the publisher's layout is not known for certain: begin where a user's checkpoint would
        have its weights (checkpoints.guessed) instead of at `container`.
    source: URLs, `gdrive:<id>` or `code/<path>` (in this repository), in order of preference.
    sha256: the published hash, or the leading digits of it; empty: pinned at the first download.
    safe_globals: classes that the pickle may hold besides tensors, such as argparse.Namespace.
    """

    source: tuple[str, ...]
    container: str = ""
    guess: bool = False
    keep: str = ""
    drop: tuple[str, ...] = ()
    strip: str = ""
    rename: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    safe_globals: tuple[str, ...] = ()


@dataclass(frozen=True)
class ZooModel:
    """One row of the zoo. Weights come from `library`, or from `files` or `seed` with `arch`.

    library: names that a library resolves with its weights (`timm:…`, `torchvision:…`), in order
        of preference.
    arch: the architecture that `files`, merged, are loaded into (strictly): a timm name,
        `torchvision:NAME` or `code/<path>.py:factory` (in this repository).
    seed: of the random numbers that an untrained model's initial weights are drawn from.
    mean, std: the model's own normalisation; None where the library's is right.
    classes: what the logits mean: "imagenet-1k", or "miniature" for the embedded world's.
    unavailable: why the model cannot be had today; empty where it can.
    """

    name: str
    category: str
    method: str
    paper: str
    year: int
    license: str
    trained_on: str = "IN-1k"
    train_size: int = 224
    top1: float | None = None
    aliases: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    arch: str = "timm:resnet50"
    files: tuple[WeightFile, ...] = ()
    seed: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: str = "imagenet-1k"
    unavailable: str = ""
    notes: str = ""


@cache
def zoo() -> dict[str, ZooModel]:
    """Return the table, by model name.

    Raises ValueError for a row with an unknown or missing field, which is a mistake in the table.
    """
    return read_table(TABLE)


def read_table(path: Path) -> dict[str, ZooModel]:
    """Return the models of a table in the format of models.toml, by name."""
    rows = tomllib.loads(path.read_text())
    models = {name: _model(name, dict(row)) for name, row in rows.items()}
    aliases = [alias for model in models.values() for alias in model.aliases]
    if len(set(aliases) | set(models)) < len(aliases) + len(models):
        raise ValueError(f"{path}: an alias is used twice or is also a model's name")
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
        # A text would pass as a list of its letters.
        if isinstance(value, str) and str(known[key].type).startswith("tuple"):
            raise ValueError(f"{where}: {key} must be a list")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
