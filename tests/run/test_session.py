"""A whole call: what it writes, records and prints."""

import json
import os
import subprocess
import sys

import pytest

import eval_imagenet
import eval_shape_bias
from bvg.predictions.table import read_predictions
from bvg.run.command_line import parser
from bvg.run.runs import metrics_table
from bvg.scores.metric import Metric
from conftest import REPOSITORY, draw

SIXTEEN = tuple(f"kind{letter}" for letter in "abcdefghijklmnop")


@pytest.fixture
def evaluate(model_file, val_folder, tmp_path):
    data = val_folder(4)

    def run(*words: str, models: tuple[str, ...] = ("one",)) -> int:
        argv = ["--model", *(f"{model_file}:{name}" for name in models)]
        argv += ["--imagenet", str(data), "--results", str(tmp_path / "results")]
        return eval_imagenet.main([*argv, "--num_workers", "0", *words])

    run.folder = tmp_path / "results" / "imagenet"
    return run


def test_the_summary_says_how_the_numbers_came_about(evaluate, val_folder):
    assert evaluate("--seed", "3", "--limit", "8") == 0
    summary = json.loads((evaluate.folder / "one" / "summary.json").read_text())
    assert summary["identity"]["protocol"]["limit"] == 8
    assert summary["identity"]["protocol"]["seed"] == 3
    assert summary["identity"]["images"]["count"] == 8
    assert len(summary["identity"]["model"]["weights_sha256"]) == 64
    assert summary["metrics"]["top1_acc/imagenet"]["n"] == 8
    assert set(summary["seconds"]) >= {"decode", "model", "stimuli", "wait"}
    assert summary["settings"]["images_decoded"] == 8
    assert summary["environment"]["packages"]["torch"]
    assert summary["model"]["spec"].endswith("tiny.py:one")
    assert summary["images"]["folder"] == str(val_folder(4) / "val")


def test_metrics_can_be_recomputed_from_the_predictions(evaluate):
    from bvg.scores.imagenet import imagenet_metrics

    evaluate()
    predictions = read_predictions(evaluate.folder / "one" / "predictions.parquet")
    summary = json.loads((evaluate.folder / "one" / "summary.json").read_text())
    again = {key: metric.as_dict() for key, metric in imagenet_metrics(predictions).items()}
    assert again == summary["metrics"]


def test_native_preprocessing_is_each_models_own(evaluate, model_file, capsys):
    model_file.write_text(
        model_file.read_text()
        + "\nfrom bvg.data.preprocessing import Preprocessing\n"
        + "def native(seed, size):\n    model = Tiny(seed)\n"
        + "    model.native = Preprocessing(resize=size, crop=size)\n    return model\n"
        + "def small(): return native(1, 32)\ndef large(): return native(1, 64)\n"
    )
    assert evaluate("--preprocess", "native", models=("small", "large")) == 0
    assert "decoded 16 images once for 2 model(s): 32 stimuli" in capsys.readouterr().out
    crops = []
    confidences = []
    for name in ("small", "large"):
        summary = json.loads((evaluate.folder / name / "summary.json").read_text())
        crops.append(summary["identity"]["protocol"]["preprocessing"]["crop"])
        table = read_predictions(evaluate.folder / name / "predictions.parquet")
        confidences.append(table.confidence.tolist())
    assert crops == [32, 64]
    assert confidences[0] != confidences[1]
    assert evaluate("--preprocess", "native") == 2
    assert "does not state its preprocessing" in capsys.readouterr().err


def test_models_of_different_classes_are_not_mixed(evaluate, model_file, capsys):
    model_file.write_text(
        model_file.read_text()
        + "\ndef other():\n    model = Tiny(1)\n    model.classes = ('w', 'x', 'y', 'z')\n"
        + "    return model\n"
    )
    assert evaluate(models=("one", "other")) == 2
    assert "one and other answer with different classes" in capsys.readouterr().err


def test_flags_take_dashes_and_underscores(evaluate):
    assert evaluate("--batch-size", "3", "--skip-bad-images", "--wandb=disabled") == 0


def test_wandb_offline_gets_the_studys_keys(evaluate, tmp_path):
    from wandb_reader import read_run

    assert evaluate("--wandb", "offline") == 0
    (log,) = (tmp_path / "results").rglob("*.wandb")
    run = read_run(log.parent)
    summary = json.loads((evaluate.folder / "one" / "summary.json").read_text())
    assert (run.project, run.name) == ("imagenet", "one")
    logged = run.logged[-1]
    for key, metric in summary["metrics"].items():
        assert logged[key] == metric["value"]
        assert logged.get(f"interval/{key}/low") == metric["low"]
    assert logged["interval/top1_acc/imagenet/low"] > 0
    assert run.config["protocol"]["precision"] == "fp32"


