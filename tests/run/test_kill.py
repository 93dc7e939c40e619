"""Killed at any moment, resumed, and the same to the last byte."""

import signal
import time
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from bvg.predictions.table import read_predictions
from bvg.run import loop
from conftest import draw_val, write_model
from forks import fork
from noise_benchmark import NOISE


@dataclass(frozen=True)
class Call:
    """A call of the benchmark in a process of its own."""

    process: ForkProcess
    said: Path

    def end(self) -> tuple[int, str, str]:
        """Return the exit code and what was printed, once the process has ended."""
        self.process.join(120)
        assert self.process.exitcode is not None
        out, err = (Path(f"{self.said}.{name}").read_text() for name in ("out", "err"))
        return self.process.exitcode, out, err

    def kill(self) -> None:
        self.process.kill()
        assert self.end()[0] == -signal.SIGKILL


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    world = tmp_path_factory.mktemp("world")
    data, model_file = draw_val(world / "data", 12), write_model(world)
    calls = []

    def run(results: Path, *words: str, sleep: float = 0.0, **settings: str) -> Call:
        models = [f"{model_file}:one", f"{model_file}:two"]
        argv = ["--model", *models, "--data", str(data), "--results", str(results)]
        argv += ["--batch_size", "4", "--num_workers", "0", *words]
        calls.append(argv)
        said = world / str(len(calls))
        return Call(fork(NOISE.main, argv, said=said, NOISE_SLEEP=str(sleep), **settings), said)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHUNK_IMAGES", 8)
        yield run


def _finish(call: Call) -> tuple[str, str]:
    code, out, err = call.end()
    assert code == 0, err
    return out, err


def _bytes(results: Path) -> list[bytes]:
    return [(results / "noise" / m / "predictions.parquet").read_bytes() for m in ("one", "two")]


def _chunks(results: Path) -> list[str]:
    return sorted(p.name for p in results.glob("noise/one/partial/chunk-*.parquet"))


def _wait_for(condition, call: Call) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert call.process.is_alive(), call.end()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory) -> Path:
    """Return the results of a run that nothing interrupted."""
    results = tmp_path_factory.mktemp("whole")
    _finish(start(results))
    return results


@pytest.fixture
def unbroken(whole) -> list[bytes]:
    return _bytes(whole)


def test_killed_again_and_again_ends_with_the_same_bytes(start, tmp_path, unbroken):
    results = tmp_path / "killed"
    for chunks_before_kill in (0, 1, 3, 5):
        call = start(results, sleep=0.1)
        if chunks_before_kill == 0:
            _wait_for((results / "noise/one/partial/run.json").exists, call)
        else:
            _wait_for(lambda n=chunks_before_kill: len(_chunks(results)) >= n, call)
        call.kill()
        assert not list(results.glob("noise/*/predictions.parquet"))
        assert not list(results.glob("noise/*/summary.json"))
        kept = _chunks(results)
        assert len(kept) >= chunks_before_kill
    out, _ = _finish(start(results))
    assert "one: resuming at image" in out
    decoded = int(out.split("decoded ")[1].split()[0])
    assert decoded <= 48 - 8 * len(kept) + 8  # at most one chunk is done again
    assert _bytes(results) == unbroken
    assert not list(results.glob("noise/*/partial"))


def test_terminated_politely_keeps_even_the_chunk_at_hand(start, tmp_path, unbroken):
    results = tmp_path / "terminated"
    call = start(results, sleep=0.2)
    _wait_for(lambda: len(_chunks(results)) >= 1, call)
    call.process.terminate()
    code, _, err = call.end()
    assert code == 130
    assert "interrupted: the same command resumes" in err
    assert "Traceback" not in err
    _finish(start(results))
    assert _bytes(results) == unbroken


def test_another_batch_size_after_the_kill_gives_the_same_decisions(start, tmp_path, whole):
    results = tmp_path / "other"
    call = start(results, sleep=0.1)
    _wait_for(lambda: len(_chunks(results)) >= 2, call)
    call.kill()
    _finish(start(results, "--batch_size", "5"))
    ours = read_predictions(results / "noise/one/predictions.parquet")
    theirs = read_predictions(whole / "noise/one/predictions.parquet")
    assert (ours.answers == theirs.answers).all()
    assert list(ours.images) == list(theirs.images)


def test_the_second_process_is_told_and_the_first_is_not_disturbed(start, tmp_path, unbroken):
    results = tmp_path / "both"
    gate = tmp_path / "gate"
    first = start(results, NOISE_GATE=str(gate))
    _wait_for((results / "noise/one/partial/run.json").exists, first)
    second = start(results)
    code, _, err = second.end()
    assert code == 75
    assert f"is being written by another process ({first.process.pid} on " in err
    assert "Traceback" not in err
    gate.touch()
    _finish(first)
    assert _bytes(results) == unbroken


def test_a_kill_while_finishing_is_finished_by_the_next_run(start, tmp_path, unbroken):
    results = tmp_path / "late"
    _finish(start(results))
    folder = results / "noise/one"
    # The state between the two last renames: predictions are there, the summary is not.
    whole = (folder / "predictions.parquet").read_bytes()
    call = start(results, "--overwrite", sleep=0.1)
    _wait_for(lambda: len(_chunks(results)) >= 5, call)
    call.kill()
    assert (folder / "predictions.parquet").read_bytes() == whole  # the old result still stands
    assert (folder / "summary.json").exists()
    (folder / "summary.json").unlink()
    _finish(start(results))
    assert _bytes(results) == unbroken
