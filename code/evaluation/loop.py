"""The loop: decode once, make each stimulus once, show it to every model.

    for batch: for (condition, x) in stimuli(batch): for model: decide(model(x))

Where stimuli are made against a model (adversarial images), each model has its own. Memory is
bounded by one batch under all of its conditions, and by the answers (some bytes per image and
condition) since the last chunk; never by the data set.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from basics.errors import UserError, reason_of
from basics.memory import give_back_freed_memory
from evaluation.batches import as_batch
from evaluation.decisions import Decision
from evaluation.probe import malformed
from evaluation.rows import Answers, Columns, as_columns, joined
from evaluation.settings import AUTOCAST, Settings, autocast
from evaluation.stopwatch import Stopwatch
from images.image_set import ImageSet
from images.loading import Decoded, decoded_batches
from images.preprocessing import Preprocessing
from model_zoo.normalized import NormalizedModel
from predictions.store import ResultFolder
from stimuli.batch import Stimuli, Stimulus

CHUNK_IMAGES = 256  # a chunk is written after so many images,
CHUNK_SECONDS = 10.0  # or after so long


@dataclass
class Member:
    """A model that takes part in the pass, and its answers that are not yet on disk."""

    name: str
    model: nn.Module
    decide: Decision
    view: Preprocessing
    store: ResultFolder
    stimuli: Stimuli | None = None  # made for this model alone; None: those of the pass
    rows: list[Columns] = field(default_factory=list)


def run(
    images: ImageSet,
    members: list[Member],
    stimuli: Stimuli,
    settings: Settings,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, int]:
    """Measure what is missing in each member's store; return counters of the work done.

    `progress` is called with the number of images that all members have behind them.
    Raises UserError for an image that cannot be decoded (unless settings.skip_bad_images), a
    model that fails or gives numbers that are not finite, and a disk that is full; what was
    finished before is on disk then.
    """
    members = [member for member in members if member.store.done < len(images)]
    counters = {"images_decoded": 0, "stimuli_made": 0, "model_inputs": 0}
    if not members:
        return counters
    work = _Pass(images, members, stimuli, settings, counters)
    progress(work.done)  # before the work, so that its rate counts all of it
    try:
        for done in work.batches():
            progress(done)
    finally:
        work.write_chunks()
        give_back_freed_memory()
    return counters


class _Pass:
    """One pass over the images, from the first one that some member lacks."""

    def __init__(self, images, members, stimuli, settings, counters) -> None:
        self.images: ImageSet = images
        self.members: list[Member] = members
        self.stimuli: Stimuli = stimuli
        self.settings: Settings = settings
        self.counters: dict[str, int] = counters
        self.views = tuple(dict.fromkeys(member.view for member in members))
        self.watch = Stopwatch(settings.device)
        self.done = min(member.store.done for member in members)
        self.info: dict[str, Any] = {"skipped": [], "resized": []}
        self.written_at, self.written_images = time.monotonic(), self.done

    def batches(self) -> Iterator[int]:
        """Work through the batches; yield the number of images done after each.

        A batch's answers are fetched from the device only after the next one has been queued, so
        that the device never waits for the program.
        """
        settings = self.settings
        start = self.done - self.done % settings.batch_size  # batches as in an unbroken run
        decoded = decoded_batches(
            self.images,
            self.views,
            start,
            settings.batch_size,
            settings.num_workers,
            pin_memory=settings.device.type == "cuda",
        )
        queued: tuple[Decoded, dict] | None = None
        while True:
            before = time.perf_counter()
            batch = next(decoded, None)
            self.watch.seconds["wait"] += time.perf_counter() - before
            answers = self._answers(batch) if batch is not None else None
            if queued is not None:
                yield self._collect(*queued)
            if batch is None or answers is None:
                return
            queued = (batch, answers)

    @torch.no_grad()  # not inference_mode: gradient attacks are among the stimuli
    def _answers(self, decoded: Decoded) -> dict[int, Answers]:
        """Return, for each member that lacks some of the batch, its answers by condition."""
        answers: dict[int, Answers] = {}
        if not len(decoded.indices):
            return answers
        self.counters["images_decoded"] += len(decoded.indices)
        last = int(decoded.indices[-1])
        positions = decoded.indices.repeat_interleave(decoded.frames)
        for view, pixels in zip(self.views, decoded.views, strict=True):
            lacking = [
                number
                for number, member in enumerate(self.members)
                if member.view == view and member.store.done <= last
            ]
            if not lacking:
                continue
            device, seed = self.settings.device, self.settings.seed
            batch = as_batch(self.images, pixels, positions, device, seed)
            for stimuli, numbers in self._by_stimuli(lacking).items():
                for condition, x, *own in self._timed(stimuli(batch)):
                    self.counters["stimuli_made"] += len(x)
                    for number in numbers:
                        self.counters["model_inputs"] += len(x)
                        answer = self._decide(self.members[number], x) | (own[0] if own else {})
                        answers.setdefault(number, []).append((condition, answer))
        return answers

    def _by_stimuli(self, numbers: list[int]) -> dict[Stimuli, list[int]]:
        """Return which members see which stimuli: those of the pass, or ones of their own."""
        groups: dict[Stimuli, list[int]] = {}
        for number in numbers:
            groups.setdefault(self.members[number].stimuli or self.stimuli, []).append(number)
        return groups

    def _timed(self, stimuli: Iterator[Stimulus]):
        while True:
            with self.watch.section("stimuli"):
                stimulus = next(stimuli, None)
            if stimulus is None:
                return
            yield stimulus

    def _decide(self, member: Member, x: torch.Tensor) -> dict[str, torch.Tensor]:
        with self.watch.section("model"):
            try:
                with autocast(self.settings):
                    logits = member.model(_own(member.model, x))
            except torch.OutOfMemoryError as error:
                raise UserError(
                    f"{self.settings.device} runs out of memory for model {member.name} and a "
                    f"batch of {len(x)} images: run it again with a smaller --batch_size"
                ) from error
            except Exception as error:  # the model may be anyone's code
                raise UserError(
                    f"model {member.name} failed on images of shape {tuple(x.shape)} with "
                    f"{type(error).__name__}: {reason_of(error)}; fix the model or drop it from "
                    "--model"
                ) from error
            if problem := malformed(logits, len(x)):
                raise UserError(f"model {member.name} {problem}")
            return member.decide(logits.detach())  # models may compute gradients inside

    def _check(self, decoded: Decoded) -> None:
        """Note what the batch could not deliver, or refuse to go on without it."""
        self.watch.seconds["decode"] += decoded.seconds
        self.info["resized"] += [self.images.described(i) for i in decoded.resized]
        for index, reason in decoded.failures:
            if not self.settings.skip_bad_images:
                raise UserError(
                    f"the image {self.images.path(index)} cannot be used ({reason}): leave "
                    "such images out with --skip_bad_images (counted and recorded; what is done is "
                    "kept), or repair it and begin again with --overwrite"
                )
            entry = {"image": self.images.described(index), "reason": reason}
            self.info["skipped"].append(entry)

    def _collect(self, decoded: Decoded, answers: dict[int, Answers]) -> int:
        """Fetch a batch's answers from the device, and write a chunk if it is time to."""
        self._check(decoded)
        indices, frames = decoded.indices.numpy(), decoded.frames.numpy()
        fetched = []
        for number, by_condition in answers.items():
            member = self.members[number]
            columns = as_columns(self.images, indices, frames, by_condition)
            finite = np.isfinite(columns["confidence"])
            if not finite.all():
                raise UserError(self._not_finite(member, columns, int(finite.argmin())))
            fresh = np.repeat(indices >= member.store.done, len(by_condition))
            fetched.append((member, {name: values[fresh] for name, values in columns.items()}))
        for member, columns in fetched:  # all of them or none: a batch is done as a whole
            member.rows.append(columns)
        self.watch.settle()
        positions = [*indices, *(index for index, _ in decoded.failures)]
        self.done = int(max(positions)) + 1
        late = time.monotonic() - self.written_at >= CHUNK_SECONDS
        if late or self.done - self.written_images >= CHUNK_IMAGES:
            self.write_chunks()
        if late:
            give_back_freed_memory()
        return self.done

    def _not_finite(self, member: Member, columns: Columns, row: int) -> str:
        """Return the sentence for a model whose answer to a row's stimulus is not a number."""
        precision = self.settings.precision
        remedy = "fix the model or drop it from --model"
        if precision in AUTOCAST:
            remedy = "use --precision fp32"
        return (
            f"model {member.name} returns NaN or infinite logits in {precision} for the image "
            f"{columns['image'][row]} (condition {columns['condition'][row]}): {remedy}"
        )

    def write_chunks(self) -> None:
        """Write each member's answers since the last chunk."""
        info = {**self.info, "seconds": self.watch.take(), "models": len(self.members)}
        for member in self.members:
            if self.done > member.store.done:
                columns = joined(member.rows, member.store.layout.names)
                member.store.append(self.done, columns, info)
                member.rows.clear()
        self.info = {"skipped": [], "resized": []}
        self.written_at, self.written_images = time.monotonic(), self.done


def _own(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return x, as a copy where the model may change its input: others will see x as well.

    NormalizedModel makes a new tensor of it before anything else.
    """
    if isinstance(model, NormalizedModel):
        return x
    return x.clone(memory_format=torch.channels_last)
