"""How a result's protocol departs from the published one whose column names it has.

A script whose constants were changed on purpose writes the same columns. Its values may be analysed
among themselves, but are not comparable with published ones.
"""

from collections.abc import Mapping
from typing import Any

from bvg.table.columns import CORRUPTIONS

# By benchmark, the entries of a result's protocol, or of what it was scored with, that decide what
# its columns are, as published: Gavrikov & Keuper 2024 (the first three); Burgert et al. 2025; the
# package imagenet-w 1.0.0; see CORRUPTIONS.
PUBLISHED: dict[str, dict[str, Any]] = {
    "imagenet_spectral": {"mean_cutoffs": "0.1 0.2 0.3 0.4 0.5"},
    "imagenet_criticalband": {
        "bands": [0, 1, 2, 3, 4, 5, 6],
        "deviations": [0.02, 0.04, 0.08, 0.16],
    },
    "imagenet_adv_pgd": {
        "attacks": {
            "PGD-40": {
                "norm": "linf",
                "step": 2 / 255,
                "decay": False,
                "random_start": True,
                "targeted": False,
                "first": False,
            }
        }
    },
    "imagenet_suppression": {
        "cues": "global-shape patch_shuffle/3, local-shape patch_shuffle/6, "
        "texture bilateral/12/170, colour greyscale/1"
    },
    "imagenet_c": {"mean_of": " ".join(CORRUPTIONS["top1_acc/imagenet-c"])},
    "imagenet_cbar": {"mean_of": " ".join(CORRUPTIONS["top1_acc/imagenet-cbar"])},
    "imagenet_w": {"text": "捷径捷径捷径", "alpha": 128, "position": [0.01, 0.4]},
}
_OF_CATEGORIES = (
    "imagenet_shape_bias",
    "imagenet_shape_bias_lowpass",
    "imagenet_model_vs_human",
    "imagenet_model_vs_human_lowpass",
    "critical_band_masking",
    "frequency_cue_conflict",
)
# Of the 16 categories; only others are recorded (see sixteen_way).
PUBLISHED |= {name: {"members": "Geirhos et al. 2018"} for name in _OF_CATEGORIES}


def departures(benchmark: str, record: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each entry of a result's record that is not as published.

    record: its protocol, and what it was scored with. Entries that it lacks, as those of results of
    earlier versions, do not count.
    """
    return _departures(PUBLISHED.get(benchmark, {}), record)


def _departures(published: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    phrases = []
    for name, value in published.items():
        found = record.get(name, value)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            phrases += [f"{name} {phrase}" for phrase in _departures(value, found)]
        elif found != value:
            phrases.append(f"{name} {_shown(found)} instead of {_shown(value)}")
    return phrases


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(entry)}" for name, entry in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
