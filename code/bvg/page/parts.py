"""What a part of the page consists of: the table's own part, and that of published tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """One part of the page.

    template: the name of its template; values: what that needs. lead: a sentence below the title.
    sections: their names, by anchor, for the navigation. data: what its script draws from, by the
    id of the element that holds it. script: the name of that script. files: what each download is,
    and its text, by name; None for a text that the script makes. footer: where the part is from.
    """

    template: str
    values: Mapping[str, Any]
    lead: str
    sections: Mapping[str, str]
    script: str
    footer: str
    data: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def as_script(value: Any) -> str:
    """Return JSON that can stand in a script element, whatever names it holds."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
