"""Decisions of any observers, from tables: shape bias, accuracy, error consistency, figures.

    python code/score_decisions.py raw-data/texture-vs-shape
    python code/score_decisions.py ours=results/imagenet_model_vs_human ~/human-raw-data

Reference: 9,236 shape and 398 texture decisions of ten people (shape bias 0.9587), 162 and 572 of
ResNet-50 (0.2207), in texture-vs-shape's raw data; on edges, ResNet-50 18.1 %, people 87.1 %.
Papers: Geirhos et al., ICLR 2019 (texture-vs-shape) and NeurIPS 2021 (model-vs-human); Gavrikov et
al. 2024, arXiv 2403.09193 (vision-language models).
Data: folders of tables (*.csv), which may be in folders below, in any of these formats:
  texture-vs-shape   <experiment>-experiment[-trained-CNNs]/<experiment>-experiment_<subject>_….csv
  model-vs-human     <data set>/<data set>_<subject>_session_<n>.csv; our scripts' tables, too
                     (all: subj,session,trial,rt,object_response,category,condition,imagename)
                     under other names where all images are <shape><n>-<texture><m>: cue-conflict
  vision-language    <model>.csv with the columns image,response (or pred_label), cue-conflict only
People (subj subject-01 and so on) are one observer, humans, in each data set; two observers of one
name in two folders are an error, and with LABEL=FOLDER two names. The tables have decisions, not
probabilities: which decision rule made them is their authors' (docs/fidelity.md).
Writes, in --results/decisions: a folder with summary.json per observer, which collect.py takes
(columns decisions/…): shape-bias and fractions (also by /category/<name> and /texture/<name>; other
data sets with two cues: shape-bias/<data set>, and frequency-cue-conflict/low-frequency-bias),
top1_acc/<data set>[/<condition>] and missed/<data set> (percent),
response-time/<data set>[/<condition>] (median, ms), shape-bias/correlation/edge (Spearman's with
the accuracy on edges, by category); members.csv (accuracy of each person or session),
error_consistency.csv (all pairs), confusion.csv, and the papers' figures. Columns of observers who
saw other images are refused by collect.py.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from bvg.data.finding import look_for
from bvg.data.frequency_cue_conflict import CUES
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from bvg.errors import UserError
from bvg.figures import decisions as figures
from bvg.figures.drawing import HUMANS, remove
from bvg.figures.model_vs_human import matrix_figure
from bvg.figures.shape_bias import SHAPE, TEXTURE, shape_bias_figure
from bvg.files import make_folder, write_text
from bvg.run.command_line import guarded, parse_words, plain_parser
from bvg.run.runs import FORMAT, metrics_table, print_files
from bvg.scores import decisions as scores
from bvg.scores.frequency_cue_conflict import BIAS as LOW_FREQUENCY_BIAS
from bvg.scores.frequency_cue_conflict import PREFIX as FREQUENCIES
from bvg.scores.metric import Metric
from bvg.scores.observers import GREYSCALE, ORIGINAL, read_observers, source_of
from bvg.scores.observers import TEXTURE as TEXTURES
from bvg.table.columns import DECISIONS

FIGURE_2 = (ORIGINAL, GREYSCALE, "silhouette", "edge", TEXTURES)
FIGURES = (
    "accuracy",
    "distortions",
    "edges",
    "response_times",
    "response_times_by_condition",
    "summary",
)
BY_DATA_SET = ("confusion", "cues", "error_consistency", "shape_bias", "shape_bias_by_texture")
SHOWN = ("shape-bias", "fraction-neither", LOW_FREQUENCY_BIAS, "top1_acc/cue-conflict")


def main(argv: list[str] | None = None) -> int:
    """Return the exit code of the command line `argv`."""
    parser = plain_parser(
        __doc__, "exit codes: 0 done; 2 a problem you can fix (one sentence says how)."
    )
    add = parser.add_argument
    add("folders", nargs="+", metavar="FOLDER", help="folders of tables, or LABEL=FOLDER")
    add(
        "--observers",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="score and draw only these observers, in this order (default: all)",
    )
    add(
        "--stimuli",
        metavar="DIR",
        help="model-vs-human's data sets, for pictures in the figures (default: "
        "$BVG_MODEL_VS_HUMAN, else the downloaded ones, else no pictures)",
    )
    add(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of results (default: results)",
    )
    args = parse_words(parser, argv)
    return guarded(lambda: _score(args.folders, args.observers, args.stimuli, args.results))


def _score(folders: list[str], names: list[str], stimuli: str | None, results: Path) -> None:
    trials = _chosen(read_observers([source_of(folder) for folder in folders]), names)
    metrics = {
        str(name): scores.decision_metrics(part)
        for name, part in trials.groupby("observer", sort=False)
    }
    folder = make_folder(results / DECISIONS)
    for name, found in metrics.items():
        write_summary(folder / name, trials[trials["observer"] == name], found)
    for note in [
        *differing_images(trials),
        *differing_people(trials),
        *perhaps_people(trials),
        *other_observers(folder, metrics),
    ]:
        print(note)
    rights = scores.rights_of(trials)
    pairs = scores.agreement(rights)
    tables = {
        "members": scores.members(trials),
        "error_consistency": pairs,
        "confusion": scores.confusions(trials),
    }
    remove(*drawn_before(folder))
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", table.to_csv(index=False))
        print_files(folder / f"{name}.csv")
    draw(trials, metrics, tables, scores.summary(rights, pairs), stimuli, folder)
    of_sets = [
        f"{key}/{name}"
        for key in ("shape-bias", "top1_acc", "response-time")
        for name in dict.fromkeys(trials["data_set"])
    ]
    print(metrics_table(metrics, [*dict.fromkeys([*SHOWN, *of_sets])]))


def _chosen(trials: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return these observers' trials in this order; all, humans first, without names."""
    found = sorted({*trials["observer"]}, key=lambda name: (not name.startswith(HUMANS), name))
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UserError(
            f"no table is of {', '.join(unknown)}: choose --observers from {', '.join(found)}"
        )
    return pd.concat([trials[trials["observer"] == name] for name in dict.fromkeys(names or found)])


