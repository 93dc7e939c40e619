"""eval_imagenet_adv.py as whole calls."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import eval_imagenet_adv
from bvg.data.preprocessing import STUDY
from bvg.predictions.store import ResultFolder
from bvg.predictions.table import Predictions, read_predictions
from bvg.run import loop
from bvg.zoo.loading import load_model
from conftest import CLASSES, draw

TINY = ("--eps", "2/255", "8/255", "--steps", "3", "--batch_size", "5")
# A model of large patterns, one per class; and others that are like it, or hide from attacks.
MODELS = """
import torch

class Patterns(torch.nn.Module):
    classes = ("ant", "bee", "cat", "dog")

    def __init__(self, seed=1):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.nn.Parameter(torch.randn((4, 3, 8, 8), generator=generator))

    def forward(self, x):
        blocks = torch.nn.functional.adaptive_avg_pool2d(x - 0.5, 8)
        return torch.einsum("bchw,kchw->bk", blocks.tanh(), self.weights)

def one(): return Patterns()
def two(): return Patterns(2)

def half():
    model = Patterns()
    model.weights.data *= 0.5
    return model

class Rounded(Patterns):
    def forward(self, x):
        return super().forward((x * 8).round() / 8)

class Detached(Patterns):
    def forward(self, x):
        return super().forward(x.detach())

def rounded(): return Rounded()
def detached(): return Detached()

class Other(Patterns):
    classes = ("a", "b", "c", "d")

def other(): return Other()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Return a folder with models, and 24 images of which the model `one` gets four wrong."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "tiny.py").write_text(MODELS)
    model = load_model(f"{folder / 'tiny.py'}:one")
    for number in range(24):
        path = draw(folder / "drawn.png", number)
        with Image.open(path) as picture:
            pixels = torch.from_numpy(STUDY(picture).copy()).permute(2, 0, 1)[None] / 255
        answer = int(model(pixels).argmax()) + (number % 6 == 0)
        own = folder / "data" / "val" / CLASSES[answer % 4] / f"{number:02d}.png"
        own.parent.mkdir(parents=True, exist_ok=True)
        path.rename(own)
    return folder


@pytest.fixture
def evaluate(world, tmp_path, capsys):
    def run(*words: str, models=("one",), results="r", code=0) -> str:
        argv = ["--model", *(f"{world / 'tiny.py'}:{name}" for name in models)] if models else []
        argv += ["--imagenet", str(world / "data"), "--results", str(tmp_path / results)]
        argv += ["--num_workers", "0", "--wandb", "disabled", *words]
        assert eval_imagenet_adv.main(argv) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return run


def _metrics(tmp_path, benchmark="imagenet_adv_pgd", model="one", results="r") -> dict:
    summary = tmp_path / results / benchmark / model / "summary.json"
    return json.loads(summary.read_text())["metrics"]


def _predictions(tmp_path, benchmark="imagenet_adv_pgd", model="one", results="r") -> Predictions:
    return read_predictions(tmp_path / results / benchmark / model / "predictions.parquet")


def test_conditions_accuracies_and_columns(evaluate, tmp_path):
    printed = evaluate(*TINY)
    conditions = ("clean", "PGD-3/eps=2_255", "PGD-3/eps=8_255")
    predictions = _predictions(tmp_path)
    assert predictions.condition_names == conditions
    first = predictions.columns["first_success"].reshape(-1, 3)
    right = (predictions.answers[:, 0] == predictions.labels).reshape(-1, 3)
    added = predictions.columns["perturbation"].reshape(-1, 3)
    assert right[:, 0].sum() == 20
    assert (first[:, 0] == -2).all() and (added[:, 0] == 0).all()
    np.testing.assert_array_equal(first[:, 1:] == -2, ~right[:, [0, 0]])
    np.testing.assert_array_equal(added[:, 1:] > 0, right[:, [0, 0]])
    np.testing.assert_allclose(added.max(axis=0), [0, 2 / 255, 8 / 255], atol=1e-6)
    assert not (right[:, 1:] & ~right[:, :1]).any()  # what is wrong already stays wrong
    assert (first[~right & (first != -2)] >= 0).all()
    metrics = _metrics(tmp_path)
    for number, condition in enumerate(conditions):
        assert metrics[f"top1_acc/{condition}"]["value"] == pytest.approx(
            100 * right[:, number].mean()
        )
        assert f"top1_acc/{condition}" in printed
    assert right[:, 2].sum() < right[:, 0].sum()  # some are broken
    identity = json.loads((tmp_path / "r/imagenet_adv_pgd/one/summary.json").read_text())[
        "identity"
    ]
    attack = identity["protocol"]["attacks"]["PGD-3"]
    assert attack["step"] == 2 / 255 and attack["random_start"] and not attack["first"]
    assert identity["protocol"]["eps"] == ["2_255", "8_255"]
    folder = tmp_path / "r/imagenet_adv_pgd"
    assert (folder / "robustness.png").stat().st_size > 10_000


