"""ImageNet-ReaL from the command line."""

import hashlib
import json
import os
from pathlib import Path

import pytest

import eval_imagenet_real
from bvg.data import imagenet_real as real_labels
from bvg.data.imagenet import imagenet_classes
from bvg.predictions.table import read_predictions
from bvg.scores.imagenet_real import real_accuracy as score
from oracles.variants import real_accuracy, real_labels_of
from variant_helpers import THOUSAND, jpeg

WNIDS = imagenet_classes()
PHOTOS = {k: jpeg((25 * k, 255 - 20 * k, 9 * k)) for k in range(1, 9)}  # by number
CLASS_OF = {k: WNIDS[100 * k] for k in PHOTOS}


@pytest.fixture
def flat(tmp_path) -> Path:
    """Return ImageNet's folder with the first eight images in no class folders."""
    (tmp_path / "flat" / "val").mkdir(parents=True)
    for number, content in PHOTOS.items():
        (tmp_path / "flat" / "val" / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(content)
    lines = "\n".join(CLASS_OF[k] for k in PHOTOS)
    (tmp_path / "flat" / "imagenet_2012_validation_synset_labels.txt").write_text(lines)
    return tmp_path / "flat"


@pytest.fixture
def sorted_by_class(tmp_path) -> Path:
    for number, content in PHOTOS.items():
        folder = tmp_path / "imagenet" / "val" / CLASS_OF[number]
        folder.mkdir(parents=True)
        (folder / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(content)
    return tmp_path / "imagenet"


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Return a function that runs the script and gives (code, out, err)."""
    (tmp_path / "net.py").write_text(THOUSAND)

    def run(data: Path, *words: str, results: str = "results"):
        argv = ["--model", f"{tmp_path}/net.py:Net", "--imagenet", str(data), "--partial"]
        argv += ["--results", str(tmp_path / results), "--num_workers", "0"]
        capsys.readouterr()
        code = eval_imagenet_real.main([*argv, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def answers_of(evaluate, data, tmp_path) -> dict[str, int]:
    """Return the model's best answer to each image, by file name, whatever its labels."""
    write_real(tmp_path / "all.json", [[0]] * 8)
    words = ["--real", str(tmp_path / "all.json")]
    assert evaluate(data, *words, results="all")[0] == 0
    table = read_predictions(tmp_path / "all" / "imagenet_real" / "Net" / "predictions.parquet")
    return {
        name.rpartition("/")[2]: int(best[0])
        for name, best in zip(table.images, table.answers, strict=True)
    }


def write_real(path: Path, first: list[list[int]]) -> Path:
    path.write_text(json.dumps(first + [[0]] * (50_000 - len(first))))
    return path


@pytest.fixture
def real(evaluate, sorted_by_class, tmp_path) -> Path:
    """Return labels by which images 1, 2 and 5 are right, 3, 6, 7 and 8 wrong, and 4 has none."""
    best = [*answers_of(evaluate, sorted_by_class, tmp_path).values()]
    one, two, three, _, five, six, seven, eight = best
    lists = [[one], [998, two, 997], [(three + 1) % 1000], [], [999, five]]
    lists += [[(answer + 1) % 1000] for answer in (six, seven, eight)]
    return write_real(tmp_path / "real.json", lists)


@pytest.mark.parametrize("layout", ["flat", "sorted_by_class"])
def test_both_layouts_give_the_definitions_number(layout, evaluate, real, tmp_path, request):
    data = request.getfixturevalue(layout)
    code, out, err = evaluate(data, "--real", str(real))
    assert (code, err) == (0, "")
    folder = tmp_path / "results" / "imagenet_real" / "Net"
    summary = json.loads((folder / "summary.json").read_text())
    metric = summary["metrics"]["top1_acc/imagenet-real"]
    assert (metric["value"], metric["n"]) == (pytest.approx(300 / 7), 7)
    answers = answers_of(evaluate, data, tmp_path)
    assert (metric["value"], 7) == real_accuracy(answers, real_labels_of(real))
    assert "decoded 7 images" in out  # the image without a label needs no answer
    assert summary["images"]["real"] == {"scored": 7, "without_label": 1}
    assert summary["images"]["partial"]["images"] == 8
    digest = hashlib.sha256(real.read_bytes()).hexdigest()
    assert summary["identity"]["protocol"]["real_sha256"] == digest


def test_the_score_needs_nothing_but_the_predictions(evaluate, sorted_by_class, real, tmp_path):
    assert evaluate(sorted_by_class, "--real", str(real))[0] == 0
    real.unlink()
    folder = tmp_path / "results" / "imagenet_real" / "Net"
    summary = json.loads((folder / "summary.json").read_text())
    again = score(read_predictions(folder / "predictions.parquet"))
    assert {key: metric.as_dict() for key, metric in again.items()} == summary["metrics"]


def test_a_limit_counts_scored_images(evaluate, sorted_by_class, real, tmp_path):
    assert evaluate(sorted_by_class, "--real", str(real), "--limit", "5")[0] == 0
    folder = tmp_path / "results" / "imagenet_real" / "Net"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"]["top1_acc/imagenet-real"]["n"] == 5


def test_other_labels_do_not_continue_a_result(evaluate, sorted_by_class, real):
    assert evaluate(sorted_by_class, "--real", str(real))[0] == 0
    write_real(real, [[1], [2], [], [3]])
    code, _, err = evaluate(sorted_by_class, "--real", str(real))
    assert code == 2
    assert "real_sha256" in err


def test_where_the_labels_come_from(evaluate, sorted_by_class, real, tmp_path, monkeypatch):
    def digest() -> str:
        code, _, err = evaluate(sorted_by_class, "--overwrite")
        assert (code, err) == (0, "")
        path = tmp_path / "results" / "imagenet_real" / "Net" / "summary.json"
        return json.loads(path.read_text())["identity"]["protocol"]["real_sha256"]

    monkeypatch.setattr(real_labels, "packaged_real", lambda: None)
    code, _, err = evaluate(sorted_by_class)
    assert code == 2
    for word in ("--real", "BVG_REAL", "python code/download.py imagenet-real"):
        assert word in err
    packaged = write_real(tmp_path / "packaged.json", [[1]])
    monkeypatch.setattr(real_labels, "packaged_real", lambda: packaged)
    seen = [digest()]
    downloaded = Path(os.environ["BVG_CACHE"]) / "data" / "imagenet-real" / "real.json"
    downloaded.parent.mkdir(parents=True)
    write_real(downloaded, [[3]])
    seen.append(digest())
    monkeypatch.setenv("BVG_REAL", str(real))
    seen.append(digest())
    files = (packaged, downloaded, real)
    assert seen == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_wrong_labels_are_refused_before_anything_is_loaded(evaluate, sorted_by_class, tmp_path):
    page = tmp_path / "real.json"
    page.write_text("<!DOCTYPE html><html><body>rate limit</body></html>")
    for path, found in ((page, "it is not JSON"), (tmp_path / "no.json", "--real")):
        code, _, err = evaluate(sorted_by_class, "--real", str(path))
        assert code == 2
        assert len(err.splitlines()) == 1
        assert found in err
    assert not (tmp_path / "results" / "imagenet_real").exists()


def test_a_model_of_other_classes(evaluate, val_folder, model_file, real, tmp_path, capsys):
    argv = ["--model", f"{model_file}:one", "--imagenet", str(val_folder(1)), "--real", str(real)]
    argv += ["--results", str(tmp_path / "results"), "--num_workers", "0"]
    assert eval_imagenet_real.main(argv) == 2
    assert "evaluate a model of ImageNet's 1000 classes" in capsys.readouterr().err


def test_help_names_what_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        eval_imagenet_real.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("Paper:", "Data:", "--real", "BVG_REAL", "BVG_IMAGENET", "--partial"):
        assert word in text
