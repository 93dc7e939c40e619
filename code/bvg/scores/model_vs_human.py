"""The metrics of model-vs-human: accuracies, shape bias, and consistency with humans.

Source: Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021; which conditions count is theirs (data/model_vs_human.py).
"""

from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import correct_in_top
from bvg.scores.bootstrap import bootstrapped
from bvg.scores.decision_table import original_image
from bvg.scores.error_consistency import Consistency, Pairs, consistencies, consistency_matrix
from bvg.scores.max_rule import as_max, by_max_rule
from bvg.scores.metric import Metric, percentage
from bvg.scores.shape_bias import shape_bias_metrics

RESAMPLES = 10_000
SEED = 0  # of the bootstrap; fixed, so that a result can be recomputed to the last digit
CONSISTENCY = "error-consistency"
CONSISTENCY_MEAN = f"{CONSISTENCY}/mean"
OOD_MEAN = "top1_acc/ood_mean"

Rights = Mapping[str, pd.DataFrame]  # data set -> (condition, image) x observer: 1, 0 or NaN


def model_vs_human_metrics(
    predictions: Predictions, humans: Rights | None = None
) -> dict[str, Metric]:
    """Return accuracies (percent), shape bias, and, given humans, error consistency with them.

    If conditions of a data set are missing, top1_acc/<data set> is undefined (the mean over the
    others is top1_acc/<data set>/measured), and the data set is excluded from the mean. By the max
    rule (scores/max_rule.py), the same keys end in /max, without those of single conditions.
    """
    parts, other = split(predictions), by_max_rule(predictions)
    metrics = _accuracies(parts)
    if CUE_CONFLICT in parts:
        metrics |= shape_bias_metrics(parts[CUE_CONFLICT])
    by_max = _accuracies(split(other))
    if humans is not None:
        observers = {"mean": rights(predictions), "max": rights(other)}
        consistency = with_humans(observers, humans)
        metrics |= consistency["mean"]
        by_max |= consistency["max"]
    return metrics | as_max({key: m for key, m in by_max.items() if not is_condition(key)})


def is_condition(key: str) -> bool:
    """Return whether a metric is of a single condition of a data set."""
    data_set, _, condition = key.partition("/")[2].partition("/")
    return data_set in DATA_SETS and condition in DATA_SETS[data_set].conditions


def _accuracies(parts: Mapping[str, Predictions]) -> dict[str, Metric]:
    """Return the accuracies in percent: by data set, by condition, and their mean."""
    metrics: dict[str, Metric] = {}
    hits: dict[str, tuple[int, int]] = {}
    for name, part in parts.items():
        right = correct_in_top(part, 1)
        conditions = part.conditions
        missing = _missing(name, _conditions(part), True)
        metrics |= _whole(f"top1_acc/{name}", percentage(right), missing, "not measured")
        for condition in DATA_SETS[name].conditions:
            rows = conditions == f"{name}/{condition}"
            if len(DATA_SETS[name].conditions) > 1 and rows.any():
                metrics[f"top1_acc/{name}/{condition}"] = percentage(right[rows])
        counted = np.isin(conditions, [f"{name}/{c}" for c in DATA_SETS[name].counted])
        if not _missing(name, _conditions(part)):
            hits[name] = int(right[counted].sum()), int(counted.sum())
    return metrics | ood_mean(hits)


def _conditions(part: Predictions) -> set[str]:
    """Return the conditions of one data set's rows, without the data set's name."""
    return {name.partition("/")[2] for name in part.condition_names}


def _missing(data_set: str, present: Collection[str], of_all: bool = False) -> list[str]:
    """Return the missing conditions, of those that count or of all."""
    published = DATA_SETS[data_set]
    names = published.conditions if of_all else published.counted
    return [name for name in names if name not in present]


def _whole(key: str, metric: Metric, missing: list[str], why: str) -> dict[str, Metric]:
    """Return a metric over all conditions as `key`; if some are missing, as `key`/measured."""
    if not missing:
        return {key: metric}
    absent = Metric(None, n=metric.n, note=f"{why}: {', '.join(missing)}")
    return {key: absent, f"{key}/measured": metric}


def split(predictions: Predictions) -> dict[str, Predictions]:
    """Return the rows of each data set, in the published order."""
    of = np.array([name.partition("/")[0] for name in predictions.conditions], dtype=object)
    return {name: predictions.select(of == name) for name in DATA_SETS if (of == name).any()}


