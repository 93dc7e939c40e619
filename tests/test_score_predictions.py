"""Scores added to finished results, and scores of other people's tables, without a model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import collect
import eval_imagenet
import score_predictions
from bvg.data.imagenet_x import FACTORS
from bvg.figures import drawing
from bvg.files import locked
from bvg.predictions.table import read_predictions
from bvg.scores.channel import fit_channel
from conftest import CLASSES, draw
from imagenet_x_helpers import entry, val_file, write_annotations
from oracles.calibration import class_balance, error_ratios, expected_calibration_error

IMAGES = range(1, 49)


def label_of(number: int) -> int:
    return number % 4


@pytest.fixture
def data(tmp_path) -> Path:
    """Return a validation set of four classes with the archive's names."""
    for number in IMAGES:
        name = CLASSES[label_of(number)]
        draw(tmp_path / "data" / "val" / name / val_file(number), number)
    return tmp_path / "data"


@pytest.fixture
def annotations(tmp_path) -> Path:
    entries = [entry(k, label_of(k), FACTORS[k % 3]) for k in IMAGES if k != 7]
    return write_annotations(tmp_path / "x", entries, prototypes=[1, 2])


@pytest.fixture
def evaluate(tmp_path, model_file, data):
    def run(*words: str, models: tuple[str, ...] = ("one", "two")) -> Path:
        argv = ["--model", *(f"{model_file}:{name}" for name in models), "--num_workers", "0"]
        argv += ["--imagenet", str(data), "--results", str(tmp_path / "results")]
        assert eval_imagenet.main([*argv, *words]) == 0
        return tmp_path / "results" / "imagenet"

    return run


@pytest.fixture
def score(tmp_path):
    return lambda *words: score_predictions.main(
        ["--results", str(tmp_path / "results"), *map(str, words)]
    )


def metrics(folder: Path) -> dict[str, dict]:
    return json.loads((folder / "summary.json").read_text())["metrics"]


def age(folder: Path) -> bytes:
    """Make a result one of the version before; return the bytes of its predictions."""
    path = folder / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop(["label_probability"]), path, compression="zstd")
    summary = json.loads((folder / "summary.json").read_text())
    kept = ("top1_acc/imagenet", "top5_acc/imagenet")
    summary["metrics"] = {key: summary["metrics"][key] for key in kept}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return path.read_bytes()


def test_a_new_result_has_all_that_needs_no_annotations(evaluate, score, capsys):
    folder = evaluate()
    for name in ("one", "two"):
        table = read_predictions(folder / name / "predictions.parquet")
        correct = table.answers[:, 0] == table.labels
        found = metrics(folder / name)
        ece = expected_calibration_error(table.confidence, correct)
        assert found["calibration/ece"]["value"] == pytest.approx(ece, abs=1e-7)
        balance = class_balance(table.labels, correct, table.columns["label_probability"])
        keys = ("class-balance/accuracy", "class-balance/confidence", "class-balance")
        assert [found[key]["value"] for key in keys] == pytest.approx(balance, abs=1e-6)
        sure = table.columns["label_probability"] == table.confidence
        assert (sure == correct).all()
    before = [(folder / name / "summary.json").read_bytes() for name in ("one", "two")]
    assert score() == 0
    assert "already up to date" in capsys.readouterr().out
    assert [(folder / name / "summary.json").read_bytes() for name in ("one", "two")] == before


def test_a_result_of_the_version_before_gains_what_its_predictions_allow(evaluate, score, capsys):
    folder = evaluate()
    new = metrics(folder / "one")
    old = age(folder / "one")
    evaluate()  # it is neither refused nor evaluated again
    assert "already complete" in capsys.readouterr().out
    assert {*metrics(folder / "one")} == {"top1_acc/imagenet", "top5_acc/imagenet"}
    assert score() == 0
    found = metrics(folder / "one")
    for key in new.keys() - {"class-balance", "class-balance/confidence"}:
        assert found[key] == new[key]
    for key in ("class-balance", "class-balance/confidence"):
        assert found[key]["value"] is None and "--overwrite" in found[key]["note"]
    assert (folder / "one" / "predictions.parquet").read_bytes() == old
    summary = (folder / "one" / "summary.json").read_bytes()
    assert score() == 0
    assert (folder / "one" / "summary.json").read_bytes() == summary