@pytest.fixture
def sixteen(tmp_path):
    """Return stimuli of sixteen categories and a model that has them as its classes."""
    for shape in SIXTEEN:
        for texture in SIXTEEN[:3]:
            name = f"{shape}1-{texture}1.png"
            seed = 100 * SIXTEEN.index(shape) + SIXTEEN.index(texture)
            draw(tmp_path / "cue" / shape / name, seed, size=(224, 224))
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        f"    classes = {SIXTEEN!r}\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head = torch.nn.Linear(3, 16)\n"
        "        weight = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))\n"
        "        self.head.weight.data = weight * 30\n"
        "    def forward(self, x):\n"
        "        return self.head(x.mean((2, 3)) - 0.5)\n"
    )
    return tmp_path


def test_shape_bias_writes_tables_and_figures(sixteen, capsys):
    argv = ["--model", f"net_a={sixteen}/net.py:Net", "--stimuli", str(sixteen / "cue")]
    argv += ["--results", str(sixteen / "results"), "--num_workers", "0"]
    assert eval_shape_bias.main(argv) == 0
    folder = sixteen / "results" / "imagenet_shape_bias"
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert written == {
        "net_a/predictions.parquet",
        "net_a/summary.json",
        "net_a/.lock",
        "net_a/cue-conflict_net-a_session-1.csv",
        "shape_bias.png",
        "shape_bias.pdf",
    }
    table = (folder / "net_a" / "cue-conflict_net-a_session-1.csv").read_text().splitlines()
    assert table[0] == "subj,session,trial,rt,object_response,category,condition,imagename"
    assert len(table) == 49
    assert table[1].startswith("net_a,1,1,NaN,kind")
    summary = json.loads((folder / "net_a" / "summary.json").read_text())
    assert summary["images"]["partial"] == {"images": 48, "expected_images": 1280}
    assert summary["metrics"]["fraction-correct-shape"]["n"] == 45
    out = capsys.readouterr().out
    assert out.index("wrote ") < out.index("shape-bias/max")


@pytest.mark.parametrize("script", ["eval_imagenet", "eval_shape_bias"])
def test_help_says_what_is_measured_and_needed(script, capsys):
    module = {"eval_imagenet": eval_imagenet, "eval_shape_bias": eval_shape_bias}[script]
    with pytest.raises(SystemExit) as stop:
        module.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("Paper:", "Data:", "--model", "--results", "--wandb", "BVG_CACHE", "exit codes"):
        assert word in text


def test_a_script_writes_nowhere_but_to_results(sixteen):
    """Run as a user would, in an empty home and an empty working folder."""
    home, here = sixteen / "home", sixteen / "here"
    home.mkdir()
    here.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    script = str(REPOSITORY / "code" / "eval_shape_bias.py")
    argv = ["--model", f"{sixteen}/net.py:Net", "--stimuli", str(sixteen / "cue")]
    before = set(sixteen.rglob("*"))
    run = subprocess.run(
        [sys.executable, "-B", script, *argv],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].split()[:2] == ["Net", "top1_acc/cue-conflict/congruent"]
    new = {path for path in set(sixteen.rglob("*")) - before if path.is_file()}
    elsewhere = {p for p in new if here / "results" not in p.parents}
    # matplotlib's list of fonts is the one cache that --help names for such a run.
    assert {p for p in elsewhere if ".cache/matplotlib" not in str(p)} == set()


def test_every_script_has_the_common_flags():
    text = parser("x").format_help()
    for flag in (
        "--model",
        "--device",
        "--batch_size",
        "--num_workers",
        "--limit",
        "--precision",
        "--results",
        "--wandb",
        "--seed",
        "--overwrite",
        "--weights_dir",
    ):
        assert flag in text


def test_why_a_value_is_undefined_stands_below_the_table():
    metrics = {"net": {"a": Metric(None, n=5, note="nothing was right"), "b": Metric(1.5, 1, 2, 5)}}
    lines = metrics_table(metrics, ("a", "b")).splitlines()
    assert lines[1].split() == ["net", "a", "undefined", "5"]
    assert lines[2].split() == ["net", "b", "1.50", "1.00", "–", "2.00", "5"]
    assert lines[3:] == ["net, a: nothing was right"]
