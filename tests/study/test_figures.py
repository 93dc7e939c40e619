"""After a study, each benchmark's figures show all of its models."""

from concurrent.futures import Future
from functools import partial

import pytest

from study.cells import Cell, Ending, Records, cells_of, together
from study.driving import measure
from study.figures import draw, to_be_drawn
from study.running import Local


@pytest.fixture
def study(kinds):
    """Return what measures models, some together, and says what was drawn with how many."""
    records = Records(kinds / "r")
    engine = partial(Local, records, [{}])

    def run(models: str, at_once: int, again: bool = False) -> list[int]:
        cells = cells_of(["fake"], models.split(), kinds / "r", kinds / "data", [])
        todo = [cell for cell in cells if again or not records.is_done(cell)]
        commands = together(todo, at_once)
        measure(commands, records, engine)
        groups = to_be_drawn(cells, records)
        draw(groups, records, engine)
        return [len(group.models) for group in groups]

    return run


def test_what_was_measured_one_by_one_is_drawn_together_once(study, kinds):
    assert study("a b c", 1) == [3]
    assert (kinds / "r/fake/a/starts").read_text() == "xx"
    assert study("a b c", 1) == []
    assert study("a b c d", 1) == [4]  # d is new
    assert study("a b c d", 1, again=True) == [4]
    assert study("a b c d", 1) == []


def test_one_command_of_all_models_has_drawn_them_itself(study):
    assert study("a b c", 3) == []
    assert study("a b c", 3) == []
    assert study("a b c d", 3) == [4]


def test_a_model_that_failed_is_left_out(study):
    assert study("a bad c", 3) == [2]
    assert study("a", 1) == []


CROWDED = """
once = Path(__file__).with_name("crowded")
if len(arguments.model) > 1 and not once.exists():
    once.touch()
    sys.exit("error: too many at once")
"""


def test_what_was_measured_one_by_one_after_all_is_drawn_together(study, kinds):
    script = kinds / "fake.py"
    begin = "for model in arguments.model:"
    script.write_text(script.read_text().replace(begin, CROWDED + begin))
    assert study("a b c", 3) == [3]
    assert study("a b c", 3) == []


def test_an_engine_that_fails_costs_only_the_figures(kinds, capsys):
    class Broken:
        def submit(self, cell: Cell) -> "Future[Ending]":
            future: Future[Ending] = Future()
            future.set_exception(RuntimeError("the cluster is gone"))
            return future

        def close(self) -> None:
            pass

    (group,) = together(cells_of(["fake"], ["a", "b"], kinds / "r", kinds / "data", []), 2)
    draw([group], Records(kinds / "r"), Broken)
    assert "do not show all models: RuntimeError: the cluster is gone" in capsys.readouterr().out


def test_what_cannot_be_drawn_is_said(kinds, capsys):
    (group,) = together(cells_of(["fake"], ["a", "bad"], kinds / "r", kinds / "data", []), 2)
    records = Records(kinds / "r")
    draw([group], records, partial(Local, records, [{}]))
    said = "the figures of fake do not show all models: the model is bad: mend it"
    assert said in capsys.readouterr().out
