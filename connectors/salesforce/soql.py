"""SOQL with values apart from its text, as SQL drivers have it.

A query names its values, `WHERE Name = :name AND Email LIKE :part%`, and holds no quoted text itself. What a value says
is therefore never read as SOQL. https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta (reserved characters,
quoted string escape sequences, SELECT)
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from clew import errors

LONGEST = 12_000
"""Of the query as it is sent; Salesforce takes addresses of 16 384 bytes."""

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_PLACE = re.compile(r"(?P<like>\bLIKE\s+)?:(?P<before>%?)(?P<name>[A-Za-z]\w*)(?P<after>%?)", re.IGNORECASE)
_SIDE_EFFECTS = re.compile(r"\bFOR\s+(?:VIEW|REFERENCE|UPDATE)\b|\bUPDATE\s+(?:TRACKING|VIEWSTAT)\b", re.IGNORECASE)
_AGGREGATE = re.compile(r"\b(?:COUNT|COUNT_DISTINCT|AVG|SUM|MIN|MAX)\s*\(", re.IGNORECASE)


def quoted(text: str, *, like: bool = False) -> str:
    """A text as a literal of SOQL; for `LIKE` with `%` and `_` as themselves. Raises `InvalidInputError`."""
    escaped = "".join(_ESCAPES.get(char, char) for char in text)
    if any(ord(char) < 32 or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in escaped):
        raise errors.InvalidInputError("a value holds characters that no text has.")
    if like:
        escaped = escaped.replace("%", "\\%").replace("_", "\\_")
    return f"'{escaped}'"


def literal(value: Any) -> str:
    """A value as SOQL writes it: text, number, true or false, null, a time, or a list. Raises `InvalidInputError`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return format(Decimal(str(value)), "f")
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    rows = cast(Sequence[Any], value)
    if isinstance(value, list) and rows and not any(isinstance(each, list | dict) for each in rows):
        return f"({', '.join(map(literal, rows))})"
    raise errors.InvalidInputError("a value is no text, no number, and no list of these that has something in it.")


def bound(soql: str, values: Mapping[str, Any]) -> str:
    """The query with its values in it. Raises `InvalidInputError` for one that is missing, unused or cannot be told."""
    if not {"'", '"', "\\"}.isdisjoint(soql):
        raise errors.InvalidInputError(
            "the query holds quoted text.",
            next_step='Write WHERE Name = :name, and the text into values: {"name": "O\'Brien"}.',
        )
    unused = set(values) - {match["name"] for match in _PLACE.finditer(soql)}
    if unused:
        raise errors.InvalidInputError("a value has no place in the query.", fields={min(unused): "is not used"})

    def fill(match: re.Match[str]) -> str:
        name, like = match["name"], match["like"] or ""
        if name not in values:
            raise errors.InvalidInputError("a place in the query has no value.", fields={name: "is missing in values"})
        value = values[name]
        if not (like or match["before"] or match["after"]):
            return literal(value)
        if not isinstance(value, str):
            raise errors.InvalidInputError("LIKE compares texts.", fields={name: "is no text"})
        return f"{like}'{match['before']}{quoted(value, like=True)[1:-1]}{match['after']}'"

    return _PLACE.sub(fill, soql)


def selected(soql: str, values: Mapping[str, Any], most: int) -> str:
    """A query that only reads, ends with a limit, and has its values in it. Raises `InvalidInputError`."""
    plain = " ".join(soql.split()).rstrip("; ")
    if not re.match(r"SELECT\b", plain, re.IGNORECASE) or _SIDE_EFFECTS.search(plain):
        raise errors.InvalidInputError("only a SELECT that marks and locks nothing can be run.")
    outside, found = plain, 1
    while found:
        outside, found = re.subn(r"\([^()]*\)", " ", outside)
    limited = re.search(r"\bLIMIT\s+(?:\d+|:\w+)", outside, re.IGNORECASE)
    # https://developer.salesforce.com/docs (SOQL LIMIT): not with an aggregate that groups nothing.
    counts = _AGGREGATE.search(plain) and not re.search(r"\bGROUP\s+BY\b", outside, re.IGNORECASE)
    if re.search(r"\bOFFSET\b", outside, re.IGNORECASE) and not limited:
        raise errors.InvalidInputError("write LIMIT before OFFSET.")
    sent = bound(plain, values) + ("" if limited or counts else f" LIMIT {most}")
    if len(sent.encode()) > LONGEST:
        raise errors.InvalidInputError(f"the query is longer than {LONGEST} bytes.", next_step="Ask in several.")
    return sent
