"""The statistics beside the published tables: correlations.csv, instruments.csv, agreement.csv.

They are computed from all tables that are there, those too that may not be passed on, so that a
fresh clone has them all.
"""

from pathlib import Path

import pandas as pd

from bvg.analysis.agreement import agreement
from bvg.analysis.beyond import Tables, correlations, instruments, tables_of
from bvg.analysis.measures import names_of
from bvg.errors import UserError, reason_of
from bvg.published.names import ZOO, read_names, with_names
from bvg.published.tables import TABLES, read_published
from bvg.zoo.table import zoo

STATISTICS = {
    "correlations": correlations,
    "instruments": instruments,
    "agreement": agreement,
}


def published_tables(folder: Path = TABLES) -> Tables:
    """Return the published tables in a folder, their models under one name each."""
    names = read_names(folder / "models.csv")
    categories = {
        str(names.loc[(ZOO, model.name), "model"]): model.category
        for model in zoo().values()
        if (ZOO, model.name) in names.index
    }
    return tables_of(with_names(read_published(folder), names), categories)


def statistics_texts(tables: Tables) -> dict[str, str]:
    """Return the statistics of published tables as CSV, by the name of the file."""
    return {
        f"{name}.csv": computed(tables).to_csv(
            index=False, float_format="%.4g", lineterminator="\n"
        )
        for name, computed in STATISTICS.items()
    }


def read_statistics(name: str, folder: Path = TABLES) -> pd.DataFrame:
    """Return `correlations`, `instruments` or `agreement`, as they are in a folder.

    Raises UserError where the file is not there.
    """
    path = folder / f"{name}.csv"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({reason_of(error)}): write it again with "
            "python code/make_published.py"
        ) from error
    words = [name for name in names_of(table) if name.startswith("turns_without")]
    return table.fillna(dict.fromkeys([*words, "accuracy_source"], ""))
