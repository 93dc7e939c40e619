"""Names of models on the command line; without PyTorch, which takes seconds to import."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from bvg.errors import UserError, reason_of
from bvg.zoo.table import zoo

# How names of models of these libraries begin; open_clip knows the second and the third one, too.
OPEN_CLIP, HUB, LOCAL_DIR, HUGGING_FACE = "open_clip:", "hf-hub:", "local-dir:", "hf:"
FACTORY = re.compile(r"(?P<path>.+\.py):(?P<factory>\w+)")
_NAME = r"[\w-][\w.-]*"
_ALIAS = re.compile(rf"(?P<alias>{_NAME})=(?P<spec>.+)")


def split_alias(name: str) -> tuple[str, str]:
    """Return (run name, model) for `NAME` or `RUNNAME=MODEL`.

    The run name is the model's name in results, tables and W&B: letters, digits and ._- only.
    """
    if match := _ALIAS.fullmatch(name):
        return match["alias"], match["spec"]
    plain = name
    if match := FACTORY.fullmatch(name):
        plain = match["factory"]
    elif name.startswith("file://"):
        plain = Path(name).stem.removesuffix(".pth")
    return re.sub(r"[^\w.-]+", "_", plain).lstrip(".") or "model", name


def is_run_name(name: object) -> bool:
    """Return whether results can have this name."""
    return isinstance(name, str) and re.fullmatch(_NAME, name) is not None


def run_name(name: str) -> str:
    """Return the name of the results of `NAME` or `RUNNAME=MODEL`."""
    return split_alias(name)[0]


def expanded(given: Iterable[str]) -> list[str]:
    """Return the models of --model, each once, in order.

    category:NAME stands for all available models of the zoo's category, a glob pattern for those
    with matching names, @FILE for the lines of a file (# begins a comment). Raises UserError for an
    unknown category, a pattern without a match, an unreadable file, and an empty list.
    """
    models = list(dict.fromkeys(model for text in given for model in _models(text)))
    if not models:
        raise UserError("no models to run: name at least one with --model")
    return models


def _models(text: str) -> list[str]:
    available = [model for model in zoo().values() if not model.unavailable]
    if text.startswith("@"):
        try:
            lines = Path(text[1:]).expanduser().read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"cannot read the list of models {text[1:]} ({reason_of(error)}): give a text file "
                "with one model per line"
            ) from error
        names = (line.partition("#")[0].strip() for line in lines)
        return [model for name in names if name for model in _models(name)]
    if text.startswith("category:"):
        found = [model.name for model in available if f"category:{model.category}" == text]
        remedy = "choose from " + ", ".join(dict.fromkeys(model.category for model in available))
    elif set("*?[") & set(text) and not set("/=:") & set(text):
        found = [model.name for model in available if fnmatchcase(model.name, text)]
        remedy = "python code/zoo.py list shows them all"
    else:
        return [text]
    if not found:
        raise UserError(f"no available model of the zoo matches {text}: {remedy}")
    return found
