"""Low precision, checked against fp32: verified answers, or a sample of how many have changed.

--precision verified: the model computes with 11 bits of mantissa, and what could be decided
otherwise is computed again in fp32. The error of an input is the range of the differences between
its logits in the two precisions, so no difference between two logits is further off. On the first
inputs of each condition the error is measured, and its bound is FACTOR times the largest. An answer
is accepted if the decision's margin (run/decisions) exceeds the bound; all others, and a keyed
random sample of the accepted ones (the audit), are recomputed, in batches of several conditions,
and what fp32 gives is kept. If an audit finds an error above the bound, the bound is raised and the
model's run goes back to where the condition began, so that nothing stays that was accepted under
the lower one.

--precision bf16 and fp16: a keyed random sample is recomputed to count the changed decisions.

What has been found is a State. It depends on nothing but the images before, and every chunk on disk
has the one after its last image, from which a killed run resumes.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite

import torch
from torch import nn

from bvg.errors import UserError
from bvg.run.decisions import Decision, as_wide, decided, differ, margins_of
from bvg.run.precision import FACTOR, FIRST, FP16, FP32, SIMULATED, TF32, Error, State, state_from
from bvg.run.runs import Run
from bvg.run.settings import AUTOCAST, VERIFIED, Settings
from bvg.stimuli.batch import on_device

AUDITED, SAMPLED = 6000, 1000  # expected number of inputs; no change in 6,000 means < 0.05 %
MOST_DRAWN = 1 / 8  # of the inputs
MOST_RAISES = 3
WRONG = 0.5  # error / spread of the logits that rounding does not explain (docs/speed.md)
_AMPERE = (8, 0)  # the first GPUs with TF32
Forward = Callable[[str, nn.Module, torch.Tensor], torch.Tensor]


class RestartError(Exception):
    """A model's run must go back: to where a condition with a raised bound began, or to the start.

    state: with the raised bound, or of another form.
    """

    def __init__(self, run: Run, state: State, condition: str | None = None) -> None:
        super().__init__(run.name)
        self.run, self.state, self.condition = run, state, condition

    def go_back(self) -> None:
        """Discard what the run has in memory, and on disk since then."""
        # What is known from the beginning, whatever images are done again.
        errors = {
            name: Error(least=found.least, raises=found.raises)
            for name, found in self.state.errors.items()
        }
        state, stop = State(self.state.form, errors=errors), 0
        for chunk in self.run.store.chunks() if self.condition else ():
            before = state_from(chunk.info["check"])
            measured = {name: found for name, found in before.errors.items() if found.inputs}
            if self.condition in measured:
                break
            stop, state = chunk.stop, replace(before, errors=errors | measured)
        self.run.check = state
        self.run.rows.clear()
        self.run.store.go_back(stop)


@dataclass
class _Waiting:
    """Inputs of one condition whose margins are on their way from the device."""

    x: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor
    columns: dict[str, torch.Tensor]
    conditions: list[str]
    drawn: torch.Tensor
    near: torch.Tensor
    copied: torch.cuda.Event | None


@dataclass
class _Piece:
    """Inputs of one condition to be recomputed: rows of its columns."""

    x: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor
    near: torch.Tensor
    conditions: list[str]
    columns: dict[str, torch.Tensor]
    rows: torch.Tensor

    def part(self, rows: slice) -> "_Piece":
        """Return some of the inputs."""
        return replace(
            self,
            x=self.x[rows],
            labels=self.labels[rows],
            logits=self.logits[rows],
            near=self.near[rows],
            conditions=self.conditions[rows],
            rows=self.rows[rows],
        )


class Check:
    """A model in low precision, checked against itself in fp32.

    forward: name, module, inputs → logits.
    """

    def __init__(
        self, run: Run, decide: Decision, settings: Settings, images: int, forward: Forward
    ) -> None:
        self.run, self.decide, self.settings, self.images = run, decide, settings, images
        self.forward = partial(forward, run.name)
        self.verifies = settings.precision == VERIFIED
        self.state = run.check or _state_on_disk(run) or State(_forms(run, decide, settings)[0])
        if self.state.form in (FP32, SIMULATED):
            run.form = None  # computed by the model as it is
        self._low = low_precision(self.state.form, run.computed, settings, self.forward)
        self.begin()

    def begin(self) -> None:
        """Begin a batch of images; drop one that was not completed."""
        self._now = deepcopy(self.state)
        self._waiting: _Waiting | None = None
        self._pieces: list[_Piece] = []
        self._audits: list[tuple[list[str], torch.Tensor]] = []
        target = AUDITED if self.verifies else SAMPLED
        known = self.state.images or 1
        expected = self.images * self.state.inputs / known
        self._share = min(MOST_DRAWN, target / expected) if expected else MOST_DRAWN

    def columns(
        self, x: torch.Tensor, labels: torch.Tensor, conditions: list[str], keys: list[str]
    ) -> dict[str, torch.Tensor]:
        """Return the decision's columns for B inputs; those to be recomputed change until `end`.

        conditions, keys: of each input; a key is the same in every run.
        """
        self._now.inputs += len(x)
        if self.state.form == FP32:
            self._now.near += len(x)
            return decided(self.decide, self._exact(x), labels)
        logits = self._low(x)
        columns = decided(self.decide, logits, labels)
        drawn = torch.tensor([self._is_drawn(*key) for key in zip(conditions, keys, strict=True)])
        near, copied = torch.zeros_like(drawn), None
        if self.verifies:
            measured = self._measure(x, labels, logits, columns, conditions)
            near, copied = self._near(logits, labels, conditions, measured)
            drawn[measured] = False
        before, self._waiting = (
            self._waiting,
            # Copied, since what makes the stimuli may overwrite them meanwhile.
            _Waiting(
                x.clone() if copied else x,
                labels,
                logits,
                columns,
                conditions,
                drawn,
                near,
                copied,
            ),
        )
        self._queue(before)
        if copied is None:  # nothing to wait for
            self._queue(self._waiting)
            self._waiting = None
        return columns

    def end(self, images: int) -> None:
        """Recompute what is left of a batch of this many files, and check the audit.

        Raises RestartError if the bound did not hold, and UserError if the model in low precision
        is not the same model, or a decision changed although its margin exceeds the error.
        """
        self._queue(self._waiting)
        self._waiting = None
        if self._pieces:
            self._recompute(self._pieces)
        for conditions, found in self._audits:
            rows = zip(conditions, *found.cpu().tolist(), strict=True)
            for condition, error, spread, changed, near in rows:
                if near:
                    self._now.repaired += int(changed)
                else:
                    self._audit(condition, error, spread, bool(changed))
        self._now.images += images

    def keep(self) -> None:
        """Keep what the batch has shown, once all models have ended it."""
        self.state = self._now
        self.begin()

    def _is_drawn(self, condition: str, key: str) -> bool:
        """Return whether an input is in the random sample, a new one after each raise."""
        error = self._now.errors.get(condition)
        raises = error.raises if error else 0
        text = f"{self.settings.seed}\0audit {raises}\0{condition}\0{key}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") < self._share * 2**64

    def _exact(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(self.run.model.model, x.contiguous(memory_format=torch.channels_last))

    def _measure(
        self,
        x: torch.Tensor,
        labels: torch.Tensor,
        logits: torch.Tensor,
        columns: dict[str, torch.Tensor],
        conditions: list[str],
    ) -> list[int]:
        """Measure the error on the first inputs of a condition, and keep fp32's columns for them.

        Returns which inputs these are.
        """
        rows = []
        for row, condition in enumerate(conditions):
            error = self._now.errors.setdefault(condition, Error())
            if error.inputs < FIRST:
                error.inputs += 1
                rows.append(row)
        if not rows:
            return rows
        exact = self._exact(x[rows])
        for name, values in decided(self.decide, exact, labels[rows]).items():
            columns[name][rows] = values
        errors, spreads = (values.tolist() for values in _errors(exact, logits[rows]))
        if not all(map(isfinite, errors)) and not self.state.images:
            self._fall_back()
        wrong = sum(error > WRONG * spread for error, spread in zip(errors, spreads, strict=True))
        if all(map(isfinite, errors)) and 2 * wrong > len(rows):
            self._refuse(conditions[rows[0]])
        for row, found in zip(rows, errors, strict=True):
            error = self._now.errors[conditions[row]]
            error.largest = max(error.largest, found)
        self._now.measured += len(rows)
        return rows

    def _near(
        self, logits: torch.Tensor, labels: torch.Tensor, conditions: list[str], measured: list[int]
    ) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        """Return which inputs could be decided otherwise, on the CPU once the event has passed."""
        margins = margins_of(self.decide)
        assert margins is not None  # else the form is fp32
        bounds = [self._now.errors[condition].bound for condition in conditions]
        for row in measured:
            bounds[row] = -inf
        limits = on_device(torch.tensor(bounds, dtype=torch.float64), logits.device)
        accepted = (margins(logits.double(), labels) > limits) & logits.amax(dim=1).isfinite()
        near = ~accepted & (limits > -inf)
        if logits.device.type != "cuda":
            return near.cpu(), None
        on_cpu, copied = near.to("cpu", non_blocking=True), torch.cuda.Event()
        copied.record()
        return on_cpu, copied

    def _queue(self, waiting: _Waiting | None) -> None:
        """Put what must be recomputed into the queue, and recompute a full batch of it."""
        if waiting is None:
            return
        if waiting.copied:
            waiting.copied.synchronize()
        chosen = (waiting.near | waiting.drawn).nonzero().flatten()
        if not len(chosen):
            return
        self._now.near += int(waiting.near.sum())
        rows = on_device(chosen, waiting.x.device)
        self._pieces.append(
            _Piece(
                waiting.x[rows],
                waiting.labels[rows],
                waiting.logits[rows],
                on_device(waiting.near[chosen], rows.device),
                [waiting.conditions[row] for row in chosen.tolist()],
                waiting.columns,
                rows,
            )
        )
        most = len(waiting.x)  # what fits into memory
        while sum(len(piece.rows) for piece in self._pieces) >= most:
            self._recompute(self._taken(most))

    def _taken(self, count: int) -> list[_Piece]:
        """Return the first `count` inputs of the queue."""
        taken = []
        while count:
            piece = self._pieces.pop(0)
            if len(piece.rows) > count:
                self._pieces.insert(0, piece.part(slice(count, None)))
                piece = piece.part(slice(count))
            taken.append(piece)
            count -= len(piece.rows)
        return taken

    def _recompute(self, pieces: list[_Piece]) -> None:
        """Compute inputs in fp32; keep the columns if answers are verified."""
        exact = self._exact(torch.cat([piece.x for piece in pieces]))
        labels = torch.cat([piece.labels for piece in pieces])
        columns = decided(self.decide, exact, labels)
        before = {
            name: torch.cat([piece.columns[name][piece.rows] for piece in pieces])
            for name in columns
        }
        changed = differ(self.decide, columns, before, labels)
        errors, spreads = _errors(exact, torch.cat([piece.logits for piece in pieces]))
        near = torch.cat([piece.near for piece in pieces])
        conditions = [condition for piece in pieces for condition in piece.conditions]
        self._audits.append(
            (conditions, torch.stack([errors, spreads, changed.to(errors), near.to(errors)]))
        )
        if not self.verifies:
            return
        counts = [len(piece.rows) for piece in pieces]
        for name, values in columns.items():
            for piece, own in zip(pieces, values.split(counts), strict=True):
                piece.columns[name][piece.rows] = own

    def _audit(self, condition: str, error: float, spread: float, changed: bool) -> None:
        """Count an input of the random sample; see `end`."""
        self._now.audited += 1
        self._now.changed += changed
        if not self.verifies:
            return
        known = self._now.errors[condition]
        if error <= known.bound:
            if changed:
                self._blame_margins(condition)
            return
        if error > WRONG * spread or known.raises == MOST_RAISES:
            self._refuse(condition)
        print(
            f"{self.run.name}: the audit found an error of {error:.3g} in the logits, above the "
            f"bound of {known.bound:.3g} ({condition}): what was accepted is computed again",
            file=sys.stderr,
            flush=True,
        )
        known.least, known.raises = FACTOR * error, known.raises + 1
        raise RestartError(self.run, self._now, condition)

    def _fall_back(self) -> None:
        forms = _forms(self.run, self.decide, self.settings)
        form = forms[forms.index(self.state.form) + 1]
        print(
            f"{self.run.name}: {self.state.form} overflows in this model: using {form} instead",
            file=sys.stderr,
            flush=True,
        )
        raise RestartError(self.run, State(form))

    def _blame_margins(self, condition: str) -> None:
        raise UserError(
            f"a decision of model {self.run.name} (condition {condition}) is another one in fp32, "
            "although its margin is larger than the error of the logits: correct the margins that "
            "the decision declares (with_margins in bvg/run/decisions.py), or use --precision fp32"
        )

    def _refuse(self, condition: str) -> None:
        raise UserError(
            f"the logits of model {self.run.name} in {self.state.form} are too far from those in "
            f"fp32 (condition {condition}) for verified answers: use --precision fp32"
        )


def checks(
    runs: list[Run], decide: Decision, settings: Settings, images: int, forward: Forward
) -> list[Check | None]:
    """Return the check of each run, None where --precision asks for none."""
    if settings.precision not in (VERIFIED, *AUTOCAST):
        return [None] * len(runs)
    return [
        Check(run, decide, settings, images, forward)
        if settings.precision == VERIFIED or not _has_16_bits(run.model.model)
        else None
        for run in runs
    ]


def needs_eager(run: Run, decide: Decision, settings: Settings) -> bool:
    """Return whether verified answers are those of the model as it is, without a faster form."""
    if settings.precision != VERIFIED:
        return False
    return _forms(run, decide, settings)[0] in (FP32, SIMULATED)


def announce(decide: Decision, settings: Settings) -> None:
    """Print why --precision verified computes everything in fp32, if it does."""
    if settings.precision != VERIFIED:
        return
    if margins_of(decide) is None:
        print(
            "--precision verified: this decision declares no margins (bvg/run/decisions.py, "
            "with_margins), so all answers are computed in fp32"
        )
    elif _arithmetic(settings) == [FP32]:
        print(
            f"--precision verified: {settings.device} has no faster arithmetic of 11 bits, so all "
            "answers are computed in fp32"
        )


def low_precision(
    form: str,
    model: nn.Module,
    settings: Settings,
    forward: Callable[[nn.Module, torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the model in this arithmetic, inputs → logits."""
    if form == SIMULATED:
        rounding = simulated(model)
        return lambda x: forward(rounding, x)

    def low(x: torch.Tensor) -> torch.Tensor:
        if form == TF32:
            with _tf32():
                return forward(model, x)
        with torch.autocast(settings.device.type, AUTOCAST.get(form), form in AUTOCAST):
            return forward(model, x)

    return low


