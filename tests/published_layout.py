"""The publishers' files from the joint tables of the fixtures, which state the same numbers."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bvg.published import decisions
from bvg.published.decisions import Trials

NETWORKS = "critical_band_networks.csv"
# Networks of which CorruptionBenchCV has two files that differ.
TWICE = (("C", "resnet18"), ("C", "resnet50"), ("C_bar", "resnet18"))
ARRAYS = {  # of ood-benchmarks: the files' names, and the array in them
    "imagenet_a_top1": ("imaageneta_", "acc"),
    "imagenet_sketch_top1": ("sketch_", ""),
    "cue_conflict_shape_bias": ("shapebias_", "frac_shape"),
    "adversarial_top1": ("whitebox_10_0.06_", ""),
}


def lay_out(published: Path, folder: Path) -> Path:
    """Return the folder, filled with all publishers' files that there are copies of.

    Of the critical-band networks, whose trials are not all there, with the table of thresholds.
    """
    external = published / "external"
    for name in ("texture-vs-shape", "cue-conflict-decisions", "external/timm"):
        shutil.copytree(published / name, folder / name)
    for name in ("benchmark.csv", "external/openclip_results.csv", f"external/{NETWORKS}"):
        shutil.copy(published / name, folder)
    shutil.copy(external / "imagenet-testbed.csv", folder / "robustness_top1s.csv")
    models = (external / "quba_sampleData.txt").read_text()
    (folder / "quba_index.html").write_text(f"const sampleData = {models};")
    _corruptionbench(external, folder)
    scores = pd.read_csv(external / "doshi_css.csv")
    for pairs in (72, 1440):
        own = scores[["model", f"acc_{pairs}", f"css_{pairs}"]]
        own = own.set_axis(["model_name", "acc", "css"], axis=1)
        own = own.assign(css_err_low=0, css_err_high=0, target_foil_bias=0)
        own.to_csv(folder / f"doshi_css_pairs{pairs}.csv", index=False)
    for _, row in pd.read_csv(external / "ood_benchmarks_values.csv").iterrows():
        for column, (prefix, key) in ARRAYS.items():
            path = folder / f"{prefix}{row['model']}"
            if key and pd.notna(row[column]):
                np.savez(path, **{key: row[column]})
            elif pd.notna(row[column]):
                np.save(path, row[column])
    for _, row in pd.read_csv(external / "vlm_shapebias_recomputed.csv").iterrows():
        said = ["cat"] * row["shape"] + ["dog"] * row["texture"]
        said += ["car"] * (row["conflict"] - len(said))
        path = folder / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [f"cat{number}-dog1" for number in range(len(said))]
        pd.DataFrame({"image": images, "pred_label": said}).to_csv(path, index=False)
    return folder


def _corruptionbench(external: Path, folder: Path) -> None:
    steps = range(1, 6)
    table = pd.read_csv(external / "corruptionbench_accuracy_corrected.csv")
    for (name, model), part in table.groupby(["set", "model"], sort=False):
        accuracies = {f"Acc_s{k}": part[f"s{k}"].to_numpy() for k in steps}
        raw = pd.DataFrame(accuracies, index=pd.RangeIndex(len(part)))
        raw.insert(0, "Corruption", part["corruption"].to_numpy())
        raw = raw.assign(**{f"ECE_s{k}": 0.5 for k in steps})
        for place in (f"IN_{name}", "results") if (name, model) in TWICE else (f"IN_{name}",):
            (folder / place).mkdir(exist_ok=True)
            raw.to_csv(folder / place / f"summaryImageNet_{name}_{model}.csv")
            raw["Acc_s1"] = raw["Acc_s1"] - 1
    flips = pd.read_csv(external / "corruptionbench_imagenet_p.csv")
    for model, part in flips.groupby("model", sort=False):
        raw = part[["perturbation", "flip_prob", "top5_distance"]].reset_index(drop=True)
        raw.columns = ["Corruption", "FP", "T5D"]
        raw.to_csv(folder / f"summaryImageNet_P_{model}.csv")


def with_thresholds() -> Callable[[Path], list[Trials]]:
    """Return a reader of critical-band networks that takes the table of thresholds, if there."""
    of_trials = decisions.networks_of

    def networks(folder: Path) -> list[Trials]:
        if not (folder / NETWORKS).exists():
            return of_trials(folder)
        return [
            Trials(
                model=row["model"],
                file=NETWORKS,
                row=str(number + 1),
                count=row["trials"],
                clean=row["clean16"],
                thresholds=tuple(map(int, re.findall(r"\d+", row["thresholds"]))),
                shape=row["shape_frac_mean16"],
            )
            for number, row in pd.read_csv(folder / NETWORKS).iterrows()
        ]

    return networks
