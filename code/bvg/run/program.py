"""The program that computes a result: a digest that tells whether it has changed since."""

import ast
import hashlib
import linecache
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Program:
    """A script that calls `evaluate`: its name, and a digest of its code, empty if unknown."""

    name: str
    digest: str

    def is_known_to_differ(self, digest: str | None) -> bool:
        """Return whether a recorded digest is of another program, if both are known."""
        return bool(digest and self.digest) and digest != self.digest


def program_of(caller: str, functions: Iterable[Callable[..., Any]]) -> Program:
    """Return the script that calls `evaluate`.

    caller: the file with the call, or the name of a notebook's cell. functions: stimuli, decision
    and score, which may be in other files or cells; the library's own (bvg) do not count. Comments,
    docstrings and layout do not change the digest, and neither does the version of Python.
    """
    files = {caller}
    for function in functions:
        while isinstance(function, partial):
            function = function.func
        if code := getattr(function, "__code__", None):
            files.add(code.co_filename)
    linecache.checkcache()  # a script may have been edited since it was last read
    texts = ["".join(linecache.getlines(file)) for file in files if not _is_ours(file)]
    try:
        codes = sorted(repr(_content(ast.parse(text))) for text in texts if text)
    except SyntaxError:  # a cell with a notebook's magic commands
        codes = []
    digest = hashlib.sha256("\n".join(codes).encode()).hexdigest() if codes else ""
    is_file = Path(caller).is_file()  # else a cell, whose number says nothing
    return Program(Path(caller).name if is_file else "the calling cell", digest)


def _content(node: object) -> object:
    """Return a syntax tree as nested lists without docstrings.

    Versions of Python differ in the empty fields of nodes, which are left out, and in the quotes
    that ast.unparse chooses.
    """
    if isinstance(node, list):
        return [_content(item) for item in node if not _is_text(item)]
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, _content(value)) for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *(pair for pair in fields if pair[1] not in (None, []))]


def _is_text(node: object) -> bool:
    """Return whether a statement is only a string, such as a docstring."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return False
    return isinstance(node.value.value, str)


def _is_ours(file: str) -> bool:
    return Path(file).resolve().is_relative_to(_PACKAGE)
