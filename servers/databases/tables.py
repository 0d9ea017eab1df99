"""What there is in a database: tables with their sizes, and one table with its columns and keys."""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from clew.core.errors import NotFoundError
from clew.servers.databases.dialects import Dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_TABLES = 300


class TableLine(BaseModel):
    """A table or view. `rows` is the server's estimate, absent where it has none."""

    name: str
    db_schema: Annotated[str | None, Field(alias="schema")] = None
    kind: Annotated[str, Field(description="table or view.")]
    rows: int | None = None

    model_config = {"populate_by_name": True}


class Column(BaseModel):
    """One column. `key` is primary, or the column it refers to as `table.column`."""

    name: str
    type: str
    null: bool
    key: str | None = None
    default: str | None = None
    comment: str | None = None


class Table(BaseModel):
    """A table's columns, and what else must be unique or is indexed."""

    name: str
    db_schema: Annotated[str | None, Field(alias="schema")] = None
    rows: int | None = None
    columns: list[Column]
    unique: list[list[str]] | None = None
    indexes: list[list[str]] | None = None

    model_config = {"populate_by_name": True}


def list_tables(connection: "Connection", dialect: Dialect, schemas: Sequence[str]) -> list[TableLine]:
    """The tables and views of these schemas, or of the one that the role sees first."""
    from sqlalchemy import inspect

    looked = inspect(connection)
    found: list[TableLine] = []
    wanted: list[str | None] = [*schemas] or [None]
    for schema in wanted:
        sizes = dialect.estimates(connection, schema)
        for name in sorted(looked.get_table_names(schema)):
            found.append(TableLine(name=name, db_schema=schema, kind="table", rows=sizes.get(name)))
        for name in sorted(looked.get_view_names(schema)):
            found.append(TableLine(name=name, db_schema=schema, kind="view"))
    return found[:MOST_TABLES]


def describe_table(connection: "Connection", dialect: Dialect, name: str, schema: str | None) -> Table:
    """One table. Raises `NotFoundError` with the names that are near."""
    from sqlalchemy import inspect

    looked: Any = inspect(connection)
    names = [*looked.get_table_names(schema), *looked.get_view_names(schema)]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        step = f"There is {', '.join(near)}." if near else "Call list_tables."
        raise NotFoundError("there is no such table, or this role may not see it.", next_step=step)
    keys = dict.fromkeys(looked.get_pk_constraint(name, schema).get("constrained_columns", []), "primary")
    for each in looked.get_foreign_keys(name, schema):
        for own, other in zip(each["constrained_columns"], each["referred_columns"], strict=False):
            keys.setdefault(own, f"{each['referred_table']}.{other}")
    columns = [
        Column(
            name=each["name"],
            type=str(each["type"])[:80],
            null=bool(each["nullable"]),
            key=keys.get(each["name"]),
            default=_short(each.get("default")),
            comment=_short(each.get("comment")),
        )
        for each in looked.get_columns(name, schema)
    ]
    unique = [list(each["column_names"]) for each in looked.get_unique_constraints(name, schema)]
    indexes = [[str(column) for column in each["column_names"]] for each in looked.get_indexes(name, schema)]
    size = dialect.estimates(connection, schema).get(name)
    return Table(
        name=name, db_schema=schema, rows=size, columns=columns, unique=unique or None, indexes=indexes or None
    )


def _short(value: Any) -> str | None:
    return str(value)[:120] if value else None
