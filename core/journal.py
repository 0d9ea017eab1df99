"""The journal of writes: one row per write, durable before its first request leaves.

    intended ─> sent ─> applied | not_applied
                     └> unknown ─> applied | not_applied     (`settled_by` says how: repeat, look, event, person)

A row is held by one call at a time (owner, fence, lease); every step is a compare-and-swap on them, so whoever lost it
changes nothing any more. What is held has no holder when its lease is over or its process is gone. An `intended` row
without a holder was certainly not sent; a `sent` one may have been. Arguments and answers are sealed.

Two steps are on the way of a write: `claim` makes the row, `finish` its end. The first is durable when it returns. The
second may be lost with the machine's power: the row then says `sent`, and is settled as after any crash.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clew.core.connection import Connection
from clew.core.database import Batched, Database, SqliteDatabase, Statement
from clew.core.errors import OutcomeUnknownError, TransientError
from clew.core.presence import Presence
from clew.core.sealer import Sealer
from clew.core.write_rows import (
    HELD,
    LATEST,
    LEASE_SECONDS,
    OPEN,
    RUNNING,
    SELECT,
    STEPS,
    Ending,
    State,
    Wanted,
    Write,
    insertion,
    matching,
    write_of,
)

__all__ = ["LEASE_SECONDS", "RUNNING", "Ending", "Journal", "State", "Wanted", "Write", "open_journal"]

_PATIENCE = 5.0
"""Seconds for which a step is tried again when its connection breaks: each can be run twice without harm."""


class Journal:
    """The writes of one store, for many processes at once. Make one with `open_journal`."""

    def __init__(self, database: Database, sealer: Sealer, *, window: float = 600.0) -> None:
        self._database = database
        self._sealer = sealer
        self.window = window
        self.presence = Presence(_folder(database))

    async def peek(self, wanted: Wanted) -> Write | None:
        """The row that a call for `wanted` would meet, if there is one."""
        where, parameters = matching(wanted)
        row = await self._database.fetch_one(f"{SELECT}WHERE {where} {LATEST}", *parameters)
        return None if row is None else write_of(row)

    async def claim(self, wanted: Wanted, *, state: State) -> tuple[Write, bool]:
        """Make the row in this state, durable, or find the one that is there; True says that it was made."""
        identity = secrets.token_hex(12)
        owner = f"{self.presence.appear()}/{identity}"
        where, parameters = matching(wanted)
        sealed = await self._seal(wanted.connection, identity, "arguments", wanted.arguments)
        key = f"id:{wanted.request_id}" if wanted.request_id is not None else None
        while True:
            done = await self._run(
                insertion(wanted, state, (identity, owner, key), sealed),
                (f"{SELECT}WHERE {where} {LATEST}", parameters),
            )
            if done[1].rows:
                row = write_of(done[1].rows[0])
                return row, row.id == identity
            key = f"auto:{identity}"  # a clock that was set back has mixed up the order of equal writes

    async def take(self, row: Write, state: State, *, anew: bool = False) -> Write | None:
        """Hold a row that nobody holds, in this state; None when somebody was faster. `anew`: it certainly did not
        happen, so it begins again with other keys."""
        owner = f"{self.presence.appear()}/{secrets.token_hex(4)}"
        now = time.time()
        sent = state is State.SENT
        done = await self._run(
            (
                "UPDATE writes SET state = ?, owner = ?, fence = fence + 1, lease_ends = clew_now() + ?, "
                "generation = generation + ?, attempts = attempts + ?, "
                "sent_at = CASE WHEN ? = 1 OR sent_at IS NULL THEN ? ELSE sent_at END "
                "WHERE id = ? AND owner = ? AND fence = ? AND state = ?",
                (
                    state.value, owner, LEASE_SECONDS, int(anew), int(sent), int(anew), now if sent else None,
                    row.id, row.owner, row.fence, row.state.value,
                ),
            ),
            (f"{SELECT}WHERE id = ? AND owner = ?", (row.id, owner)),
        )  # fmt: skip
        return write_of(done[1].rows[0]) if done[1].rows else None

    async def mark_sent(self, row: Write, reference: str | None = None) -> bool:
        """A request that changes something is about to leave; durable. False when the row is no longer ours."""
        now = time.time()
        done = await self._run(
            (
                "UPDATE writes SET state = 'sent', attempts = attempts + 1, sent_at = COALESCE(sent_at, ?), "  # noqa: S608
                "reference = COALESCE(?, reference), lease_ends = clew_now() + ? "
                f"WHERE id = ? AND owner = ? AND fence = ? AND {HELD} = 1",
                (now, reference, LEASE_SECONDS, row.id, row.owner, row.fence),
            )
        )
        return done[0].changed == 1

    async def promise(self, row: Write) -> bool:
        """Whoever made this call has gone with the row's id as a handle: it goes on, in another process if this one
        ends. Durable. False when it has its end already, or is no longer ours."""
        done = await self._run(
            (
                "UPDATE writes SET pending = ? WHERE id = ? AND owner = ? AND fence = ? AND state = 'sent' "  # noqa: S608
                f"AND {HELD} = 1",
                (RUNNING, row.id, row.owner, row.fence),
            )
        )
        return done[0].changed == 1

    async def forsake(self, identity: str, *, code: str) -> bool:
        """Take the promise back: nobody takes this row up again when its process ends. False when it has an end."""
        done = await self._run(
            (
                "UPDATE writes SET pending = NULL, code = ? WHERE id = ? AND state = 'sent' AND pending = ?",
                (code, identity, RUNNING),
            )
        )
        return done[0].changed == 1

    async def steps(self, row: Write) -> list[Write]:
        """The steps of a workflow in the order in which they began, what took them back among them."""
        rows = await self._database.fetch_all(
            f"{SELECT}WHERE tenant = ? AND connector = ? AND account = ? AND request_key LIKE ? "
            "ORDER BY created_at, id",
            row.connection.tenant,
            row.connection.connector,
            row.connection.account,
            f"id:flow {row.seed} %",
        )
        return [write_of(each) for each in rows]

    async def extend(self, row: Write) -> bool:
        """Hold the row for another lease."""
        done = await self._run(
            (
                "UPDATE writes SET lease_ends = clew_now() + ? WHERE id = ? AND owner = ? AND fence = ?",
                (LEASE_SECONDS, row.id, row.owner, row.fence),
            ),
            durable=False,
        )
        return done[0].changed == 1

    async def finish(self, row: Write, ending: Ending) -> bool:
        """Write down the end and let go. False when the row is no longer ours: whoever took it decides."""
        answer = None
        if ending.answer is not None:
            answer = await self._seal(row.connection, row.id, "answer", ending.answer)
        known = ending.state in (State.APPLIED, State.NOT_APPLIED)
        done = await self._run(
            (
                "UPDATE writes SET state = ?, pending = ?, settled_by = ?, code = ?, answer = ?, lease_ends = 0, "
                "reference = COALESCE(?, reference), ended_at = ?, arguments = CASE WHEN ? = 1 THEN NULL ELSE "
                "arguments END WHERE id = ? AND owner = ? AND fence = ?",
                (
                    ending.state.value, ending.pending, ending.settled_by, ending.code, answer, ending.reference,
                    time.time(), int(known and ending.pending is None), row.id, row.owner, row.fence,
                ),
            ),
            durable=False,
        )  # fmt: skip
        return done[0].changed == 1

    async def complete(
        self, identity: str, *, state: State = State.APPLIED, answer: Mapping[str, Any] | None = None, by: str = "event"
    ) -> bool:
        """Settle a write from outside: a pending one when its end has come, an unknown one when somebody knows.

        `answer` replaces what is kept (`{"result": …}`); without it a kept result stays and a kept error goes. False
        when the row is neither pending nor unknown, or a call holds it at the moment.
        """
        row = await self.get(identity)
        if row is None or self.is_held(row) or not (row.pending or row.state in (State.UNKNOWN, State.SENT)):
            return False
        return await self._complete(row, state, answer, by)

    async def _complete(self, row: Write, state: State, answer: Mapping[str, Any] | None, by: str) -> bool:
        kept = answer if answer is not None else await self.answer(row)
        if answer is None and kept is not None and "error" in kept:
            kept = None
        sealed = None if kept is None else await self._seal(row.connection, row.id, "answer", kept)
        # One step: whoever reads meanwhile, or after a crash, finds the write open or ended, and nothing between.
        owner = f"{self.presence.appear()}/{secrets.token_hex(4)}"
        done = await self._run(
            (
                "UPDATE writes SET state = ?, pending = NULL, settled_by = ?, code = NULL, answer = ?, "
                "arguments = NULL, ended_at = ?, owner = ?, fence = fence + 1, lease_ends = 0 "
                "WHERE id = ? AND owner = ? AND fence = ? AND state = ?",
                (state.value, by, sealed, time.time(), owner, row.id, row.owner, row.fence, row.state.value),
            ),
            ("SELECT 1 FROM writes WHERE id = ? AND owner = ?", (row.id, owner)),
        )
        return bool(done[1].rows)

    async def amend(self, row: Write, *, state: State, answer: Mapping[str, Any]) -> bool:
        """Replace the end that an event gave a write by what a later one says. False when the row has changed."""
        return await self._complete(row, state, answer, "event")

    async def open_writes(
        self, connection: Connection, *, since: float = 0.0, limit: int = 500, told: bool = False
    ) -> list[Write]:
        """The newest writes of a connection whose end is not known, made after `since` (seconds since 1970); `told`:
        also those that an event has ended, of which there may be more to tell."""
        which = f"({OPEN} OR settled_by = 'event')" if told else OPEN
        rows = await self._database.fetch_all(
            f"{SELECT}WHERE {which} AND connector = ? AND created_at > ? AND tenant = ? AND account = ? "
            "ORDER BY created_at DESC LIMIT ?",
            connection.connector,
            since,
            connection.tenant,
            connection.account,
            limit,
        )
        return [write_of(row) for row in rows]

    async def find(self, connector: str, reference: str, *, tenant: str | None = None) -> list[Write]:
        """The writes of a connector with this reference at the provider, the newest first."""
        rows = await self._database.fetch_all(
            f"{SELECT}WHERE connector = ? AND reference = ? AND tenant = COALESCE(?, tenant) ORDER BY created_at DESC",
            connector,
            reference,
            tenant,
        )
        return [write_of(row) for row in rows]

    async def get(self, identity: str) -> Write | None:
        """One row by its id, or by as much of its beginning as names only one."""
        rows = await self._database.fetch_all(f"{SELECT}WHERE id LIKE ? LIMIT 2", f"{identity.rstrip('%_')}%")
        return write_of(rows[0]) if len(rows) == 1 else None

    async def rows(
        self, *, states: Sequence[State] = tuple(State), tenant: str | None = None, limit: int = 100
    ) -> list[Write]:
        """The newest rows in these states."""
        marks = ", ".join("?" for _ in states)
        rows = await self._database.fetch_all(
            f"{SELECT}WHERE state IN ({marks}) AND tenant = COALESCE(?, tenant) ORDER BY created_at DESC LIMIT ?",
            *(state.value for state in states),
            tenant,
            limit,
        )
        return [write_of(row) for row in rows]

    async def prune(self, *, answers_after: float, rows_after: float) -> None:
        """Forget answers and whole rows of this age (seconds). What is unknown or pending stays."""
        now = time.time()
        await self._run(
            (
                "UPDATE writes SET answer = NULL WHERE state IN ('applied', 'not_applied') AND pending IS NULL "
                "AND answer IS NOT NULL AND ended_at < ?",
                (now - answers_after,),
            ),
            (
                "DELETE FROM writes WHERE (state IN ('applied', 'not_applied') "  # noqa: S608
                "AND pending IS NULL AND ended_at < ?) "
                f"OR (state = 'intended' AND created_at < ? AND {HELD} = 0)",
                (now - rows_after, now - rows_after),
            ),
            durable=False,
        )

    def is_held(self, row: Write) -> bool:
        """Does a call work on this row at the moment?"""
        return row.held and not self.presence.is_gone(row.owner.partition("/")[0])

    async def arguments(self, row: Write) -> dict[str, Any] | None:
        """The arguments as plain data, None once the end is known. Raises `InternalError` when they do not open."""
        return await self._open(row, "arguments", row.sealed_arguments)

    async def answer(self, row: Write) -> dict[str, Any] | None:
        """What was kept: `{"result": …}` or `{"error": …}`. Raises `InternalError` when it does not open."""
        return await self._open(row, "answer", row.sealed_answer)

    async def _seal(self, connection: Connection, identity: str, what: str, data: Mapping[str, Any]) -> bytes:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
        label = _label(connection, identity, what)
        return await self._sealer.seal(text.encode(), tenant=connection.tenant, label=label)

    async def _open(self, row: Write, what: str, sealed: bytes | None) -> dict[str, Any] | None:
        if sealed is None:
            return None
        label = _label(row.connection, row.id, what)
        data: dict[str, Any] = json.loads(await self._sealer.open(sealed, tenant=row.connection.tenant, label=label))
        return data

    async def _run(self, *statements: Statement, durable: bool = True) -> list[Batched]:
        """Run one step. When a server's connection breaks it is not known whether it was run, so it is run again."""
        give_up_at = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self._database.batch(statements, durable=durable)
            except (OutcomeUnknownError, TransientError) as error:
                if time.monotonic() > give_up_at:
                    raise TransientError(f"{error.message} Nothing was sent.") from error
                await asyncio.sleep(0.1)


async def open_journal(database: Database, sealer: Sealer, *, window: float = 600.0) -> Journal:
    """Make the table when it is missing and return the journal. `window` is `Wanted.window` for all calls."""
    await database.migrate("writes", STEPS)
    return Journal(database, sealer, window=window)


def _folder(database: Database) -> Path | None:
    """Where writers show that they are there: beside a store that one machine has."""
    path = database.path if isinstance(database, SqliteDatabase) else None
    return None if path is None else path.with_name(f"{path.name}-writers")


def _label(connection: Connection, identity: str, what: str) -> str:
    return f"write {json.dumps([connection.connector, connection.account, identity, what])}"
