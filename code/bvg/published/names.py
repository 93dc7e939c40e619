"""One name per model across the published tables: raw-data/published/models.csv.

A model is a set of weights. Its name is timm's (`architecture.tag`) where timm has these weights,
else our zoo's, else `publisher:name`; two rows share a name only if their weights are known to be
the same. The table is data, made by hand where names do not tell, so that every line of it can be
checked and corrected:

    source, name   a row of raw-data/published/<source>.csv; in source "zoo", a model of our zoo
    size           pixels on a side of the source's images, where known; several sizes with spaces
    model          the one name
    family         of architectures, whose models are not independent of each other: ResNets include
                   ResNeXt, Wide, SE-, pre-activation and other ResNets, BagNets and VOneNets; `vit`
                   is every plain vision transformer, whatever it was trained on or for (DeiT, BEiT,
                   CLIP's, DINOv2's); versions 1 and 2 of an architecture are one family
    kind           a key of KINDS
    data           a key of DATA: timm's is what its tag says (…_in21k_ft_in1k); where it is not,
                   the note says why
    adversarial    yes or no: trained on adversarial images (AdvProp's, which use other
                   normalisations for them, are no)
    note           how the row was matched where names do not tell, and what else is unusual

To add a row, copy that of a model of the same architecture and change what differs.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from bvg.errors import UserError, reason_of
from bvg.zoo.table import find

MODELS = Path(__file__).resolve().parents[3] / "raw-data" / "published" / "models.csv"
ZOO = "zoo"  # the source whose names are those of our own results
KINDS = {
    "cnn": "convolutions only",
    "transformer": "self-attention, with convolutions in patch embeddings and downsampling only",
    "hybrid": "blocks of convolutions and blocks of self-attention",
    "mlp": "fully connected layers across patches",
    "other": "none of these: pooling, recurrence, ensembles, vision-language models, people",
}
DATA = {
    "imagenet-1k": "no other images than ImageNet-1k's (stylised ones, too), nor did its teacher",
    "imagenet-21k": "more classes of ImageNet, or its 12,000 or 5,000 most frequent ones",
    "larger": "images of other collections: JFT, Instagram, YFCC, LAION, CLIP's, Open Images, …",
    "none": "untrained",
    "unknown": "not stated by the source",
}
ADVERSARIAL = ("yes", "no")
COLUMNS = ("source", "name", "size", "model", "family", "kind", "data", "adversarial", "note")
ATTACHED = ("model", "family", "kind", "data", "adversarial")
_OF_A_MODEL = ("family", "kind", "data", "adversarial")
_NEEDED = ("source", "name", "model", "family")
_ALLOWED = {"kind": KINDS, "data": DATA, "adversarial": ADVERSARIAL}


def read_names(path: Path = MODELS) -> pd.DataFrame:
    """Return the table: text, index (source, name), the other COLUMNS; empty where there is none.

    Raises UserError for other columns, a row without source, name, model or family, two rows of a
    name, a kind, data or adversarial that is not in the lists above, and for a model of which two
    rows differ in these.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)[[*COLUMNS]]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error)}): get it again") from error
    of_model = table.groupby("model")[[*_OF_A_MODEL]].transform("nunique")
    mistakes = {
        "lacks source, name, model or family": (table[[*_NEEDED]] == "").any(axis=1),
        "is there twice": table.duplicated(["source", "name"]),
        **{
            f"has a {column} that is none of {', '.join(allowed)}": ~table[column].isin([*allowed])
            for column, allowed in _ALLOWED.items()
        },
        **{
            f"differs from another row of its model in {column}": of_model[column] > 1
            for column in _OF_A_MODEL
        },
    }
    for mistake, wrong in mistakes.items():
        if wrong.any():
            at = int(wrong.to_numpy().nonzero()[0][-1])
            row = table.iloc[at]
            raise UserError(
                f"{path}, row {at + 1}: {row['name']} of {row['source']}, {row['model']}, "
                f"{mistake}; correct it"
            )
    return table.set_index(["source", "name"])


@cache
def published_names() -> pd.DataFrame:
    """Return the table that belongs to the published ones, as read_names does."""
    return read_names()


def with_names(rows: pd.DataFrame, names: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return published rows with the model's one name and what is known of it.

    rows: with columns source and model, the model as its source calls it, which is `name` in what
        is returned, beside model, family, kind, data and adversarial.
    Raises UserError for a model that the table of names lacks.
    """
    names = published_names() if names is None else names
    renamed = rows.rename(columns={"model": "name"})
    keys = pd.MultiIndex.from_frame(renamed[["source", "name"]])
    known = keys.isin(names.index)
    if not known.all():
        source, name = keys[~known][0]
        raise UserError(
            f"{MODELS.name} has no model {name} of {source}: add it to raw-data/published/"
            f"{MODELS.name}, with the name that other sources have for the same weights"
        )
    attached = names.loc[keys, [*ATTACHED]].set_index(renamed.index)
    return pd.concat([renamed, attached], axis=1)


def own_model(run_name: str) -> str | None:
    """Return the one name of a model of your own results; None if no source can have it.

    run_name: what the results call it: a name or alias of our zoo, or a timm name.
    """
    names = published_names()
    if (entry := find(run_name)) and (ZOO, entry.name) in names.index:
        return str(names.loc[(ZOO, entry.name), "model"])
    timm_name = run_name.removeprefix("timm_")
    return timm_name if ("timm", timm_name) in names.index else None
