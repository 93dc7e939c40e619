"""Readers of published tables: one function per source, from its files to tidy values.

Each takes a folder that holds the source's files, however deep, and returns its values, corrected,
flagged or dropped by faults.py, with a sentence about each fault found.
raw-data/published/sources.toml says where the files are from, and under which licence.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from bvg.analysis.measures import (
    ADVERSARIAL,
    BENCHMARKS,
    BIASES,
    CORRUPTIONS,
    with_derived,
)
from bvg.analysis.published_faults import LAST_BATCH, published_cells
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
from bvg.table.study_table import read_study_table

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
# AlexNet's, in percent (Hendrycks & Dietterich 2019, appendix); not read there: see sources.toml.
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


_NOISES = ("0", "0.02", "0.04", "0.08", "0.16")  # standard deviations, as the files write them
_BANDS = range(7)
_NETWORK = re.compile(r"solomon_(.+)_accuracies_[^/]*\.json")
_BAND_COLUMNS = (
    *("model", "trials", "clean16", "thresholds", "BW", "CF", "PNS", "shape_frac_mean16", "bacc"),
    "wacc_0.01",
)


def critical_band(folder: Path) -> Found:
    """Return the networks' channels, fitted again to their thresholds at 50 %, and shape fractions.

    From the publisher's trials (0 or 1, by noise and band), or a joint table of thresholds.
    """
    if find_all(folder, "critical_band_networks.csv"):
        networks = _joint_networks(find(folder, "critical_band_networks.csv"))
    else:
        networks = _networks(folder)
    values, degenerate, seen = [], [], {}
    for model, file, row, n, clean, thresholds, shape in networks:
        if seen.setdefault(model, (clean, thresholds)) != (clean, thresholds):
            raise UserError(f"{file}: {model} has two results that differ; remove one")
        channel = fit_channel(thresholds)
        measures = {"top1_acc/critical-band/clean": clean, "fraction-correct-shape": shape}
        if channel.degenerate:
            degenerate.append(model)
        else:
            measures |= {
                "critical-band/bandwidth": channel.bandwidth,
                "critical-band/centre": channel.centre,
                "critical-band/peak-sensitivity": channel.peak_sensitivity,
            }
        values += [
            Value(model, measure, value, file, row, "classes=16 threshold=0.5", n)
            for measure, value in measures.items()
            if value is not None
        ]
    return faults.of_critical_band(values, degenerate)


# Model, file, row, trials, accuracy without noise in percent, thresholds, fraction shape.
_Network = tuple[str, str, str, int, float, tuple[int, ...], float | None]


def _joint_networks(path: Path) -> list[_Network]:
    networks = []
    for row, cells in rows_of(path, _BAND_COLUMNS):
        where = f"{path}, row {row},"
        steps = re.findall(r"\d+", cells["thresholds"])
        if len(steps) != len(_BANDS):
            raise UserError(f"{where} has {len(steps)} thresholds instead of 7: {AGAIN}")
        networks.append(
            (
                cells["model"],
                path.name,
                row,
                int(number(cells["trials"], where)),
                number(cells["clean16"], where, high=100),
                tuple(int(number(step, where, high=4)) for step in steps),
                number(cells["shape_frac_mean16"], where, high=1),
            )
        )
    return networks


def _networks(folder: Path) -> list[_Network]:
    paths = find_all(folder, "solomon_*.json")
    if not paths:
        raise NoFilesError(f"{folder} holds no solomon_*.json")
    fractions = (
        json_of(find(folder, "sb_scores.json")) if find_all(folder, "sb_scores.json") else {}
    )
    networks = []
    for path in paths:
        model = _NETWORK.fullmatch(path.name)
        trials = json_of(path)
        keys = [f"noise{noise}freq{band}" for noise in _NOISES for band in _BANDS]
        if not model or not isinstance(trials, dict) or sorted(trials) != sorted(keys):
            raise UserError(f"{path} is not a network's trials by noise and band: {NEWER}")
        shares = np.array([fmean(trials[key]) for key in keys]).reshape(len(_NOISES), len(_BANDS))
        shape = fractions.get(model[1])
        networks.append(
            (
                model[1],
                path.name,
                "noise*freq*",
                sum(len(trials[key]) for key in keys),
                float(100 * shares[0].mean()),
                tuple(integer_thresholds(shares, 0.5).tolist()),
                fmean(shape) if shape else None,
            )
        )
    return networks


_ROBUSTBENCH = {  # threats: the keys of an entry, with our name and the protocol
    "Linf": {
        "clean_acc": (TOP1, "threat=Linf"),
        "autoattack_acc": ("top1_acc/autoattack-linf-4", "attack=autoattack eps=4/255"),
    },
    "corruptions": {
        "clean_acc": (TOP1, "threat=corruptions"),
        "corruptions_acc": (C15, "size=224"),
        "corruptions_acc_3d": ("top1_acc/imagenet-3dcc", "size=224"),
    },
}


def robustbench(folder: Path) -> Found:
    """Return RobustBench's entries for ImageNet, of 5,000 images; a model is threat/name."""
    values = []
    for threat, keys in _ROBUSTBENCH.items():
        paths = [p for p in find_all(folder, "*.json") if p.parts[-3:-1] == ("imagenet", threat)]
        if not paths:
            raise NoFilesError(f"{folder} holds no model_info/imagenet/{threat}/*.json")
        for path in paths:
            file, model = f"model_info/imagenet/{threat}/{path.name}", f"{threat}/{path.stem}"
            entry = json_of(path)
            if not isinstance(entry, dict) or not {*keys, "dataset", "eps"} <= {*entry}:
                raise UserError(f"{path} lacks one of dataset, eps, {', '.join(keys)}: {NEWER}")
            for key, expected in {"dataset": "imagenet", "eps": "4/255"}.items():
                # The eps of corruptions is without meaning.
                if entry[key] != expected and (threat, key) != ("corruptions", "eps"):
                    raise UserError(f"{path} has {key} {entry[key]} instead of {expected}: {NEWER}")
            for key, (measure, protocol) in keys.items():
                accuracy = number(entry[key], f"{path}, {key},", high=100)
                values.append(Value(model, measure, accuracy, file, key, protocol, 5000))
            if "external" in entry:
                lower = number(entry["external"], f"{path}, external,", high=100)
                values[-1] = faults.adaptively_attacked(values[-1], lower)
    return values, faults.flagged(values)


