"""Models by name; see load_model for what a name can be."""

import difflib
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import nn

from bvg.data.fetch import fetch, weights_folder
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.zoo import libraries
from bvg.zoo.checkpoints import kind_of, read_checkpoint, recorded_model
from bvg.zoo.factories import call, model_of_file
from bvg.zoo.names import FACTORY, HUB, HUGGING_FACE, OPEN_CLIP
from bvg.zoo.normalized import NormalizedModel
from bvg.zoo.stated import CLASS_NAMES, STATED_ARCH, stated_in, statistics_beside, timm_config
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD, WeightFile, ZooModel, find, zoo
from bvg.zoo.weights import OTHER_ROW, State, chosen, load_strictly, rearranged

_ROUNDING = 0.002  # of stated statistics
_REPOSITORY = Path(__file__).resolve().parents[3]  # the parent of `code/…` in the zoo's table
TEMPLATES = ("openai80", "simple7", "none")  # of sentences about a class


@dataclass(frozen=True)
class Text:
    """What the classes are called.

    templates: one of TEMPLATES, or a text file with a sentence per line in which {} stands for the
        class.
    class_names: a text file with a line per class of ImageNet, in the order of the wnids, or with
        lines `class<TAB>name` for any classes; None for open_clip's names of ImageNet's.
    """

    templates: str = TEMPLATES[0]
    class_names: Path | None = None


@dataclass(frozen=True)
class CheckpointOptions:
    """What a local checkpoint does not record about itself, and a zero-shot model's classes.

    arch, mean, std: where not given, what the file or the one beside it states, else a ResNet-50
    with ImageNet's statistics.
    weights_key: dotted path of the weights in the file; "" for the default of zoo.weights.chosen.
    text: the names and sentences of a zero-shot model's classes, which are encoded on `device`.
    """

    arch: str = ""
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    weights_dir: Path | None = None
    weights_key: str = ""
    text: Text = field(default_factory=Text)
    device: str = "cpu"


def load_model(name: str, options: CheckpointOptions | None = None) -> nn.Module:
    """Return the model called `name`, in eval mode on the CPU, parameters frozen.

    It maps (B, 3, H, W) float RGB in [0, 1] to (B, classes) logits. A name is looked up in this
    order: a model of the zoo (models/*.toml) or an alias; `path/to/file.py:factory`, a function of
    the user's that returns such a module; `file://checkpoint` with options.arch;
    `torchvision:NAME`; `open_clip:ARCH/TAG` or `hf-hub:NAME`, zero-shot; `hf:NAME` or `hf:FOLDER`;
    a timm name. Raises UserError, with similar names, for anything else.
    """
    options = options or CheckpointOptions()
    model = _resolve(name, options)
    return frozen(model)


def frozen(model: nn.Module) -> nn.Module:
    """Return the model itself, in eval mode and its parameters frozen."""
    for parameter in model.parameters():  # TorchScript modules have no requires_grad_
        parameter.requires_grad_(False)
    try:
        model.eval()  # whose result is None where a user's train() returns nothing
    except NotImplementedError:  # programs of torch.export stay in the mode they were exported in
        for module in model.modules():
            module.training = False
    return model


def _resolve(name: str, options: CheckpointOptions) -> nn.Module:
    row = find(name)
    if row is not None:
        return _from_zoo(row, options)
    if match := FACTORY.fullmatch(name):
        return model_of_file(_user_path(match["path"]), match["factory"])
    if name.startswith("file://"):
        return _from_checkpoint(_user_path(name.removeprefix("file://")), options)
    if name.startswith("torchvision:"):
        return libraries.torchvision_model(name.removeprefix("torchvision:"))
    if name.startswith((OPEN_CLIP, HUB)):
        return _zero_shot(name.removeprefix(OPEN_CLIP), options)
    if name.startswith(HUGGING_FACE):
        from bvg.zoo.hugging_face import hugging_face_model  # here, because it is rarely needed

        return hugging_face_model(name.removeprefix(HUGGING_FACE))
    if libraries.is_timm_name(name.removeprefix("timm:")):
        return libraries.timm_model(name.removeprefix("timm:"))
    raise UserError(_unknown(name))


def _user_path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # noqa: PTH111  (Path.expanduser raises for unknown users)


def _from_zoo(row: ZooModel, options: CheckpointOptions) -> NormalizedModel:
    if row.unavailable:
        raise UserError(f"model {row.name} is unavailable: {row.unavailable}")
    if row.guess:
        _say(row, f"unconfirmed: {row.guess}")
    if row.library:
        return _from_first_library(row, options)
    origin: dict[str, object] = {"zoo": row.name}
    if row.files:  # before the network is built, which may take seconds
        state, where, found = _zoo_state(row, weights_folder(options.weights_dir))
        origin |= {"sources": [file.source[0] for file in row.files]} | found
    else:
        origin["untrained"] = True
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(row.seed or 0)
        network = architecture_of(row)
    if row.files:
        load_strictly(network, state, where, OTHER_ROW)
    return NormalizedModel(
        network,
        row.mean or IMAGENET_MEAN,
        row.std or IMAGENET_STD,
        classes=_classes(row.classes),
        native=Preprocessing(**row.native),
        origin=origin,
    )


