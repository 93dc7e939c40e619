"""On a GPU: the same decisions as on the CPU, the arithmetic that was asked for, honest times.

Skipped without CUDA: `pytest tests/cuda` on a machine with a GPU.
"""

import json

import numpy as np
import pytest
import torch

import eval_criticalband
import eval_imagenet
import eval_imagenet_adv
import eval_imagenet_c
import eval_spectral
import eval_suppression
from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.predictions.table import read_predictions
from bvg.run import precision as precisions
from bvg.run.batches import Returning
from bvg.run.command_line import options
from bvg.run.decisions import decided, sixteen_way, top5
from bvg.run.loop import Stopwatch
from bvg.run.settings import settings_from
from bvg.stimuli.attacks import Attack, AttackedModel, run_attack
from bvg.stimuli.batch import Batch, with_levels
from bvg.stimuli.imagenet_c import CORRUPTIONS, imagenet_c
from bvg.stimuli.lowpass import lowpass
from bvg.stimuli.suppression import suppressed
from bvg.zoo.loading import load_model
from miniature import world
from miniature.draw import save
from stimulus_helpers import batch_of, photo_like

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def on(device: str, batch: Batch) -> Batch:
    pixels = batch.pixels.to(device, memory_format=torch.channels_last)
    made = Batch(pixels, batch.names, batch.labels.to(device), batch.seed)
    return with_levels(made, batch.levels)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    for picture in world.matched(2):
        save("imagenet", 11, folder, picture)
    return folder


@pytest.fixture
def call(miniature, tmp_path):
    """Return a function that runs a script and returns its predictions."""

    def run(script, device: str, *words: str):
        results = tmp_path / f"{script.__name__}-{device}-{len(words)}{''.join(words)}"
        argv = ["--model", "miniature_plain", "--imagenet", str(miniature), "--device", device]
        argv += ["--results", str(results), "--wandb", "disabled", "--batch_size", "8", *words]
        assert script.main(argv) == 0
        (path,) = results.glob("*/*/predictions.parquet")
        return read_predictions(path), json.loads(path.with_name("summary.json").read_text())

    return run


@pytest.mark.parametrize(
    "script", [eval_imagenet, eval_spectral, eval_criticalband, eval_suppression]
)
def test_decisions_are_those_of_the_cpu(call, script):
    there, summary = call(script, "cuda")
    here, _ = call(script, "cpu")
    same = (there.answers[:, 0] == here.answers[:, 0]).mean()
    assert same > 0.995  # rounding may decide a tie
    close = np.isclose(there.confidence, here.confidence, atol=1e-3)
    assert close.mean() > 0.995
    assert "cuda" in summary["environment"]["device"].lower() or summary["environment"]["device"]
    assert summary["seconds"]["model"] > 0 and summary["seconds"]["stimuli"] >= 0


def test_attacks_break_the_same_images(call):
    words = ("--eps", "4/255", "--steps", "5")
    there, _ = call(eval_imagenet_adv, "cuda", *words)
    here, _ = call(eval_imagenet_adv, "cpu", *words)
    right = [(p.answers[:, 0] == p.labels) for p in (there, here)]
    assert (right[0] == right[1]).mean() > 0.95


@pytest.mark.parametrize("precision", ["bf16", "fp16", "tf32"])
def test_lower_precision_changes_few_decisions(call, precision):
    lower, summary = call(eval_imagenet, "cuda", "--precision", precision)
    full, _ = call(eval_imagenet, "cuda")
    assert summary["identity"]["protocol"]["precision"] == precision
    assert (lower.answers[:, 0] == full.answers[:, 0]).mean() > 0.9


