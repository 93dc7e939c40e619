"""What decision tables of any observers say: accuracies, shape bias, response times, agreement.

The trials are those of `read_observers`. The tables record decisions, not how they were made:
whichever decision rule their authors used is in the numbers (docs/fidelity.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pandas as pd

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from bvg.scores.bootstrap import bootstrapped
from bvg.scores.decision_table import correctness
from bvg.scores.error_consistency import REPLICATES, consistencies, draws, mean_of_defined
from bvg.scores.frequency_cue_conflict import BIAS, PREFIX
from bvg.scores.metric import Metric, proportion
from bvg.scores.observers import HUMANS
from bvg.scores.shape_bias import CueDecisions, count_decisions, fractions

MISSED = "na"
EDGE_CORRELATION = "shape-bias/correlation/edge"
_NONE_DRAWN = "none of the drawn images counts"


def decision_metrics(trials: pd.DataFrame) -> dict[str, Metric]:
    """Return one observer's scores, by data set.

    top1_acc/<data set>[/<condition>] and, of people, missed/<data set> are in percent of the
    trials, response-time/<data set>[/<condition>] is the median in milliseconds. cue-conflict has
    shape-bias and fractions in [0, 1], also by category (/category/<name>) and by texture
    (/texture/<name>), and top1_acc/cue-conflict/congruent; other data sets with two cues have
    shape-bias/<data set>, or, of frequencies, frequency-cue-conflict/low-frequency-bias. With
    cue-conflict and edge, shape-bias/correlation/edge is Spearman's of `shape_and_edges`.
    Trials of several members are pooled, as published; their intervals are from a bootstrap over
    images, of which all members' trials are drawn together.
    """
    metrics: dict[str, Metric] = {}
    for name, part in trials.groupby("data_set", sort=False):
        metrics |= _accuracies(str(name), part)
        if len(response_times(part)):
            missed = part["object_response"] == MISSED
            metrics[f"missed/{name}"] = share(part, missed, scale=100)
            metrics |= _times(str(name), part)
        if has_cues(part) and name == CUE_CONFLICT:
            metrics |= _cue_metrics(part)
        elif has_cues(part):
            metrics[BIAS if name == PREFIX else f"shape-bias/{name}"] = shape_bias(part)
    both = shape_and_edges(trials)
    if len(both):
        metrics[EDGE_CORRELATION] = _rank_correlation(both)
    return metrics


def shape_and_edges(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one observer's shape bias and accuracy on edges (percent) by category.

    Columns shape_bias and edges, in rows the categories that have both; empty without both data
    sets. Geirhos et al. compare the two at the end of texture-vs-shape's data-analysis.R.
    """
    conflicts, edges = (trials[trials["data_set"] == name] for name in (CUE_CONFLICT, "edge"))
    biases = {c: cue_decisions(part).bias().value for c, part in conflicts.groupby("category")}
    right = edges["object_response"] == edges["category"]
    table = pd.DataFrame(
        {
            "shape_bias": pd.Series(biases, dtype=float),
            "edges": 100 * right.groupby(edges["category"]).mean(),
        }
    )
    return table.dropna()


def _rank_correlation(both: pd.DataFrame) -> Metric:
    """Return Spearman's correlation, with a bootstrap interval over categories."""
    n = len(both)
    chosen = np.random.default_rng(0).integers(n, size=(n, REPLICATES))
    one, two = (pd.DataFrame(both[name].to_numpy()[chosen]).rank() for name in both.columns)
    with np.errstate(invalid="ignore"):  # of resamples of one category
        value = both["shape_bias"].rank().corr(both["edges"].rank())
        replicates = one.corrwith(two).to_numpy()
    return bootstrapped(float(value), replicates, n, "all categories have the same rank")


def response_times(trials: pd.DataFrame) -> pd.Series:
    """Return the response times in milliseconds; none of networks."""
    return 1000 * pd.to_numeric(trials["rt"], errors="coerce").dropna()


def _times(name: str, trials: pd.DataFrame) -> dict[str, Metric]:
    """Return the median response times, over all trials and by condition."""
    parts = {name: trials}
    if trials["condition"].nunique() > 1:
        parts |= {f"{name}/{c}": part for c, part in trials.groupby("condition", sort=False)}
    times = {key: response_times(part) for key, part in parts.items()}
    return {
        f"response-time/{key}": Metric(float(own.median()), n=len(own))
        for key, own in times.items()
        if len(own)
    }


def has_cues(trials: pd.DataFrame) -> bool:
    """Return whether all images have a texture of their own."""
    return bool((trials["texture"] != "").all())