def expected_ratios(folder: Path, annotations: Path) -> pd.Series:
    table = read_predictions(folder / "predictions.parquet")
    files = [name.rpartition("/")[2] for name in table.images]
    return error_ratios(
        pd.DataFrame({"file_name": files, "predicted_class": table.answers[:, 0]}),
        pd.read_json(annotations / "imagenet_x_val_top_factor.jsonl", lines=True),
        pd.read_csv(annotations / "prototypical_paths.csv")["file_name"],
    )


def test_error_ratios_are_added_and_stay(evaluate, score, annotations, capsys):
    folder = evaluate()
    assert score("--imagenet_x", annotations, "--models", "one") == 0
    found = metrics(folder / "one")
    assert found["imagenet-x/accuracy"]["n"] == 45
    expected = expected_ratios(folder / "one", annotations)
    for factor in FACTORS[:3]:
        value = found[f"imagenet-x/{factor}/error-ratio"]["value"]
        assert value == pytest.approx(expected[factor])
    assert "imagenet-x/accuracy" not in metrics(folder / "two")
    with Image.open(folder / "imagenet_x.png") as picture:
        assert min(picture.size) > 1.5 * drawing.DPI
    # Neither the evaluation without annotations nor another call takes them away.
    summary = (folder / "one" / "summary.json").read_bytes()
    evaluate()
    assert score() == 0
    assert score("--imagenet_x", annotations, "--models", "one") == 0
    assert (folder / "one" / "summary.json").read_bytes() == summary
    # The evaluation with the same annotations adds what is missing, and to that only.
    capsys.readouterr()
    evaluate("--imagenet_x", str(annotations))
    out = capsys.readouterr().out
    assert "two: re-scored" in out and "one: re-scored" not in out
    assert (folder / "one" / "summary.json").read_bytes() == summary
    assert {*metrics(folder / "two")} == {*metrics(folder / "one")}


def test_other_annotations_replace_the_scores_of_those_before(evaluate, score, annotations):
    folder = evaluate()
    assert score("--imagenet_x", annotations) == 0
    before = json.loads((folder / "one" / "summary.json").read_text())
    write_annotations(annotations, [entry(k, label_of(k), "style") for k in IMAGES])
    assert score("--imagenet_x", annotations) == 0
    after = json.loads((folder / "one" / "summary.json").read_text())
    assert after["metrics"]["imagenet-x/style/error-ratio"]["value"] == pytest.approx(1)
    assert "imagenet-x/pose/error-ratio" not in after["metrics"]
    assert after["scored_with"] != before["scored_with"]
    write_annotations(annotations, [entry(k, (label_of(k) + 1) % 4, "style") for k in IMAGES])
    assert score("--imagenet_x", annotations) == 0
    last = metrics(folder / "one")
    assert last["imagenet-x/accuracy"]["value"] is None and last["imagenet-x/accuracy"]["note"]
    assert "imagenet-x/style/error-ratio" not in last


def test_the_table_has_the_scores_as_columns(evaluate, score, annotations, tmp_path):
    folder = evaluate()
    age(folder / "two")
    assert score("--imagenet_x", annotations) == 0
    out = tmp_path / "table"
    assert collect.main(["--results", str(folder.parent), "--out", str(out)]) == 0
    table = pd.read_csv(out / "benchmark.csv", index_col="model")
    for name in table.index:
        for key, metric in metrics(folder / name).items():
            value = table.loc[name, key]
            assert value == pytest.approx(metric["value"]) or metric["value"] is None
    assert np.isfinite(table["calibration/ece"]).all()
    assert table["class-balance"].notna().tolist() == [True, False]


