"""Where a data set is: its flag, else its environment variable, else the download."""

import os
from dataclasses import dataclass
from pathlib import Path

from bvg.data.fetch import cache_folder
from bvg.errors import UserError


@dataclass(frozen=True)
class Source:
    """How a data set is found.

    title: for messages. flag, variable: its flag and environment variable.
    fetched: its path below the folder of downloads. remedy: how to get it.
    """

    title: str
    flag: str
    variable: str
    fetched: str
    remedy: str


def _downloadable(title: str, key: str, flag: str = "", variable: str = "") -> Source:
    flag = flag or "--" + key.replace("-", "_")
    variable = variable or "BVG_" + flag.removeprefix("--").upper()
    return Source(title, flag, variable, key, f"download it with: python code/download.py {key}")


_SITE = "https://image-net.org/download (ILSVRC2012, validation images; a login is needed)"
_C = "https://zenodo.org/records/2235448 (blur, digital, extra, noise and weather.tar)"
SOURCES = {
    "imagenet": Source(
        "ImageNet", "--imagenet", "BVG_IMAGENET", "imagenet", f"get it from {_SITE}"
    ),
    "imagenet-real": _downloadable("the ReaL labels", "imagenet-real", "--real"),
    "imagenet-v2": _downloadable("ImageNet-V2", "imagenet-v2"),
    "imagenet-a": _downloadable("ImageNet-A", "imagenet-a"),
    "imagenet-r": _downloadable("ImageNet-R", "imagenet-r"),
    "imagenet-sketch": _downloadable("ImageNet-Sketch", "imagenet-sketch"),
    "imagenet-c": Source(
        "ImageNet-C", "--imagenet_c", "BVG_IMAGENET_C", "imagenet-c",
        f"get it from {_C}, or make the corruptions from ImageNet's images with --generate",
    ),
    "imagenet-c-bar": _downloadable("ImageNet-C-bar", "imagenet-c-bar", "--imagenet_cbar"),
    "imagenet-p": Source(
        "ImageNet-P", "--imagenet_p", "BVG_IMAGENET_P", "imagenet-p",
        "get it from https://github.com/hendrycks/robustness",
    ),
    "model-vs-human": _downloadable(
        "model-vs-human", "model-vs-human", "--stimuli", "BVG_MODEL_VS_HUMAN"
    ),
    "cue-conflict": Source(
        "the cue-conflict stimuli", "--stimuli", "BVG_STIMULI", "model-vs-human/cue-conflict",
        "download them with: python code/download.py model-vs-human/cue-conflict",
    ),
    "human-decisions": _downloadable("the human decisions", "human-decisions", "--humans"),
}  # fmt: skip


def find_data(name: str, given: str | Path | None = None) -> Path:
    """Return where the data set is; raises UserError, with the remedy, if it is not found.

    name: a key of SOURCES. given: the value of its flag.
    """
    found = look_for(name, given)
    if found is None:
        source = SOURCES[name]
        raise UserError(
            f"{source.title} was not found: give its folder with {source.flag} (or the environment "
            f"variable {source.variable}), or {source.remedy}"
        )
    return found


def look_for(name: str, given: str | Path | None = None) -> Path | None:
    """Return where the data set is, or None if nothing names it and it was not downloaded.

    Raises UserError if the path that the flag or the variable names does not exist.
    """
    source = SOURCES[name]
    from_environment = os.environ.get(source.variable)
    named = given or from_environment
    if named:
        path = Path(named).expanduser()
        if not path.exists():
            by = source.flag if given else source.variable
            raise UserError(f"{path}, given as {source.title}, does not exist: correct {by}")
        return path
    fetched = cache_folder() / "data" / source.fetched
    return fetched if fetched.exists() else None
