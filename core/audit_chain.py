"""The chain that records are kept in: each one's hash covers its number, its text and the hash before it.

A record that is edited, moved, left out or slipped in breaks the chain from there on. The first and the last link are
remembered apart: the last in the database and, on each machine that writes, in a file beside it (the anchor), so that a
chain that was cut or written anew shows as well. What retention removed is said by a record in the chain itself.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from clew.core.database import Database, Transaction, Value
from clew.core.values import dataclass

STEPS = (
    """CREATE TABLE audit_records (
        number BIGINT PRIMARY KEY, reference TEXT NOT NULL, started DOUBLE PRECISION NOT NULL,
        connector TEXT NOT NULL, tool TEXT NOT NULL, code TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX audit_by_reference ON audit_records (reference)",
    "CREATE INDEX audit_by_time ON audit_records (started)",
    """CREATE TABLE audit_head (
        one BIGINT PRIMARY KEY, number BIGINT NOT NULL, hash TEXT NOT NULL,
        floor BIGINT NOT NULL, floor_hash TEXT NOT NULL)""",
)
_ROW = "SELECT number, reference, started, connector, tool, code, body, hash FROM audit_records"
_INSERT = "INSERT INTO audit_records (number, reference, started, connector, tool, code, body, hash) VALUES "
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?)"
_AT_ONCE = 100
"""Records added by one statement; more parameters than these make are too many for old SQLite libraries."""
_PAGE = 500

ORIGIN = hashlib.sha256(b"clew audit 1").hexdigest()
"""What the first record's hash covers in place of a hash before it."""

RETENTION = "retention"
"""The tool name of the record that says what retention removed."""


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: after record `number` the hash is `hash`."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many records were read, the last link, and each thing that is wrong, in words."""

    records: int
    head: Link
    faults: tuple[str, ...] = ()


class Entry(NamedTuple):
    """A record as JSON, and what of it can be searched for."""

    body: str
    reference: str
    started: float
    connector: str
    tool: str
    code: str

    @classmethod
    def parsed(cls, body: str) -> "Entry":
        """Of a record that was written down."""
        facts: dict[str, Any] = json.loads(body)
        return cls(body, *(facts[name] for name in ("reference", "started", "connector", "tool", "code")))


def link(before: str, number: int, body: str) -> str:
    """The hash of one record."""
    return hashlib.sha256(f"{before}\n{number}\n{body}".encode()).hexdigest()


