"""The kind of a weight file, from its content: people rename files, and downloads fail."""

import json
import zipfile
from pathlib import Path

AGAIN = "copy or download it again"
_UNPACK = "unpack it and give the checkpoint inside"
_EXPORTED = "give the PyTorch checkpoint that it was exported from, or run it in a factory, "
_EXPORTED += "--model path/to/file.py:factory"
_CONVERT = "convert it to a PyTorch state dict first"
_TORCHSCRIPT = (
    "load it in a factory, `def build(): return torch.jit.load(PATH)`, and give that with "
    "--model path/to/file.py:build"
)
_PAGE = "a web page, not a checkpoint (login required or rate limit reached?)"

# By the bytes at an offset: what the file is, and what to do about it.
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
    (0, b"model_checkpoint_path:", "the list of checkpoints that TensorFlow keeps", _CONVERT),
    (0, b"GGUF", "a GGUF file", _CONVERT),
    (0, b"\x93NUMPY", "a single NumPy array", "save all tensors by name with numpy.savez"),
    (0, b"MATLAB 5.0", "a MATLAB file", _CONVERT),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file", "run `git lfs pull`"),
    (0, b"<?xml", "an XML message of a server, not a checkpoint", AGAIN),
    (0, b"<html", _PAGE, AGAIN),
    (0, b"<!doctype html", _PAGE, AGAIN),
)
_INDEX_OF_LEVELDB = bytes.fromhex("57fb808b247547db")  # the last bytes of TensorFlow's .index


def kind_of(path: Path) -> tuple[str, str]:
    """Return what the file is instead of a checkpoint, and the remedy; ("", "") for a checkpoint.

    Checkpoints are torch.save's archives and pickles, safetensors, and NumPy's npz. Only the
    beginning, the end and the list of members are read, so a checkpoint may still be broken.
    """
    with open(path, "rb") as file:
        start = file.read(512)
        file.seek(max(0, path.stat().st_size - 8))
        end = file.read()
    if not start.strip():
        return "empty", AGAIN
    if start[8:9] == b"{":  # after the eight bytes of the header's length: safetensors
        return "", ""
    if start.startswith(b"PK"):  # a zip archive, torch.save's since 1.6; its index is at its end
        return _zip(path)
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if start.startswith(b"\x80"):  # a pickle, torch.save's before 1.6
        return "", ""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for offset, magic, what, remedy in _MAGIC:
        if start.startswith(magic, offset) or (not offset and text.startswith(magic)):
            return what, remedy
    if end == _INDEX_OF_LEVELDB:
        return "the index of a TensorFlow checkpoint", _CONVERT
    if text.startswith(b"{"):
        return _json(path)
    # Protocol buffers and MessagePack have no magic number; these are how the two usually begin.
    if start[0] == 0x08 and 3 <= start[1] <= 20 and start[2] in b"\x12\x1a\x22\x2a\x32\x3a\x42":
        return "an ONNX model", _EXPORTED
    if (0x81 <= start[0] <= 0x8F and 0xA0 <= start[1] <= 0xBF) or start[:1] in (b"\xde", b"\xdf"):
        return "MessagePack (Flax?)", _CONVERT
    return "not a checkpoint: neither torch.save nor safetensors wrote it", AGAIN


def is_safetensors(path: Path) -> bool:
    """Return whether the file, which is a checkpoint, is one of safetensors."""
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def is_npz(path: Path) -> bool:
    """Return whether the file is NumPy's archive of named arrays."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _all_arrays(archive.namelist())


def _all_arrays(members: list[str]) -> bool:
    return bool(members) and all(name.endswith(".npy") for name in members)


def _zip(path: Path) -> tuple[str, str]:
    if not zipfile.is_zipfile(path):
        return "only part of a checkpoint: it may be truncated", AGAIN
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
