"""Images with the low frequencies of one category's image and the high frequencies of another's.

Source: Gavrikov et al., "Can We Talk Models Into Seeing the World Differently?", ICLR 2025;
https://huggingface.co/datasets/paulgavrikov/frequency-cue-conflict. The filter that made them, and
their number, are not stated in the sources that we have: only the published files are read.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bvg.data.downloads import data_sets
from bvg.data.folders import existing_folder
from bvg.data.image_set import ImageSet
from bvg.data.parquet import FILE, PATH, check_shards, read_image, read_rows
from bvg.data.preprocessing import READY_224
from bvg.data.shape_bias import check_categories, cues_of, in_conflict
from bvg.errors import UserError

DATA_SET = "frequency-cue-conflict"
CUES = ("low-frequency", "high-frequency")
HIGH = "high"  # the column of the category of the high frequencies
_LABELS = ["lf_label", "hf_label"]


def frequency_cue_conflict(
    root: str | Path, classes: tuple[str, ...], partial: bool = False
) -> ImageSet:
    """Return the images in the Parquet files `root`, `root`/*.parquet or `root`/data/*.parquet.

    Without any, those of the folders <low>/<low><n>-<high><m>.JPEG, as published on Kaggle. Labels
    are the categories of the low frequencies, the column `high` contains those of the high ones,
    both as indices into `classes` (the categories).
    Raises UserError for other files, names or labels, or, unless `partial`, if no image has some
    category's low frequencies, or if a shard is missing.
    """
    path = Path(root).expanduser()
    files = (
        [path]
        if path.is_file()
        else sorted({*path.glob("*.parquet"), *path.glob("data/*.parquet")})
    )
    if not files:
        folder = existing_folder(
            path, "the frequency-cue-conflict folder", data_sets()[DATA_SET].flag
        )
        return in_conflict(folder, DATA_SET, classes, ("low", HIGH), partial)
    if not partial:
        check_shards(files, DATA_SET)
    rows = read_rows(files, (PATH, *_LABELS), DATA_SET)
    names = rows[PATH].astype(str).str.rpartition("/")[2]
    _check_rows(rows, names, classes, files[0].parent)
    low, high = (rows[column].map(classes.index).to_numpy(dtype=np.int64) for column in _LABELS)
    if not partial:
        check_categories(files[0].parent, low, classes)
    return ImageSet(
        files[0].parent,
        tuple(rows[FILE]),
        tuple(rows[_LABELS[0]] + "/" + names),
        low,
        classes,
        {HIGH: high},
        reader=read_image,
        view=READY_224,
    )


def _check_rows(
    rows: pd.DataFrame, names: pd.Series, classes: tuple[str, ...], folder: Path
) -> None:
    """Raise UserError where labels are no categories, or not those of the name, or names repeat."""
    labels = [*zip(*(rows[column] for column in _LABELS), strict=True)]
    # The labels were published from these names, of which the part before a "_" was ignored.
    of_names = [cues_of(name.rpartition("_")[2]) for name in names]
    for name, label, expected in zip(names, labels, of_names, strict=True):
        if label != expected or not {*label} <= {*classes}:
            raise UserError(
                f"{name} in {folder} is labelled {label[0]} and {label[1]}, which are not the two "
                f"categories in its name: {data_sets()[DATA_SET].remedy}"
            )
    if names.duplicated().any():
        raise UserError(
            f"{folder} has {names[names.duplicated()].iloc[0]} twice: "
            f"{data_sets()[DATA_SET].remedy}"
        )
