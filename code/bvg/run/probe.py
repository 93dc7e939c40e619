"""The probe: a few synthetic pictures on which every model is checked before evaluation.

The outputs show whether the model returns logits, one row per image, and whether they are random or
depend on the other images of the batch. They are also part of the model's identity, in addition to
the hash of its weights, which misses weights that are not registered with PyTorch.
"""

import pickle
import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from bvg.data.preprocessing import STUDY, Preprocessing
from bvg.errors import UserError, reason_of
from bvg.run.settings import AUTOCAST, Settings, autocast

PICTURES = 4
ALONE = 2  # pictures that are also shown alone; one is dark, as outputs may depend on the brightest
_DARK = 0.25  # its brightness
_REPEATS = 15  # of all pictures, for a model that draws random numbers, which may be rarely used
FEW = 10  # classes; with fewer, numbers in [0, 1] are no evidence of probabilities
_KEY = 20_240_617  # random seed of the pictures; another one would change every model's identity
_PROJECTIONS = 4  # numbers recorded of the logits of each picture
_FLOOR = -100.0  # a logit this far below the largest one has no influence on any score
# Outputs are taken as equal if they differ by less than this fraction of the logits' spread (root
# mean square; docs/fidelity.md has measurements), plus this fraction of the largest logit, for
# rounding. Coarse: models that compute in 16 bits.
_FINE, _TF32, _COARSE = (0.01, 1e-5), (0.05, 1e-5), (0.15, 1e-2)
_SIXTEEN_BITS = {dtype: name for name, dtype in AUTOCAST.items()}


@dataclass(frozen=True)
class Probe:
    """A model's outputs for the probe pictures.

    logits: (PICTURES, classes) float64, on the CPU.
    size: side of the pictures in pixels.
    coarse: whether the model computes in 16 bits.
    unstable: what the outputs depend on besides the image; empty if on nothing.
    parameters: the number of parameters registered with PyTorch.
    warnings: what is unusual about the model, in sentences without their subject.
    """

    logits: torch.Tensor
    size: int
    coarse: bool
    unstable: str
    parameters: int
    warnings: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what identifies the model: random projections of its logits, and their spread.

        Every class contributes to each projection. predictions.identity.same_outputs compares two
        records. Unstable outputs are not recorded.
        """
        record: dict[str, Any] = {
            "size": self.size,
            "coarse": self.coarse,
            "parameters": self.parameters,
        }
        if not self.unstable:
            logits = _relative(self.logits)
            record["spread"] = float(f"{_spread(logits):.5g}")
            record["logits"] = [float(f"{number:.5g}") for number in _projected(logits)]
        return record


@torch.no_grad()
def probe(model: nn.Module, view: Preprocessing, settings: Settings, name: str) -> Probe:
    """Return the model's outputs for the probe pictures, in its input size.

    They are computed in fp32, whatever settings.precision is, unless the weights have 16 bits.
    Raises UserError for a model that fails, that does not return a row of finite logits for each
    image, or (unless settings.allow_unstable) whose outputs depend on anything but the image.
    """
    known = pictures(view.crop)
    x = _as_shown(torch.cat([known, _DARK * known[-1:]]), settings)
    tested = _TestedModel(name, model, settings)
    alone, together, repeated = _outputs(tested, x, view)
    logits = together[:PICTURES]
    if not _declares_logits(model) and (what := _not_logits(logits)):
        raise UserError(
            f"model {name} returns {what}, but scores need logits: return what comes before the "
            "softmax or sigmoid, log-probabilities, or similarities times their scale; if these "
            'are its logits, give the model an attribute `outputs = "logits"`'
        )
    unstable = tested.unstable(alone, together, repeated)
    if unstable and not settings.allow_unstable:
        raise UserError(
            f"the outputs of model {name} for the same images depend on {unstable}"
            f"{tested.in_training()}: fix the model, or evaluate it as it is with --allow_unstable "
            "(recorded)"
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if tested.precision != settings.precision:
        _check_precision(tested, x[: settings.batch_size])
    unusual = {
        "returns the same logits for every test picture: is it trained and loaded?": bool(
            (logits == logits[:1]).all()
        ),
        "has no parameters registered with PyTorch; only its outputs for test pictures "
        "distinguish it from another model": not parameters,
        "draws random numbers while it answers, although its outputs for test pictures do not "
        "depend on them: check that augmentation and dropout are off": bool(
            tested.draws and not unstable
        ),
    }
    warnings = tuple(warning for warning, applies in unusual.items() if applies)
    return Probe(logits, view.crop, tested.coarse, unstable, parameters, warnings)


@torch.no_grad()
def has_changed(
    model: nn.Module, view: Preprocessing, settings: Settings, name: str, record: dict[str, Any]
) -> bool:
    """Return whether the model's outputs for the first picture are no longer those of a record.

    False if none are recorded, since they are unstable.
    """
    if "logits" not in record:
        return False
    tested = _TestedModel(name, model, settings)
    try:
        logits = tested.logits(_as_shown(pictures(view.crop)[:1], settings))
    except UserError:
        return True
    change = np.subtract(record["logits"][:_PROJECTIONS], _projected(_relative(logits)))
    return float(np.square(change).mean() ** 0.5) > tested.allowed_change(logits)


def _as_shown(x: torch.Tensor, settings: Settings) -> torch.Tensor:
    return x.to(settings.device).to(memory_format=torch.channels_last)


def _outputs(
    tested: "_TestedModel", x: torch.Tensor, view: Preprocessing
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Return the logits of the last pictures, alone; of all, as a batch; and of repeated batches.

    With --batch_size 1, or if a batch does not fit into memory, they are shown one by one instead.
    They are not shown again if the first two agree closely and no random numbers were drawn: logits
    that depend on chance would not.
    """
    before = _random_state(tested.settings.device)
    # The last ones: noise of one seed is the same for the first picture of a batch and one alone.
    try:
        alone = tested.one_by_one(x[-ALONE:])
    except _ModelError as error:
        raise UserError(f"{error}{tested.in_training()}; {tested.remedy(x[:1], view)}") from error
    show = tested.logits
    try:
        together = show(x)
    except _ModelError as error:
        if tested.settings.batch_size > 1:
            raise UserError(f"{error}, but not on one: use --batch_size 1") from error
        show = tested.one_by_one
        together = show(x)
    except torch.OutOfMemoryError:  # the run will halve its batches, too
        show = tested.one_by_one
        together = show(x)
    if alone.shape[1] != together.shape[1]:
        raise UserError(
            f"model {tested.name} returns {alone.shape[1]} logits for a single image and "
            f"{together.shape[1]} for each of {len(x)}: fix the model"
        )
    tested.draws = _random_state(tested.settings.device) != before
    closely = _change(alone, together[-ALONE:]) <= tested.allowed_change(together) / 10
    count = _REPEATS if tested.draws else 0 if closely else 1
    return alone, together, [show(x) for _ in range(count)]


