"""collect.py from the command line, and the columns of a full run by the real scores."""

import csv
import errno
import json
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import collect
import eval_criticalband
import eval_spectral
from bvg.data.categories import CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_c import SEVERITIES, corruption_condition
from bvg.data.imagenet_ood import VARIANTS
from bvg.data.model_vs_human import DATA_SETS
from bvg.files import lock_folder
from bvg.predictions.table import Predictions
from bvg.run.command_line import BUSY
from bvg.scores.accuracy import imagenet_accuracy, subset_accuracy, top1_and_top5
from bvg.scores.imagenet_c import corruption_metrics
from bvg.scores.imagenet_real import real_accuracy
from bvg.scores.model_vs_human import model_vs_human_metrics
from bvg.scores.shape_bias import shape_bias_metrics
from bvg.table.measures import STUDY_COLUMNS
from bvg.table.study_table import read_study_table
from collection_helpers import accuracy, finish, imagenet, observe
from eval_imagenet_c import IMAGENET_C
from eval_imagenet_cbar import IMAGENET_CBAR
from stimulus_helpers import NOISE_CONDITIONS, SPECTRAL_CONDITIONS


def run(*words) -> int:
    return collect.main([str(word) for word in words])


def table_in(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "benchmark.csv", index_col="model")


def test_the_table_and_what_is_beside_it(tmp_path, capsys):
    results, out = tmp_path / "results", tmp_path / "raw"
    finish(results, "imagenet", "tv_resnet50", imagenet(76.1300001))
    finish(results, "imagenet", "mine", imagenet(1 / 3))
    adversarial = {"top1_acc/PGD-40/eps=0.5_255": accuracy(18.3), "top1_acc/clean": accuracy(76)}
    finish(results, "imagenet_adv", "tv_resnet50", adversarial)
    assert run("--results", results, "--out", out) == 0
    assert "2 models × 3 columns of 2 benchmarks" in capsys.readouterr().out
    table = table_in(out)
    assert table.loc["tv_resnet50", "top1_acc/PGD-40/low"] == 18.3
    assert table.loc["mine", "top1_acc/imagenet"] == 1 / 3
    assert np.isnan(table.loc["mine", "top1_acc/PGD-40/low"])
    intervals = pd.read_csv(out / "intervals.csv").set_index(["model", "column"])
    assert intervals.loc[("tv_resnet50", "top1_acc/imagenet")].tolist()[:3] == [
        75.1300001,
        77.1300001,
        50_000,
    ]
    models = pd.read_csv(out / "models.csv").set_index("model")
    assert models.loc["tv_resnet50", "category"] == "baseline"
    assert models.loc["mine", "category"] == "unknown"
    record = json.loads((out / "provenance.json").read_text())
    assert record["results"]["imagenet/mine"]["identity"]["model"]["weights_sha256"]
    assert record["results"]["imagenet/mine"]["environment"]["git_commit"] == "abc"
    assert record["protocols"]["imagenet"]["protocol"]["precision"] == "fp32"
    assert "/somewhere/private" not in (out / "provenance.json").read_text()


def test_the_zoos_facts_are_of_what_was_evaluated(tmp_path, capsys):
    """Neither of one's own weights nor of an observer that has a name of the zoo."""
    results, out = tmp_path / "results", tmp_path / "raw"
    for name, spec in (("resnet50", "file://mine.pth"), ("mine", "tv_resnet50")):
        path = finish(results, "imagenet", name, imagenet(70)) / "summary.json"
        summary = json.loads(path.read_text())
        summary["identity"]["model"]["spec"] = spec
        path.write_text(json.dumps(summary))
    for name in ("resnet50", "humans"):
        observe(results, name, {"shape-bias": accuracy(0.2)})
    assert run("--results", results, "--out", out) == 0
    said = capsys.readouterr().out
    assert "2 models and 2 observers" in said
    models = pd.read_csv(out / "models.csv", index_col="model")
    assert models["category"].to_dict() == {
        "humans": "observer",
        "mine": "baseline",
        "resnet50": "unknown",
        "resnet50 (decisions)": "observer",
    }
    assert models.loc[["humans", "resnet50", "resnet50 (decisions)"], "year"].isna().all()
    assert [*read_study_table(out / "benchmark.csv").values.index] == ["mine", "resnet50"]
    notes = json.loads((out / "provenance.json").read_text())["notes"]
    assert len(notes) == 1 and notes[0] in said


