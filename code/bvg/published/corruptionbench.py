"""CorruptionBenchCV's tables: accuracies on ImageNet-C and C-bar, stability on ImageNet-P.

The publisher has a file per set and network, such as summaryImageNet_C_resnet18.csv, in several
folders.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from bvg.errors import UserError
from bvg.published import faults
from bvg.published.faults import IMAGES, Found
from bvg.published.reading import (
    C15,
    C_BAR,
    NEWER,
    SEVERITIES,
    NoFilesError,
    Value,
    check_unique,
    find_all,
    number,
    rows_of,
)
from bvg.scores.imagenet_c import ALEXNET
from bvg.scores.imagenet_p import ALEXNET_FLIPS, FLIPS
from bvg.table.columns import CORRUPTIONS

# AlexNet's flip probabilities, in percent.
_ALEXNET_FLIPS = {
    name.removeprefix(f"{FLIPS}/"): round(100 * value, 2) for name, value in ALEXNET_FLIPS.items()
}
_SETS = {"C": tuple(ALEXNET), "C_bar": CORRUPTIONS[C_BAR], "P": tuple(_ALEXNET_FLIPS)}
_MEANS = {"C": C15, "C_bar": C_BAR}
_FILE = re.compile(r"summaryImageNet_(C_bar|C|P)_(.+)\.csv")  # and 3DCC, which is not imported
_ACCURACIES = tuple(f"Acc_s{severity}" for severity in SEVERITIES)
_STABILITY = ("FP", "T5D")
_COLUMNS = ("", "Corruption", *_ACCURACIES, *(f"ECE_s{severity}" for severity in SEVERITIES))
_CORRECTED = "corrected: multiplied by the severity, by whose number it was divided"
_TWICE = "doubtful: the publisher has two files of this network, which differ"
_FROM_MEMORY = "doubtful: AlexNet's flip probabilities could not be checked against the paper"


_Key = tuple[str, str]  # the set and the network
_Numbers = dict[str, list[float]]  # of a network on a set, by corruption, in the file's order


def corruptionbench(folder: Path) -> Found:
    """Return CorruptionBenchCV's accuracies on ImageNet-C and C-bar, and its measures of P."""
    networks, twice = _networks(folder)
    accuracies, flips = {}, {}
    divided = False
    for (name, model), numbers in networks.items():
        file = f"summaryImageNet_{name}_{model}.csv"
        if differing := {*numbers} ^ {*_SETS[name]}:
            raise UserError(f"{file} lacks or adds {', '.join(sorted(differing))}: {NEWER}")
        if name == "P":
            flips[model] = numbers
        else:
            stored = np.array(list(numbers.values()))
            corrected, was_divided = faults.whole_images(stored, file)
            accuracies[name, model] = dict(zip(numbers, corrected.tolist(), strict=True))
            divided |= was_divided
    without, sentences = faults.untrained(accuracies, flips)
    values = []
    for (name, model), table in accuracies.items():
        if model not in without:
            flag = _TWICE if (name, model) in twice else _CORRECTED
            values += _accuracies(name, model, table, flag)
    for model, table in flips.items():
        if model not in without:
            values += _flips(model, table)
    if divided:
        sentences.insert(
            0,
            "Accuracies were divided by the severity's number: multiplied by it, each is a whole "
            f"number of {IMAGES:,} images, and is imported so.",
        )
    if twice:
        which = ", ".join(f"{model} on {name}" for name, model in sorted(twice))
        sentences.append(
            f"Of two files of a network that differ, one is imported, flagged: {which}."
        )
    return values, sentences


def _accuracies(name: str, model: str, table: _Numbers, flag: str) -> list[Value]:
    file, protocol = f"summaryImageNet_{name}_{model}.csv", "size=224"
    values = []
    for row, (corruption, accuracies) in enumerate(table.items(), start=1):
        for severity, accuracy in zip(SEVERITIES, accuracies, strict=True):
            measure = f"top1_acc/{corruption}_{severity}"
            values.append(Value(model, measure, accuracy, file, str(row), protocol, IMAGES, flag))
    mean = fmean(value.value for value in values)
    rows = f"1-{len(table)}"
    return [*values, Value(model, _MEANS[name], mean, file, rows, protocol, IMAGES, flag)]


def _flips(model: str, table: _Numbers) -> list[Value]:
    file, protocol = f"summaryImageNet_P_{model}.csv", "size=224 difficulty=1"
    values = []
    for row, (perturbation, (flip, distance)) in enumerate(table.items(), start=1):
        for measure, value in (("flip-probability", flip), ("top5-distance", distance)):
            values.append(
                Value(model, f"{measure}/{perturbation}", value, file, str(row), protocol)
            )
    rate = fmean(100 * 100 * table[name][0] / alexnet for name, alexnet in _ALEXNET_FLIPS.items())
    rows = f"1-{len(table)}"
    return [*values, Value(model, "mfr", rate, file, rows, protocol, flag=_FROM_MEMORY)]


def _networks(folder: Path) -> tuple[dict[_Key, _Numbers], frozenset[_Key]]:
    """Return the networks' numbers, and of which there were two that differ.

    Of such two, the one in a folder IN_<set> is taken: those in results/ are of files of ImageNet-C
    that were resized again.
    """
    networks: dict[_Key, _Numbers] = {}
    twice = set()
    paths = find_all(folder, "summaryImageNet_*.csv")
    for path in sorted(paths, key=lambda path: (not path.parent.name.startswith("IN_"), path)):
        if match := _FILE.fullmatch(path.name):
            key = match[1], match[2]
            numbers = _numbers(path, key[0] == "P")
            if networks.setdefault(key, numbers) != numbers:
                twice.add(key)
    if not networks:
        raise NoFilesError(f"{folder} holds no summaryImageNet_*.csv")
    return networks, frozenset(twice)


def _numbers(path: Path, is_stability: bool) -> _Numbers:
    cells = _STABILITY if is_stability else _ACCURACIES
    rows = rows_of(path, ("", "Corruption", *_STABILITY) if is_stability else _COLUMNS)
    check_unique(path, [row["Corruption"] for _, row in rows])
    return {row["Corruption"]: _cells(row, cells, f"{path}, row {at},") for at, row in rows}


def _cells(row: dict[str, str], columns: Sequence[str], where: str) -> list[float]:
    return [number(row[column], where, high=100) for column in columns]
