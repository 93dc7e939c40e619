"""Checkpoint files: read safely, rearranged as the table says, loaded strictly."""

import fnmatch
import importlib
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bvg.errors import UserError, first_few, reason_of
from bvg.zoo.file_kinds import is_npz, is_safetensors, kind_of
from bvg.zoo.table import WeightFile

# Where training scripts put the weights inside the file they save.
COMMON_CONTAINERS = ("state_dict", "model_state_dict", "model", "online_backbone")
# What DistributedDataParallel and torch.compile put before every key.
COMMON_PREFIXES = ("module.", "_orig_mod.")

# Numbers of classes of ImageNet-21k in use: all, without the root, and the later selections.
_IMAGENET_21K = (21843, 21841, 21842, 11821, 11221, 10450)

_COUNTER = "num_batches_tracked"
OTHER_ARCH = "give the architecture that was trained, --arch NAME or --arch path/to/file.py:factory"
ONLY_WEIGHTS = "save only the weights, torch.save(model.state_dict(), path)"
# What to do about a published file that is not as the zoo's table says.
OTHER_ROW = "delete it to download it again, or correct the model's row in code/bvg/zoo/models"

State = dict[str, torch.Tensor]


def read_checkpoint(
    path: Path, safe_globals: Sequence[str] = (), remedy: str = ONLY_WEIGHTS
) -> Any:
    """Return the content of a file of torch.save, safetensors or NumPy (npz), tensors on the CPU.

    Never runs code from the file: only tensors, containers, numbers, strings and the classes named
    in `safe_globals` are accepted. Raises UserError for anything else, or a broken file.
    """
    try:
        what, instead = kind_of(path)
        if what:
            raise UserError(f"{path} is {what}: {instead}")
        if is_safetensors(path):
            from safetensors.torch import load_file

            return load_file(path)
        if is_npz(path):
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        with torch.serialization.safe_globals([_by_name(name) for name in safe_globals]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"the checkpoint {path} does not exist: check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder: give {_files_in(path)}") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is not a file of plain tensors ({_pickle_reason(error)}); loading it could "
            f"run foreign code, so it is refused: {remedy}"
        ) from error
    except UserError:
        raise
    except Exception as error:  # torch, zipfile and safetensors each raise kinds of their own
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason_of(error)}): it may be truncated, or "
            "not a checkpoint; copy or download it again"
        ) from error


def rearranged(content: Any, file: WeightFile, where: str) -> tuple[State, str]:
    """Return the tensors of a checkpoint under the architecture's own keys, and how it found them.

    The latter is "" where the table says where they are, and a phrase where it only guesses.
    Raises UserError when the file is not laid out as `file` says, naming what it holds.
    """
    how = ""
    for key in filter(None, file.container.split(".")):
        if not isinstance(content, dict) or key not in content:
            raise UserError(
                f"{where} has no entry {key!r}; it holds {inside(content)}: {OTHER_ROW}"
            )
        content = content[key]
    if file.guess:
        content, how = guessed(content, where, OTHER_ROW)
        how = f"in {file.container!r} {how}" if file.container else how
    entries = content if isinstance(content, dict) else {}
    state = {
        key: value
        for key, value in entries.items()
        if str(key).startswith(file.keep)
        and not any(fnmatch.fnmatchcase(key, pattern) for pattern in file.drop)
    }
    if not _is_state(state) or not all(key.startswith(file.strip) for key in state):
        raise UserError(
            f"{where} should hold tensors whose keys start with {file.keep or file.strip!r}; it "
            f"holds {inside(content)}: {OTHER_ROW}"
        )
    renamed = {_renamed(key.removeprefix(file.strip), file.rename): key for key in state}
    if len(renamed) < len(state):
        raise UserError(f"{where} holds keys that the zoo's table renames to the same key")
    return {new: state[key] for new, key in renamed.items()}, how


def guessed(content: Any, where: str, remedy: str = ONLY_WEIGHTS) -> tuple[State, str]:
    """Return the tensors of a checkpoint of the zoo and a phrase that says where they were found.

    For files whose layout nobody has described: a bare state dict or one under a common key, with
    or without a common prefix on every key. A user's own are looked for by `chosen`, which knows
    the network. Raises UserError when there is no such thing.
    """
    found = [""] if _is_state(content) else []
    if isinstance(content, dict):
        found += [key for key in COMMON_CONTAINERS if _is_state(content.get(key))]
    if len(found) != 1:
        problem = "no" if not found else "more than one"
        raise UserError(
            f"{where} has {problem} state dict (at the top, or under "
            f"{', '.join(COMMON_CONTAINERS)}); it holds {inside(content)}: {remedy}"
        )
    state = content[found[0]] if found[0] else content
    how = f"under {found[0]!r}" if found[0] else "at the top level"
    state, removed = without_common_prefixes(state)
    return state, how + "".join(f", without the prefix {prefix!r}" for prefix in removed)


