"""The zoo as text: a table of many models, and one entry in full."""

from collections.abc import Callable, Iterable

from bvg.progress import text_table
from bvg.zoo.table import IMAGENET_MEAN, IMAGENET_STD, TRAINING_DATA, WeightFile, ZooModel

ORDERS: dict[str, Callable[[ZooModel], tuple]] = {
    "category": lambda row: (row.category, row.name),
    "name": lambda row: (row.name,),
    "year": lambda row: (row.year, row.name),
    "size": lambda row: (row.parameters or 0.0, row.name),
}
_HEAD = ("model", "category", "year", "M param.", "px", "trained on", "study", "published", "from")


def list_text(rows: Iterable[ZooModel], by: str = "category") -> str:
    """Return a table with a line per model, in the order of ORDERS[by]."""
    ordered = sorted(rows, key=ORDERS[by])
    cells = [
        (
            row.name,
            row.category,
            str(row.year),
            _number(row.parameters, 1),
            str(row.train_size),
            " + ".join(row.trained_on),
            _number(row.study_top1, 2),
            _number(row.published_top1, 2),
            where_from(row),
        )
        for row in ordered
    ]
    return text_table([_HEAD, *cells], right=(3, 4, 6, 7))


def where_from(row: ZooModel) -> str:
    """Return a short description of the model's source."""
    if row.unavailable:
        return "nowhere"
    names = [name.partition(":")[0] for name in row.library]
    names += [_host(file.source[0]) for file in row.files]
    if row.seed is not None:
        names.append(f"seed {row.seed}")
    return ", ".join(dict.fromkeys(names)) + (" (unconfirmed)" if row.guess else "")


def entry_text(row: ZooModel) -> str:
    """Return all fields of one model, a line per field."""
    lines = [
        ("category", row.category),
        ("method", row.method),
        ("paper", row.paper),
        ("year", str(row.year)),
        ("licence", row.license),
        ("also called", ", ".join(row.aliases)),
        ("trained on", "; ".join(f"{name} ({TRAINING_DATA[name]})" for name in row.trained_on)),
        ("training images", f"{row.train_size} px"),
        ("parameters", f"{row.parameters} million" if row.parameters else ""),
        ("top-1, study", _percent(row.study_top1, "Resize 256, crop 224, bilinear")),
        ("top-1, published", _percent(row.published_top1, "its own view")),
        ("mean, std", _statistics(row)),
        ("classes", row.classes),
        ("unavailable", row.unavailable),
        ("unconfirmed", row.guess),
        ("notes", row.notes),
        *(("library", name) for name in row.library),
    ]
    if row.files or row.seed is not None:
        options = ", ".join(f"{key}={value!r}" for key, value in row.arch_options.items())
        lines.append(("architecture", row.arch + (f" ({options})" if options else "")))
    if row.seed is not None:
        lines.append(("seed", str(row.seed)))
    for file in row.files:
        lines += _file_lines(file)
    shown = [(name, text) for name, text in lines if text]
    return "\n".join([row.name, *(f"  {name:<17} {text}" for name, text in shown)])


def _file_lines(file: WeightFile) -> list[tuple[str, str]]:
    steps = []
    if file.container:
        steps.append(f"in {file.container!r}")
    if file.guess:
        steps.append("found by search (the layout is a guess)")
    if file.keep:
        steps.append(f"only the keys {file.keep}*")
    if file.drop:
        steps.append(f"without the keys {', '.join(file.drop)}")
    if file.strip:
        steps.append(f"the prefix {file.strip} removed")
    if file.rename:
        steps.append("renamed " + ", ".join(f"{a} → {b}" for a, b in file.rename.items()))
    first, *others = file.source
    return [
        ("file", first),
        *(("  or", source) for source in others),
        ("  md5", file.md5),
        ("  sha256", file.sha256 or "not published: pinned at the first download"),
        ("  weights", ", ".join(steps) or "at the top level"),
        ("  may also hold", ", ".join(file.safe_globals)),
    ]


def _host(source: str) -> str:
    if source.startswith("gdrive:"):
        return "Google Drive"
    return "this repository" if source.startswith("code/") else source.split("/")[2]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, view: str) -> str:
    return "" if value is None else f"{value} % ({view})"


def _statistics(row: ZooModel) -> str:
    if row.library and row.mean is None:
        return "the library's"
    mean, std = row.mean or IMAGENET_MEAN, row.std or IMAGENET_STD
    return f"{' '.join(map(str, mean))}, {' '.join(map(str, std))}"
