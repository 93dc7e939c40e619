"""The part of published models in headless Chromium: what a reader does with it."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from browser import PHONE, chromium, click, complaints, fill, open_page
from bvg.analysis.study import analyse
from bvg.page.page import page_of
from bvg.page.published import read_all
from bvg.published.names import with_names
from bvg.published.tables import TABLES, read_published, read_sources
from standing_helpers import READY_VIEW, own_table, result
from study_helpers import quick

TOP1, A, BIAS = "top1_acc/imagenet", "top1_acc/imagenet-a", "shape-bias"
MARKUP = "<i>my</i> model"
ROWS = (
    "return [...document.querySelectorAll('#published-table tbody th')].map(th => th.textContent)"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a page of three own models: one that is published, a new one, and a miniature's."""
    folder = tmp_path_factory.mktemp("page")
    values = {
        "tv_resnet50": {TOP1: 76.146, BIAS: 0.21},
        MARKUP: {TOP1: 71.0, BIAS: 0.4},
        "miniature_plain": {TOP1: 99.0, BIAS: 0.5},
    }
    results = [result(name) for name in values]
    results += [result(name, "imagenet_shape_bias", view=READY_VIEW) for name in values]
    table = own_table(folder, values, results)
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        text = page_of(analyse(table), None, read_all())
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver(page):
    with chromium() as driver:
        open_page(driver, page)
        yield driver


def text_of(driver, selector: str) -> str:
    return driver.execute_script(
        "return document.querySelector(arguments[0]).textContent", selector
    )


def traces(driver, chart: str = "cloud-chart") -> list[dict]:
    """Return what a chart draws: each trace's name, places, texts and markers."""
    return json.loads(
        driver.execute_script(
            "return JSON.stringify(document.getElementById(arguments[0]).data)", chart
        )
    )


def named(driver, word: str) -> list[dict]:
    """Return the cloud's traces of one's own models ("yours"), or those of published ones ("")."""
    known = [trace for trace in traces(driver) if "name" in trace]
    return [trace for trace in known if ("yours" in trace["name"]) == bool(word)]


def choose_axes(driver, x: tuple[str, str], y: tuple[str, str]) -> None:
    for name, axis in (("x", x), ("y", y)):
        fill(driver, f"#cloud-{name}", json.dumps(axis, separators=(",", ":")))


def test_it_says_nothing_in_the_console_and_fits_a_phone(page):
    with chromium(PHONE, dark=True) as driver:
        open_page(driver, page)
        width = driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= PHONE[0]
        fill(driver, "#cloud-find", "resnet")
        fill(driver, "#forest-subset", "")
        assert complaints(driver) == []


def test_the_cloud_has_every_model_with_both_values(driver):
    choose_axes(driver, (BIAS, "quba"), (A, "timm"))
    rows = with_names(read_published())
    sides = pd.to_numeric(rows["size"]).fillna(0)
    rows = rows.loc[sides.sort_values(kind="stable").index]

    def values(source, measure):
        own = rows[(rows["source"] == source) & (rows["measure"] == measure)]
        return own.drop_duplicates("model").set_index("model")["value"]

    both = pd.DataFrame({"x": values("quba", BIAS), "y": values("timm", A)}).dropna()
    clouds = named(driver, "")
    points = sorted((x, y) for trace in clouds for x, y in zip(trace["x"], trace["y"], strict=True))
    np.testing.assert_allclose(points, sorted(both.to_numpy().tolist()), rtol=1e-5)
    assert text_of(driver, "#cloud-said").startswith(f"{len(both)} models. r = ")
    hover = clouds[0]["text"][0]
    assert "shape bias: " in hover
    assert "timm, size=" in hover


def test_one_measure_of_every_source_is_drawn_source_by_source(driver):
    choose_axes(driver, (A, ""), (TOP1, ""))
    fill(driver, "#cloud-colour", "source")
    rows = with_names(read_published())
    expected = {}
    for source, own in rows.groupby("source"):
        having = [{*own[own["measure"] == measure]["model"]} for measure in (A, TOP1)]
        if both := having[0] & having[1]:
            expected[source] = len(both)
    names = [trace["name"] for trace in traces(driver) if "yours" not in trace["name"]]
    assert {"timm", "testbed"} < {*expected}
    assert {*names} == {f"{source} ({n})" for source, n in expected.items()}
    fill(driver, "#cloud-colour", "kind")


def test_the_search_finds_models_by_parts_of_their_names(driver):
    choose_axes(driver, (BIAS, "quba"), (TOP1, "quba"))
    fill(driver, "#cloud-find", "RESNET50.TV_IN1K, bagnet")
    (found,) = [trace for trace in traces(driver) if trace.get("showlegend") is False]
    assert sorted(found["text"]) == [
        f"<b>{name}</b>"
        for name in ("bagnets:bagnet17", "bagnets:bagnet33", "bagnets:bagnet9", "resnet50.tv_in1k")
    ]
    at = [*found["text"]].index("<b>resnet50.tv_in1k</b>")
    table = pd.read_csv(TABLES / "quba.csv")
    quba = table[table["model"] == "ResNet50"].set_index("measure")["value"]
    assert (found["x"][at], found["y"][at]) == (quba[BIAS], quba[TOP1])
    assert "bagnets:bagnet9" in text_of(driver, "#cloud-found")
    fill(driver, "#cloud-find", "xyzzy")
    assert text_of(driver, "#cloud-found").startswith("No model")
    fill(driver, "#cloud-find", "")
    assert text_of(driver, "#cloud-found") == ""


