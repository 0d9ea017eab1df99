"""Holding a row of the journal for one call: its lease, its last-moment guard, and its end."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

from clew.core import once as offers
from clew.core.database import to_the_end
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.journal import LEASE_SECONDS, Ending, Journal, Wanted, Write
from clew.core.outcomes import lost
from clew.core.retry import Sleep
from clew.core.values import dataclass

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Looker = Callable[[Write], Awaitable[Mapping[str, Any] | None]]
"""The declared look at the provider: the structured result when the write is there, None when it is not."""

_MARGIN = 1.0
"""Seconds before the end of the lease in which nothing is sent any more."""


@dataclass(slots=True, eq=False)
class Holding:
    """What is known of one call of a write, and its row while it holds one.

    `checks` names the tools with which an agent can look. `approved` is False for a call that nobody was asked about
    because its row had an end already: it may read that end and nothing else. `look` is there when the tool declares
    one.
    """

    once: offers.Once | None = None
    journal: Journal | None = None
    wanted: Wanted | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(60))
    sleep: Sleep = asyncio.sleep
    checks: str = ""
    look: Looker | None = None
    timing: offers.Look | None = None
    approved: bool = True
    resumes: bool = False

    row: Write | None = None
    doubt: bool = False
    sent: bool = False
    positions: int = 0
    replayed: bool = False
    follow_up: str = ""
    _tries: int = 0
    _partial: bool = False
    _reference: str | None = None
    _flushed: bool = True
    _seed: str = field(default_factory=lambda: uuid.uuid4().hex)
    _ends: tuple[float, float] = (0.0, 0.0)
    _renewal: asyncio.TimerHandle | None = None
    _renewing: asyncio.Task[None] | None = None
    _said: Answer | CallError | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    def guard(self) -> None:
        """Called as the last thing before a request is written: a process that slept too long does not send."""
        if self.row is not None and not self._fresh():
            raise self._late()

    def _fresh(self) -> bool:
        """By both clocks: one stands still while a machine sleeps, the other can be set."""
        monotonic, wall = self._ends
        return time.monotonic() < monotonic - _MARGIN and time.time() < wall - _MARGIN

    def _late(self) -> CallError:
        return lost("this call slept past its time", left=False, safe=False, provider=self._provider)

    @property
    def _provider(self) -> str:
        return self.wanted.connection.connector if self.wanted is not None else "the provider"

    def _hold(self) -> None:
        self._held()
        loop = asyncio.get_running_loop()
        self._renewal = loop.call_later(LEASE_SECONDS / 3, self._renew)

    def _held(self) -> None:
        self._ends = time.monotonic() + LEASE_SECONDS, time.time() + LEASE_SECONDS

    def _renew(self) -> None:
        self._renewing = asyncio.ensure_future(self._extend())

    async def _extend(self) -> None:
        assert self.journal is not None
        assert self.row is not None
        before = time.monotonic(), time.time()
        try:
            if not await self.journal.extend(self.row):
                return
        except CallError as error:
            log.warning("the lease of write %s could not be renewed: %s", self.row.id, error)
        else:
            self._ends = before[0] + LEASE_SECONDS, before[1] + LEASE_SECONDS
        self._renewal = asyncio.get_running_loop().call_later(LEASE_SECONDS / 3, self._renew)

    def _let_go(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    async def _finish(self, ending: Ending) -> None:
        """Write the end down. What has happened has happened: a store that fails now is not the caller's fault."""
        self._let_go()
        if self.row is None or self.journal is None:
            return
        try:
            await to_the_end(self.journal.finish(self.row, ending))
        except CallError as error:
            log.error("the end of write %s could not be kept (%s): %s", self.row.id, ending.state, error)
