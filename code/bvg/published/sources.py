"""Readers of published tables: one function per source, from its files to tidy values.

Each takes a folder that holds the source's files, however deep, and returns its values, corrected,
flagged or dropped by faults.py, with a sentence about each fault found.
raw-data/published/sources.toml says where the files are from, and under which licence.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from bvg.analysis.measures import BENCHMARKS, BIASES, CORRUPTIONS, OUTCOMES
from bvg.errors import UserError
from bvg.published import faults
from bvg.published.faults import IMAGES, IN_MEMORY, ON_DISK, Found
from bvg.published.reading import (
    AGAIN,
    NEWER,
    TOP1,
    NoFilesError,
    Value,
    check_unique,
    find,
    find_all,
    javascript_objects,
    json_of,
    number,
    percent,
    rows_of,
    text_of,
)
from bvg.scores.channel import fit_channel
from bvg.scores.criticalband import integer_thresholds
from bvg.scores.decision_table import read_decisions
from bvg.scores.imagenet_c import ALEXNET
from bvg.scores.shape_bias import CueDecisions, count_decisions, count_table

TABLES = Path(__file__).resolve().parents[3] / "raw-data" / "published"
QUBA_ROWS = TABLES / "quba_rows.csv"  # which model each row is

C, C15, C_BAR = "top1_acc/imagenet-c", "top1_acc/imagenet-c/15", "top1_acc/imagenet-cbar"
_SEVERITIES = range(1, 6)
MEANS = {  # the conditions of each mean of ImageNet-C and C-bar
    name: tuple(f"top1_acc/{corruption}_{s}" for corruption in of for s in _SEVERITIES)
    for name, of in {C: CORRUPTIONS[C], C15: tuple(ALEXNET), C_BAR: CORRUPTIONS[C_BAR]}.items()
}
CUE_CONFLICT = "cue-conflict classes=16"

_QUBA = {  # measures of a row: our name, the protocol, the number of images, the largest value
    "Accuracy": (TOP1, "classes=1000", IMAGES, 100),
    "Adversarial Robustness": (
        "relative-acc/adversarial",
        "attack=pgd,fgsm eps=8/255 steps=10, geometric mean, relative to clean",
        None,
        1,
    ),
    "Corruption Robustness": ("relative-acc/imagenet-c/15", "15x5, relative to clean", IMAGES, 1),
    "OOD Robustness": (
        "relative-acc/ood",
        "edge, silhouette, sketch, stylized, R, geometric mean, relative to clean",
        None,
        2,
    ),
    "Calibration Error": ("calibration-error", "ECE and ACE, geometric mean", IMAGES, 1),
    "Class Balance": ("class-balance", "classes=1000", IMAGES, 1),
    "Object Focus": ("object-focus", "ImageNet-9", None, 1),
    "Shape Bias": ("shape-bias", CUE_CONFLICT, 1200, 1),
    "Parameters": ("parameters", "millions", None, 1e5),
}
_QUBA_WORDS = ("Model", "Architecture", "Dataset", "Setup", "Text", "Title")
_QUBA_COLUMNS = ("model", "display", "accuracy", "source", "source_name")


def quba(folder: Path) -> Found:
    """Return the values of QUBA's 326 models, which its page holds as a JavaScript literal.

    Display names repeat, so a model is known by its row, which its name and accuracy must confirm.
    """
    path = find(folder, "quba_index.html", "quba_sampleData.txt")
    text = text_of(path)
    start = re.search(r"\bsampleData\s*=\s*(?=\[)", text)
    objects = javascript_objects(text, start.end() if start else 0, str(path))
    known = [cells for _, cells in rows_of(QUBA_ROWS, _QUBA_COLUMNS)]
    if len(objects) != len(known):
        raise UserError(
            f"{path} has {len(objects)} models instead of {len(known)}: name them in "
            f"{QUBA_ROWS.name}, or {NEWER}"
        )
    values = []
    for row, (cells, model) in enumerate(zip(objects, known, strict=True), start=1):
        where = f"{path}, model {row},"
        if "Size" in cells:  # so the parameters of the last rows are called
            cells["Parameters"] = cells.pop("Size")
        if differing := {*_QUBA, *_QUBA_WORDS} ^ {*cells}:
            raise UserError(f"{where} lacks or adds {', '.join(sorted(differing))}: {NEWER}")
        if (cells["Model"], cells["Accuracy"]) != (model["display"], model["accuracy"]):
            raise UserError(
                f"{where} is {cells['Model']} with accuracy {cells['Accuracy']} instead of "
                f"{model['display']} with {model['accuracy']}: name it in {QUBA_ROWS.name}, or "
                f"{NEWER}"
            )
        for column, (measure, protocol, n, high) in _QUBA.items():
            times = 100 if measure == TOP1 else 1
            value = number(cells[column], where, high=high, times=times)
            values.append(
                Value(model["model"], measure, value, "index.html", str(row), protocol, n)
            )
    return faults.probabilities_as_logits(values)


_TIMM = {  # sets: our name, the number of images and of classes
    "results-imagenet.csv": (TOP1, IMAGES, 1000),
    "results-imagenet-real.csv": ("top1_acc/imagenet-real", 46_837, 1000),
    "results-imagenetv2-matched-frequency.csv": ("top1_acc/imagenet-v2", 10_000, 1000),
    "results-sketch.csv": ("top1_acc/imagenet-sketch", 50_889, 1000),
    "results-imagenet-a.csv": ("top1_acc/imagenet-a", 7_500, 200),
    "results-imagenet-a-clean.csv": ("top1_acc/imagenet-a-clean", 10_000, 200),
    "results-imagenet-r.csv": ("top1_acc/imagenet-r", 30_000, 200),
    "results-imagenet-r-clean.csv": ("top1_acc/imagenet-r-clean", 10_000, 200),
}
_TIMM_COLUMNS = (
    *("model", "img_size", "top1", "top1_err", "top5", "top5_err", "param_count", "crop_pct"),
    "interpolation",
)
_TIMM_DIFFERENCES = ("top1_diff", "top5_diff", "rank_diff")  # from ImageNet, in the other sets


def timm(folder: Path) -> Found:
    """Return top-1 accuracies of timm's result files; a model may be there at several sizes."""
    values = []
    for name, (measure, n, classes) in _TIMM.items():
        path = find(folder, name)
        is_clean = measure == TOP1 or measure.endswith("-clean")
        rows = rows_of(path, (*_TIMM_COLUMNS, *(() if is_clean else _TIMM_DIFFERENCES)))
        check_unique(path, [f"{cells['model']} at {cells['img_size']}" for _, cells in rows])
        for row, cells in rows:
            where = f"{path}, row {row},"
            size, crop = cells["img_size"], number(cells["crop_pct"], where, high=2)
            protocol = (
                f"size={size} crop={crop:g} interpolation={cells['interpolation']} precision=amp "
                f"classes={classes}"
            )
            accuracy = number(cells["top1"], where, high=100)
            values.append(Value(cells["model"], measure, accuracy, name, row, protocol, n))
            if measure == TOP1:
                count = number(cells["param_count"], where)
                protocol = f"size={size} millions"
                values.append(Value(cells["model"], "parameters", count, name, row, protocol))
    return values, faults.incomplete(values)


