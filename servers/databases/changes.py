"""Declared writes, each a tool: the statement is the operator's, values are bound, and a person sees what it hits.

The preview runs the very statement in a transaction that is rolled back, so it counts what would change, keys and
triggers included. The call runs it once and commits; the journal keeps it from being committed again.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from clew.connectors import sql as facts
from clew.core.api import Api
from clew.core.connector import Connector, Effect, Tool
from clew.core.errors import ConfigurationError, InvalidInputError, NotFoundError, Outcome
from clew.core.once import Look, NaturalKey
from clew.core.outcomes import Verdict
from clew.core.response import Response
from clew.servers.databases.binding import Value, execute, parts
from clew.servers.databases.declared import DeclaredQuery, DeclaredStatement
from clew.servers.databases.dialects import Dialect
from clew.servers.databases.guard import check_write
from clew.servers.databases.profile import WriteStatement
from clew.servers.databases.rows import PAGE_CHARACTERS, Read, Rows, cells, read_rows
from clew.servers.databases.session import ASKED, Session

if TYPE_CHECKING:
    from sqlalchemy import Connection

SHOWN = 20
"""Rows of a preview, and of what a statement returns."""
REFUSED, AGAIN = 400, 409
"""Statuses of a refusal: of a write, and of one that may be repeated, whose key may be there by itself."""


class Changed(BaseModel):
    """How many rows were changed, and those that the statement returns."""

    changed: int
    returned: Rows | None = None


class Preview(BaseModel):
    """What would happen: how many rows would change, those it hits as they are now, and those it would return."""

    would_change: int
    hits: Rows | None = None
    returned: Rows | None = None


class DeclaredWrite(DeclaredStatement):
    """The function of a declared write's tool."""

    returns: Any = Changed

    def __init__(self, name: str, stated: WriteStatement, dialect: Dialect) -> None:
        """Raises `ConfigurationError` for a statement that changes no rows, or all of a table."""
        product = dialect.profile.product
        try:
            self.changing = check_write(stated.sql, product)
            super().__init__(name, stated, product)
        except InvalidInputError as error:
            raise ConfigurationError(f"write.{name}: {error.message}") from None
        self.dialect, self.most, self.repeatable = dialect, stated.rows, stated.repeatable

    async def __call__(self, api: Api, **values: Any) -> Changed:
        """Run it and commit."""
        bound = self.values(values)
        refusal = AGAIN if self.repeatable else REFUSED
        session = Session(self.dialect, lambda each: self._apply(each, bound), writes=True, keep=True, refusal=refusal)
        await api.carry("SQL", "write", session, safe=False)
        made: Changed = session.result
        return made

    def _apply(self, connection: "Connection", values: Mapping[str, Value]) -> Changed:
        """Run the statement. Raises `InvalidInputError` when it hits too many rows, `NotFoundError` when none."""
        self.dialect.check_write(connection, self.changing.tables)
        result = execute(connection, parts(self.stated.sql, self.dialect.profile.product, values), values)
        rows = list(result.fetchmany(self.most + 1)) if result.returns_rows else None
        count = result.rowcount if result.rowcount >= 0 or rows is None else len(rows)
        returned = None if rows is None else _rows(list(result.keys()), rows)
        result.close()
        count = max(count, 0 if rows is None else len(rows))
        if count > self.most:
            raise InvalidInputError(
                f"this would change more than {self.most} rows, which is the most that the profile allows; "
                "nothing was changed.",
                next_step="Use values that hit fewer rows, or ask the person to raise rows= of this write.",
            )
        if count == 0 and not self.changing.adds:
            raise NotFoundError(
                "no row matches these values; nothing was changed.", next_step="Read the rows, then use their values."
            )
        self.dialect.check_constraints(connection)
        return Changed(changed=count, returned=returned)

    def show(self, connection: "Connection", values: Mapping[str, Value]) -> Preview:
        """What the statement would do; whoever calls this rolls it back."""
        hits = self._hit(connection, values)
        done = self._apply(connection, values)
        return Preview(would_change=done.changed, hits=hits, returned=done.returned)

    def _hit(self, connection: "Connection", values: Mapping[str, Value]) -> Rows | None:
        """The rows as they are now; None where the role may not see them."""
        from sqlalchemy.exc import DBAPIError

        if not self.changing.hits:
            return None
        read = Read(self.changing.hits, values, SHOWN)
        try:
            with connection.begin_nested():
                found = read_rows(connection, self.dialect, read)
        except (DBAPIError, InvalidInputError):
            return None
        return found.model_copy(update={"next_cursor": None, "note": _more(found.next_cursor is not None)})


