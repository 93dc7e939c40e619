"""The scores of ImageNet-C, written down image by image from their definitions."""

# Hendrycks & Dietterich 2019: AlexNet's errors in percent.
ALEXNET = {
    "gaussian_noise": 88.6,
    "shot_noise": 89.4,
    "impulse_noise": 92.3,
    "defocus_blur": 82.0,
    "glass_blur": 82.6,
    "motion_blur": 78.6,
    "zoom_blur": 79.8,
    "snow": 86.7,
    "frost": 82.7,
    "fog": 81.9,
    "brightness": 56.5,
    "contrast": 85.3,
    "elastic_transform": 64.6,
    "pixelate": 71.8,
    "jpeg_compression": 60.7,
}


def accuracy(rows: list[tuple[str, bool]], wanted: set[str]) -> float:
    """Return the percentage of right rows (condition, right) among the wanted conditions."""
    hits = [right for condition, right in rows if condition in wanted]
    return 100 * sum(hits) / len(hits)


def severities(corruption: str) -> set[str]:
    return {f"{corruption}_{severity}" for severity in range(1, 6)}


def corruption_error(rows: list[tuple[str, bool]], corruption: str) -> float:
    """Return the sum of errors over the severities, in percent of AlexNet's sum."""
    errors = [100 - accuracy(rows, {condition}) for condition in severities(corruption)]
    return 100 * sum(errors) / (5 * ALEXNET[corruption])


def mean_corruption_error(rows: list[tuple[str, bool]]) -> float:
    return sum(corruption_error(rows, name) for name in ALEXNET) / len(ALEXNET)


def relative_error(rows: list[tuple[str, bool]]) -> float:
    """Return the mean of (errors above the clean error) / (AlexNet's above its 43.5 %)."""
    clean = 100 - accuracy(rows, {"clean"})
    ratios = []
    for name, alexnet in ALEXNET.items():
        error = 100 - accuracy(rows, severities(name))
        ratios.append((error - clean) / (alexnet - 43.5))
    return 100 * sum(ratios) / len(ratios)