def test_each_model_is_attacked_itself(evaluate, tmp_path, world):
    together = evaluate(*TINY, models=("one", "two"))
    assert "decoded 24 images once for 2 model(s): 144 stimuli, 144 model inputs" in together
    evaluate(*TINY, models=("two",), results="alone")
    for model in ("two",):
        alone = tmp_path / "alone/imagenet_adv_pgd" / model / "predictions.parquet"
        both = tmp_path / "r/imagenet_adv_pgd" / model / "predictions.parquet"
        assert both.read_bytes() == alone.read_bytes()


def test_stopping_at_the_first_success_breaks_what_some_iterate_breaks(evaluate, tmp_path):
    evaluate(*TINY, "--step_size", "0.02")
    evaluate(*TINY, "--step_size", "0.02", "--stop", "first")
    whole = _metrics(tmp_path)
    first = _metrics(tmp_path, "imagenet_adv_pgd_first")
    for epsilon in ("2_255", "8_255"):
        any_of = whole[f"top1_acc/PGD-3-step=0.02-any/eps={epsilon}"]
        assert first[f"top1_acc/PGD-3-step=0.02-first/eps={epsilon}"] == any_of
    one, other = (
        _predictions(tmp_path, f"imagenet_adv_pgd{stop}").columns["first_success"]
        for stop in ("", "_first")
    )
    np.testing.assert_array_equal(one, other)


def test_several_attacks_and_numbers_of_steps_in_one_call(evaluate, tmp_path):
    attacks = ("--attack", "pgd", "fgsm", "pgd-l2", "pgd-decay", "targeted", "--eps", "4/255")
    evaluate(*attacks, "--limit", "8")
    found = {path.name for path in (tmp_path / "r").glob("imagenet_adv_*")}
    kinds = ("pgd", "fgsm", "pgd_l2", "pgd_decay", "targeted")
    assert found == {f"imagenet_adv_{kind}" for kind in kinds}
    names = ("PGD-40", "FGSM", "PGD-40-l2", "PGD-40-decay", "PGD-10-targeted")
    for kind, name in zip(kinds, names, strict=True):
        assert f"top1_acc/{name}/eps=4_255" in _metrics(tmp_path, f"imagenet_adv_{kind}")
    evaluate("--eps", "4/255", "--steps", "2", "5", results="steps")
    keys = _metrics(tmp_path, results="steps")
    assert {"top1_acc/PGD-2/eps=4_255", "top1_acc/PGD-5/eps=4_255"} <= set(keys)


def test_images_made_against_one_model_are_shown_to_the_others(evaluate, tmp_path, world):
    source = f"{world / 'tiny.py'}:one"
    printed = evaluate(*TINY, "--source", source, models=("one", "half", "two"))
    assert "decoded 24 images once for 3 model(s): 72 stimuli, 216 model inputs" in printed
    name = "imagenet_adv_pgd_from_one"
    one, half, two = (_predictions(tmp_path, name, model) for model in ("one", "half", "two"))
    np.testing.assert_array_equal(one.answers[:, 0], half.answers[:, 0])  # the same decisions
    assert (one.answers[:, 0] != two.answers[:, 0]).any()
    np.testing.assert_array_equal(one.columns["first_success"], two.columns["first_success"])
    attacked = two.conditions != "clean"
    assert (two.columns["first_success"][attacked] >= -1).all()  # also what `one` gets wrong
    assert "top1_acc/PGD-3/eps=2_255/from=one" in _metrics(tmp_path, name)


def test_a_run_that_was_interrupted_goes_on_and_ends_with_the_same_bytes(
    evaluate, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "CHUNK_IMAGES", 5)
    evaluate(*TINY, results="whole")
    append, written = ResultFolder.append, []

    def interrupted(self, *arguments):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(append(self, *arguments))

    with monkeypatch.context() as patch:
        patch.setattr(ResultFolder, "append", interrupted)
        evaluate(*TINY, code=130)
    assert "one: resuming at image 10 of 24" in evaluate(*TINY)
    names = [tmp_path / r / "imagenet_adv_pgd/one/predictions.parquet" for r in ("whole", "r")]
    assert names[0].read_bytes() == names[1].read_bytes()
    assert "was ['2_255', '8_255'] and is now ['1_255']" in evaluate("--eps", "1/255", code=2)


