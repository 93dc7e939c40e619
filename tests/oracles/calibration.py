"""Calibration, class balance and ImageNet-X's error ratios, by pandas' groups."""

import numpy as np
import pandas as pd


def expected_calibration_error(confidence, correct) -> float:
    """Return the ECE of 15 equal-width bins, closed on the right."""
    table = pd.DataFrame({"confidence": confidence, "correct": correct}).astype(float)
    bins = pd.cut(table["confidence"], np.linspace(0, 1, 16), include_lowest=True)
    means = table.groupby(bins, observed=True).mean()
    weights = table.groupby(bins, observed=True).size() / len(table)
    return float(((means["confidence"] - means["correct"]).abs() * weights).sum())


def class_balance(labels, correct, probability) -> tuple[float, float, float]:
    """Return the balance of accuracies, that of the label's probability, and their product's root.

    The definitions of Hesse et al., one class at a time: a spread with divisor C - 1 among classes,
    spreads with divisor n within them.
    """
    accuracies, spreads = [], []
    for label in sorted(set(labels)):
        own = [k for k in range(len(labels)) if labels[k] == label]
        accuracies.append(sum(correct[k] for k in own) / len(own))
        mean = sum(probability[k] for k in own) / len(own)
        spreads.append((sum((probability[k] - mean) ** 2 for k in own) / len(own)) ** 0.5)
    centre = sum(accuracies) / len(accuracies)
    spread = (sum((a - centre) ** 2 for a in accuracies) / (len(accuracies) - 1)) ** 0.5
    first, second = 1 - spread, 1 - sum(spreads) / len(spreads)
    return first, second, (first * second) ** 0.5


def error_ratios(predictions: pd.DataFrame, annotations: pd.DataFrame, prototypes) -> pd.Series:
    """Return the error ratio by factor.

    predictions: file_name, predicted_class. annotations: file_name, class, a column per factor.
    """
    kept = annotations[~annotations["file_name"].isin(prototypes)]
    both = kept.merge(predictions, on="file_name", validate="one_to_one")
    wrong = both["predicted_class"] != both["class"]
    marks = both.drop(columns=["file_name", "class", "predicted_class"])
    marks = marks.select_dtypes("number")
    return pd.Series({name: wrong[marks[name] == 1].mean() / wrong.mean() for name in marks})