_TESTBED = {  # columns: our name, the number of images where known
    "val": (TOP1, IMAGES),
    "imagenetv2-matched-frequency-format-val": ("top1_acc/imagenet-v2", 10_000),
    "imagenetv2-threshold-0.7-format-val": ("top1_acc/imagenet-v2/threshold-0.7", 10_000),
    "imagenetv2-top-images-format-val": ("top1_acc/imagenet-v2/top-images", 10_000),
    "imagenet-a": ("top1_acc/imagenet-a", 7_500),
    "val-on-imagenet-a-classes": ("top1_acc/imagenet-a-clean", 10_000),
    "imagenet-r": ("top1_acc/imagenet-r", 30_000),
    "val-on-imagenet-r-classes": ("top1_acc/imagenet-r-clean", 10_000),
    "imagenet-sketch": ("top1_acc/imagenet-sketch", 50_889),
    "objectnet-1.0-beta": ("top1_acc/objectnet", None),
    "val-on-objectnet-classes": ("top1_acc/objectnet-clean", None),
    "stylized_imagenet": ("top1_acc/stylized-imagenet", IMAGES),
    "greyscale": ("top1_acc/greyscale", IMAGES),
    "pgd.l2.eps0.1": ("top1_acc/pgd-l2-0.1", IMAGES),
    "pgd.l2.eps0.5": ("top1_acc/pgd-l2-0.5", IMAGES),
    "pgd.linf.eps0.5": ("top1_acc/pgd-linf-0.5", IMAGES),
    "pgd.linf.eps2": ("top1_acc/pgd-linf-2", IMAGES),
}
_TESTBED_UNUSED = (  # the same sets encoded otherwise or in part, and frames of videos
    *("imagenetv2-matched-frequency", "imagenetv2-threshold0.7", "imagenetv2-topimages"),
    "imagenetv2-matched-frequency-format-val_subsampled_class_1_8",
    *("val_subsampled_class_1_8", "val-on-vid-robust-classes", "val-on-ytbb-robust-classes"),
    *("imagenet-vid-robust_pm0", "imagenet-vid-robust_pm10", "ytbb-robust_pm0", "ytbb-robust_pm10"),
)


