"""`path/to/file.py:factory`: networks built by a function in a Python file of the user's."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from PIL import Image, ImageFile
from torch import nn
from torch.nn.parameter import is_lazy

from bvg.errors import UserError, first_few, reason_of
from bvg.files import sha256_of

_BACKENDS: Any = torch.backends
# Settings of the whole process that training scripts change and results depend on: how precise fp32
# is (since PyTorch 2.9 also per operator), and whether the missing half of an image is grey.
_SETTINGS = [
    (_BACKENDS.cudnn, "allow_tf32"),
    (_BACKENDS.cuda.matmul, "allow_tf32"),
    (ImageFile, "LOAD_TRUNCATED_IMAGES"),
    (Image, "MAX_IMAGE_PIXELS"),
]
if hasattr(_BACKENDS, "fp32_precision"):
    _CUDNN = (_BACKENDS.cudnn, _BACKENDS.cudnn.conv, _BACKENDS.cudnn.rnn)
    for _OWNER in (_BACKENDS, *_CUDNN, _BACKENDS.cuda.matmul, _BACKENDS.mkldnn.matmul):
        _SETTINGS.append((_OWNER, "fp32_precision"))
# Where training code replaces functions, which its model may need: they cannot be restored.
_PATCHED: tuple[Any, ...] = (torch, torch.Tensor, nn, nn.functional, nn.Module)
# Further ones: their names, and how they are read and restored.
_FUNCTIONS: list[tuple[str, Callable[[], Any], Callable[[Any], None]]] = [
    ("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    (
        "the default device",
        torch.get_default_device,
        lambda device: torch.set_default_device(None if device.type == "cpu" else device),
    ),
]
for _KIND in ("cpu", "cuda"):
    _FUNCTIONS.append(
        (
            f"autocast of {_KIND}",
            partial(torch.is_autocast_enabled, _KIND),
            partial(torch.set_autocast_enabled, _KIND),
        )
    )


def model_of_file(path: Path, factory: str) -> nn.Module:
    """Return what `factory` returns, with the file and its hash in the attribute `origin`.

    Functions of PyTorch that the file replaces are named in a warning, which is also in `origin`.
    Raises UserError as `call` does.
    """
    before = [dict(vars(owner)) for owner in _PATCHED]
    model = call(path, factory)
    replaced = [
        f"{owner.__name__}.{name}"
        for owner, known in zip(_PATCHED, before, strict=True)
        for name, value in known.items()
        if callable(value) and vars(owner).get(name) is not value
    ]
    own = getattr(model, "origin", {})
    if not isinstance(own, dict):
        raise UserError(
            f"{path}:{factory} has an attribute `origin`, a name that is reserved for the source "
            "of the weights: rename it"
        )
    facts: dict[str, Any] = {"file": str(path.resolve()), "file_sha256": sha256_of(path)}
    if replaced:
        warning = (
            f"replaces {first_few(replaced, 3)} for all models: evaluate it in a call of its own"
        )
        print(f"{path}:{factory}: warning: {warning}", file=sys.stderr, flush=True)
        facts["warnings"] = [warning]
    model.origin = {**own, **facts}  # type: ignore[assignment]
    return model


def call(path: Path, factory: str, **options: Any) -> nn.Module:
    """Return what `factory(**options)` in the Python file `path` returns, which must be a module.

    The file may import modules next to it. Settings of the process that it changes are restored.
    Raises UserError for a missing file or factory, for any error of the code (with the line), and
    if the result is not a module, or one whose weights do not exist yet.
    """
    if not path.is_file():
        raise UserError(f"the model file {path} does not exist: check the path")
    try:
        with _neighbours(path.resolve().parent), same_settings():
            model = _factory(_executed(path), factory, path)(**options)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # including SystemExit
        raise UserError(
            f"{path}:{factory} failed{_line(error, path)} with {type(error).__name__}: "
            f"{reason_of(error)}; fix it there"
        ) from error
    if not isinstance(model, nn.Module):
        raise UserError(
            f"{path}:{factory} returned a {type(model).__name__}: it must return a torch.nn.Module"
        )
    check_weights(model, f"{path}:{factory} returned a model")
    return model


def check_weights(model: nn.Module, what: str) -> None:
    """Raise UserError, about `what`, for weights that have no values, or cannot be used."""
    asked_for = torch.get_default_device().type  # by the caller: "meta" for the shapes alone
    for name, weight in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(weight) or weight.device.type == "meta" != asked_for:
            raise UserError(
                f"{what} whose {name} has no values yet (a lazy layer, or the device `meta`): run "
                "it on an image once, or load its weights"
            )
        if weight.is_inference() and not torch.is_inference_mode_enabled():
            raise UserError(
                f"{what} whose {name} was made in torch.inference_mode(): build it outside of "
                "that block"
            )


@contextmanager
def same_settings() -> Iterator[list[str]]:
    """Restore after the block what it changes in settings of the whole process.

    Yields a list of those that change results, to which the changed ones are added at the end.
    """
    changed: list[str] = []
    before = [(owner, name, _value(owner, name)) for owner, name in _SETTINGS]
    values = [(name, read, restore, read()) for name, read, restore in _FUNCTIONS]
    gradients, folder = torch.is_grad_enabled(), Path.cwd()
    products = None
    with suppress(RuntimeError):
        products = torch.get_float32_matmul_precision()
    try:
        yield changed
    finally:
        changed += [name for owner, name, value in before if _value(owner, name) != value]
        changed += [name for name, read, _, value in values if read() != value]
        if products:
            torch.set_float32_matmul_precision(products)
        for owner, name, value in before:
            if value is not None:
                setattr(owner, name, value)
        for _, read, restore, value in values:
            if read() != value:
                restore(value)
        torch.set_grad_enabled(gradients)
        os.chdir(folder)


def _value(owner: Any, name: str) -> Any:
    """Return a setting; None where a notebook has set the precision per operator."""
    try:
        return getattr(owner, name)
    except RuntimeError:
        return None


@contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """Let the block import modules from `folder`, and unload them afterwards.

    The file of another model may import different modules of the same names.
    """
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    before, added = set(sys.modules), str(folder) not in sys.path
    if added:
        sys.path.insert(0, str(folder))  # first, as for scripts that Python runs
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        if added:
            sys.path.remove(str(folder))
            new = set(sys.modules) - before
            imported = {name for name in new if _is_in(folder, name)}
            for name in new:
                if name.partition(".")[0] in imported:
                    del sys.modules[name]


def _is_in(folder: Path, module: str) -> bool:
    """Return whether a top-level module was imported from `folder`."""
    file = getattr(sys.modules[module], "__file__", None)
    return file in (str(folder / f"{module}.py"), str(folder / module / "__init__.py"))


def _executed(path: Path) -> ModuleType:
    name = f"bvg_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader, path  # always the case for .py files
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _factory(module: ModuleType, factory: str, path: Path):
    found = getattr(module, factory, None)
    if not callable(found):
        own = [
            k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        names = [name for name in own if callable(getattr(module, name)) and name[0] != "_"]
        raise UserError(
            f"{path} has no function {factory!r}; it has {', '.join(names) or 'no functions'}"
        )
    return found


def _line(error: BaseException, path: Path) -> str:
    """Return the last line of the file in the error's traceback, as " in line N"."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    return f" in line {lines[-1]}" if lines else ""
