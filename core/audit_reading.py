"""Reading the audit: records by reference, by time, and by what became of them."""

import json
from collections.abc import AsyncIterator
from typing import Any

from clew.core.database import Database, Value
from clew.core.values import dataclass

FINE = ("ok", "asked")
"""Codes of calls that did not fail; `asked` is a question on its way to a person."""

_ROUND = 3600.0
"""Seconds within which a round begins after the one before: what the host carries between them is good for less."""
_MOST_ROUNDS = 20

_COLUMNS = "SELECT number, body, hash FROM audit_records"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records: those that started at `since` (epoch seconds) or later, of one connector or tool, failed ones."""

    since: float = 0.0
    connector: str = ""
    tool: str = ""
    failed: bool = False

    def where(self) -> tuple[str, list[Value]]:
        """The condition in SQL and its parameters."""
        parts, values = ["started >= ?"], list[Value]([self.since])
        for name, value in (("connector", self.connector), ("tool", self.tool)):
            if value:
                parts.append(f"{name} = ?")
                values.append(value)
        if self.failed:
            parts.append(f"code NOT IN ({', '.join('?' * len(FINE))})")
            values += FINE
        return " AND ".join(parts), values


async def last(database: Database, wanted: Filter, count: int) -> list[dict[str, Any]]:
    """The latest `count` records, the oldest of them first."""
    where, values = wanted.where()
    found = await database.fetch_all(f"{_COLUMNS} WHERE {where} ORDER BY number DESC LIMIT {int(count)}", *values)
    return [_record(row) for row in reversed(found)]


async def after(database: Database, wanted: Filter, number: int = 0) -> AsyncIterator[dict[str, Any]]:
    """All records behind `number` in the chain, in its order, a page at a time."""
    where, values = wanted.where()
    while True:
        sql = f"{_COLUMNS} WHERE {where} AND number > ? ORDER BY number LIMIT 500"
        page = await database.fetch_all(sql, *values, number)
        for row in page:
            yield _record(row)
        if len(page) < 500:
            return
        number = int(page[-1][0])


async def find(database: Database, reference: str) -> dict[str, Any] | None:
    """The record of this reference."""
    row = await database.fetch_one(f"{_COLUMNS} WHERE reference = ?", reference)
    return None if row is None else _record(row)


async def rounds(database: Database, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of one story, the first of them first: in the 2026-07-28 era a call that asks a person ends, and the
    host comes back with the answer. A round that is no longer kept is missing; what came back twice is there twice."""
    found = [record]
    while (before := found[0].get("continues")) and len(found) < _MOST_ROUNDS:
        earlier = await find(database, before)
        if earlier is None or earlier["number"] >= found[0]["number"]:
            break
        found.insert(0, earlier)
    known = {each["reference"] for each in found}
    wanted = Filter(found[0]["started"], record["connector"], record["tool"])
    ends = found[-1]["started"] + _ROUND
    async for each in after(database, wanted, found[0]["number"]):
        if each["started"] > ends or len(found) >= _MOST_ROUNDS:
            break
        if each.get("continues") in known and each["reference"] not in known:
            known.add(each["reference"])
            found.append(each)
            ends = max(ends, each["started"] + _ROUND)
    return sorted(found, key=lambda each: each["number"])


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    """What was recorded, with its place in the chain. A record somebody made unreadable says so instead."""
    try:
        facts: dict[str, Any] = json.loads(row[1])
    except ValueError:
        facts = {"reference": "", "connector": "", "tool": "", "started": 0.0, "code": "damaged"}
    return {**facts, "number": int(row[0]), "hash": str(row[2])}