def testbed(folder: Path) -> Found:
    """Return the accuracies of imagenet-testbed's models, where it has them."""
    path = find(folder, "robustness_top1s.csv", "imagenet-testbed.csv")
    columns: dict[str, tuple[str, int | None, str]] = {
        column: (measure, n, faults.OWN_SIZE) for column, (measure, n) in _TESTBED.items()
    }
    for corruption in CORRUPTIONS[C]:
        for severity in _SEVERITIES:
            for how in (ON_DISK, IN_MEMORY):
                if (corruption, how) != ("glass_blur", IN_MEMORY):
                    measure = f"top1_acc/{corruption}_{severity}"
                    columns[f"imagenet-c.{corruption}.{severity}_{how}"] = (measure, IMAGES, how)
    rows = rows_of(path, ("model", *columns, *_TESTBED_UNUSED))
    check_unique(path, [cells["model"] for _, cells in rows])
    values = []
    for row, cells in rows:
        for column, (measure, n, protocol) in columns.items():
            if cells[column]:
                accuracy = number(cells[column], f"{path}, row {row}, {column},", high=100)
                values.append(
                    Value(
                        *(cells["model"], measure, accuracy, "robustness_top1s.csv", row),
                        protocol=protocol,
                        n=n,
                    )
                )
    return faults.of_testbed(values, {name: MEANS[name] for name in (C, C15)})


_CSS_PAIRS = (72, 1440)
_CSS_COLUMNS = ("model_name", "acc", "css", "css_err_low", "css_err_high", "target_foil_bias")
_CSS_JOINT = ("model", "acc_72", "css_72", "acc_1440", "css_1440")
_CSS_PROTOCOL = "size=224 crop=squash interpolation=bilinear classes=9"


def css(folder: Path) -> Found:
    """Return configural shape scores and accuracies on visual anagrams, of 72 and of 1440 pairs."""
    values = []
    for pairs in _CSS_PAIRS:
        path = find(folder, f"doshi_css_pairs{pairs}.csv", "doshi_css.csv")
        joint = path.name == "doshi_css.csv"
        rows = rows_of(path, _CSS_JOINT if joint else _CSS_COLUMNS)
        name, suffix = ("model", f"_{pairs}") if joint else ("model_name", "")
        check_unique(path, [cells[name] for _, cells in rows])
        for row, cells in rows:
            where = f"{path}, row {row},"
            measures = {
                f"css/{pairs}": number(cells["css" + suffix], where, high=1),
                f"top1_acc/anagrams/{pairs}": percent(cells["acc" + suffix], where),
            }
            for measure, value in measures.items():
                values.append(
                    Value(cells[name], measure, value, path.name, row, _CSS_PROTOCOL, pairs)
                )
    return faults.of_css(values)


