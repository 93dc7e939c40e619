"""Cells as tasks of a Ray cluster of two nodes on this machine, one of which is lost."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import run_study
from conftest import refusal
from real_study_helpers import go_on, held, hold, run, seen, tables
from study.cells import Records
from study.ray_engine import OnRay

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster with a node of one processor."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def lose(cluster):
    """Return what takes a second node, which the cluster has for this test, away by force."""
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield lambda: cluster.remove_node(second, allow_graceful=False)


def _run(folder: Path, address: str, *words: str) -> int:
    where = ["--data", str(folder / "data"), "--results", str(folder / "r"), "--no_report"]
    engine = ["--engine", "ray", "--ray_address", address, "--benchmark", "fake"]
    return run_study.main([*where, *engine, *words])


def test_cells_run_as_tasks(kinds, cluster, capsys):
    assert _run(kinds, cluster.address, "--model", "a", "b", "bad", "killed") == 1
    out = capsys.readouterr().out
    assert "3 cells measured, 1 failed" in out and "the model is bad: mend it" in out


def test_what_no_node_has_is_said_instead_of_waited_for(tmp_path, cluster):
    records = Records(tmp_path)
    sentence = refusal(OnRay, records, cluster.address, 1.0, 1.0)
    assert sentence.startswith("no node of the Ray cluster has 1 GPU(s)")
    assert "has 2 processor(s)" in refusal(OnRay, records, cluster.address, 0.0, 2.0)


def test_a_lost_node_loses_no_cell(kinds, cluster, lose, capsys):
    script = kinds / "fake.py"
    script.write_text(script.read_text().replace("time.sleep(60)", "time.sleep(4)"))

    def wait_and_lose():
        pids = kinds / "r" / "fake"
        deadline = time.monotonic() + 60
        while len(list(pids.glob("slow*/pid"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        lose()

    thread = threading.Thread(target=wait_and_lose)
    thread.start()
    assert _run(kinds, cluster.address, "--model", "slow1", "slow2", "slow3") == 0
    thread.join()
    assert "3 cells measured, 0 failed" in capsys.readouterr().out
    for name in ("slow1", "slow2", "slow3"):
        assert (kinds / "r" / "fake" / name / "summary.json").exists()


def test_a_study_of_real_scripts_that_loses_a_node(
    tmp_path, miniature, undisturbed, cluster, lose, capsys
):
    models = ("first", "second")

    def wait_and_lose():
        pids = [held(tmp_path, model) for model in models]
        lose()
        while all(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.1)
        for model in models:
            go_on(tmp_path, model)

    for model in models:
        hold(tmp_path, model)
    thread = threading.Thread(target=wait_and_lose)
    thread.start()
    words = ["--engine", "ray", "--ray_address", cluster.address, "--no_report"]
    assert run(tmp_path, miniature, *words) == 0
    thread.join()
    assert "3 cells measured, 0 failed" in capsys.readouterr().out
    assert tables(tmp_path) == tables(undisturbed)
    again = {name: seen(tmp_path, name) - seen(undisturbed, name) for name in models}
    # Ray may kill the script of the lost node before it has written the batch at hand.
    least, most = sorted(images.total() for images in again.values())
    assert least == 0 and most in (1 + 32, 1 + 48)
    (lost,) = [name for name in models if again[name]]
    log = (tmp_path / "r" / ".study" / f"imagenet_of_{lost}.log").read_text()
    assert f"{lost}: goes on after image {272 if most == 1 + 32 else 256} of 320" in log


def test_without_ray_the_command_that_installs_it_is_said(tmp_path):
    words = [sys.executable, "-c", "import sys; sys.modules['ray'] = None\n"
             "from pathlib import Path\nfrom study.ray_engine import OnRay\n"
             "from study.cells import Records\n"
             f"OnRay(Records(Path({str(tmp_path)!r})), None, None, 1)"]  # fmt: skip
    code = Path(run_study.__file__).parent
    ended = subprocess.run(words, capture_output=True, text=True, env={**os.environ,
                           "PYTHONPATH": str(code)})  # fmt: skip
    assert "pip install 'ray>=2.40'" in ended.stderr