def test_what_cannot_be_scored_is_said_with_the_remedy(evaluate, score, tmp_path, capsys):
    assert score() == 2
    assert "--results" in capsys.readouterr().err
    folder = evaluate()
    assert score("--models", "three") == 2
    assert "one, two" in capsys.readouterr().err
    assert score("--imagenet_x", tmp_path / "no") == 2
    assert "--imagenet_x" in capsys.readouterr().err
    assert score("--out", tmp_path / "scores.csv") == 2
    assert "--predictions" in capsys.readouterr().err
    with locked(folder / "one" / ".lock"):
        assert score() == 75
        assert "another process" in capsys.readouterr().err
    (folder / "one" / "partial").mkdir()
    assert score() == 0
    assert "one: is being re-run" in capsys.readouterr().out
    (folder / "two" / "summary.json").write_text("{")
    assert score("--models", "two") == 2
    assert "--overwrite" in capsys.readouterr().err


def test_files_of_two_results_are_not_mixed(evaluate, score, capsys):
    """Predictions of another model, or damaged, or a summary that was edited."""
    folder = evaluate()
    one, two = (folder / name / "predictions.parquet" for name in ("one", "two"))
    summary, whole = (folder / "one" / "summary.json").read_bytes(), one.read_bytes()
    for content in (two.read_bytes(), whole[:1000], b""):
        one.write_bytes(content)
        assert score() == 2
        error = capsys.readouterr().err
        assert str(folder / "one") in error and "--overwrite" in error
        assert (folder / "one" / "summary.json").read_bytes() == summary
    one.write_bytes(whole)
    assert score() == 0


@pytest.fixture
def tables(tmp_path, annotations):
    """Return two tables of predictions on the images that have labels in the annotations."""
    write_annotations(annotations, [entry(k, label_of(k), FACTORS[k % 3]) for k in IMAGES])
    labels = "".join(f"{val_file(k)},{label_of(k)}\n" for k in IMAGES)
    (annotations / "filename_label.csv").write_text("file_name,label\n" + labels)
    rng, paths = np.random.default_rng(0), []
    for name in ("ours", "theirs"):
        answers = [label_of(k) if rng.random() < 0.6 else 900 for k in IMAGES]
        rows = {
            "file_name": [*map(val_file, IMAGES)],
            "predicted_class": answers,
            "predicted_probability": rng.random(len(answers)),
        }
        paths.append(tmp_path / f"{name}.csv")
        pd.DataFrame(rows).to_csv(paths[-1], index=False)
    return paths


def test_tables_of_predictions_are_scored(tables, annotations, score, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    words = ["--predictions", *tables, "--imagenet_x", annotations, "--partial", "--out", out]
    assert score(*words) == 0
    printed = capsys.readouterr().out
    scores = pd.read_csv(out).set_index(["model", "metric"])
    for path in tables:
        table = pd.read_csv(path)
        right = table["predicted_class"] == np.array([label_of(k) for k in IMAGES])
        values = scores.loc[path.stem, "value"]
        assert values["top1_acc/imagenet"] == pytest.approx(100 * right.mean())
        ece = expected_calibration_error(table["predicted_probability"], right)
        assert values["calibration/ece"] == pytest.approx(ece)
        assert values["imagenet-x/pose/error-ratio"] > 0
        assert scores.loc[(path.stem, "top1_acc/imagenet-real"), "n"] > 30
        assert path.stem in printed
    assert "top5_acc/imagenet" not in scores.index.get_level_values("metric")


def test_tables_that_cannot_be_scored(tables, annotations, score, tmp_path, capsys):
    words = ["--predictions", tables[0], "--imagenet_x", annotations]
    assert score(*words) == 2
    assert "--partial" in capsys.readouterr().err
    assert score(*words[:2]) == 2
    assert "download.py imagenet-x" in capsys.readouterr().err
    other = tmp_path / "other" / tables[0].name
    other.parent.mkdir()
    other.write_bytes(tables[0].read_bytes())
    assert score(*words, "--partial", "--predictions", tables[0], other) == 2
    assert tables[0].stem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"predicted_class": lambda right: right + 1}, "counts the classes from 1"),
        ({"predicted_class": lambda right: right + 500}, "no better than guesses"),
        ({"predicted_probability": lambda right: right * 1e-5}, "the best class cannot be"),
        ({"file_name": lambda right: [f"val\\x\\{val_file(k)}" for k in IMAGES]}, ""),
        ({"predicted_probability": lambda right: 1 + 1e-7 * right}, ""),
    ],
)
def test_classes_and_probabilities_of_another_meaning(
    changed, words, tables, annotations, score, tmp_path, capsys
):
    right, out = np.array([*map(label_of, IMAGES)]), tmp_path / "scores.csv"
    table = pd.DataFrame({"file_name": [*map(val_file, IMAGES)], "predicted_class": right})
    table = table.assign(predicted_probability=0.5)
    table = table.assign(**{name: change(right) for name, change in changed.items()})
    table.to_csv(tables[0], index=False)
    words_of_call = ["--predictions", tables[0], "--imagenet_x", annotations, "--partial"]
    code = score(*words_of_call, "--out", out)
    error = capsys.readouterr().err
    assert code == (2 if "from 1" in words else 0)
    assert words in error and bool(error) == bool(words)
    if not code:
        notes = pd.read_csv(out, index_col="metric", keep_default_na=False)["note"]
        assert any(words in note for note in notes) and (words != "" or not any(notes[:1]))