_SUMMARY = re.compile(r"summaryImageNet_(3DCC|C_bar|C|P)_(.+)\.csv")
_ACCURACIES = tuple(f"Acc_s{severity}" for severity in _SEVERITIES)
_SUMMARY_COLUMNS = ("", "Corruption", *_ACCURACIES, *(f"ECE_s{s}" for s in _SEVERITIES))
_JOINT_COLUMNS = ("set", "model", "corruption", *(f"s{severity}" for severity in _SEVERITIES))
_PERTURBATIONS = ("", "Corruption", "FP", "T5D")
_JOINT_PERTURBATIONS = ("model", "perturbation", "flip_prob", "top5_distance")
# AlexNet's flip probabilities, in percent (Hendrycks & Dietterich 2019, appendix): see sources.toml.
_ALEXNET_FLIPS = {
    "gaussian_noise": 23.65,
    "shot_noise": 30.06,
    "motion_blur": 9.30,
    "zoom_blur": 5.94,
    "snow": 11.93,
    "brightness": 4.89,
    "translate": 11.01,
    "rotate": 13.10,
    "tilt": 7.05,
    "scale": 23.53,
}
_BENCH_SETS = {"C": tuple(ALEXNET), "C_bar": CORRUPTIONS[C_BAR], "P": tuple(_ALEXNET_FLIPS)}
_TWICE = "doubtful: the publisher has two files of this network, which differ"
_CORRECTED = "corrected: multiplied by the severity, by whose number it was divided"
# Networks with two different files in the publisher's folders, of which the joint table has one.
_KNOWN_TWICE = {("C", "resnet18"), ("C", "resnet50"), ("C_bar", "resnet18")}


def corruptionbench(folder: Path) -> Found:
    """Return CorruptionBenchCV's accuracies on ImageNet-C and C-bar, and its measures of P."""
    tables, twice = _summaries(folder)
    accuracies, flips = {}, {}
    for (name, model), (where, rows) in tables.items():
        expected = _BENCH_SETS[name]
        if sorted(rows) != sorted(expected):
            differing = ", ".join(sorted({*rows} ^ {*expected})) or "a corruption twice"
            raise UserError(f"{where} lacks or adds {differing}: {NEWER}")
        if name == "P":
            flips[model] = rows
        else:
            corrected = faults.whole_images(np.array(list(rows.values())), where)
            accuracies[name, model] = dict(zip(rows, corrected.tolist(), strict=True))
    without, sentences = faults.untrained(accuracies, flips)
    values = []
    for (name, model), table in accuracies.items():
        if model not in without:
            flag = _TWICE if (name, model) in twice else _CORRECTED
            values += _bench_accuracies(name, model, table, flag)
    for model, table in flips.items():
        if model not in without:
            values += _bench_flips(model, table)
    sentences.insert(
        0,
        "Accuracies on C and C-bar were divided by the severity's number; multiplied by it, each "
        f"is a whole number of {IMAGES:,} images.",
    )
    if twice:
        which = ", ".join(f"{model} on {name}" for name, model in sorted(twice))
        sentences.append(f"Two files of one network differ, and one is imported, flagged: {which}.")
    return values, sentences


def _bench_accuracies(
    name: str, model: str, table: dict[str, list[float]], flag: str
) -> list[Value]:
    file, protocol = f"summaryImageNet_{name}_{model}.csv", "size=224"
    values = [
        Value(
            *(model, f"top1_acc/{corruption}_{severity}", accuracy, file, str(row), protocol),
            *(IMAGES, flag),
        )
        for row, (corruption, accuracies) in enumerate(table.items(), start=1)
        for severity, accuracy in zip(_SEVERITIES, accuracies, strict=True)
    ]
    mean = fmean(value.value for value in values)
    measure, rows = C15 if name == "C" else C_BAR, f"1-{len(table)}"
    return [*values, Value(model, measure, mean, file, rows, protocol, IMAGES, flag)]


