"""The Configural Shape Score, image by image and pair by pair, in plain Python."""

from math import sqrt

# The paper's table 2.
ANIMALS = {
    "bear": [294, 295, 296, 297],
    "bunny": [330, 331, 332],
    "cat": [281, 282, 283, 284, 285],
    "elephant": [101, 385, 386],
    "frog": [30, 31, 32],
    "lizard": [38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48],
    "tiger": [286, 287, 288, 289, 290, 291, 292, 293],
    "turtle": [33, 34, 35, 36, 37],
    "wolf": [269, 270, 271, 272, 273, 274, 275],
}


def animal_of(logits, label: str) -> tuple[str, float]:
    """Return the answer to an image, and the margin of its label."""
    largest = {name: max(float(logits[k]) for k in own) for name, own in ANIMALS.items()}
    answer = max(ANIMALS, key=lambda name: largest[name])
    others = max(value for name, value in largest.items() if name != label)
    return answer, (largest[label] - others) / sqrt(2)


def scores(images: list[tuple[str, str, str, str, float]]) -> dict[str, float]:
    """Return the scores of images: pair, label, foil, answer, margin."""
    pairs: dict[str, list[tuple[bool, float]]] = {}
    for pair, label, _, answer, margin in images:
        pairs.setdefault(pair, []).append((answer == label, margin))
    whole = [members for members in pairs.values() if len(members) == 2]
    right = [sum(is_right for is_right, _ in members) for members in whole]
    return {
        "css": sum(count == 2 for count in right) / len(whole),
        "one-right": sum(count == 1 for count in right) / len(whole),
        "none-right": sum(count == 0 for count in right) / len(whole),
        "pair-margin": sum(min(margin for _, margin in members) for members in whole) / len(whole),
        "foil-rate": sum(answer == foil for _, _, foil, answer, _ in images) / len(images),
        "accuracy": 100 * sum(answer == label for _, label, _, answer, _ in images) / len(images),
    }