def test_flags_of_other_tasks_are_refused(tables, score, capsys):
    for flag, *words in (
        ("--models", "--predictions", tables[0], "--models", "ours"),
        ("--trials", "--predictions", tables[0], "--trials", "x"),
        ("--partial", "--trials", "x", "--partial"),
        ("--out", "--predictions", tables[0], "--out", tables[0]),
    ):
        assert score(*words) == 2
        assert flag in capsys.readouterr().err
    assert len(pd.read_csv(tables[0])) == len(IMAGES)


def write_trials(folder: Path, network: str, steps: tuple[int, ...]) -> Path:
    """Write trials of which three in four are right in noise that is withstood, else one."""
    noises = ("0", "0.02", "0.04", "0.08", "0.16")
    trials = {
        f"noise{sd}freq{f}": [1, 1, 1, 0] if k <= 4 - steps[f] else [1, 0, 0, 0]
        for k, sd in enumerate(noises)
        for f in range(7)
    }
    path = folder / f"solomon_{network}_accuracies_2023-04-10T18:51:32.json"
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(trials))
    return path


def test_channels_of_published_trials(score, tmp_path):
    trials, out = tmp_path / "trials", tmp_path / "channels.csv"
    write_trials(trials, "resnet50", (0, 1, 2, 3, 4, 2, 1))
    write_trials(trials, "bagnet9", (4,) * 7)
    (trials / "sb_scores.json").write_text("{}")  # beside them, as published
    assert score("--trials", trials, "--out", out) == 0
    table = pd.read_csv(out, index_col="model", keep_default_na=False)
    assert [*table.index] == ["bagnet9", "resnet50"]
    assert table["trials"].tolist() == [140, 140]
    assert table["without noise (%)"].tolist() == [75, 75]
    assert table.loc["resnet50", "thresholds"] == "0 1 2 3 4 2 1"
    channel = fit_channel((0, 1, 2, 3, 4, 2, 1))
    assert table.loc["resnet50", "critical-band/bandwidth"] == pytest.approx(channel.bandwidth)
    assert table.loc["resnet50", "critical-band/centre"] == pytest.approx(channel.centre)
    assert not table.loc["resnet50", "degenerate"] and table.loc["bagnet9", "degenerate"]


def test_trials_of_another_layout_are_refused(score, tmp_path, capsys):
    trials = tmp_path / "trials"
    path = write_trials(trials, "net", (1,) * 7)
    whole = json.loads(path.read_text())
    for other in (
        {**whole, "noise0.32freq0": [1]},
        {key: right for key, right in whole.items() if key != "noise0freq3"},
        {**whole, "noise0freq3": []},
        {**whole, "noise0freq3": [0.5]},
        [1],
    ):
        path.write_text(json.dumps(other))
        assert score("--trials", trials) == 2
        assert path.name in capsys.readouterr().err
    path.unlink()
    assert score("--trials", trials) == 2
    assert "--trials" in capsys.readouterr().err
