"""A check of a model's input: whether it knows photographs better under another convention.

Given RGB where it expects BGR, pixels that are normalized twice or not at all, in another range, or
images of another size, a model loses some percentage points, and its biases change, but nothing
looks wrong. Some photographs reveal it: they are shown in the convention in use and in other common
ones, and the probabilities of the right classes are compared.
"""

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from bvg.data.image_set import ImageSet, class_balanced
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.errors import UserError, reason_of
from bvg.run.batches import as_batch
from bvg.run.models import LoadedModel
from bvg.run.runs import Run
from bvg.run.settings import Settings, autocast
from bvg.scores.sign_flip import sign_flip_p
from bvg.stimuli.batch import Batch
from bvg.zoo.normalized import NormalizedModel, Reordered
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD

SAMPLE = 256  # photographs of the check that long runs make
SCREENED = 32  # that all conventions are shown; the best is then tested on the others
LONG = 45_000  # images, of a run that the check of a model with all conventions makes 2 % longer
BATCH = 16  # at a time, which fit into memory where the batches of the run may be halved first
SURE = 0.001  # p-value that a better convention must have
BETTER = 3.0  # percentage points of accuracy that it must gain
FLOOR = -100.0  # log-probabilities below count as this
# That logits are divided by. For each convention the best one is used, since another size of the
# images, or contrast, makes most models more or less confident, whether they know more or not.
TEMPERATURES = np.geomspace(0.1, 10, 25).tolist()

Pixels = Callable[[torch.Tensor], torch.Tensor]
Statistics = tuple[Sequence[float], Sequence[float]]  # mean and std of R, G and B


@dataclass(frozen=True)
class Convention:
    """What a model may expect of its input.

    expects: in words. change: images in [0, 1] → what to give to the model, both (B, 3, H, W).
    code: the same in a user's forward(x). flags: the same as flags for a checkpoint (file://).
    view: the preprocessing of the images, if it is another one than in use.
    """

    expects: str
    change: Pixels
    code: str = ""
    flags: str = ""
    view: Preprocessing | None = None


@dataclass(frozen=True)
class Answers:
    """Answers to N photographs, first in the convention in use, then in C - 1 others.

    right: (C, N) bool. log_probability: (C, N) float64, of the right class, at each convention's
    best temperature (Guo et al., ICML 2017). labels: (N,). classes: how many the model has.
    """

    right: np.ndarray
    log_probability: np.ndarray
    labels: np.ndarray
    classes: int


def _unchanged(x: torch.Tensor) -> torch.Tensor:
    return x


def _affine(scale: Sequence[float], shift: Sequence[float]) -> Pixels:
    def apply(x: torch.Tensor) -> torch.Tensor:
        a, b = (torch.tensor(values, device=x.device).view(-1, 1, 1) for values in (scale, shift))
        return x * a + b

    return apply


def _normalise(mean: Sequence[float], std: Sequence[float]) -> Pixels:
    pairs = [*zip(mean, std, strict=True)]
    return _affine([1 / s for _, s in pairs], [-m / s for m, s in pairs])


