"""ImageNet-V2, -A, -R and -Sketch from the command line: which are measured, what is written."""

import json
import os
from pathlib import Path

import pytest

import eval_imagenet_ood
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_ood import VARIANTS
from bvg.predictions.table import read_predictions
from bvg.scores.accuracy import subset_accuracy
from variant_helpers import THOUSAND, jpeg, lay_out

WNIDS = imagenet_classes()
SETS = {
    "imagenet-v2": ["2", "10", "999"],
    "imagenet-a": [WNIDS[6], WNIDS[13], WNIDS[987]],
    "imagenet-r": [WNIDS[1], WNIDS[988]],
    "imagenet-sketch": [f"sketch/{WNIDS[k]}" for k in (0, 500)],
}


@pytest.fixture
def sets(tmp_path):
    """Return a folder with a few images of each data set."""
    for number, (key, folders) in enumerate(SETS.items()):
        lay_out(tmp_path / "data" / key, folders, 2, jpeg((60 * number, 200, 90)))
    return tmp_path / "data"


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Return a function that runs the script and gives (code, out, err)."""
    (tmp_path / "net.py").write_text(THOUSAND)

    def run(*words: str, model: str = f"{tmp_path}/net.py:Net"):
        argv = ["--model", model, "--results", str(tmp_path / "results"), "--num_workers", "0"]
        capsys.readouterr()
        code = eval_imagenet_ood.main([*argv, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.results = tmp_path / "results"
    return run


def flags(sets, *keys: str) -> list[str]:
    return [word for key in keys for word in ("--" + key.replace("-", "_"), str(sets / key))]


def measured(results) -> list[str]:
    return sorted(path.parent.parent.name for path in results.glob("*/*/summary.json"))


def test_all_four_in_one_call(evaluate, sets):
    code, out, err = evaluate("--partial", *flags(sets, *SETS))
    assert (code, err) == (0, "")
    assert measured(evaluate.results) == [
        "imagenet_a",
        "imagenet_r",
        "imagenet_sketch",
        "imagenet_v2",
    ]
    keys = set()
    for name in measured(evaluate.results):
        summary = json.loads((evaluate.results / name / "Net" / "summary.json").read_text())
        keys |= set(summary["metrics"])
        assert summary["images"]["partial"]["images"] == summary["images"]["evaluated"]
        assert summary["identity"]["benchmark"] == name
    assert keys == {
        f"top{k}_acc/{key}"
        for k in (1, 5)
        for key in (*SETS, "imagenet-a/1000-way", "imagenet-r/1000-way")
    }
    assert "top1_acc/imagenet-a/1000-way" in out
    assert out.index("imagenet-v2") < out.index("imagenet-a") < out.index("imagenet-sketch")


def test_answers_are_of_the_sets_own_classes_under_a_limit_too(evaluate, sets):
    assert evaluate("--partial", "--limit", "1", *flags(sets, "imagenet-a"))[0] == 0
    folder = evaluate.results / "imagenet_a" / "Net"
    predictions = read_predictions(folder / "predictions.parquet")
    assert len(predictions) == 1
    published = VARIANTS[1].subset
    assert set(predictions.answers[0].tolist()) <= set(published)
    assert predictions.columns["unrestricted_1"][0] not in published
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["images"]["restricted_to"] == [WNIDS[k] for k in published]
    again = subset_accuracy(predictions, "imagenet-a")
    assert {key: metric.as_dict() for key, metric in again.items()} == summary["metrics"]


def test_only_what_flags_name_is_measured(evaluate, sets, monkeypatch):
    monkeypatch.setenv("BVG_IMAGENET_R", str(sets / "imagenet-r"))
    assert evaluate("--partial", *flags(sets, "imagenet-v2"))[0] == 0
    assert measured(evaluate.results) == ["imagenet_v2"]


def test_without_flags_environment_and_cache_are_measured(evaluate, sets, monkeypatch):
    cached = Path(os.environ["BVG_CACHE"]) / "data"
    cached.mkdir(parents=True)
    (cached / "imagenet-sketch").symlink_to(sets / "imagenet-sketch")
    (cached / "imagenet-r").symlink_to(sets / "imagenet-v2")  # not looked at:
    monkeypatch.setenv("BVG_IMAGENET_R", str(sets / "imagenet-r"))
    monkeypatch.setenv("BVG_IMAGENET_A", "")
    assert evaluate("--partial")[0] == 0
    assert measured(evaluate.results) == ["imagenet_r", "imagenet_sketch"]


def test_nothing_given_names_the_flags_and_the_download(evaluate):
    code, _, err = evaluate()
    assert code == 2
    (sentence,) = err.splitlines()
    assert "--imagenet_v2, --imagenet_a, --imagenet_r, --imagenet_sketch" in sentence
    assert sentence.endswith(
        "python code/download.py imagenet-v2 imagenet-a imagenet-r imagenet-sketch"
    )


def test_one_wrong_set_stops_the_call_before_any_is_measured(evaluate, sets):
    words = [*flags(sets, "imagenet-v2"), "--imagenet_a", str(sets / "imagenet-r")]
    code, _, err = evaluate("--partial", *words)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert WNIDS[1] in err
    assert "which ImageNet-A does not have" in err
    assert measured(evaluate.results) == []
    code, _, err = evaluate(*flags(sets, "imagenet-sketch"))
    assert code == 2
    assert "4 images of 2 classes, not 50,889 of 1,000" in err


def test_a_model_of_other_classes(evaluate, sets, model_file, val_folder):
    code, _, err = evaluate("--partial", *flags(sets, "imagenet-v2"), model=f"{model_file}:one")
    assert code == 2
    assert "evaluate a model of ImageNet's 1000 classes" in err
    own = val_folder(2) / "val"
    words = ["--imagenet_r", str(own), "--imagenet_v2", str(own)]
    assert evaluate(*words, model=f"{model_file}:one")[0] == 0
    metrics = {
        name: json.loads((evaluate.results / name / "one" / "summary.json").read_text())["metrics"]
        for name in ("imagenet_r", "imagenet_v2")
    }
    assert metrics["imagenet_r"]["top1_acc/imagenet-r"]["n"] == 8
    assert (
        metrics["imagenet_r"]["top1_acc/imagenet-r/4-way"]
        == (metrics["imagenet_v2"]["top1_acc/imagenet-v2"])
    )


def test_stimuli_are_saved_without_a_model(sets, tmp_path):
    words = ["--partial", "--save_stimuli", str(tmp_path / "saved"), "--limit", "5"]
    words += flags(sets, *SETS)
    assert eval_imagenet_ood.main(words) == 0
    counts = {path.name: len([*path.rglob("*.png")]) for path in (tmp_path / "saved").iterdir()}
    assert counts == {
        "imagenet_v2": 5,
        "imagenet_a": 5,
        "imagenet_r": 4,
        "imagenet_sketch": 4,
    }


def test_help_names_what_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        eval_imagenet_ood.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("Papers:", "Data:", "--imagenet_sketch", "BVG_IMAGENET_V2", "--partial"):
        assert word in text
