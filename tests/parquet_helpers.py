"""Parquet files as Hugging Face's `datasets` writes them, of tiny images."""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from miniature.parquet import as_parquet
from oracles.css import ANIMALS

CLASS_COLUMNS = ("label", "foil", "object0", "object1")


def anagram_rows(pairs: int = 72) -> list[dict]:
    """Return the columns of visual anagrams, two rows for each ordered pair of animals."""
    rows = []
    for number, objects in enumerate([*permutations(ANIMALS, 2)][:pairs]):
        for position in (0, 1):
            label, foil = objects[position], objects[1 - position]
            name = f"{number:03d}_transform_{objects[0]}_{objects[1]}_object{position}_{label}.png"
            rows.append(
                {
                    "filename": name,
                    "anagram_id": f"{number:03d}",
                    "position": position,
                    **dict(zip(CLASS_COLUMNS, (label, foil, *objects), strict=True)),
                }
            )
    return rows


def flat(number: int) -> np.ndarray:
    """Return an image of one colour, another one for each number."""
    colour = np.random.default_rng(number).integers(0, 256, 3, dtype=np.uint8)
    return np.broadcast_to(colour, (16, 16, 3)).copy()


def write_anagrams(
    path: Path,
    rows: Sequence[dict],
    names: Sequence[str] = tuple(ANIMALS),
    images: Sequence[np.ndarray] | None = None,
) -> Path:
    """Return the folder `path`, with these rows in pairs-72.parquet."""
    pixels = images or [flat(number) for number in range(len(rows))]
    pictures = [(row["filename"], image) for row, image in zip(rows, pixels, strict=True)]
    classes = {column: names for column in CLASS_COLUMNS if column in rows[0]}
    path.mkdir(parents=True, exist_ok=True)
    (path / "pairs-72.parquet").write_bytes(as_parquet(pictures, rows, classes))
    return path


def write_hybrids(path: Path, labels: Sequence[tuple[str, str]]) -> Path:
    """Return the Parquet file `path` of frequency cue conflict: (low, high) of each image."""
    rows = [{"lf_label": low, "hf_label": high} for low, high in labels]
    names = [hybrid_name(k, low, high) for k, (low, high) in enumerate(labels)]
    pictures = [(name, flat(number)) for number, name in enumerate(names)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_parquet(pictures, rows, {}))
    return path


def hybrid_name(number: int, low: str, high: str) -> str:
    return f"{low}{number}-{high}{number + 1}.JPEG"
