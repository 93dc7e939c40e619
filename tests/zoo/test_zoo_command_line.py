"""`python code/zoo.py …`, as a user calls it."""

import signal
import subprocess
import sys

import pytest
import requests

from bvg.zoo.table import zoo
from conftest import REPOSITORY
from zoo import main


@pytest.fixture
def run(capsys):
    """Return a function that calls the command line and returns its exit code and output."""

    def do(*words: str) -> tuple[int, str, str]:
        try:
            code = main([*words])
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return (code, *capsys.readouterr())

    return do


def test_it_runs_as_a_folder_from_anywhere_and_quickly(tmp_path):
    words = [sys.executable, "-X", "importtime", str(REPOSITORY / "code" / "zoo.py"), "list"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "resnet50_dino" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "bvg.zoo.table" in imported
    assert not {"torch", "timm"} & imported  # which take seconds


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} {REPOSITORY}/code/zoo.py list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("model ")
    assert done.stderr == ""


def test_help_says_everything(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for words in ("list", "show", "check --all", "docs", "exit codes", "resumes"):
        assert words in text


def test_list_can_be_narrowed(run):
    code, out, _ = run("list", "--category", "contrastive", "--by", "year")
    assert code == 0
    assert len(out.splitlines()) == 1 + sum(r.category == "contrastive" for r in zoo().values())
    out = run("list", "--imagenet-only")[1]
    assert "swsl_resnet50 " not in out
    assert "miniature" not in out
    assert "resnet50_trained_on_SIN " in out


def test_show_takes_names_and_aliases_and_knows_near_ones(run):
    code, out, _ = run("show", "resnet50_l2_eps0_5")
    assert code == 0
    assert out.startswith("robust_resnet50_l2_eps0.5\n")
    code, out, err = run("show", "resnet50_dinoo")
    assert (code, out) == (2, "")
    assert "did you mean resnet50_dino" in err


def test_check_needs_to_know_which(run):
    for words in (("check",), ("check", "--all", "tv_resnet50")):
        code, _, err = run(*words)
        assert code == 2
        assert "NAME [NAME …], or --all" in err
    assert run("check", "no_such_model")[0] == 2


def test_the_exit_code_says_whether_all_were_fine(run, tmp_path, monkeypatch):
    report = str(tmp_path / "report.json")
    code, out, _ = run("check", "miniature_plain", "resnet50_lpmix", "--report", report)
    assert code == 0
    assert "1 fine, 1 unavailable, 0 failed" in out
    assert out.endswith(f"wrote {report}\n")
    monkeypatch.setattr("requests.Session.request", _no_network)
    code, out, _ = run("check", "resnet50_swav", "miniature_plain", "--report", report)
    assert code == 2
    assert "miniature_plain: already verified" in out
    assert "put the file at" in out


def _no_network(*_, **__):
    raise requests.ConnectionError("no network here")


def test_docs_writes_the_page(run, tmp_path):
    code, out, _ = run("docs", "--to", str(tmp_path / "page.md"))
    assert (code, out) == (0, f"wrote {tmp_path / 'page.md'}\n")
    assert (tmp_path / "page.md").read_text() == (REPOSITORY / "docs" / "models.md").read_text()
    code, _, err = run("docs", "--to", str(tmp_path / "no" / "page.md"))
    assert code == 2
    assert "cannot write" in err or "no longer there" in err
