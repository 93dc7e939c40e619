"""The command: tables from files, and refusals of files that are not those known."""

import pytest

from bvg.data.downloads import data_folder
from bvg.published.sources import READERS
from bvg.published.tables import read_sources
from make_published import main
from published_helpers import timm_row, write_openclip, write_timm

MODELS = ["ViT-B-32/openai", "ViT-L-14/openai"]


@pytest.fixture
def build(tmp_path, capsys):
    """Return a function that runs the command for a source; it returns exit code and output."""

    def run(*flags: str, source: str = "openclip"):
        arguments = ["--files", str(tmp_path / "files"), "--out", str(tmp_path / "out")]
        code = main([*arguments, "--sources", source, *flags])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture
def table(tmp_path):
    return tmp_path / "out" / "openclip.csv"


def test_the_same_files_give_the_same_bytes(build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    code, said = build("--accept", "openclip")
    assert code == 0
    assert "2 models, 14 values" in said
    first = table.read_bytes()
    table.unlink()
    assert build("--accept", "openclip")[0] == 0
    assert table.read_bytes() == first


def test_a_first_table_needs_the_known_number_of_models(build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    code, said = build()
    assert code == 2
    assert f"2 instead of {read_sources()['openclip']['models']}" in said
    assert "--accept openclip" in said
    assert not table.exists()


@pytest.mark.parametrize(
    ("models", "named"),
    [
        ([*MODELS, "RN50/openai"], ["new: RN50/openai"]),
        (MODELS[:1], ["missing: ViT-L-14/openai"]),
        ([MODELS[0], "ViT-L-14/open"], ["new: ViT-L-14/open", "missing: ViT-L-14/openai"]),
    ],
)
def test_new_missing_and_renamed_models_are_refused_by_name(models, named, build, table, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    build("--accept", "openclip")
    before = table.read_bytes()
    write_openclip(tmp_path / "files", models)
    code, said = build()
    assert code == 2
    assert all(words in said for words in named)
    assert "models.csv" in said
    assert table.read_bytes() == before
    assert build("--accept", "openclip")[0] == 0
    assert table.read_bytes() != before


def test_a_new_row_of_a_known_model_is_refused(build, tmp_path):
    rows = [timm_row("a.in1k"), timm_row("b.in1k")]
    write_timm(tmp_path / "files", rows)
    build("--accept", "timm", source="timm")
    write_timm(tmp_path / "files", [*rows, timm_row("b.in1k", 288)])
    code, said = build(source="timm")
    assert code == 2
    assert "new: b.in1k at 288" in said


def test_of_many_changes_some_are_named(build, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    build("--accept", "openclip")
    write_openclip(tmp_path / "files", [f"model{k}/x" for k in range(9)])
    said = build()[1]
    assert "model4/x, and 4 more" in said
    assert "model5" not in said


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
    assert main(["--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("download.py published-tables") == len(READERS) - 1
    assert said.count("download.py study-table") == 1


def test_files_are_found_where_download_py_puts_them(capsys, tmp_path):
    write_openclip(data_folder() / "published-tables", MODELS)
    arguments = ["--out", str(tmp_path), "--sources", "openclip"]
    assert main([*arguments, "--accept", "openclip"]) == 0
    assert (tmp_path / "openclip.csv").exists()


def test_a_folder_that_does_not_exist_is_refused(build):
    code, said = build()
    assert code == 2
    assert "--files" in said


def test_faults_and_licences_are_printed(build, tmp_path):
    write_timm(tmp_path / "files", [timm_row("a.in1k"), timm_row("b.in1k")])
    path = tmp_path / "files" / "results" / "results-sketch.csv"
    path.write_text(path.read_text().replace("b.in1k", "c.in1k"))
    code, said = build("--accept", "timm", source="timm")
    assert code == 0
    assert "imagenet-sketch lacks b.in1k at 224" in said
    code, said = build("--accept", "css", source="css")
    assert code == 0  # no files
    columns = "model_name,acc,css,css_err_low,css_err_high,target_foil_bias\na,0.5,0.2,0,0,0.9\n"
    for pairs in (72, 1440):
        (tmp_path / "files" / f"doshi_css_pairs{pairs}.csv").write_text(columns)
    assert "licence (none stated)" in build("--accept", "css", source="css")[1]


def test_a_changed_layout_is_one_sentence_and_no_traceback(build, tmp_path):
    write_openclip(tmp_path / "files", MODELS)
    path = tmp_path / "files" / "docs" / "openclip_results.csv"
    path.write_text(path.read_text().replace("ImageNet-A", "ImageNet A"))
    code, said = build()
    assert code == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1
