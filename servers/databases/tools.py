"""The tools of a database. Each is one operation of its own; nothing of a profile or of a database is run as code."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from clew.auth.schemes import Basic
from clew.connectors import sql as facts
from clew.core.api import Api
from clew.core.bounds import Bounds
from clew.core.connector import Connector
from clew.core.errors import InvalidInputError
from clew.core.limits import Limit
from clew.core.registry import discover
from clew.servers.databases.binding import Value, check_values
from clew.servers.databases.changes import add_writes, judged
from clew.servers.databases.declared import DeclaredQuery
from clew.servers.databases.dialects import Dialect, dialect_of
from clew.servers.databases.guard import LONGEST, check_read, has_limit
from clew.servers.databases.profile import Profile, read_profile
from clew.servers.databases.rows import Read, Rows, place_of, read_rows
from clew.servers.databases.session import ASKED, Session
from clew.servers.databases.tables import Table, TableLine, describe_table, list_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
Sql = Annotated[str, Field(min_length=1, max_length=LONGEST, description="One SELECT; values as :name.")]
Params = Annotated[dict[str, Value] | None, Field(description="The value of each :name.")]
Cursor = Annotated[str | None, Field(max_length=500, description="next_cursor of the previous page.")]
Schema = Annotated[str | None, Field(max_length=128, description="A schema, where there are several.")]
Name = Annotated[str, Field(min_length=1, max_length=128, description="As list_tables shows it.")]


def open_sql(text: str) -> Connector:
    """The connector of a database: `postgresql://HOST/NAME`, or the path of a profile. Raises `ConfigurationError`."""
    path = Path(text).expanduser()
    changed = path.stat().st_mtime if "://" not in text and path.is_file() else 0.0
    return _opened(text, changed)


@lru_cache(maxsize=8)
def _opened(text: str, changed: float) -> Connector:
    return connector_of(read_profile(text))


def connector_of(profile: Profile) -> Connector:
    """A connector with all tools that the profile offers."""
    name = f"{profile.name[:37]}_db" if profile.name in discover() else profile.name
    made = Connector(
        name,
        base_url=profile.origin,
        title=profile.title or f"{profile.product} database",
        auth=None if profile.is_file else Basic(help="a role that may do no more than the tools need"),
        errors=replace(facts.ERRORS, hook=judged),
        bounds=Bounds(connect=10.0, read=profile.seconds),
        rate_limits=Limit(amount=4, kind="concurrency", name="connections"),
    )
    dialect = dialect_of(profile)
    _add_reads(made, dialect)
    add_writes(made, dialect)
    return made


async def reading(api: Api, dialect: Dialect, route: str, work: "Callable[[Connection], T]", refusal: int = 500) -> T:
    """Run `work` in a transaction that the database keeps from writing."""
    session = Session(dialect, work, refusal=refusal)
    await api.carry("SQL", route, session, safe=True)
    result: T = session.result
    return result


def _add_reads(made: Connector, dialect: Dialect) -> None:
    profile = dialect.profile

    def seen(schema: str | None) -> list[str]:
        if schema is not None and profile.schemas and schema not in profile.schemas:
            known = ", ".join(profile.schemas)
            raise InvalidInputError("this schema is not served.", next_step=f"There are: {known}.")
        return [schema] if schema is not None else list(profile.schemas)

    async def list_tables_(api: Api, schema: Schema = None) -> list[TableLine]:
        """List tables and views, with the estimated number of rows."""
        schemas = seen(schema)
        return await reading(api, dialect, "tables", lambda connection: list_tables(connection, dialect, schemas))

    async def describe_table_(api: Api, table: Name, schema: Schema = None) -> Table:
        """Show a table's columns, keys and indexes."""
        schemas = seen(schema)
        where = schemas[0] if schemas else None
        return await reading(api, dialect, "table", lambda each: describe_table(each, dialect, table, where))

    async def query(api: Api, sql: Sql, params: Params = None, cursor: Cursor = None) -> Rows:
        """Run one SELECT."""
        return await run(api, sql, params or {}, cursor, ASKED)

    async def run(api: Api, sql: str, values: dict[str, Value], cursor: str | None, refusal: int = 500) -> Rows:
        ordered = check_read(sql, profile.product)
        check_values(sql, profile.product, values)
        skip = place_of(cursor, sql, values)
        wanted = Read(sql, values, profile.rows, skip, has_limit(sql, profile.product), ordered)
        return await reading(api, dialect, "query", lambda each: read_rows(each, dialect, wanted), refusal)

    async def identity(api: Api) -> str:
        """The role, once the server has let it in."""
        return await reading(api, dialect, "login", lambda each: _who(each, profile))

    query.__doc__ = f"Run a query: one SELECT ({profile.product}), read-only; {profile.rows} rows a page."
    list_tables_.__name__, describe_table_.__name__ = "list_tables", "describe_table"
    made.read(toolset="schema")(list_tables_)
    made.read(toolset="schema")(describe_table_)
    if profile.free_queries:
        made.read(toolset="queries")(query)
    for name, stated in profile.query.items():
        made.read(toolset="declared")(DeclaredQuery(name, stated, profile.product, run))
    made.identity(identity)


def _who(connection: "Connection", profile: Profile) -> str:
    if profile.is_file:
        return Path(profile.database).name
    asked = {"mssql": "SELECT SUSER_SNAME()", "oracle": "SELECT USER FROM dual"}.get(
        profile.product, "SELECT CURRENT_USER"
    )
    return f"{connection.exec_driver_sql(asked).scalar()} at {profile.host}/{profile.database}"
