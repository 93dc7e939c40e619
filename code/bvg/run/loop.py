"""The loop: decode once, make each stimulus once, show it to every model.

    for batch: for (condition, x) in stimuli(batch): for model: decide(model(x))

Where stimuli are made against a model (adversarial images), each model has its own. Memory is
bounded by one batch under all of its conditions, and by the answers (some bytes per image and
condition) since the last chunk; never by the data set. With a check of the precision, batches are
collected in groups (run/verified).
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from bvg.data.image_set import ImageSet
from bvg.data.loading import Decoded, decoded_batches
from bvg.errors import UserError, is_out_of_memory, model_errors
from bvg.run.batches import (
    Answers,
    Returning,
    Rows,
    as_batch,
    as_rows,
    concatenated,
    condition_of,
)
from bvg.run.decisions import Decision, decided
from bvg.run.precision import FP32, State, measured_sample
from bvg.run.probe import malformed
from bvg.run.runs import Run
from bvg.run.settings import AUTOCAST, Settings, autocast, release_freed_memory
from bvg.run.verified import Check, Measurement, RestartError, announce, checks, unmeasured
from bvg.stimuli.batch import Batch, Stimuli, Stimulus
from bvg.zoo.normalized import NormalizedModel

CHUNK_IMAGES = 256  # a chunk is written after this many images,
CHUNK_SECONDS = 10.0  # or after this time
Found = TypeVar("Found")


class Stopwatch:
    """Seconds by section. On CUDA, sections are timed by events and read when they are settled."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._on_cuda = device.type == "cuda"
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Add the time that the block takes on the device to `name`."""
        if self._on_cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((name, begin, end))
        else:
            started = time.perf_counter()
            yield
            self.seconds[name] += time.perf_counter() - started

    def settle(self) -> None:
        """Add up the events that the device has finished."""
        while self._events and self._events[0][2].query():
            name, begin, end = self._events.pop(0)
            self.seconds[name] += begin.elapsed_time(end) / 1000

    def take(self) -> dict[str, float]:
        """Return the seconds since the last call, and reset them."""
        taken = dict(self.seconds)
        self.seconds.clear()
        return taken


def run_pass(
    images: ImageSet,
    runs: list[Run],
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, int]:
    """Evaluate the images that each run's store lacks; return counters of the work done.

    stimuli: those that all models see, or by model name those made against each.
    `progress` is called with the number of images that all runs have completed.
    Raises UserError for an image that cannot be decoded (unless settings.skip_bad_images), a
    model that fails or returns numbers that are not finite, and a full disk; finished batches are
    then on disk.
    """
    runs = [run for run in runs if run.store.done < len(images)]
    counters = {"images_decoded": 0, "stimuli_made": 0, "model_inputs": 0}
    if not runs:
        return counters
    announce(decide, settings)
    _measure(images, unmeasured(runs, decide, settings), stimuli, decide, settings)
    while True:
        began = time.monotonic()
        lacking = [run for run in runs if run.store.done < len(images)]
        work = _Pass(images, lacking, stimuli, decide, settings, counters)
        work.checks = checks(lacking, images, stimuli, decide, settings, work.logits)
        try:
            for done in work.batches():
                progress(done)
            return counters
        except RestartError as error:
            # Without its traceback, which would keep the pass's workers, files and tensors alive.
            restarting = error.with_traceback(None)
        finally:
            work.write_chunks()
            if time.monotonic() - began >= CHUNK_SECONDS:  # a short pass leaves little behind
                release_freed_memory()
        restarting.go_back()


def _measure(
    images: ImageSet,
    runs: list[Run],
    stimuli: Stimuli | Mapping[str, Stimuli],
    decide: Decision,
    settings: Settings,
) -> None:
    """Measure the error of each run's low precision on a sample of the images."""
    if not runs:
        return
    sample = measured_sample(images, settings.seed)
    if len(sample) == len(images):
        print(
            f"--precision verified: {len(images):,} images are so few that all answers are "
            "computed in fp32"
        )
        for run in runs:
            run.check = State(FP32)
        return
    while runs:
        names = ", ".join(run.name for run in runs)
        print(f"{names}: measuring the error of low precision on {len(sample):,} images")
        work = _Pass(sample, runs, stimuli, decide, settings, Counter())
        measuring = [Measurement(run, decide, settings, work.logits) for run in runs]
        work.checks = measuring
        work.look()
        runs = []
        for measurement in measuring:
            state = measurement.state()
            measurement.run.check = state
            if state.form not in (measurement.form, FP32):  # it overflows in the one before
                runs.append(measurement.run)


