"""Short leases: one holder at a time for a named task, across tasks, processes and machines; and rests: nobody.

A lease ends by itself, so a crashed holder blocks nobody for long. Every lease has a fencing number, higher than that
of every lease before: a holder that slept past its end is told apart by it. A rest keeps everybody from a task that has
just failed, longer after every failure.
"""

import json
import random
import secrets
from dataclasses import replace

from clew.core.connection import Connection
from clew.core.database import Database
from clew.core.values import dataclass

STEPS = (
    """CREATE TABLE leases (
        name TEXT PRIMARY KEY, owner TEXT NOT NULL, fence BIGINT NOT NULL, ends DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE rests (
        name TEXT PRIMARY KEY, ends DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL,
        failures BIGINT NOT NULL, reason TEXT NOT NULL)""",
)

_TAKE = """INSERT INTO leases (name, owner, fence, ends) VALUES (?, ?, 1, clew_now() + ?)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = leases.fence + 1, ends = excluded.ends
    WHERE NOT (clew_now() < leases.ends AND leases.ends <= clew_now() + ?)"""
# The clock is looked at under the lock: to a moment before it, a lease that was taken since would end too far away.

SHORTEST_REST, LONGEST_REST = 2.0, 60.0
"""Seconds to rest after a first failure, and after many. A provider that asks for more gets more."""
_FORGOTTEN = 600.0
"""Seconds after the end of a rest in which another failure counts as one more of the same trouble."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A right to do something alone until `ends` (seconds on the database's clock).

    `taken_over` says that the holder before never gave it back: it may be dead, or asleep and about to wake up.
    """

    name: str
    owner: str
    fence: int
    ends: float
    taken_over: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """Nobody should try for `left` seconds (0: it is over), after `failures` in a row, the last one for `reason`."""

    left: float
    failures: int
    reason: str


def lease_name(purpose: str, connection: Connection) -> str:
    """One name per purpose and connection, without ambiguity."""
    return json.dumps([purpose, connection.tenant, connection.connector, connection.account])


class Leases:
    """The leases and rests of one database. Make one with `open_leases`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, name: str, *, seconds: float) -> Lease | None:
        """Take the lease for `seconds`; None while somebody else has it.

        An end further away than `seconds` cannot be right (the machine's clock began anew) and does not count.
        """
        held = await self._database.fetch_one("SELECT ends FROM leases WHERE name = ?", name)
        if held is not None and held[0] > 0:  # look before waiting for the write lock
            now = await self._database.now()
            if now < held[0] <= now + seconds:
                return None
        owner = secrets.token_hex(8)
        if not self._database.shared:
            return await self._acquire_here(name, owner, seconds)
        async with self._database.transaction() as tx:
            now = await self._database.now()
            row = await tx.fetch_one("SELECT fence, ends FROM leases WHERE name = ?", name)
            fence, ends = row or (0, 0.0)
            if now < ends <= now + seconds:
                return None
            taken = await tx.execute(
                "INSERT INTO leases (name, owner, fence, ends) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "owner = excluded.owner, fence = excluded.fence, ends = excluded.ends "
                "WHERE leases.fence = excluded.fence - 1",
                name,
                owner,
                fence + 1,
                now + seconds,
            )
        return Lease(name, owner, fence + 1, now + seconds, taken_over=ends > 0) if taken else None

    async def _acquire_here(self, name: str, owner: str, seconds: float) -> Lease | None:
        """The same without a wait for the disk: whoever could still believe in a lease dies with this machine."""
        before, _, after = await self._database.batch(
            [
                ("SELECT ends FROM leases WHERE name = ?", (name,)),
                (_TAKE, (name, owner, seconds, seconds)),
                ("SELECT fence, ends FROM leases WHERE name = ? AND owner = ?", (name, owner)),
            ],
            durable=False,
        )
        if not after.rows:
            return None
        ((fence, ends),) = after.rows
        return Lease(name, owner, fence, ends, taken_over=bool(before.rows) and before.rows[0][0] > 0)

    async def left(self, lease: Lease) -> float:
        """Seconds until the lease ends; 0 when it has ended."""
        return max(0.0, lease.ends - await self._database.now())

    async def extend(self, lease: Lease, *, seconds: float) -> Lease | None:
        """The same lease for `seconds` from now; None when somebody else has taken it, or it was given back."""
        ends = await self._database.now() + seconds
        kept = await self._database.execute(
            "UPDATE leases SET ends = ? WHERE name = ? AND owner = ? AND ends > 0", ends, lease.name, lease.owner
        )
        return replace(lease, ends=ends) if kept else None

    async def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens when somebody else has taken it meanwhile. The fencing number stays."""
        given_back = "UPDATE leases SET ends = 0 WHERE name = ? AND owner = ?", (lease.name, lease.owner)
        await self._database.batch([given_back], durable=False)

    async def resting(self, name: str) -> Rest | None:
        """The rest that was ordered last, over or not; None after a success."""
        row = await self._database.fetch_one("SELECT ends, seconds, failures, reason FROM rests WHERE name = ?", name)
        if row is None:
            return None
        ends, seconds, failures, reason = row
        left = ends - await self._database.now()
        # More left than was ordered: the machine's clock began anew.
        return Rest(left if 0 < left <= seconds else 0.0, failures, reason)

    async def rest(self, name: str, reason: str, *, at_least: float = 0.0) -> float:
        """Order a rest after a failure and return its seconds: twice the last one's, scattered, or `at_least`."""
        async with self._database.transaction() as tx:
            now = await self._database.now()
            row = await tx.fetch_one("SELECT ends, seconds, failures FROM rests WHERE name = ?", name)
            before = row[2] if row is not None and now - _FORGOTTEN < row[0] <= now + row[1] else 0
            doubled = min(LONGEST_REST, SHORTEST_REST * 2.0 ** min(before, 20))
            seconds = max(at_least, doubled * random.uniform(0.8, 1.2))  # noqa: S311
            await tx.execute(
                "INSERT INTO rests (name, ends, seconds, failures, reason) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET ends = excluded.ends, seconds = excluded.seconds, failures = excluded.failures, "
                "reason = excluded.reason",
                name,
                now + seconds,
                seconds,
                before + 1,
                reason,
            )
        return seconds

    async def recovered(self, name: str) -> None:
        """Forget the rest and the failures: it works again."""
        await self._database.execute("DELETE FROM rests WHERE name = ?", name)


async def open_leases(database: Database) -> Leases:
    """Make the tables when they are missing and return the leases."""
    await database.migrate("leases", STEPS)
    return Leases(database)
