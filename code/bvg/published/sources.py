"""Readers of published tables: one function per source, from its files to tidy values.

Each takes a folder that holds the source's files, however deep, and returns its values, corrected,
flagged or dropped by faults.py, with a sentence about each fault found.
raw-data/published/sources.toml says where the files are from, and under which licence.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bvg.analysis.measures import with_derived
from bvg.analysis.published_faults import LAST_BATCH, published_cells
from bvg.errors import UserError
from bvg.published import faults
from bvg.published.corruptionbench import corruptionbench
from bvg.published.decisions import CUE_CONFLICT, critical_band, texture_vs_shape, vlm_shapebias
from bvg.published.faults import IMAGES, IN_MEMORY, ON_DISK, Found
from bvg.published.reading import (
    AGAIN,
    C15,
    C_BAR,
    MEANS,
    NEWER,
    SEVERITIES,
    TOP1,
    C,
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
from bvg.published.tables import TABLES
from bvg.table.columns import CORRUPTIONS
from bvg.table.measures import ADVERSARIAL, BENCHMARKS, BIASES
from bvg.table.study_table import read_study_table

QUBA_ROWS = TABLES / "quba_rows.csv"  # which model each row is


_QUBA = {  # measures of a row: our name, the protocol, the number of images, the largest value
    "Accuracy": (TOP1, "size=own classes=1000", IMAGES, 100),
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
    path = find(folder, "quba_index.html")
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
    values, collapsed = faults.other_images(values)
    values, probabilities = faults.probabilities_as_logits(values)
    return values, [*collapsed, *probabilities]


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
    path = find(folder, "robustness_top1s.csv")
    columns: dict[str, tuple[str, int | None, str]] = {
        column: (measure, n, faults.OWN_SIZE) for column, (measure, n) in _TESTBED.items()
    }
    for corruption in CORRUPTIONS[C]:
        for severity in SEVERITIES:
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
                file = "robustness_top1s.csv"
                values.append(Value(cells["model"], measure, accuracy, file, row, protocol, n))
    return faults.of_testbed(values, {name: MEANS[name] for name in (C, C15)})


_CSS_PAIRS = (72, 1440)
_CSS_COLUMNS = ("model_name", "acc", "css", "css_err_low", "css_err_high", "target_foil_bias")
_CSS_PROTOCOL = "size=224 crop=squash interpolation=bilinear classes=9"


def css(folder: Path) -> Found:
    """Return configural shape scores and accuracies on visual anagrams, of 72 and of 1440 pairs."""
    values = []
    for pairs in _CSS_PAIRS:
        path = find(folder, f"doshi_css_pairs{pairs}.csv")
        rows = rows_of(path, _CSS_COLUMNS)
        check_unique(path, [cells["model_name"] for _, cells in rows])
        for row, cells in rows:
            where = f"{path}, row {row},"
            measures = {
                f"css/{pairs}": number(cells["css"], where, high=1),
                f"top1_acc/anagrams/{pairs}": percent(cells["acc"], where),
            }
            for measure, value in measures.items():
                model = cells["model_name"]
                values.append(Value(model, measure, value, path.name, row, _CSS_PROTOCOL, pairs))
    return faults.of_css(values)


_ROBUSTBENCH = {  # threats: the keys of an entry, with our name and the protocol
    "Linf": {
        "clean_acc": (TOP1, "threat=Linf"),
        "autoattack_acc": ("top1_acc/autoattack-linf-4", "attack=autoattack eps=4/255"),
    },
    "corruptions": {
        "clean_acc": (TOP1, "threat=corruptions"),
        "corruptions_acc": (C15, "15x5"),
        "corruptions_acc_3d": ("top1_acc/imagenet-3dcc", "3D common corruptions"),
    },
}


def robustbench(folder: Path) -> Found:
    """Return RobustBench's entries for ImageNet, each of 5,000 images: attacks and corruptions."""
    values = []
    for threat, keys in _ROBUSTBENCH.items():
        paths = [p for p in find_all(folder, "*.json") if p.parts[-3:-1] == ("imagenet", threat)]
        if not paths:
            raise NoFilesError(f"{folder} holds no model_info/imagenet/{threat}/*.json")
        for path in paths:
            file = f"model_info/imagenet/{threat}/{path.name}"
            entry = json_of(path)
            if not isinstance(entry, dict) or not {*keys, "dataset", "eps"} <= {*entry}:
                raise UserError(f"{path} lacks one of dataset, eps, {', '.join(keys)}: {NEWER}")
            for key, expected in {"dataset": "imagenet", "eps": "4/255"}.items():
                # The eps of corruptions is without meaning.
                if entry[key] != expected and (threat, key) != ("corruptions", "eps"):
                    raise UserError(f"{path} has {key} {entry[key]} instead of {expected}: {NEWER}")
            for key, (measure, protocol) in keys.items():
                accuracy = number(entry[key], f"{path}, {key},", high=100)
                values.append(Value(path.stem, measure, accuracy, file, key, protocol, 5000))
            if "external" in entry:
                lower = number(entry["external"], f"{path}, external,", high=100)
                values[-1] = faults.adaptively_attacked(values[-1], lower)
    return faults.of_robustbench(values)


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


