"""Low precision, checked against fp32: verified answers, or a sample of how many have changed.

--precision verified: the model computes with 11 bits of mantissa, and what could be decided
otherwise is computed again in fp32. The error of an input is the range of the differences between
its logits in the two precisions, so no difference between two logits is further off. Before the
pass, the error is measured on a keyed sample of the images, of as many classes as possible, under
each condition (Measurement); its bound is FACTOR times the largest. An answer is accepted if the
decision's margin (run/decisions) exceeds the bound; all others, and a keyed random sample of the
accepted ones (the audit), are recomputed, in full batches, and what fp32 gives is kept (Check). If
an audit finds an error above the bound, the bound is raised and the model's run goes back to where
the condition began, so that nothing stays that was accepted under the lower one.

--precision bf16 and fp16: a keyed random sample is recomputed to count the changed decisions.

Batches of images are answered in groups: what is left of the inputs to be recomputed waits for
those of the next batch, until a group has ended. A group ends after a number of inputs, and a chunk
with a group. What has been found is a State, which depends on nothing but the images before; every
chunk on disk has the one after its last image, from which a killed run resumes. So it recomputes
the same inputs together as a run that was not killed, and the last digits are the same, too.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isnan
from typing import NamedTuple

import torch
from torch import nn

from bvg.data.image_set import ImageSet
from bvg.errors import UserError
from bvg.run.decisions import Decision, as_wide, decided, differ, margins_of
from bvg.run.precision import FACTOR, FP16, FP32, SIMULATED, TF32, Error, State, state_from
from bvg.run.runs import Run
from bvg.run.settings import AUTOCAST, VERIFIED, Settings
from bvg.stimuli.batch import Stimuli, on_device, on_its_way

AUDITED, SAMPLED = 6000, 1000  # expected number of inputs; no change in 6,000 means < 0.05 %
MOST_DRAWN = 1 / 8  # of the inputs
MOST_RAISES = 3
WRONG = 0.5  # error / spread of the logits that rounding does not explain (docs/speed.md)
OFTEN = 0.1  # share of the measured inputs that may overflow, or have such an error
GROUP = 64  # batches of inputs that a group has at least; one where stimuli are attacks
_AMPERE = (8, 0)  # the first GPUs with TF32
Forward = Callable[[str, nn.Module, torch.Tensor], torch.Tensor]


class RestartError(Exception):
    """A model's run must go back to where the first of some conditions began.

    state: with the raised bounds of these conditions.
    """

    def __init__(self, run: Run, state: State, conditions: Iterable[str]) -> None:
        super().__init__(run.name)
        self.run, self.state, self.conditions = run, state, conditions

    def go_back(self) -> None:
        """Discard what the run has in memory, and on disk since then."""
        start, stop = State(self.state.form, self.state.measured, self.state.per_image), 0
        for chunk in self.run.store.chunks():
            before = state_from(chunk.info["check"])
            if any(before.seen(condition) for condition in self.conditions):
                break
            start, stop = before, chunk.stop
        # What is known of the errors stays known, whatever images are done again.
        errors = {
            name: replace(error, seen=start.seen(name)) for name, error in self.state.errors.items()
        }
        self.run.check = replace(start, errors=errors)
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
    draws: torch.Tensor
    near: Callable[[], torch.Tensor]


@dataclass
class _Piece:
    """Inputs of one condition to be recomputed: rows of its columns."""

    x: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor
    near: torch.Tensor
    draws: list[float]
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
            draws=self.draws[rows],
            conditions=self.conditions[rows],
            rows=self.rows[rows],
        )


@dataclass
class _Audit:
    """Recomputed inputs: on the device, (4, N) error, spread, changed and near."""

    conditions: list[str]
    draws: list[float]
    found: torch.Tensor


class _Measured(NamedTuple):
    """An input on which the error was measured."""

    error: float
    spread: float
    overflows: float


class Measurement:
    """The error of a model in low precision, measured on a sample of the images before the pass.

    Takes a Check's place in a pass over the sample, and answers nothing.
    forward: name, module, inputs → logits.
    """

    def __init__(self, run: Run, decide: Decision, settings: Settings, forward: Forward) -> None:
        self.run, self.forms = run, _forms(run, decide, settings)
        self.form = run.check.form if run.check else self.forms[0]
        self.forward = partial(forward, run.name)
        model = run.model.model if self.form == SIMULATED else run.computed
        self._low = low_precision(self.form, model, settings, self.forward)
        self._batch: list[tuple[list[str], torch.Tensor]] = []
        self._measured: dict[str, list[_Measured]] = {}
        self.images = 0

    def begin(self) -> None:
        """Begin a batch of images; drop one that was not completed."""
        self._batch = []

    def columns(
        self, x: torch.Tensor, labels: torch.Tensor, conditions: list[str], keys: list[str]
    ) -> dict[str, torch.Tensor]:
        """Measure the error of B inputs; return no columns."""
        exact, low = _exact(self.forward, self.run, x), self._low(x)
        found = torch.stack([*_errors(exact, low), _overflows(low).double()])
        self._batch.append((conditions, found))
        return {}

    def end(self, images: int) -> None:
        """End a batch of this many files."""
        self.images += images

    def keep(self) -> None:
        """Keep what the batch has shown, once all models have ended it."""
        for conditions, found in self._batch:
            for condition, *values in zip(conditions, *found.cpu().tolist(), strict=True):
                measured = _Measured(*values)
                # Otherwise fp32's logits are not finite, which the pass says.
                if not isnan(measured.spread):
                    self._measured.setdefault(condition, []).append(measured)

    def state(self) -> State:
        """Return the state in which the run begins; of another form if this one overflows.

        Raises UserError if the model in low precision is not the same model.
        """
        everything = [one for measured in self._measured.values() for one in measured]
        if sum(bool(one.overflows) for one in everything) > OFTEN * len(everything):
            form = self.forms[self.forms.index(self.form) + 1]
            _say(f"{self.run.name}: {self.form} overflows in this model: using {form} instead")
            return State(form)
        errors = {condition: self._error(condition) for condition in self._measured}
        count = len(everything)
        return State(self.form, count, count / max(1, self.images), errors=errors)

    def _error(self, condition: str) -> Error:
        """Return a condition's error; unknown if most of its inputs overflow."""
        measured = self._measured[condition]
        # Those that overflow are recomputed, whatever the bound is.
        finite = [one for one in measured if not one.overflows]
        if sum(one.error > WRONG * one.spread for one in finite) > OFTEN * len(measured):
            _refuse(self.run, self.form, condition)
        if 2 * len(finite) < len(measured):
            return Error()
        return Error(len(finite), max(one.error for one in finite))


