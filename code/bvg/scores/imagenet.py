"""All scores of predictions on ImageNet's validation set."""

from bvg.data.imagenet_x import Annotations
from bvg.predictions.table import Predictions
from bvg.scores.accuracy import imagenet_accuracy
from bvg.scores.calibration import calibration_metrics
from bvg.scores.class_balance import class_balance_metrics
from bvg.scores.imagenet_x import imagenet_x_metrics
from bvg.scores.metric import Metric


def imagenet_metrics(
    predictions: Predictions, annotations: Annotations | None = None
) -> dict[str, Metric]:
    """Return accuracy, calibration and class balance, and with annotations ImageNet-X's ratios."""
    own = imagenet_accuracy(predictions) | calibration_metrics(predictions)
    own |= class_balance_metrics(predictions)
    return own | (imagenet_x_metrics(predictions, annotations) if annotations else {})
