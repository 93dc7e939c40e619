"""The table: every row is complete and names what exists; mistakes in it are errors."""

import csv
import dataclasses
import json
import re
from dataclasses import replace

import pytest
import timm
import torch
from torchvision import models

from bvg.data.preprocessing import Preprocessing
from bvg.zoo.loading import architecture_of
from bvg.zoo.table import (
    IMAGENET_MEAN,
    IMAGENET_ONLY,
    IMAGENET_STD,
    TABLE,
    WeightFile,
    find,
    read_table,
    zoo,
)

HEAD = 'category = "c"\nmethod = "m"\npaper = "p"\nyear = 2020\nlicense = "l"\n'


def read(tmp_path, text: str):
    path = tmp_path / "table.toml"
    path.write_text(text)
    return read_table(path)


def test_every_row_parses_and_is_found_by_name_and_alias():
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
            elif library == "open_clip":
                assert model.category == "zero_shot"  # see test_zero_shot.py
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
            assert re.fullmatch(r"[0-9a-f]{0,32}", file.md5), model.name
            for source in file.source:
                assert source.startswith(("https://", "gdrive:", "code/")), source


def test_a_rows_mean_std_and_size_are_its_librarys():
    """Models of torchvision that cannot be built without memory state their size themselves."""
    for name, row in zoo().items():
        library, _, rest = (row.library or ("",))[0].partition(":")
        if library == "timm":
            config = timm.get_pretrained_cfg(rest)
            assert config.mean == (row.mean or IMAGENET_MEAN), name
            assert config.std == (row.std or IMAGENET_STD), name
        elif library == "torchvision":
            architecture, _, weights = rest.partition("/")
            preset = models.get_model_weights(architecture)[weights].transforms()
            assert tuple(preset.mean) == (row.mean or IMAGENET_MEAN), name
            assert tuple(preset.std) == (row.std or IMAGENET_STD), name


def test_the_number_of_parameters_is_the_networks():
    counted: dict[str, float] = {}
    for name, row in zoo().items():
        spec = (row.library or (row.arch,))[0]
        key = f"{spec} {row.arch_options}"
        if row.unavailable or spec.startswith("open_clip:"):
            continue
        if spec.startswith("torchvision:") and "/" in spec:
            architecture, _, weights = spec.removeprefix("torchvision:").partition("/")
            counted[key] = models.get_model_weights(architecture)[weights].meta["num_params"]
        if key not in counted:
            with torch.device("meta"):
                network = architecture_of(replace(row, arch=spec))
            counted[key] = sum(parameter.numel() for parameter in network.parameters())
        assert row.parameters == round(counted[key] / 1e6, 1), name


def test_every_published_model_resolves_or_says_why_not(fixtures):
    with open(fixtures / "published" / "benchmark.csv", newline="") as file:
        published = {row["model"]: float(row["top1_acc/imagenet"]) for row in csv.DictReader(file)}
    categories = json.loads((fixtures / "published" / "r50_categories.json").read_text())
    assert len(published) == 70
    assert published.keys() <= zoo().keys()
    gone = {name for name in published if zoo()[name].unavailable}
    assert gone == {"resnet50_lpmix", "resnet50_freqmix"}
    assert sum(map(len, categories.values())) == 48
    for category, names in categories.items():
        assert {zoo()[name].category for name in names} == {category}
        assert not set(names) & gone
    # The one model that the study measured with another's mean and std.
    mae = "vit_base_patch16_224.mae_in1k"
    published[f"{mae}_mean0.5"] = published.pop(mae)
    assert zoo()[mae].study_top1 is None
    for name, top1 in published.items():
        assert zoo()[name].study_top1 == pytest.approx(top1, abs=6e-4), name
    assert {n for n, row in zoo().items() if row.study_top1} == published.keys()


def test_who_saw_more_than_imagenet_is_known():
    more = {name for name, row in zoo().items() if set(row.trained_on) - IMAGENET_ONLY}
    assert {"swsl_resnet50", "tf_efficientnet_b0_ns", "resnetv2_50x1_bit_distilled"} <= more
    assert not {"tv_resnet50", "resnet50_trained_on_SIN", "resnet50_deepaugment"} & more
    assert zoo()["resnext101_32x48d_wsl"].trained_on == ("IG-1B", "IN-1k")


def test_every_rows_own_view_is_a_preprocessing():
    for row in zoo().values():
        assert Preprocessing(**row.native).crop == 224


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
        (f'[a]\n{HEAD}{FILE}trained_on = ["IN1k"]', "trained on 'IN1k', not in TRAINING_DATA"),
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


def test_what_a_files_rows_share_is_written_once(tmp_path):
    row = 'library = ["timm:resnet18"]\n'
    models = read(tmp_path, f"[defaults]\n{HEAD}[a]\n{row}[b]\nyear = 1999\n{row}")
    assert {name: model.year for name, model in models.items()} == {"a": 2020, "b": 1999}


def test_a_model_in_two_files_is_an_error(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text(f"[m]\n{HEAD}{LIBRARY}")
    with pytest.raises(ValueError, match="another table has m, too"):
        read_table(tmp_path / "a.toml", tmp_path / "b.toml")


def test_the_table_is_the_folder_beside_the_code():
    assert TABLE.name == "models"
    assert len(zoo()) > 100
    assert list(read_table(*sorted(TABLE.glob("*.toml")))) == list(zoo())