def ood_mean(hits: Mapping[str, tuple[int, int]]) -> dict[str, Metric]:
    """Return the mean of the data sets' accuracies, in percent: `top1_acc/ood_mean`.

    hits: data set -> right answers and images in the conditions that count. The interval is from a
    bootstrap over the images of each data set; drawing n of them with replacement makes the number
    of right answers binomial, so it is drawn as such.
    """
    generator = np.random.default_rng(SEED)
    values, resampled, images = {}, {}, []
    for name in DATA_SETS:
        right, n = hits.get(name, (0, 0))
        if n:
            values[name] = 100 * right / n
            resampled[name] = 100 * generator.binomial(n, right / n, RESAMPLES) / n
            images.append(n)
    # For Wilson's interval of 0 or 100 %: as if every data set had the size of the smallest.
    share = (100.0, len(images) * min(images, default=0))
    return _over_data_sets(OOD_MEAN, values, resampled, sum(images), share)


def _over_data_sets(
    key: str,
    values: dict[str, float],
    resampled: dict[str, np.ndarray] | None,
    images: int,
    share: tuple[float, int] | None = None,
) -> dict[str, Metric]:
    """Return the mean over all data sets as `key`, or over fewer as `key`/<k>_datasets.

    The latter is another quantity, so it has another name. resampled: replicates of each data set,
    for an interval; share: as in `bootstrapped`.
    """
    defined = [name for name in DATA_SETS if np.isfinite(values.get(name, np.nan))]
    missing = [name for name in DATA_SETS if name not in defined]
    fewer = f"without a value: {', '.join(missing)}"
    if len(defined) < len(missing):
        fewer = f"with a value: {', '.join(defined) or 'none'}"
    note = f"the mean is of all {len(DATA_SETS)} data sets; {fewer}"
    absent = {key: Metric(None, note=note)}
    if not defined:
        return absent
    mean = Metric(float(np.mean([values[name] for name in defined])), n=images)
    if resampled is not None:
        replicates = np.mean([resampled[name] for name in defined], axis=0)
        undefined = "a data set is undefined"
        mean = bootstrapped(mean.value or 0.0, replicates, images, undefined, share=share)
    return {**absent, f"{key}/{len(defined)}_datasets": mean} if missing else {key: mean}


def mean_of(metrics: Mapping[str, Metric], key: str) -> tuple[int, Metric]:
    """Return of how many data sets there is a mean under `key`, and the mean."""
    for count in range(len(DATA_SETS), 0, -1):
        name = key if count == len(DATA_SETS) else f"{key}/{count}_datasets"
        if name in metrics and metrics[name].value is not None:
            return count, metrics[name]
    return 0, Metric(None)


def rights(predictions: Predictions, name: str = "model") -> dict[str, pd.DataFrame]:
    """Return, by data set, which images the model got right, as one column `name` of 1 and 0."""
    found = {}
    for data_set, part in split(predictions).items():
        index = pd.MultiIndex.from_arrays(
            [
                [condition.partition("/")[2] for condition in part.conditions],
                [original_image(image) for image in part.images],
            ],
            names=["condition", "image"],
        )
        right = correct_in_top(part, 1).astype(float)
        table = pd.DataFrame({name: right}, index=index)
        found[data_set] = table[~table.index.duplicated()].sort_index()
    return found


def with_humans(models: Mapping[str, Rights], humans: Rights) -> dict[str, dict[str, Metric]]:
    """Return each model's error consistency with the humans: by condition, data set, and the mean.

    models: name -> `rights`. Kappa between the model and each human under each condition that
    counts, averaged over humans, then conditions, then data sets.
    """
    of_model: dict[str, dict[str, Consistency]] = {name: {} for name in models}
    for data_set, seen in humans.items():
        here = {
            name: right[data_set].iloc[:, 0] for name, right in models.items() if data_set in right
        }
        if here:
            # Prefixed, because a model and a human may have the same name.
            both = pd.concat([_named(here, "model"), _named(seen, "human")], axis=1)
            both = both[both.iloc[:, : len(here)].notna().any(axis=1)].sort_index()
            groups = {m: [(f"model {m}", f"human {h}") for h in seen.columns] for m in here}
            found = _consistencies(both, groups, data_set)
            for name, consistency in found.items():
                of_model[name][data_set] = consistency
    return {name: consistency_metrics(found) for name, found in of_model.items()}


def on_images_of(models: Mapping[str, Rights], humans: Rights) -> dict[str, pd.DataFrame]:
    """Return the humans' answers to the images that any of the models has seen."""
    found = {}
    for data_set, seen in humans.items():
        indices = [right[data_set].index for right in models.values() if data_set in right]
        shown = [seen.index.isin(index) for index in indices]
        if shown and np.any(shown):
            found[data_set] = seen[np.any(shown, axis=0)]
    return found


