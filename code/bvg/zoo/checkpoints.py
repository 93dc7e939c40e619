"""Checkpoint files: recognised by their content, since people rename files, and read safely."""

import importlib
import json
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from bvg.errors import UserError, first_few, reason_of

MODEL = "bvg"  # the key of safetensors' metadata under which train.py describes the model
ONLY_WEIGHTS = "save only the weights, torch.save(model.state_dict(), path)"
_AGAIN = "copy or download it again"
_UNPACK = "unpack it and give the checkpoint inside"
_EXPORTED = (
    "give the PyTorch checkpoint that it was exported from, or run it in a factory, "
    "--model path/to/file.py:factory"
)
_CONVERT = "convert it to a PyTorch state dict first"
_TORCHSCRIPT = (
    "load it in a factory, `def build(): return torch.jit.load(PATH)`, and give that with "
    "--model path/to/file.py:build"
)
_PAGE = "a web page, not a checkpoint (login required or rate limit reached?)"

# The bytes at an offset, the kind of file that they mark, and the remedy.
_MAGIC = (
    (0, b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (0, b"BZh", "compressed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras?)", _CONVERT),
    (4, b"TFL3", "a TensorFlow Lite model", _EXPORTED),
    (0, b"\x08\x01\x12", "a TensorFlow SavedModel", _EXPORTED),
    (0, b"model_checkpoint_path:", "TensorFlow's list of checkpoints", _CONVERT),
    (0, b"GGUF", "a GGUF file", _CONVERT),
    (0, b"\x93NUMPY", "a single NumPy array", "save all tensors by name with numpy.savez"),
    (0, b"MATLAB 5.0", "a MATLAB file", _CONVERT),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file", "run `git lfs pull`"),
    (0, b"<?xml", "an XML message of a server, not a checkpoint", _AGAIN),
    (0, b"<html", _PAGE, _AGAIN),
    (0, b"<!doctype html", _PAGE, _AGAIN),
)
_INDEX_OF_LEVELDB = bytes.fromhex("57fb808b247547db")  # the last bytes of TensorFlow's .index


def kind_of(path: Path) -> tuple[str, str]:
    """Return what the file is instead of a checkpoint, and the remedy; ("", "") for a checkpoint.

    Checkpoints are torch.save's archives and pickles, safetensors, and NumPy's npz. Only the
    beginning, the end and the list of members are read, so a checkpoint may still be damaged.
    """
    with open(path, "rb") as file:
        start = file.read(512)
        file.seek(max(0, path.stat().st_size - 8))
        end = file.read()
    if not start.strip():
        return "empty", _AGAIN
    if start[8:9] == b"{":  # safetensors: eight bytes of the header's length, then JSON
        return "", ""
    if start.startswith(b"PK"):  # a zip archive, torch.save's format since 1.6
        return _zip(path)
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if start.startswith(b"\x80"):  # a pickle, torch.save's format before 1.6
        return "", ""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for offset, magic, what, remedy in _MAGIC:
        if start.startswith(magic, offset) or (not offset and text.startswith(magic)):
            return what, remedy
    if end == _INDEX_OF_LEVELDB:
        return "the index of a TensorFlow checkpoint", _CONVERT
    if text.startswith(b"{"):
        return _json(path)
    # Protocol buffers and MessagePack have no magic number; these are their usual first bytes.
    if start[0] == 0x08 and 3 <= start[1] <= 20 and start[2] in b"\x12\x1a\x22\x2a\x32\x3a\x42":
        return "an ONNX model", _EXPORTED
    if (0x81 <= start[0] <= 0x8F and 0xA0 <= start[1] <= 0xBF) or start[:1] in (b"\xde", b"\xdf"):
        return "MessagePack (Flax?)", _CONVERT
    return "not a checkpoint: neither torch.save nor safetensors wrote it", _AGAIN


def _is_safetensors(path: Path) -> bool:
    """Return whether a checkpoint is in the safetensors format."""
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def _is_npz(path: Path) -> bool:
    """Return whether the file is a NumPy archive of named arrays."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _all_arrays(archive.namelist())


def _all_arrays(members: list[str]) -> bool:
    return bool(members) and all(name.endswith(".npy") for name in members)


def _zip(path: Path) -> tuple[str, str]:
    if not zipfile.is_zipfile(path):
        return "only part of a checkpoint: it may be truncated", _AGAIN
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    inner = {name.partition("/")[2] for name in members}
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return "a TorchScript archive, a program rather than weights", _TORCHSCRIPT
    if "data.pkl" in inner or _all_arrays(members):
        return "", ""
    if any(name.endswith("model.weights.h5") for name in members):
        return "a Keras model", _CONVERT
    if any(name.endswith("archive_format") for name in members):
        return "a program saved by torch.export", _EXPORTED
    return f"a zip archive of other files ({', '.join(members[:3])})", _UNPACK


def _json(path: Path) -> tuple[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        parts = sorted(set(content["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "a JSON file, not a checkpoint", "give the file of weights that belongs to it"
    return (
        f"the index of a checkpoint in {len(parts)} files ({', '.join(parts[:2])}, …)",
        "load those, merge them into one dict and save that with torch.save",
    )


def read_checkpoint(
    path: Path, safe_globals: Sequence[str] = (), remedy: str = ONLY_WEIGHTS
) -> Any:
    """Return the content of a file of torch.save, safetensors or NumPy (npz), tensors on the CPU.

    Never runs code from the file: only tensors, containers, numbers, strings and the classes in
    `safe_globals` are accepted. Raises UserError for anything else, or a damaged file.
    """
    try:
        what, instead = kind_of(path)
        if what:
            raise UserError(f"{path} is {what}: {instead}")
        if _is_safetensors(path):
            return load_file(path)
        if _is_npz(path):
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
            f"run arbitrary code, so it is refused: {remedy}"
        ) from error
    except UserError:
        raise
    except Exception as error:  # torch, zipfile and safetensors raise many kinds of errors
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason_of(error)}): it may be truncated, or "
            "not a checkpoint; copy or download it again"
        ) from error


def recorded_model(path: Path) -> dict[str, Any]:
    """Return what train.py recorded about the model in the file of its weights; {} for others.

    `arch`, `mean`, `std` and `classes` (None for ImageNet's), and `training`, the recipe.
    """
    if not path.is_file() or kind_of(path)[0] or not _is_safetensors(path):
        return {}
    try:
        with safe_open(path, "pt") as file:
            recorded = json.loads((file.metadata() or {}).get(MODEL, "{}"))
    except Exception:  # a damaged file, for which read_checkpoint has an error
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _files_in(folder: Path) -> str:
    """Return the checkpoint files in a folder as text."""
    found = [p for p in sorted(folder.iterdir()) if p.is_file() and not kind_of(p)[0]]
    return first_few([f"file://{path}" for path in found]) or "a checkpoint file"


def _by_name(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _pickle_reason(error: Exception) -> str:
    """Return the reason of an unpickling error: the refused class, if torch names one."""
    text = str(error)
    for mark in ("GLOBAL ", "Unsupported class "):
        _, found, rest = text.partition(mark)
        if found:
            return f"it holds an object of {rest.split()[0].strip('`')}"
    rest = text.partition("WeightsUnpickler error:")[2].strip()
    return rest.splitlines()[0] if rest else reason_of(error)
