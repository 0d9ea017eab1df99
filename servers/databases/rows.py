"""Running a statement that reads: its rows cut by the server, counted here, and a cursor for the rest."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from clew.core.errors import InvalidInputError
from clew.core.pages import Place
from clew.servers.databases.binding import Named, Value, execute, parts
from clew.servers.databases.dialects import CELL, Dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

MOST_COLUMNS = 100
PAGE_CHARACTERS = 7_000
"""Characters of a page: more would not fit into what an agent is shown."""
_STEP = 20
_ARRIVING = 20_000_000
"""Bytes of rows that may come at once."""
_EXACT = 2**53
"""Numbers above lose digits in JavaScript hosts."""


class Rows(BaseModel):
    """Rows in the order of `columns`. Values cut at 2000 characters end in …; `next_cursor` is absent at the end."""

    columns: list[str]
    rows: list[list[Any]]
    note: str | None = None
    next_cursor: Annotated[str | None, Field(description="Pass it as `cursor`, all else unchanged.")] = None


@dataclass(frozen=True, slots=True)
class Read:
    """A statement and which of its rows. `limited`: it limits its rows by itself. `ordered`: it says their order."""

    sql: str
    values: Mapping[str, Value]
    count: int
    skip: int = 0
    limited: bool = False
    ordered: bool = False


def place_of(cursor: str | None, sql: str, values: Mapping[str, Value]) -> int:
    """How many rows earlier pages have shown. Raises `InvalidInputError` for the cursor of another statement."""
    if cursor is None:
        return 0
    place = Place.from_cursor(cursor).query
    skip = str(place.get("skip", ""))
    if place.get("of") != _digest(sql, values) or not re.fullmatch(r"\d{1,9}", skip):
        raise InvalidInputError(
            "the cursor belongs to another statement or to other values.",
            next_step="Pass the same sql and params as for the page before, or no cursor.",
        )
    return int(skip)


def _digest(sql: str, values: Mapping[str, Value]) -> str:
    whole = json.dumps([sql, dict(sorted(values.items()))], default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def read_rows(connection: "Connection", dialect: Dialect, read: Read) -> Rows:
    """Run it. Everything in `read` has been checked."""
    result, most = _sent(connection, dialect, read)
    columns = list(result.keys())
    found: list[list[Any]] = []
    size, more = 0, False
    skipped = read.skip if not dialect.wraps else 0
    for row in result:
        if skipped:
            skipped -= 1
            continue
        shown = cells(row)
        size += sum(len(str(each)) + 4 for each in shown)
        if len(found) == most or (found and size > PAGE_CHARACTERS):
            more = True
            break
        found.append(shown)
    result.close()
    cursor = None
    if more:
        seen = {"skip": str(read.skip + len(found)), "of": _digest(read.sql, read.values)}
        cursor = Place(seen).cursor()
    note = None if read.ordered or not more else "Without ORDER BY pages may overlap or miss rows."
    return Rows(columns=columns, rows=found, note=note, next_cursor=cursor)


def _sent(connection: "Connection", dialect: Dialect, read: Read) -> "tuple[CursorResult[Any], int]":
    """The rows, and how many of them are for this page: fewer where they are wide, for they come whole."""
    inner = parts(read.sql, dialect.profile.product, read.values)
    if not dialect.wraps:
        result = execute(connection, inner, read.values, stream_results=True, yield_per=_STEP)
        _check_columns(list(result.keys()))
        return result, read.count
    values = {**read.values, "clew_count": read.count + 1, "clew_skip": read.skip}
    limit = (" LIMIT ", Named("clew_count"), " OFFSET ", Named("clew_skip"))
    wrapped = ("(\n", *inner, "\n", *(() if read.limited else limit), "\n) AS clew_q")
    probe = execute(connection, ("SELECT * FROM ", *wrapped, " LIMIT 0"), values)
    names = list(probe.keys())
    kinds = [each[1] for each in probe.cursor.description] if probe.cursor is not None else []
    probe.close()
    _check_columns(names)
    most = min(read.count, _ARRIVING // (CELL * 4 * len(names)))
    shown: list[str] = []
    for name, kind in zip(names, kinds, strict=True):
        column = dialect.quoted(name)
        shown.append(f"{dialect.capped(column, kind)} AS {column}")
    outer = ("SELECT ", ", ".join(shown), " FROM ", *wrapped, *(limit if read.limited else ()))
    return execute(connection, outer, {**values, "clew_count": most + 1}), most


def _check_columns(names: Sequence[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise InvalidInputError(f"more than {MOST_COLUMNS} columns.", next_step="Name the columns that you need.")
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise InvalidInputError("two columns have the same name.", next_step="Give each its own name with AS.")


def cells(row: Sequence[Any]) -> list[Value]:
    """The values of a row as an agent is shown them."""
    return [_cell(value) for value in row]


def _cell(value: Any) -> Value:  # noqa: PLR0911 - one case for each kind
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < _EXACT else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return _cut(str(value))
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes():
            size = len(value)
            return f"<binary, {size} bytes>" if size <= CELL else f"<binary, more than {CELL} bytes>"
        case dict() | list():
            return _cut(json.dumps(value, default=str, ensure_ascii=False))
        case _:
            return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= CELL else text[:CELL] + "…"
