"""Checks that models can be downloaded and loaded, with a report that survives interruptions."""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from bvg.errors import UserError, reason_of
from bvg.files import make_folder, write_text
from bvg.progress import text_table
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.table import ZooModel

FINE, FAILED, UNAVAILABLE = "fine", "failed", "unavailable"


@dataclass(frozen=True)
class Checked:
    """The outcome for one model.

    state: FINE, FAILED or UNAVAILABLE. note: the reason of the latter two, or where the weights
    were found if their layout was guessed. row: a hash of the table's row.
    """

    model: str
    state: str
    seconds: float
    note: str
    row: str


def check(
    rows: Iterable[ZooModel],
    report: Path,
    options: CheckpointOptions,
    again: bool = False,
) -> list[Checked]:
    """Return the outcome for every row: downloaded, verified, loaded strictly, and run once.

    The report (JSON) is rewritten after each model. Models that passed are skipped, unless `again`
    or if their row has changed; models that failed are checked again.
    Raises UserError when the report cannot be read or written.
    """
    known = read_report(report)
    make_folder(report.parent, "--report")
    results = []
    for row in rows:
        before = known.get(row.name)
        if before and before.state == FINE and before.row == _hash(row) and not again:
            result = before
            print(f"{row.name}: already verified")
        else:
            result = _checked(row, options)
            known[row.name] = result
            content = {"format": 1, "models": {n: asdict(r) for n, r in sorted(known.items())}}
            write_text(report, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            print(f"{row.name}: {result.state}")
        results.append(result)
    return results


def read_report(path: Path) -> dict[str, Checked]:
    """Return the outcomes in a report, by model; empty if there is no report.

    Raises UserError for any other file.
    """
    if not path.exists():
        return {}
    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        return {name: Checked(**values) for name, values in models.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            f"{path} is not a report of this command ({reason_of(error)}): choose another file "
            "with --report, or remove it"
        ) from error


def summary_text(results: list[Checked]) -> str:
    """Return the table of all results, those that failed last, and a line that counts them."""
    order = {FINE: 0, UNAVAILABLE: 1, FAILED: 2}
    ordered = sorted(results, key=lambda result: (order[result.state], result.model))
    cells = [(r.model, r.state, f"{r.seconds:.1f}", r.note) for r in ordered]
    counts = {state: sum(r.state == state for r in results) for state in order}
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return text_table([("model", "state", "seconds", "note"), *cells], right=(2,)) + f"\n{total}"


def _checked(row: ZooModel, options: CheckpointOptions) -> Checked:
    if row.unavailable:
        return Checked(row.name, UNAVAILABLE, 0.0, row.unavailable, _hash(row))
    start = time.monotonic()
    try:
        state, note = FINE, _found(row, options)
    except UserError as error:
        state, note = FAILED, str(error)
    except Exception as error:  # no failure may keep the other models from being checked
        state, note = FAILED, f"{type(error).__name__}: {reason_of(error)}"
    return Checked(row.name, state, round(time.monotonic() - start, 1), note, _hash(row))


@torch.inference_mode()
def _found(row: ZooModel, options: CheckpointOptions) -> str:
    """Load the model, run it on a grey image, and return where guessed weights were found."""
    model = load_model(row.name, options)
    native = getattr(model, "native", None)
    side = native.crop if native else row.train_size
    logits = model(torch.full((1, 3, side, side), 0.5))
    expected = len(getattr(model, "classes", None) or range(1000))
    if logits.shape != (1, expected) or not torch.isfinite(logits).all():
        raise UserError(f"its logits for a grey image are not {expected} finite numbers")
    found = getattr(model, "origin", {}).get("found", "")
    return f"weights found {found}" if found else ""


def _hash(row: ZooModel) -> str:
    return hashlib.sha256(repr(row).encode()).hexdigest()[:16]