@pytest.mark.parametrize("script", [eval_imagenet, eval_spectral])
def test_verified_answers_are_those_of_fp32(call, script, monkeypatch):
    monkeypatch.setattr(precisions, "FEWEST", 2)
    (exact, _), (checked, summary) = (
        call(script, "cuda", "--precision", how) for how in ("fp32", "verified")
    )
    assert summary["precision"]["form"] != "fp32"
    np.testing.assert_array_equal(checked.answers[:, 0], exact.answers[:, 0])
    assert torch.backends.cudnn.allow_tf32 is False


def test_a_corrupted_run_on_the_gpu(call):
    words = ("--generate", "--corruptions", "fog", "contrast", "--severities", "3")
    there, _ = call(eval_imagenet_c, "cuda", *words)
    here, _ = call(eval_imagenet_c, "cpu", *words)
    assert (there.answers[:, 0] == here.answers[:, 0]).mean() > 0.95


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_are_those_of_the_cpu(name):
    batch = batch_of(photo_like(0), photo_like(1))
    ours = dict(imagenet_c([name], [3])(on("cuda", batch)))
    theirs = dict(imagenet_c([name], [3])(batch))
    for condition, x in ours.items():
        levels = (x.cpu() - theirs[condition]).abs() * 255
        assert levels.max() <= 2 or levels.mean() < 0.05, condition


@pytest.mark.parametrize("script", [eval_spectral, eval_criticalband])
def test_stimuli_are_those_of_the_cpu(script):
    batch = batch_of(photo_like(2), photo_like(3))
    theirs = {name: x.clone() for name, x in script.stimuli(batch)}
    for name, x in script.stimuli(on("cuda", batch)):
        assert x.is_cuda
        difference = (x.cpu() - theirs[name]).abs()
        assert difference.max() < 2e-5 or (difference > 2e-5).float().mean() < 1e-4, name


def test_low_pass_filtered_images_are_those_of_the_cpu():
    batch = batch_of(photo_like(2), photo_like(3))
    theirs = dict(lowpass(batch, [1, 2.5, 4], [64]))
    for name, x in lowpass(on("cuda", batch), [1, 2.5, 4], [64]):
        assert x.is_cuda
        assert (x.cpu() - theirs[name]).abs().max() < 2e-5, name


def test_suppressed_images_are_those_of_the_cpu_level_by_level():
    """Also non-local means, which OpenCV makes on the CPU and whole numbers of our own here."""
    batch = batch_of(photo_like(2), photo_like(3))
    curves = eval_suppression.CURVES.values()
    conditions = [*eval_suppression.CUES.values(), *(c for curve in curves for c in curve)]
    theirs = dict(suppressed(batch, dict.fromkeys(conditions)))
    ours = dict(suppressed(on("cuda", batch), dict.fromkeys(conditions)))
    assert set(ours) == set(theirs)
    for name, x in ours.items():
        assert x.is_cuda
        assert torch.equal((x * 255).round().cpu(), (theirs[name] * 255).round()), name


def test_fp32_is_not_tf32():
    """TF32 keeps 10 bits of the mantissa: a product of these numbers would show it."""
    for precision, exact in (("fp32", True), ("tf32", False)):
        settings_from(options(device="cuda", precision=precision))
        generator = torch.Generator().manual_seed(0)
        a, b = (torch.randn(512, 512, generator=generator) for _ in range(2))
        error = (a.cuda() @ b.cuda()).cpu().double() - a.double() @ b.double()
        assert (error.abs().max() < 1e-3) == exact
        x, w = torch.randn(4, 64, 32, 32), torch.randn(64, 64, 3, 3)
        found = torch.nn.functional.conv2d(x.cuda(), w.cuda()).cpu().double()
        error = found - torch.nn.functional.conv2d(x.double(), w.double())
        assert (error.abs().max() < 5e-3) == exact
    settings_from(options(device="cuda"))


def test_batches_arrive_in_pinned_memory(miniature):
    images = imagenet_val(miniature)
    batch = next(decoded_batches(images, (STUDY,), 0, 4, 1, pin_memory=True))
    assert batch.views[0].is_pinned()
    assert batch.views[0].to("cuda", non_blocking=True).is_cuda