class _Pass:
    """One pass over the images, starting at the first one that any run lacks.

    checks: of each run, or what takes their place; set before the pass.
    """

    def __init__(self, images, runs, stimuli, decide, settings, counters) -> None:
        self.images: ImageSet = images
        self.runs: list[Run] = runs
        self.stimuli: Stimuli | Mapping[str, Stimuli] = stimuli
        self.decide: Decision = decide
        self.settings: Settings = settings
        self.counters: dict[str, int] = counters
        self.views = tuple(dict.fromkeys(run.view for run in runs))
        self.watch = Stopwatch(settings.device)
        self.most: int | None = None  # files at once, once a batch did not fit into memory
        self.done = min(run.store.done for run in runs)
        self.info: dict[str, Any] = {"skipped": [], "resized": []}
        self.written_at, self.written_images = time.monotonic(), self.done
        self.is_whole = True  # whether the runs have the answers up to `done`, and no others
        self.checks: Sequence[Check | Measurement | None] = [None] * len(runs)

    def look(self) -> None:
        """Show the images to what takes the place of checks, for no answers."""
        settings = self.settings
        workers, pin = settings.num_workers, settings.device.type == "cuda"
        for batch in decoded_batches(self.images, self.views, 0, settings.batch_size, workers, pin):
            self._answers(batch)

    def batches(self) -> Iterator[int]:
        """Work through the batches; yield the number of images done after each group of them.

        Without a check, a group is one batch. Its answers are fetched from the device only after
        the next batch has been queued, so that the device never waits for the program.
        """
        settings = self.settings
        decoded = decoded_batches(
            self.images,
            self.views,
            self.done,  # the end of a group, so that batches are those of an uninterrupted run
            settings.batch_size,
            settings.num_workers,
            pin_memory=settings.device.type == "cuda",
            cache=settings.cache_crops,
        )
        group: list[tuple[Decoded, list[dict[int, Answers]]]] = []
        queued: tuple[list[tuple[Decoded, dict[int, Returning]]], list[State | None]] | None = None
        while True:
            before = time.perf_counter()
            batch = next(decoded, None)
            self.watch.seconds["wait"] += time.perf_counter() - before
            if batch is not None:
                group.append((batch._replace(views=[]), self._answers(batch)))
            if queued is not None:
                yield self._collect(*queued)
                queued = None
            if group and (batch is None or self._group_is_due()):
                states = self._end_group()
                queued = ([(decoded, _returning(parts)) for decoded, parts in group], states)
                group = []
            if batch is None and queued is None:
                return

    def _group_is_due(self) -> bool:
        return all(check.is_due for check in self.checks if isinstance(check, Check))

    def _end_group(self) -> list[State | None]:
        """Recompute what is left of a group of batches; return the state of each check."""
        own = [check if isinstance(check, Check) else None for check in self.checks]
        with self.watch.section("model"), torch.no_grad():
            for check in filter(None, own):
                frames = self.images.frames
                while check.left:
                    files = min(-(-check.left // frames), self.most or self.settings.batch_size)
                    self._within_memory(files, partial(check.recompute, files * frames))
                check.end_group()
        return [check.state if check else None for check in own]

    def _answers(self, decoded: Decoded) -> list[dict[int, Answers]]:
        """Return the answers by condition of each run that lacks part of the batch.

        A batch that does not fit into the device's memory is halved until it does, and so are the
        following ones: answers do not depend on batches. The parts are not joined before the group
        ends, since a check replaces answers in them until then.
        """
        if not len(decoded.indices):
            return []
        last = int(decoded.indices[-1])
        lacking = [number for number, run in enumerate(self.runs) if run.store.done <= last]
        waiting, done = [decoded], []
        while waiting:
            part = waiting.pop(0)
            if self.most and len(part.indices) > self.most:
                waiting = part.split(self.most) + waiting
                continue
            work = partial(self._answers_of, part, lacking)
            answers = self._within_memory(len(part.indices), work)
            if answers is None:
                waiting.insert(0, part)
            else:
                done.append(answers)
        return done

    def _within_memory(self, count: int, work: Callable[[], Found]) -> Found | None:
        """Return what work with `count` images gives; None if that is too much, `most` halved."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            device = self.settings.device
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
        # After the except clause, whose error keeps the tensors that did not fit alive.
        if self.settings.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @torch.no_grad()  # not inference_mode: gradient attacks are among the stimuli
    def _answers_of(self, decoded: Decoded, lacking: list[int]) -> dict[int, Answers]:
        answers: dict[int, Answers] = {}
        made = inputs = 0
        positions = decoded.indices.repeat_interleave(decoded.frames)
        for check in self.checks:
            if check:
                check.begin()
        for view, pixels in zip(self.views, decoded.views, strict=True):
            of_view = [number for number in lacking if self.runs[number].view == view]
            if not of_view:
                continue
            device, seed = self.settings.device, self.settings.seed
            batch = as_batch(self.images, pixels, positions, device, seed)
            for stimuli, numbers in self._by_stimuli(of_view).items():
                for condition, x, *columns in self._timed(stimuli(batch)):
                    made += len(x)
                    extra = columns[0] if columns else {}
                    for number in numbers:
                        inputs += len(x)
                        answer = self._decide(number, x, batch, condition, positions) | extra
                        answers.setdefault(number, []).append((condition, answer))
        ended = [own for number in answers if (own := self.checks[number])]
        with self.watch.section("model"):
            for check in ended:
                check.end(len(decoded.indices))
        for check in ended:  # all or none: without enough memory, all models see the batch again
            check.keep()
        self.counters["images_decoded"] += len(decoded.indices)
        self.counters["stimuli_made"] += made
        self.counters["model_inputs"] += inputs
        return answers

    def _by_stimuli(self, numbers: list[int]) -> dict[Stimuli, list[int]]:
        """Return which runs see which stimuli: the shared ones, or those made against each."""
        if not isinstance(self.stimuli, Mapping):
            return {self.stimuli: numbers}
        groups: dict[Stimuli, list[int]] = {}
        for number in numbers:
            groups.setdefault(self.stimuli[self.runs[number].name], []).append(number)
        return groups

    def _timed(self, stimuli: Iterator[Stimulus]):
        while True:
            with self.watch.section("stimuli"):
                stimulus = next(stimuli, None)
            if stimulus is None:
                return
            yield stimulus

    def _decide(
        self, number: int, x: torch.Tensor, batch: Batch, condition: str, positions: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return a run's columns for one condition; those of a check are ready when it ends."""
        run, check = self.runs[number], self.checks[number]
        with self.watch.section("model"):
            if check:
                conditions = [condition_of(self.images, i, condition) for i in positions.tolist()]
                return check.columns(x, batch.labels, conditions, _keys(batch.names))
            with autocast(self.settings):
                logits = self.logits(run.name, run.computed, x)
            return decided(self.decide, logits, batch.labels)

    def logits(self, name: str, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return a model's logits for these inputs; raises UserError if they are none."""
        with model_errors(
            f"model {name} failed on images of shape {tuple(x.shape)}",
            "fix the model or drop it from --model",
        ):
            logits = model(_copy_if_needed(model, x))
        if problem := malformed(logits, len(x)):
            raise UserError(f"model {name} {problem}")
        return logits.detach()  # since models may compute gradients inside

    def _record_failures(self, decoded: Decoded) -> None:
        """Record images that were resized or cannot be decoded; the latter may be an error."""
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

    def _collect(
        self, group: list[tuple[Decoded, dict[int, Returning]]], states: list[State | None]
    ) -> int:
        """Fetch a group's answers from the device, and write a chunk if one is due."""
        fetched, positions = [], list[int]()
        for decoded, answers in group:
            self._record_failures(decoded)
            fetched += self._fetched(decoded, answers)
            positions += [*decoded.indices.tolist(), *(index for index, _ in decoded.failures)]
        self.is_whole = False
        for run, rows in fetched:  # all runs or none: a group is completed as a whole
            run.rows.append(rows)
        for run, state in zip(self.runs, states, strict=True):
            run.check = state
        self.watch.settle()
        self.done = max(positions) + 1
        self.is_whole = True
        late = time.monotonic() - self.written_at >= CHUNK_SECONDS
        if late or self.done - self.written_images >= CHUNK_IMAGES:
            self.write_chunks()
        if late:
            release_freed_memory()
        return self.done

    def _fetched(self, decoded: Decoded, answers: dict[int, Returning]) -> list[tuple[Run, Rows]]:
        """Return the rows of a batch that each run lacks."""
        indices, frames = decoded.indices.numpy(), decoded.frames.numpy()
        fetched = []
        for number, by_condition in answers.items():
            run = self.runs[number]
            rows = as_rows(self.images, indices, frames, by_condition)
            finite = np.isfinite(rows["confidence"])
            if not finite.all():
                raise UserError(self._not_finite(run, rows, int(finite.argmin())))
            new = np.repeat(indices >= run.store.done, len(by_condition.stimuli))
            fetched.append((run, {name: values[new] for name, values in rows.items()}))
        return fetched

    def _not_finite(self, run: Run, rows: Rows, row: int) -> str:
        """Return the error message for a model whose logits of a row are not finite."""
        precision = self.settings.precision
        remedy = "fix the model or drop it from --model"
        if precision in AUTOCAST:
            remedy = "use --precision fp32"
        return (
            f"model {run.name} returns NaN or infinite logits in {precision} for the image "
            f"{rows['image'][row]} (condition {rows['condition'][row]}): {remedy}"
        )

    def write_chunks(self) -> None:
        """Write each run's answers since the last chunk."""
        if not self.is_whole:  # interrupted between two lines of _collect
            return
        info = {**self.info, "seconds": self.watch.take(), "models": len(self.runs)}
        for run in self.runs:
            if self.done > run.store.done:
                rows = concatenated(run.rows, run.store.layout.names)
                form = {"form": run.form.name} if run.form else {}
                checked = {"check": asdict(run.check)} if run.check else {}
                checked |= {"input_check": run.input_check} if run.input_check else {}
                run.store.append(self.done, rows, info | form | checked)
                run.rows.clear()
        self.info = {"skipped": [], "resized": []}
        self.written_at, self.written_images = time.monotonic(), self.done


def _returning(parts: list[dict[int, Answers]]) -> dict[int, Returning]:
    return {number: Returning(of_run) for number, of_run in _joined(parts).items()}


def _joined(parts: list[dict[int, Answers]]) -> dict[int, Answers]:
    """Return the answers to the parts of a batch as answers to the whole."""
    if len(parts) == 1:
        return parts[0]
    whole: dict[int, Answers] = {}
    for number in parts[0] if parts else ():
        # All parts have the same conditions, in the same order.
        by_condition = zip(*(part[number] for part in parts), strict=True)
        whole[number] = [
            (
                pieces[0][0],
                {key: torch.cat([piece[key] for _, piece in pieces]) for key in pieces[0][1]},
            )
            for pieces in by_condition
        ]
    return whole


def _keys(names: Sequence[str]) -> list[str]:
    """Return a key for each input; frames of one file, which have its name, have different ones."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(f"{name}\0{seen[name]}")
        seen[name] += 1
    return keys


def _copy_if_needed(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return x, or a copy if the model may change its input in place: other models see x, too.

    NormalizedModel never does, since normalizing makes a new tensor.
    """
    if isinstance(model, NormalizedModel):
        return x
    return x.clone(memory_format=torch.channels_last)
