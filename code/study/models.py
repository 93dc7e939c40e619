"""The models of a study: names, categories of the zoo, and lists in files."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from basics.errors import UserError
from model_zoo.table import zoo

CATEGORY = "category:"


def expanded(given: Iterable[str]) -> list[str]:
    """Return the models that `given` names, each once, in order.

    A name stays what it is; `category:NAME` becomes that category's models of the zoo that can be
    had, a pattern such as `miniature_*` those whose names are like it, and `@FILE` what the file
    lists, a name per line (# begins a comment). Raises UserError for an unknown category, a
    pattern that no model of the zoo is like, a file that is not there, and when nothing is left.
    """
    names: list[str] = []
    for text in given:
        if text.startswith(CATEGORY):
            names += _of_category(text.removeprefix(CATEGORY))
        elif text.startswith("@"):
            names += expanded(_lines(Path(text[1:]).expanduser()))
        elif _is_pattern(text):
            names += _alike(text)
        else:
            names.append(text)
    if not names:
        raise UserError("no model is left to be measured: name one, --model NAME")
    return list(dict.fromkeys(names))


def _of_category(category: str) -> list[str]:
    categories = list(dict.fromkeys(model.category for model in zoo().values()))
    if category not in categories:
        near = difflib.get_close_matches(category, categories, n=2)
        perhaps = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise UserError(
            f"the zoo has no category {category!r}{perhaps}: it has {', '.join(categories)}"
        )
    members = [model for model in zoo().values() if model.category == category]
    return [model.name for model in members if not model.unavailable]


def _is_pattern(text: str) -> bool:
    """Return whether the name is a pattern, not a path or a RUNNAME=MODEL with odd characters."""
    return bool(set("*?[") & set(text)) and not set("/=:") & set(text)


def _alike(pattern: str) -> list[str]:
    had = [model.name for model in zoo().values() if not model.unavailable]
    found = [name for name in had if fnmatchcase(name, pattern)]
    if not found:
        raise UserError(
            f"no model of the zoo is called {pattern}: python code/model_zoo list shows them all"
        )
    return found


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the list of models {path} cannot be read: give a text file with a name per line"
        ) from error
    return [line for line in (one.partition("#")[0].strip() for one in text.splitlines()) if line]
