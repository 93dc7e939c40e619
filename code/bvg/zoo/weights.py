"""The weights in a checkpoint: found, renamed to the network's names, and loaded strictly.

The zoo's table describes the layout of each of its files. In a user's file, training scripts may
have saved several sets of weights: raw and averaged, teacher and student. Those that fit the
network, name for name and shape for shape, can be used; if several fit and no convention decides,
the user has to choose with --weights_key.
"""

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bvg.errors import UserError, first_few, reason_of
from bvg.zoo.checkpoints import ONLY_WEIGHTS
from bvg.zoo.table import WeightFile

# Keys under which training scripts save the weights.
COMMON_CONTAINERS = ("state_dict", "model_state_dict", "model", "online_backbone")
# Prefixes that DistributedDataParallel and torch.compile add to all names.
COMMON_PREFIXES = ("module.", "_orig_mod.")

# Numbers of classes in versions of ImageNet-21k.
_IMAGENET_21K = (21843, 21841, 21842, 11821, 11221, 10450)

_COUNTER = "num_batches_tracked"
OTHER_ARCH = "give the architecture that was trained, --arch NAME or --arch path/to/file.py:factory"
# The remedy for a published file that differs from the zoo's table.
OTHER_ROW = "delete it to download it again, or correct the model's row in code/bvg/zoo/models"

State = dict[str, torch.Tensor]
# The averaged weights that timm's loader prefers (timm.models.load_state_dict with its default
# use_ema=True), in its order. There is no convention for other names, so the user has to choose.
AVERAGED = ("state_dict_ema", "model_ema")
# What torch.optim.swa_utils.AveragedModel adds to the weights.
_COUNT_OF_AVERAGED = "n_averaged"
_DEPTH = 3  # nested dicts that are searched
TOP = "."  # --weights_key for the top level of the file


