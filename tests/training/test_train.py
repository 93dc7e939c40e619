"""train.py from end to end: interrupted, killed, shared by processes, refused, and loaded again."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import eval_shape_bias
import train
from bvg.files import lock_folder
from bvg.stylize import adain
from bvg.stylize.styles import Styles, save_styles
from bvg.training import debiased
from bvg.training.processes import Processes
from bvg.zoo.checkpoints import recorded_model
from forks import fork
from stylize_helpers import write_published
from training_helpers import CLASSES, PER_CLASS, STEPS, draw_world, words


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return draw_world(tmp_path_factory.mktemp("world") / "world")


@pytest.fixture(autouse=True)
def no_figure(monkeypatch):
    monkeypatch.setattr(train, "training_figure", lambda *arguments: [])


@pytest.fixture(scope="module")
def unbroken(world, tmp_path_factory) -> Path:
    """Return the folder of a run in chunks of half a batch."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    torch.set_num_threads(1)  # as in the other processes: the last digits depend on it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "training_figure", lambda *arguments: [])
        assert train.main(words(world, out, "--chunk_size", "8")) == 0
    return out


def killed_in_the_third_update(argv: list[str]) -> int:
    """Train, in a process of its own, until it is killed."""
    add, left = train.Meter.add, [3]

    def then_kill(self, count: int) -> None:
        add(self, count)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    train.Meter.add = then_kill
    return train.main(argv)


@pytest.fixture(scope="module")
def others(world, tmp_path_factory) -> Path:
    """Return the folder of the runs in other processes: `shared`, by two, and `killed`."""
    folder = tmp_path_factory.mktemp("others")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    half = words(world, folder / "shared", "--chunk_size", "8")
    often = words(world, folder / "killed", "--chunk_size", "8", "--save_every", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "training_figure", lambda *arguments: [])
        ranks = [
            fork(train.main, half, said=folder / k, RANK=k, LOCAL_RANK=k, **together) for k in "01"
        ]
        killed = fork(killed_in_the_third_update, often, said=folder / "alone")
    for process in (*ranks, killed):
        process.join(120)
        process.kill()  # one that waits for another for ever
    assert [process.exitcode for process in (*ranks, killed)] == [0, 0, -signal.SIGKILL]
    return folder


def assert_same(one: Path, other: Path) -> None:
    """The two runs ended with the same files, byte for byte."""
    for file in ("weights.safetensors", "curve.csv"):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    predictions = [*one.rglob("predictions.parquet")]
    assert len(predictions) == 3 * 3 + 2  # three sets of stimuli in epochs 0 to 2; two at the end
    for path in predictions:
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes(), path


def test_the_curve_has_what_was_measured(unbroken):
    curve = pd.read_csv(unbroken / "curve.csv", index_col="epoch")
    assert list(curve.index) == [0, 1, 2] and list(curve["step"]) == [0, STEPS, 2 * STEPS]
    assert np.allclose(curve["lr"][1:], [0.1, 0.01]) and curve["loss"][2] < curve["loss"][1]
    parts = [f"fraction-{part}" for part in ("correct-shape", "correct-texture", "neither")]
    assert np.allclose(curve[parts].sum(axis=1), 1)
    last = curve.loc[2]
    assert last["shape-bias/low"] <= last["shape-bias"] <= last["shape-bias/high"]
    assert last["top1_acc/imagenet"] > 3 * 100 / 16  # colours tell the class


def test_the_optimizer_is_plain_sgd_with_decay_of_everything(unbroken):
    """Not Nesterov's, and biases and batch normalization decay as well, as the recipes have it."""
    (group,) = torch.load(unbroken / "resume.pt", weights_only=True)["optimizer"]["param_groups"]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, False, 1e-4)
    assert len(group["params"]) == 6  # weights and biases of three layers


def test_every_validation_image_is_evaluated_once(unbroken):
    at_the_end = {"imagenet": "final", "stylized_imagenet": "final"}
    for benchmark, name in {**at_the_end, "imagenet_shape_bias": "epoch-002"}.items():
        table = pq.read_table(unbroken / "evaluations" / benchmark / name / "predictions.parquet")
        images = table["image"].to_pylist()
        assert len(set(images)) == len(images) == (32 if "shape" in benchmark else 64)
    some = unbroken / "evaluations" / "imagenet" / "epoch-001" / "predictions.parquet"
    assert pq.read_table(some).num_rows == 32  # --limit_val
    for epoch, limit in (("epoch-001", 32), ("final", None)):
        folder = unbroken / "evaluations" / "stylized_imagenet" / epoch
        protocol = json.loads((folder / "summary.json").read_text())["identity"]["protocol"]
        assert (protocol["limit"], protocol["stylizer"]) == (limit, "unknown")


