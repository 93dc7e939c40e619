"""Images in Parquet files, as Hugging Face's library `datasets` writes them.

The column `image` is a struct of the file's `bytes` and its `path`. Classes are stored as numbers;
their names are in the metadata of the schema, under "huggingface".
"""

import json
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from bvg.data.downloads import data_sets
from bvg.data.preprocessing import decode
from bvg.errors import UserError, first_few, reason_of

BYTES, PATH = "image.bytes", "image.path"
FILE = "file"  # the column that says where an image is: <Parquet file>/<row>
_ROW_GROUPS = 2  # kept in memory by each process that decodes; they usually have 100 images
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.parquet")
_reading = Lock()  # or several threads would read the same row group


def check_shards(files: Sequence[Path], name: str) -> None:
    """Raise UserError if the files' names, such as test-00000-of-00003.parquet, state missing ones.

    name: of the data set in the catalogue, for messages.
    """
    found: dict[tuple[str, int], set[int]] = {}
    for file in files:
        if match := _SHARD.fullmatch(file.name):
            found.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (split, count), numbers in found.items():
        if missing := sorted({*range(count)} - numbers):
            raise UserError(
                f"{files[0].parent} lacks {split}-{missing[0]:05d}-of-{count:05d}.parquet: "
                f"{data_sets()[name].remedy}, or allow a subset with --partial (recorded in the "
                "result)"
            )


def read_rows(files: Sequence[Path], columns: Sequence[str], name: str) -> pd.DataFrame:
    """Return columns of Parquet files, a row per image in the files' order, and the column FILE.

    columns: without the images' bytes; classes become their names. name: of the data set in the
    catalogue, for messages.
    Raises UserError if a file is no Parquet file, lacks a column, or has no images.
    """
    return pd.concat([_rows_of(file, columns, name) for file in files], ignore_index=True)


def _rows_of(file: Path, columns: Sequence[str], name: str) -> pd.DataFrame:
    try:
        with pq.ParquetFile(file) as parquet:
            layout = parquet.schema_arrow
            found = {*layout.names, *_parts(layout)}
            if missing := [column for column in (BYTES, *columns) if column not in found]:
                raise ValueError(f"it has no column {first_few(missing)}")
            table = parquet.read(columns=list(columns), use_threads=False).flatten()
        rows = table.to_pandas()
        for column, names in _class_names(layout).items():
            if column in rows:
                rows[column] = _named(rows[column], names)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UserError(
            f"{file} is not one of {data_sets()[name].title} ({reason_of(error)}): delete it, and "
            f"{data_sets()[name].remedy}"
        ) from error
    return rows.assign(**{FILE: [f"{file.name}/{row}" for row in range(len(rows))]})


def _parts(layout: pa.Schema) -> list[str]:
    """Return the names of the parts of the column `image`."""
    if "image" not in layout.names or not pa.types.is_struct(layout.field("image").type):
        return []
    return [f"image.{part.name}" for part in layout.field("image").type]


def _class_names(layout: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes of each column whose numbers stand for classes."""
    metadata = json.loads((layout.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = metadata.get("info", {}).get("features", {})
    return {column: kind["names"] for column, kind in features.items() if "names" in kind}


def _named(numbers: pd.Series, names: Sequence[str]) -> np.ndarray:
    if not numbers.between(0, len(names) - 1).all():  # missing values are not, either
        raise ValueError(f"a {numbers.name} is not one of the {len(names)} classes")
    return np.array(names, dtype=object)[numbers.to_numpy(dtype=np.int64)]


def read_image(path: Path) -> list[Image.Image]:
    """Return the image at `<Parquet file>/<row>` as 8-bit RGB, the only one in the list.

    Raises one of UNDECODABLE if it cannot be decoded.
    """
    file, row = path.parent, int(path.name)
    try:
        with _reading:
            changed = os.stat(file).st_mtime_ns
            ends = _ends(file, changed)
            group = int(np.searchsorted(ends, row, side="right"))
            content = _row_group(file, changed, group)[row - int(ends[group])]
    except pa.ArrowException as error:
        raise ValueError(f"its Parquet file is damaged: {reason_of(error)}") from error
    if content is None:
        raise ValueError("it is empty")
    return [decode(BytesIO(content))]


@lru_cache(maxsize=8)
def _ends(file: Path, changed: int) -> np.ndarray:
    """Return the number of rows up to the end of each row group."""
    metadata = pq.read_metadata(file)
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return np.cumsum(sizes)


@lru_cache(maxsize=_ROW_GROUPS)
def _row_group(file: Path, changed: int, group: int) -> list[bytes | None]:
    """Return the images of a row group, as the files that they were."""
    with pq.ParquetFile(file) as parquet:
        table = parquet.read_row_group(group, columns=[BYTES], use_threads=False)
    return table.flatten().column(BYTES).to_pylist()