def _random_state(device: torch.device) -> bytes:
    """Return the state of the global generators of random numbers."""
    on_gpu = torch.cuda.get_rng_state(device).numpy() if device.type == "cuda" else None
    generators = (torch.get_rng_state().numpy(), np.random.get_state(), random.getstate())
    return pickle.dumps((generators, on_gpu))


def malformed(output: object, images: int) -> str:
    """Return what is wrong with a model's output for this number of images, or an empty string.

    It must be a floating-point tensor of shape (images, classes).
    """
    wanted = f"a tensor of logits of shape ({images}, classes)"
    if not isinstance(output, torch.Tensor):
        remedy = "return a tensor"
        if isinstance(output, tuple | list | dict):
            remedy = "return the logits alone"
        if isinstance(getattr(output, "logits", None), torch.Tensor):
            remedy = "return its attribute .logits"
        return f"returns a {type(output).__name__} instead of {wanted}: {remedy}"
    if output.layout != torch.strided:
        return f"returns a sparse tensor instead of {wanted}: use .to_dense()"
    if not output.is_floating_point():
        dtype = str(output.dtype).removeprefix("torch.")
        return f"returns {dtype} instead of {wanted}: return the logits, not decisions"
    shape = tuple(output.shape)
    if output.ndim == 2 and len(output) == images:
        return ""
    remedy = "it must return one row of logits per image"
    if output.ndim > 2 and shape[0] == images and set(shape[2:]) == {1}:
        remedy = "use .flatten(1)"
    elif output.ndim == 1 and images == 1:
        remedy = "keep the dimension of the batch, which squeeze() removes for a single image"
    return f"returns shape {shape} instead of {wanted}: {remedy}"


def _declares_logits(model: nn.Module) -> bool:
    """Return whether the model, or its `network`, declares that its outputs are logits."""
    return any(
        isinstance(declared := getattr(module, "outputs", None), str) and declared == "logits"
        for module in (model, getattr(model, "network", None))
    )