def test_ones_own_models_are_filled_or_open_with_the_reason(driver):
    choose_axes(driver, (TOP1, "timm"), (TOP1, "timm"))
    (filled,) = named(driver, "yours")
    assert (filled["name"], filled["marker"]["symbol"]) == ("yours (2)", "star")
    assert sorted(filled["x"]) == [71.0, 76.146]
    assert "measured as in timm" in filled["hovertext"][0]
    choose_axes(driver, (BIAS, "quba"), (TOP1, "timm"))
    (opened,) = named(driver, "yours")
    assert opened["marker"]["symbol"] == "star-open"
    assert "not comparable: quba does not state size" in opened["hovertext"][0]
    assert "&lt;i&gt;my&lt;/i&gt; model" in "".join(opened["text"])
    assert "miniature" not in "".join(opened["text"])


def test_places_and_differences_are_tables(driver):
    rows = "return [...document.querySelectorAll(arguments[0])].map(r => r.textContent)"
    placed = driver.execute_script(rows, "#standing-table tbody th")
    assert {*placed} == {"tv_resnet50", MARKUP}
    fill(driver, "#standing-filter-model", "tv_")
    assert {*driver.execute_script(rows, "#standing-table tbody th")} == {"tv_resnet50"}
    fill(driver, "#standing-filter-model", "")
    assert {*driver.execute_script(rows, "#against-table tbody th")} == {"tv_resnet50"}
    assert "miniature_plain" in text_of(driver, "#standing")
    assert driver.execute_script("return document.querySelectorAll('#standing i').length") == 0


def test_the_table_of_models_is_searched_and_sorted(driver):
    fill(driver, "#published-filter-model", "bagnet")
    click(driver, f'#published-table button[data-key="{BIAS}@quba"]')
    names = driver.execute_script(ROWS)
    table = pd.read_csv(TABLES / "quba.csv")
    table = table[(table["measure"] == BIAS) & table["model"].str.contains("BagNet")]
    expected = table.sort_values("value", ascending=False)["model"].str.lower()
    assert names[: len(expected)] == [f"bagnets:{name.replace('-', '')}" for name in expected]
    fill(driver, "#published-filter-model", "")
    fill(driver, "#published-filter-category", "mlp")
    kinds = driver.execute_script(
        "return [...document.querySelectorAll('#published-table td.words:nth-child(2)')]"
        ".map(td => td.textContent)"
    )
    assert {*kinds} == {"mlp"}
    fill(driver, "#published-filter-category", "")


def test_the_forest_has_a_row_for_every_table(driver):
    fill(driver, "#forest-bias", BIAS)
    fill(driver, "#forest-target", "A")
    table = pd.read_csv(TABLES / "correlations.csv")
    table = table[(table["bias"] == BIAS) & (table["target"] == A)]
    for subset, suffix in (("all", ""), ("all", "_given"), ("CNNs", "_effective")):
        fill(driver, "#forest-subset", subset)
        fill(driver, "#forest-statistic", suffix)
        own = table[table["subset"] == subset].dropna(subset=f"r{suffix}")
        shown = traces(driver, "forest-chart")[-1]
        np.testing.assert_allclose(sorted(shown["x"]), sorted(own[f"r{suffix}"]), rtol=1e-3)
        firm = (own[f"holm{suffix}"] < 0.05).sum()
        assert shown["marker"]["symbol"].count("circle") == firm
    fill(driver, "#forest-statistic", "")
    fill(driver, "#forest-subset", "")
    assert len(traces(driver, "forest-chart")[-1]["x"]) == table["r"].notna().sum()


def test_instruments_and_agreement_follow_their_controls(driver):
    table = pd.read_csv(TABLES / "agreement.csv")
    fill(driver, "#agreement-measure", BIAS)
    expected = table[table["measure"] == BIAS]["mean"]
    np.testing.assert_allclose(traces(driver, "agreement-chart")[-1]["x"], expected, rtol=1e-3)
    table = pd.read_csv(TABLES / "instruments.csv")
    fill(driver, "#instruments-bias", "object-focus")
    having = (table[["a", "b"]] == "object-focus").any(axis=1) & (table["subset"] == "all")
    expected = table[having]["r"].dropna()
    np.testing.assert_allclose(traces(driver, "instruments-chart")[-1]["x"], expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "header", "least"),
    [
        ("published.csv", "source,model,protocol,measure,value,n,flag", 20_000),
        ("published_correlations.csv", "bias,bias_source,target,target_source", 500),
        ("standing.csv", "model,measure,source,value,rank,of,percentile,nearest", 2),
        ("against_published.csv", "model,measure,source,value,published", 2),
    ],
)
def test_downloads_are_tables(driver, name, header, least):
    text = driver.execute_async_script(
        "const done = arguments[1];"
        'const a = document.querySelector(`a[data-file="${arguments[0]}"]`);'
        "a.addEventListener('click', e => e.preventDefault(), {once: true}); a.click();"
        "fetch(a.href).then(r => r.text()).then(done);",
        name,
    )
    assert text.startswith(header)
    rows = [*csv.DictReader(io.StringIO(text))]
    assert len(rows) >= least
    if name == "published.csv":
        found = [
            row["value"]
            for row in rows
            if (row["source"], row["model"], row["measure"]) == ("timm", "resnet50.tv_in1k", A)
        ]
        assert found == []  # timm lacks this one value
        assert {row["source"] for row in rows} == {
            name for name, about in read_sources().items() if about["committed"]
        }