def _bench_flips(model: str, table: dict[str, list[float]]) -> list[Value]:
    file, protocol = f"summaryImageNet_P_{model}.csv", "size=224 difficulty=1"
    values = [
        Value(model, f"{measure}/{perturbation}", value, file, str(row), protocol)
        for row, (perturbation, both) in enumerate(table.items(), start=1)
        for measure, value in zip(("flip-probability", "top5-distance"), both, strict=True)
    ]
    rate = fmean(100 * 100 * table[name][0] / of for name, of in _ALEXNET_FLIPS.items())
    return [
        *values,
        Value(model, "mfr", rate, file, f"1-{len(table)}", protocol, flag=_FROM_MEMORY),
    ]


_FROM_MEMORY = "doubtful: AlexNet's flip probabilities could not be checked against the paper"
# For each set and model: what to call it in a message, and its numbers by corruption.
_Tables = dict[tuple[str, str], tuple[str, dict[str, list[float]]]]


def _summaries(folder: Path) -> tuple[_Tables, set[tuple[str, str]]]:
    """Return the tables of the publisher's files, or of two joint ones, and which were there twice.

    Of two files of a network that differ, the one in a folder IN_<set> is taken: those in results/
    were measured on files that were resized again.
    """
    if find_all(folder, "corruptionbench_*.csv"):
        return _joint_summaries(folder), _KNOWN_TWICE
    tables: _Tables = {}
    twice = set()
    paths = find_all(folder, "summaryImageNet_*.csv")
    for path in sorted(paths, key=lambda path: (not path.parent.name.startswith("IN_"), path)):
        match = _SUMMARY.fullmatch(path.name)
        if not match or match[1] not in _BENCH_SETS:
            continue
        columns = _PERTURBATIONS if match[1] == "P" else _SUMMARY_COLUMNS
        rows = _numbers(path, columns, "Corruption", columns[2 : 4 if match[1] == "P" else 7])
        key = match[1], match[2]
        if key not in tables:
            tables[key] = str(path), rows
        elif tables[key][1] != rows:
            twice.add(key)
    if not tables:
        raise NoFilesError(f"{folder} holds no summaryImageNet_*.csv")
    return tables, twice


def _joint_summaries(folder: Path) -> _Tables:
    tables: _Tables = {}
    for file, columns, name, cells in (
        (
            "corruptionbench_accuracy_corrected.csv",
            _JOINT_COLUMNS,
            "corruption",
            _JOINT_COLUMNS[3:],
        ),
        (
            "corruptionbench_imagenet_p.csv",
            _JOINT_PERTURBATIONS,
            "perturbation",
            _JOINT_PERTURBATIONS[2:],
        ),
    ):
        path = find(folder, file)
        for row, row_cells in rows_of(path, columns):
            key = row_cells.get("set", "P"), row_cells["model"]
            if key[0] in _BENCH_SETS:
                where = f"{path}, row {row},"
                numbers = [number(row_cells[column], where, high=100) for column in cells]
                table = tables.setdefault(key, (f"{path}, {key[1]} on {key[0]},", {}))[1]
                if row_cells[name] in table:
                    raise UserError(f"{where} repeats {row_cells[name]}: {AGAIN}")
                table[row_cells[name]] = numbers
    return tables


def _numbers(
    path: Path, columns: Sequence[str], name: str, cells: Sequence[str]
) -> dict[str, list[float]]:
    """Return the numbers of a file's rows, by what each is of."""
    rows = rows_of(path, columns)
    check_unique(path, [row[name] for _, row in rows])
    return {
        row[name]: [number(row[cell], f"{path}, row {at},", high=100) for cell in cells]
        for at, row in rows
    }
