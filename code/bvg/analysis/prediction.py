"""How well biases predict generalisation: R² on models that the prediction has not seen.

Ridge regression, and a Gaussian process (RBF kernel) for what is not linear. Folds are random, or
leave out one training category at a time, which asks the harder question: does what was learnt of
other kinds of models hold for a new kind? Hyperparameters are chosen inside each training fold by
leave-one-out error. The null distribution comes from the same procedure on permuted outcomes.

Sources: Hoerl & Kennard 1970; Rasmussen & Williams, "Gaussian Processes for Machine Learning",
2006, section 5.4.2 (leave-one-out in closed form).
"""

from collections.abc import Callable, Iterator
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bvg.analysis import ranks

SHUFFLES = (
    2000  # for up to FULL models; of more, fewer, and of more than MOST_MODELS as many at random
)
FULL, MOST_MODELS = 60, 200
FOLDS = 10
FEWEST_MODELS, FEWEST_TRAINED_ON, FEWEST_CATEGORIES = 10, 5, 3
RIDGE_PENALTIES = np.logspace(-2, 4, 7)
GP_LENGTHS = (0.5, 1.0, 2.0)  # times the square root of the number of biases
GP_NOISES = (0.03, 0.3, 3.0)  # variance, relative to the signal's

# Features (train, d) and (test, d), outcomes (train, T) → predictions (test, T).
Predictor = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Folds = list[tuple[np.ndarray, np.ndarray]]


