"""What is shown while a study runs: what was done, how fast, what is left."""

from dataclasses import replace
from pathlib import Path

import pytest

from study.board import Board, duration, short
from study.cells import Cell, Ending
from study.counting import Part, Work


def test_inputs_under_way_are_counted_from_chunks_and_results(tmp_path):
    work = Work((Part("one", 1000, shown=3), Part("two", 1000, attack=5)))
    cell = Cell("imagenet", ("m", "n"), (), tmp_path, count=lambda: work)
    assert cell.inputs_done() == 0
    partial = tmp_path / "two" / "m" / "partial"
    partial.mkdir(parents=True)
    for name in ("chunk-00000000-00000256.parquet", "chunk-00000256-00000512.parquet", "x"):
        (partial / name).write_text("")
    assert cell.inputs_done() == 512 * 6
    (tmp_path / "one" / "n").mkdir(parents=True)
    (tmp_path / "one" / "n" / "summary.json").write_text("")
    assert cell.inputs_done() == 512 * 6 + 1000 * 3
    assert cell.inputs == 2 * 1000 * (3 + 6)


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose last number is the time."""
    times = [0.0]
    monkeypatch.setattr("study.board.time.monotonic", lambda: times[-1])
    return times


def _cell(folder: Path, name: str) -> Cell:
    work = Work((Part(name, 1000, shown=2),))
    return Cell("imagenet", (name,), (), folder, own=name, count=lambda: work)


def _chunk(folder: Path, name: str, stop: int) -> None:
    partial = folder / name / name / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    (partial / f"chunk-00000000-{stop:08d}.parquet").write_text("")


def test_the_board_counts_what_was_done_since_it_began(tmp_path, clock, capsys):
    cells = [_cell(tmp_path, name) for name in "abc"]
    _chunk(tmp_path, "a", 500)  # by an earlier call
    board = Board(cells)
    clock.append(100.0)
    _chunk(tmp_path, "a", 600)
    board.tick(cells[:1])
    said = capsys.readouterr().err
    assert "study: 0/3 cells, 1200/6000 inputs, 2 inputs/s, 40 min left" in said
    assert "imagenet a of a" in said
    clock.append(110.0)
    board.tick(cells[:1])
    assert capsys.readouterr().err == ""  # not a line at every look
    clock.append(200.0)
    board.end(cells[0], Ending(0, 200.0))
    board.end(cells[1], Ending(2, 1.0, "no"))
    out = capsys.readouterr().out
    assert "[1/3] imagenet a of a: done in 3 min (5 inputs/s, 13 min left)" in out
    assert "[2/3] imagenet b of b: failed: no (5 inputs/s, 7 min left)" in out
    board.end(cells[2], Ending(0, 1.0))
    assert "(15 inputs/s)" in capsys.readouterr().out


def test_the_board_goes_on_with_the_models_of_a_cell_that_failed(tmp_path, clock, capsys):
    cell = replace(_cell(tmp_path, "a"), models=("a", "b"))
    board = Board([cell])
    singles = board.split(cell, Ending(2, 1.0, "no"))
    assert [one.models for one in singles] == [("a",), ("b",)]
    clock.append(10.0)
    board.end(singles[0], Ending(0, 10.0))
    out = capsys.readouterr().out
    assert "[1/2] imagenet a of a: done in 10 s (200 inputs/s, 10 s left)" in out


@pytest.mark.parametrize(("count", "text"), [(950, "950"), (9_999, "9999"), (12_345, "12.3k"),
                                             (4.8e6, "4.8M"), (7.78e8, "778.0M")])  # fmt: skip
def test_numbers_as_people_read_them(count, text):
    assert short(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"),
                          (5e5, "5.8 days")]
)  # fmt: skip
def test_times_as_people_read_them(seconds, text):
    assert duration(seconds) == text
