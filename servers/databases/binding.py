"""Values for a statement: which names stand for one, that each has one, and how both reach the driver.

A name with a colon is a value only outside of quotes, as the parser of `guard` reads them. Everything else reaches the
database as it was written: neither SQLAlchemy nor a driver may read a place for a value, or an escape, into it.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clew.core.errors import InvalidInputError
from clew.servers.databases.guard import quoted, refused

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

Value = str | int | float | bool | None

_AS_NAMED = {"sqlite_raw_colnames": True}
"""SQLAlchemy else takes what stands before a dot from SQLite's names."""
_PLACE = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")


@lru_cache(maxsize=64)
def _places(sql: str, product: str) -> tuple[tuple[int, int, str], ...]:
    """Where values stand: begin and end with the colon, and the name."""
    bare = list(sql)
    for begin, end in quoted(sql, product):
        bare[begin:end] = "'" * (end - begin)
    return tuple((each.start(), each.end(), each[1]) for each in _PLACE.finditer("".join(bare)))


def check_values(sql: str, product: str, values: Collection[str]) -> None:
    """Raise `InvalidInputError` unless the names in the statement and those of the values are the same.

    A parameter inside quotes is refused: it is meant as a value, and would be text.
    """
    named = {name for _, _, name in _places(sql, product)}
    own = re.compile(rf":(?:{'|'.join(map(re.escape, values))})\b") if values else None
    if own is not None and any(own.search(sql, begin, end) for begin, end in quoted(sql, product)):
        raise refused("a parameter stands inside quotes, where it would be text")
    missing, unknown = sorted(named - set(values)), sorted(set(values) - named)
    if missing or unknown:
        which = f"has no value for :{missing[0][:60]}" if missing else f"has no :{unknown[0][:60]}"
        raise InvalidInputError(f"sql {which}.", next_step="Give params one value for each :name in sql.")
    if any(name.startswith("clew_") for name in values):
        raise InvalidInputError("names of parameters must not begin with clew_.")


class Named(str):
    """A part of a statement that stands for a value, by its name."""

    __slots__ = ()


Parts = tuple[str, ...]


def parts(sql: str, product: str, values: Collection[str]) -> Parts:
    """The statement in parts: its text as it was written, and a `Named` where a value stands."""
    found: list[str] = []
    done = 0
    for begin, end, name in _places(sql, product):
        if name in values:
            found += (sql[done:begin], Named(name))
            done = end
    return (*found, sql[done:])


def execute(connection: "Connection", whole: Parts, values: Mapping[str, Value], **options: Any) -> "CursorResult[Any]":
    """Run a statement. Values are given to the driver, in its own way; SQLAlchemy reads no text of it."""
    dialect = connection.dialect
    if dialect.paramstyle == "qmark":
        sent = "".join("?" if isinstance(each, Named) else each for each in whole)
        bound: Any = tuple(values[each] for each in whole if isinstance(each, Named))
    elif dialect.paramstyle == "named":
        sent = "".join(f":{each}" if isinstance(each, Named) else each for each in whole)
        bound = {each: values[each] for each in whole if isinstance(each, Named)}
    else:  # the drivers of PostgreSQL and MariaDB read % in the text too
        sent = "".join(f"%({each})s" if isinstance(each, Named) else each.replace("%", "%%") for each in whole)
        bound = {str(each): values[each] for each in whole if isinstance(each, Named)}
    return connection.exec_driver_sql(sent, bound, execution_options={**_AS_NAMED, **options})