def write_summary(folder: Path, trials: pd.DataFrame, metrics: Mapping[str, Metric]) -> None:
    """Write an observer's scores as those of a model, for collect.py."""
    make_folder(folder)
    summary = {
        "format": FORMAT,
        "identity": {
            "benchmark": DECISIONS,
            "model": {"name": folder.name},
            "protocol": {"decisions": "as in their tables"},
        },
        "metrics": {key: metric.as_dict() for key, metric in metrics.items()},
        # collect.py refuses observers of other images in one column.
        "scored_with": {f"images/{name}": shown for name, shown in _fingerprints(trials).items()},
        "images": {
            str(name): {"trials": len(part), "members": part["member"].nunique()}
            for name, part in trials.groupby("data_set", sort=False)
        },
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")


def _fingerprints(trials: pd.DataFrame) -> dict[str, str]:
    """Return, by data set, how many images were shown, and a hash of their names."""
    found = {}
    for data_set, part in trials.groupby("data_set", sort=False):
        names = sorted({*(part["condition"] + "/" + part["image"])})
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        found[str(data_set)] = f"{len(names):,} images (sha256 {digest})"
    return found


def differing_images(trials: pd.DataFrame) -> list[str]:
    """Return a note for each data set of which two observers saw different images."""
    notes = []
    for name, part in trials.groupby("data_set", sort=False):
        shown = {str(o): _fingerprints(own) for o, own in part.groupby("observer", sort=False)}
        first, *others = shown
        differing = [other for other in others if shown[other] != shown[first]]
        if differing:
            notes.append(f"{name}: {', '.join(differing)} saw other images than {first}")
    return notes


def differing_people(trials: pd.DataFrame) -> list[str]:
    """Return a note for each data set of which people who are pooled saw different images."""
    people = trials[trials["observer"].str.startswith(HUMANS)]
    notes = []
    for (name, observer), part in people.groupby(["data_set", "observer"], sort=False):
        images = part["condition"] + "/" + part["image"]
        numbers = images.groupby(part["member"]).nunique()
        if (numbers < images.nunique()).any():
            fewest, most = numbers.min(), numbers.max()
            each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
            notes.append(
                f"{name}: not all {observer} saw the same images (each of them {each} of "
                f"{images.nunique():,}); their trials are pooled"
            )
    return notes


def perhaps_people(trials: pd.DataFrame) -> list[str]:
    """Return a note of the observers that have response times, but are not called people."""
    networks = trials[~trials["observer"].str.startswith(HUMANS)]
    timed = dict.fromkeys(networks["observer"][networks["rt"].notna()])
    if not timed:
        return []
    return [
        f"{', '.join(timed)}: response times, as of people; people are pooled as {HUMANS} if their "
        "subj is subject-01 and so on"
    ]


def other_observers(folder: Path, metrics: Mapping[str, object]) -> list[str]:
    """Return a note of the observers of earlier calls, whose scores are still there."""
    others = sorted({path.parent.name for path in folder.glob("*/summary.json")} - {*metrics})
    if not others:
        return []
    return [
        f"{folder} also has the scores of an earlier call, of {', '.join(others)}: collect.py "
        "takes them, too; remove their folders if they are out of date"
    ]


def drawn_before(folder: Path) -> list[Path]:
    """Return the figures that an earlier call can have drawn, whose data sets its tables name."""
    try:
        table = pd.read_csv(folder / "confusion.csv", usecols=["data_set"], dtype=str)
        data_sets = {*table["data_set"].dropna()}
    except (OSError, ValueError):  # none, or not ours
        data_sets = set()
    endings = ["", *(f"_{name}" for name in data_sets)]
    names = [*FIGURES, *(f"{name}{ending}" for name in BY_DATA_SET for ending in endings)]
    return [folder / name for name in names]


def draw(
    trials: pd.DataFrame,
    metrics: Mapping[str, Mapping[str, Metric]],
    tables: Mapping[str, pd.DataFrame],
    summary: tuple[pd.DataFrame, list[str]],
    stimuli: str | None,
    folder: Path,
) -> None:
    """Write the figures that the tables have data for."""
    examples, icons = pictures(stimuli)
    found = dict.fromkeys(trials["data_set"])
    present = [name for name in dict.fromkeys([*FIGURE_2, *DATA_SETS, *found]) if name in found]
    for data_set in present:
        part = trials[trials["data_set"] == data_set]
        if scores.has_cues(part):
            own = {str(name): of for name, of in part.groupby("observer", sort=False)}
            ending = "" if data_set == CUE_CONFLICT else f"_{data_set}"
            cues = CUES if data_set == FREQUENCIES else (SHAPE, TEXTURE)
            for cue, name in ((SHAPE, "shape_bias"), (TEXTURE, "shape_bias_by_texture")):
                path = folder / f"{name}{ending}"
                print_files(*shape_bias_figure(own, path, cue, icons, cues))
            print_files(*figures.cues_figure(_by_cue(own), folder / f"cues{ending}", cues))
        if data_set in (*FIGURE_2, CUE_CONFLICT):  # the others' are in the table
            confusion = tables["confusion"]
            confusion = confusion[confusion["data_set"] == data_set]
            print_files(*figures.confusion_figure(confusion, folder / f"confusion_{data_set}"))
    ordered = [name for name in present if name != CUE_CONFLICT]
    if ordered:
        shown = _with_accuracy(metrics, ordered)
        of_sets = {scores.choices(trials[trials["data_set"] == name]) for name in ordered}
        choices = of_sets.pop() if len(of_sets) == 1 else None
        path = folder / "accuracy"
        print_files(
            *figures.accuracy_bars(shown, tables["members"], ordered, examples, path, choices)
        )
    graded = [name for name in figures.DISTORTIONS if name in present]
    if graded:
        shown = _with_accuracy(metrics, graded)
        print_files(*figures.distortions_figure(shown, tables["members"], folder / "distortions"))
    times = _times(trials)
    if times:
        print_files(*figures.times_figure(times, folder / "response_times"))
    _draw_times_by_condition(trials, metrics, folder)
    edges = {
        str(name): scores.shape_and_edges(own)
        for name, own in trials.groupby("observer", sort=False)
        if scores.EDGE_CORRELATION in metrics[str(name)]
    }
    if edges:
        correlations = {name: metrics[name][scores.EDGE_CORRELATION] for name in edges}
        print_files(*figures.edges_figure(edges, correlations, folder / "edges"))
    _draw_consistency(tables["error_consistency"], folder)
    if summary[1]:
        print_files(*figures.summary_figure(*summary, folder / "summary"))


def _with_accuracy(
    metrics: Mapping[str, Mapping[str, Metric]], data_sets: list[str]
) -> dict[str, Mapping[str, Metric]]:
    """Return the observers of any of these data sets."""
    keys = {f"top1_acc/{name}" for name in data_sets}
    return {name: found for name, found in metrics.items() if keys & {*found}}


def _draw_times_by_condition(
    trials: pd.DataFrame, metrics: Mapping[str, Mapping[str, Metric]], folder: Path
) -> None:
    """Draw people's median response times, for the data sets of model-vs-human with conditions."""
    graded = [name for name, data_set in DATA_SETS.items() if len(data_set.conditions) > 1]
    people = trials["observer"].str.startswith(HUMANS) & trials["data_set"].isin(graded)
    timed = trials[people & trials["rt"].notna()]
    if timed.empty:
        return
    own = timed[timed["observer"] == HUMANS]
    medians = 1000 * own.groupby(["data_set", "condition", "member"])["rt"].median().unstack()
    each = {
        f"response-time/{data_set}/{condition}": row
        for (data_set, condition), row in zip(medians.index, medians.to_numpy(float), strict=True)
    }
    shown = {name: metrics[name] for name in dict.fromkeys(timed["observer"])}
    path = folder / "response_times_by_condition"
    print_files(*figures.times_by_condition_figure(shown, each, path))


def _draw_consistency(pairs: pd.DataFrame, folder: Path) -> None:
    """Draw the mean of the data sets that all observers share; without any, each data set."""
    _, shared = scores.matrix_of(pairs)
    if shared:
        groups = {"": pairs}
    else:
        groups = {f"_{name}": part for name, part in pairs.groupby("data_set", sort=False)}
    for ending, part in groups.items():
        matrix, data_sets = scores.matrix_of(part)
        if len(matrix) > 1:
            mean = "mean of " * (len(data_sets) > 1) + figures.mean_of_sets(data_sets)
            print_files(*matrix_figure(matrix, mean, folder / f"error_consistency{ending}"))


def _by_cue(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return each observer's percent of shape, texture and other decisions by category."""
    found = {}
    for name, trials in tables.items():
        rows = {}
        for category, part in trials.groupby("category"):
            counts = scores.cue_decisions(part)
            values = (counts.shape, counts.texture, counts.neither)
            rows[category] = [100 * value / max(1, counts.total) for value in values]
        found[name] = pd.DataFrame(rows, index=["shape", "texture", "neither"]).T
    return found


def _times(trials: pd.DataFrame) -> dict[str, dict[str, pd.Series]]:
    """Return people's response times by data set (and observer, if there are several)."""
    people = trials[trials["observer"].str.startswith(HUMANS)]
    several = people["observer"].nunique() > 1
    found: dict[str, dict[str, pd.Series]] = {}
    for (name, observer), part in people.groupby(["data_set", "observer"], sort=False):
        times = {str(member): scores.response_times(own) for member, own in part.groupby("member")}
        times = {member: own for member, own in times.items() if len(own)}
        if times:
            found[f"{name}, {observer}" if several else str(name)] = times
    return found


def pictures(stimuli: str | None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return an example picture of each data set, and a silhouette of each category, if there."""
    found = look_for("model-vs-human", stimuli)
    if found is None:
        return {}, {}
    examples, icons = {}, {}
    for data_set in [*DATA_SETS, *FIGURE_2]:
        files = sorted((found / data_set).rglob("*.png"))
        if files:
            examples[data_set] = _picture(files[0])
        if data_set == "silhouette":
            icons = _whole_shapes(files)
    return examples, icons


def _whole_shapes(files: list[Path]) -> dict[str, np.ndarray]:
    """Return the silhouette of each category that reaches the picture's border least."""
    best: dict[str, tuple[float, np.ndarray]] = {}
    for path in files:
        picture = _picture(path)
        edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
        dark = float(np.mean([255 - edge.astype(float) for edge in edges]))
        if dark < best.get(path.parent.name, (np.inf,))[0]:
            best[path.parent.name] = dark, picture
    return {category: picture for category, (_, picture) in best.items()}


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((112, 112)))


if __name__ == "__main__":
    sys.exit(main())
