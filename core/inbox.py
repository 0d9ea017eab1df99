"""The inbox: every verified event, durable before its sender hears so, once however often it is delivered.

What makes an event a duplicate is remembered longer than the event itself: as long as its signature could be replayed.
Payloads are sealed, for they may hold personal data. Who processes events is in `inbox_work`.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from enum import StrEnum

from clew.core.connection import Connection
from clew.core.database import Database, Row, Transaction, Value
from clew.core.errors import InternalError
from clew.core.sealer import Sealer
from clew.core.values import dataclass

STEPS = (
    """CREATE TABLE inbox_events (
        seq BIGINT PRIMARY KEY,
        tenant TEXT NOT NULL, connector TEXT NOT NULL, account TEXT NOT NULL,
        type TEXT NOT NULL, reference TEXT NOT NULL, state TEXT NOT NULL, order_key TEXT NOT NULL,
        occurred_at DOUBLE PRECISION, received_at DOUBLE PRECISION NOT NULL, sealed BLOB NOT NULL,
        status TEXT NOT NULL, attempts BIGINT NOT NULL, due DOUBLE PRECISION NOT NULL, lease TEXT NOT NULL,
        trouble TEXT NOT NULL, ended_at DOUBLE PRECISION)""",
    "CREATE INDEX inbox_pending ON inbox_events (seq) WHERE status = 'pending'",
    "CREATE INDEX inbox_order ON inbox_events (order_key, seq) WHERE status = 'pending'",
    "CREATE INDEX inbox_connection ON inbox_events (tenant, connector, account, seq)",
    "CREATE INDEX inbox_reference ON inbox_events (reference, seq) WHERE reference <> ''",
    "CREATE TABLE inbox_seen (digest TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL)",
)

RETENTION = 30 * 86400.0
"""Seconds that an event which was processed stays readable."""
REMEMBERED = 400 * 86400.0
"""Seconds that a delivery is known again when its signature never grows old."""
REMEMBERED_SIGNED_TIME = 30 * 86400.0
"""Seconds that it is when its signature covers a timestamp: only the sender can repeat it later, and none does."""
_ROWS = 48
"""Rows of one statement: older SQLite libraries take 999 parameters."""
_READ = (
    "SELECT seq, tenant, connector, account, type, reference, state, occurred_at, received_at, sealed, status, "
    "attempts, trouble FROM inbox_events"
)


class Status(StrEnum):
    """How far an event is."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One verified event on its way into the inbox.

    It is a duplicate when any of its `keys` is known (the delivery's id; a hash of the body where the id is not
    signed); they are remembered for `remembered` seconds. Events with the same `order` are processed one after the
    other as they came. `reference` is the provider's id of what it is about, `state` what it says about that;
    `occurred_at` is the sender's clock, in seconds since 1970. `payload` is JSON.
    """

    connection: Connection
    keys: tuple[str, ...]
    type: str
    payload: str
    order: str = ""
    reference: str = ""
    state: str = ""
    occurred_at: float | None = None
    remembered: float = REMEMBERED


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A stored event; `Inbox.payload` opens what it carried. `received_at` is in seconds since 1970."""

    seq: int
    connection: Connection
    type: str
    reference: str
    state: str
    occurred_at: float | None
    received_at: float
    sealed: bytes
    status: Status
    attempts: int
    trouble: str

    @property
    def id(self) -> str:
        """Its name outside."""
        return f"evt_{self.seq:x}"


