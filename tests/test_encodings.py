"""Text is UTF-8 in every file, and no terminal's encoding ends a script."""

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import report
from bvg.run.command_line import escape_unencodable_output, guarded
from conftest import REPOSITORY
from study_helpers import made_up, write

CODE = REPOSITORY / "code"
MODULES = sorted(CODE.rglob("*.py"))


def unnamed(tree: ast.AST) -> list[int]:
    """Return the lines where text is read or written in whatever encoding the machine has."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        keywords = {word.arg: word.value for word in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        method = isinstance(node.func, ast.Attribute)
        if name in ("read_text", "write_text") and method and "encoding" not in keywords:
            lines.append(node.lineno)
        of_a_library = method and getattr(node.func.value, "id", "") not in ("io", "path", "Path")
        if name in ("open", "fdopen") and not (name == "open" and of_a_library):
            mode = keywords.get("mode") or (node.args[1] if len(node.args) > 1 else None)
            binary = mode is not None and "b" in str(getattr(mode, "value", "b"))  # or a variable
            if not binary and "encoding" not in keywords:
                lines.append(node.lineno)
        runs = name in ("run", "Popen", "check_output", "call", "check_call")
        as_text = {"text", "universal_newlines"} & {*keywords}
        if runs and as_text and "encoding" not in keywords:
            lines.append(node.lineno)
    return lines


def test_every_text_file_names_its_encoding():
    assert len(MODULES) > 100
    found = {
        path.relative_to(CODE): lines
        for path in MODULES
        if (lines := unnamed(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "open(p)",
        "open(p, 'w')",
        "p.read_text()",
        "p.write_text(s)",
        "path.open()",
        "io.open(p, newline='')",
        "subprocess.run(c, text=True)",
        "os.fdopen(f)",
    ],
)
def test_the_test_sees_text_without_an_encoding(source):
    assert unnamed(ast.parse(source)) == [1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "shift_jis"])
def test_output_never_fails_and_loses_nothing(encoding, monkeypatch):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding, errors="strict"))
    escape_unencodable_output()
    print("ε = 0.5/255 · r = −1 …, file caf\udce9.JPEG", flush=True)
    shown = content.getvalue().decode(encoding)
    assert "ε" in shown or "\\u03b5" in shown
    assert "caf\\udce9.JPEG" in shown


def test_a_text_in_another_encoding_is_a_sentence(capsys):
    assert guarded(lambda: len(b"caf\xe9".decode("utf-8"))) == 2
    assert "UTF-8" in capsys.readouterr().err


@pytest.fixture
def said(tmp_path):
    """Return the words of a report on a model with a name that few encodings have, and its page."""
    frame = made_up(2).rename(index={"model_0": "modèle_ε"})
    page = tmp_path / "rapport_ε.html"
    return ["--table", str(write(frame, tmp_path)), "--out", str(page)], page


def assert_said(output: bytes, page: Path) -> None:
    assert b"usage:" in output and b"wrote " in output
    assert json.dumps("modèle_ε") in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_script_says_what_it_has_to_say(encoding, said, monkeypatch):
    words, page = said
    out, err = io.BytesIO(), io.BytesIO()
    for name, content in (("stdout", out), ("stderr", err)):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding, errors="strict"))
    escape_unencodable_output()
    with pytest.raises(SystemExit, match="0"):
        report.main(["--help"])
    assert report.main(words) == 0
    assert err.getvalue() == b""
    assert_said(out.getvalue(), page)


RUN = """
import sys
from report import main
try:
    main(["--help"])
except SystemExit:
    sys.exit(main(sys.argv[1:]))
"""


def test_a_process_in_the_c_locale_says_it_too(said):
    """Importing the script is enough for that."""
    words, page = said
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        env=surroundings | ascii_only | {"PYTHONPATH": str(CODE)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert_said(done.stdout, page)


def test_every_script_goes_through_the_guard():
    """Standard output escapes what it cannot encode once bvg.run.command_line is imported."""
    scripts = [*CODE.glob("*.py")]
    scripts += [CODE / "miniature" / name for name in ("draw.py", "train.py")]
    without = [
        path.name
        for path in scripts
        if "from bvg.run.command_line" not in path.read_text(encoding="utf-8")
    ]
    assert without == []
