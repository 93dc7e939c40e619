"""One model's result on one benchmark: a folder that stays valid if a run is killed at any moment.

    results/<benchmark>/<model>/
        predictions.parquet   appears when all images are done
        summary.json          appears last: a folder that has it is complete
        partial/              while running: run.json (what is evaluated) and the finished chunks
        .lock                 held by the process that writes

A chunk is a Parquet file of whole images, `chunk-<start>-<stop>.parquet`. A killed run resumes
after its last chunk; the concatenated chunks have the same bytes as an uninterrupted run.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bvg.errors import UserError
from bvg.files import lock_folder, make_folder, write_text, written_atomically
from bvg.predictions.identity import differences
from bvg.predictions.table import ROW_GROUP, arrow_table

PREDICTIONS = "predictions.parquet"
_CHUNK = re.compile(r"chunk-(\d{8})-(\d{8})\.parquet")


@dataclass(frozen=True)
class Chunk:
    """A file with the answers to the images start … stop−1 of the set."""

    path: Path
    start: int
    stop: int

    @property
    def info(self) -> dict[str, Any]:
        """Return skipped images, resized images and seconds spent, as the loop recorded them."""
        return json.loads(pq.read_schema(self.path).metadata[b"info"])


class ResultFolder:
    """The result of one model on one benchmark, open for this process alone."""

    def __init__(self, folder: Path, layout: pa.Schema) -> None:
        self.folder = folder
        self.partial = folder / "partial"
        self.predictions = folder / PREDICTIONS
        self.summary = folder / "summary.json"
        self.layout = layout
        self.done = 0
        self.recorded: dict[str, Any] | None = None  # the identity on disk when it was opened
        self._held = ExitStack()

    def open(self, identity: dict[str, Any], overwrite: bool) -> None:
        """Take the lock, and set `done` to the number of finished images.

        Raises UserError when another process writes here, or when the folder holds a result of
        another protocol, other weights or other images (unless `overwrite`).
        """
        make_folder(self.folder)
        lock_folder(self.folder, self._held)
        if overwrite and self.partial.exists():
            shutil.rmtree(self.partial)
        before = self.recorded = self._identity_on_disk(overwrite)
        if before is not None and (differing := differences(before, identity)):
            self.close()
            raise UserError(
                f"{self.folder} contains a different result: {'; '.join(differing)}. Choose "
                "another folder with --results, or re-run and replace it with --overwrite"
            )
        if self.is_complete(overwrite):
            return
        make_folder(self.partial)
        if before is None:
            write_text(self.partial / "run.json", json.dumps(identity, indent=1))
        if chunks := self.chunks():
            self.done = chunks[-1].stop
            self.layout = _without_columns(self.layout, pq.read_schema(chunks[0].path).names)

    def is_complete(self, overwrite: bool = False) -> bool:
        """Return whether the result is complete and no run is in progress."""
        return self.summary.exists() and not self.partial.exists() and not overwrite

    def close(self) -> None:
        """Release the lock."""
        self._held.close()

    def chunks(self) -> list[Chunk]:
        """Return the finished chunks, in order."""
        found = []
        for path in sorted(self.partial.iterdir()):
            if match := _CHUNK.fullmatch(path.name):
                found.append(Chunk(path, int(match[1]), int(match[2])))
        return found

    def skipped(self) -> list[dict[str, str]]:
        """Return name and reason of each image that was skipped."""
        entries = [entry for chunk in self.chunks() for entry in chunk.info["skipped"]]
        return list({entry["image"]: entry for entry in entries}.values())

    def append(self, stop: int, columns: dict[str, np.ndarray], info: dict[str, Any]) -> None:
        """Write the images from `done` to `stop` as one chunk, and count them as done."""
        layout = self.layout.with_metadata(
            {**self.layout.metadata, b"info": json.dumps(info).encode()}
        )
        path = self.partial / f"chunk-{self.done:08d}-{stop:08d}.parquet"
        with written_atomically(path) as file:
            pq.write_table(arrow_table(layout, columns), file)
        self.done = stop

    def go_back(self, stop: int) -> None:
        """Delete the chunks after the first `stop` images, which then count as not done."""
        for chunk in reversed(self.chunks()):
            if chunk.start >= stop:
                chunk.path.unlink()
        self.done = stop

    def consolidate(self) -> None:
        """Write predictions.parquet from the chunks, without holding them all in memory."""
        with (
            written_atomically(self.predictions) as file,
            pq.ParquetWriter(file, self.layout, compression="zstd") as writer,
        ):
            for group in _row_groups(self.chunks(), self.layout):
                writer.write_table(group, row_group_size=ROW_GROUP)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write summary.json, which marks a complete result, and remove the partial files."""
        write_text(self.summary, json.dumps(summary, indent=1, allow_nan=False) + "\n")
        for leftover in self.folder.glob(".*.tmp"):  # of a killed run
            leftover.unlink()
        shutil.rmtree(self.partial, ignore_errors=True)

    def _identity_on_disk(self, overwrite: bool) -> dict[str, Any] | None:
        """Return the identity of the folder's partial or complete result, or None."""
        run = self.partial / "run.json"
        if run.exists():
            return json.loads(run.read_text(encoding="utf-8"))
        shutil.rmtree(self.partial, ignore_errors=True)  # of a run killed before it wrote run.json
        if self.summary.exists() and not overwrite:
            return json.loads(self.summary.read_text(encoding="utf-8"))["identity"]
        return None


def _without_columns(layout: pa.Schema, known: list[str]) -> pa.Schema:
    """Return the layout without the columns that the version which began the run lacked."""
    fields = [field for field in layout if field.name in known]
    return pa.schema(fields, metadata=layout.metadata)


def _row_groups(chunks: list[Chunk], layout: pa.Schema) -> Iterator[pa.Table]:
    """Yield the chunks' rows in tables of ROW_GROUP rows, the last one shorter."""
    rest = layout.empty_table()
    for chunk in chunks:
        table = pq.read_table(chunk.path).replace_schema_metadata(layout.metadata)
        rest = pa.concat_tables([rest, table])
        while len(rest) >= ROW_GROUP:
            yield rest.slice(0, ROW_GROUP).combine_chunks()
            rest = rest.slice(ROW_GROUP)
    if len(rest):
        yield rest.combine_chunks()