def _named(columns, kind: str) -> pd.DataFrame:
    return pd.DataFrame({f"{kind} {name}": columns[name] for name in columns})


def _consistencies(
    right: pd.DataFrame, groups: Mapping[str, Pairs], data_set: str
) -> dict[str, Consistency]:
    return consistencies(
        right, groups, DATA_SETS[data_set].counted, seed=[*DATA_SETS].index(data_set)
    )


def consistency_metrics(found: Mapping[str, Consistency]) -> dict[str, Metric]:
    """Return error consistency by condition, by data set, and averaged over data sets.

    As with accuracies, the value of a data set that lacks conditions is named …/measured and
    excluded from the mean.
    """
    metrics: dict[str, Metric] = {}
    for data_set, consistency in found.items():
        key, why = f"{CONSISTENCY}/{data_set}", "conditions without an image that both saw"
        metrics |= _whole(key, consistency.metric(), _not_shared(data_set, consistency), why)
        if len(DATA_SETS[data_set].conditions) > 1:
            for condition, metric in consistency.conditions.items():
                metrics[f"{CONSISTENCY}/{data_set}/{condition}"] = metric
    whole = {name: c for name, c in found.items() if not _not_shared(name, c)}
    values = {name: consistency.value for name, consistency in whole.items()}
    resampled = {name: consistency.replicates for name, consistency in whole.items()}
    images = sum(consistency.images for consistency in whole.values())
    return metrics | _over_data_sets(CONSISTENCY_MEAN, values, resampled, images)


def _not_shared(data_set: str, consistency: Consistency) -> list[str]:
    """Return the conditions without an image that both saw; none if all are (undefined)."""
    shared = [name for name, metric in consistency.conditions.items() if metric.n]
    return _missing(data_set, shared) if shared else []


def is_whole(data_set: str, right: pd.DataFrame) -> bool:
    """Return whether `rights` of a data set have all conditions that count."""
    return not _missing(data_set, set(right.index.get_level_values(0)))


def between_models(models: Mapping[str, Rights]) -> tuple[pd.DataFrame, int]:
    """Return all models' error consistency with each other, and of how many data sets it is a mean.

    models: name -> `rights`. Data sets that lack conditions do not count.
    """
    joined = {}
    for name in DATA_SETS:
        tables = [right[name] for right in models.values() if name in right]
        if any(is_whole(name, table) for table in tables):
            joined[name] = pd.concat(tables, axis=1)
    if not joined:
        return pd.DataFrame(np.nan, index=[*models], columns=[*models]), 0
    return consistency_matrix(joined, {n: DATA_SETS[n].counted for n in joined}), len(joined)


def human_metrics(humans: Rights) -> dict[str, Metric]:
    """Return the humans' accuracies (percent) and error consistency among themselves.

    Accuracies are over all responses of all humans, as published, and without intervals, since
    responses to one image are not independent. Each pair of humans is compared once.
    """
    metrics: dict[str, Metric] = {}
    means, responses = {}, 0
    found = {}
    for data_set, right in humans.items():
        by_condition = right.groupby(level=0)
        sums, counts = by_condition.sum().sum(axis=1), by_condition.count().sum(axis=1)
        accuracy = _percent(sums.sum(), counts.sum())
        missing = _missing(data_set, sums.index, True)
        metrics |= _whole(f"top1_acc/{data_set}", accuracy, missing, "no responses")
        conditions = [c for c in DATA_SETS[data_set].conditions if c in sums.index]
        if len(DATA_SETS[data_set].conditions) > 1:
            for condition in conditions:
                key = f"top1_acc/{data_set}/{condition}"
                metrics[key] = _percent(sums[condition], counts[condition])
        counted = [c for c in conditions if c in DATA_SETS[data_set].counted]
        if counted and not _missing(data_set, counted):
            means[data_set] = 100 * sums[counted].sum() / counts[counted].sum()
            responses += int(counts[counted].sum())
        pairs = {"humans": list(combinations(right.columns, 2))}
        for consistency in _consistencies(right, pairs, data_set).values():
            found[data_set] = consistency
    metrics |= _over_data_sets(OOD_MEAN, means, None, responses)
    return metrics | consistency_metrics(found)


def _percent(right: float, n: float) -> Metric:
    return Metric(float(100 * right / n), n=int(n)) if n else Metric(None, note="no response")
