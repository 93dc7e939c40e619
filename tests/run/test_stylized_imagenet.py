"""eval_stylized_imagenet.py: plain accuracy, with the stylizer in the record."""

import json

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import normalize, to_tensor

import eval_stylized_imagenet
import stylize
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD
from conftest import CLASSES, MODEL_FILE, draw, draw_val, write_model
from stylize_helpers import write_published


@pytest.fixture
def stylized(tmp_path, monkeypatch):
    """Return a stylized copy of eight images of four classes, 224 pixels."""
    draw_val(tmp_path / "images", 2)
    draw(tmp_path / "styles" / "0.png", 50)
    draw(tmp_path / "styles" / "1.png", 51)
    write_published(tmp_path / "weights" / "adain", monkeypatch)
    words = ["--images", str(tmp_path / "images"), "--out", str(tmp_path / "sin")]
    words += ["--styles", str(tmp_path / "styles"), "--weights_dir", str(tmp_path / "weights")]
    assert stylize.main([*words, "--device", "cpu"]) == 0
    return tmp_path / "sin"


@pytest.fixture
def evaluate(tmp_path):
    write_model(tmp_path)

    def run(folder, *words, code=0):
        argv = ["--model", f"{tmp_path}/tiny.py:one", "--stylized_imagenet", str(folder)]
        argv += ["--results", str(tmp_path / "results"), "--device", "cpu", *words]
        assert eval_stylized_imagenet.main(argv) == code
        summary = tmp_path / "results" / "stylized_imagenet" / "one" / "summary.json"
        return json.loads(summary.read_text()) if summary.exists() else {}

    return run


def test_accuracy_on_the_copies_as_they_are(stylized, evaluate):
    namespace: dict = {}
    exec(MODEL_FILE, namespace)
    model, right = namespace["one"](), 0
    for path in stylized.rglob("val/*/*.png"):
        x = normalize(to_tensor(Image.open(path)), IMAGENET_MEAN, IMAGENET_STD)[None]
        with torch.no_grad():
            right += CLASSES[model(x).argmax()] == path.parent.name
    metric = evaluate(stylized)["metrics"]["top1_acc/stylized-imagenet"]
    assert metric["value"] == pytest.approx(100 * right / 8) and metric["n"] == 8


def test_the_stylizer_is_part_of_the_record(stylized, evaluate, capsys):
    stylizer = json.loads((stylized / "manifest.json").read_text())["stylizer"]
    assert evaluate(stylized)["identity"]["protocol"]["stylizer"] == stylizer
    other = json.loads((stylized / "manifest.json").read_text())
    other["stylizer"]["alpha"] = 0.5
    (stylized / "manifest.json").write_text(json.dumps(other))
    evaluate(stylized / "val", code=2)
    assert "alpha was 1.0 and is now 0.5" in capsys.readouterr().err
    (stylized / "manifest.json").unlink()
    assert evaluate(stylized, "--overwrite")["identity"]["protocol"]["stylizer"] == "unknown"
    assert "no manifest" in capsys.readouterr().out
    (stylized / "manifest.json").write_text("{}")
    evaluate(stylized, code=2)
    assert "remove it" in capsys.readouterr().err


def test_a_wrong_folder_is_told_by_its_own_flag(evaluate, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        evaluate(tmp_path / name, code=2)
        assert "--stylized_imagenet" in capsys.readouterr().err
