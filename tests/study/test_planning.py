"""Plans: what they count is what the scripts then do; times and disk."""

import json
import re
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import run_study
from evaluation.benchmark import no_files
from evaluation.session import main
from planning_helpers import write_world
from stimuli.attacks import Victim
from study.benchmarks import KINDS
from study.cells import Cell, Ending, Records, cells_of, together
from study.costs import START, disk, modelled
from study.counting import Part, Work
from study.planning import Line, Paces, Place, paces, plan, plan_table

DECODED = re.compile(
    r"decoded ([\d,]+) images once for \d+ model\(s\): ([\d,]+) stimuli, ([\d,]+) model inputs"
)
FEW = "--corruptions fog brightness --severities 2 4"
# Every benchmark, some with flags of their own that make less of it.
CELLS = [
    *(name for name in KINDS if name not in ("adv", "imagenet_c_generated")),
    f"imagenet_c {FEW}",
    f"imagenet_c_generated {FEW}",
    "imagenet_cbar --severities 5",
    "imagenet_p --perturbations snow tilt",
    "model_vs_human --datasets contrast sketch edge",
    "adv --steps 1 2 --eps 1/255 2/255 --attack pgd targeted",
    "adv --attack fgsm",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def run(world, tmp_path, capsys):
    """Return a function that runs a cell and gives (images, stimuli, model inputs) it tells of."""

    def run(cell: Cell) -> tuple[int, ...]:
        script = import_module(Path(cell.kind.script).stem)
        declared = replace(getattr(script, cell.kind.declared), files=no_files)
        words = [*cell.words, "--wandb", "disabled", "--num_workers", "0", "--device", "cpu"]
        capsys.readouterr()
        assert main(declared, None, words) == 0
        told = DECODED.findall(capsys.readouterr().out)
        return tuple(sum(int(number.replace(",", "")) for number in column)
                     for column in zip(*told, strict=True))  # fmt: skip

    return run


def _cells(world: Path, benchmark: str, results: Path, *common: str) -> list[Cell]:
    models = [f"{world}:one", f"{world}:two"]
    return together(cells_of([benchmark], models, results, world.parent / "data", common), 2)


@pytest.mark.parametrize("limit", ((), ("--limit", "5")), ids=("all", "limited"))
@pytest.mark.parametrize("benchmark", CELLS)
def test_a_plan_counts_what_its_script_then_does(world, run, tmp_path, benchmark, limit):
    (cell,) = _cells(world, benchmark, tmp_path, *limit)
    work = cell.count()
    told = "at most" if "adv" in benchmark else ""
    assert all(told and told in note for note in work.notes)
    images, stimuli, inputs = run(cell)
    shown = sum(part.stimuli() for part in work.parts)
    if benchmark.startswith("adv"):  # made for each model
        assert (work.images, 2 * shown, 2 * shown) == (images, stimuli, inputs)
    else:
        assert (work.images, shown, work.inputs(2)) == (images, stimuli, inputs)
    assert {part.name for part in work.parts} == {path.name for path in tmp_path.iterdir()}
    assert cell.inputs_done() == pytest.approx(cell.inputs)


def test_an_attack_counts_the_passes_of_the_model_that_is_attacked(
    world, run, tmp_path, monkeypatch
):
    passes = []

    def counting(name, weight):
        once = getattr(Victim, name)

        def counted(victim, x, *rest):
            passes.append(weight * len(x))
            return once(victim, x, *rest)

        monkeypatch.setattr(Victim, name, counted)

    counting("answers", 1)
    counting("gradient", 2)
    # With a source, no image is left out because a model gets it wrong.
    text = f"adv --source {world}:one --steps 3 --eps 1/255 2/255"
    (cell,) = _cells(world, text, tmp_path, "--limit", "5")
    images, stimuli, inputs = run(cell)
    assert (images, stimuli, inputs) == (5, 5 * 3, 2 * 5 * 3)
    assert cell.inputs == inputs + sum(passes) - 2  # but for the grey image of the first look


@pytest.mark.parametrize(
    ("text", "images", "shown"),
    [
        ("imagenet_c_generated", 32, 1 + 19 * 5),
        ("adv --attack autoattack", 32, 2),
        ("imagenet_p", 160, 1),
    ],
)
def test_what_is_too_long_to_run_in_a_test_is_counted(world, tmp_path, text, images, shown):
    (cell,) = _cells(world, text, tmp_path)
    assert [(part.images, part.shown) for part in cell.count().parts] == [(images, shown)]


def test_of_many_conditions_one_is_listed(world, tmp_path, monkeypatch):
    """4.75 million files would take minutes."""
    asked = []
    monkeypatch.setattr(
        "images.image_set.images_of_class",
        lambda folder: (asked.append(folder) or ["a"], Counter()),
    )
    (cell,) = _cells(world, "imagenet_c", tmp_path)
    assert cell.images == 19 * 5 * 16
    assert len(asked) == 16


def test_what_is_not_here_counts_as_published(tmp_path):
    found = {}
    for name in KINDS:
        words = ("--limit", "10", "--severities", "1", "2") if name == "imagenet_c" else ()
        (cell,) = cells_of([name], ["m"], tmp_path, tmp_path, words)
        (note, *_) = cell.count().notes
        assert note == "the data are not here: published numbers"
        found[name] = cell.images, cell.inputs
    assert found["imagenet"] == (50_000, 50_000)
    assert found["imagenet_ood"] == (98_389, 98_389)
    assert found["imagenet_c"] == (19 * 2 * 10, 19 * 2 * 10)
    assert found["imagenet_c_generated"] == (50_000, 96 * 50_000)
    assert found["imagenet_cbar"] == (2_500_000, 2_500_000)
    assert found["imagenet_p"] == (500_000, 31 * 500_000)
    assert found["model_vs_human"] == (18_080, 18_080)
    assert found["adv"] == (50_000, 50_000 * (2 + 1 + 40 * 2 + 1))


def test_what_the_script_would_refuse_is_said(world, tmp_path):
    data = world.parent / "data"
    (cell,) = cells_of(["imagenet_c --severities 7"], ["m"], tmp_path, data, [])
    assert cell.images == 4_750_000
    assert "invalid choice: 7" in cell.count().notes[0]
    folder = tmp_path / "imagenet-v2" / "7"  # one image of one class
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes((world.parent / "picture.png").read_bytes())
    (cell,) = cells_of(["imagenet_ood"], ["m"], tmp_path, tmp_path, [])
    (note,) = cell.count().notes
    assert "holds 1 images of 1 classes" in note and "--partial" in note
    (cell,) = cells_of(["imagenet_ood"], ["m"], tmp_path, tmp_path, ["--partial"])
    assert (cell.images, cell.count().notes) == (1, ())


def _line(text: str, start: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(start))


def test_the_plan(kinds, capsys, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    run = ["--data", str(kinds / "data"), "--results", str(kinds / "r"), "--no_report"]
    run += ["--benchmark", "fake", "--model", "a"]
    assert run_study.main(run) == 0
    capsys.readouterr()
    words = [*run, "b", "c", "--dry_run", "--rate", "10", "--workers", "2"]
    words.insert(words.index("fake") + 1, "absent")
    assert run_study.main(words) == 0
    out = capsys.readouterr().out
    # START and 3.5 ms for each of 100 images besides 200 inputs at 10/s, twice
    assert _line(out, "fake") == ["fake", "3", "1", "200", "400", "57", "s", "0.0", "MB"]
    assert _line(out, "all")[:5] == ["all", "6", "1", "500", "700"]
    assert _line(out, "all")[5:7] == ["56", "s"]  # two at once
    assert "absent: away not found" in out
    assert "time: 2 at once, at 10 model inputs/s" in out
    assert run_study.main([*words, "--together", "2"]) == 0  # b and c share the decoding
    assert _line(capsys.readouterr().out, "fake")[:5] == ["fake", "3", "1", "100", "400"]


def test_the_time_is_that_of_the_benchmark_where_it_was_measured(kinds):
    cells = cells_of(["fake", "absent"], ["a", "b"], kinds / "r", kinds / "data", [])
    records, place = Records(kinds / "r"), Place()
    known = paces(cells, records, None)
    lines = plan(cells, records, known, place)
    assert {line.seconds for line in lines} == {None}
    table = plan_table(lines, known, place)
    assert "unknown" in table and table.endswith("give the model's inputs/s with --rate")
    records.write(cells[0], Ending(0, START + 50.0))
    known = paces(cells, records, None)
    fake, absent = plan(cells, records, known, place)
    assert (fake.done, fake.seconds) == (0, 2 * (START + 50))  # its result is not there any more
    assert absent.seconds == pytest.approx(2 * (START + 100 / (200 / 50)), rel=0.1)
    assert plan_table([fake], known, place).endswith("as 1 measured here of fake")
    assert "of fake; others at their 4 model" in plan_table([fake, absent], known, place)


def test_a_session_that_found_everything_done_does_not_count_as_fast(kinds):
    cells = cells_of(["fake"], ["a"], kinds / "r", kinds / "data", [])
    records = Records(kinds / "r")
    records.write(cells[0], Ending(0, 5.0))
    folder = kinds / "r" / "fake" / "a"
    folder.mkdir(parents=True)
    content = {
        "seconds": {"model": 100, "stimuli": 60, "wait": 40, "decode": 70},
        "settings": {"model_inputs": 400, "stimuli_made": 200},  # with another model
    }
    (folder / "summary.json").write_text(json.dumps(content))
    assert paces(cells, records, None).own == {"fake": 100 / 200}


def test_the_disk_is_what_answers_and_names_take(tmp_path):
    work = Work((Part("x", 1000, shown=23), Part("y", 10, frames=31)))
    cell = Cell("imagenet", ("m", "n"), (), tmp_path, count=lambda: work)
    assert disk(cell) == 2 * (1000 * (5 + 23 * 12) + 10 * (5 + 312))


def test_the_longest_cell_bounds_the_time_of_many_places():
    line = Line("x", 2, 0, 1, 1, 1000.0, 0, longest=600)
    table = plan_table([line], Paces({}, 1.0), Place(many=8))
    assert _line(table, "all")[5:7] == ["10", "min"]


def test_decoding_bounds_a_cell_on_a_gpu_and_adds_to_it_elsewhere(tmp_path):
    cell = Cell("imagenet", ("m",), (), tmp_path, count=lambda: Work((Part("imagenet", 10_000),)))
    slow, fast = modelled(cell, 100, 1, True), modelled(cell, 1e9, 1, True)
    assert slow == pytest.approx(START + 100)
    assert START < fast < slow
    assert modelled(cell, 100, 1, False) == pytest.approx(slow + fast - START)
    assert modelled(cell, 1e9, 4, True) - START == pytest.approx((fast - START) / 4)
