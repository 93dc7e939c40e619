"""docs/adding.md: every block is run as it stands there."""

import json
import re
import runpy
import sys

import pandas as pd
import pytest

from bvg.data import downloads
from conftest import REPOSITORY, draw
from miniature import world
from miniature.draw import save

TEXT = (REPOSITORY / "docs" / "adding.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M))


def blocks(section: str) -> list[str]:
    """Return the section's indented blocks, without their indentation."""
    found = re.findall(r"(?:^    .*\n|^\n(?=\n?    ))+", SECTIONS[section], re.M)
    lines = [re.sub(r"^    ", "", block, flags=re.M).strip("\n") for block in found]
    return [block + "\n" for block in lines if block]


def code_and_commands(section: str) -> tuple[str, list[str]]:
    """Return the section's Python code, and its commands."""
    text = "".join(blocks(section))
    commands = [line for line in text.splitlines() if line.startswith("python ")]
    return "\n".join(line for line in text.splitlines() if line not in commands) + "\n", commands


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return a working folder, beside which the code is, and a small world for its commands."""
    folder = tmp_path_factory.mktemp("adding")
    for picture in world.matched(2):
        save("imagenet", 3, folder / "data", picture)
    for name in ("code", "raw-data"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.fixture
def run(here, monkeypatch, capsys):
    """Return a function that runs a command in this process and returns what it prints."""
    monkeypatch.chdir(here)
    monkeypatch.setenv("BVG_IMAGENET", str(here / "data"))
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def do(command: str) -> str:
        capsys.readouterr()
        _, script, *words = command.split()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [script, *words])
            patch.syspath_prepend(here)
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as ended:
                assert not ended.code, capsys.readouterr().err
        return capsys.readouterr().out

    return do


def metrics_of(folder) -> dict[str, dict]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]


def test_a_model(here, run, monkeypatch, tmp_path):
    code, (command,) = code_and_commands("A model")
    (here / "my_model.py").write_text(code)
    for number, wnid in enumerate(("n01440764", "n02123045")):
        draw(tmp_path / "imagenet" / "val" / wnid / "a.png", number)
    monkeypatch.setenv("BVG_IMAGENET", str(tmp_path / "imagenet"))
    assert "top1_acc/imagenet" in run(f"{command} --partial --results r0")


def test_a_benchmark_flows_into_the_table_and_the_page(here, run, tmp_path):
    code, (measure, collect, report) = code_and_commands("A benchmark")
    (here / "upside_down.py").write_text(code)
    assert "top1_acc/upside-down" in run(measure)
    table = tmp_path / "table"
    run(f"{collect} --out {table}")
    columns = pd.read_csv(table / "benchmark.csv", index_col="model")
    assert {"upside_down/top1_acc/clean", "upside_down/top1_acc/upside-down"} == set(columns)
    for model in ("miniature_plain", "miniature_blur"):
        metrics = metrics_of(here / "results" / "upside_down" / model)
        for key in ("top1_acc/clean", "top1_acc/upside-down"):
            assert columns.loc[model, f"upside_down/{key}"] == pytest.approx(metrics[key]["value"])
    page = tmp_path / "page.html"
    run(f"{report} --table {table / 'benchmark.csv'} --out {page}")
    assert "upside_down/top1_acc/upside-down" in page.read_text(encoding="utf-8")


def test_a_data_set(here, run, monkeypatch):
    entry, code = blocks("A data set of ImageNet's classes")
    code, command = code.split("\npython ")
    catalogue = here / "downloads.toml"
    catalogue.write_text(downloads.CATALOGUE.read_text(encoding="utf-8") + "\n" + entry)
    monkeypatch.setattr(downloads, "CATALOGUE", catalogue)
    downloads.data_sets.cache_clear()
    try:
        (here / "sketches").symlink_to(here / "data" / "val")
        script = (REPOSITORY / "code" / "eval_imagenet_ood.py").read_text(encoding="utf-8")
        line = "\nSETS = VARIANTS\n"
        assert script.count(line) == 1
        (here / "own_ood.py").write_text(script.replace(line, f"\n{code}"), encoding="utf-8")
        words = command.strip().replace("code/eval_imagenet_ood.py", "own_ood.py")
        out = run(f"python {words} --results r3 --partial")
    finally:
        downloads.data_sets.cache_clear()
    assert re.search(r"miniature_plain +top1_acc/my-sketches +\d", out)
    assert metrics_of(here / "r3" / "my_sketches" / "miniature_plain")["top1_acc/my-sketches"]


def test_a_corruption(here, run):
    code, (command,) = code_and_commands("A corruption")
    script = (REPOSITORY / "code" / "eval_imagenet_c.py").read_text(encoding="utf-8")
    line = "ADDED: tuple[str, ...] = ()"
    assert script.count(line) == 1
    own = here / "own_imagenet_c.py"
    own.write_text(script.replace(line, code), encoding="utf-8")
    command = command.replace("code/eval_imagenet_c.py", own.name)
    out = run(f"{command} --limit 16 --severities 1 5 --results r1")
    assert re.search(r"miniature_plain +top1_acc/darken ", out)
    metrics = metrics_of(here / "r1" / "imagenet_c_generated" / "miniature_plain")
    value = {key: metric["value"] for key, metric in metrics.items()}
    assert value["top1_acc/imagenet-c"] is None
    darkened = value["top1_acc/darken_1"], value["top1_acc/darken_5"]
    assert value["top1_acc/darken"] == pytest.approx(sum(darkened) / 2)
    fog = value["top1_acc/fog_1"], value["top1_acc/fog_5"]
    assert value["top1_acc/imagenet-c/measured"] == pytest.approx(sum(fog) / 2)


def test_a_cue_measure(here, run):
    code, _ = code_and_commands("A cue measure")
    benchmark, _ = code_and_commands("A benchmark")
    start, end = benchmark.index("def stimuli"), benchmark.index("@script")
    script = benchmark[end:].replace('"top1_acc/upside-down")', '"metric/colour-reliance")')
    script = script.replace('"upside_down"', '"colour"')
    text = benchmark[:start] + code + "\n\n" + script
    (here / "colour.py").write_text(text)
    out = run("python colour.py --model miniature_plain --results r2")
    assert re.search(r"metric/colour-reliance +-?\d", out)


def test_a_figure(here, run):
    code, _ = code_and_commands("A figure")
    (here / "figure.py").write_text(code)
    run("python figure.py")
    assert (here / "shape_bias_and_sketch.pdf").stat().st_size > 5_000
