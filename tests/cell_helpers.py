"""A study of scripts that take no time: what they are told to do is in the models' names."""

from pathlib import Path

from study.benchmarks import Data, Kind

# Measures "images" for a second or not at all, as the model's name says, in the layout of results.
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
        sys.exit("error: the model is bad: mend it")
    if "raises" in model:
        raise ValueError("boom")
    if "killed" in model and not (folder / "again").exists():
        (folder / "again").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    if "deadly" in model:
        os.kill(os.getpid(), signal.SIGKILL)
    if "slow" in model:
        (folder / "partial").mkdir(exist_ok=True)
        (folder / "partial" / "chunk-00000000-00000050.parquet").write_text("")
        (folder / "pid").write_text(str(os.getpid()))
        time.sleep(60)
    (folder / "summary.json").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
"""


def fake_kinds(folder: Path) -> dict[str, Kind]:
    """Return benchmarks whose script is SCRIPT: one with data, one without."""
    script = folder / "fake.py"
    script.write_text(SCRIPT)
    here = Data("--images", "BVG_FAKE", "here")
    away = Data("--images", "BVG_FAKE", "away")
    (folder / "data" / "here").mkdir(parents=True, exist_ok=True)
    return {
        "fake": Kind(str(script), (here,), "fake", 100, 2),
        "absent": Kind(str(script), (away,), "absent", 100),
    }
