"""eval_css.py and eval_frequency_cue_conflict.py as whole calls."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import eval_css
import eval_frequency_cue_conflict
from bvg.predictions.table import read_predictions
from miniature.world import CATEGORIES
from oracles.css import animal_of, scores
from parquet_helpers import anagram_rows, flat, write_anagrams, write_hybrids
from variant_helpers import THOUSAND

SIXTEEN = f"""
import torch

class Sixteen(torch.nn.Module):
    classes = {CATEGORIES!r}

    def forward(self, x):
        red = (x[:, 0].mean((1, 2)) * 16).long().clamp(0, 15)
        return 5.0 * torch.nn.functional.one_hot(red, 16).float()
"""


@pytest.fixture
def call(tmp_path):
    def run(script, source: str, *words: str, code: int = 0):
        (tmp_path / "net.py").write_text(source)
        name = "Net" if source is THOUSAND else "Sixteen"
        argv = ["--model", f"net={tmp_path}/net.py:{name}", "--results", str(tmp_path / "results")]
        argv += ["--num_workers", "0", "--wandb", "disabled", *words]
        assert script.main(argv) == code
        return tmp_path / "results"

    return run


def test_scores_and_files_of_a_model_of_imagenet(call, tmp_path, capsys):
    rows = anagram_rows()
    folder = write_anagrams(tmp_path / "anagrams", rows)
    results = call(eval_css, THOUSAND, "--visual_anagrams", str(folder)) / "css_72"
    out = capsys.readouterr().out
    assert "css/72" in out and "SigLIP" in out
    metrics = json.loads((results / "net" / "summary.json").read_text())["metrics"]
    space: dict = {}
    exec(THOUSAND, space)
    network, plain = space["Net"](), []
    for number, row in enumerate(rows):
        colour = torch.from_numpy(flat(number)[0, 0]).float() / 255
        with torch.no_grad():
            logits = network(colour.view(1, 3, 1, 1).expand(1, 3, 224, 224))[0]
        answer, margin = animal_of(logits.tolist(), row["label"])
        plain.append((row["anagram_id"], row["label"], row["foil"], answer, margin))
    expected = scores(plain)
    assert metrics["css/72"]["value"] == pytest.approx(expected["css"])
    assert metrics["css/72/pair-margin"]["value"] == pytest.approx(
        expected["pair-margin"], abs=1e-5
    )
    assert metrics["css/72/foil-rate"]["value"] == pytest.approx(expected["foil-rate"])
    assert metrics["top1_acc/anagrams/72"]["value"] == pytest.approx(expected["accuracy"])
    table = pd.read_csv(results / "net" / "decisions.csv")
    assert table["answer"].tolist() == [image[3] for image in plain]
    assert {path.name for path in results.glob("*.p*")} == {
        *("css.png", "css.pdf", "margins.png", "margins.pdf")
    }
    predictions = read_predictions(results / "net" / "predictions.parquet")
    assert predictions.images.tolist() == [row["filename"] for row in rows]
    assert "frames" not in predictions.columns


def test_another_set_of_pairs_is_another_result_and_a_subset_is_refused(call, tmp_path, capsys):
    folder = write_anagrams(tmp_path / "anagrams", anagram_rows(10))
    words = ("--visual_anagrams", str(folder))
    results = call(eval_css, THOUSAND, *words, code=2)
    assert not (results / "css_72").exists() and "--partial" in capsys.readouterr().err
    (folder / "pairs-72.parquet").rename(folder / "pairs-1440.parquet")
    call(eval_css, THOUSAND, *words, "--partial", "--pairs", "1440")
    assert {path.name for path in results.iterdir()} == {"css_1440"}
    metrics = json.loads((results / "css_1440" / "net" / "summary.json").read_text())["metrics"]
    assert metrics["css/1440"]["n"] == 10 and "css/72" not in metrics


def test_frequency_cue_conflict_of_a_model_of_sixteen_classes(call, tmp_path):
    labels = [(CATEGORIES[k % 16], CATEGORIES[(k + 1) % 16]) for k in range(48)]
    file = write_hybrids(tmp_path / "hybrids.parquet", labels)
    words = ("--frequency_cue_conflict", str(file))
    results = call(eval_frequency_cue_conflict, SIXTEEN, *words) / "frequency_cue_conflict"
    predictions = read_predictions(results / "net" / "predictions.parquet")
    answers = [CATEGORIES[k] for k in predictions.answers[:, 0]]
    low = np.mean([answer == pair[0] for answer, pair in zip(answers, labels, strict=True)])
    high = np.mean([answer == pair[1] for answer, pair in zip(answers, labels, strict=True)])
    metrics = json.loads((results / "net" / "summary.json").read_text())["metrics"]
    prefix = "frequency-cue-conflict"
    assert metrics[f"{prefix}/fraction-low"]["value"] == pytest.approx(low)
    assert metrics[f"{prefix}/fraction-high"]["value"] == pytest.approx(high)
    assert low + high > 0
    bias = metrics[f"{prefix}/low-frequency-bias"]["value"]
    assert bias == pytest.approx(low / (low + high))
    assert not any(name.startswith(("shape-bias", "fraction-")) for name in metrics)
    (table,) = (results / "net").glob("frequency-cue-conflict_*.csv")
    assert pd.read_csv(table)["object_response"].tolist() == answers
    assert (results / "low_frequency_bias.png").exists()