def _grey(x: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor((0.299, 0.587, 0.114), device=x.device)  # ITU-R BT.601, as Pillow
    return torch.einsum("bchw,c->bhw", x, weights).unsqueeze(1).expand_as(x)


_IMAGENET: Statistics = (IMAGENET_MEAN, IMAGENET_STD)
_HALF: Statistics = ((0.5,) * 3, (0.5,) * 3)
_RAW: Statistics = ((0.0,) * 3, (1.0,) * 3)
_USUAL = {
    _IMAGENET: "pixels normalized with ImageNet's mean and std",
    _HALF: "pixels normalized with mean and std 0.5",
    _RAW: "pixels in [0, 1]",
}
_BGR = Convention("BGR channels", lambda x: x.flip(1), "x.flip(1)")
_GREY = Convention("grey images", _grey, "x converted to grey")
_255 = Convention(
    "pixels in 0-255",
    lambda x: 255 * x,
    "255 * x",
    "--mean 0 0 0 --std 0.00392157 0.00392157 0.00392157",
)
_CAFFE = Convention(
    "BGR channels in 0-255 minus their means, as in Caffe",
    lambda x: _affine((255.0,) * 3, (-103.939, -116.779, -123.68))(x.flip(1)),
    "255 * x.flip(1) minus 103.939, 116.779 and 123.68",
)
# Pixels, instead of the study's 224. None is larger: many networks are better at those than at the
# size that they were trained with, and a table of positions that is too short breaks a GPU's work.
_SIDES = (64, 128)


def conventions(model: nn.Module, view: Preprocessing) -> list[Convention]:
    """Return what the model may expect instead of the convention in use.

    Where its mean and std are known: what its network may expect instead. Other models may also
    normalize their input by themselves; ImageNet's mean and std and 0.5 are then undone, and
    exchanged. Other sizes are only for models that do not state their preprocessing.
    view: the preprocessing in use.
    """
    known = _statistics_of(model)
    found = [_BGR, _GREY]
    for in_use in (known,) if known else _USUAL:
        others = [_normalized(wanted) for wanted in _USUAL if not _same(wanted, in_use)]
        if known or in_use == _RAW:
            others += [_255, _CAFFE]
        found += [_instead_of(in_use, other) for other in others]
    if view == STUDY and getattr(model, "native", None) is None:
        sizes = [Preprocessing(round(side * view.resize / view.crop), side) for side in _SIDES]
        found += [
            Convention(f"images of {v.crop} x {v.crop} pixels", _unchanged, view=v) for v in sizes
        ]
        squashed = Preprocessing(view.crop, view.crop, squash="pillow")
        found.append(Convention("whole photographs, out of proportion", _unchanged, view=squashed))
    return found


def _statistics_of(model: nn.Module) -> Statistics | None:
    """Return the mean and std with which the model normalizes, if it is known."""
    if isinstance(model, Reordered):
        model = model.network
    if not isinstance(model, NormalizedModel):
        return None
    mean, std = (
        tuple(values.expand(3, 1, 1).flatten().tolist()) for values in (model.mean, model.std)
    )
    return mean, std


def _same(one: Statistics, other: Statistics) -> bool:
    return np.allclose(one, other, rtol=0, atol=1e-6)


def _words(statistics: Statistics) -> str:
    named = [words for usual, words in _USUAL.items() if _same(usual, statistics)]
    mean, std = (" ".join(f"{value:.3g}" for value in values) for values in statistics)
    return named[0] if named else f"pixels normalized with mean {mean} and std {std}"


def _normalized(statistics: Statistics) -> Convention:
    mean, std = (" ".join(f"{value:g}" for value in values) for values in statistics)
    words = _words(statistics)
    return Convention(words, _normalise(*statistics), words, f"--mean {mean} --std {std}")


def _instead_of(in_use: Statistics, wanted: Convention) -> Convention:
    """Return the convention for a model whose network gets pixels normalized in another way."""
    mean, std = in_use
    undo = _affine(std, mean)
    return replace(
        wanted,
        expects=f"{wanted.expects} (but gets {_words(in_use)})",
        change=lambda x: undo(wanted.change(x)),
    )


@torch.no_grad()  # not inference_mode, since attacks may use tensors that a model caches
def answers(
    model: LoadedModel,
    view: Preprocessing,
    images: ImageSet,
    others: Sequence[Convention],
    settings: Settings,
) -> Answers:
    """Return the model's answers to the images in the convention in use and in the others.

    An input that the model rejects counts as a wrong answer of probability 0. Images that cannot
    be decoded are excluded; raises UserError if that is all of them.
    """
    tried = [Convention("", _unchanged), *others]
    views = tuple(dict.fromkeys(one.view or view for one in tried))
    right, probabilities, labels = [], [], []
    size = min(settings.batch_size, BATCH)
    for batch in decoded_batches(images, views, 0, size, 0, pin_memory=False):
        if not len(batch.indices):
            continue
        shown = {
            view: as_batch(images, pixels, batch.indices, settings.device, settings.seed)
            for view, pixels in zip(views, batch.views, strict=True)
        }
        columns = [
            _answered(model.model, shown[one.view or view], one, number == 0, settings)
            for number, one in enumerate(tried)
        ]
        right.append(np.stack([column[0] for column in columns]))
        probabilities.append(np.stack([column[1] for column in columns]))
        labels.append(images.labels[batch.indices.numpy()])
    if not labels:
        raise UserError(f"none of the images in {images.root} can be decoded: check the data set")
    at_all = np.concatenate(probabilities, axis=-1)
    log_probability = np.stack([of_one[of_one.mean(axis=1).argmax()] for of_one in at_all])
    found = np.concatenate(right, axis=-1), log_probability, np.concatenate(labels)
    return Answers(*found, classes=len(model.classes))


def _answered(
    model: nn.Module, shown: Batch, convention: Convention, in_use: bool, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Return which answers are right, (B,), and the log-probabilities of the right classes.

    These are (T, B), for each of the temperatures.
    """
    x = convention.change(shown.pixels.clone()).contiguous(memory_format=torch.channels_last)
    try:
        with autocast(settings):
            logits = model(x).cpu().double()  # on the CPU, since not all devices have float64
    except Exception:
        if in_use:
            raise
        return np.zeros(len(x), bool), np.full((len(TEMPERATURES), len(x)), FLOOR)
    labels = shown.labels.cpu()
    own = labels[:, None]
    at_all = [(logits / t).log_softmax(dim=1).gather(1, own)[:, 0] for t in TEMPERATURES]
    probabilities = torch.stack(at_all).nan_to_num(FLOOR).clamp_min(FLOOR)
    return (logits.argmax(dim=1) == labels).numpy(), probabilities.numpy()


def check(
    model: LoadedModel, view: Preprocessing, images: ImageSet, settings: Settings
) -> tuple[dict[str, Any], np.ndarray]:
    """Return the record of a check, and which answers are right in the convention in use.

    The best of all other conventions on an eighth of the images (SCREENED at least) is tested on
    the rest, so that one test is all that is made. The record has a `warning` if it is better.
    Raises UserError if no image can be decoded.
    """
    others = conventions(model.model, view)
    few = class_balanced(images, screened(len(images)), settings.seed)
    shown = {*few.names}
    rest = images.select(np.array([k for k, n in enumerate(images.names) if n not in shown], int))
    first = answers(model, view, few, others, settings)
    best = others[int(first.log_probability[1:].mean(axis=1).argmax())]
    if not len(rest):
        rest = few
    tested = answers(model, view, rest, [best], settings)
    right = tested.right[0] if rest is few else np.append(first.right[0], tested.right[0])
    return report(tested, best, model.origin.get("spec", "")), right


def screened(count: int) -> int:
    """Return how many of so many images are shown in all conventions."""
    return min(max(SCREENED, count // 8), max(1, count // 2))


def report(tested: Answers, other: Convention, spec: str) -> dict[str, Any]:
    """Return the record of a test of the convention in use against another.

    spec: the model, as in --model.
    """
    in_use, given_other = (round(100 * float(row.mean()), 2) for row in tested.right)
    record = {
        "images": len(tested.labels),
        "classes": len(np.unique(tested.labels)),
        "top1": in_use,
        "best_other": other.expects,
        "best_other_top1": given_other,
        "p": float(f"{p_value(tested):.3g}"),
    }
    if is_better(tested):
        record["warning"] = (
            f"the model probably expects {other.expects}: given that, {given_other:.1f} % of "
            f"{len(tested.labels):,} photographs are right instead of {in_use:.1f} %; "
            f"{_remedy(other, spec)}"
        )
    return record


def is_better(tested: Answers) -> bool:
    """Return whether the second convention is clearly better than the first, in use.

    That is, if it gains BETTER points of accuracy and has p < SURE.
    """
    in_use, other = tested.right.mean(axis=1)
    return bool(other - in_use >= BETTER / 100 and p_value(tested) < SURE)


def p_value(tested: Answers) -> float:
    """Return the p-value of the hypothesis that the second convention is no better than the first.

    From the log-probabilities of the right classes (exact sign-flip test). Photographs of one class
    have more in common than others: where not all of the model's classes are shown, the means of
    classes are compared, else photographs.
    """
    gains = tested.log_probability[1] - tested.log_probability[0]
    shown, of_class = np.unique(tested.labels, return_inverse=True)
    if len(shown) < tested.classes:
        gains = np.bincount(of_class, gains) / np.bincount(of_class)
    return sign_flip_p(gains)


def _remedy(other: Convention, spec: str) -> str:
    if other.view:
        squash = f', squash="{other.view.squash}"' if other.view.squash else ""
        size = f"Preprocessing({other.view.resize}, {other.view.crop}{squash})"
        return (
            f"give it an attribute `native`, bvg.data.preprocessing.{size}, and use --preprocess "
            "native, unless all models are to be compared at the same size"
        )
    if spec.startswith("file://") and other.flags:
        return f"use {other.flags}"
    return (
        f"give the network {other.code} in a forward() of your own (--model FILE.py:FUNCTION, "
        "docs/models.md)"
    )


def check_inputs(runs: Sequence[Run], images: ImageSet, settings: Settings) -> None:
    """Check the inputs of the runs' models where that is due, and print what was found.

    What --check_top1 or an interrupted call found is not measured again. No answer changes: copies
    of the models are checked, and the run's random numbers stay the same.
    """
    for run in runs:
        run.input_check = run.model.input_check
        if run.input_check is None and (found := _on_disk(run) or _measured(run, images, settings)):
            run.input_check = found
            announce(run.name, found)


def announce(name: str, found: dict[str, Any]) -> None:
    """Print a check's warning, or that there is none."""
    if "warning" in found:
        print(f"{name}: warning: {found['warning']}", file=sys.stderr, flush=True)
    else:
        print(f"{name}: no other convention of its input is better on {found['images']:,} images")


def _on_disk(run: Run) -> dict[str, Any] | None:
    chunks = run.store.chunks()
    return chunks[-1].info.get("input_check") if chunks else None


def _measured(run: Run, images: ImageSet, settings: Settings) -> dict[str, Any] | None:
    """Return the record of a check, or None if none is due or it fails."""
    if not _is_due(run, images):
        return None
    sample = class_balanced(images, SAMPLE, settings.seed)
    device = settings.device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            # A copy, as models may adapt tables to the size of what they see.
            model = replace(run.model, model=deepcopy(run.model.model))
            return check(model, run.view, sample, settings)[0]
    except Exception as error:  # the model may be anyone's code; what is wrong with it will show
        print(f"{run.name}: its input is not checked ({reason_of(error)})")
        return None


def _is_due(run: Run, images: ImageSet) -> bool:
    """Return whether a run is long enough, on photographs, and its model not known to be right."""
    model = run.model
    if not images.photographs or len(images) - run.store.done < LONG:
        return False
    if "unstable" in model.identity or model.origin.get("untrained"):
        return False
    is_the_zoos = "zoo" in model.origin and "file" not in model.origin  # which may wrap the zoo's
    return images.classes == model.classes and not is_the_zoos