def test_terminated_and_resumed_it_is_the_same(world, unbroken, tmp_path, monkeypatch):
    argv = words(world, tmp_path / "run", "--chunk_size", "8", "--num_workers", "1")
    add, left = train.Meter.add, [STEPS + 2]  # in the second epoch

    def then_terminate(self, count):
        add(self, count)
        left[0] -= 1
        if left[0] == 0:
            for worker in multiprocessing.active_children():  # as schedulers do
                os.kill(worker.pid, signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train.Meter, "add", then_terminate)
    assert train.main(argv) == 130
    saved = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert saved["step"] == STEPS + 3  # the update after the signal is finished
    assert train.main(argv) == 0
    assert_same(unbroken, tmp_path / "run")


def test_killed_and_resumed_it_is_the_same(world, unbroken, others):
    killed = others / "killed"
    assert torch.load(killed / "resume.pt", weights_only=True)["step"] == 2
    assert not (killed / "weights.safetensors").exists()  # no epoch has ended
    assert train.main(words(world, killed, "--chunk_size", "8")) == 0
    assert_same(unbroken, killed)


def test_two_processes_are_one_with_the_same_chunks(unbroken, others):
    """All but the statistics of batch normalization, which are the first process's alone."""
    shared = others / "shared"
    one, two = (load_file(run / "weights.safetensors") for run in (unbroken, shared))
    differing = {key for key in one if not torch.equal(one[key], two[key])}
    local = {"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"}
    assert one.keys() == two.keys() and differing == local
    columns = ["step", "lr", "loss"]
    curves = [pd.read_csv(run / "curve.csv")[columns] for run in (unbroken, shared)]
    assert curves[0].equals(curves[1])
    table = pq.read_table(shared / "evaluations" / "imagenet" / "final" / "predictions.parquet")
    images = table["image"].to_pylist()
    assert len(set(images)) == len(images) == len(CLASSES) * PER_CLASS


def test_the_weights_go_through_the_zoo(world, unbroken, tmp_path):
    """An evaluation script finds architecture, classes and normalization in the file."""
    out = tmp_path / "results"
    argv = ["--model", f"file://{unbroken}/weights.safetensors", "--device", "cpu"]
    argv += ["--stimuli", f"{world}/stimuli", "--results", str(out)]
    assert eval_shape_bias.main(argv) == 0
    found = pq.read_table(out / "imagenet_shape_bias" / "weights" / "predictions.parquet")
    assert found.num_rows == 32 and found["answers"].to_pylist()[0]


def test_what_stylized_the_images_is_recorded(tmp_path, capsys):
    world, out = draw_world(tmp_path / "world"), tmp_path / "run"
    manifest = world / "sin" / "manifest.json"
    manifest.write_text('{"stylizer": {"engine": "adain"}}')
    assert train.main(words(world, out, "--epochs", "1")) == 0
    record = recorded_model(out / "weights.safetensors")["training"]
    assert record["images"]["stylized-imagenet"]["stylizer"] == {"engine": "adain"}
    assert record["evaluation"]["images"]["stylized_imagenet"]["stylizer"] == {"engine": "adain"}
    assert "stylizer" not in record["evaluation"]["images"]["imagenet"]
    assert record["execution"]["threads"] == torch.get_num_threads()
    assert (record["execution"]["precision"], record["execution"]["chunk_size"]) == ("float32", 16)
    manifest.write_text('{"stylizer": {"engine": "ghiasi"}}')
    assert train.main(words(world, out, "--epochs", "1")) == 2
    assert "ghiasi" in capsys.readouterr().err