def test_one_model_under_two_names_is_said(tmp_path, capsys):
    results, out = tmp_path / "results", tmp_path / "raw"
    for name in ("tv_resnet50", "mine"):
        finish(results, "imagenet", name, imagenet(76), weights="the same")
    assert run("--results", results, "--out", out) == 0
    assert "mine and tv_resnet50 have the same weights" in capsys.readouterr().out
    assert len(table_in(out)) == 2  # the report counts them once
    (note,) = read_study_table(out / "benchmark.csv").notes
    assert note.startswith("tv_resnet50 is mine under another name")


def test_the_same_results_give_the_same_bytes(tmp_path):
    finish(tmp_path / "results", "imagenet", "a", imagenet(70))
    for name in ("one", "two"):
        assert run("--results", tmp_path / "results", "--out", tmp_path / name) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_two_calls_do_not_write_one_table_at_once(tmp_path, capsys):
    finish(tmp_path / "r", "imagenet", "a", imagenet(70))
    words = "--results", tmp_path / "r", "--out", tmp_path
    with ExitStack() as other:
        lock_folder(tmp_path, other)
        assert run(*words) == BUSY
        assert "--out" in capsys.readouterr().err
        assert not (tmp_path / "benchmark.csv").exists()
    assert run(*words) == 0


def test_nobodys_own_table_is_overwritten(tmp_path, capsys):
    results, out = tmp_path / "results", tmp_path / "raw"
    finish(results, "imagenet", "a", imagenet(70))
    out.mkdir()
    (out / "benchmark.csv").write_text("model,top1_acc/imagenet\nmine,99\n")
    assert run("--results", results, "--out", out) == 2
    assert "was not written by collect.py" in capsys.readouterr().err
    assert "mine,99" in (out / "benchmark.csv").read_text()
    (out / "benchmark.csv").unlink()
    assert run("--results", results, "--out", out) == 0
    assert run("--results", results, "--out", out) == 0  # its own, unchanged
    with open(out / "benchmark.csv", "a") as file:
        file.write("b,1\n")
    assert run("--results", results, "--out", out) == 2


@pytest.mark.parametrize("name", ["models.csv", "intervals.csv", "provenance.json"])
def test_nor_are_files_that_only_have_the_same_name(name, tmp_path, capsys):
    finish(tmp_path / "results", "imagenet", "a", imagenet(70))
    (tmp_path / name).write_text("mine")
    assert run("--results", tmp_path / "results", "--out", tmp_path) == 2
    assert f"{tmp_path / name} was not written by collect.py" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["provenance.json", "intervals.csv", "benchmark.csv"])
def test_a_table_that_was_written_half_is_written_again(tmp_path, monkeypatch, capsys, name):
    results, out, replace = tmp_path / "results", tmp_path / "raw", os.replace
    finish(results, "imagenet", "a", imagenet(70))
    assert run("--results", results, "--out", out) == 0

    def full(source, target):
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    for value in (60, 50):  # the second time, the record is of a table that never came
        finish(results, "imagenet", f"b{value}", imagenet(value))
        with monkeypatch.context() as patch:
            patch.setattr("bvg.files.os.replace", full)
            assert run("--results", results, "--out", out) == 2
        assert "no space is left on the disk" in capsys.readouterr().err
    assert [*table_in(out).index] == ["a"]
    assert run("--results", results, "--out", out, "--notes", "c failed: boom", "d") == 0
    assert [*table_in(out).index] == ["a", "b50", "b60"]
    assert json.loads((out / "provenance.json").read_text())["notes"] == ["c failed: boom", "d"]


@pytest.mark.parametrize("flag", ["--split", "--allow"])
def test_conflicts_are_refused_unless_asked_for(flag, tmp_path, capsys):
    results, out = tmp_path / "results", tmp_path / "raw"
    finish(results, "imagenet", "a", imagenet(60), limit=500)
    finish(results, "imagenet", "b", imagenet(70))
    assert run("--results", results, "--out", out) == 2
    assert "limit was 500 and is now not given" in capsys.readouterr().err
    assert not out.exists()
    assert run("--results", results, "--out", out, flag, *["limit"] * (flag == "--allow")) == 0
    assert table_in(out).shape == ((2, 2) if flag == "--split" else (2, 1))
    assert run("--results", results, "--out", tmp_path / "c", "--without", "a") == 0
    assert [*table_in(tmp_path / "c").index] == ["b"]