def _accuracies(name: str, trials: pd.DataFrame) -> dict[str, Metric]:
    right = trials["object_response"] == trials["category"]
    found = {f"top1_acc/{name}": share(trials, right, scale=100)}
    if trials["condition"].nunique() > 1:
        for condition, part in trials.groupby("condition", sort=False):
            key = f"top1_acc/{name}/{condition}"
            found[key] = share(part, right[part.index], scale=100)
    return found


def _cue_metrics(trials: pd.DataFrame) -> dict[str, Metric]:
    parts = {"": trials}
    for column, word in (("category", "category"), ("texture", "texture")):
        parts |= {f"/{word}/{name}": part for name, part in trials.groupby(column)}
    found = {}
    for ending, part in parts.items():
        found[f"shape-bias{ending}"] = shape_bias(part)
        shares = fractions(cue_decisions(part), ending)
        if trials["member"].nunique() > 1:  # intervals for independent decisions
            shares = {key: Metric(metric.value, n=metric.n) for key, metric in shares.items()}
        found |= shares
    congruent = trials["category"] == trials["texture"]
    right = congruent & (trials["object_response"] == trials["category"])
    found["top1_acc/cue-conflict/congruent"] = share(trials, right, congruent, scale=100)
    return found


def cue_decisions(trials: pd.DataFrame) -> CueDecisions:
    """Return how many decisions on conflict images followed the shape, the texture, or neither."""
    return count_decisions(trials["object_response"], trials["category"], trials["texture"])


def shape_bias(trials: pd.DataFrame) -> Metric:
    """Return the shape bias with an interval over images."""
    if trials["member"].nunique() == 1:
        return cue_decisions(trials).bias()
    response, shape, texture = (trials[name] for name in ("object_response", "category", "texture"))
    conflict = shape != texture
    followed = conflict & ((response == shape) | (response == texture))
    bias = share(trials, followed & (response == shape), followed)
    return replace(bias, n=int(conflict.sum()))


def share(
    trials: pd.DataFrame, hits: pd.Series, among: pd.Series | None = None, scale: float = 1
) -> Metric:
    """Return how large a share of the trials are hits, times `scale`.

    among: the trials that count (default: all). The interval is Wilson's for one member; for
    several, of a bootstrap over images.
    """
    among = hits | True if among is None else among
    total, n = int(hits.sum()), int(among.sum())
    metric = proportion(total, n, scale)
    if n == 0 or trials["member"].nunique() == 1:
        return metric
    by_image = [trials["condition"], trials["image"]]
    counts = pd.DataFrame({"hits": hits, "among": among}).groupby(by_image, sort=True).sum()
    weights = draws(len(counts), np.random.default_rng(0))
    drawn = weights @ counts.to_numpy(float)
    replicates = drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan)
    return bootstrapped(
        scale * total / n, scale * replicates, n, _NONE_DRAWN, share=(scale, len(counts))
    )


def members(trials: pd.DataFrame) -> pd.DataFrame:
    """Return every member's accuracy in percent by observer, data set and condition.

    Columns: observer, data_set, condition, member, accuracy, n.
    """
    keys = ["observer", "data_set", "condition", "member"]
    right = (trials["object_response"] == trials["category"]).groupby(
        [trials[key] for key in keys], sort=False
    )
    return pd.DataFrame({"accuracy": 100 * right.mean(), "n": right.size()}).reset_index()


def confusions(trials: pd.DataFrame) -> pd.DataFrame:
    """Return how often each observer gave each response: columns …, category, response, n."""
    keys = ["data_set", "observer", "category", "object_response"]
    counts = trials.groupby(keys, sort=False).size().rename("n").reset_index()
    return counts.rename(columns={"object_response": "response"})


def choices(trials: pd.DataFrame) -> int:
    """Return the number of possible answers: 16, or, of other categories, those that were shown."""
    shown = {*trials["category"]}
    return len(CATEGORIES) if shown & {*CATEGORIES} else len(shown)


