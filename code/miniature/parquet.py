"""Data sets in one Parquet file, as Hugging Face's library `datasets` writes them."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from miniature.anagrams import SHOWN, anagram, ordered_pairs
from miniature.hybrids import hybrids

ROW_GROUP = 100  # rows, as `datasets` writes images
_OPTIONS: dict[str, dict[str, int]] = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 1}}


def anagrams_file(seed: int) -> bytes:
    """Return the file of the 72 pairs of visual anagrams."""
    rows, pictures = [], []
    for number, names in enumerate(ordered_pairs()):
        for position, picture in enumerate(anagram(*names, 1, seed)):
            label, foil = names[position], names[1 - position]
            file = f"{number:03d}_transform_{names[0]}_{names[1]}_object{position}_{label}.png"
            rows.append(
                {
                    "filename": file,
                    "anagram_id": f"{number:03d}",
                    "pair_id": number,
                    "variant": 0,
                    "position": position,
                    **{"label": label, "foil": foil, "object0": names[0], "object1": names[1]},
                }
            )
            pictures.append((file, picture))
    return as_parquet(pictures, rows, dict.fromkeys(("label", "foil", "object0", "object1"), SHOWN))


def hybrids_file(seed: int) -> bytes:
    """Return the file of frequency cue conflict."""
    rows, pictures = [], []
    for low, high, first, second, image in hybrids(seed):
        rows.append({"lf_label": low, "hf_label": high})
        pictures.append((f"{low}{first}-{high}{second}.JPEG", image))
    return as_parquet(pictures, rows, {})


def as_parquet(
    images: Sequence[tuple[str, np.ndarray]],
    rows: Sequence[Mapping[str, Any]],
    classes: Mapping[str, Sequence[str]],
) -> bytes:
    """Return a Parquet file of images, whose names end in .png or .JPEG, and their columns.

    classes: the names of the classes in the columns that are stored as their numbers.
    """
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    files = [{"bytes": _encoded(name, pixels), "path": name} for name, pixels in images]
    columns = {"image": pa.array(files, kind)}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in classes:
            columns[name] = pa.array([classes[name].index(value) for value in values], pa.int64())
            features[name] = {"names": [*classes[name]], "_type": "ClassLabel"}
        else:
            columns[name] = pa.array(values)
            features[name] = {"dtype": str(columns[name].type), "_type": "Value"}
    about = json.dumps({"info": {"features": features}})
    table = pa.table(columns).replace_schema_metadata({"huggingface": about})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=ROW_GROUP)
    return buffer.getvalue()


def _encoded(name: str, pixels: np.ndarray) -> bytes:
    kind = "PNG" if name.endswith(".png") else "JPEG"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **_OPTIONS[kind])
    return buffer.getvalue()