class Check:
    """A model in low precision, checked against itself in fp32.

    group: after how many inputs a group can end. forward: name, module, inputs → logits.
    """

    def __init__(
        self,
        run: Run,
        decide: Decision,
        settings: Settings,
        images: int,
        group: int,
        forward: Forward,
    ) -> None:
        self.run, self.decide, self.settings = run, decide, settings
        self.images, self.group = images, group
        self.forward = partial(forward, run.name)
        self.verifies = settings.precision == VERIFIED
        self.state = run.check or _state_on_disk(run) or State(_forms(run, decide, settings)[0])
        if self.state.form in (FP32, SIMULATED):
            run.form = None  # computed by the model as it is
        self._low = low_precision(self.state.form, run.computed, settings, self.forward)
        self._waiting: _Waiting | None = None
        self._begin_group()

    def _begin_group(self) -> None:
        self._now = deepcopy(self.state)
        self._pieces: list[_Piece] = []
        self._audits: list[_Audit] = []
        self._share = self._share_after(self.state)
        self.keep()

    def _share_after(self, state: State) -> float:
        """Return the share of the inputs that are drawn, as far as their number is known."""
        per_image = state.per_image or state.inputs / max(1, state.images)
        expected = self.images * per_image
        target = AUDITED if self.verifies else SAMPLED
        return min(MOST_DRAWN, target / expected) if expected else MOST_DRAWN

    def begin(self) -> None:
        """Begin a batch of images; drop one that was not completed."""
        now, pieces, audits = self._kept
        self._now, self._pieces, self._audits = deepcopy(now), [*pieces], [*audits]
        self._waiting = None

    def columns(
        self, x: torch.Tensor, labels: torch.Tensor, conditions: list[str], keys: list[str]
    ) -> dict[str, torch.Tensor]:
        """Return the decision's columns for B inputs; some change until the group ends.

        conditions, keys: of each input; a key is the same in every run.
        """
        self._now.inputs += len(x)
        if self.state.form == FP32:
            self._now.near += len(x)
            return decided(self.decide, _exact(self.forward, self.run, x), labels)
        for condition in conditions:
            self._now.errors.setdefault(condition, Error()).seen += 1
        logits = self._low(x)
        columns = decided(self.decide, logits, labels)
        near = self._near(logits, labels, conditions)
        draws = torch.tensor(
            [self._draw(*key) for key in zip(conditions, keys, strict=True)], dtype=torch.float64
        )
        before = self._waiting
        # A copy, since what makes the stimuli may overwrite them meanwhile.
        self._waiting = _Waiting(x.clone(), labels, logits, columns, conditions, draws, near)
        self._queue(before)
        return columns

    def end(self, images: int) -> None:
        """End a batch of this many files."""
        self._queue(self._waiting)
        self._waiting = None
        self._now.images += images

    def keep(self) -> None:
        """Keep what the batch has shown, once all models have ended it."""
        self._kept = deepcopy(self._now), [*self._pieces], [*self._audits]

    @property
    def is_due(self) -> bool:
        """Return whether the group can end: it is large enough, or nothing waits for more."""
        inputs = self._now.inputs - self.state.inputs
        return self.state.form == FP32 or not inputs or inputs >= self.group

    @property
    def left(self) -> int:
        """Return the number of inputs that wait to be recomputed."""
        return sum(len(piece.rows) for piece in self._pieces)

    def end_group(self) -> None:
        """Check the audit, once nothing is left to be recomputed.

        Raises RestartError if the bound did not hold, and UserError if the model in low precision
        is not the same model, or a decision changed although its margin exceeds the error.
        """
        # In the first group of a sample, more were drawn than are counted.
        share = self._share if self.verifies else self._share_after(self._now)
        above: dict[str, float] = {}  # the largest error above the bound, by condition
        for audit in self._audits:
            rows = zip(audit.conditions, audit.draws, *audit.found.cpu().tolist(), strict=True)
            for condition, draw, error, spread, changed, near in rows:
                if near:
                    self._now.repaired += int(changed)
                elif draw < share and self._exceeds(condition, error, spread, bool(changed)):
                    above[condition] = max(error, above.get(condition, 0.0))
        if above:
            self._raise_bounds(above)
        self.state = self._now
        self._begin_group()

    def _draw(self, condition: str, key: str) -> float:
        """Return a number in [0, 1) that decides on the random sample, another after each raise."""
        raises = self._now.errors[condition].raises
        text = f"{self.settings.seed}\0audit {raises}\0{condition}\0{key}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64

    def _near(
        self, logits: torch.Tensor, labels: torch.Tensor, conditions: list[str]
    ) -> Callable[[], torch.Tensor]:
        """Return a function that waits for which inputs could be decided otherwise, on the CPU."""
        if not self.verifies:
            return partial(torch.zeros, len(logits), dtype=torch.bool)
        margins = margins_of(self.decide)
        assert margins is not None  # else the form is fp32
        bounds = [self._now.errors[condition].bound for condition in conditions]
        limits = on_device(torch.tensor(bounds, dtype=torch.float64), logits.device)
        # NaN is not above a limit.
        return on_its_way(~(margins(logits.double(), labels) > limits) | _overflows(logits))

    def _queue(self, waiting: _Waiting | None) -> None:
        """Put what must be recomputed into the queue, and recompute a full batch of it."""
        if waiting is None:
            return
        near = waiting.near()
        chosen = (near | (waiting.draws < self._share)).nonzero().flatten()
        if not len(chosen):
            return
        self._now.near += int(near.sum())
        rows = on_device(chosen, waiting.x.device)
        self._pieces.append(
            _Piece(
                waiting.x[rows],
                waiting.labels[rows],
                waiting.logits[rows],
                on_device(near[chosen], rows.device),
                waiting.draws[chosen].tolist(),
                [waiting.conditions[row] for row in chosen.tolist()],
                waiting.columns,
                rows,
            )
        )
        most = len(waiting.x)  # what fits into memory
        while self.left >= most:
            self.recompute(most)

    def recompute(self, count: int) -> None:
        """Compute the first inputs that wait in fp32; keep the columns if answers are verified."""
        pieces, rest = _taken(self._pieces, count)
        exact = _exact(self.forward, self.run, torch.cat([piece.x for piece in pieces]))
        labels = torch.cat([piece.labels for piece in pieces])
        low = torch.cat([piece.logits for piece in pieces])
        columns = decided(self.decide, exact, labels)
        changed = differ(self.decide, columns, decided(self.decide, low, labels), labels)
        near = torch.cat([piece.near for piece in pieces])
        found = torch.stack([*_errors(exact, low), changed.double(), near.double()])
        conditions = [condition for piece in pieces for condition in piece.conditions]
        draws = [draw for piece in pieces for draw in piece.draws]
        self._pieces = rest
        self._audits.append(_Audit(conditions, draws, found))
        if not self.verifies:
            return
        counts = [len(piece.rows) for piece in pieces]
        for name, values in columns.items():
            for piece, own in zip(pieces, values.split(counts), strict=True):
                piece.columns[name][piece.rows] = own

    def _exceeds(self, condition: str, error: float, spread: float, changed: bool) -> bool:
        """Count an input of the random sample; return whether its error is above the bound."""
        if self.verifies and isnan(spread):  # fp32's logits are not finite: the loop says so
            return False
        self._now.audited += 1
        self._now.changed += changed
        if not self.verifies:
            return False
        known = self._now.errors[condition]
        if error > known.bound:
            if error > WRONG * spread or known.raises == MOST_RAISES:
                _refuse(self.run, self.state.form, condition)
            return True
        if changed:
            self._blame_margins(condition)
        return False

    def _raise_bounds(self, above: dict[str, float]) -> None:
        for condition, error in above.items():
            known = self._now.errors[condition]
            _say(
                f"{self.run.name}: the audit found an error of {error:.3g} in the logits, above "
                f"the bound of {known.bound:.3g} ({condition}): what was accepted is computed again"
            )
            known.least, known.raises = FACTOR * error, known.raises + 1
        raise RestartError(self.run, self._now, above)

    def _blame_margins(self, condition: str) -> None:
        raise UserError(
            f"a decision of model {self.run.name} (condition {condition}) is another one in fp32, "
            "although its margin is larger than the error of the logits: correct the margins that "
            "the decision declares (with_margins in bvg/run/decisions.py), or use --precision fp32"
        )


