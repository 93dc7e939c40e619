"""The table: every row is complete and names what exists; mistakes in it are errors."""

import csv
import dataclasses
import re

import pytest
import timm
from torchvision import models

from model_zoo.table import TABLE, WeightFile, find, read_table, zoo

HEAD = 'category = "c"\nmethod = "m"\npaper = "p"\nyear = 2020\nlicense = "l"\n'


def read(tmp_path, text: str):
    path = tmp_path / "table.toml"
    path.write_text(text)
    return read_table(path)


def test_every_row_parses_and_is_found_by_name_and_alias():
    assert len(zoo()) >= 8
    for name, model in zoo().items():
        assert find(name) is model
        assert model.name == name
        assert all(find(alias) is model for alias in model.aliases)
    assert find("no such model") is None


def test_every_library_name_and_architecture_exists_in_the_installed_libraries():
    names = [name for model in zoo().values() for name in model.library]
    assert names
    for model in zoo().values():
        for name in model.library:
            library, _, rest = name.partition(":")
            if library == "timm":
                assert timm.is_model_pretrained(rest), name
            else:
                assert library == "torchvision", name
                architecture, _, weights = rest.partition("/")
                assert weights in models.get_model_weights(architecture).__members__, name
        if model.files and not model.arch.endswith(".py") and ".py:" not in model.arch:
            library, _, rest = model.arch.rpartition(":")
            known = (
                timm.is_model(rest) if library != "torchvision" else rest in models.list_models()
            )
            assert known, model.arch


def test_every_published_hash_and_source_is_well_formed():
    for model in zoo().values():
        for file in model.files:
            assert re.fullmatch(r"[0-9a-f]{0,64}", file.sha256), model.name
            for source in file.source:
                assert source.startswith(("https://", "gdrive:", "code/")), source


def test_every_name_is_one_of_the_published_table(fixtures):
    with open(fixtures / "published" / "benchmark.csv", newline="") as file:
        published = {row["model"] for row in csv.DictReader(file)}
    for name, model in zoo().items():
        if not name.startswith("miniature_"):
            assert published & {name, *model.aliases}, name


def test_a_full_row_becomes_the_dataclass_of_its_values(tmp_path):
    file = (
        'source = ["https://h/f.pth"], container = "model", keep = "k.", drop = ["k.d.*"], '
        'strip = "k.", rename = { "a." = "b." }, sha256 = "ab", safe_globals = ["x.Y"]'
    )
    text = (
        f'["a.b"]\n{HEAD}arch = "timm:resnet18"\naliases = ["x"]\n'
        f"mean = [0, 0, 0]\nstd = [1, 1, 1]\nfiles = [{{ {file} }}]"
    )
    (model,) = read(tmp_path, text).values()
    assert model.name == "a.b"
    assert (model.mean, model.std, model.aliases) == ((0, 0, 0), (1, 1, 1), ("x",))
    assert model.files == (
        WeightFile(
            ("https://h/f.pth",),
            container="model",
            keep="k.",
            drop=("k.d.*",),
            strip="k.",
            rename={"a.": "b."},
            sha256="ab",
            safe_globals=("x.Y",),
        ),
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.name = "other"


LIBRARY = 'library = ["timm:resnet18"]\n'
FILE = 'files = [{ source = ["https://h/f"] }]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[a]\n{HEAD}{LIBRARY}colour = 1", "a has unknown fields: colour"),
        (f'[a]\n{HEAD}files = [{{ source = ["u"], stirp = "x" }}]', "a.files has unknown fields"),
        (f"[a]\n{HEAD.replace('year = 2020', '')}{LIBRARY}", "'year'"),
        (f'[a]\n{HEAD}files = [{{ strip = "x" }}]', "a.files: .*'source'"),
        (f"[a]\n{HEAD}", "neither library, nor files, nor seed, nor unavailable"),
        (f'[a]\n{HEAD}library = "timm:x"', "library must be a list"),
        (f'[a]\n{HEAD}files = [{{ source = "https://h/f" }}]', "source must be a list"),
        (f"[a]\n{HEAD}{FILE}mean = [0, 0, 0]", "only one of mean and std"),
        (
            f'[a]\n{HEAD}files = [{{ source = ["u"], rename = {{ "a.*." = "b." }} }}]',
            "another number of *",
        ),
        (
            f'[a]\n{HEAD}{LIBRARY}aliases = ["x"]\n[b]\n{HEAD}{LIBRARY}aliases = ["x"]',
            "an alias is used twice",
        ),
        (f'[a]\n{HEAD}{LIBRARY}aliases = ["b"]\n[b]\n{HEAD}{LIBRARY}', "also a model's name"),
        (f'[a]\n{HEAD}{LIBRARY}aliases = ["x", "x"]', "an alias is used twice"),
        (f"[a]\n{HEAD}{LIBRARY}[a]\n{HEAD}{LIBRARY}", "a"),  # TOML's own: a table twice
    ],
)
def test_a_mistake_in_the_table_is_an_error(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, text)


def test_the_table_is_the_file_beside_the_code():
    assert TABLE.name == "models.toml"
    assert list(read_table(TABLE)) == list(zoo())
