"""What has changed at each provider, written down: counts of differences, since when, and how often."""

from collections.abc import Mapping
from typing import Any

from clew.core.database import Database
from clew.core.drift import ADDITIVE, EMPTIED, MISSING_OPTIONAL, WATCHED, Counted, Key
from clew.core.values import dataclass

BASELINE = 25
"""So many answers show what a payload looks like; what is first seen later is a change."""
_SHARE, _OFTEN = 0.9, 5
"""A field has gone when it is missing in nearly all answers since, and in that many."""
_USUAL = frozenset({ADDITIVE, MISSING_OPTIONAL, EMPTIED})

_STEPS = (
    """CREATE TABLE drift (
        connector TEXT NOT NULL, model TEXT NOT NULL, path TEXT NOT NULL, change TEXT NOT NULL,
        expected TEXT NOT NULL, seen TEXT NOT NULL, count BIGINT NOT NULL, since BIGINT NOT NULL,
        first_seen DOUBLE PRECISION NOT NULL, last_seen DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (connector, model, path, change)
    )""",
)
_ADD = (
    "INSERT INTO drift (connector, model, path, change, expected, seen, count, since, first_seen, last_seen) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, COALESCE((SELECT watched.count FROM drift AS watched WHERE watched.connector = ? "
    "AND watched.model = ? AND watched.path = '' AND watched.change = 'watched'), 0), ?, ?) "
    "ON CONFLICT (connector, model, path, change) DO UPDATE SET count = drift.count + excluded.count, "
    "seen = excluded.seen, expected = excluded.expected, last_seen = excluded.last_seen"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a provider. `count` answers had it, of `looked_at` since it was first seen (UTC seconds)."""

    connector: str
    model: str
    path: str
    change: str
    expected: str
    seen: str
    count: int
    looked_at: int
    first_seen: float
    last_seen: float


class DriftLog:
    """The changes in one database. Make one with `open_drift`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, counted: Mapping[Key, Counted]) -> None:
        """Add what one process has counted; how often a model was looked at last, as `since` is the count before."""
        rows = sorted(counted.items(), key=lambda pair: pair[0][3] == WATCHED)
        async with self._database.transaction() as tx:
            for key, each in rows:
                facts = (each.expected, each.seen, each.count, key[0], key[1], each.first, each.last)
                await tx.execute(_ADD, *key, *facts)

    async def changes(self, connector: str | None = None) -> list[Change]:
        """What has changed and what is announced, the latest first; not what was so from the beginning."""
        where, values = ("WHERE connector = ?", (connector,)) if connector is not None else ("", ())
        rows = await self._database.fetch_all(
            "SELECT connector, model, path, change, expected, seen, count, since, first_seen, last_seen "  # noqa: S608
            f"FROM drift {where} ORDER BY first_seen DESC, connector, model, path",
            *values,
        )
        watched = {(row[0], row[1]): int(str(row[6])) for row in rows if row[3] == WATCHED}
        found = [_change(row, watched.get((row[0], row[1]), 0)) for row in rows if row[3] != WATCHED]
        return [each for each, since in found if _counts(each, since)]


def _change(row: Any, watched: int) -> tuple[Change, int]:
    connector, model, path, change, expected, seen, count, since, first, last = row
    looked = max(watched - since, count)
    return Change(connector, model, path, change, expected, seen, count, looked, first, last), since


def _counts(change: Change, since: int) -> bool:
    """Is it a change, or was it so from the beginning, or only now and then?"""
    if change.change not in _USUAL:
        return True
    if since < BASELINE:
        return False
    return change.change == ADDITIVE or (change.count >= _OFTEN and change.count >= _SHARE * change.looked_at)


async def open_drift(database: Database) -> DriftLog:
    """The log of a database, made when it is not there."""
    await database.migrate("drift", _STEPS)
    return DriftLog(database)
