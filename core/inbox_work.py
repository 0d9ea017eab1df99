"""Who works on the events of the inbox: leased batches, order kept, another try after a fault, dead after too many.

A worker that dies loses its lease and nothing else: the event's effect and the mark that it is done are one transaction
(`Handler` gets it), so an event is processed at least once and has its effect exactly once. What cannot be part of a
transaction (`Step`) is done before it, and has to be harmless when it is repeated.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from clew.core.database import Transaction
from clew.core.errors import CallError, quote
from clew.core.inbox import Inbox, Status, StoredEvent, events_in
from clew.core.values import dataclass

log = logging.getLogger(__name__)

ATTEMPTS = 8
"""Tries before an event is a dead letter."""
LEASE_SECONDS = 30.0
SHORTEST_REST, LONGEST_REST = 1.0, 900.0
"""Seconds until the second try, and at most between tries."""
_IDLE = 0.5
"""Seconds between looks for what other processes have stored."""
_BATCH = 64

Handler = Callable[[StoredEvent, str, Transaction], Awaitable[None]]
"""What an event with its payload changes in our own tables. Whatever it writes goes through the transaction."""
Step = Callable[[StoredEvent, str], Awaitable[None]]
"""What is done before that, outside of any transaction. It may run again after a crash and must then change nothing."""


async def nothing(event: StoredEvent, payload: str, tx: Transaction) -> None:
    """A handler that changes nothing."""


# A lease is nothing but a later `due` with a name on it. A `due` too far away cannot be right: the clock began anew.
_READY = (
    "WHERE status = 'pending' AND {only} AND (due <= ? OR due > ?) AND (order_key = '' OR NOT EXISTS ("
    "SELECT 1 FROM inbox_events AS earlier WHERE earlier.status = 'pending' "
    "AND earlier.order_key = inbox_events.order_key AND earlier.seq < inbox_events.seq "
    "AND NOT (earlier.due <= ? OR earlier.due > ?))) ORDER BY seq LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Lease:
    """Events that one worker alone works on for a while, in their order."""

    token: str
    events: tuple[StoredEvent, ...]


class Worker:
    """Works on the events of one inbox, all of them or those of the connectors in `only`. Many may run, in many
    processes."""

    def __init__(
        self,
        inbox: Inbox,
        handler: Handler = nothing,
        *,
        before: Step | None = None,
        only: Sequence[str] = (),
        attempts: int = ATTEMPTS,
        lease_seconds: float = LEASE_SECONDS,
        shortest_rest: float = SHORTEST_REST,
    ) -> None:
        self._inbox = inbox
        self._database = inbox.database
        self._handler = handler
        self._before = before
        self._only = tuple(only)
        marks = ", ".join("?" * len(self._only))
        self._ready = _READY.replace("{only}", f"connector IN ({marks})" if only else "1 = 1")
        self._attempts = attempts
        self._lease_seconds = lease_seconds
        self._shortest_rest = shortest_rest
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Something was stored: look now."""
        self._nudged.set()

    async def run(self) -> None:
        """Work until cancelled; a fault of the store is logged and tried again."""
        while True:
            self._nudged.clear()
            try:
                worked = await self.work()
            except CallError as error:
                log.warning("events wait: %s", error.message)
                worked = 0
            if not worked:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._nudged.wait(), _IDLE * random.uniform(0.8, 1.2))  # noqa: S311

    async def work(self) -> int:
        """Work on one batch and return how many events it had."""
        lease = await self.lease()
        if lease is not None:
            await self.process(lease)
        return len(lease.events) if lease else 0

    async def process(self, lease: Lease) -> None:
        """Work on leased events: all in one transaction, one by one when that fails."""
        payloads = await self._opened(lease)
        whole = [event for event in lease.events if event.seq in payloads]
        try:
            await self._together(lease, whole, payloads)
        except Exception:  # one of them failed and took the others' transaction along
            for event in whole:
                if not await self._alone(lease, event, payloads[event.seq]):
                    break
            await self._give_back(lease)

    async def lease(self) -> Lease | None:
        """Take a batch of events that nobody works on; None when there is none.

        An event that has failed before is taken alone: should it end its worker, others do not suffer with it.
        """
        clock = await self._clock()
        if not await events_in(self._database, self._ready, *self._only, *clock, *clock, 1):
            return None
        token = secrets.token_hex(8)
        async with self._database.transaction() as tx:
            clock = await self._clock()
            ready = await events_in(tx, self._ready, *self._only, *clock, *clock, _BATCH)
            taken = _first_tries(ready)
            if not taken:
                return None
            await tx.execute(
                f"UPDATE inbox_events SET lease = ?, due = ?, attempts = attempts + 1 WHERE seq {_among(taken)}",  # noqa: S608
                token,
                clock[0] + self._lease_seconds,
                *(event.seq for event in taken),
            )
        return Lease(token, tuple(taken))

    async def _opened(self, lease: Lease) -> dict[int, str]:
        """The payloads of a batch; what can never be processed is a dead letter at once."""
        payloads: dict[int, str] = {}
        for event in lease.events:
            if event.attempts >= self._attempts:
                await self._bury(lease, event, "every worker that tried it died")
                continue
            payload = await self._inbox.payload(event)
            if payload is None:
                await self._bury(lease, event, "its stored content does not open")
            else:
                payloads[event.seq] = payload
        return payloads

    async def _clock(self) -> tuple[float, float]:
        now = await self._database.now()
        return now, now + max(self._lease_seconds, LONGEST_REST * 1.2)

    async def _together(self, lease: Lease, events: Sequence[StoredEvent], payloads: dict[int, str]) -> None:
        """All of a batch in one transaction."""
        if not events:
            return
        if self._before is not None:
            for event in events:
                await self._before(event, payloads[event.seq])
        async with self._database.transaction() as tx:
            still = await tx.fetch_all(
                "SELECT seq FROM inbox_events WHERE lease = ? AND status = 'pending'", lease.token
            )
            mine = {row[0] for row in still}
            for event in events:
                if event.seq in mine:
                    await self._handler(event, payloads[event.seq], tx)
            await _end(tx, lease, [event for event in events if event.seq in mine])

    async def _alone(self, lease: Lease, event: StoredEvent, payload: str) -> bool:
        """One event in its transaction; False when those after it must wait for another try of it."""
        try:
            await self._together(lease, [event], {event.seq: payload})
        except Exception as error:
            if isinstance(error, CallError):
                log.warning("event %s failed: %s", event.id, error.message)
            else:
                log.exception("event %s failed", event.id)
            if event.attempts + 1 >= self._attempts:
                await self._bury(lease, event, _words(error))
                return True
            await self._postpone(lease, event, _words(error))
            return False
        return True

    async def _postpone(self, lease: Lease, event: StoredEvent, why: str) -> None:
        """Another try later: each wait twice the one before, scattered."""
        doubled = min(LONGEST_REST, self._shortest_rest * 2.0 ** min(event.attempts, 20))
        due = await self._database.now() + doubled * random.uniform(0.8, 1.2)  # noqa: S311
        await self._database.execute(
            "UPDATE inbox_events SET due = ?, lease = '', trouble = ? WHERE seq = ? AND lease = ?",
            due,
            why,
            event.seq,
            lease.token,
        )

    async def _bury(self, lease: Lease, event: StoredEvent, why: str) -> None:
        log.error("event %s of %s is a dead letter: %s", event.id, event.connection, why)
        await self._database.execute(
            "UPDATE inbox_events SET status = 'dead', lease = '', trouble = ?, ended_at = ? "
            "WHERE seq = ? AND lease = ?",
            why,
            time.time(),
            event.seq,
            lease.token,
        )

    async def _give_back(self, lease: Lease) -> None:
        """Events that were not reached, behind one that failed, have not been tried."""
        await self._database.execute(
            "UPDATE inbox_events SET due = 0, lease = '', attempts = attempts - 1 "
            "WHERE lease = ? AND status = 'pending'",
            lease.token,
        )