class Shown(DeclaredStatement):
    """The preview of a declared write, with the write's own parameters."""

    returns: Any = Preview

    def __init__(self, write: DeclaredWrite) -> None:
        super().__init__(f"preview_{write.__name__}"[:40], write.stated, write.dialect.profile.product)
        self._write = write

    async def __call__(self, api: Api, **values: Any) -> Preview:
        """Run it and roll back."""
        write, bound = self._write, self.values(values)
        session = Session(write.dialect, lambda each: write.show(each, bound), writes=True)
        await api.carry("SQL", "preview", session, safe=True)
        made: Preview = session.result
        return made


def judged(response: Response) -> Verdict | None:
    """What a refusal means. A key that is taken says that another row is there, not that this write was done; a name
    that is missing says that the database has changed only where the statement is not the agent's own."""
    verdict = facts.classify(response)
    if verdict is not None and verdict.code == "transient" and response.status in (REFUSED, AGAIN):
        return replace(verdict, outcome=Outcome.NOT_APPLIED)  # before the commit
    if verdict is not None and verdict.code == "already_done" and response.status == REFUSED:
        return Verdict(
            "conflict",
            "a row with this key is there already; nothing was changed.",
            next_step="Read that row. If it is not what you want, change it, or use another key.",
            outcome=Outcome.NOT_APPLIED,
        )
    if verdict is not None and verdict.code == "not_found" and response.status == ASKED:
        return replace(verdict, next_step="Call list_tables and use its names; the role may not see all there are.")
    if verdict is not None and verdict.code == "contract_changed" and response.status == ASKED:
        return Verdict(
            "invalid_input",
            "the database has no column or function of this name, or not for values of this type.",
            next_step="Call describe_table and use its names and types.",
            outcome=Outcome.NOT_APPLIED,
        )
    return verdict


def add_writes(made: Connector, dialect: Dialect) -> None:
    """The tools of a profile's declared writes. Raises `ConfigurationError`."""
    for name, stated in dialect.profile.write.items():
        if name in made.tools:
            raise ConfigurationError(f"write.{name}: there is a tool of this name already.")
        write = DeclaredWrite(name, stated, dialect)
        asks = stated.asks or write.changing.destroys
        made.tools[name] = Tool(
            made.name,
            name,
            write,
            Effect.DESTRUCTIVE if asks else Effect.WRITE,
            "declared",
            Shown(write),
            once=NaturalKey() if stated.repeatable else None,
            verify=_look(made, name, stated),
        )


def _look(made: Connector, name: str, stated: WriteStatement) -> Look | None:
    if not stated.check:
        return None
    query = made.tools.get(stated.check)
    if query is None or not isinstance(query.function, DeclaredQuery):
        raise ConfigurationError(f"write.{name}: check={stated.check[:40]!r} is no declared query.")
    if not set(query.function.stated.parameters) <= set(stated.parameters):
        raise ConfigurationError(f"write.{name}: the query {stated.check} takes a parameter that the write has not.")
    return Look(_Check(query.function))


class _Check:
    """A declared query as the look after a write: a row says that it happened."""

    def __init__(self, query: DeclaredQuery) -> None:
        self._query = query
        self.__name__ = query.__name__

    @property
    def __signature__(self) -> inspect.Signature:
        return self._query.__signature__

    async def __call__(self, api: Api, **values: Any) -> Changed | None:
        found = await self._query(api, **values)
        return Changed(changed=len(found.rows), returned=found) if found.rows else None


def _rows(columns: list[str], rows: list[Any]) -> Rows:
    shown: list[list[Any]] = []
    size = 0
    for row in rows[:SHOWN]:
        found = cells(row)
        size += sum(len(str(each)) + 4 for each in found)
        if shown and size > PAGE_CHARACTERS:
            break
        shown.append(found)
    return Rows(columns=columns, rows=shown, note=_more(len(shown) < len(rows)))


def _more(more: bool) -> str | None:
    return f"Only the first {SHOWN} rows are shown." if more else None
