"""--blur and --downsample of eval_shape_bias.py and eval_model_vs_human.py, as whole calls."""

import json
from pathlib import Path

import pandas as pd
import pytest

import collect
import eval_model_vs_human
import eval_shape_bias
from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS
from bvg.predictions.table import read_predictions
from model_vs_human_helpers import write_data_set, write_humans, write_stimuli

# Answers by the colour differences between pixels, which low-pass filters make smaller.
MODEL = f"""
import torch

class Net(torch.nn.Module):
    classes = {CATEGORIES!r}

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.head = torch.nn.Linear(3, 16)
        self.head.bias.data = torch.randn(16, generator=generator)
        self.head.weight.data = torch.randn(16, 3, generator=generator) * 2000

    def forward(self, x):
        return self.head((x[..., 1:] - x[..., :-1]).abs().mean((2, 3)) - 0.003)

def one(): return Net(1)
def two(): return Net(2)
"""
FLAGS = ("--blur", "20", "8", "--downsample", "8")
FILTERS = ("unfiltered", "blur=8", "blur=20", "downsample=8")


@pytest.fixture
def call(tmp_path):
    (tmp_path / "net.py").write_text(MODEL)

    def run(script, stimuli: Path, *words: str, models=("one",), code: int = 0) -> None:
        argv = ["--model", *(f"{tmp_path}/net.py:{name}" for name in models)]
        argv += ["--stimuli", str(stimuli), "--results", str(tmp_path / "results")]
        assert script.main([*argv, "--num_workers", "0", *words]) == code

    return run


@pytest.fixture
def cues(tmp_path) -> Path:
    return write_data_set(tmp_path / "stimuli", "cue-conflict", 32) / "cue-conflict"


def metrics_of(tmp_path: Path, benchmark: str, model: str = "one") -> dict[str, dict]:
    return json.loads((tmp_path / "results" / benchmark / model / "summary.json").read_text())[
        "metrics"
    ]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def under(metrics: dict[str, dict], name: str) -> dict[str, dict]:
    return {k.removesuffix(f"/{name}"): m for k, m in metrics.items() if k.endswith(f"/{name}")}


