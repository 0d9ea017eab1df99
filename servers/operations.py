"""Workflows that outlive the call that began them: in this process, and in the next one when this one ends.

A caller whose time is up is told `accepted` with the id of the workflow's row, which is durable before it is told. From
then on the row says `running`: whoever serves its connector and finds it without a holder goes on with it, at the step
where it stopped. Who holds it is decided by the journal, so no step is done by two.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from clew.core.audit import Origin
from clew.core.call import Call, Structured, Walk
from clew.core.database import to_the_end
from clew.core.deadline import Deadline
from clew.core.errors import CallError, ClewError, Retry
from clew.core.host import Host, Question
from clew.core.journal import RUNNING, Journal, State, Write
from clew.core.writing import accepted

if TYPE_CHECKING:
    from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

LONGEST = 900.0
"""Seconds a workflow may take in one go whose caller does not wait for its end."""
_ROOM = 1.0
"""Seconds of the caller's time that are kept for telling it."""
_LOOK = 0.1
_FINAL = frozenset({Retry.NO, Retry.AFTER_FIX, Retry.AFTER_HUMAN})


class Leaving:
    """The host of a call, until the call is over for it: then it is told nothing more."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.left = False

    @property
    def asks(self) -> bool:
        """As the host says."""
        return self._host.asks

    @property
    def own(self) -> bool:
        """As the host says."""
        return self._host.own

    @property
    def who(self) -> str:
        """As the host says."""
        return self._host.who

    @property
    def session(self) -> str:
        """As the host says."""
        return self._host.session

    async def confirm(self, question: Question) -> bool:
        """Ask through the host: nothing has begun before the answer, so it is still there."""
        return await self._host.confirm(question)

    async def progress(self, message: str) -> None:
        """Tell the host while it listens."""
        if not self.left:
            await self._host.progress(message)


class Operations:
    """The workflows that this process works on."""

    def __init__(self, walk: Walk, journal: Journal) -> None:
        self._walk = walk
        self._journal = journal
        self._calls: dict[asyncio.Task[Structured], Call] = {}

    @property
    def running(self) -> int:
        """How many there are."""
        return len(self._calls)

    async def run(self, call: Call, *, patience: float) -> Structured:
        """Its result; or, after `patience` seconds or when the call's time is up, what an accepted call is told.

        Raises what the walk raises. A caller that cancels takes the workflow with it.
        """
        call.until = Deadline.after(LONGEST)
        leaving = Leaving(call.host)
        call.host = leaving
        until = time.monotonic() + patience
        task = self._start(call, self._walk(call))
        try:
            while True:
                left = min(call.deadline.remaining() - _ROOM, until - time.monotonic())
                await asyncio.wait({task}, timeout=max(left, _LOOK))
                if task.done():
                    return task.result()
                if min(call.deadline.remaining() - _ROOM, until - time.monotonic()) > 0:
                    continue  # a person was asked, and the clock stood still meanwhile
                writing = call.trail.writing
                handle = await writing.promise() if writing is not None else None
                if handle is not None:
                    leaving.left = True
                    return accepted(handle)
        except asyncio.CancelledError:
            task.cancel()
            await to_the_end(asyncio.wait({task}))
            raise

    def go_on(self, call: Call) -> None:
        """Go on with the row that `call` names, in the background: the yes of a person was to the whole of it."""
        call.until = Deadline.after(LONGEST)
        call.settled = True
        self._start(call, self._going_on(call))

    async def _going_on(self, call: Call) -> Structured:
        try:
            return await self._walk.step(call)
        except CallError as error:
            log.warning("operation %s stopped: %s", call.row, error)
            if error.retry in _FINAL:  # refused before it could be held: then it is refused every minute
                await self._journal.forsake(call.row, code=error.code)
            raise

    async def cancel(self, identity: str) -> None:
        """Stop it where it is, if it runs here; else nobody takes it up again once its process ends."""
        for task, call in self._calls.items():
            writing = call.trail.writing
            if writing is not None and writing.row is not None and writing.row.id == identity:
                await writing.forsake("cancelled")
                task.cancel()
                return
        await self._journal.forsake(identity, code="cancelled")

    async def close(self) -> None:
        """Let go of all of them: what was accepted is taken up by the next process."""
        for task in self._calls:
            task.cancel()
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=2.0)

    def _start(self, call: Call, walk: Awaitable[Structured]) -> asyncio.Task[Structured]:
        task = asyncio.ensure_future(walk)
        self._calls[task] = call
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Structured]) -> None:
        del self._calls[task]
        if not task.cancelled():
            task.exception()  # it is told from the journal


async def take_up(runtime: "Runtime") -> None:
    """Go on with every accepted workflow that nobody works on and that this process serves."""
    journal = runtime.store.journal
    for row in await journal.rows(states=(State.SENT,), limit=1000):
        if row.pending == RUNNING and not journal.is_held(row) and runtime.serves(row.connection):
            with contextlib.suppress(ClewError):  # its account is not connected, its arguments do not open: next time
                await _take_up(runtime, row)


async def _take_up(runtime: "Runtime", row: Write) -> None:
    arguments = await runtime.store.journal.arguments(row)
    call = None if arguments is None else await runtime.resumed(row, arguments)
    if call is not None:
        call.origin = Origin(caller="clew, going on by itself")
        runtime.operations.go_on(call)
