"""The predictions file: one row per image and condition; everything else is computed from it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bvg.errors import UserError, reason_of

# The columns of every benchmark; a benchmark's further columns (int16 or float32) follow.
BASE_FIELDS = (
    ("image", pa.string()),
    ("condition", pa.string()),
    ("label", pa.int16()),
    ("answers", pa.list_(pa.int16())),
    ("confidence", pa.float32()),
)
LABEL_PROBABILITY = "label_probability"
ROW_GROUP = 1 << 16  # rows; fixed, so that the file's bytes do not depend on the chunks


@dataclass(frozen=True)
class Predictions:
    """A predictions table in memory, N rows ordered by image, then condition.

    classes: the names of labels and answers.
    images, conditions: (N,) names.
    labels: (N,) int16.
    answers: (N, K) int16, best first. For files of several frames, (N, F * K): the answers to each
        frame one after the other, padded with -1; the number of frames is the column `frames`.
    confidence: (N,) float32, the model's probability of its best answer.
    columns: the benchmark's further columns, (N,) int16 or float32 by name; where it was recorded,
        also `label_probability`, the model's probability of the label.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    conditions: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    confidence: np.ndarray
    columns: dict[str, np.ndarray]

    @cached_property
    def condition_names(self) -> tuple[str, ...]:
        """Return the conditions in the order in which they were evaluated."""
        return tuple(dict.fromkeys(self.conditions))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def select(self, rows: np.ndarray) -> "Predictions":
        """Return the predictions in these rows: indices, or (N,) bool."""
        return Predictions(
            self.classes,
            self.images[rows],
            self.conditions[rows],
            self.labels[rows],
            self.answers[rows],
            self.confidence[rows],
            {name: column[rows] for name, column in self.columns.items()},
        )


def read_predictions(path: Path) -> Predictions:
    """Return the predictions in a Parquet file; raises UserError unless this project wrote it."""
    try:
        table = pq.read_table(path, read_dictionary=["image", "condition"]).combine_chunks()
        metadata = json.loads(table.schema.metadata[b"bvg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not there, or damaged, or not this project's ({reason_of(error)}): copy it "
            "again, or re-run it with --overwrite"
        ) from error
    extra = [name for name in table.column_names if name not in dict(BASE_FIELDS)]
    return Predictions(
        classes=tuple(metadata["classes"]),
        images=_names(table["image"]),
        conditions=_names(table["condition"]),
        labels=table["label"].to_numpy(),
        answers=_rectangle(table["answers"].combine_chunks()),
        confidence=table["confidence"].to_numpy(),
        columns={name: table[name].to_numpy() for name in extra},
    )


def _rectangle(lists: pa.ListArray) -> np.ndarray:
    """Return lists of integers as an array, padded with -1."""
    lengths = lists.value_lengths().to_numpy()
    values = lists.flatten().to_numpy()
    widest = lengths.max(initial=0)
    if (lengths == widest).all():
        return values.reshape(len(lists), widest)
    padded = np.full((len(lists), widest), -1, values.dtype)
    padded[np.arange(widest) < lengths[:, None]] = values
    return padded


def _names(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of names in which equal names share one string in memory."""
    whole = column.unify_dictionaries().combine_chunks()
    return whole.dictionary.to_numpy(zero_copy_only=False)[whole.indices.to_numpy()]


def schema(
    benchmark: str,
    classes: tuple[str, ...],
    extra_columns: Sequence[str],
    extra_floats: Sequence[str] = (),
) -> pa.Schema:
    """Return the Arrow schema; its metadata is the same for equal runs."""
    fields = [*BASE_FIELDS, *((name, pa.int16()) for name in extra_columns)]
    fields += [(name, pa.float32()) for name in extra_floats]
    metadata = json.dumps({"benchmark": benchmark, "classes": list(classes)})
    return pa.schema(fields, metadata={b"bvg": metadata.encode()})


def arrow_table(layout: pa.Schema, columns: dict[str, np.ndarray]) -> pa.Table:
    """Return an Arrow table of `columns` (answers as an (N, K) array) in the given layout."""
    arrays = []
    for field in layout:
        values = columns[field.name]
        if field.name == "answers":
            given = values >= 0
            offsets = np.concatenate([[0], given.sum(axis=1).cumsum()]).astype(np.int32)
            flat = pa.array(values.astype(np.int16)[given])
            arrays.append(pa.ListArray.from_arrays(pa.array(offsets), flat))
        else:
            arrays.append(pa.array(values).cast(field.type))
    return pa.Table.from_arrays(arrays, schema=layout)