async def append(tx: Transaction, bodies: Sequence[str | Entry], *, again: bool = False) -> Link:
    """Add records, given as JSON or taken apart, to the end of the chain.

    With `again` those that are already in it are left alone.
    It takes a transaction: that is what makes it safe beside other writers, and whole after a crash.
    """
    head = await tx.fetch_one("SELECT number, hash FROM audit_head WHERE one = 1")
    number, last = (int(head[0]), str(head[1])) if head else (0, ORIGIN)
    for start in range(0, len(bodies), _AT_ONCE):
        chunk = [Entry.parsed(each) if isinstance(each, str) else each for each in bodies[start : start + _AT_ONCE]]
        known = await _known(tx, [each.reference for each in chunk]) if again else set[str]()
        values: list[Value] = []
        for body, reference, started, connector, tool, code in chunk:
            if reference in known:
                continue
            if again:
                known.add(reference)
            number, last = number + 1, link(last, number + 1, body)
            values += (number, reference, started, connector, tool, code, body, last)
        if values:
            await tx.execute(_INSERT + ", ".join([_PLACES] * (len(values) // 8)), *values)
    await tx.execute(
        "INSERT INTO audit_head (one, number, hash, floor, floor_hash) VALUES (1, ?, ?, 0, ?) "
        "ON CONFLICT (one) DO UPDATE SET number = excluded.number, hash = excluded.hash",
        number,
        last,
        ORIGIN,
    )
    return Link(number, last)


async def _known(tx: Transaction, references: Sequence[str]) -> set[str]:
    """Those of them that are in the chain."""
    sql = f"SELECT reference FROM audit_records WHERE reference IN ({', '.join('?' * len(references))})"  # noqa: S608
    return {str(row[0]) for row in await tx.fetch_all(sql, *references)}


async def prune(database: Database, before: float, record: Mapping[str, Any]) -> int:
    """Remove the records that started before `before` (epoch seconds), as far as they stand at the chain's beginning.

    `record` is completed and added to the chain: it says up to which link records were removed. Returns their number.
    """
    async with database.transaction() as tx:
        head = await tx.fetch_one("SELECT floor, floor_hash FROM audit_head WHERE one = 1")
        kept = await tx.fetch_one("SELECT MIN(number) FROM audit_records WHERE started >= ?", before)
        newest = await tx.fetch_one("SELECT MAX(number) FROM audit_records")
        if head is None or kept is None or newest is None or newest[0] is None:
            return 0
        floor = (int(kept[0]) if kept[0] is not None else int(newest[0]) + 1) - 1
        removed = floor - int(head[0])
        if removed <= 0:
            return 0
        row = await tx.fetch_one("SELECT hash FROM audit_records WHERE number = ?", floor)
        floor_hash = str(row[0]) if row else str(head[1])
        body = {**record, "removed_up_to": floor, "removed_hash": floor_hash, "removed": removed}
        await append(tx, [json.dumps(body, separators=(",", ":"))])
        await tx.execute("DELETE FROM audit_records WHERE number <= ?", floor)
        await tx.execute("UPDATE audit_head SET floor = ?, floor_hash = ? WHERE one = 1", floor, floor_hash)
        return removed


async def verify(database: Database, anchors: Sequence[Link] = ()) -> Verdict:
    """Read the whole chain and compare it with itself, with its head and with the `anchors` kept elsewhere."""
    there = await database.fetch_one("SELECT MAX(number) FROM audit_records")
    newest = int(there[0]) if there and there[0] is not None else 0
    # Read after the newest record: both change in one transaction, so the head can only be further on.
    head = await database.fetch_one("SELECT number, hash, floor, floor_hash FROM audit_head WHERE one = 1")
    if head is None:
        lost = newest or any(anchor.number for anchor in anchors)
        return Verdict(newest, Link(0, ORIGIN), ("the head of the chain is missing",) if lost else ())
    reading = _Reading(Link(int(head[2]), str(head[3])), {anchor.number: anchor.hash for anchor in anchors})
    # Records may be added while the chain is read; what counts is the head as it stood at the beginning.
    async for row in rows(database, reading.floor.number, int(head[0])):
        reading.take(row)
    faults = [*reading.faults, *reading.end(Link(int(head[0]), str(head[1])))]
    if newest > int(head[0]):
        faults.append(f"there is a record {newest} behind the head of the chain, which is {head[0]}")
    return Verdict(reading.count, reading.at, tuple(faults))


async def rows(database: Database, after: int, up_to: int | None = None) -> AsyncIterator[tuple[Any, ...]]:
    """The rows of the chain in their order, from behind number `after`."""
    last, end = after, 2**62 if up_to is None else up_to
    while True:
        page = await database.fetch_all(
            f"{_ROW} WHERE number > ? AND number <= ? ORDER BY number LIMIT {_PAGE}",
            last,
            end,
        )
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        last = int(page[-1][0])


class _Reading:
    """The state of one pass over the chain. After a break it goes on with what is there, and counts the breaks."""

    def __init__(self, floor: Link, anchors: dict[int, str]) -> None:
        self.floor = floor
        self.at = floor
        self.count = 0
        self.faults: list[str] = []
        self.anchors = anchors
        self.removed = Link(0, ORIGIN)

    def take(self, row: tuple[Any, ...]) -> None:
        number, columns, body, found = int(row[0]), row[1:6], str(row[6]), str(row[7])
        self.count += 1
        missing = number - self.at.number - 1
        if missing:
            self._fault(f"{missing} records before number {number} are missing")
        elif link(self.at.hash, number, body) != found:
            self._fault(f"record {number} was changed, or is not the one that stood here")
        self._compare(number, columns, body)
        if self.anchors.get(number, found) != found:
            self._fault(f"record {number} is not the one that this machine wrote")
        self.at = Link(number, found)

    def _compare(self, number: int, columns: tuple[Any, ...], body: str) -> None:
        """The columns are copies for searching; and a retention record names the link that the rest stands on."""
        try:
            facts: dict[str, Any] = json.loads(body)
            same = columns == tuple(facts[name] for name in ("reference", "started", "connector", "tool", "code"))
            if facts["connector"] == "clew" and facts["tool"] == RETENTION:
                self.removed = Link(int(facts["removed_up_to"]), str(facts["removed_hash"]))
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            self._fault(f"record {number} does not say what its index says")

    def end(self, head: Link) -> list[str]:
        faults: list[str] = []
        if self.at != head:
            faults.append(f"the chain ends at record {self.at.number}, and its head says {head.number}")
        if self.floor != self.removed:
            faults.append(f"records up to {self.floor.number} are gone, and no record of retention says so")
        beyond = [number for number in self.anchors if number > head.number]
        if beyond:
            faults.append(f"this machine wrote up to record {max(beyond)}, and the chain ends at {head.number}")
        return faults

    def _fault(self, text: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(text)