def architecture_of(row: ZooModel) -> nn.Module:
    """Return the network of a row with initial weights."""
    if match := FACTORY.fullmatch(row.arch):
        return call(_REPOSITORY / match["path"], match["factory"], **row.arch_options)
    return libraries.architecture(row.arch, **row.arch_options)


def _zoo_state(row: ZooModel, folder: Path) -> tuple[State, str, dict[str, Any]]:
    """Return the merged tensors of a row's files, the files' paths, and the guessed location."""
    state: State = {}
    found: dict[str, Any] = {}
    paths = [_weight_file(row.name, file, folder) for file in row.files]
    for path, file in zip(paths, row.files, strict=True):
        content = read_checkpoint(path, file.safe_globals, OTHER_ROW)
        part, how = rearranged(content, file, str(path))
        if how:
            _say(row, f"the layout of {path.name} is a guess; the weights were found {how}")
            found = {"found": how}
        if twice := sorted(set(state) & set(part)):
            raise UserError(f"two files of the zoo's {row.name} hold {twice[0]}: {OTHER_ROW}")
        state |= part
    return state, " and ".join(map(str, paths)), found


def _say(row: ZooModel, words: str) -> None:
    print(f"{row.name}: {words}", file=sys.stderr, flush=True)


def _zero_shot(name: str, options: CheckpointOptions) -> NormalizedModel:
    from bvg.zoo.zero_shot import zero_shot_model  # here, because it is rarely needed

    return zero_shot_model(name, options.text, options.device)


def _from_first_library(row: ZooModel, options: CheckpointOptions) -> NormalizedModel:
    loaders: dict[str, Callable[[str], NormalizedModel]] = {
        "timm": libraries.timm_model,
        "torchvision": libraries.torchvision_model,
        "open_clip": lambda name: _zero_shot(name, options),
    }
    problems = []
    for name in row.library:
        library, _, rest = name.partition(":")
        try:
            model = loaders[library](rest)
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
    """Return the file on disk: a copy under the publisher's name, or the downloaded file."""
    first = file.source[0]
    if first.startswith("code/"):
        return _REPOSITORY / first
    name = Path(urlsplit(first).path).name  # without ?download=1
    sharing = (row.name for row in zoo().values() if first in {f.source[0] for f in row.files})
    stored = folder / f"{next(sharing, model)}--{name}"  # rows of the same file share it
    path = folder / name if not stored.exists() and (folder / name).is_file() else stored
    return fetch(file.source, path, file.sha256, refuse=partial(_not_the_file, file))


def _not_the_file(file: WeightFile, path: Path) -> str:
    if what := kind_of(path)[0]:
        return what
    with open(path, "rb") as content:
        md5 = hashlib.file_digest(content, "md5").hexdigest() if file.md5 else ""
    return "" if md5.startswith(file.md5) else f"not the published file, whose MD5 is {file.md5}…"


def _classes(kind: str) -> tuple[str, ...] | None:
    if kind == "miniature":
        from miniature.world import CATEGORIES

        return CATEGORIES
    return None


def _from_checkpoint(path: Path, options: CheckpointOptions) -> NormalizedModel:
    recorded = recorded_model(path) or timm_config(path)
    if _is_another(options.arch, recorded.get("arch")):
        recorded = {}  # of another file in the folder
    content = read_checkpoint(path)
    stated = stated_in(content) | recorded
    arch = options.arch or recorded.get("arch") or stated.get(STATED_ARCH) or "resnet50"
    trained_on = recorded.get("classes") or recorded.get(CLASS_NAMES)
    network = network_of(arch, trained_on if arch == recorded.get("arch") else None)
    if isinstance(network, NormalizedModel):
        raise UserError(
            f"--arch {arch} returns a model that normalizes its input, in addition to "
            "--mean and --std: return the network without normalization"
        )
    weights = chosen(content, network, str(path), options.weights_key)
    if weights.remark:
        print(f"{path.name}: {weights.remark}", file=sys.stderr, flush=True)
    load_strictly(network, weights.state, str(path))
    origin: dict[str, object] = {
        "checkpoint": str(path.resolve()),
        "arch": arch,
        "found": weights.found,
    }
    classes = getattr(network, "classes", None)
    if callable(classes) or isinstance(classes, torch.Tensor):
        classes = None  # a layer, method or buffer of that name
    if classes is None and recorded.get("classes"):
        classes = tuple(recorded["classes"])
    if not _has_statistics(network):
        stated = statistics_beside(content, weights.state) | stated
    if warnings := _contradictions(arch, options, stated):
        for warning in warnings:
            print(f"{path.name}: warning: {warning}", file=sys.stderr, flush=True)
        origin["warnings"] = warnings
    mean, std = _statistics(path, arch, network, options, stated)
    native = getattr(network, "native", None)
    model = NormalizedModel(network, mean, std, classes=classes, native=native, origin=origin)
    if CLASS_NAMES in stated:  # used if they are as many as the logits
        setattr(model, CLASS_NAMES, stated[CLASS_NAMES])
    return model


