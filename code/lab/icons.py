"""The drawings that subjects click on: of the 16 categories, and of the miniature's shapes."""

from pathlib import Path

from bvg.errors import UserError
from miniature.silhouettes import SILHOUETTES, Part

FOLDER = Path(__file__).resolve().parent / "icons"
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1.35 -1.35 2.7 2.7" width="129" '
    'height="129">'
)


def icon(category: str) -> str:
    """Return the drawing of a category as an SVG image, black, to be put on a white box.

    Raises UserError for a category that has none.
    """
    if category in SILHOUETTES:
        return f"{_SVG}{''.join(map(_polygon, SILHOUETTES[category]))}</svg>"
    try:
        return (FOLDER / f"{Path(category).name}.svg").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f"there is no icon of {category}: draw code/lab/icons/{category}.svg, or give a folder "
            "whose categories are those of model-vs-human or of the miniature world"
        ) from error


def _polygon(part: Part) -> str:
    vertices, adds = part
    points = " ".join(f"{x:.3f},{y:.3f}" for x, y in vertices)
    return f'<polygon points="{points}" fill="{"#000" if adds else "#fff"}"/>'