def rights_of(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return, by data set, which images each network and each of the people got right.

    Rows by condition and image, 1, 0, or NaN for unseen; columns (observer, member) in the order of
    the trials, where a network's only member is all its sessions.
    """
    people = trials["observer"].str.startswith(HUMANS)
    member = trials["member"].where(people, "")
    named = trials.assign(subj=trials["observer"] + "\n" + member)
    found = {}
    for name, part in named.groupby("data_set", sort=False):
        right = correctness(part, str)[[*dict.fromkeys(part["subj"])]]
        right.columns = pd.MultiIndex.from_tuples([tuple(c.split("\n")) for c in right.columns])
        found[str(name)] = right
    return found


def agreement(rights: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the error consistency of every two observers on every data set, with intervals.

    rights: from `rights_of`. Kappa is averaged over pairs of members (people are compared with
    each other, too), then over the conditions that count. Columns: data_set, observer, other,
    value, low, high, n, note.
    """
    rows = []
    for name, right in rights.items():
        observers = [*dict.fromkeys(right.columns.get_level_values(0))]
        flat = right.set_axis(["\n".join(column) for column in right.columns], axis=1)
        own = {o: [c for c in flat.columns if c.partition("\n")[0] == o] for o in observers}
        groups = {}
        for one, other in combinations_with_replacement(observers, 2):
            pairs = combinations(own[one], 2) if one == other else product(own[one], own[other])
            groups[f"{one}\n{other}"] = [*pairs]
        conditions = _counted(name, [*dict.fromkeys(right.index.get_level_values(0))])
        for pair, consistency in consistencies(flat, groups, conditions).items():
            one, _, other = pair.partition("\n")
            metric = consistency.metric()
            values = (metric.value, metric.low, metric.high, metric.n, metric.note)
            rows.append((name, one, other, *values))
    columns = ["data_set", "observer", "other", "value", "low", "high", "n", "note"]
    return pd.DataFrame(rows, columns=columns)


def _counted(data_set: str, found: list[str]) -> list[str]:
    """Return the conditions that count, as model-vs-human has it; all of other data sets."""
    counted = DATA_SETS[data_set].counted if data_set in DATA_SETS else found
    return [condition for condition in found if condition in counted] or found


def matrix_of(pairs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a square table of `agreement`, and the data sets that it is a mean of.

    These are the data sets that all observers have in common; without any, the table is empty.
    """
    observers = [*dict.fromkeys([*pairs["observer"], *pairs["other"]])]
    seen = {
        str(name): {*part["observer"], *part["other"]} for name, part in pairs.groupby("data_set")
    }
    shared = [name for name, those in seen.items() if len(those) == len(observers)]
    matrix = pd.DataFrame(np.nan, index=observers, columns=observers)
    common = pairs[pairs["data_set"].isin(shared)]
    for (one, other), part in common.groupby(["observer", "other"]):
        value = float(mean_of_defined(part["value"].to_numpy(float)))
        matrix.loc[one, other] = matrix.loc[other, one] = value
    return (matrix if shared else matrix.iloc[:0, :0]), shared


OOD, DIFFERENCE = "OOD accuracy", "accuracy difference to humans"
OBSERVED, CONSISTENT = "observed consistency with humans", "error consistency with humans"


def summary(
    rights: Mapping[str, pd.DataFrame], pairs: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Return model-vs-human's four numbers of each observer, and of which data sets they are means.

    One row per observer, NaN where unknown; empty where no data set of model-vs-human's is common
    to all observers, or there are no people.

    Accuracy (in [0, 1]); its squared difference to each of the people's; the share of images that
    both got right or both wrong; and error consistency: means over people, the conditions that
    count, and the data sets that all observers and people have in common (Geirhos et al. 2021,
    section 2). rights, pairs: from `rights_of` and `agreement`. Each of the people is compared with
    the others.
    """
    observers = [
        *dict.fromkeys(o for right in rights.values() for o in right.columns.get_level_values(0))
    ]
    shared = [
        name
        for name, right in rights.items()
        if name in DATA_SETS and {*observers} == {*right.columns.get_level_values(0)}
    ]
    if not shared or HUMANS not in observers:
        return pd.DataFrame(), []
    rows = {}
    for observer in observers:
        values = np.array([_compared(rights[name], name, observer) for name in shared])
        kappa = pairs[
            pairs["data_set"].isin(shared)
            & (
                ((pairs["observer"] == observer) & (pairs["other"] == HUMANS))
                | ((pairs["other"] == observer) & (pairs["observer"] == HUMANS))
            )
        ]["value"].to_numpy(float)
        rows[observer] = [*mean_of_defined(values.T), float(mean_of_defined(kappa))]
    return pd.DataFrame(rows, index=[OOD, DIFFERENCE, OBSERVED, CONSISTENT]).T, shared


def _compared(right: pd.DataFrame, data_set: str, observer: str) -> tuple[float, float, float]:
    """Return one observer's accuracy, and its mean difference to and agreement with people."""
    values = []
    for condition in _counted(data_set, [*dict.fromkeys(right.index.get_level_values(0))]):
        table = right.loc[condition]
        own, people = table[[observer]], table[[HUMANS]]
        pairs = [(table[a], table[b]) for a, b in product(own.columns, people.columns) if a != b]
        differences = [(a.mean() - b.mean()) ** 2 for a, b in pairs]
        same = [(a == b)[a.notna() & b.notna()].mean() for a, b in pairs]
        means = (own.to_numpy(float).ravel(), differences, same)
        values.append([mean_of_defined(np.array(each, dtype=float)) for each in means])
    return tuple(mean_of_defined(np.array(values, dtype=float).T))