def _is_another(arch: str, other: str | None) -> bool:
    """Return whether both are architectures of libraries, with different names."""
    known = all(name and not FACTORY.fullmatch(name) for name in (arch, other))
    return known and libraries.bare_name(arch) != libraries.bare_name(other or "")


def _contradictions(arch: str, options: CheckpointOptions, stated: dict[str, Any]) -> list[str]:
    """Return a warning for everything that the flags say otherwise than the checkpoint."""
    found = []
    if _is_another(arch, stated.get(STATED_ARCH)):
        found.append(
            f"states that it is of {stated[STATED_ARCH]}, but was loaded as {arch}, whose weights "
            "have the same names and shapes"
        )
    for name, given in (("mean", options.mean), ("std", options.std)):
        own = stated.get(name)
        if given and own and any(abs(a - b) > _ROUNDING for a, b in zip(given, own, strict=True)):
            found.append(
                f"states the {name} {' '.join(f'{v:g}' for v in own)}, but is used with --{name} "
                f"{' '.join(f'{v:g}' for v in given)}"
            )
    return found


def _statistics(
    path: Path, arch: str, network: nn.Module, options: CheckpointOptions, stated: dict[str, Any]
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the mean and std for a checkpoint: the flags', else the stated ones, else ImageNet's.

    Raises UserError if neither is given, and timm trains this architecture with others, or the
    network may normalize its input itself.
    """
    usual = getattr(network, "pretrained_cfg", None) or {}
    default: dict[str, Sequence[float]] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    given = {"mean": options.mean, "std": options.std}
    known = {name: given[name] or stated.get(name) for name in default}
    if _has_statistics(network) and not all(known.values()):
        raise UserError(
            f"{arch} has a mean and a std of three channels: give --mean 0 0 0 --std 1 1 1 if it "
            "normalizes its input with them, else the --mean and --std that it was trained with"
        )
    unlike = [name for name in default if tuple(usual.get(name) or default[name]) != default[name]]
    if unlike and not all(known.values()):
        of_timm = " ".join(f"--{name} {' '.join(map(str, usual[name]))}" for name in default)
        raise UserError(
            f"{path} does not state how its input was normalized, and timm's {arch} is trained "
            f"with other values than ImageNet's mean and std: give {of_timm}, or those that it was "
            "trained with"
        )
    used = {name: known[name] or default[name] for name in default}
    if not all(given.values()) and not stated.get("training"):
        whose = "its own" if all(known.values()) else "ImageNet's, since it does not state any:"
        values = ", ".join(f"{name} {' '.join(map(str, used[name]))}" for name in used)
        print(f"{path.name}: normalizing with {whose} {values}", file=sys.stderr, flush=True)
    return used["mean"], used["std"]


def _has_statistics(network: nn.Module) -> bool:
    tensors = (*network.named_buffers(), *network.named_parameters())
    names = {name.rpartition(".")[2] for name, tensor in tensors if tensor.numel() == 3}
    return {"mean", "std"} <= names


def network_of(arch: str, classes: Sequence[str] | None) -> nn.Module:
    """Return a network with initial weights for these classes; None: for as many as it has.

    arch: what --arch takes. A factory decides on its classes itself.
    """
    if match := FACTORY.fullmatch(arch):
        path, own = _user_path(match["path"]), _REPOSITORY / match["path"]
        return call(own if own.is_file() and not path.is_file() else path, match["factory"])
    options = {"num_classes": len(classes)} if classes else {}
    return libraries.architecture(arch, **options)


def _unknown(name: str) -> str:
    known = [*zoo(), *libraries.known_names()]
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    if name.endswith(".py"):
        near = [f"{name}:FACTORY"]
    elif Path(name).is_file():
        near = [f"file://{name}"]
    perhaps = f" (did you mean {' or '.join(near)}?)" if near else ""
    return (
        f"unknown model {name!r}{perhaps}: a model is a name of the zoo or of timm, "
        "torchvision:NAME, open_clip:ARCH/TAG, hf-hub:NAME, hf:NAME, file://checkpoint.pth with "
        "--arch, or path/to/file.py:factory"
    )
