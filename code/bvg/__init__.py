"""The library behind the scripts, with the functions that notebooks use.

    from bvg import evaluate, imagenet_val, load_models, options, top5

    args = options(model=["tv_resnet50"], limit=100, results="mine")
    models, classes = load_models(args)
    images = imagenet_val("/data/imagenet", classes)
    runs = evaluate("my_benchmark", models, images, stimuli, top5, score, args)

A notebook next to `code/` needs `sys.path.insert(0, "code")` first.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "Batch": "stimuli.batch",
    "ImageSet": "data.image_set",
    "Metric": "scores.metric",
    "Predictions": "predictions.table",
    "Preprocessing": "data.preprocessing",
    "Run": "run.runs",
    "UserError": "errors",
    "accuracy": "scores.accuracy",
    "condition_accuracies": "scores.accuracy",
    "evaluate": "run.evaluate",
    "find_data": "data.finding",
    "imagenet_flags": "run.command_line",
    "imagenet_val": "data.imagenet",
    "load_model": "zoo.loading",
    "load_models": "run.evaluate",
    "bootstrapped": "scores.bootstrap",
    "options": "run.command_line",
    "parse_args": "run.command_line",
    "print_table": "run.runs",
    "proportion": "scores.metric",
    "resampled_accuracies": "scores.bootstrap",
    "script": "run.command_line",
    "sixteen_way": "run.decisions",
    "top1_by_condition": "scores.accuracy",
    "top5": "run.decisions",
    "unchanged": "stimuli.batch",
}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Return one of the names above, imported on first use, since PyTorch takes seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module 'bvg' has no attribute {name!r}")
    return getattr(import_module(f"bvg.{_PLACES[name]}"), name)
