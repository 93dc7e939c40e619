"""`check`: every model has its turn, the report outlives a stop, and failures are told apart."""

import json
from dataclasses import replace

import pytest

from bvg.zoo import checking
from bvg.zoo.checking import FAILED, FINE, UNAVAILABLE, check, read_report, summary_text
from bvg.zoo.loading import CheckpointOptions
from bvg.zoo.table import ZooModel
from conftest import refusal
from zoo_helpers import saved


@pytest.fixture
def rows(site, use_rows, net_file, tiny, monkeypatch) -> dict[str, ZooModel]:
    """Return a zoo of one good, one bad and one unavailable model."""
    good, bad = tiny.state_dict(), {"fc.bias": tiny.fc.bias.detach()}
    site.files |= {"/good.pth": saved(good), "/bad.pth": saved(bad)}
    rows = {}
    for name in ("good", "bad"):
        row = ZooModel(name, "c", "m", "p", 2020, "l", arch=f"{net_file}:tiny")
        rows[name] = replace(row, files=_files(f"{site.url}/{name}.pth"), classes="five")
    gone = ZooModel("gone", "c", "m", "p", 2020, "l", unavailable="nobody has it")
    use_rows(rows | {"gone": gone})
    monkeypatch.setattr("bvg.zoo.loading._classes", lambda kind: tuple("abcde"))
    return rows | {"gone": gone}


def _files(url: str):
    from bvg.zoo.table import WeightFile

    return (WeightFile((url,)),)


@pytest.fixture
def run(rows, tmp_path, capsys):
    """Return a function that checks rows and returns the results and what was said."""

    def do(*names: str, again: bool = False):
        options = CheckpointOptions(weights_dir=tmp_path / "weights")
        chosen = [rows[name] for name in names or rows]
        results = check(chosen, tmp_path / "new" / "report.json", options, again)
        return results, capsys.readouterr().out.splitlines()

    return do


def test_every_model_has_its_turn_and_its_line(run, tmp_path):
    results, lines = run()
    assert [result.state for result in results] == [FINE, FAILED, UNAVAILABLE]
    assert lines == ["good: fine", "bad: failed", "gone: unavailable"]
    assert "missing keys: bn.bias" in results[1].note
    assert results[2].note == "nobody has it"
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report["models"]["bad"]["state"] == "failed"
    assert read_report(tmp_path / "new" / "report.json") == {r.model: r for r in results}
    table = summary_text(results).splitlines()
    assert [line.split()[0] for line in table[1:-1]] == ["good", "gone", "bad"]
    assert table[-1] == "1 fine, 1 unavailable, 1 failed"


def test_what_was_fine_is_not_done_again_and_what_failed_is(run, site, tiny):
    run()
    site.requests.clear()
    site.files["/bad.pth"] = saved(tiny.state_dict())
    (results, lines) = run()
    assert lines[0] == "good: already verified"
    assert results[1].state == FAILED  # the file is there, and pinned
    assert "/good.pth" not in [path for path, _ in site.requests]
    results, lines = run("good", again=True)
    assert lines == ["good: fine"]


def test_a_row_that_has_changed_is_checked_again(run, rows):
    run()
    rows["good"] = replace(rows["good"], notes="new")
    assert run("good")[1] == ["good: fine"]


def test_a_check_that_is_stopped_goes_on_where_it_was(run, monkeypatch):
    real = checking.load_model

    def stopped(name, options):
        if name == "bad":
            raise KeyboardInterrupt
        return real(name, options)

    monkeypatch.setattr(checking, "load_model", stopped)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(checking, "load_model", real)
    assert run()[1][-3:] == ["good: already verified", "bad: failed", "gone: unavailable"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('odd\\nthing')", "RuntimeError: odd"),
        ("return x.mean((2, 3))", "not 5 finite numbers"),
        ("return x.new_full((1, 5), float('nan'))", "not 5 finite numbers"),
    ],
)
def test_a_model_that_loads_and_does_not_work_has_failed(run, rows, net_file, body, words):
    text = net_file.read_text()
    place = text.index("        return self.fc(")
    end = text.index("\n", place)
    net_file.write_text(f"{text[:place]}        {body}{text[end:]}")
    results, lines = run("good")
    assert lines == ["good: failed"]
    assert words in results[0].note


@pytest.mark.parametrize("text", ["", "[]", '{"models": {"a": {"b": 1}}}', '{"models": 3}'])
def test_a_file_that_is_no_report_is_not_overwritten(text, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(text)
    sentence = refusal(check, [], path, CheckpointOptions())
    assert f"{path} is not a report of this command" in sentence
    assert "--report" in sentence
    assert path.read_text() == text
