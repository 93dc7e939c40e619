"""Which tensors of a user's checkpoint are the network's: raw or averaged, teacher or student.

Training scripts save several sets of weights in one file. Those that fit the network, name for name
and shape for shape, can be chosen; where more than one fits and no convention says which is meant,
the user has to say so with --weights_key.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from bvg.errors import UserError
from bvg.zoo.checkpoints import (
    COMMON_CONTAINERS,
    COMMON_PREFIXES,
    ONLY_WEIGHTS,
    State,
    inside,
    is_counter,
    without_common_prefixes,
)

# The averaged weights that timm's loader prefers (timm.models.load_state_dict with its default
# use_ema=True), in its order. Nobody agrees on other names: there the user has to choose.
AVERAGED = ("state_dict_ema", "model_ema")
# What torch.optim.swa_utils.AveragedModel adds to the weights.
_COUNT_OF_AVERAGED = "n_averaged"
_DEPTH = 3  # of dicts in dicts
TOP = "."  # the key of the file's own top level


class Chosen(NamedTuple):
    """The tensors to load, where they were found, and a note for the user ("" for none)."""

    state: State
    found: str
    remark: str


def chosen(content: Any, network: nn.Module, where: str, key: str = "") -> Chosen:
    """Return the tensors of a checkpoint that the network is to be loaded with, under its keys.

    key: a dotted path to them (TOP for the top level), which may end in a prefix of their names.
    Without it, those of AVERAGED that fit the network, else the only ones that do. A prefix that
    all names share is removed if the names are then exactly the network's.
    If none fits, the likeliest are returned, and load_strictly says why they do not.
    Raises UserError when there are no tensors, `key` leads to none, or several fit.
    """
    own = network.state_dict()
    states = dict(_states(content))
    fitting = {path: fit for path, state in states.items() if (fit := _fit(state, own))}
    if key:
        state = states.get("" if key == TOP else key) or _part(states, key)
        if not state:
            raise UserError(
                f"{where} has no weights under {key!r}: {_choices(states, fitting, own)}"
            )
        return _named(key, *(_fit(state, own) or (state, "")))
    if not states:
        raise UserError(f"{where} has no state dict; it holds {inside(content)}: {ONLY_WEIGHTS}")
    averaged = [path for path in AVERAGED if path in fitting]
    choices = [*fitting, *_parts(states, fitting, own)]
    if not choices:  # load_strictly will say what is wrong
        usual = [path for path in (*AVERAGED, *COMMON_CONTAINERS) if path in states]
        path = usual[0] if usual else max(states, key=lambda path: len(states[path]))
        return _named(path, without_common_prefixes(states[path])[0], "")
    if choices != [*fitting][:1] and not averaged:
        raise UserError(
            f"{where} holds more tensors than one set of weights for this architecture: "
            f"{_choices(states, fitting, own)}"
        )
    path = averaged[0] if averaged else next(iter(fitting))
    chosen = _named(path, *fitting[path])
    others = [other or TOP for other in choices if other != path]
    unfit = [other for other in AVERAGED if other in states and other not in fitting]
    if others:
        chosen = chosen._replace(
            remark=f"using the averaged weights under {path!r}, as timm does; for the others, give "
            f"--weights_key {' or '.join(others)}"
        )
    elif unfit:
        chosen = chosen._replace(
            remark=f"using the weights {chosen.found}, since those under {unfit[0]!r} do not fit "
            "the architecture"
        )
    return chosen


def _states(content: Any, path: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, State]]:
    """Yield every dict of named tensors in a checkpoint with its dotted path ("" at the top)."""
    if not isinstance(content, dict):
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    if tensors:  # the dict itself where it can be: torch's own know versions of their modules
        yield path, (content if len(tensors) == len(content) else tensors)
    for key, value in named.items():
        if depth and "optim" not in key:  # its moments have the names and shapes of weights
            yield from _states(value, f"{path}.{key}" if path else key, depth - 1)


def _fit(state: State, own: dict[str, Any]) -> tuple[State, str] | None:
    """Return the tensors under the network's keys and the prefix removed; None if they do not fit.

    Only names and shapes are compared, and counters may be missing (see load_strictly).
    """
    counts = {key for key in state if key.rpartition(".")[2] == _COUNT_OF_AVERAGED} - own.keys()
    if counts:
        state = {key: value for key, value in state.items() if key not in counts}
    for prefix in _prefixes(state, own):
        renamed = state
        if prefix:
            if not all(key.startswith(prefix) for key in state):
                continue
            renamed = {key.removeprefix(prefix): value for key, value in state.items()}
        if _fits(renamed, own):
            return renamed, prefix
    return None


def _fits(state: State, own: dict[str, Any]) -> bool:
    needed = {key for key in own if not is_counter(key)}
    return needed <= set(state) <= set(own) and all(
        value.shape == getattr(own[key], "shape", None) for key, value in state.items()
    )


def _prefixes(state: State, own: dict[str, Any]) -> list[str]:
    """Return what stands before the network's longest key: "" or ending in a dot."""
    one = max((key for key in own if not is_counter(key)), key=len, default="")
    before = {key.removesuffix(one) for key in state if key.endswith(one)}
    return sorted((p for p in before if not p or p.endswith(".")), key=len)


def _part(states: dict[str, State], path: str) -> State:
    """Return the tensors whose names begin with what follows a state dict's path in `path`."""
    for outer in sorted(states, key=len, reverse=True):
        if not outer or path.startswith(outer + "."):
            prefix = path[len(outer) + 1 if outer else 0 :] + "."
            state = states[outer]
            if part := {k.removeprefix(prefix): state[k] for k in state if k.startswith(prefix)}:
                return part
    return {}


def _parts(states: dict[str, State], fitting: Iterable[str], own: dict[str, Any]) -> list[str]:
    """Return the paths of parts that fit the network, of state dicts that do not as a whole."""
    paths = []
    for path in states.keys() - {*fitting}:
        for prefix in filter(None, _prefixes(states[path], own)):
            inner = f"{path}.{prefix}".strip(".")
            if _fits(_part({path: states[path]}, inner), own):
                paths.append(inner)
    return sorted(paths)


def _choices(states: dict[str, State], fitting: Iterable[str], own: dict[str, Any]) -> str:
    """Return what --weights_key can be given, as a phrase."""
    paths = [*fitting, *_parts(states, fitting, own)]
    if not paths:  # nothing fits: those that are large enough to be a network's
        paths = [path for path, state in states.items() if 2 * len(state) >= len(own)]
    keys = " or ".join(path or TOP for path in paths)
    return f"choose with --weights_key {keys}" if keys else ONLY_WEIGHTS


def _named(path: str, state: State, prefix: str) -> Chosen:
    found = "at the top level" if path in ("", TOP) else f"under {path!r}"
    if prefix:
        found += f", without the prefix {prefix!r}"
    unusual = re.sub("|".join(map(re.escape, COMMON_PREFIXES)), "", prefix)
    return Chosen(state, found, f"using the weights {found}" if unusual else "")
