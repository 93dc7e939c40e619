"""The table of measurements: its rows, and the files that it is written to."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.files import make_folder, write_text
from bvg.run.runs import environment_of
from measuring import Cost


@dataclass(frozen=True)
class Row:
    """A line of the table: the work of an image here and elsewhere, in milliseconds.

    part: of the command. what: is done. images: which model and images. against: what it is
    compared with. Ratios above 1 mean that this project needs less.
    """

    part: str
    what: str
    images: str
    against: str
    here_cpu_ms: float
    there_cpu_ms: float
    cpu_ratio: float
    here_clock_ms: float
    there_clock_ms: float
    clock_ratio: float
    turns: int
    note: str = ""


def row(
    part: str,
    what: str,
    images: str,
    against: str,
    here: Iterable[Cost],
    there: Iterable[Cost],
    note: str = "",
) -> Row:
    """Return the line of two sides that were measured in turns; costs are those of an image."""
    pairs = list(zip(here, there, strict=True))
    cpu = _medians([(ours.cpu, theirs.cpu) for ours, theirs in pairs])
    clock = _medians([(ours.clock, theirs.clock) for ours, theirs in pairs])
    return Row(part, what, images, against, *cpu, *clock, len(pairs), note)


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the medians of both sides' seconds, in ms, and of their ratios within a turn."""
    ours, theirs = zip(*pairs, strict=True)
    # The CPU time of child processes is counted in steps of 10 ms: a short turn may have none.
    ratios = [there / here if here else float("nan") for here, there in pairs]
    return 1000 * median(ours), 1000 * median(theirs), median(ratios)


def environment(device: torch.device, packages: Iterable[str] = ()) -> dict[str, str]:
    """Return date, commit, machine and versions, for the record.

    packages: those whose versions matter besides those of every result.
    """
    found = environment_of(device)
    versions = {"python": found["python"], **found["packages"]}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": found["git_commit"] or "unknown",
        "device": found["device"] if device.type == "cuda" else device.type,
        "cpu": f"{_cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items() if number),
    }


def _cpu_name() -> str:
    """Return the name of the processor where Linux tells it, else of its architecture."""
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_table(rows: pd.DataFrame, path: Path, title: str, about: Mapping[str, str]) -> None:
    """Write the rows as `path`.md, and as `path`.csv, whose rows also say what `about` says."""
    make_folder(path.parent)
    write_text(path.with_suffix(".csv"), rows.assign(**about).to_csv(index=False))
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    lines = [[*rows.columns], ["---"] * len(rows.columns), *rows.to_numpy(object).tolist()]
    table = "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
    write_text(path.with_suffix(".md"), f"# {title}\n\n{facts}\n\n{table}\n")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value).replace("|", "\\|")
