"""A script that is edited between two calls: its scores follow, and what cannot follow is said."""

import json
import linecache
from functools import partial

import pytest

from bvg.run.program import program_of
from bvg.scores.imagenet import imagenet_metrics

SCRIPT = '''
"""A benchmark of one's own."""
from bvg import condition_accuracies, evaluate, imagenet_val, load_models, options
from bvg import top1_by_condition, top5

WEIGHT = 2.0


def stimuli(batch):
    yield "clean", batch.pixels
    yield "flipped", batch.pixels.flip(2)


def score(predictions):
    accuracies = condition_accuracies(*top1_by_condition(predictions))
    weighted = WEIGHT * accuracies["top1_acc/flipped"].value
    return accuracies | {"metric/weighted": type(accuracies["top1_acc/clean"])(weighted)}


def run(data, results, model, **more):
    args = options(model=[model], results=results, **more)
    models, classes = load_models(args)
    images = imagenet_val(data, classes)
    return evaluate("mine", models, images, stimuli, top5, score, args)
'''


@pytest.fixture
def call(tmp_path, val_folder, model_file):
    """Return what runs a script's text, and returns the summary of its result."""
    data, script = val_folder(2), tmp_path / "mine.py"

    def run(text, **more):
        script.write_text(text)
        names: dict = {}
        exec(compile(text, str(script), "exec"), names)
        names["run"](data, tmp_path / "results", f"{model_file}:one", **more)
        return json.loads((tmp_path / "results/mine/one/summary.json").read_text())

    return run


def test_a_constant_of_the_score_is_followed_without_evaluating_again(call, capsys):
    before = call(SCRIPT)
    capsys.readouterr()
    after = call(SCRIPT.replace("WEIGHT = 2.0", "WEIGHT = 3.0"))
    said = capsys.readouterr()
    assert after["metrics"]["metric/weighted"]["value"] == pytest.approx(
        1.5 * before["metrics"]["metric/weighted"]["value"]
    )
    assert after["metrics"]["top1_acc/clean"] == before["metrics"]["top1_acc/clean"]
    assert "decoded" not in said.out
    assert "mine.py" in said.err and "--overwrite" in said.err  # had it been the stimuli
    call(SCRIPT.replace("WEIGHT = 2.0", "WEIGHT = 3.0"))
    said = capsys.readouterr()
    assert "re-scored" not in said.out and not said.err  # said once


@pytest.mark.parametrize(
    ("text", "other"),
    [("WEIGHT = 2.0", "WEIGHT  =  2.0  # twice"), ("of one's own", "that docs/ describes")],
)
def test_comments_and_docstrings_change_nothing(text, other, call, capsys):
    before = call(SCRIPT)
    capsys.readouterr()
    assert call(SCRIPT.replace(text, other)) == before
    said = capsys.readouterr()
    assert "re-scored" not in said.out and not said.err


def test_other_stimuli_than_those_on_disk_are_said_not_mixed_silently(call, capsys):
    call(SCRIPT)
    other = SCRIPT.replace("flip(2)", "flip(3)")
    capsys.readouterr()
    call(other)
    assert "--overwrite" in capsys.readouterr().err
    assert call(other, overwrite=True)["identity"]["program"]


def test_the_scripts_functions_count_and_the_librarys_do_not(tmp_path):
    script, helper = tmp_path / "script.py", tmp_path / "helper.py"
    script.write_text("a = 1\n")
    helper.write_text("def score(predictions, k):\n    return k\n")
    names: dict = {}
    exec(compile(helper.read_text(), str(helper), "exec"), names)
    alone = program_of(str(script), [imagenet_metrics])
    assert alone == program_of(str(script), [])
    both = program_of(str(script), [partial(names["score"], k=1)])
    assert both.name == "script.py" and both.digest != alone.digest
    assert program_of("<stdin>", []).digest == ""


def test_a_notebooks_cell_counts_and_has_no_file_name():
    digests = []
    for number, text in enumerate(("a = 1\n", "a = 1  # again\n", "a = 2\n")):
        name = f"/tmp/ipykernel_1/{number}.py"
        linecache.cache[name] = (len(text), None, [text], name)
        cell = program_of(name, [])
        assert str(number) not in cell.name
        digests.append(cell.digest)
        del linecache.cache[name]
    assert digests[0] == digests[1] != digests[2]


def test_digests_are_the_same_in_all_versions_of_python(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "def f(x: int, *, k=b'a'):\n"
        "    'A docstring.'\n"
        "    yield f\"{x['a']!r:>9} it's\" 'b', x[*k], 1.5e-3, None, ...\n"
    )
    assert program_of(str(script), []).digest.startswith("33c7d6b3e3c9")  # in 3.11, 3.12 and 3.13
