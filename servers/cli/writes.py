"""`clew writes`: the journal, for a person."""

import asyncio
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from clew.core.errors import ConfigurationError, InternalError
from clew.core.journal import Journal, State, Write
from clew.servers.cli.output import Cell, emit, emit_json, facts, table, talk
from clew.servers.cli.start import begin
from clew.servers.settings import DATABASE, Settings
from clew.servers.store import open_store

UNKNOWN = 1
OPEN = (State.UNKNOWN, State.SENT, State.INTENDED)


def list_writes(arguments: Namespace) -> int:
    """The newest writes."""
    settings = begin()
    rows = asyncio.run(_rows(settings, OPEN if arguments.unknown else tuple(State), arguments.limit))
    if arguments.json:
        emit_json([as_dict(row) for row in rows])
    elif rows:
        headings = ("id", "when", "tool", "account", "state", "reference")
        table(headings, [_cells(row) for row in rows])
    else:
        talk("No write is open." if arguments.unknown else "Nothing was written yet.")
    return 0


def show_write(arguments: Namespace) -> int:
    """One write with what is kept of it."""
    settings = begin()
    row, given, answer = asyncio.run(_read(settings, arguments.id))
    data = as_dict(row) | {"arguments": given, "answer": answer}
    if arguments.json:
        emit_json(data)
        return 0
    facts([(name.replace("_", " "), str(value)) for name, value in data.items() if value not in (None, given, answer)])
    for name, kept in (("arguments", given), ("answer", answer)):
        if kept is not None:
            emit(f"{name}:")
            emit_json(kept)
    return 0


def resolve_write(arguments: Namespace) -> int:
    """Settle an open write: 0 when its end is known afterwards, else 1."""
    settings = begin(http=arguments.verify)
    row = asyncio.run(_verify(settings, arguments.id) if arguments.verify else _resolve(settings, arguments))
    if arguments.json:
        emit_json(as_dict(row))
    known = row.state in (State.APPLIED, State.NOT_APPLIED)
    again = " The same call does it anew." if row.state is State.NOT_APPLIED else ""
    talk(f"{row.tool} {row.id[:12]}: {row.state.value}.{again}")
    if not known:
        talk("The connector cannot tell. Look at the provider, then say --applied or --not-applied.")
    return 0 if known else UNKNOWN


async def _rows(settings: Settings, states: tuple[State, ...], limit: int) -> list[Write]:
    if not settings.database and not (settings.home / DATABASE).is_file():
        return []
    async with open_store(settings) as store:
        return await store.journal.rows(states=states, tenant=settings.tenant or None, limit=max(1, limit))


async def _read(settings: Settings, identity: str) -> tuple[Write, Any, Any]:
    async with open_store(settings) as store:
        row = await _found(store.journal, identity, settings)
        try:
            return row, await store.journal.arguments(row), await store.journal.answer(row)
        except InternalError as error:
            talk(f"clew: {error}")
            return row, None, None


async def _resolve(settings: Settings, arguments: Namespace) -> Write:
    state = State.APPLIED if arguments.applied else State.NOT_APPLIED
    async with open_store(settings) as store:
        row = await _found(store.journal, arguments.id, settings)
        demand_open(row)
        if not await store.journal.complete(row.id, state=state, by="person"):
            raise ConfigurationError(f"a call works on write {row.id[:12]} at the moment. Try again when it has ended.")
        return await _found(store.journal, row.id, settings)


async def _verify(settings: Settings, identity: str) -> Write:
    from clew.core.reconcile import settle
    from clew.servers.runtime import Runtime
    from clew.servers.settling import way_to

    async with open_store(settings) as store:
        row = await _found(store.journal, identity, settings)
    demand_open(row)
    async with Runtime.open(settings, [row.connection.connector]) as runtime:
        await settle(runtime.store.journal, row, lambda each: way_to(runtime, each))
        return await _found(runtime.store.journal, row.id, settings)


async def _found(journal: Journal, identity: str, settings: Settings) -> Write:
    row = await journal.get(identity)
    if row is None or settings.tenant not in ("", row.connection.tenant):
        raise ConfigurationError(f"no write, or more than one, begins with {identity[:24]!r}. See: clew writes")
    return row


def demand_open(row: Write) -> None:
    """Raise `ConfigurationError` when nothing is left to settle."""
    if row.state not in OPEN and not row.pending:
        raise ConfigurationError(f"write {row.id[:12]} is {row.state.value} already; there is nothing to settle.")


def _cells(row: Write) -> list[str | Cell]:
    shown = row.pending or row.state.value
    state: str | Cell = Cell(shown, "red") if row.state is State.UNKNOWN else shown
    tool, account = f"{row.connection.connector} {row.tool}", row.connection.account
    return [row.id[:12], _when(row.created_at), tool, account, state, row.reference or ""]


def as_dict(row: Write) -> dict[str, Any]:
    """A row as data, without what is sealed."""
    return {
        "id": row.id,
        "state": row.state.value,
        "pending": row.pending,
        "settled_by": row.settled_by,
        "connector": row.connection.connector,
        "account": row.connection.account,
        "tenant": row.connection.tenant,
        "tool": row.tool,
        "request_id": row.request_key.removeprefix("id:") if row.request_key.startswith("id:") else None,
        "attempts": row.attempts,
        "reference": row.reference,
        "code": row.code,
        "created": _when(row.created_at),
        "sent": _when(row.sent_at),
        "ended": _when(row.ended_at),
    }


def _when(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
