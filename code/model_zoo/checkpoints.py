"""Checkpoint files: read safely, rearranged as the table says, loaded strictly."""

import fnmatch
import importlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from basics.errors import UserError
from model_zoo.table import WeightFile

# Where training scripts put the weights inside the file they save.
COMMON_CONTAINERS = ("state_dict", "model_state_dict", "model")
# What DistributedDataParallel and torch.compile put before every key.
COMMON_PREFIXES = ("module.", "_orig_mod.")

State = dict[str, torch.Tensor]


def read_checkpoint(path: Path, safe_globals: Sequence[str] = ()) -> Any:
    """Return the content of a .safetensors or torch.save file, tensors on the CPU.

    Never runs code from the file: only tensors, containers, numbers, strings and the classes named
    in `safe_globals` are accepted. Raises UserError for anything else, or a broken file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals([_by_name(name) for name in safe_globals]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"the checkpoint {path} does not exist") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is not a file of plain tensors ({_pickle_reason(error)}); loading it could "
            "run foreign code, so it is refused: save only the weights, "
            "torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:  # torch, zipfile and safetensors each raise kinds of their own
        raise UserError(
            f"{path} cannot be read as a checkpoint ({_first_line(error)}): it may be truncated or "
            "not a checkpoint at all; copy or download it again"
        ) from error


def rearranged(content: Any, file: WeightFile, where: str) -> State:
    """Return the tensors of a checkpoint under the architecture's own keys.

    Raises UserError when the file is not laid out as `file` says, naming what it holds.
    """
    for key in filter(None, file.container.split(".")):
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{where} has no entry {key!r}; it holds {_inside(content)}")
        content = content[key]
    state = {key: value for key, value in content.items() if key.startswith(file.keep)}
    state = {
        key: value
        for key, value in state.items()
        if not any(fnmatch.fnmatchcase(key, pattern) for pattern in file.drop)
    }
    without = [key for key in state if not key.startswith(file.strip)]
    if without or not state:
        raise UserError(
            f"{where} should hold keys that start with {file.keep + file.strip!r}; it holds "
            f"{_inside(content)}"
        )
    state = {key.removeprefix(file.strip): value for key, value in state.items()}
    return {_renamed(key, file.rename): value for key, value in state.items()}


def guessed(content: Any, where: str) -> tuple[State, str]:
    """Return the tensors of a user's checkpoint and a phrase that says where they were found.

    Accepts a bare state dict or one under a common key, with or without a common prefix on every
    key. Raises UserError when there is no such thing.
    """
    found = [""] if _is_state(content) else []
    if isinstance(content, dict):
        found += [key for key in COMMON_CONTAINERS if _is_state(content.get(key))]
    if len(found) != 1:
        problem = "no" if not found else "more than one"
        raise UserError(
            f"{where} has {problem} state dict (at the top, or under "
            f"{', '.join(COMMON_CONTAINERS)}); it holds {_inside(content)}"
        )
    state = content[found[0]] if found[0] else content
    how = f"under {found[0]!r}" if found[0] else "at the top level"
    for prefix in COMMON_PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
            how += f", without the prefix {prefix!r}"
    return state, how


def load_strictly(network: nn.Module, state: State, where: str) -> None:
    """Load `state` into `network`; half precision is widened to the network's own.

    Raises UserError naming every kind of mismatch: missing keys, unexpected keys, wrong shapes.
    """
    own = network.state_dict()
    missing = sorted(set(own) - set(state))
    unexpected = sorted(set(state) - set(own))
    shapes = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in sorted(set(own) & set(state))
        if state[key].shape != own[key].shape
    ]
    problems = [
        f"{kind}: {_some(keys)}"
        for kind, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("wrong shapes", shapes),
        )
        if keys
    ]
    if problems:
        raise UserError(
            f"{where} does not fit the architecture {type(network).__name__} "
            f"({'; '.join(problems)}): give the right one with --arch"
        )
    network.load_state_dict(state, strict=True)


def _by_name(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(value, torch.Tensor) for value in content.values())
    )


def _renamed(key: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def _pickle_reason(error: Exception) -> str:
    """Return the name of the refused class where torch's message has one."""
    text = str(error)
    for mark in ("GLOBAL ", "Unsupported class "):
        _, found, rest = text.partition(mark)
        if found:
            return f"it holds a {rest.split()[0].strip('`')} object"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _inside(content: Any) -> str:
    if isinstance(content, dict):
        return _some([str(key) for key in content])
    return f"a {type(content).__name__}"


def _some(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