def test_generated_corruptions_count_when_they_are_to(tmp_path):
    finish(tmp_path / "r", "imagenet_c_generated", "a", {"top1_acc/imagenet-c": accuracy(40)})
    assert run("--results", tmp_path / "r", "--out", tmp_path / "a", "--generated-c") == 0
    assert [*table_in(tmp_path / "a")] == ["top1_acc/imagenet-c"]


def made(conditions, classes, per_condition: int, **columns) -> Predictions:
    """Return predictions of some images under every condition, half of them right."""
    generator = np.random.default_rng(0)
    n = len(conditions) * per_condition
    labels = np.tile(np.arange(per_condition) % len(classes), len(conditions)).astype(np.int16)
    answers = generator.integers(0, len(classes), (n, 5)).astype(np.int16)
    right = generator.random(n) < 0.5
    answers[right, 0] = labels[right]
    names = [f"image_{k}" for k in range(per_condition)] * len(conditions)
    return Predictions(
        classes=tuple(classes),
        images=np.array(names, dtype=object),
        conditions=np.repeat(np.array(conditions, dtype=object), per_condition),
        labels=labels,
        answers=answers,
        confidence=np.ones(n, np.float32),
        columns={name: np.resize(np.array(v, np.int16), n) for name, v in columns.items()},
    )


def corrupted(corruptions) -> list[str]:
    return [corruption_condition(name, s) for name in corruptions for s in SEVERITIES]


def full_run(results) -> None:
    """Finish one model on every benchmark: few images, but the real scores of real predictions."""
    classes, categories = imagenet_classes(), [*CATEGORY_INDICES]
    everything = made(["clean"], classes, 40)
    real = made(["clean"], classes, 40, real_1=range(40))
    variant = made(["clean"], classes, 40, **{f"unrestricted_{k}": [1] for k in range(1, 6)})
    human = [f"{name}/{c}" for name, data in DATA_SETS.items() for c in data.conditions]
    decisions = made(human, categories, 256, answer_max=[0], texture=range(7))
    scored = [
        ("imagenet", imagenet_accuracy(everything)),
        ("imagenet_real", real_accuracy(real)),
        *(
            (
                v.benchmark,
                subset_accuracy(variant, v.key) if v.subset else top1_and_top5(everything, v.key),
            )
            for v in VARIANTS
        ),
        (
            "imagenet_c",
            corruption_metrics(made(corrupted(IMAGENET_C.corruptions), classes, 10), IMAGENET_C),
        ),
        (
            "imagenet_cbar",
            corruption_metrics(
                made(corrupted(IMAGENET_CBAR.corruptions), classes, 10), IMAGENET_CBAR
            ),
        ),
        ("imagenet_model_vs_human", model_vs_human_metrics(decisions)),
        ("imagenet_spectral", eval_spectral.score(made(SPECTRAL_CONDITIONS, classes, 30))),
        (
            "imagenet_criticalband",
            eval_criticalband.score(made(NOISE_CONDITIONS, classes, 60, category=[0])),
        ),
    ]
    for name, metrics in scored:
        finish(results, name, "a", metrics)
    finish(results, "imagenet_adv", "a", {"top1_acc/PGD-40/eps=0.5_255": accuracy(18)})


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    full_run(folder / "results")
    assert run("--results", folder / "results", "--out", folder) == 0
    return folder


def test_a_full_run_has_every_column_that_is_analysed(full):
    with open(full / "benchmark.csv", newline="") as file:
        columns = next(csv.reader(file))
    assert len(set(columns)) == len(columns)
    assert set(STUDY_COLUMNS) <= set(columns)


def test_shape_bias_alone_gives_the_same_columns(full):
    categories = [*CATEGORY_INDICES]
    decisions = made(["clean"], categories, 256, answer_max=[0], texture=range(7))
    metrics = shape_bias_metrics(decisions)
    assert set(metrics) <= set(table_in(full))


def test_a_full_run_has_the_published_tables_columns(full, fixtures):
    with open(fixtures / "published" / "benchmark.csv", newline="") as file:
        published = set(next(csv.reader(file)))
    not_of_the_study = ("metric/quality/", "metric/erf/", "metric/weight_reset/")
    missing = {
        name
        for name in published - {"model", *table_in(full)}
        if not name.startswith(not_of_the_study)
    }
    assert missing == {"top1_acc/PGD-40/high"}  # its ε is stated nowhere