def test_filters_are_conditions_of_one_run_beside_the_plain_one(call, cues, tmp_path, capsys):
    call(eval_shape_bias, cues)
    before = files_of(tmp_path / "results" / "imagenet_shape_bias")
    plain = metrics_of(tmp_path, "imagenet_shape_bias")
    capsys.readouterr()
    call(eval_shape_bias, cues, *FLAGS)
    assert "decoded 32 images once" in capsys.readouterr().out
    assert files_of(tmp_path / "results" / "imagenet_shape_bias") == before
    folder = tmp_path / "results" / "imagenet_shape_bias_lowpass"
    predictions = read_predictions(folder / "one" / "predictions.parquet")
    assert predictions.condition_names == ("clean", *FILTERS[1:])
    metrics = metrics_of(tmp_path, "imagenet_shape_bias_lowpass")
    whole = {key: metric for key, metric in plain.items() if "/category/" not in key}
    assert under(metrics, "unfiltered") == whole
    assert all(under(metrics, name).keys() == whole.keys() for name in FILTERS)
    said = {
        name: predictions.answers[predictions.conditions == name, 0].tolist()
        for name in predictions.condition_names
    }
    assert all(said[name] != said["clean"] for name in FILTERS[1:])
    names = {path.name for path in folder.iterdir() if path.is_file()}
    figures = ("shape_bias", "example_stimuli")
    assert names == {f"{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}


def test_the_order_of_filters_does_not_matter_and_others_are_refused(call, cues, capsys):
    call(eval_shape_bias, cues, *FLAGS)
    call(eval_shape_bias, cues, "--downsample", "8", "--blur", "8", "20", "8.0")
    assert "already complete" in capsys.readouterr().out
    call(eval_shape_bias, cues, "--blur", "8", code=2)
    assert "--overwrite" in capsys.readouterr().err
    call(eval_shape_bias, cues)  # the plain result is another one


def test_model_vs_human_by_filter(call, tmp_path):
    stimuli, humans = write_stimuli(tmp_path / "stimuli", 3), tmp_path / "humans"
    for name in DATA_SETS:
        people = {"subject-01": lambda c, n: n % 2 > 0, "subject-02": lambda c, n: n % 3 > 0}
        write_humans(humans, name, people, 3)
    words = ("--partial", "--humans", str(humans))
    call(eval_model_vs_human, stimuli, *words)
    before = files_of(tmp_path / "results" / "imagenet_model_vs_human")
    plain = metrics_of(tmp_path, "imagenet_model_vs_human")
    call(eval_model_vs_human, stimuli, *words, *FLAGS, models=("one", "two"))
    assert files_of(tmp_path / "results" / "imagenet_model_vs_human") == before
    metrics = metrics_of(tmp_path, "imagenet_model_vs_human_lowpass")
    same = under(metrics, "unfiltered")
    assert same == {key: plain[key] for key in same}
    for name in FILTERS:
        found = under(metrics, name)
        assert {"shape-bias", "top1_acc/ood_mean", "error-consistency/mean"} <= found.keys()
        for data_set in DATA_SETS:
            assert found[f"top1_acc/{data_set}"]["n"] == plain[f"top1_acc/{data_set}"]["n"]
    other = metrics_of(tmp_path, "imagenet_model_vs_human_lowpass", "two")
    assert other["top1_acc/ood_mean/blur=20"] != other["top1_acc/ood_mean/unfiltered"]
    folder = tmp_path / "results" / "imagenet_model_vs_human_lowpass"
    names = {path.name for path in folder.iterdir() if path.is_file()}
    figures = ("error_consistency", "shape_bias", "example_stimuli")
    assert names == {f"{figure}.{kind}" for figure in figures for kind in ("png", "pdf")}


def test_without_humans_and_cues_there_is_accuracy(call, tmp_path):
    stimuli = write_data_set(tmp_path / "stimuli", "contrast", 3)
    call(eval_model_vs_human, stimuli, "--datasets", "contrast", "--blur", "8")
    metrics = metrics_of(tmp_path, "imagenet_model_vs_human_lowpass")
    assert metrics["top1_acc/ood_mean/1_datasets/blur=8"]["value"] is not None
    assert not any(key.startswith(("shape-bias", "error-consistency")) for key in metrics)


def test_the_table_has_the_plain_columns_as_before_and_the_filtered_ones_beside(
    call, cues, tmp_path
):
    def table() -> pd.DataFrame:
        out = tmp_path / "table"
        assert collect.main(["--results", str(tmp_path / "results"), "--out", str(out)]) == 0
        return pd.read_csv(out / "benchmark.csv", index_col="model", dtype=str)

    call(eval_shape_bias, cues)
    before = table()
    call(eval_shape_bias, cues, *FLAGS)
    after = table()
    assert after[before.columns].equals(before)
    new = [name for name in after if name not in before]
    assert {f"shape-bias/{name}" for name in FILTERS} <= {*new}
    assert all(name.rpartition("/")[2] in FILTERS for name in new)
    assert after.loc["one", "shape-bias/unfiltered"] == after.loc["one", "shape-bias"]


@pytest.mark.parametrize(
    "words",
    [
        ("--blur", "0"),
        ("--blur", "-1"),
        ("--blur", "nan"),
        ("--blur", "inf"),
        ("--blur", "wide"),
        ("--blur",),
        ("--downsample", "224"),
        ("--downsample", "0"),
        ("--downsample", "6.5"),
    ],
)
@pytest.mark.parametrize("script", [eval_shape_bias, eval_model_vs_human])
def test_what_is_no_filter_is_refused(script, words, cues):
    with pytest.raises(SystemExit):
        script.main(["--model", "miniature_plain", "--stimuli", str(cues), *words])


def test_stimuli_can_be_saved_by_filter(cues, tmp_path):
    saved = tmp_path / "saved"
    words = ["--save_stimuli", str(saved), "--limit", "2", "--blur", "2.5", "--downsample", "64"]
    assert eval_shape_bias.main(["--stimuli", str(cues), "--partial", *words]) == 0
    assert {path.name for path in saved.iterdir()} == {"clean", "blur=2.5", "downsample=64"}
    assert len([*saved.rglob("*.png")]) == 6
