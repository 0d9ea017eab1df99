"""Path templates: `/repos/{}/{}/contents/{+}` and values, never string formatting.

`{}` takes one segment and `{+}` one or more segments separated by `/`. Every value is percent-quoted, and a value that
could change the path's meaning (empty, `.`, `..`, or a name such as `a/../b` that a server may unquote before it
resolves it) is refused, so an argument can never reach another resource.
"""

import re
from enum import Enum
from functools import lru_cache
from urllib.parse import quote

from clew.core.errors import ConfigurationError, InvalidInputError
from clew.core.errors import quote as shown

Segment = str | int

_PLAIN = "Give the plain name or number."
_HOLE = re.compile(r"\{\+?\}")


@lru_cache(maxsize=1024)
def _holes(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    literals, holes = tuple(_HOLE.split(template)), tuple(_HOLE.findall(template))
    if not template.startswith("/") or any(set(literal) & set("{}?# ") for literal in literals):
        raise ConfigurationError(
            f"path template {template!r}: start with '/', use {{}} or {{+}}, pass the query apart."
        )
    return literals, holes


def expand(template: str, values: tuple[Segment, ...]) -> str:
    """Fill `template` with `values`. Raises `InvalidInputError` for a value that is no path segment."""
    literals, holes = _holes(template)
    if len(holes) != len(values):
        raise ConfigurationError(f"path template {template!r} takes {len(holes)} values, got {len(values)}.")
    path = literals[0]
    for hole, value, literal in zip(holes, values, literals[1:], strict=True):
        text = str(value.value if isinstance(value, Enum) else value)
        segments = text.strip("/").split("/") if hole == "{+}" else [text]
        path += "/".join(_quoted(segment) for segment in segments) + literal
    return path


def _quoted(segment: str) -> str:
    if not segment or not {".", ".."}.isdisjoint(re.split(r"[/\\]", segment)):
        raise InvalidInputError(f"'{shown(segment, 60)}' is not a valid name here.", next_step=_PLAIN)
    if any(ord(char) < 32 or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in segment):
        raise InvalidInputError("a name contains control characters.", next_step=_PLAIN)
    return quote(segment, safe="")
