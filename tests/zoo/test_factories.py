"""A user's own Python file: run as such, and every mishap in it is one sentence."""

import os
import subprocess
import sys

import pytest
import torch

from bvg.files import sha256_of
from bvg.zoo.loading import load_model
from conftest import REPOSITORY, refusal


def write(path, text: str) -> str:
    path.write_text(text)
    return f"{path}:build"


NET = "import torch\ndef build(): return torch.nn.Linear(2, 2)\n"


def test_a_factorys_model_is_in_eval_mode_frozen_and_knows_its_file(tmp_path):
    model = load_model(write(tmp_path / "net.py", NET))
    assert isinstance(model, torch.nn.Linear)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.origin == {
        "file": str(tmp_path / "net.py"),
        "file_sha256": sha256_of(tmp_path / "net.py"),
    }


def test_a_normalized_model_keeps_its_own_origin_and_gets_the_files(tmp_path):
    text = (
        "import torch\nfrom bvg.zoo.normalized import NormalizedModel\n"
        "def build(): return NormalizedModel(torch.nn.Identity(), (0,)*3, (1,)*3, "
        "classes=('a',), origin={'run': 7})\n"
    )
    model = load_model(write(tmp_path / "net.py", text))
    assert model.classes == ("a",)
    assert model.origin["run"] == 7
    assert model.origin["file_sha256"] == sha256_of(tmp_path / "net.py")


def test_an_origin_of_another_kind_is_refused(tmp_path):
    text = NET.replace("return torch", "m = torch").rstrip() + "; m.origin = 'x'; return m\n"
    assert "attribute `origin`" in refusal(load_model, write(tmp_path / "net.py", text))


def test_relative_and_home_paths(tmp_path, monkeypatch):
    write(tmp_path / "net.py", NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert isinstance(load_model("net.py:build"), torch.nn.Linear)
    assert isinstance(load_model("~/net.py:build"), torch.nn.Linear)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def build(:", "failed with SyntaxError"),
        ("import torch\nimport no_such_package", "in line 2 with ModuleNotFoundError: No module"),
        ("import sys\nsys.exit(3)", "in line 2 with SystemExit: 3"),
        ("import sys\ndef build():\n    sys.exit()", "in line 3 with SystemExit"),
        ("def build():\n    raise KeyError('layer\\n9')", "in line 2 with KeyError"),
        ("def build(size): pass", "failed with TypeError"),
        ("def build(): return 7", "returned a int: it must return a torch.nn.Module"),
        ("import torch\nbuild = torch.nn.Linear", "failed with TypeError"),
        ("def other(): pass\ndef _own(): pass", "has no function 'build'; it has other"),
        ("from os import path\nbuild = 3", "has no function 'build'; it has no functions"),
        ("from bvg.errors import UserError\ndef build(): raise UserError('mine')", "mine"),
    ],
)
def test_what_goes_wrong_in_the_file_is_one_sentence(tmp_path, text, words):
    assert words in refusal(load_model, write(tmp_path / "net.py", text))


def test_a_missing_file_is_named(tmp_path):
    assert f"{tmp_path}/no.py does not exist" in refusal(load_model, f"{tmp_path}/no.py:build")
    (tmp_path / "folder.py").mkdir()
    assert "does not exist" in refusal(load_model, f"{tmp_path}/folder.py:build")


def test_an_interruption_is_not_the_files_mistake(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        load_model(write(tmp_path / "net.py", "def build(): raise KeyboardInterrupt"))


def test_two_files_with_neighbours_of_the_same_name_each_get_their_own(tmp_path):
    names = []
    for name, size in (("a", 2), ("b", 3)):
        folder = tmp_path / name
        (folder / "parts").mkdir(parents=True)
        (folder / "parts" / "__init__.py").write_text("")
        (folder / "parts" / "deep.py").write_text(f"SIZE = {size}")
        (folder / "sizes.py").write_text("from parts.deep import SIZE")
        text = "import torch\nfrom sizes import SIZE\ndef build(): return torch.nn.Linear(1, SIZE)"
        names.append(write(folder / "net.py", text))
    path, modules = [*sys.path], set(sys.modules)
    assert [load_model(name).out_features for name in names] == [2, 3]
    assert sys.path == path
    assert not {"sizes", "parts", "parts.deep"} & (set(sys.modules) - modules)
    assert not list(tmp_path.rglob("__pycache__"))  # the user's folder is left as it was


def test_a_folder_that_is_on_the_path_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    load_model(write(tmp_path / "net.py", NET))
    assert sys.path[0] == str(tmp_path)


def test_neighbours_come_before_installed_modules_as_in_any_script(tmp_path, monkeypatch):
    """A package that someone else installed under the neighbour's name is not what is imported."""
    for folder, size in (("site", 5), ("mine", 7)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sizes_of_layers.py").write_text(f"SIZE = {size}")
    monkeypatch.syspath_prepend(tmp_path / "site")
    text = "import torch\nfrom sizes_of_layers import SIZE\n"
    text += "def build(): return torch.nn.Linear(1, SIZE)\n"
    assert load_model(write(tmp_path / "mine" / "net.py", text)).out_features == 7
    assert load_model(write(tmp_path / "net.py", text)).out_features == 5


def test_neighbours_may_have_any_name_but_that_of_the_package(tmp_path):
    """The study's own code has such packages, and code/ has scripts of the last two names."""
    names = ("evaluation", "model_zoo", "analysis", "images", "stimuli", "report", "zoo")
    for size, name in enumerate(names, start=1):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"SIZE = {size}")
    lines = [f"from {name} import SIZE as {name}" for name in names]
    total = f"def build(): return torch.nn.Linear(1, {' + '.join(names)})"
    (tmp_path / "net.py").write_text("\n".join(["import torch", *lines, total]))
    program = (
        "import eval_imagenet\nfrom bvg.zoo.loading import load_model\n"
        f"print(load_model({str(tmp_path / 'net.py:build')!r}).out_features)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "code")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == (str(sum(range(1, 8))), "")


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ("torch.nn.functional.silu = lambda x, inplace=False: x", "torch.nn.functional.silu"),
        ("torch.nn.Module.extra = 1", ""),
        ("import torch.nn.utils.prune", ""),
    ],
)
def test_replaced_functions_of_pytorch_are_said(patch, name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        torch.nn.functional, "silu", torch.nn.functional.silu
    )  # restored at the end
    monkeypatch.setattr(torch.nn.Module, "extra", 0, raising=False)
    path = tmp_path / "net.py"
    path.write_text(f"import torch\n{patch}\ndef net(): return torch.nn.Linear(1, 1)\n")
    origin = load_model(f"{path}:net").origin
    assert [name in warning for warning in origin.get("warnings", [])] == [True] * bool(name)
    assert ("warning" in capsys.readouterr().err) == bool(name)
