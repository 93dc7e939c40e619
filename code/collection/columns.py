"""The names of the table's columns: the only place that knows them.

A metric's column has the metric's own name, which is the published table's, with these exceptions:
names that several benchmarks use for different things, and names that say more than the published
ones. Benchmarks that are not the project's own, and images that were corrupted here instead of
taken from the published files, get columns of their own: <benchmark>/<metric>.
"""

from collections.abc import Collection

# In the order of the table's columns. Attacks are in imagenet_adv, imagenet_adv_….
BENCHMARKS = (
    "imagenet", "imagenet_real", "imagenet_v2", "imagenet_a", "imagenet_r", "imagenet_sketch",
    "imagenet_c", "imagenet_cbar", "imagenet_p", "imagenet_model_vs_human", "imagenet_shape_bias",
    "imagenet_adv", "imagenet_spectral", "imagenet_criticalband",
)  # fmt: skip
ATTACKS = "imagenet_adv"
# C and C-bar: the metrics' names of a corruption over all severities, of which "contrast" is also
# one of model-vs-human's data sets.
_CORRUPTED = {"imagenet_c": "top1_acc/imagenet-c", "imagenet_cbar": "top1_acc/imagenet-cbar"}
PUBLISHED = {"top1_acc/PGD-40/eps=0.5_255": "top1_acc/PGD-40/low"}
# Accuracy without filter, noise, corruption or attack: of the images of that benchmark.
_CLEAN = "top1_acc/clean"


def own(benchmark: str) -> bool:
    """Return whether the benchmark is one whose metrics keep their names."""
    return benchmark in BENCHMARKS or benchmark.startswith(f"{ATTACKS}_")


def rank(benchmark: str) -> tuple[int, str]:
    """Return what benchmarks are ordered by: the known ones first, attacks together."""
    known = ATTACKS if benchmark.startswith(f"{ATTACKS}_") else benchmark
    place = BENCHMARKS.index(known) if known in BENCHMARKS else len(BENCHMARKS)
    return place, benchmark


def column_of(benchmark: str, metric: str, metrics: Collection[str]) -> str:
    """Return the column of one of a benchmark's metrics, of which `metrics` are all."""
    if metric == _CLEAN or not own(benchmark):
        return f"{benchmark}/{metric}"
    if metric in PUBLISHED:
        return PUBLISHED[metric]
    if benchmark in _CORRUPTED and metric.startswith("top1_acc/"):
        severities = (f"{metric}_{severity}" for severity in range(1, 6))
        if any(name in metrics for name in severities):
            return f"{_CORRUPTED[benchmark]}/{metric.removeprefix('top1_acc/')}"
    return metric