_OPENCLIP = {
    "ImageNet 1k": (TOP1, IMAGES),
    "ImageNet v2": ("top1_acc/imagenet-v2", 10_000),
    "ImageNet Sketch": ("top1_acc/imagenet-sketch", 50_889),
    "ImageNet-A": ("top1_acc/imagenet-a", 7_500),
    "ImageNet-R": ("top1_acc/imagenet-r", 30_000),
    "ObjectNet": ("top1_acc/objectnet", None),
}
_OPENCLIP_UNUSED = (  # other data sets
    *("FLOPs (B)", "Average perf. on 38 datasets", "Caltech-101", "CIFAR-10", "CIFAR-100"),
    *("CLEVR Counts", "CLEVR Distance", "Country211", "Describable Textures", "EuroSAT"),
    *("FGVC Aircraft", "Food-101", "GTSRB", "ImageNet-O", "KITTI Vehicle Distance", "MNIST"),
    *("Oxford Flowers-102", "Oxford-IIIT Pet", "Pascal VOC 2007", "PatchCamelyon"),
    *("Rendered SST2", "RESISC45", "Stanford Cars", "STL-10", "SUN397", "SVHN", "Flickr"),
    *("MSCOCO", "WinoGAViL", "iWildCam", "Camelyon17", "FMoW", "Dollar Street", "GeoDE"),
)


def openclip(folder: Path) -> Found:
    """Return open_clip's zero-shot accuracies on ImageNet's sets; a model is name/pretrained."""
    path = find(folder, "openclip_results.csv")
    rows = rows_of(path, ("name", "pretrained", "params (M)", *_OPENCLIP, *_OPENCLIP_UNUSED))
    check_unique(path, [f"{cells['name']}/{cells['pretrained']}" for _, cells in rows])
    values = []
    for row, cells in rows:
        where, model = f"{path}, row {row},", f"{cells['name']}/{cells['pretrained']}"
        parameters = number(cells["params (M)"], where)
        values.append(Value(model, "parameters", parameters, path.name, row, "millions"))
        for column, (measure, n) in _OPENCLIP.items():
            accuracy = percent(cells[column], where)
            values.append(Value(model, measure, accuracy, path.name, row, "zero-shot", n))
    return values, []


