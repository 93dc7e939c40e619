"""The names of the table's columns.

A metric's column has the metric's name, which is also that of the published table, except for names
that several benchmarks use for different quantities, and for the published attack. Columns of
benchmarks that are not the project's, and of generated corruptions, are <benchmark>/<metric>.
"""

import re
from collections.abc import Collection
from math import isclose

# In the order of the table's columns. Attacks are in imagenet_adv, imagenet_adv_….
BENCHMARKS = (
    "imagenet",
    "imagenet_real",
    "imagenet_v2",
    "imagenet_a",
    "imagenet_r",
    "imagenet_sketch",
    "imagenet_c",
    "imagenet_cbar",
    "imagenet_p",
    "imagenet_model_vs_human",
    "imagenet_shape_bias",
    "imagenet_shape_bias_names",
    "imagenet_model_vs_human_lowpass",
    "imagenet_shape_bias_lowpass",
    "refined_bias",
    "css_72",
    "css_1440",
    "frequency_cue_conflict",
    "imagenet9",
    "stylized_imagenet",
    "laion_c",
    "laion_c_generated",
    "imagenet_adv",
    "imagenet_spectral",
    "imagenet_criticalband",
    "critical_band_masking",
    "imagenet_suppression",
    "imagenet_w",
)
ATTACKS = "imagenet_adv"
DECISIONS = "decisions"  # of observers, from tables (code/score_decisions.py)
# The corruptions whose five severities a mean is of, as published: Hendrycks & Dietterich 2019, the
# four extra ones included, as in the study; Mintun, Kirillov & Xie 2021. (The list that today's
# code measures may have others.)
CORRUPTIONS = {
    "top1_acc/imagenet-c": (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
        "speckle_noise",
        "gaussian_blur",
        "spatter",
        "saturate",
    ),
    "top1_acc/imagenet-cbar": (
        "blue_noise_sample",
        "brownish_noise",
        "caustic_refraction",
        "checkerboard_cutout",
        "cocentric_sine_waves",
        "inverse_sparkles",
        "perlin_noise",
        "plasma_noise",
        "single_frequency_greyscale",
        "sparkles",
    ),
}
# Prefixes for the means of a corruption over its severities, since "contrast", for example, is also
# a data set of model-vs-human.
_CORRUPTED = {"imagenet_c": "top1_acc/imagenet-c", "imagenet_cbar": "top1_acc/imagenet-cbar"}
PUBLISHED_ATTACK, _PUBLISHED_EPSILON = "top1_acc/PGD-40/low", 0.5 / 255
_ATTACK = re.compile(r"top1_acc/PGD-40/eps=([\d.e-]+)(?:_([\d.e-]+))?")
# Accuracy without filter, noise, corruption or attack, which depends on the benchmark's images.
_CLEAN = "top1_acc/clean"


def is_project_benchmark(benchmark: str) -> bool:
    """Return whether the benchmark is one of the project's, whose metrics keep their names."""
    return benchmark in BENCHMARKS or benchmark.startswith(f"{ATTACKS}_")


def rank(benchmark: str) -> tuple[int, str]:
    """Return the key by which benchmarks are sorted: known ones first, attacks together."""
    known = ATTACKS if benchmark.startswith(f"{ATTACKS}_") else benchmark
    place = BENCHMARKS.index(known) if known in BENCHMARKS else len(BENCHMARKS)
    return place, benchmark


def column_of(benchmark: str, metric: str, metrics: Collection[str]) -> str:
    """Return the column of a benchmark's metric; metrics: all of the benchmark's."""
    if metric == _CLEAN or not is_project_benchmark(benchmark):
        return f"{benchmark}/{metric}"
    if is_published_attack(metric):
        return PUBLISHED_ATTACK
    if benchmark in _CORRUPTED and metric.startswith("top1_acc/"):
        severities = (f"{metric}_{severity}" for severity in range(1, 6))
        if any(name in metrics for name in severities):
            return f"{_CORRUPTED[benchmark]}/{metric.removeprefix('top1_acc/')}"
    return metric


def is_published_attack(metric: str) -> bool:
    """Return whether the metric is accuracy under the attack named PGD-40/low in the study.

    That is ε = 0.5/255, in any spelling: eps=0.5_255, eps=1_510, ….
    """
    match = _ATTACK.fullmatch(metric)
    if not match:
        return False
    try:
        epsilon = float(match[1]) / float(match[2] or 1)
    except (ValueError, ZeroDivisionError):
        return False
    return isclose(epsilon, _PUBLISHED_EPSILON, rel_tol=1e-6)
