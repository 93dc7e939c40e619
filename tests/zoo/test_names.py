"""Names of models on a command line."""

import subprocess
import sys

import pytest

from bvg.zoo.names import expanded
from bvg.zoo.table import zoo
from conftest import REPOSITORY, refusal


def test_models_are_names_categories_patterns_and_lists(tmp_path):
    (tmp_path / "list.txt").write_text("\ufeffa  # the first\n\nb\n# none\ncategory:freezing\na\n")
    freezing = [m.name for m in zoo().values() if m.category == "freezing" and not m.unavailable]
    assert expanded(["b", f"@{tmp_path / 'list.txt'}"]) == ["b", "a", *freezing]
    assert "freezing" in refusal(expanded, ["category:freezin"])
    assert "none.txt" in refusal(expanded, [f"@{tmp_path / 'none.txt'}"])
    miniature = expanded(["miniature_*"])
    assert len(miniature) == 20 and all(name.startswith("miniature_") for name in miniature)
    plain = ["own?.py:factory", "a=file://x*.pth"]
    assert expanded(plain) == plain
    assert "minature_*" in refusal(expanded, ["minature_*"])
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert "--model" in refusal(expanded, [f"@{tmp_path / 'empty.txt'}"])


@pytest.mark.parametrize(
    "command",
    [
        ("zoo.py", "list"),
        ("run_study.py", "--model", "category:freezing", "--benchmark", "imagenet", "spectral"),
    ],
)
def test_what_only_reads_names_imports_no_heavy_library(command, tmp_path):
    words = [*command, "--print_commands"] if command[0] == "run_study.py" else [*command]
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        "    print({'torch', 'timm', 'torchvision'} & {*sys.modules})\n"
    )
    code = f"import sys; sys.argv = {words!r}; sys.path.insert(0, '.')\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "code", capture_output=True, text=True
    )
    assert result.returncode == 0
    assert result.stdout.count("\n") > 2
    assert result.stdout.endswith("\nset()\n")
