"""A name → a model. Names resolve in one fixed order; see load_model."""

import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from basics.errors import UserError
from basics.fetch import cache_folder, fetch
from basics.files import sha256_of
from model_zoo import libraries
from model_zoo.checkpoints import State, guessed, load_strictly, read_checkpoint, rearranged
from model_zoo.normalized import NormalizedModel
from model_zoo.table import IMAGENET_MEAN, IMAGENET_STD, WeightFile, ZooModel, find, zoo

_FACTORY = re.compile(r"(?P<path>.+\.py):(?P<factory>\w+)")
_ALIAS = re.compile(r"(?P<alias>[\w.-]+)=(?P<spec>.+)")
_IN_REPOSITORY = "code/"
_CODE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CheckpointOptions:
    """What a local checkpoint does not say about itself."""

    arch: str = "resnet50"
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    weights_dir: Path | None = None


def split_alias(name: str) -> tuple[str, str]:
    """Return (run name, model) for `NAME` or `RUNNAME=MODEL`.

    The run name is what results, tables and W&B call the model; only letters, digits and ._-
    """
    if match := _ALIAS.fullmatch(name):
        return match["alias"], match["spec"]
    if match := _FACTORY.fullmatch(name):
        return match["factory"], name
    if name.startswith("file://"):
        return Path(name).stem.removesuffix(".pth"), name
    return re.sub(r"[^\w.-]+", "_", name), name


def load_model(name: str, options: CheckpointOptions | None = None) -> nn.Module:
    """Return the model called `name`, in eval mode on the CPU, parameters frozen.

    It maps (B, 3, H, W) float RGB in [0, 1] to (B, classes) logits. A name is, in this order:
    a model of the zoo (models.toml) or an alias; `path/to/file.py:factory`, whose call returns
    such a module (the user's own code, run as such); `file://checkpoint` with options.arch;
    a timm name; `torchvision:NAME`. Raises UserError for anything else, with near names.
    """
    options = options or CheckpointOptions()
    model = _resolve(name, options)
    return model.eval().requires_grad_(False)


def _resolve(name: str, options: CheckpointOptions) -> nn.Module:
    row = find(name)
    if row is not None:
        return _from_zoo(row, options.weights_dir)
    if match := _FACTORY.fullmatch(name):
        return _from_factory(Path(match["path"]).expanduser(), match["factory"])
    if name.startswith("file://"):
        return _from_checkpoint(Path(name.removeprefix("file://")).expanduser(), options)
    if name.startswith("torchvision:"):
        return libraries.torchvision_model(name.removeprefix("torchvision:"))
    if libraries.is_timm_name(name.removeprefix("timm:")):
        return libraries.timm_model(name.removeprefix("timm:"))
    raise UserError(_unknown(name))


def _from_zoo(row: ZooModel, weights_dir: Path | None) -> NormalizedModel:
    if row.unavailable:
        raise UserError(f"model {row.name} cannot be had: {row.unavailable}")
    if row.library:
        return _from_first_library(row)
    network = _architecture(row.arch)
    state: State = {}
    folder = weights_dir or Path(os.environ.get("BVG_WEIGHTS") or cache_folder() / "weights")
    for file in row.files:
        path = _weight_file(row.name, file, folder)
        state |= rearranged(read_checkpoint(path, file.safe_globals), file, str(path))
    load_strictly(network, state, f"the zoo's {row.name}")
    return NormalizedModel(
        network,
        row.mean or IMAGENET_MEAN,
        row.std or IMAGENET_STD,
        classes=_classes(row.classes),
        origin={"zoo": row.name, "sources": [file.source[0] for file in row.files]},
    )


def _from_first_library(row: ZooModel) -> NormalizedModel:
    problems = []
    for name in row.library:
        library, _, rest = name.partition(":")
        loader = libraries.timm_model if library == "timm" else libraries.torchvision_model
        try:
            model = loader(rest)
        except UserError as error:
            problems.append(str(error))
            continue
        if row.mean and row.std:
            native, origin = model.native, model.origin
            model = NormalizedModel(model.network, row.mean, row.std, native=native, origin=origin)
        model.origin["zoo"] = row.name
        return model
    raise UserError("; or else ".join(problems))


def _weight_file(model: str, file: WeightFile, folder: Path) -> Path:
    first = file.source[0]
    if first.startswith(_IN_REPOSITORY):
        return _CODE / first.removeprefix(_IN_REPOSITORY)
    name = first.removeprefix("gdrive:").rpartition("/")[2]
    return fetch(file.source, folder / f"{model}--{name}", file.sha256)


def _classes(kind: str) -> tuple[str, ...] | None:
    if kind == "miniature":
        from miniature.world import CATEGORIES

        return CATEGORIES
    return None


def _architecture(name: str) -> nn.Module:
    if match := _FACTORY.fullmatch(name):
        path = match["path"]
        inside = path.startswith(_IN_REPOSITORY)
        return _call(
            _CODE / path.removeprefix(_IN_REPOSITORY) if inside else Path(path), match["factory"]
        )
    return libraries.architecture(name)


def _from_factory(path: Path, factory: str) -> nn.Module:
    model = _call(path, factory)
    if not hasattr(model, "origin"):
        facts = {"file": str(path.resolve()), "file_sha256": sha256_of(path)}
        model.origin = facts  # type: ignore[assignment]  # an attribute of our own
    return model


def _call(path: Path, factory: str) -> nn.Module:
    """Return what `factory` in the Python file `path` returns, which must be a module."""
    if not path.is_file():
        raise UserError(f"the model file {path} does not exist")
    module_name = f"bvg_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec and spec.loader, path  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.append(str(path.resolve().parent))  # so that it can import its neighbours
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, factory, None)):
            known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            raise UserError(f"{path} has no function {factory!r}; it has {', '.join(known)}")
        model = getattr(module, factory)()
    except UserError:
        raise
    except Exception as error:  # the user's own code: whatever it raises is theirs to mend
        raise UserError(f"{path}:{factory} failed with {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path.remove(str(path.resolve().parent))
    if not isinstance(model, nn.Module):
        raise UserError(f"{path}:{factory} returned a {type(model).__name__}, not a torch module")
    return model


def _from_checkpoint(path: Path, options: CheckpointOptions) -> NormalizedModel:
    network = _architecture(options.arch)
    state, how = guessed(read_checkpoint(path), str(path))
    load_strictly(network, state, str(path))
    origin: dict[str, object] = {
        "checkpoint": str(path.resolve()),
        "arch": options.arch,
        "found": how,
    }
    return NormalizedModel(network, options.mean, options.std, origin=origin)


def _unknown(name: str) -> str:
    known = [*zoo(), *libraries.timm_names()]
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    perhaps = f" (did you mean {' or '.join(near)}?)" if near else ""
    return (
        f"no model is called {name!r}{perhaps}: a model is a name of the zoo or of timm, "
        "torchvision:NAME, file://checkpoint.pth with --arch, or path/to/file.py:factory"
    )