def test_debiased_training_saves_a_plain_network(world, tmp_path, monkeypatch):
    """The loss, the routing and AdaIN have tests of their own; this is the loop around them."""
    write_published(tmp_path / "weights" / "adain", monkeypatch)
    seen = []
    restyled = debiased.restyled

    def watched(engine, x, order, alpha, styles):
        seen.append((x.shape[-1], sorted(order.tolist()) == list(range(len(x))), alpha))
        return restyled(engine, x, order, alpha, styles)

    monkeypatch.setattr(train, "restyled", watched)
    argv = words(world, tmp_path / "run", "--weights_dir", f"{tmp_path}/weights", recipe="debiased")
    assert train.main([*argv, "--warmup", "1"]) == 0
    assert seen == [(32, True, 0.5)] * 2 * STEPS  # 32 pixels are not made smaller
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert not [key for key in weights if "aux_bn" in key]
    saved = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["model"]
    both = [saved["network.bn.running_mean"], saved["network.bn.aux_bn.running_mean"]]
    assert torch.equal(both[0], weights["bn.running_mean"]) and not torch.allclose(*both)
    rates = pd.read_csv(tmp_path / "run" / "curve.csv")["lr"]
    assert np.allclose(rates[1:], [0.2, 0.02])


def test_debiased_training_with_the_styles_of_paintings(world, tmp_path, monkeypatch, capsys):
    write_published(tmp_path / "weights" / "adain", monkeypatch)
    vectors = np.abs(np.random.default_rng(0).normal(size=(5, 6))).astype(np.float32)
    record = {"weights": adain.SHA256, "fingerprint": "5"}
    save_styles(tmp_path / "styles.npz", Styles([*"abcde"], vectors, record))
    seen = []
    restyled = debiased.restyled
    monkeypatch.setattr(train, "restyled", lambda *a: seen.append(a[2]) or restyled(*a))
    argv = words(world, tmp_path / "run", "--weights_dir", f"{tmp_path}/weights", recipe="debiased")
    argv += ["--warmup", "0", "--epochs", "1", "--styles", f"{tmp_path}/styles.npz"]
    assert train.main(argv) == 2 and "--gamma 1" in capsys.readouterr().err
    assert train.main([*argv, "--gamma", "1"]) == 0
    assert {*torch.cat(seen).tolist()} == {*range(5)}


def test_another_recipe_is_refused(world, unbroken, capsys):
    before = (unbroken / "resume.pt").read_bytes()
    argv = words(world, unbroken, "--chunk_size", "8", "--lr", "0.5", "--weight_decay", "0")
    assert train.main(argv) == 2
    error = capsys.readouterr().err
    assert "lr was 0.1 and is now 0.5" in error and "weight_decay" in error and "--out" in error
    assert train.main(words(world, unbroken, "--chunk_size", "8", "--limit_val", "16")) == 2
    assert "limit was 32 and is now 16" in capsys.readouterr().err
    assert (unbroken / "resume.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "remedy"),
    [
        (["--batch_size", "65"], "--batch_size"),
        (["--chunk_size", "5"], "--chunk_size 4"),
        (["--stylized", "{world}/imagenet/train"], "--stylized_imagenet"),
        (["--stylized", "{world}/stimuli"], "train/"),
        (["--arch", "resnet5000"], "--arch"),
        (["--model", "miniature_plain"], "--arch"),  # which would not be used
        (["--gamma", "0.5"], "--recipe debiased"),
        (["--stylized", "{world}/imagenet"], "--stylized_imagenet (val/)"),
        (["--stimuli", "{world}/imagenet/val"], "rename"),
    ],
)
def test_what_cannot_work_is_said_before_training(world, tmp_path, capsys, more, remedy):
    argv = words(world, tmp_path / "run", *(word.format(world=world) for word in more))
    assert train.main(argv) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and remedy in error
    assert not (tmp_path / "run" / "curve.csv").exists()


def test_rows_of_a_run_without_a_checkpoint_are_not_kept(world, tmp_path):
    out = tmp_path / "run"
    assert train.main(words(world, out, "--lr", "1e30", "--seed", "7")) == 2
    (out / "resume.pt").unlink(missing_ok=True)
    assert not (out / "weights.safetensors").exists()
    summary = out / "evaluations" / "imagenet" / "epoch-000" / "summary.json"
    # Other seeds are evaluated on the same images.
    assert json.loads(summary.read_text())["identity"]["protocol"]["seed"] == 0
    before = pd.read_csv(out / "curve.csv")
    assert train.main(words(world, out, "--epochs", "1")) == 0
    now = pd.read_csv(out / "curve.csv")
    assert now.epoch.tolist() == [0, 1]
    assert not before.iloc[0].equals(now.iloc[0][before.columns])


