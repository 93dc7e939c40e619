"""A study of scripts that take no time: what they are told to do is in the models' names."""

from pathlib import Path

from bvg.data.downloads import DataSet
from run_study import Benchmark

# Measures nothing, or fails, as the model's name says, in the layout of results.
SCRIPT = """
import argparse, os, signal, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--model", nargs="+")
parser.add_argument("--results", type=Path)
parser.add_argument("--images", default="")
parser.add_argument("--limit")
arguments = parser.parse_args()
for model in arguments.model:
    folder = arguments.results / "fake" / model
    count = folder / "starts"
    folder.mkdir(parents=True, exist_ok=True)
    count.write_text(count.read_text() + "x" if count.exists() else "x")
    if "bad" in model:
        print("some output")
        sys.exit("error: the model is bad: replace it")
    if "raises" in model:
        raise ValueError("boom")
    if "deadly" in model:
        os.kill(os.getpid(), signal.SIGKILL)
    if "busy" in model and not (arguments.results / "free").exists():
        sys.exit(75)
    if "last" in model:
        (arguments.results / "free").touch()
    if "slow" in model:
        (folder / "pid").write_text(str(os.getpid()))
        time.sleep(60)
    if (folder / "partial").exists():
        (folder / "partial").rmdir()
    (folder / "summary.json").write_text(
        os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("OMP_NUM_THREADS", ""))
    )
"""
DATA = {
    name: DataSet(name, "", "", "", "", flag="--images", variable="BVG_FAKE")
    for name in ("here", "away")
}


def fake_benchmarks(folder: Path) -> dict[str, Benchmark]:
    """Return benchmarks whose script is SCRIPT: one whose data are in `folder`, one without."""
    script = folder / "fake.py"
    script.write_text(SCRIPT)
    (folder / "data" / "here").mkdir(parents=True, exist_ok=True)
    return {
        "fake": Benchmark(str(script), "fake fake_*", "here", 100, 2),
        "absent": Benchmark(str(script), "absent", "away", 100),
    }
