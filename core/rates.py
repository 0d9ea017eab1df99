"""How often a rule of the policy was met, counted for every process that uses the same database.

A count is taken and read in one transaction, so of many callers at once each sees another number. Times are epoch
seconds, for the windows are long and outlive a machine's start.
"""

import secrets
from collections import deque
from typing import Protocol

from clew.core.database import Database

STEPS = (
    """CREATE TABLE policy_met (
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, whose TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
        ends DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX policy_met_by_rule ON policy_met (rule, whose, at)",
    "CREATE INDEX policy_met_by_end ON policy_met (ends)",
)
_AHEAD = 60.0
"""Seconds by which another machine's clock may be ahead; what is further ahead is from a clock that was set back."""


class Rates(Protocol):
    """Counts how often something happened lately."""

    async def meet(self, rule: str, whose: str, *, seconds: float, now: float) -> int:
        """It happens now; how often it has within so many seconds, this time included."""
        ...


class OwnRates:
    """The counts of this process alone."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], deque[float]] = {}

    async def meet(self, rule: str, whose: str, *, seconds: float, now: float) -> int:
        """Nothing is waited for, so nobody can come between."""
        times = self._times.setdefault((rule, whose), deque())
        times.append(now)
        while times[0] <= now - seconds:
            times.popleft()
        return len(times)


class SharedRates:
    """The counts of a database. Make one with `open_rates`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def meet(self, rule: str, whose: str, *, seconds: float, now: float) -> int:
        """Raises what the database raises: a rule that cannot be counted lets nothing through."""
        async with self._database.transaction() as tx:  # a batch would not exclude others in PostgreSQL
            await tx.execute("DELETE FROM policy_met WHERE ends <= ? OR at > ?", now, now + _AHEAD)
            sql = "INSERT INTO policy_met (id, rule, whose, at, ends) VALUES (?, ?, ?, ?, ?)"
            await tx.execute(sql, secrets.token_hex(12), rule, whose, now, now + seconds)
            sql = "SELECT COUNT(*) FROM policy_met WHERE rule = ? AND whose = ? AND at > ?"
            row = await tx.fetch_one(sql, rule, whose, now - seconds)
        assert row is not None
        return int(row[0])


async def open_rates(database: Database) -> SharedRates:
    """Make the table when it is missing and return the counts."""
    await database.migrate("rates", STEPS)
    return SharedRates(database)