_OOD = {  # columns of the joint table: our name, the factor, the protocol, the number of images
    "imagenet_a_top1": ("top1_acc/imagenet-a", 100, "classes=200", 7_500),
    "imagenet_sketch_top1": (
        "top1_acc/imagenet-sketch",
        1,
        "crop=square of the short side",
        50_889,
    ),
    "cue_conflict_shape_bias": (
        "shape-bias",
        1,
        "cue-conflict classes=16 decision=best class of any category",
        1200,
    ),
    "adversarial_top1": (
        "top1_acc/targeted-pgd-linf-0.06",
        1,
        "attack=pgd steps=10 eps=0.06 target=random",
        25_000,
    ),
}
_OOD_UNUSED = (
    *("model", "imagenet_a_calibration_error", "imagenet_a_aurra"),
    "cue_conflict_fraction_shape_or_texture",
)
_OOD_ARRAYS = {  # the publisher's files: their names, and the array in them
    "imagenet_a_top1": ("imaageneta_", ".npz", "acc"),
    "imagenet_sketch_top1": ("sketch_", ".npy", ""),
    "cue_conflict_shape_bias": ("shapebias_", ".npz", "frac_shape"),
    "adversarial_top1": ("whitebox_10_0.06_", ".npy", ""),
}


def ood_benchmarks(folder: Path) -> Found:
    """Return the values of ood-benchmarks, from its arrays or a joint table."""
    cells: list[tuple[str, str, str, str, object]] = []  # model, column, file, row, cell
    if find_all(folder, "ood_benchmarks_values.csv"):
        path = find(folder, "ood_benchmarks_values.csv")
        for row, row_cells in rows_of(path, (*_OOD_UNUSED, *_OOD)):
            cells += [(row_cells["model"], c, path.name, row, row_cells[c]) for c in _OOD]
    else:
        for column, (prefix, suffix, key) in _OOD_ARRAYS.items():
            for path in find_all(folder, f"{prefix}*{suffix}"):
                model = path.name.removeprefix(prefix).removesuffix(suffix)
                cells.append((model, column, path.name, key or "all", _array(path, key)))
    if not cells:
        raise NoFilesError(f"{folder} holds no ood_benchmarks_values.csv or imaageneta_*.npz")
    values = []
    for model, column, file, row, cell in cells:
        if cell != "":
            measure, times, protocol, n = _OOD[column]
            high = 1 if measure == "shape-bias" else 100
            value = number(cell, f"{file}, {model},", high=high, times=times)
            values.append(Value(model, measure, value, file, row, protocol, n))
    return values, []


def _array(path: Path, key: str) -> float:
    try:
        array = np.load(path, allow_pickle=False)
        return float(array[key] if key else array)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not the array that is expected: {AGAIN}") from error


_EXPERIMENTS = ("original", "grayscale", "silhouette-filled", "edge", "texture")
_CONFLICT = "style-transfer-512-nomask"
_SESSION = re.compile(r"(.+)-experiment_(.+)_session[_-]\d+\.csv")


def texture_vs_shape(folder: Path) -> Found:
    """Return shape bias and accuracies of the observers and networks of Geirhos et al. 2019.

    AlexNet, GoogLeNet and VGG of the experiments with humans were Caffe's: their names say so.
    """
    values = []
    for path in find_all(folder, "*-experiment_*.csv"):
        match, experiment = _SESSION.fullmatch(path.name), path.parent.name
        if not match or not experiment.startswith(f"{match[1]}-experiment"):
            continue
        decisions = read_decisions(path)
        (observer,) = decisions["subj"].unique()
        if not observer.startswith("subject") and not experiment.endswith("trained-CNNs"):
            observer += " (caffe)"
        file, rows = f"{experiment}/{path.name}", f"1-{len(decisions)}"
        if match[1] == _CONFLICT:
            values += _shape_bias(observer, count_table(decisions), file, rows, CUE_CONFLICT)
        elif match[1] in _EXPERIMENTS:
            right = decisions["object_response"] == decisions["category"]
            values.append(
                Value(
                    *(
                        observer,
                        f"top1_acc/texture-vs-shape/{match[1]}",
                        float(100 * right.mean()),
                        file,
                    ),
                    *(rows, "classes=16", len(decisions)),
                )
            )
    if not values:
        raise NoFilesError(f"{folder} holds no *-experiment/*-experiment_*_session*.csv")
    return values, []


def _shape_bias(
    model: str, counts: CueDecisions, file: str, row: str, protocol: str
) -> list[Value]:
    measures = {
        "shape-bias": counts.shape / (counts.shape + counts.texture),
        "fraction-correct-shape": counts.shape / counts.total,
        "fraction-correct-texture": counts.texture / counts.total,
    }
    return [
        Value(model, measure, value, file, row, protocol, counts.total)
        for measure, value in measures.items()
    ]