_OOD = {  # files: the array in them, our name, the factor, the protocol, the number of images
    "imaageneta_*.npz": ("acc", "top1_acc/imagenet-a", 100, "classes=200", 7_500),
    "sketch_*.npy": (
        *("", "top1_acc/imagenet-sketch", 1, "crop=square of the short side"),
        50_889,
    ),
    "shapebias_*.npz": (
        *("frac_shape", "shape-bias", 1),
        "cue-conflict classes=16 decision=best class of any category",
        1200,
    ),
    "whitebox_10_0.06_*.npy": (
        *("", "top1_acc/targeted-pgd-linf-0.06", 1, "attack=pgd steps=10 eps=0.06 target=random"),
        25_000,
    ),
}


def ood_benchmarks(folder: Path) -> Found:
    """Return the values of ood-benchmarks, from its arrays."""
    values = []
    for pattern, (key, measure, times, protocol, n) in _OOD.items():
        prefix, suffix = pattern.split("*")
        for path in find_all(folder, pattern):
            model = path.name.removeprefix(prefix).removesuffix(suffix)
            high = 1 if measure == "shape-bias" else 100
            value = number(_array(path, key), f"{path.name}, {model},", high=high, times=times)
            values.append(Value(model, measure, value, path.name, key or "all", protocol, n))
    if not values:
        raise NoFilesError(f"{folder} holds no {' or '.join(_OOD)}")
    return values, []


def _array(path: Path, key: str) -> float:
    try:
        array = np.load(path, allow_pickle=False)
        return float(array[key] if key else array)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not the array that is expected: {AGAIN}") from error


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
        Value(
            *(str(model), measure, float(value), path.name, rows[str(model)]),
            protocol=_STUDY_PROTOCOLS.get(measure, "size=224"),
            n=n,
        )
        for measure, n in {name: _STUDY_N.get(name) for name in (*wanted, C15)}.items()
        for model, value in frame[measure].dropna().items()
    ]
    return faults.of_study(values, table)


_STUDY_VIEW = "size=224 crop=0.875 interpolation=bilinear"
_STUDY_PROTOCOLS = {  # of photographs; the others were published, or made, at 224 pixels
    **dict.fromkeys((TOP1, "top1_acc/imagenet-v2", "top1_acc/imagenet-real"), _STUDY_VIEW),
    "top1_acc/imagenet-sketch": _STUDY_VIEW,
    **dict.fromkeys(("top1_acc/imagenet-a", "top1_acc/imagenet-r"), f"{_STUDY_VIEW} classes=200"),
}
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
