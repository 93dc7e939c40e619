"""Accuracy by variant, BG-gap and object focus, by counting."""


def accuracies(rows: list[tuple[str, bool]]) -> dict[str, float]:
    """Return the accuracy in percent by variant of (variant, whether right)."""
    found = {}
    for variant in {variant for variant, _ in rows}:
        right = [correct for of, correct in rows if of == variant]
        found[variant] = 100 * sum(right) / len(right)
    return found


def gap(accuracy: dict[str, float]) -> float:
    """Return the BG-gap in percentage points."""
    return accuracy["mixed_same"] - accuracy["mixed_rand"]


def focus(accuracy: dict[str, float]) -> float:
    """Return the object focus."""
    return 1 - (accuracy["mixed_same"] - accuracy["mixed_rand"]) / accuracy["original"]