def rearranged(content: Any, file: WeightFile, where: str) -> tuple[State, str]:
    """Return a checkpoint's tensors under the architecture's names, and where they were found.

    The latter is "" unless the table marks the layout as a guess.
    Raises UserError, with the content, when the file is not laid out as `file` describes.
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
    """Return the tensors of a checkpoint of undescribed layout, and where they were found.

    They may be a bare state dict or one under a common key, with or without a common prefix on
    every name. (For users' files see `chosen`, which compares them with the network.) Raises
    UserError if there is none.
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
    """Return the tensors without the COMMON_PREFIXES that all names share, and those prefixes."""
    removed = []
    while prefix := next((p for p in COMMON_PREFIXES if all(k.startswith(p) for k in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        removed.append(prefix)
    return state, removed


def is_counter(key: str) -> bool:
    """Return whether the tensor is batch normalization's counter of training steps."""
    return key.endswith(_COUNTER)


def load_strictly(network: nn.Module, state: State, where: str, remedy: str = OTHER_ARCH) -> None:
    """Load `state` into `network`; half precision is converted to the network's.

    The counters num_batches_tracked may be missing, as in all files of PyTorch < 0.4.1: nothing in
    eval mode depends on them.
    Raises UserError naming every kind of mismatch: missing keys, unexpected keys, wrong shapes,
    other kinds of numbers (integers or 8-bit floats instead of floats: quantized weights).
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
        if (
            state[key].is_floating_point() != own[key].is_floating_point() or _is_float8(state[key])
        )
        and not is_counter(key)
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
        # Merged only if needed, since merging loses the versions that a state dict may carry.
        network.load_state_dict(state | counters if counters else state, strict=True)
    except (RuntimeError, ValueError) as error:  # checks of the architecture itself
        raise UserError(f"{where} is refused by the network ({reason_of(error)}): {remedy}") from (
            error
        )


def untouched_statistics(model: nn.Module) -> str:
    """Return a warning about trained batch norms whose running statistics are initial, or "".

    Networks that were converted may have those of their batch norms in weight and bias.
    """
    untouched = [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        and module.running_mean is not None
        and module.running_var is not None
        and module.weight is not None
        and bool((module.running_mean == 0).all() and (module.running_var == 1).all())
        and bool((module.weight != module.weight[0]).any())
    ]
    if not untouched:
        return ""
    return (
        f"has batch norms with trained weights, but initial running statistics "
        f"({first_few(untouched, 3)}): unless they were converted so, the statistics are missing"
    )


def _is_float8(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.element_size() == 1


def weights_sha256(model: nn.Module) -> str:
    """Return a hash of every parameter and buffer: names, types, shapes and values.

    It does not depend on the file format the weights came in. Buffers that a module names in an
    attribute `computed` follow from others and, since their last digits depend on the device, are
    excluded.
    """
    digest = hashlib.sha256()
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for prefix, module in model.named_modules():
        if isinstance(names := getattr(module, "computed", None), tuple):
            for name in names:
                tensors.pop(f"{prefix}.{name}".lstrip("."), None)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _other_outputs(own: dict[str, Any], state: State) -> str:
    """Return the remedy if only the number of outputs of the last layer differs, else "".

    That is, if all wrong tensors are of one layer and differ in their first dimension only.
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


def inside(content: Any) -> str:
    """Return a description of a checkpoint's content."""
    if isinstance(content, dict) and content:
        return first_few([str(key) for key in content], 4)
    empty = content is None or content == {}
    return "nothing" if empty else f"a {type(content).__name__}"


class Chosen(NamedTuple):
    """The tensors to load, where they were found, and a remark for the user ("" for none)."""

    state: State
    found: str
    remark: str


def chosen(content: Any, network: nn.Module, where: str, key: str = "") -> Chosen:
    """Return the tensors of a checkpoint to load into the network, under the network's names.

    key: a dotted path to them (TOP for the top level), which may end in a prefix of their names.
    Default: those of AVERAGED that fit the network, else the only ones that fit. A prefix that all
    names share is removed if the names are then exactly the network's.
    If none fit, the likeliest are returned, so that load_strictly reports the mismatch.
    Raises UserError if there are no tensors, none under `key`, or several sets fit.
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
    if not choices:  # load_strictly will report the mismatch
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
    """Yield each dict of named tensors in a checkpoint with its dotted path ("" for the top)."""
    if not isinstance(content, dict):
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    if tensors:  # the dict itself if possible, since torch's state dicts carry module versions
        yield path, (content if len(tensors) == len(content) else tensors)
    for key, value in named.items():
        if depth and "optim" not in key:  # an optimizer's moments look like weights
            yield from _states(value, f"{path}.{key}" if path else key, depth - 1)


def _fit(state: State, own: dict[str, Any]) -> tuple[State, str] | None:
    """Return the tensors under the network's names, and the removed prefix; None if they differ.

    Only names and shapes are compared; counters may be missing (see load_strictly).
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
    """Return the prefixes found before the network's longest name: "" or ending in a dot."""
    one = max((key for key in own if not is_counter(key)), key=len, default="")
    before = {key.removesuffix(one) for key in state if key.endswith(one)}
    return sorted((p for p in before if not p or p.endswith(".")), key=len)


def _part(states: dict[str, State], path: str) -> State:
    """Return the tensors at `path`, a state dict's path followed by a prefix of its names."""
    for outer in sorted(states, key=len, reverse=True):
        if not outer or path.startswith(outer + "."):
            prefix = path[len(outer) + 1 if outer else 0 :] + "."
            state = states[outer]
            if part := {k.removeprefix(prefix): state[k] for k in state if k.startswith(prefix)}:
                return part
    return {}


def _parts(states: dict[str, State], fitting: Iterable[str], own: dict[str, Any]) -> list[str]:
    """Return the paths of parts that fit the network, in state dicts that do not fit as a whole."""
    paths = []
    for path in states.keys() - {*fitting}:
        for prefix in filter(None, _prefixes(states[path], own)):
            inner = f"{path}.{prefix}".strip(".")
            if _fits(_part({path: states[path]}, inner), own):
                paths.append(inner)
    return sorted(paths)


def _choices(states: dict[str, State], fitting: Iterable[str], own: dict[str, Any]) -> str:
    """Return the possible values of --weights_key, as a remedy."""
    paths = [*fitting, *_parts(states, fitting, own)]
    if not paths:  # nothing fits: offer all state dicts that are large enough
        paths = [path for path, state in states.items() if 2 * len(state) >= len(own)]
    keys = " or ".join(path or TOP for path in paths)
    return f"choose with --weights_key {keys}" if keys else ONLY_WEIGHTS


def _named(path: str, state: State, prefix: str) -> Chosen:
    found = "at the top level" if path in ("", TOP) else f"under {path!r}"
    if prefix:
        found += f", without the prefix {prefix!r}"
    unusual = re.sub("|".join(map(re.escape, COMMON_PREFIXES)), "", prefix)
    return Chosen(state, found, f"using the weights {found}" if unusual else "")
