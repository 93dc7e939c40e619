"""Sources that publish single decisions or trials: shape bias, and channels of critical bands."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from bvg.data.critical_band_masking import BANDS, DEVIATIONS
from bvg.errors import UserError
from bvg.predictions.published import TRIAL_FILE, read_trials
from bvg.published import faults
from bvg.published.faults import Found
from bvg.published.reading import (
    AGAIN,
    NEWER,
    NoFilesError,
    Value,
    find,
    find_all,
    json_of,
)
from bvg.scores.channel import fit_channel
from bvg.scores.criticalband import integer_thresholds
from bvg.scores.decision_table import read_decisions, read_responses
from bvg.scores.shape_bias import CueDecisions, count_table

CUE_CONFLICT = "cue-conflict classes=16"


@dataclass(frozen=True)
class Trials:
    """A network's trials: accuracy without noise in percent, and the threshold of each band.

    shape: its fraction of shape decisions on cue-conflict stimuli, where known.
    """

    model: str
    file: str
    row: str
    count: int
    clean: float
    thresholds: tuple[int, ...]
    shape: float | None


def critical_band(folder: Path) -> Found:
    """Return the networks' channels, fitted to their thresholds at 50 %, and shape fractions."""
    values, without = [], []
    for network in networks_of(folder):
        channel = fit_channel(network.thresholds)
        measures = {
            "top1_acc/critical-band/clean": network.clean,
            "fraction-correct-shape": network.shape,
        }
        if channel.degenerate:
            without.append(network.model)
        else:
            measures |= {
                "critical-band/bandwidth": channel.bandwidth,
                "critical-band/centre": channel.centre,
                "critical-band/peak-sensitivity": channel.peak_sensitivity,
            }
        for measure, value in measures.items():
            if value is not None:
                where = network.file, network.row, "classes=16 threshold=0.5", network.count
                values.append(Value(network.model, measure, value, *where))
    return faults.of_critical_band(values, without)


def networks_of(folder: Path) -> list[Trials]:
    """Return the networks whose trials are in a folder, in files solomon_*.json."""
    paths = find_all(folder, "solomon_*.json")
    if not paths:
        raise NoFilesError(f"{folder} holds no solomon_*.json")
    fractions = json_of(find(folder, "sb_scores.json"))
    networks = []
    for path in paths:
        name, trials = TRIAL_FILE.fullmatch(path.name), read_trials(path)
        if not name:
            raise UserError(
                f"{path} is not named solomon_<network>_accuracies_<date>.json: {NEWER}"
            )
        right = np.array([[trials[sd, f].mean() for f in BANDS] for sd in ("0", *DEVIATIONS)])
        networks.append(
            Trials(
                model=name["model"],
                file=path.name,
                row="noise*freq*",
                count=sum(map(len, trials.values())),
                clean=float(100 * right[0].mean()),
                thresholds=tuple(integer_thresholds(right, 0.5).tolist()),
                shape=fmean(fractions[name["model"]]) if name["model"] in fractions else None,
            )
        )
    return networks


_EXPERIMENTS = ("original", "grayscale", "silhouette-filled", "edge", "texture")
_CONFLICT = "style-transfer-512-nomask"
_SESSION = re.compile(r"(.+)-experiment_(.+)_session[_-]\d+\.csv")


def texture_vs_shape(folder: Path) -> Found:
    """Return shape bias and accuracies of the networks of Geirhos et al. 2019.

    Beside people, AlexNet, GoogLeNet and VGG were Caffe's; elsewhere, networks are PyTorch's.
    """
    values = []
    for path in find_all(folder, "*-experiment_*.csv"):
        match, experiment = _SESSION.fullmatch(path.name), path.parent.name
        if not match or not experiment.startswith(f"{match[1]}-experiment"):
            continue
        network = match[2]
        if network.startswith("subject"):
            continue
        if network == "alexnet" and not experiment.endswith("trained-CNNs"):
            network = "alexnet (caffe)"
        decisions = read_decisions(path)
        file, rows = f"{experiment}/{path.name}", f"1-{len(decisions)}"
        if match[1] == _CONFLICT:
            values += _shape_bias(network, count_table(decisions), file, rows, CUE_CONFLICT)
        elif match[1] in _EXPERIMENTS:
            right = decisions["object_response"] == decisions["category"]
            measure, n = f"top1_acc/texture-vs-shape/{match[1]}", len(decisions)
            accuracy = float(100 * right.mean())
            values.append(Value(network, measure, accuracy, file, rows, "classes=16", n))
    if not values:
        raise NoFilesError(f"{folder} holds no *-experiment/*-experiment_*_session*.csv")
    return values, []


def _shape_bias(
    model: str, counts: CueDecisions, file: str, row: str, protocol: str
) -> list[Value]:
    if not counts.shape + counts.texture:
        raise UserError(f"{file} has no decision for a shape or a texture: {AGAIN}")
    measures = {
        "shape-bias": counts.shape / (counts.shape + counts.texture),
        "fraction-correct-shape": counts.shape / counts.total,
        "fraction-correct-texture": counts.texture / counts.total,
    }
    return [
        Value(model, measure, value, file, row, protocol, counts.total)
        for measure, value in measures.items()
    ]


_VLM_FOLDERS = {  # the publisher's: how the models answer
    "clip": "zero-shot",
    "inet_classifier": "native",
    "vlm/captioning": "text",
    "vlm/vqa": "text",
}


def vlm_shapebias(folder: Path) -> Found:
    """Return shape biases of CLIP, classifiers and vision-language models, from their decisions."""
    values = []
    for path in find_all(folder, "*.csv"):
        for kind, answers in _VLM_FOLDERS.items():
            if path.parent.as_posix().endswith(f"/{kind}"):
                file, protocol = f"{kind}/{path.name}", f"{CUE_CONFLICT} {answers}"
                counts = count_table(read_responses(path, ["pred_label"]))
                values += _shape_bias(file, counts, file, "1-1280", protocol)
    if not values:
        raise NoFilesError(f"{folder} holds no {' or '.join(_VLM_FOLDERS)}/*.csv")
    return values, []
