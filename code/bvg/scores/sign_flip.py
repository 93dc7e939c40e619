"""The sign-flip test of paired differences.

Exact for the means of any differences whose signs are equally likely under the null hypothesis
(Fisher, The Design of Experiments, 1935, section 21). For differences of -1, 0 and 1, such as those
of right answers, it is McNemar's exact test.
"""

import math

import numpy as np

EXACT_UP_TO = 300  # differences; of more, the normal approximation differs by some percent
_STEPS = 200  # of the largest difference, to which the others are rounded


def sign_flip_p(differences: np.ndarray) -> float:
    """Return the one-sided p-value of the hypothesis that the mean difference is at most 0.

    differences: (N,) finite numbers. It is the probability that they sum to as much, or more, if
    each has a random sign. Rounding them to whole steps first keeps the test exact.
    """
    size = float(np.abs(differences).max(initial=0.0))
    if size == 0:
        return 1.0
    if len(differences) > EXACT_UP_TO:
        z = float(differences.sum() / np.sqrt(np.square(differences).sum()))
        return math.erfc(z / math.sqrt(2)) / 2
    steps = np.rint(differences * (_STEPS / size)).astype(np.int64)
    steps = steps[steps != 0] // np.gcd.reduce(steps)
    # With random signs, the sum of the positive ones is distributed as `chance`.
    chance = np.zeros(1 + np.abs(steps).sum())
    chance[0] = 1.0
    for step in np.abs(steps):
        moved = chance[:-step] / 2
        chance /= 2
        chance[step:] += moved
    return min(1.0, float(chance[steps[steps > 0].sum() :].sum()))
