"""200 of the published stimuli through a real model, against one image at a time."""

import json

import pytest

import eval_refined_bias
from bvg.data.imagenet import imagenet_classes
from bvg.data.refined_bias import CLASSES
from bvg.predictions.table import read_predictions
from oracles import straight_line
from oracles.refined_bias import rank_of

NAME = "mobilenet_v1_025"


def test_mean_reciprocal_ranks_equal_the_straight_line(fixtures, networks, tmp_path):
    root = fixtures / "refined-bias"
    words = ["--model", f"{fixtures}/models/mobilenet_tf.py:{NAME}", "--refined_bias", str(root)]
    words += ["--results", str(tmp_path)]
    assert eval_refined_bias.main(words) == 2
    assert eval_refined_bias.main([*words, "--partial"]) == 0
    folder = tmp_path / "refined_bias" / NAME
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    predictions = read_predictions(folder / "predictions.parquet")
    found = {
        image: int(predictions.columns[f"rank_{image.partition('/')[0]}"][row])
        for row, image in enumerate(predictions.images)
    }
    assert len(found) == 200
    for cue, classes in CLASSES.items():
        expected = {}
        for name, wnids in classes.items():
            own = [imagenet_classes().index(wnid) for wnid in wnids]
            for file in sorted((root / f"refined_bias_{cue}" / name).glob("*.png")):
                logits = straight_line.logits_of(networks[NAME], file, True).tolist()
                expected[f"{name}/{file.name}"] = rank_of(logits, own)
        assert len(expected) == 100
        assert {image: found[image] for image in expected} == expected
        value = sum(1 / rank for rank in expected.values()) / len(expected)
        assert metrics[f"refined-bias/{cue}-mrr"]["value"] == pytest.approx(value)
        right = sum(rank == 1 for rank in expected.values())
        assert metrics[f"top1_acc/refined-bias/{cue}"]["value"] == pytest.approx(right)
