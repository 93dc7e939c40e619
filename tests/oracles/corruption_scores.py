"""The scores of ImageNet-C, computed image by image from their definitions.

Source: Hendrycks & Dietterich, ICLR 2019, section 4. AlexNet's errors are arguments, in percent.
"""

# Fractions of the 250,000 images of each corruption that AlexNet misclassifies, to the last image:
# from the authors' code (github.com/hendrycks/robustness; also in that of AugMix), not the paper.
ALEXNET_FRACTIONS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}


def accuracy(rows: list[tuple[str, bool]], wanted: set[str]) -> float:
    """Return the percentage of right rows (condition, right) among the wanted conditions."""
    hits = [right for condition, right in rows if condition in wanted]
    return 100 * sum(hits) / len(hits)


def severities(corruption: str) -> set[str]:
    return {f"{corruption}_{severity}" for severity in range(1, 6)}


def corruption_error(rows: list[tuple[str, bool]], corruption: str, alexnet: float) -> float:
    """Return the sum of errors over the severities, in percent of AlexNet's sum."""
    errors = [100 - accuracy(rows, {condition}) for condition in severities(corruption)]
    return 100 * sum(errors) / (5 * alexnet)


def mean_corruption_error(rows: list[tuple[str, bool]], alexnet: dict[str, float]) -> float:
    return sum(corruption_error(rows, *of_one) for of_one in alexnet.items()) / len(alexnet)


def relative_error(
    rows: list[tuple[str, bool]], alexnet: dict[str, float], alexnet_clean: float
) -> float:
    """Return the mean of (errors above the clean error) / (AlexNet's above its clean error)."""
    clean = 100 - accuracy(rows, {"clean"})
    ratios = []
    for name, error_of_alexnet in alexnet.items():
        error = 100 - accuracy(rows, severities(name))
        ratios.append((error - clean) / (error_of_alexnet - alexnet_clean))
    return 100 * sum(ratios) / len(ratios)
