"""Distance correlation and Chatterjee's ξ, straight from their definitions, in plain loops."""

from math import sqrt


def distance_correlation(x, y) -> float:
    """Székely, Rizzo & Bakirov 2007, definitions 3 and 5."""
    n = len(x)

    def centred(v):
        d = [[abs(v[i] - v[j]) for j in range(n)] for i in range(n)]
        row = [sum(d[i]) / n for i in range(n)]
        whole = sum(row) / n
        return [[d[i][j] - row[i] - row[j] + whole for j in range(n)] for i in range(n)]

    def covariance(a, b):
        return sum(a[i][j] * b[i][j] for i in range(n) for j in range(n)) / n**2

    a, b = centred(x), centred(y)
    return sqrt(covariance(a, b) / sqrt(covariance(a, a) * covariance(b, b)))


def xi(x, y) -> float:
    """Chatterjee 2021, section 1, for x without ties."""
    n = len(x)
    sorted_y = [b for _, b in sorted(zip(x, y, strict=True))]
    r = [sum(other <= value for other in sorted_y) for value in sorted_y]
    at_least = [sum(other >= value for other in sorted_y) for value in sorted_y]
    steps = sum(abs(r[i + 1] - r[i]) for i in range(n - 1))
    return 1 - n * steps / (2 * sum(k * (n - k) for k in at_least))
