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
from study.cells import Records
from study.ray_engine import OnRay

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster of two nodes with one processor each, and its second node."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes, second
    ray.shutdown()
    nodes.shutdown()


def _run(folder: Path, address: str, *words: str) -> int:
    where = ["--data", str(folder / "data"), "--results", str(folder / "r"), "--no_report"]
    engine = ["--engine", "ray", "--ray_address", address, "--benchmark", "fake"]
    return run_study.main([*where, *engine, *words])


def test_cells_run_as_tasks(kinds, cluster, capsys):
    assert _run(kinds, cluster[0].address, "--model", "a", "b", "bad", "killed") == 1
    out = capsys.readouterr().out
    assert "3 cells measured, 1 failed" in out and "the model is bad: mend it" in out


def test_what_no_node_has_is_said_instead_of_waited_for(tmp_path, cluster):
    records = Records(tmp_path)
    sentence = refusal(OnRay, records, cluster[0].address, 1.0, 1.0)
    assert sentence.startswith("no node of the Ray cluster has 1 GPU(s)")
    assert "has 2 processor(s)" in refusal(OnRay, records, cluster[0].address, 0.0, 2.0)


def test_a_lost_node_loses_no_cell(kinds, cluster, capsys):
    nodes, second = cluster
    script = kinds / "fake.py"
    script.write_text(script.read_text().replace("time.sleep(60)", "time.sleep(4)"))

    def lose():
        pids = kinds / "r" / "fake"
        deadline = time.monotonic() + 60
        while len(list(pids.glob("slow*/pid"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        nodes.remove_node(second, allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    assert _run(kinds, nodes.address, "--model", "slow1", "slow2", "slow3") == 0
    thread.join()
    assert "3 cells measured, 0 failed" in capsys.readouterr().out
    for name in ("slow1", "slow2", "slow3"):
        assert (kinds / "r" / "fake" / name / "summary.json").exists()


def test_without_ray_the_command_that_installs_it_is_said(tmp_path):
    words = [sys.executable, "-c", "import sys; sys.modules['ray'] = None\n"
             "from pathlib import Path\nfrom study.ray_engine import OnRay\n"
             "from study.cells import Records\n"
             f"OnRay(Records(Path({str(tmp_path)!r})), None, None, 1)"]  # fmt: skip
    code = Path(run_study.__file__).parent
    ended = subprocess.run(words, capture_output=True, text=True, env={**os.environ,
                           "PYTHONPATH": str(code)})  # fmt: skip
    assert "pip install 'ray>=2.40'" in ended.stderr
