"""How often intervals over families of models hold what they promise, by simulation.

    python benchmarks/family_coverage.py --tables 500

Models are drawn in families of the sizes that published tables have. Both columns are normal, and
correlate between families and within them; the third, given which r is partial, is their sum and
noise. Printed: how often the 95 % intervals (and plain percentile intervals) hold the true r and
the true partial r, and how often p < 0.05 and p < 0.01 where the true r is 0.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.analysis.families import RESAMPLES, Sample, trust
from bvg.scores.bootstrap import percentile_interval

SIZES = {  # of families, in published tables
    "QUBA (245 models, 30 families)": (
        *(68, 27, 22, 20, 13, 8, 8, 8, 7, 6, *(4,) * 6, *(3,) * 10, *(1,) * 4),
    ),
    "QUBA and timm (177, 27)": (
        *(43, 27, 19, 12, 8, 6, 5, 5, *(4,) * 4, *(3,) * 10, 2, *(1,) * 4),
    ),
    "critical band and timm (52, 11)": (16, 7, 6, 4, 4, 3, 3, 3, 3, 2, 1),
    "QUBA and testbed (45, 11)": (19, 8, 4, 4, 2, 2, 2, 1, 1, 1, 1),
    "CSS and timm (36, 7)": (15, 10, 5, 3, 1, 1, 1),
    "the study (48, 7 kinds of training)": (15, 12, 10, 6, 3, 1, 1),
    "five families of 6": (6,) * 5,
}
# Correlation between families, within them, and the share of the variance that is between them.
WORLDS = ((0.0, 0.0, 0.5), (0.6, 0.0, 0.5), (0.5, 0.5, 0.8), (0.7, 0.7, 0.2))


def drawn(sizes: tuple[int, ...], world: tuple[float, float, float], seed: int) -> Sample:
    """Return a table of models in families of these sizes, with columns x, y and z."""
    between, within, shared = world
    generator = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    levels, own = (
        generator.multivariate_normal((0, 0), [[1, r], [r, 1]], count)
        for r, count in ((between, len(sizes)), (within, len(numbers)))
    )
    x, y = (np.sqrt(shared) * levels[numbers] + np.sqrt(1 - shared) * own).T
    values = pd.DataFrame({"x": x, "y": y, "z": x + y + generator.standard_normal(len(x))})
    return Sample(values, numbers.astype(str))


def truths(world: tuple[float, float, float]) -> tuple[float, float]:
    """Return Spearman's r of x and y, and that given z, of normal columns (Pearson 1907)."""
    between, within, shared = world
    r = shared * between + (1 - shared) * within
    with_z = (1 + r) / np.sqrt(3 + 2 * r)
    plain, given = (6 / np.pi * np.arcsin(np.array([r, with_z]) / 2)).tolist()
    return plain, (plain - given**2) / (1 - given**2)


def main() -> None:
    """Print a line for each set of families and each world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=500, help="tables to draw (default: 500)")
    tables = parser.parse_args().tables
    for name, sizes in SIZES.items():
        for world in WORLDS:
            found = [_held(drawn(sizes, world, seed), truths(world)) for seed in range(tables)]
            shares = pd.DataFrame(found).mean()
            print(name, world, *(f"{word} {share:.3f}" for word, share in shares.items()), sep="; ")


def _held(sample: Sample, truth: tuple[float, float]) -> dict[str, float]:
    row: dict[str, float] = {}
    both = sample.correlation("x", "y"), sample.partial_correlation("x", "y", "z")
    for word, r, true in zip(("r", "partial r"), both, truth, strict=True):
        found = trust(r, sample)
        low, high = percentile_interval(r[1 : 1 + RESAMPLES]) or (np.nan, np.nan)
        row[word] = found["low"] <= true <= found["high"]
        row[f"{word}, percentile"] = low <= true <= high
        if true == 0:
            row |= {f"p < {level}": found["p"] < level for level in (0.05, 0.01)}
    return row


if __name__ == "__main__":
    main()