class Inbox:
    """The events of one database. Make one with `open_inbox`."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self.database = database
        self._sealer = sealer

    async def store(self, incoming: Sequence[Incoming]) -> list[int | None]:
        """Store events in one transaction, durable when this returns: each one's number, None for a duplicate."""
        now = time.time()
        sealed = [await self._seal(each) for each in incoming]
        digests = [tuple(_digest(each.connection, key) for key in each.keys) for each in incoming]
        async with self.database.transaction() as tx:
            known = await _known(tx, sorted({digest for each in digests for digest in each}), now)
            seq = await _next(tx, now)
            numbers: list[int | None] = []
            rows: list[tuple[Value, ...]] = []
            seen: dict[str, float] = {}
            for each, content, own in zip(incoming, sealed, digests, strict=True):
                duplicate = not known.isdisjoint(own)
                known.update(own)
                seen |= dict.fromkeys(own, now + each.remembered)
                numbers.append(None if duplicate else seq)
                if not duplicate:
                    rows.append(_row(seq, each, content, now))
                    seq += 1
            await _insert(tx, f"INSERT INTO inbox_events ({_COLUMNS}) VALUES", rows)
            await _insert(
                tx,
                "INSERT INTO inbox_seen (digest, until) VALUES",
                list(seen.items()),
                "ON CONFLICT (digest) DO UPDATE SET until = CASE WHEN inbox_seen.until > excluded.until "
                "THEN inbox_seen.until ELSE excluded.until END",
            )
        return numbers

    async def get(self, event_id: str) -> StoredEvent | None:
        """One event by its name outside; None when there is none, or no longer."""
        try:
            seq = int(event_id.removeprefix("evt_"), 16)
        except ValueError:
            return None
        if not 0 <= seq < 2**63:
            return None
        row = await self.database.fetch_one(f"{_READ} WHERE seq = ?", seq)
        return None if row is None else event_of(row)

    async def payload(self, event: StoredEvent) -> str | None:
        """What an event carried, as JSON; None when the row was altered or its key is gone."""
        try:
            content = await self._sealer.open(event.sealed, tenant=event.connection.tenant, label=_label(event))
        except InternalError:
            return None
        return content.decode()

    async def list(
        self,
        *,
        connection: Connection | None = None,
        type: str = "",
        reference: str = "",
        status: Status | None = None,
        after: int = 0,
        before: int = 2**62,
        limit: int = 50,
    ) -> list[StoredEvent]:
        """The newest events first, those with numbers between `after` and `before`; `type` may end in `*`."""
        where, values = ["seq > ?", "seq < ?"], [after, before]
        parameters: list[Value] = list(values)
        if connection is not None:
            where.append("tenant = ? AND connector = ? AND account = ?")
            parameters += [connection.tenant, connection.connector, connection.account]
        if type.endswith("*"):
            where.append("SUBSTR(type, 1, ?) = ?")
            parameters += [len(type) - 1, type[:-1]]
        elif type:
            where.append("type = ?")
            parameters.append(type)
        if reference:
            where.append("reference = ?")
            parameters.append(reference)
        if status is not None:
            where.append("status = ?")
            parameters.append(status.value)
        sql = f"{_READ} WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
        return [event_of(row) for row in await self.database.fetch_all(sql, *parameters, limit)]

    async def newest(self) -> int:
        """The number of the newest event; 0 when there is none."""
        row = await self.database.fetch_one("SELECT MAX(seq) FROM inbox_events")
        return int(row[0] or 0) if row else 0

    async def count(self) -> dict[Status, int]:
        """How many events there are of each status."""
        rows = await self.database.fetch_all("SELECT status, COUNT(*) FROM inbox_events GROUP BY status")
        return dict.fromkeys(Status, 0) | {Status(name): int(number) for name, number in rows}

    async def prune(self, *, retention: float = RETENTION) -> int:
        """Forget events that were processed, and dead ones, `retention` seconds after they came; how many."""
        now = time.time()
        gone = await self.database.execute(
            "DELETE FROM inbox_events WHERE status <> 'pending' AND received_at < ?", now - retention
        )
        await self.database.execute("DELETE FROM inbox_seen WHERE until < ?", now)
        return gone

    async def _seal(self, each: Incoming) -> bytes:
        return await self._sealer.seal(each.payload.encode(), tenant=each.connection.tenant, label=_label(each))


async def open_inbox(database: Database, sealer: Sealer) -> Inbox:
    """Make the tables when they are missing and return the inbox."""
    await database.migrate("inbox", STEPS)
    return Inbox(database, sealer)


def event_of(row: Row) -> StoredEvent:
    """An event from a row as `_READ` reads it."""
    seq, tenant, connector, account, kind, reference, state, occurred, received, sealed, status, attempts, why = row
    where = Connection(tenant, connector, account)
    return StoredEvent(seq, where, kind, reference, state, occurred, received, sealed, Status(status), attempts, why)


async def events_in(at: Transaction, where: str, *parameters: Value) -> list[StoredEvent]:
    """Events by a condition of ours, for whoever works on them."""
    return [event_of(row) for row in await at.fetch_all(f"{_READ} {where}", *parameters)]


_COLUMNS = (
    "seq, tenant, connector, account, type, reference, state, order_key, occurred_at, received_at, sealed, status, "
    "attempts, due, lease, trouble"
)


def _row(seq: int, each: Incoming, sealed: bytes, now: float) -> tuple[Value, ...]:
    where = each.connection
    order = _digest(where, each.order) if each.order else ""
    return (
        *(seq, where.tenant, where.connector, where.account),
        *(each.type, each.reference, each.state, order, each.occurred_at, now, sealed),
        *(Status.PENDING.value, 0, 0.0, "", ""),
    )


def _digest(connection: Connection, key: str) -> str:
    """A key of one connection. Hashed: it may be an address, and it may be of any length."""
    whole = json.dumps([connection.tenant, connection.connector, connection.account, key])
    return hashlib.sha256(whole.encode()).hexdigest()[:40]


def _label(event: Incoming | StoredEvent) -> str:
    """What a payload is sealed to: it opens only in the row of an event that says the same."""
    where = event.connection
    facts = [where.tenant, where.connector, where.account, event.type, event.reference, event.state]
    return f"event {json.dumps(facts)}"


async def _known(tx: Transaction, digests: Sequence[str], now: float) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(digests), _ROWS):
        part = digests[start : start + _ROWS]
        marks = ", ".join("?" * len(part))
        sql = f"SELECT digest FROM inbox_seen WHERE until > ? AND digest IN ({marks})"  # noqa: S608 - marks are question marks
        known.update(row[0] for row in await tx.fetch_all(sql, now, *part))
    return known


async def _next(tx: Transaction, now: float) -> int:
    """The clock's microseconds, or one more than the newest: it grows even when old rows are gone."""
    row = await tx.fetch_one("SELECT MAX(seq) FROM inbox_events")
    return max(int(now * 1e6), int(row[0] or 0) + 1 if row else 0)


async def _insert(tx: Transaction, head: str, rows: Sequence[tuple[Value, ...]], tail: str = "") -> None:
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        marks = ", ".join(f"({', '.join('?' * len(row))})" for row in part)
        await tx.execute(f"{head} {marks} {tail}", *(value for row in part for value in row))
