"""The sign-flip test by enumeration: every assignment of signs is tried."""

from itertools import product


def p_value(differences: list[float]) -> float:
    """Return the share of all assignments of signs whose sum is at least the observed one."""
    observed = sum(differences)
    sums = [
        sum(sign * abs(value) for sign, value in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(total >= observed for total in sums) / len(sums)
