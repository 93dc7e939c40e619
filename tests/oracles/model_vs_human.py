"""Scores of model-vs-human from its CSV files, in plain Python: one pair, one image at a time."""

import csv
import itertools
from pathlib import Path


def responses(folder: Path, subject: str = "subject-") -> dict[str, dict[tuple[str, str], bool]]:
    """Return observer -> {(condition, original file): is the response right} of a folder."""
    found: dict[str, dict[tuple[str, str], bool]] = {}
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                parts = row["imagename"].split("_")
                original = parts[-1]
                if len(parts) > 1 and parts[-2][:2] == "n0":
                    original = parts[-2] + "_" + original
                if row["subj"].startswith(subject):
                    answers = found.setdefault(row["subj"], {})
                    key = (row["condition"], original)
                    answers[key] = row["object_response"] == row["category"]
    return found


def kappa(one: dict, other: dict, condition: str) -> float:
    """Return Cohen's kappa of two observers on the images of a condition that both saw."""
    keys = [key for key in one if key[0] == condition and key in other]
    n = len(keys)
    p1 = sum(one[key] for key in keys) / n
    p2 = sum(other[key] for key in keys) / n
    observed = sum(one[key] == other[key] for key in keys) / n
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    return (observed - expected) / (1 - expected)


def among(observers: dict[str, dict], conditions: list[str]) -> float:
    """Return the mean kappa over pairs of observers, then over conditions."""
    by_condition = []
    for condition in conditions:
        pairs = itertools.combinations(observers.values(), 2)
        values = [kappa(one, other, condition) for one, other in pairs]
        by_condition.append(sum(values) / len(values))
    return sum(by_condition) / len(by_condition)


def with_each(model: dict, humans: dict[str, dict], conditions: list[str]) -> float:
    """Return the mean kappa of a model and each human, then over conditions."""
    by_condition = []
    for condition in conditions:
        values = [kappa(model, human, condition) for human in humans.values()]
        by_condition.append(sum(values) / len(values))
    return sum(by_condition) / len(by_condition)


def accuracy(observers: dict[str, dict], conditions: list[str]) -> float:
    """Return the fraction of right responses of all observers under these conditions."""
    right = [
        correct
        for answers in observers.values()
        for (condition, _), correct in answers.items()
        if condition in conditions
    ]
    return sum(right) / len(right)
