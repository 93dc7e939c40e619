"""The report: one HTML page that holds everything it shows, charts' library included."""

import base64
import gzip
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bvg.analysis.study import Study
from bvg.page.parts import as_script
from bvg.page.published import Published, published_part
from bvg.page.study import study_part

_FOLDER = Path(__file__).with_name("template")


def page_of(
    study: Study | None, results: Path | None = None, published: Published | None = None
) -> str:
    """Return the page as HTML text, which needs no network and no other file.

    study: a table of models, analysed. results: the folder whose example stimuli are shown; without
    it there are none. published: the published tables, among whose models those of the study are
    placed. At least one of study and published is needed.
    """
    parts = [study_part(study, results)] if study else []
    parts += [published_part(published, study.table if study else None)] if published else []
    loader = FileSystemLoader(_FOLDER)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    files = {name: file for part in parts for name, file in part.files.items()}
    texts = {name: text for name, (_, text) in files.items()}
    data = {name: value for part in parts for name, value in part.data.items()} | {"files": texts}
    scripts = ["shared.js", "table.js", *(part.script for part in parts), "start.js"]
    return environment.get_template("page.html").render(
        bodies=[environment.get_template(part.template).render(part.values) for part in parts],
        title="Do biases explain generalisation?",
        leads=[part.lead for part in parts],
        sections=[
            *((anchor, name) for part in parts for anchor, name in part.sections.items()),
            ("downloads", "Data"),
        ],
        files=[{"name": name, "what": what} for name, (what, _) in files.items()],
        data=[(name, as_script(value)) for name, value in data.items()],
        plotly=_plotly(),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        scripts=[(_FOLDER / name).read_text(encoding="utf-8") for name in scripts],
        footers=[part.footer for part in parts],
    )


@cache
def _plotly() -> str:
    """Return Plotly's browser library, compressed and as text."""
    library = resources.files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(library, mtime=0)).decode()
