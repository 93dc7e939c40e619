"""The loop: decode once, make each stimulus once, show it to every model.

    for batch: for (condition, x) in stimuli(batch): for model: decide(model(x))

Where stimuli are made against a model (adversarial images), each model has its own. Memory is
bounded by one batch under all of its conditions, and by the answers (some bytes per image and
condition) since the last chunk; never by the data set.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from bvg.data.image_set import ImageSet
from bvg.data.loading import Decoded, decoded_batches
from bvg.errors import UserError, is_out_of_memory, reason_of
from bvg.memory import give_back_freed_memory
from bvg.run.batches import as_batch
from bvg.run.decisions import Decision, decided
from bvg.run.probe import malformed
from bvg.run.rows import Answers, Columns, as_columns, joined
from bvg.run.runs import Run
from bvg.run.settings import AUTOCAST, Settings, autocast
from bvg.run.stopwatch import Stopwatch
from bvg.stimuli.batch import Stimuli, Stimulus
from bvg.zoo.normalized import NormalizedModel

CHUNK_IMAGES = 256  # a chunk is written after so many images,
CHUNK_SECONDS = 10.0  # or after so long


def run_pass(
    images: ImageSet,
    runs: list[Run],
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, int]:
    """Evaluate what is missing in each run's store; return counters of the work done.

    stimuli: those that all models see, or each model's own by its name.
    `progress` is called with the number of images that all runs have completed.
    Raises UserError for an image that cannot be decoded (unless settings.skip_bad_images), a
    model that fails or gives numbers that are not finite, and a disk that is full; what was
    finished before is on disk then.
    """
    runs = [run for run in runs if run.store.done < len(images)]
    counters = {"images_decoded": 0, "stimuli_made": 0, "model_inputs": 0}
    if not runs:
        return counters
    work = _Pass(images, runs, stimuli, decide, settings, counters)
    progress(work.done)  # before the work, so that its rate counts all of it
    try:
        for done in work.batches():
            progress(done)
    finally:
        work.write_chunks()
        give_back_freed_memory()
    return counters


class _Pass:
    """One pass over the images, from the first one that some run lacks."""

    def __init__(self, images, runs, stimuli, decide, settings, counters) -> None:
        self.images: ImageSet = images
        self.runs: list[Run] = runs
        self.stimuli: Stimuli | Mapping[str, Stimuli] = stimuli
        self.decide: Decision = decide
        self.settings: Settings = settings
        self.counters: dict[str, int] = counters
        self.views = tuple(dict.fromkeys(run.view for run in runs))
        self.watch = Stopwatch(settings.device)
        self.most: int | None = None  # files at once, where the device has no memory for a batch
        self.done = min(run.store.done for run in runs)
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

    def _answers(self, decoded: Decoded) -> dict[int, Answers]:
        """Return, for each run that lacks some of the batch, its answers by condition.

        A batch that does not fit into the device's memory is halved until it does, and so are the
        following ones: answers do not depend on batches.
        """
        waiting, done = [decoded], []
        while waiting:
            part = waiting.pop(0)
            if self.most and len(part.indices) > self.most:
                waiting = part.split(self.most) + waiting
                continue
            answers = self._within_memory(part)
            if answers is None:
                waiting.insert(0, part)
            else:
                done.append(answers)
        return _joined(done)

    def _within_memory(self, part: Decoded) -> dict[int, Answers] | None:
        """Return the answers, or None, with `most` halved, where there is too little memory."""
        try:
            return self._answers_of(part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            count, device = len(part.indices), self.settings.device
            if count == 1:
                raise UserError(
                    f"the memory of {device} is too small even for a batch of one image: use a "
                    "smaller model, another --device, or fewer models per call"
                ) from error
            self.most = -(-count // 2)
            print(
                f"the memory of {device} is too small for {count} images at a time: continuing "
                f"with {self.most} (--batch_size {self.most} avoids this)",
                file=sys.stderr,
                flush=True,
            )
        # Behind the except clause, whose error holds on to the tensors that did not fit.
        if self.settings.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @torch.no_grad()  # not inference_mode: gradient attacks are among the stimuli
    def _answers_of(self, decoded: Decoded) -> dict[int, Answers]:
        answers: dict[int, Answers] = {}
        if not len(decoded.indices):
            return answers
        made = inputs = 0
        last = int(decoded.indices[-1])
        positions = decoded.indices.repeat_interleave(decoded.frames)
        for view, pixels in zip(self.views, decoded.views, strict=True):
            lacking = [
                number
                for number, run in enumerate(self.runs)
                if run.view == view and run.store.done <= last
            ]
            if not lacking:
                continue
            device, seed = self.settings.device, self.settings.seed
            batch = as_batch(self.images, pixels, positions, device, seed)
            for stimuli, numbers in self._by_stimuli(lacking).items():
                for condition, x, *own in self._timed(stimuli(batch)):
                    made += len(x)
                    for number in numbers:
                        inputs += len(x)
                        answer = self._decide(self.runs[number], x, batch.labels)
                        answer |= own[0] if own else {}
                        answers.setdefault(number, []).append((condition, answer))
        self.counters["images_decoded"] += len(decoded.indices)
        self.counters["stimuli_made"] += made
        self.counters["model_inputs"] += inputs
        return answers

    def _by_stimuli(self, numbers: list[int]) -> dict[Stimuli, list[int]]:
        """Return which runs see which stimuli: those of the pass, or ones of their own."""
        groups: dict[Stimuli, list[int]] = {}
        for number in numbers:
            shown = self.stimuli
            own = shown[self.runs[number].name] if isinstance(shown, Mapping) else shown
            groups.setdefault(own, []).append(number)
        return groups

    def _timed(self, stimuli: Iterator[Stimulus]):
        while True:
            with self.watch.section("stimuli"):
                stimulus = next(stimuli, None)
            if stimulus is None:
                return
            yield stimulus

    def _decide(self, run: Run, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        with self.watch.section("model"):
            try:
                with autocast(self.settings):
                    logits = run.model.model(_copy_if_needed(run.model.model, x))
            except Exception as error:  # the model may be anyone's code
                if is_out_of_memory(error):
                    raise
                raise UserError(
                    f"model {run.name} failed on images of shape {tuple(x.shape)} with "
                    f"{type(error).__name__}: {reason_of(error)}; fix the model or drop it from "
                    "--model"
                ) from error
            if problem := malformed(logits, len(x)):
                raise UserError(f"model {run.name} {problem}")
            # Detached, since models may compute gradients inside.
            return decided(self.decide, logits.detach(), labels)

    def _check(self, decoded: Decoded) -> None:
        """Note what the batch could not deliver, or refuse to go on without it."""
        self.watch.seconds["decode"] += decoded.seconds
        self.info["resized"] += [self.images.described(i) for i in decoded.resized]
        for index, reason in decoded.failures:
            if not self.settings.skip_bad_images:
                raise UserError(
                    f"the image {self.images.path(index)} cannot be decoded ({reason}): skip such "
                    "images with --skip_bad_images (counted and recorded; finished work is kept), "
                    "or replace it and start again with --overwrite"
                )
            entry = {"image": self.images.described(index), "reason": reason}
            self.info["skipped"].append(entry)

    def _collect(self, decoded: Decoded, answers: dict[int, Answers]) -> int:
        """Fetch a batch's answers from the device, and write a chunk if it is time to."""
        self._check(decoded)
        indices, frames = decoded.indices.numpy(), decoded.frames.numpy()
        fetched = []
        for number, by_condition in answers.items():
            run = self.runs[number]
            columns = as_columns(self.images, indices, frames, by_condition)
            finite = np.isfinite(columns["confidence"])
            if not finite.all():
                raise UserError(self._not_finite(run, columns, int(finite.argmin())))
            fresh = np.repeat(indices >= run.store.done, len(by_condition))
            fetched.append((run, {name: values[fresh] for name, values in columns.items()}))
        for run, columns in fetched:  # all of them or none: a batch is done as a whole
            run.rows.append(columns)
        self.watch.settle()
        positions = [*indices, *(index for index, _ in decoded.failures)]
        self.done = int(max(positions)) + 1
        late = time.monotonic() - self.written_at >= CHUNK_SECONDS
        if late or self.done - self.written_images >= CHUNK_IMAGES:
            self.write_chunks()
        if late:
            give_back_freed_memory()
        return self.done

    def _not_finite(self, run: Run, columns: Columns, row: int) -> str:
        """Return the sentence for a model whose answer to a row's stimulus is not a number."""
        precision = self.settings.precision
        remedy = "fix the model or drop it from --model"
        if precision in AUTOCAST:
            remedy = "use --precision fp32"
        return (
            f"model {run.name} returns NaN or infinite logits in {precision} for the image "
            f"{columns['image'][row]} (condition {columns['condition'][row]}): {remedy}"
        )

    def write_chunks(self) -> None:
        """Write each run's answers since the last chunk."""
        info = {**self.info, "seconds": self.watch.take(), "models": len(self.runs)}
        for run in self.runs:
            if self.done > run.store.done:
                columns = joined(run.rows, run.store.layout.names)
                run.store.append(self.done, columns, info)
                run.rows.clear()
        self.info = {"skipped": [], "resized": []}
        self.written_at, self.written_images = time.monotonic(), self.done


def _joined(parts: list[dict[int, Answers]]) -> dict[int, Answers]:
    """Return the answers to the parts of a batch as those to the batch."""
    if len(parts) == 1:
        return parts[0]
    whole: dict[int, Answers] = {}
    for number in {number: None for part in parts for number in part}:
        # All parts have the same conditions, in the same order.
        by_condition = zip(*(part[number] for part in parts if number in part), strict=True)
        whole[number] = [
            (
                pieces[0][0],
                {key: torch.cat([piece[key] for _, piece in pieces]) for key in pieces[0][1]},
            )
            for pieces in by_condition
        ]
    return whole


def _copy_if_needed(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return x, as a copy where the model may change its input: others will see x as well.

    NormalizedModel makes a new tensor of it before anything else.
    """
    if isinstance(model, NormalizedModel):
        return x
    return x.clone(memory_format=torch.channels_last)
