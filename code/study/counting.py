"""How much work a cell is: images to decode and model inputs, counted where the data are.

The scripts say themselves what they would do with their flags; here it is only added up.
"""

import io
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from basics.errors import UserError, reason_of
from images.variant_table import VARIANTS
from model_zoo.loading import split_alias
from study.benchmarks import Kind
from study.listing import Listed, listed, published

# AutoAttack's standard version: 100 steps of a gradient towards each of 1 + 9 + 9 aims, and 5000
# queries, for an image that withstands all of it.
_AUTOATTACK = 2 * 100 * (1 + 9 + 9) + 5000
_SIDE = 224  # of the grey image whose stimuli are counted


@dataclass(frozen=True)
class Part:
    """What goes into one result folder.

    images: files that are decoded. frames: of a file. shown: stimuli of a frame. attack: forward
    passes that it takes to make these, a gradient counting as one more (its backward pass goes to
    the input alone), for each model or, if `once`, for all models of a call.
    """

    name: str
    images: int
    shown: float = 1
    attack: float = 0
    once: bool = False
    frames: int = 1

    def stimuli(self) -> float:
        """Return how many inputs each model is shown."""
        return self.images * self.frames * self.shown

    def inputs(self, models: int) -> float:
        """Return the forward passes of so many models, a gradient counting as one more."""
        return models * self.stimuli() + (1 if self.once else models) * self.images * self.attack


@dataclass(frozen=True)
class Work:
    """The parts of a cell. about: some of it was not counted. notes: sentences for the plan."""

    parts: tuple[Part, ...]
    about: bool = False
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Return how many files are decoded."""
        return sum(part.images for part in self.parts)

    def inputs(self, models: int) -> float:
        """Return the forward passes of so many models, a gradient counting as one more."""
        return sum(part.inputs(models) for part in self.parts)


def work_of(kind: Kind, flags: Sequence[str], here: bool, seen: dict[Any, Listed]) -> Work:
    """Return the work of one pass of a benchmark's script with `flags`.

    here: whether its data are. Where they are not, or the script would refuse them, the published
    numbers are taken, and a note says so. seen: what was listed before, not to be listed again.
    """
    if not kind.declared:
        return _guessed(kind, flags)
    try:
        declared, arguments = _understood(kind, flags)
        benchmarks = _configured(kind, declared, arguments, here)
    except (UserError, OSError) as error:
        return replace(_guessed(kind, flags), about=True, notes=(_refused(error),))
    works = [_of(benchmark, kind, arguments, here, seen) for benchmark in benchmarks]
    return Work(
        tuple(part for work in works for part in work.parts),
        any(work.about for work in works),
        tuple(dict.fromkeys(note for work in works for note in work.notes)),
    )


def _of(benchmark: Any, kind: Kind, arguments: Namespace, here: bool, seen: dict) -> Work:
    """Return the work of one result folder."""
    notes: tuple[str, ...] = () if here else ("the data are not here: published numbers",)
    found = published(benchmark, kind.images, arguments)
    if here:
        try:
            found = listed(benchmark, arguments, seen)
        except (UserError, OSError) as error:
            notes = (_refused(error),)
    part = Part(benchmark.name, _limited(found.counts, arguments.limit), frames=found.frames)
    if not benchmark.against:
        part = replace(part, shown=_conditions(benchmark))
        return Work((part,), found.about or bool(notes), notes)
    part = _attacked(part, benchmark, arguments)
    most = "at most: images that are wrong or broken early take less"
    return Work((part,), True, (*notes, most))


def _guessed(kind: Kind, flags: Sequence[str]) -> Work:
    words = [*flags, ""]
    given = words[words.index("--limit") + 1] if "--limit" in words else ""
    images = min(kind.images, int(given)) if given.isdigit() else kind.images
    return Work((Part(kind.results, images, kind.inputs),))


def _refused(error: UserError | OSError) -> str:
    return f"published numbers, for the script would say: {reason_of(error)}"


def _understood(kind: Kind, flags: Sequence[str]) -> tuple[Any, Namespace]:
    """Return what the script declares, and its arguments; raises UserError for wrong flags."""
    from evaluation.session import arguments_of  # here, because importing torch takes seconds

    declared = getattr(import_module(Path(kind.script).stem), kind.declared)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            arguments = arguments_of(declared, None, ["--model", "any", *flags])
    except SystemExit as error:
        raise UserError(said.getvalue().strip().rpartition("error: ")[2]) from error
    arguments.device = "cpu"  # a plan needs no other
    return declared, arguments


def _configured(kind: Kind, declared: Any, arguments: Namespace, here: bool) -> Sequence[Any]:
    """Return the benchmarks that the flags ask for, one for each result folder."""
    script = import_module(Path(kind.script).stem)
    if hasattr(script, "of_variant") and not here:
        return [script.of_variant(variant) for variant in VARIANTS]
    if hasattr(arguments, "humans"):  # the decisions of humans need not be read
        return [declared]
    arguments.against, arguments.source = getattr(arguments, "source", None), None  # not loaded
    return declared.configure(declared, arguments)


def _attacked(part: Part, benchmark: Any, arguments: Namespace) -> Part:
    """Return the part with what the attacks take, of an image that withstands them all."""
    attacks, bounds = benchmark.protocol["attacks"], len(benchmark.protocol["eps"])
    each = [2 * one["steps"] + 1 if "steps" in one else _AUTOATTACK for one in attacks.values()]
    source = split_alias(arguments.against)[0] if arguments.against else ""
    return replace(
        part,
        name=part.name + (f"_from_{source}" if source else ""),
        shown=1 + bounds * len(attacks),
        attack=1 + bounds * sum(each),
        once=bool(source),
    )


def _conditions(benchmark: Any) -> int:
    """Return how many stimuli are made from an image."""
    import torch

    from stimuli.batch import Batch, unchanged

    chosen = benchmark.protocol
    if "corruptions" in chosen and benchmark.stimuli is not unchanged:  # would take seconds
        return 1 + len(chosen["corruptions"]) * len(chosen["severities"])
    grey = torch.full((1, 3, _SIDE, _SIDE), 0.5)
    batch = Batch(grey, ("grey",), torch.zeros(1, dtype=torch.int64), 0)
    return sum(1 for _ in benchmark.stimuli(batch))


def _limited(counts: Sequence[int], limit: int | None) -> int:
    """Return how many files class_balanced leaves: its limit is of each condition."""
    return sum(min(count, limit or count) for count in counts)