_VLM_KINDS = {"clip": "zero-shot", "inet_classifier": "native", "vlm": "text"}
_VLM_JOINT = (
    *("file", "rows", "conflict", "shape", "texture", "shape_bias", "either"),
    "nonconflict_right",
)
_CUES = re.compile(r"([a-z]+)\d+-([a-z]+)\d+(?:\.\w+)?")


def vlm_shapebias(folder: Path) -> Found:
    """Return shape biases of CLIP, classifiers and vision-language models, from their decisions."""
    values = []
    if find_all(folder, "vlm_shapebias_recomputed.csv"):
        path = find(folder, "vlm_shapebias_recomputed.csv")
        for row, cells in rows_of(path, _VLM_JOINT):
            where = f"{path}, row {row},"
            shape, texture, total = (
                int(number(cells[column], where)) for column in ("shape", "texture", "conflict")
            )
            counts = CueDecisions(shape, texture, total - shape - texture)
            values += _vlm_values(cells["file"], counts, path.name, row)
        return values, []
    for path in find_all(folder, "*.csv"):
        kind = next((kind for kind in _VLM_KINDS if kind in path.parts), None)
        if kind:
            file = "/".join(path.parts[path.parts.index(kind) :])
            values += _vlm_values(file, _count_decisions(path), file, "1-1280")
    if not values:
        raise NoFilesError(f"{folder} holds no {' or '.join(_VLM_KINDS)}/*.csv")
    return values, []


def _vlm_values(name: str, counts: CueDecisions, file: str, row: str) -> list[Value]:
    protocol = f"{CUE_CONFLICT} {_VLM_KINDS[name.partition('/')[0]]}"
    return _shape_bias(name.removesuffix(".csv"), counts, file, row, protocol)


def _count_decisions(path: Path) -> CueDecisions:
    rows = [cells for _, cells in rows_of(path, None)]
    if not {"image", "pred_label"} <= {*rows[0]}:
        raise UserError(f"{path} lacks the column image or pred_label: {NEWER}")
    cues = [_CUES.fullmatch(cells["image"]) for cells in rows]
    if not all(cues):
        raise UserError(f"{path} has an image whose name is not <shape>-<texture>: {NEWER}")
    labels = [cells["pred_label"] for cells in rows]
    return count_decisions(labels, [cue[1] for cue in cues if cue], [cue[2] for cue in cues if cue])


def study(folder: Path) -> Found:
    """Return biases and accuracies of the study's 70 models, which fault checks know by value."""
    path = find(folder, "benchmark.csv")
    table = read_study_table(path).values
    known = published_cells(table)
    if not known.any(axis=1).all():
        raise UserError(f"{path} is not the study's table, or was changed: {AGAIN}")
    wanted = (*BIASES, *BENCHMARKS, *MEANS[C], *MEANS[C_BAR])
    frame = with_derived(table)
    if missing := [name for name in wanted if name not in frame]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}: {NEWER}")
    frame = frame.assign(**{C15: frame[list(MEANS[C15])].mean(axis=1, skipna=False)})
    rows = {str(model): str(row) for row, model in enumerate(frame.index, start=1)}
    values = [
        Value(str(model), measure, float(value), path.name, rows[str(model)], "size=224", n)
        for measure, n in {name: _STUDY_N.get(name) for name in (*wanted, C15)}.items()
        for model, value in frame[measure].dropna().items()
    ]
    return faults.of_study(values, table)


_STUDY_N = {
    **dict.fromkeys((TOP1, *MEANS[C], *MEANS[C_BAR], C, C15, C_BAR, ADVERSARIAL), IMAGES),
    "shape-bias": 1200,
    "top1_acc/imagenet-v2": 10_000,
    "top1_acc/imagenet-a": 7_500,
    "top1_acc/imagenet-r": 30_000,
    "top1_acc/imagenet-sketch": 50_889,
    "top1_acc/imagenet-real": LAST_BATCH,
}

READERS: dict[str, Callable[[Path], Found]] = {
    "quba": quba,
    "timm": timm,
    "testbed": testbed,
    "corruptionbench": corruptionbench,
    "robustbench": robustbench,
    "openclip": openclip,
    "css": css,
    "critical_band": critical_band,
    "ood_benchmarks": ood_benchmarks,
    "texture_vs_shape": texture_vs_shape,
    "vlm_shapebias": vlm_shapebias,
    "study": study,
}
