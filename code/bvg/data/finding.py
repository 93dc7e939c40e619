"""Where a data set is: its flag, else its environment variable, else the download."""

import os
from pathlib import Path

from bvg.data.downloads import data_folder, data_sets
from bvg.errors import UserError


def find_data(name: str, given: str | Path | None = None) -> Path:
    """Return where the data set is; raises UserError, with the remedy, if it is not found.

    name: of a data set or a group in downloads.toml. given: the value of its flag.
    """
    found = look_for(name, given)
    if found is None:
        data_set = data_sets()[name]
        raise UserError(
            f"cannot find {data_set.title}: give its path with {data_set.flag} (or the environment "
            f"variable {data_set.variable}), or {data_set.remedy}"
        )
    return found


def look_for(name: str, given: str | Path | None = None) -> Path | None:
    """Return where the data set is, or None if nothing names it and it was not downloaded.

    Raises UserError if the path that the flag or the variable names does not exist.
    """
    data_set = data_sets()[name]
    named = given or os.environ.get(data_set.variable)
    if named:
        path = Path(named).expanduser()
        if not path.exists():
            by = data_set.flag if given else data_set.variable
            raise UserError(f"{path}, given as {data_set.title}, does not exist: correct {by}")
        return path
    fetched = data_folder() / data_set.path
    return fetched if fetched.exists() else None
