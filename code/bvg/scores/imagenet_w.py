"""Reliance on a watermark: what a text over the images does to accuracy and to one class.

Source: Li et al., "A Whac-A-Mole Dilemma: Shortcuts Come in Multiples Where Mitigating One
Amplifies Others", CVPR 2023. The IN-W gap is accuracy with the watermark - accuracy without it; the
carton gap is the same among images of cartons; ΔP(carton) is the change of the probability of that
class, over all images.
"""

from bvg.predictions.table import Predictions
from bvg.scores.accuracy import by_condition, condition_accuracies, top1_by_condition
from bvg.scores.bootstrap import bootstrapped_mean
from bvg.scores.metric import Metric
from bvg.stimuli.batch import CLEAN

CARTON, CARTON_WNID = "carton", "n02971356"  # ImageNet's class 478
WATERMARK = "imagenet-w"  # the condition
PREFIX = "imagenet-w"
GAP, CARTON_GAP, DELTA = f"{PREFIX}/gap", f"{PREFIX}/carton-gap", f"{PREFIX}/delta-p-carton"


def imagenet_w_metrics(predictions: Predictions) -> dict[str, Metric]:
    """Return top1_acc/clean and top1_acc/imagenet-w in percent, and three changes in points.

    predictions: under the conditions `clean` and `imagenet-w`; the column `carton_probability` if
        the model has that class. The 95 % intervals of the changes are from a bootstrap over
        images, each of which is drawn with and without the watermark. Without that class, or images
        of it, the measures of it are undefined.
    """
    conditions, correct = top1_by_condition(predictions)
    clean, marked = conditions.index(CLEAN), conditions.index(WATERMARK)
    accuracies = condition_accuracies(conditions, correct)
    changes = 100.0 * correct[:, marked] - 100.0 * correct[:, clean]
    metrics = {**accuracies, GAP: bootstrapped_mean(changes, "there is no image")}
    if CARTON_WNID not in predictions.classes:
        note = f"the model has no class {CARTON} ({CARTON_WNID})"
        return {**metrics, CARTON_GAP: Metric(None, note=note), DELTA: Metric(None, note=note)}
    labels = by_condition(predictions, predictions.labels)[:, clean]
    cartons = labels == predictions.classes.index(CARTON_WNID)
    probability = by_condition(predictions, predictions.columns[f"{CARTON}_probability"])
    gained = 100.0 * (probability[:, marked].astype(float) - probability[:, clean])
    metrics[CARTON_GAP] = bootstrapped_mean(changes[cartons], f"no image is of the class {CARTON}")
    return {**metrics, DELTA: bootstrapped_mean(gained, "there is no image")}
