import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from browser import FROM_ELSEWHERE
from bvg.page.published import Published, published_part, read_all
from bvg.published.tables import TABLES, read_sources
from standing_helpers import own_table, result

TOP1 = "top1_acc/imagenet"


@pytest.fixture(scope="module")
def published() -> Published:
    found = read_all()
    assert found
    return found


@pytest.fixture(scope="module")
def data(published):
    return published_part(published).data["published"]


def column(data, measure: str, source: str) -> dict:
    (found,) = (c for c in data["columns"] if (c["measure"], c["source"]) == (measure, source))
    return found


def every(column: dict, name: str) -> list:
    known = column[name]
    return known if isinstance(known, list) else [known] * len(column["models"])


@pytest.mark.parametrize(
    ("source", "measure"),
    [("timm", TOP1), ("quba", "shape-bias"), ("corruptionbench", "top1_acc/imagenet-cbar")],
)
def test_each_point_is_a_published_value(data, source, measure):
    table = pd.read_csv(TABLES / f"{source}.csv", dtype=str, keep_default_na=False)
    table = table[table["measure"] == measure]
    names = pd.read_csv(TABLES / "models.csv", dtype=str, keep_default_na=False)
    one = names[names["source"] == source].set_index("name")["model"]
    table["side"] = pd.to_numeric(table["protocol"].str.extract(r"size=(\d+)")[0]).fillna(0)
    table["one"] = table["model"].map(one)
    expected = table.sort_values("side", kind="stable").drop_duplicates("one").set_index("one")
    shown = column(data, measure, source)
    found = [data["models"][place] for place in shown["models"]]
    assert sorted(found) == sorted(expected.index)
    of = expected.loc[found]
    assert shown["values"] == pytest.approx(of["value"].astype(float).tolist(), rel=1e-5)
    assert [data["protocols"][k] for k in every(shown, "protocols")] == [*of["protocol"]]
    assert [data["flags"][k] for k in every(shown, "flags")] == [*of["flag"]]
    assert [str(n or "") for n in every(shown, "n")] == [*of["n"]]


def test_facts_are_those_of_the_table_of_names(data):
    names = pd.read_csv(TABLES / "models.csv", dtype=str, keep_default_na=False)
    names = names.drop_duplicates("model").set_index("model").loc[data["models"]]
    for fact in ("kind", "family", "data"):
        coded = data["facts"][fact]
        assert [coded["names"][k] for k in coded["of"]] == [*names[fact]]


def test_every_source_is_told_of_and_conditions_are_left_out(published):
    part = published_part(published)
    assert [about["name"] for about in part.values["sources"]] == [*published.sources]
    measures = {c["measure"] for c in part.data["published"]["columns"]}
    assert "top1_acc/imagenet-c/15" in measures
    assert not [name for name in measures if name.endswith(("_1", "_5"))]
    assert part.values["models"] == len(part.data["published"]["models"])


def test_the_statistics_are_those_of_the_files(data):
    for name in ("correlations", "instruments", "agreement"):
        frame = pd.read_csv(TABLES / f"{name}.csv")
        shown = pd.DataFrame(data[name]["rows"], columns=data[name]["keys"])
        assert [*shown] == [*frame]
        numbers = frame.select_dtypes("number")
        np.testing.assert_allclose(shown[[*numbers]].astype(float), numbers, rtol=1e-3)


def test_ones_own_models_are_in_it(published, tmp_path):
    values = {
        "tv_resnet50": {TOP1: 76.146, "shape-bias": 0.21},
        "my_model": {TOP1: 71.0, "shape-bias": np.nan},
        "miniature_plain": {TOP1: 99.0, "shape-bias": 0.5},
    }
    lines = f"tv_resnet50,{TOP1},75.8,76.5,50000,\nmy_model,{TOP1},,,320,\n"
    table = own_table(tmp_path, values, [result(name) for name in values], lines)
    part = published_part(published, table)
    assert part.values["others"] == ["miniature_plain"]
    cells = part.data["own"]["cells"]
    assert cells["models"] == ["tv_resnet50", "my_model"]
    assert cells["measures"][TOP1]["values"] == [76.146, 71.0]
    reasons = cells["measures"][TOP1]["reasons"]["timm"]
    assert reasons[0] == ""
    assert "320" in reasons[1]
    assert cells["measures"]["shape-bias"]["values"] == [0.21, None]
    assert "not recorded" in cells["measures"]["shape-bias"]["reasons"]["quba"][0]
    placed = part.data["own"]["standing"]
    assert {*placed["models"]} == {"tv_resnet50"}
    compared = part.data["own"]["against"]
    assert {*compared["models"]} == {"tv_resnet50"}
    assert compared["remarks"][1]["values"][0] == "the same"
    left_out = {(row[0], row[1]): row[2:] for row in part.values["left_out"]}
    assert left_out["ImageNet", "timm"] == [reasons[1], "1"]
    json.dumps(part.data, allow_nan=False)


def test_a_table_of_the_miniature_alone_has_no_places(published, tmp_path):
    table = own_table(tmp_path, {"miniature_plain": {TOP1: 99.0}}, [result("miniature_plain")])
    part = published_part(published, table)
    assert not part.values["any"]
    assert part.values["others"] == ["miniature_plain"]
    assert part.data["own"]["standing"]["models"] == []


def test_a_table_without_any_published_measure_has_no_places(published, tmp_path):
    part = published_part(published, own_table(tmp_path, {"mine": {"own/x": 1.0}}, []))
    assert not part.values["any"]
    assert part.values["others"] == []


def test_without_tables_there_is_nothing(tmp_path):
    assert read_all(tmp_path) is None


def test_a_fresh_checkout_makes_the_page_without_a_network(tmp_path):
    root = TABLES.parents[1]
    listed = subprocess.run(
        ["git", "ls-files", "code", "raw-data"], cwd=root, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in listed.stdout.splitlines():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith((".safetensors", ".ipynb")):
            shutil.copy(root / name, target)
    offline = "import socket, sys; sys.path.insert(0, 'code'); socket.socket.connect = None; "
    command = offline + "import report; sys.exit(report.main(['--published']))"
    made = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "report_published.html").read_text(encoding="utf-8")
    assert len(page) < 4e6
    assert not re.search(FROM_ELSEWHERE, page)
    text = re.search(r'<script type="application/json" id="published">(.*?)</script>', page)
    assert text
    shown = {column["source"] for column in json.loads(text[1])["columns"]}
    assert shown == {name for name, about in read_sources().items() if about["committed"]}
