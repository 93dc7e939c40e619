"""The command: tables from files, and refusals of files that are not those known."""

import pytest

import make_published
from bvg.data.downloads import data_folder
from bvg.published.sources import READERS
from bvg.published.tables import read_sources
from published_helpers import timm_row, write_openclip, write_timm

MODELS = ["ViT-B-32/openai", "ViT-L-14/openai"]


@pytest.fixture
def build(tmp_path, capsys, monkeypatch):
    """Return a function that runs the command for a source; it returns exit code and output.

    models: the number that sources.toml says (default: that of the whole source).
    """

    def run(source: str = "openclip", models: int | None = None):
        about = read_sources()
        about[source]["models"] = models or about[source]["models"]
        monkeypatch.setattr(make_published, "read_sources", lambda: about)
        arguments = ["--files", str(tmp_path / "files"), "--out", str(tmp_path / "out")]
        code = make_published.main([*arguments, "--sources", source])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture
def table(tmp_path):
    return tmp_path / "out" / "openclip.csv"


def test_the_same_files_give_the_same_bytes(build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    code, said = build(models=2)
    assert code == 0
    assert "2 models, 14 values" in said
    first = table.read_bytes()
    table.unlink()
    assert build(models=2)[0] == 0
    assert table.read_bytes() == first


def test_a_first_table_needs_the_known_number_of_models(build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    code, said = build()
    assert code == 2
    assert f"2 models instead of {read_sources()['openclip']['models']}" in said
    assert "sources.toml" in said
    assert not table.exists()


def test_another_number_of_models_keeps_the_table(build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    build(models=2)
    before = table.read_bytes()
    for models in ([*MODELS, "RN50/openai"], MODELS[:1]):
        write_openclip(tmp_path / "files", models)
        code, said = build(models=2)
        assert code == 2
        assert f"{len(models)} models instead of 2" in said
        assert "models.csv" in said
        assert table.read_bytes() == before


def test_a_source_without_files_keeps_its_table(build, table, tmp_path):
    (tmp_path / "files").mkdir()
    code, said = build()
    assert code == 0
    assert "left out" in said
    table.parent.mkdir(exist_ok=True)
    table.write_text("as it was\n")
    code, said = build()
    assert code == 0
    assert "stays as it is" in said
    assert table.read_text() == "as it was\n"


def test_files_that_were_not_fetched_are_named_with_the_command_that_does(capsys, tmp_path):
    assert make_published.main(["--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("download.py published-tables") == len(READERS) - 1
    assert said.count("download.py study-table") == 1


def test_files_are_found_where_download_py_puts_them(capsys, tmp_path):
    write_openclip(data_folder() / "published-tables", MODELS)
    assert make_published.main(["--out", str(tmp_path), "--sources", "openclip"]) == 2
    assert "2 models" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_refused(build):
    code, said = build()
    assert code == 2
    assert "--files" in said


def test_faults_and_licences_are_printed(build, tmp_path):
    write_timm(tmp_path / "files", [timm_row("a.in1k"), timm_row("b.in1k")])
    path = tmp_path / "files" / "results" / "results-sketch.csv"
    path.write_text(path.read_text().replace("b.in1k", "c.in1k"))
    code, said = build("timm", 3)
    assert code == 0
    assert "imagenet-sketch lacks b.in1k at 224" in said
    code, said = build("css", 1)
    assert code == 0  # no files
    columns = "model_name,acc,css,css_err_low,css_err_high,target_foil_bias\na,0.5,0.2,0,0,0.9\n"
    for pairs in (72, 1440):
        (tmp_path / "files" / f"doshi_css_pairs{pairs}.csv").write_text(columns)
    assert "licence (none stated)" in build("css", 1)[1]


def test_a_changed_layout_is_one_sentence_and_no_traceback(build, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    path = tmp_path / "files" / "docs" / "openclip_results.csv"
    path.write_text(path.read_text().replace("ImageNet-A", "ImageNet A"))
    code, said = build()
    assert code == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1