@cache
def pictures(size: int) -> torch.Tensor:
    """Return the probe pictures, (PICTURES, 3, size, size) float32 RGB in [0, 1].

    Colour noise with the spectrum of photographs (amplitude 1 / frequency), in steps of 1/255, so
    that the bits are the same on every machine.
    """
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    phases = 2 * np.pi * _uniform(PICTURES, 4, *frequency.shape)
    noise = np.fft.irfft2(np.exp(1j * phases) / frequency, s=(size, size))
    noise /= noise.std(axis=(2, 3), keepdims=True)
    brightness, colour = noise[:, :1], noise[:, 1:]
    level = np.linspace(0.35, 0.55, PICTURES)[:, None, None, None]
    pixels = (level + 0.2 * brightness + 0.1 * colour).clip(0, 1)
    return torch.from_numpy(np.rint(255 * pixels).astype(np.float32) / np.float32(255))


def _uniform(*shape: int) -> np.ndarray:
    """Return fixed pseudorandom numbers in [0, 1), the same in every version of NumPy."""
    raw = np.random.Philox(key=_KEY).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) / 2**53


def _relative(logits: torch.Tensor) -> torch.Tensor:
    """Return the logits minus the largest one of their row, at least _FLOOR."""
    return (logits - logits.max(dim=1, keepdim=True).values).clamp_min(_FLOOR)


def _projected(relative: torch.Tensor) -> list[float]:
    """Return random projections of relative logits, _PROJECTIONS of each row."""
    classes = relative.shape[1]
    signs = torch.from_numpy(np.sign(_uniform(classes, _PROJECTIONS) - 0.5))
    return (relative @ signs / classes**0.5).flatten().tolist()


def _spread(relative: torch.Tensor) -> float:
    return float(relative.std(dim=1, correction=0).mean())