def without_common_prefixes(state: State) -> tuple[State, list[str]]:
    """Return the tensors without the COMMON_PREFIXES that all their names have, and those."""
    removed = []
    while prefix := next((p for p in COMMON_PREFIXES if all(k.startswith(p) for k in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        removed.append(prefix)
    return state, removed


def is_counter(key: str) -> bool:
    """Return whether the tensor is batch normalisation's counter of training steps."""
    return key.endswith(_COUNTER)


def load_strictly(network: nn.Module, state: State, where: str, remedy: str = OTHER_ARCH) -> None:
    """Load `state` into `network`; half precision is widened to the network's own.

    The counters num_batches_tracked may be missing, as in every file of PyTorch < 0.4.1: nothing
    that is computed in eval mode depends on them.
    Raises UserError naming every kind of mismatch: missing keys, unexpected keys, wrong shapes,
    numbers of another kind (integers where the network has floats: quantized weights).
    """
    own = network.state_dict()
    both = sorted(set(own) & set(state))
    missing = sorted(key for key in set(own) - set(state) if not is_counter(key))
    shapes = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in both
        if state[key].shape != own[key].shape
    ]
    kinds = [
        f"{key} is {state[key].dtype} instead of {own[key].dtype}"
        for key in both
        if state[key].is_floating_point() != own[key].is_floating_point() and not is_counter(key)
    ]
    mismatches = {
        "missing keys": missing,
        "unexpected keys": sorted(set(state) - set(own)),
        "wrong shapes": shapes,
        "wrong kinds of numbers": kinds,
    }
    problems = [f"{kind}: {first_few(keys, 4)}" for kind, keys in mismatches.items() if keys]
    if problems:
        if remedy == OTHER_ARCH and problems == [f"wrong shapes: {first_few(shapes, 4)}"]:
            remedy = _other_outputs(own, state) or OTHER_ARCH
        misfit = f"{where} does not fit the architecture {type(network).__name__}"
        raise UserError(f"{misfit} ({'; '.join(problems)}): {remedy}")
    counters = {key: own[key] for key in own if key not in state}
    try:
        # Merged only where needed: a state dict may carry versions that a merged one would lose.
        network.load_state_dict(state | counters if counters else state, strict=True)
    except (RuntimeError, ValueError) as error:  # what an architecture itself demands of a file
        raise UserError(f"{where} is refused by the network ({reason_of(error)}): {remedy}") from (
            error
        )


def _other_outputs(own: dict[str, Any], state: State) -> str:
    """Return what to do where only the last layer differs, in its number of outputs; else "".

    So it is where the tensors of one layer differ in their first dimension alone.
    """
    wrong = [key for key in state if state[key].shape != own[key].shape]
    if any(state[key].shape[1:] != own[key].shape[1:] for key in wrong):
        return ""
    sizes = {(len(state[key]), len(own[key])) for key in wrong}
    if len(sizes) != 1 or len({key.rpartition(".")[0] for key in wrong}) != 1:
        return ""
    found, expected = sizes.pop()
    known = {1001: " (as TensorFlow's models have, whose first is a background class)"}
    known |= dict.fromkeys(_IMAGENET_21K, " (those of ImageNet-21k)")
    return (
        f"it has {found:,} outputs{known.get(found, '')} instead of {expected:,}, so give --arch "
        f"path/to/file.py:factory, whose network has {found:,}, named in its attribute `classes`"
    )


def _files_in(folder: Path) -> str:
    """Return which files in a folder to give instead of it, as a phrase."""
    found = [p for p in sorted(folder.iterdir()) if p.is_file() and not kind_of(p)[0]]
    return first_few([f"file://{path}" for path in found]) or "a checkpoint file"


def _by_name(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) for key in content)
        and all(isinstance(value, torch.Tensor) for value in content.values())
    )


def _renamed(key: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if match := re.match(re.escape(old).replace(r"\*", r"(\d+)"), key):
            for number in match.groups():
                new = new.replace("*", number, 1)
            return new + key[match.end() :]
    return key


def _pickle_reason(error: Exception) -> str:
    """Return the name of the refused class where torch's message has one."""
    text = str(error)
    for mark in ("GLOBAL ", "Unsupported class "):
        _, found, rest = text.partition(mark)
        if found:
            return f"it holds an object of {rest.split()[0].strip('`')}"
    rest = text.partition("WeightsUnpickler error:")[2].strip()
    return rest.splitlines()[0] if rest else reason_of(error)


def inside(content: Any) -> str:
    """Return what a checkpoint holds, as a phrase."""
    if isinstance(content, dict) and content:
        return first_few([str(key) for key in content], 4)
    empty = content is None or content == {}
    return "nothing" if empty else f"a {type(content).__name__}"