def test_models_and_images_are_channels_last(miniature):
    model = load_model("miniature_plain").to("cuda").to(memory_format=torch.channels_last)
    x = on("cuda", batch_of(photo_like(0))).pixels
    assert x.is_contiguous(memory_format=torch.channels_last)
    plain = model(x.contiguous())
    torch.testing.assert_close(model(x), plain, rtol=1e-3, atol=1e-3)


def test_the_stopwatch_counts_the_gpus_time():
    watch = Stopwatch(torch.device("cuda"))
    a = torch.randn(4096, 4096, device="cuda")
    with watch.section("model"):
        for _ in range(20):
            a = a @ a / 4096
    torch.cuda.synchronize()
    watch.settle()
    assert watch.take()["model"] > 0


@pytest.fixture
def no_waiting():
    """Return a function: afterwards, an operation that waits for the GPU is an error."""

    def forbid():
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")

    yield forbid
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "stimuli",
    [
        eval_spectral.stimuli,
        lambda batch: lowpass(batch, [1], [64]),
        imagenet_c(CORRUPTIONS, [3]),
        lambda batch: suppressed(batch, eval_suppression.CUES.values()),
    ],
    ids=["spectral", "low-pass", "generated C", "suppression"],
)
def test_a_batch_waits_for_nothing(stimuli, no_waiting):
    """But for the first one, which copies tables to the GPU."""
    batch = on("cuda", batch_of(photo_like(0), photo_like(1)))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 224**2, 1000)).to("cuda")
    for again in (False, True):
        if again:
            no_waiting()
        for condition, x in stimuli(batch):
            with torch.no_grad():
                logits = model(x)
            for decide in (top5, sixteen_way(imagenet_classes())):
                Returning([(condition, decided(decide, logits, batch.labels))])


def test_the_steps_of_an_attack_wait_for_nothing(no_waiting):
    model = load_model("miniature_plain").to("cuda")
    batch = on("cuda", batch_of(photo_like(0), photo_like(1)))
    victim, attack = AttackedModel("plain", model, 16), Attack(steps=3, step=2 / 255)
    for again in (False, True):
        if again:
            no_waiting()
        run_attack(victim, batch.pixels, batch.labels, batch.pixels, 4 / 255, attack, 2)


def test_answers_arrive_while_the_gpu_is_busy():
    columns = {"answers": torch.arange(10, device="cuda").view(2, 5)}
    Returning([("clean", columns)]).columns()  # memory is pinned at the first use
    torch.cuda.synchronize()
    returning = Returning([("clean", columns)])
    torch.cuda._sleep(10**9)
    values = returning.columns()["answers"]
    assert not torch.cuda.current_stream().query()
    assert values[:, 0].tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    torch.cuda.synchronize()


def test_an_attack_stays_within_its_bounds():
    model = load_model("miniature_plain").to("cuda")
    batch = on("cuda", batch_of(photo_like(0), photo_like(1)))
    victim = AttackedModel("plain", model, 16)
    labels = victim.answers(batch.pixels)
    attack = Attack(steps=5, step=2 / 255, random_start=False)
    outcome = run_attack(victim, batch.pixels, labels, batch.pixels, 4 / 255, attack, 2)
    assert (outcome.images - batch.pixels).abs().max() <= 4 / 255 + 1e-6
    assert outcome.images.min() >= 0 and outcome.images.max() <= 1


def test_a_batch_that_does_not_fit_is_halved(call, monkeypatch, capsys):
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(int(free * 0.97), dtype=torch.uint8, device="cuda")
    try:
        squeezed, _ = call(eval_spectral, "cuda", "--batch_size", "32")
    finally:
        del taken
        torch.cuda.empty_cache()
    whole, _ = call(eval_spectral, "cuda")
    assert (squeezed.answers[:, 0] == whole.answers[:, 0]).mean() > 0.995
