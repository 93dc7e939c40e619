"""The rank of a label among all classes, by counting."""


def rank_of(logits: list[float], members: list[int]) -> int:
    """Return the best rank of the members, from 1; of equal logits the lower index is first."""
    return min(
        1
        + sum(value > logits[own] for value in logits)
        + sum(value == logits[own] for value in logits[:own])
        for own in members
    )