def _change(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the root mean square difference of two sets of logits."""
    return float((_relative(one) - _relative(other)).square().mean().sqrt())


def _not_logits(logits: torch.Tensor) -> str:
    """Return what the numbers are if they are evidently not logits, else an empty string."""
    low, high, sums = float(logits.min()), float(logits.max()), logits.sum(dim=1)
    for whole, what in ((1, "probabilities"), (100, "percentages")):
        sums_up = (sums / whole - 1).abs().max() < 0.01
        if low >= -1e-6 * whole and high <= 1.001 * whole and sums_up and logits.shape[1] > 1:
            return f"{what} (each row sums to {whole})"
    if low >= 0 and logits.shape[1] > 1 and ((-logits).exp().sum(dim=1) - 1).abs().max() < 0.01:
        return "negative log-probabilities"
    # With few classes, the logits of an untrained model may all be in [0, 1] by chance.
    if low >= 0 and high <= 1 and low < high and logits.shape[1] >= FEW:
        return "only numbers between 0 and 1, like probabilities or unscaled similarities"
    return ""


def _check_precision(tested: "_TestedModel", x: torch.Tensor) -> None:
    """Raise UserError if a model that works in fp32 does not work in --precision."""
    try:
        replace(tested, precision=tested.settings.precision).logits(x)
    except _ModelError as error:
        raise UserError(f"{error}, but not in fp32: use --precision fp32") from error


class _ModelError(UserError):
    """The model raised an error; the message lacks a remedy."""


@dataclass
class _TestedModel:
    """A model whose logits are computed in some precision."""

    name: str
    model: nn.Module
    settings: Settings
    precision: str = ""
    coarse: bool = False
    draws: bool = False  # whether it draws random numbers

    def __post_init__(self) -> None:
        sixteen = bool(self._weight_types() & _SIXTEEN_BITS.keys())
        self.coarse |= sixteen
        if not self.precision:  # models with 16-bit weights may only work in --precision
            in_fp32 = self.settings.precision in AUTOCAST and not sixteen
            self.precision = "fp32" if in_fp32 else self.settings.precision

    def one_by_one(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the images, computed one at a time."""
        rows = [self.logits(image) for image in x.split(1)]
        if len({row.shape for row in rows}) > 1:
            raise UserError(f"model {self.name} returns more logits for one image than for another")
        return torch.cat(rows)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the images, (B, classes) float64 on the CPU.

        Raises UserError for outputs that are not logits, and _ModelError for the model's errors.
        """
        try:
            output = self._output(x, self.precision)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the model may be anyone's code
            what = f"a batch of {len(x)} images" if len(x) > 1 else "an image"
            raise _ModelError(
                f"model {self.name} fails on {what} of {x.shape[-2]} x {x.shape[-1]} pixels with "
                f"{type(error).__name__}: {reason_of(error)}"
            ) from error
        if problem := malformed(output, len(x)):
            raise UserError(f"model {self.name} {problem}")
        self.coarse |= output.dtype in _SIXTEEN_BITS
        logits = output.detach().cpu().clone().double()  # cloned, as the model may reuse its memory
        if not logits.max(dim=1).values.isfinite().all():  # -inf is fine, for excluded classes
            raise UserError(self._not_finite())
        return logits

    def _output(self, x: torch.Tensor, precision: str) -> Any:
        with autocast(replace(self.settings, precision=precision)):
            return self.model(x.clone())  # cloned, as the model may change its input

    def _weight_types(self) -> set[torch.dtype]:
        return {weight.dtype for weight in self.model.parameters() if weight.is_floating_point()}

    def allowed_change(self, logits: torch.Tensor) -> float:
        """Return the root mean square difference up to which outputs are taken as equal."""
        fine = _TF32 if self.precision == "tf32" else _FINE
        part, epsilon = _COARSE if self.coarse else fine
        size = float(logits[logits.isfinite()].abs().max())
        return part * _spread(_relative(logits)) + epsilon * size

    def unstable(
        self, alone: torch.Tensor, together: torch.Tensor, repeated: list[torch.Tensor]
    ) -> str:
        """Return what the outputs depend on besides the image, or an empty string."""
        allowed = self.allowed_change(together)
        by_chance = max((_change(together, again) for again in repeated), default=0.0)
        by_batch = _change(alone, together[-ALONE:])
        is_random = by_chance > allowed / 10
        if (
            self.draws and is_random
        ):  # rounding is never as large, and rare changes have small means
            return "chance"
        if max(by_chance, by_batch) <= allowed:
            return ""
        return "chance" if is_random else "the other images of the batch"

    def in_training(self) -> str:
        """Return a phrase that names layers in training mode, or an empty string."""
        found = [
            (name, module)
            for name, module in self.model.named_modules()
            if (module.training and not [*module.children()])
            or (isinstance(module, _BatchNorm) and module.running_mean is None)
        ]
        if not found:
            return ""
        known = [pair for pair in found if isinstance(pair[1], _BatchNorm | _DropoutNd)]
        found = known or found
        first = [f"{name or 'the model'} ({type(layer).__name__})" for name, layer in found[:3]]
        more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
        return (
            f" (after eval(), these layers still behave as in training: {', '.join(first)}{more})"
        )

    def remedy(self, x: torch.Tensor, view: Preprocessing) -> str:
        """Return the remedy for a model that fails on the image x."""
        if others := self._weight_types() - {torch.float32}:
            dtype = min(others, key=str)
            fix = f"its weights are {str(dtype).removeprefix('torch.')}: convert it with .float()"
            precision = _SIXTEEN_BITS.get(dtype, self.precision)
            return f"{fix} or use --precision {precision}" if self._works(x, precision) else fix
        advice = "fix the model; if it was built for another size,"
        native = getattr(self.model, "native", None)
        if view != STUDY and view == native:
            return f"{advice} correct its attribute `native`"
        if view != STUDY:  # published stimuli, in scripts without --preprocess
            return f"{advice} let it resize its input"
        if not native:
            advice += " give it an attribute `native` (bvg.data.preprocessing.Preprocessing) and"
        return f"{advice} use --preprocess native"

    def _works(self, x: torch.Tensor, precision: str) -> bool:
        if precision == self.precision:
            return False
        try:
            output = self._output(x, precision)
        except Exception:  # the caller reports its own error
            return False
        return not malformed(output, len(x)) and bool(output.isfinite().all())

    def _not_finite(self) -> str:
        problem = f"model {self.name} returns NaN or infinite logits in {self.precision}"
        for name, weight in self.model.named_parameters():
            if not weight.isfinite().all():
                return f"{problem}: its parameter {name} has such values; check the checkpoint"
        if self.precision not in AUTOCAST:
            return f"{problem} for a synthetic test picture: fix the model"
        first = (
            "convert it with .float() and " if self._weight_types() & _SIXTEEN_BITS.keys() else ""
        )
        return f"{problem}: {first}use --precision fp32"