async def replay(inbox: Inbox, event_id: str | None = None) -> int:
    """Give dead letters new tries, one or all of them; how many there were."""
    only = None if event_id is None else int(event_id.removeprefix("evt_"), 16)
    return await inbox.database.execute(
        "UPDATE inbox_events SET status = 'pending', attempts = 0, due = 0, lease = '', ended_at = NULL "
        "WHERE status = 'dead' AND seq = COALESCE(?, seq)",
        only,
    )


async def _end(tx: Transaction, lease: Lease, events: Sequence[StoredEvent]) -> None:
    if not events:
        return
    await tx.execute(
        f"UPDATE inbox_events SET status = ?, lease = '', trouble = '', ended_at = ? WHERE seq {_among(events)} "  # noqa: S608
        "AND lease = ?",
        Status.DONE.value,
        time.time(),
        *(event.seq for event in events),
        lease.token,
    )


def _first_tries(ready: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    """The events before the first that has failed before; that one alone when it is the first."""
    for position, event in enumerate(ready):
        if event.attempts:
            return ready[: max(position, 1)]
    return ready


def _among(events: Sequence[StoredEvent]) -> str:
    return f"IN ({', '.join('?' * len(events))})"


def _words(error: Exception) -> str:
    """What may be kept about a fault: our own words; others' may quote the payload."""
    return quote(error.message) if isinstance(error, CallError) else type(error).__name__