def test_saved_images_are_those_that_the_model_saw(evaluate, tmp_path, world):
    evaluate(*TINY, "--save_adversarial", "4")
    folder = tmp_path / "r/imagenet_adv_pgd/one"
    model = load_model(f"{world / 'tiny.py'}:one")
    predictions = _predictions(tmp_path)
    answers = {
        (image, condition): answer
        for image, condition, answer in zip(
            predictions.images, predictions.conditions, predictions.answers[:, 0], strict=True
        )
    }
    saved = sorted((folder / "adversarial").rglob("*.safetensors"))
    assert len(saved) == 8  # four images, two conditions
    assert len({path.parent.name for path in saved}) == 4  # of different classes
    for path in saved:
        condition, name, file = str(path.relative_to(folder / "adversarial")).rsplit("/", 2)
        tensors = load_file(path)
        answer = int(model(tensors["adversarial"][None]).argmax())
        assert answer == answers[f"{name}/{Path(file).stem}.png", condition]
        bound = 2 / 255 if "eps=2_255" in condition else 8 / 255
        assert (tensors["adversarial"] - tensors["original"]).abs().max() <= bound + 1e-6
        stem = path.with_suffix("")
        for kind in ("original", "perturbation", "adversarial"):
            with Image.open(f"{stem}_{kind}.png") as picture:
                assert picture.size == (224, 224)
        shown = np.asarray(Image.open(f"{stem}_original.png"))
        exact = (tensors["original"] * 255).round().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(shown, exact)
    assert (folder / "adversarial_images.png").exists()


def test_save_stimuli_writes_what_one_model_is_shown(evaluate, tmp_path):
    words = (*TINY, "--save_stimuli", str(tmp_path / "s"), "--limit", "4")
    evaluate(*words)
    assert len(list((tmp_path / "s/PGD-3/eps=8_255").rglob("*.png"))) == 4
    assert "--save_stimuli needs exactly one" in evaluate(
        *words, models=("one", "two"), results="two", code=2
    )
    assert "--save_stimuli needs exactly one" in evaluate(*words, models=(), results="none", code=2)


def test_gradients_in_bf16_are_checked_in_fp32(evaluate, tmp_path):
    evaluate(*TINY, "--attack_precision", "bf16", "--stop", "first")
    predictions = _predictions(tmp_path, "imagenet_adv_pgd_first")
    broken = predictions.columns["first_success"] >= 0
    assert broken.any()
    assert (predictions.answers[broken, 0] != predictions.labels[broken]).all()


def test_verified_answers_take_gradients_in_bf16_and_are_those_of_fp32(evaluate, tmp_path):
    evaluate(*TINY, "--precision", "verified", results="v")
    folder = tmp_path / "v" / "imagenet_adv_pgd" / "one"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["identity"]["protocol"]["gradients"] == "bf16"
    evaluate(*TINY, "--attack_precision", "bf16", results="f")
    checked, exact = (
        read_predictions(tmp_path / results / "imagenet_adv_pgd" / "one" / "predictions.parquet")
        for results in "vf"
    )
    np.testing.assert_array_equal(checked.answers, exact.answers)
    for name, values in exact.columns.items():
        np.testing.assert_array_equal(checked.columns[name], values)


def test_a_model_that_hides_its_gradient_is_noted_or_refused(evaluate):
    printed = evaluate(*TINY, models=("rounded",))
    assert "rounded: 100.0 % of the attacked images had a zero or non-finite gradient" in printed
    sentence = evaluate(*TINY, models=("detached",), results="d", code=2)
    assert "model detached has no gradient with respect to its input" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--eps", "8"), "an ε of 8 allows any change of pixels in [0, 1]"),
        (("--eps", "1/255", "2/510"), "twice: drop one of them"),
        (("--attack", "fgsm", "--steps", "3"), "--attack fgsm does not accept --steps"),
        (("--attack", "autoattack", "--stop", "first"), "does not accept --steps"),
        (("--as_ood", "--preprocess", "native"), "mutually exclusive"),
        (("--source", "no_such_model"), "unknown model 'no_such_model'"),
    ],
)
def test_flags_that_do_not_fit_are_refused(evaluate, words, sentence):
    assert sentence in evaluate(*words, code=2)


def test_a_source_of_other_classes_is_refused(evaluate, world):
    assert "have different classes" in evaluate("--source", f"{world / 'tiny.py'}:other", code=2)


@pytest.mark.parametrize(
    "words",
    [("--eps", "x"), ("--eps", "0"), ("--attack", "cw"), ("--steps", "0"), ("--step_size", "-1")],
)
def test_what_no_flag_takes_ends_with_usage(evaluate, words):
    with pytest.raises(SystemExit) as ended:
        evaluate(*words)
    assert ended.value.code == 2


def test_the_view_of_ood_benchmarks(evaluate, tmp_path):
    evaluate("--attack", "targeted", "--as_ood", "--limit", "4")
    summary = tmp_path / "r/imagenet_adv_targeted/one/summary.json"
    protocol = json.loads(summary.read_text())["identity"]["protocol"]
    assert protocol["preprocessing"]["square_first"] is True
    assert protocol["preprocessing"]["interpolation"] == "bicubic"
    assert protocol["limit"] == 4


def test_attacks_leave_the_models_parameters_alone(world):
    model = load_model(f"{world / 'tiny.py'}:one")
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert torch.is_grad_enabled()