def test_a_run_may_go_on_otherwise_and_says_so(world, unbroken, tmp_path, capsys):
    shutil.copytree(unbroken, tmp_path / "run")
    argv = words(world, tmp_path / "run", "--chunk_size", "8")
    torch.set_num_threads(2)
    assert train.main(argv) == 0  # nothing is left to compute
    assert "unbroken" not in capsys.readouterr().out
    content = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    torch.save({**content, "step": STEPS}, tmp_path / "run" / "resume.pt")
    assert train.main([*argv, "--precision", "fp16"]) == 0
    line = next(text for text in capsys.readouterr().out.splitlines() if "unbroken" in text)
    assert "precision was float32 and is now float16" in line
    assert "threads was 1 and is now 2" in line


def test_machines_that_do_not_share_the_folder_are_refused(
    world, unbroken, tmp_path, monkeypatch, capsys
):
    shutil.copytree(unbroken, tmp_path / "run")
    monkeypatch.setattr(Processes, "mean", lambda self, *values: [value / 2 for value in values])
    assert train.main(words(world, tmp_path / "run", "--chunk_size", "8")) == 2
    assert "--out" in capsys.readouterr().err


def test_weights_without_a_checkpoint_are_not_overwritten(world, unbroken, tmp_path, capsys):
    shutil.copytree(unbroken, tmp_path / "run")
    (tmp_path / "run" / "resume.pt").unlink()
    assert train.main(words(world, tmp_path / "run", "--chunk_size", "8")) == 2
    assert "--out" in capsys.readouterr().err
    assert_same(unbroken, tmp_path / "run")


def test_a_folder_in_which_another_process_trains_is_refused(world, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    with ExitStack() as held:
        lock_folder(tmp_path / "run", held)
        assert train.main(words(world, tmp_path / "run")) == 75
    assert "--out" in capsys.readouterr().err


def test_a_scheduler_that_sets_the_number_of_processes_alone(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert train.main(words(world, tmp_path / "run")) == 2
    assert "torchrun" in capsys.readouterr().err


@pytest.mark.parametrize(("chunk", "remedy"), [("8", "--chunk_size 4"), ("1", "--device")])
def test_too_little_memory_names_a_smaller_chunk(
    world, tmp_path, monkeypatch, capsys, chunk, remedy
):
    def full(*arguments):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(train, "_loss", full)
    assert train.main(words(world, tmp_path / "run", "--chunk_size", chunk)) == 2
    assert remedy in capsys.readouterr().err


def test_bad_images_may_be_skipped_and_categories_of_stimuli_may_be_missing(tmp_path, capsys):
    world = draw_world(tmp_path / "world")
    for path in ("sin/train/class_h/2.png", "imagenet/val/class_a/1.png"):
        (world / path).write_bytes(b"no image")
    shutil.rmtree(world / "stimuli" / "class_b")
    argv = words(world, tmp_path / "run", "--epochs", "1", "--save_every", "1", "--partial")
    assert train.main(argv) == 2 and "--skip_bad_images" in capsys.readouterr().err
    assert train.main([*argv, "--skip_bad_images"]) == 0
    assert "class_h/2.png" in capsys.readouterr().err
    record = recorded_model(tmp_path / "run" / "weights.safetensors")["training"]
    assert record["execution"]["skip_bad_images"]


def test_missing_data_of_the_recipe_are_named(world, tmp_path, capsys):
    argv = words(world, tmp_path / "run", recipe="B")
    position = argv.index("--stylized")
    assert train.main([*argv[:position], *argv[position + 2 :]]) == 2
    assert "--stylized_imagenet" in capsys.readouterr().err


def test_a_diverged_run_keeps_its_last_checkpoint(world, tmp_path, capsys):
    argv = words(world, tmp_path / "run", "--lr", "1e30", "--save_every", "1")
    assert train.main(argv) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--lr" in error
    file = tmp_path / "run" / "resume.pt"
    if file.exists():
        state = torch.load(file, weights_only=True)["model"]
        assert all(value.isfinite().all() for value in state.values())


def test_a_full_disk_keeps_the_last_checkpoint(world, tmp_path, capsys, monkeypatch):
    argv = words(world, tmp_path / "run", "--save_every", "1")
    save, saved = torch.save, []

    def full(content, file):
        """Fail at the third checkpoint, after some of its bytes."""
        saved.append(content["step"])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = 1000 if len(saved) == 3 else soft
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            save(content, file)
            file.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(torch, "save", full)
    assert train.main(argv) == 2
    error = capsys.readouterr().err
    assert "resume.pt" in error and "limit" in error and error.count("\n") == 1
    assert torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["step"] == 2