def simulated(model: nn.Module) -> nn.Module:
    """Return a copy that computes as tensor cores do in fp16, slowly.

    Weights, inputs and outputs of convolutions and linear layers are rounded to 11 bits of
    mantissa; sums are in single precision.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            module.weight.data = _rounded(module.weight.data)
            module.register_forward_pre_hook(lambda _, inputs: tuple(map(_rounded, inputs)))
            module.register_forward_hook(lambda _, inputs, output: _rounded(output))
    return copy


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return x.half().to(x.dtype)


@contextmanager
def _tf32() -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = True
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def _arithmetic(settings: Settings) -> list[str]:
    """Return the forms of a device, the fastest first; fp32 is the last."""
    if os.environ.get("BVG_SIMULATED_FP16"):
        return [SIMULATED, FP32]
    if settings.device.type != "cuda":
        return [FP32]
    has_tf32 = torch.cuda.get_device_capability(settings.device) >= _AMPERE
    return [FP16, *[TF32] * has_tf32, FP32]


def _forms(run: Run, decide: Decision, settings: Settings) -> list[str]:
    if settings.precision in AUTOCAST:
        return [settings.precision]
    if margins_of(decide) is None or _has_16_bits(run.model.model):
        return [FP32]
    return _arithmetic(settings)


def _has_16_bits(model: nn.Module) -> bool:
    return any(weight.dtype in AUTOCAST.values() for weight in model.parameters())


def _state_on_disk(run: Run) -> State | None:
    chunks = run.store.chunks()
    content = chunks[-1].info.get("check") if chunks else None
    return state_from(content) if content else None


def _errors(exact: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the error of each input, and the spread of its logits, (B,) float64 each.

    An error is the range over the classes of the difference of the logits; infinite if one of them
    is not finite, other than the same in both.
    """
    wide = as_wide(exact)
    difference = (as_wide(low) - wide).masked_fill(low == exact, 0.0)
    errors = (difference.amax(dim=1) - difference.amin(dim=1)).nan_to_num(nan=inf)
    # A logit far below the best has no influence; excluded classes have -inf.
    relative = (wide - wide.amax(dim=1, keepdim=True)).clamp(min=-100)
    return errors, relative.std(dim=1, correction=0)