def _taken(pieces: list[_Piece], count: int) -> tuple[list[_Piece], list[_Piece]]:
    """Return the first `count` inputs of a queue, and the others."""
    taken, rest = [], [*pieces]
    while count and rest:
        piece = rest.pop(0)
        if len(piece.rows) > count:
            rest.insert(0, piece.part(slice(count, None)))
            piece = piece.part(slice(count))
        taken.append(piece)
        count -= len(piece.rows)
    return taken, rest


def _exact(forward: Callable, run: Run, x: torch.Tensor) -> torch.Tensor:
    return forward(run.model.model, x.contiguous(memory_format=torch.channels_last))


def _overflows(logits: torch.Tensor) -> torch.Tensor:
    """Return which inputs have a best logit that is infinite or NaN, (B,) bool."""
    return ~logits.amax(dim=1).isfinite()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _refuse(run: Run, form: str, condition: str) -> None:
    raise UserError(
        f"the logits of model {run.name} in {form} are too far from those in fp32 (condition "
        f"{condition}) for verified answers: use --precision fp32"
    )


def checks(
    runs: list[Run],
    images: ImageSet,
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
    forward: Forward,
) -> list[Check | None]:
    """Return the check of each run, None where --precision asks for none."""
    if settings.precision not in (VERIFIED, *AUTOCAST):
        return [None] * len(runs)
    group = GROUP * settings.batch_size * images.frames
    if isinstance(stimuli, Mapping):  # attacks, too costly to lose many batches of if killed
        group = 1
    return [
        Check(run, decide, settings, len(images), group, forward)
        if settings.precision == VERIFIED or not _has_16_bits(run.model.model)
        else None
        for run in runs
    ]


def unmeasured(runs: list[Run], decide: Decision, settings: Settings) -> list[Run]:
    """Return the runs whose error in low precision must be measured before the pass."""
    if settings.precision != VERIFIED:
        return []
    states = {run.name: run.check or _state_on_disk(run) for run in runs}
    return [
        run for run in runs if states[run.name] is None and _forms(run, decide, settings)[0] != FP32
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
