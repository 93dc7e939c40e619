"""report.py from the command line, on tables large, tiny and wrong."""

import re

import numpy as np
import pytest

import report
from browser import FROM_ELSEWHERE
from study_helpers import categories_of, made_up, quick, write


@pytest.fixture(scope="module")
def published():
    return report.read_all()


@pytest.fixture(autouse=True)
def in_a_second(monkeypatch, published):
    quick(monkeypatch)
    monkeypatch.setattr(report, "read_all", lambda: published)


def run(*words) -> int:
    return report.main([str(word) for word in words])


def test_the_page_needs_nothing_else(tmp_path, capsys):
    frame = made_up(11)
    path, categories = write(frame, tmp_path), categories_of(frame, tmp_path)
    out = tmp_path / "new" / "page.html"
    assert run("--table", path, "--categories", categories, "--out", out) == 0
    page = out.read_text(encoding="utf-8")
    assert re.search(rf"wrote {re.escape(str(out))} \([\d.]+ MB\)", capsys.readouterr().out)
    assert not re.search(FROM_ELSEWHERE, page)
    assert "<h2>Findings</h2>" in page
    assert out.stat().st_size < 5e6
    again = tmp_path / "again.html"
    assert run("--table", path, "--categories", categories, "--out", again) == 0
    assert again.read_text(encoding="utf-8") == page


def test_published_models_need_no_table(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--published") == 0
    assert "wrote report_published.html" in capsys.readouterr().out
    page = (tmp_path / "report_published.html").read_text(encoding="utf-8")
    assert "<h2>Published models</h2>" in page
    assert "<h2>Findings</h2>" not in page
    assert not re.search(FROM_ELSEWHERE, page)


def test_a_table_has_both_parts(tmp_path):
    page = tmp_path / "page.html"
    assert run("--published", "--table", write(made_up(5), tmp_path), "--out", page) == 0
    text = page.read_text(encoding="utf-8")
    for title in ("Findings", "Published models", "Where your models stand", "Sources", "Data"):
        assert f"<h2>{title}</h2>" in text


def test_without_published_tables_the_page_is_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "read_all", lambda: None)
    page = tmp_path / "page.html"
    assert run("--table", write(made_up(5), tmp_path), "--out", page) == 0
    text = page.read_text(encoding="utf-8")
    assert "<h2>Findings</h2>" in text
    assert "Published models" not in text
    assert run("--published", "--out", tmp_path / "none.html") == 2
    assert "make_published.py" in capsys.readouterr().err
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize("models", [1, 2, 3])
def test_tiny_tables_have_a_page(models, tmp_path):
    path = write(made_up(models), tmp_path)
    assert run("--table", path, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    expected = "almost nothing can be said" if models == 3 else "No correlation can be computed"
    assert expected in page


def test_columns_that_are_partly_or_all_empty(tmp_path):
    frame = made_up(5)
    frame["shape-bias"] = np.nan
    frame.loc["model_1", "top1_acc/imagenet"] = np.nan
    assert run("--table", write(frame, tmp_path), "--out", tmp_path / "page.html") == 0
    assert "The table has no shape bias." in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_correlation_that_is_not_defined_is_a_dash(tmp_path):
    frame = made_up(9)
    frame["metric/bandpass/HPP"] = 0.25
    page = tmp_path / "page.html"
    assert run("--table", write(frame, tmp_path), "--out", page) == 0
    assert "all 9 models have the same value" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--table", "gone.csv"), "gone.csv does not exist"),
        (("--reference", "cats"), "no model has the category 'cats'; choose from unknown"),
        (("--results", "gone"), "--results gone is not a folder"),
    ],
)
def test_mistakes_are_sentences(words, sentence, tmp_path, capsys):
    table = () if "--table" in words else ("--table", write(made_up(3), tmp_path))
    assert run(*table, *words, "--out", tmp_path / "page.html") == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_no_page_takes_the_place_of_its_table(tmp_path, capsys):
    table = write(made_up(3), tmp_path)
    before = table.read_bytes()
    assert run("--table", table, "--out", table) == 2
    assert ".html" in capsys.readouterr().err
    assert table.read_bytes() == before


def test_results_of_ones_own_of_few_images_have_no_published_faults(tmp_path):
    frame = made_up(4)
    for k, name in enumerate(("imagenet-real", "PGD-40/low")):  # multiples of 1/16
        frame[f"top1_acc/{name}"] = [100 * (3 * model + k) / 16 for model in range(4)]
    assert run("--table", write(frame, tmp_path), "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Known faults of th" not in page
    assert "too few for p &lt; 0.05" in page


def test_a_model_and_its_alias_are_one_on_the_page(tmp_path):
    frame = made_up(4).rename(index={"model_0": "tv_resnet50", "model_1": "resnet50.tv_in1k"})
    frame.loc["resnet50.tv_in1k"] = frame.loc["tv_resnet50"]
    assert run("--table", write(frame, tmp_path), "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "3 models, " in page
    assert "resnet50.tv_in1k is tv_resnet50 under another name" in page


def test_a_wrong_header_is_refused_before_any_work(tmp_path, capsys):
    path = write(made_up(3).rename(columns={"shape-bias": "shape_bias"}), tmp_path)
    assert run("--table", path, "--out", tmp_path / "page.html") == 2
    assert "if 'shape-bias' is meant, rename it" in capsys.readouterr().err