def ridge(x: np.ndarray, new: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what ridge regression predicts; each outcome has its own penalty."""
    model = RidgeCV(RIDGE_PENALTIES, alpha_per_target=True).fit(x, y)
    return np.asarray(model.predict(new)).reshape(len(new), -1)


def gaussian_process(x: np.ndarray, new: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a Gaussian process's mean; each outcome has its own length scale and noise.

    One inverse per setting serves all outcomes: the leave-one-out error is [K⁻¹y]ᵢ / [K⁻¹]ᵢᵢ.
    """
    mean, scale = y.mean(axis=0), y.std(axis=0)
    scaled = ((y - mean) / np.where(scale > 0, scale, 1)).astype(np.float32)
    settings = []
    for length in GP_LENGTHS:
        kernel = RBF(length * np.sqrt(x.shape[1]))
        inside, across = kernel(x), kernel(new, x)
        for noise in GP_NOISES:
            inverse = np.linalg.inv(inside + noise * np.eye(len(x)))
            settings.append((inverse, (across @ inverse).astype(np.float32)))
    errors = []
    for inverse, _ in settings:
        left_out = (inverse / np.diag(inverse)[:, None]).astype(np.float32) @ scaled
        errors.append(np.einsum("ij,ij->j", left_out, left_out))
    chosen = np.argmin(errors, axis=0)
    predicted = np.empty((len(new), y.shape[1]))
    for number, (_, predicts) in enumerate(settings):
        columns = np.flatnonzero(chosen == number)
        predicted[:, columns] = predicts @ scaled[:, columns]
    return mean + predicted * scale


PREDICTORS: dict[str, Predictor] = {"ridge": ridge, "Gaussian process": gaussian_process}


def random_folds(n: int) -> Folds:
    """Return train and test positions of n models in at most ten random folds."""
    return [*KFold(min(FOLDS, n), shuffle=True, random_state=0).split(np.zeros(n))]


def category_folds(categories: np.ndarray) -> Folds:
    """Return train and test positions, a fold per category; none where there are too few."""
    if len(set(categories)) < FEWEST_CATEGORIES:
        return []
    folds = LeaveOneGroupOut().split(np.zeros(len(categories)), groups=categories)
    return [(train, test) for train, test in folds if len(train) >= FEWEST_TRAINED_ON]


def out_of_fold_r2(predict: Predictor, x: np.ndarray, y: np.ndarray, folds: Folds) -> np.ndarray:
    """Return R² (T,) of predictions for held-out models.

    x: (n, d) biases, y: (n, T) outcomes. R² is 1 - squared errors / squared distances from the mean
    of the models that were trained on; negative where that mean predicts better.
    """
    error, spread = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for train, test in folds:
        scaler = StandardScaler().fit(x[train])
        predicted = predict(scaler.transform(x[train]), scaler.transform(x[test]), y[train])
        error += ((y[test] - predicted) ** 2).sum(axis=0)
        spread += ((y[test] - y[train].mean(axis=0)) ** 2).sum(axis=0)
    return 1 - error / np.where(spread > 0, spread, nan)


def prediction_table(
    biases: pd.DataFrame, targets: pd.DataFrame, categories: np.ndarray
) -> pd.DataFrame:
    """Return R² and its permutation p for all biases together and for each alone.

    Columns: biases ("all" or one's name), target, predictor, folds ("random" or "by category"), n,
    r2, null95 (the 95th percentile of R² when outcomes are permuted), p, note.
    """
    columns = ["biases", "target", "predictor", "folds", "n", "r2", "null95", "p", "note"]
    choices = ([[*biases]] if len(biases.columns) > 1 else []) + [[name] for name in biases]
    # Products this small gain nothing from threads, which on a busy machine wait for each other.
    with threadpool_limits(1):
        rows = [row for names in choices for row in _rows(biases[names], targets, categories)]
    return pd.DataFrame(rows, columns=columns)


def _rows(
    biases: pd.DataFrame, targets: pd.DataFrame, categories: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one choice of biases; targets with the same models are done together."""
    known = biases.notna().all(axis=1).to_numpy()[:, None] & targets.notna().to_numpy(dtype=bool)
    name = "all" if len(biases.columns) > 1 else biases.columns[0]
    patterns: dict[bytes, list[int]] = {}
    for number in range(known.shape[1]):
        patterns.setdefault(known[:, number].tobytes(), []).append(number)
    for numbers in patterns.values():
        models = np.flatnonzero(known[:, numbers[0]])
        models = models[ranks.random_subset(len(models), MOST_MODELS)]
        for folds_name, folds, note in _foldings(categories[models]):
            facts = {"biases": name, "folds": folds_name, "n": len(models), "note": note}
            x = biases.to_numpy()[models]
            y = targets.iloc[:, numbers].to_numpy()[models]
            for predictor, predict in PREDICTORS.items():
                scores = _with_null(predict, x, y, folds) if not note else [{}] * len(numbers)
                for number, score in zip(numbers, scores, strict=True):
                    target = targets.columns[number]
                    yield {**facts, "target": target, "predictor": predictor, **score}


def _foldings(categories: np.ndarray) -> Iterator[tuple[str, Folds, str]]:
    """Yield the name of each way to make folds, the folds, and why there are none."""
    few = len(categories) < FEWEST_MODELS
    too_few = f"only {len(categories)} models; at least {FEWEST_MODELS} are needed" if few else ""
    yield "random", [] if few else random_folds(len(categories)), too_few
    folds = [] if few else category_folds(categories)
    lacking = f"fewer than {FEWEST_CATEGORIES} categories"
    yield "by category", folds, too_few or ("" if folds else lacking)


def _with_null(
    predict: Predictor, x: np.ndarray, y: np.ndarray, folds: Folds
) -> list[dict[str, Any]]:
    """Return R², the null's 95th percentile and p, for each outcome (n, T), or why there are none.

    An outcome that all models have in common leaves nothing to be predicted.
    """
    varies = np.ptp(y, axis=0) > 0
    scores: list[dict[str, Any]] = [{"note": "all models have the same value"} for _ in varies]
    if not varies.any():
        return scores
    order, _ = ranks.shuffles(len(x), min(SHUFFLES, SHUFFLES * FULL // len(x)))
    y = y[:, varies]
    outcomes = np.concatenate([y[None], y[order]]).transpose(1, 2, 0)  # (n, T, 1 + P)
    r2 = out_of_fold_r2(predict, x, outcomes.reshape(len(x), -1), folds)
    found = zip(np.flatnonzero(varies), r2.reshape(y.shape[1], -1).tolist(), strict=True)
    for number, (observed, *null) in found:
        p = ranks.permutation_p(observed, np.array(null), every=False)
        scores[number] = {"r2": observed, "null95": float(np.nanpercentile(null, 95)), "p": p}
    return scores
