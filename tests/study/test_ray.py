"""Cells as tasks of a Ray cluster of two nodes on this machine, one of which is lost."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

import run_study
from bvg.run.engines import on_ray
from conftest import refusal
from real_study_helpers import PROBED, go_on, held, hold, kill, run, seen, tables


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster with a node of one processor, which RAY_ADDRESS names."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    os.environ["RAY_ADDRESS"] = nodes.address
    yield nodes
    del os.environ["RAY_ADDRESS"]
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def lose(cluster):
    """Return what takes a second node, which the cluster has for this test, away by force."""
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield lambda: cluster.remove_node(second, allow_graceful=False)


def _run(folder: Path, *models: str) -> int:
    where = ["--data", str(folder / "data"), "--results", str(folder / "r"), "--no_report"]
    return run_study.main([*where, "--engine", "ray", "--benchmark", "fake", "--model", *models])


def test_cells_run_as_tasks(fake, cluster, capsys):
    assert _run(fake, "a", "b", "bad", "deadly") == 1
    out = capsys.readouterr().out
    assert "2 cells completed, 2 failed" in out and "the model is bad: replace it" in out
    assert "fake of deadly: killed by SIGKILL" in out


def test_what_another_process_is_writing_is_tried_again(fake, cluster, capsys):
    assert _run(fake, "busy", "last") == 0
    assert "2 cells completed, 0 failed" in capsys.readouterr().out


def test_closing_the_engine_ends_the_commands(fake, cluster):
    command = [sys.executable, str(fake / "fake.py"), "--results", str(fake / "r"), "--model"]
    commands = [([*command, name], fake / name) for name in ("a", "slow")]
    ended = on_ray(None, 0.5)(commands)
    assert next(ended)[:2] == (0, 0)
    pid = fake / "r" / "fake" / "slow" / "pid"
    while not pid.exists() or not pid.read_text():
        time.sleep(0.1)
    ended.close()
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:  # Ray takes a moment
            os.kill(int(pid.read_text()), 0)
            time.sleep(0.1)


def test_a_lost_node_loses_no_cell(fake, cluster, lose, capsys):
    script = fake / "fake.py"
    script.write_text(script.read_text().replace("time.sleep(60)", "time.sleep(4)"))

    def wait_and_lose():
        pids = fake / "r" / "fake"
        deadline = time.monotonic() + 60
        while len(list(pids.glob("slow*/pid"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        lose()

    thread = threading.Thread(target=wait_and_lose)
    thread.start()
    assert _run(fake, "slow1", "slow2", "slow3") == 0
    thread.join()
    assert "3 cells completed, 0 failed" in capsys.readouterr().out
    for name in ("slow1", "slow2", "slow3"):
        assert (fake / "r" / "fake" / name / "summary.json").exists()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="looks for parents in /proc")
def test_a_study_of_real_scripts_that_loses_a_node(
    tmp_path, miniature, undisturbed, cluster, lose, capsys
):
    models, lost = ("first", "second"), []

    def wait_and_lose():
        pids = {model: held(tmp_path, model) for model in models}
        parents = {model: _parent(pid) for model, pid in pids.items()}
        lose()
        while not lost:
            lost.extend(model for model in models if _parent(pids[model]) != parents[model])
            time.sleep(0.1)
        kill(tmp_path, lost[0])  # as what ran on the node is gone with it
        go_on(tmp_path, *{*models} - {*lost})

    for model in models:
        hold(tmp_path, model)
    thread = threading.Thread(target=wait_and_lose)
    thread.start()
    assert run(tmp_path, miniature, "--engine", "ray", "--no_report") == 0
    thread.join()
    assert "3 cells completed, 0 failed" in capsys.readouterr().out
    assert tables(tmp_path) == tables(undisturbed)
    again = {name: seen(tmp_path, name) - seen(undisturbed, name) for name in models}
    assert {name: images.total() for name, images in again.items()} == {
        name: PROBED + 48 if name in lost else 0 for name in models
    }


def test_without_ray_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'ray>=2.40'" in refusal(on_ray, None, 1)
