"""eval_imagenet_cbar.py as a whole call."""

import json

import pytest

import eval_imagenet_cbar
from bvg.predictions.table import read_predictions
from conftest import CLASSES, draw
from eval_imagenet_cbar import IMAGENET_CBAR


@pytest.fixture
def cached(tmp_path):
    """Return the folder in the cache where a download would be, with all fifty conditions."""
    root = tmp_path / "home" / "data" / "imagenet-c-bar"
    for corruption in IMAGENET_CBAR.corruptions:
        for severity in range(1, 6):
            for label, name in enumerate(CLASSES):
                path = root / corruption / str(severity) / name / "0.JPEG"
                draw(path, label + severity, (224, 224), quality=50)
    return root


def test_all_fifty_conditions_make_the_mean(cached, model_file, tmp_path, monkeypatch, capsys):
    argv = ["--model", f"{model_file}:one", "--results", str(tmp_path / "r"), "--num_workers", "0"]
    assert eval_imagenet_cbar.main(argv) == 2
    sentence = capsys.readouterr().err
    assert "BVG_IMAGENET_CBAR" in sentence and "download.py imagenet-c-bar" in sentence
    monkeypatch.setenv("BVG_CACHE", str(tmp_path / "home"))
    assert eval_imagenet_cbar.main(argv) == 0
    folder = tmp_path / "r" / "imagenet_cbar"
    metrics = json.loads((folder / "one" / "summary.json").read_text())["metrics"]
    predictions = read_predictions(folder / "one" / "predictions.parquet")
    assert len(predictions) == 50 * 4
    right = (predictions.answers[:, 0] == predictions.labels).mean()
    assert metrics["top1_acc/imagenet-cbar"]["value"] == pytest.approx(100 * right)
    assert metrics["top1_acc/sparkles_5"]["n"] == 4
    assert {f"top1_acc/{name}" for name in IMAGENET_CBAR.corruptions} <= set(metrics)
    assert not any("mCE" in key for key in metrics)
    assert (folder / "severities.png").exists() and (folder / "corruptions.pdf").exists()
    assert "top1_acc/imagenet-cbar" in capsys.readouterr().out.splitlines()[-1]
