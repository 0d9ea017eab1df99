"""The durable audit: records go to a spool at once and to the chain in the database a moment later.

The call pays for one line in a file, a write for two. A task of its own links what has come in, many records in one
transaction. When the database does not take them, they stay in the spool and are tried again; nothing that happens here
fails a call.
"""

import asyncio
import logging
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from clew.core import audit
from clew.core.audit_chain import STEPS, Entry, Link, append, prune
from clew.core.audit_spool import Spool, left_behind
from clew.core.database import Database

log = logging.getLogger("clew.audit")

GATHER_SECONDS = 0.1
"""How long the writer waits for more records to come before it links them."""

AGAIN_SECONDS = 1.0
"""How long it waits after the database did not take them."""

_BATCH = 500
_WAITING = 20_000
"""Records kept in memory while the database takes none; what is more waits in the spool alone."""
_ROTATE_BYTES = 4_000_000


class AuditLog:
    """A sink that keeps records for good. Make one with `AuditLog.open`; `failing`: they wait for something."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self.spool: Spool | None = None
        self._begun: dict[str, audit.Record] = {}
        self._unsaid: dict[str, audit.Record] = {}
        self._waiting: list[Entry] = []
        self._left_out = False
        self._again = False
        self.failing = False
        self._came = asyncio.Event()
        self._linking = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database, folder: Path) -> AsyncGenerator["AuditLog"]:
        """Keep records while the block runs, and link all of them at its end. Takes over what dead processes left.

        `folder` holds the spools and the anchor. Raises what the database raises when it cannot be used at all.
        """
        await database.migrate("audit", STEPS)
        kept = cls(database, folder)
        kept._reopen()
        await kept.adopt()
        writer = asyncio.create_task(kept._write(), name="clew audit")
        try:
            yield kept
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            await kept._finish()

    def begin(self, record: audit.Record) -> None:
        """A call begins: if the process dies before its end, there will be a record that says so.

        Of a read, which changes nothing, that is said only when it takes longer than `GATHER_SECONDS`.
        """
        self._begun[record.reference] = record
        if record.effect == "read":
            self._unsaid[record.reference] = record
            self._came.set()
        elif self.spool is not None:
            self._spooled(self.spool.begin, record.as_json())

    def __call__(self, record: audit.Record) -> None:
        """A call has ended."""
        audit.log_record(record)
        body = record.as_json()
        self._begun.pop(record.reference, None)
        self._unsaid.pop(record.reference, None)
        if self.spool is not None:
            self._spooled(self.spool.end, body)
        if len(self._waiting) < _WAITING:
            self._waiting.append(_entry(record, body))
        else:
            self._left_out = True
        self._came.set()

    async def flush(self, *, all_of_them: bool = True) -> bool:
        """Link the records that have come in, all until none is left, or those that are there now; False when the
        database does not take them now."""
        async with self._linking:  # two at once would take the same batch
            return await self._flush(sys.maxsize if all_of_them else len(self._waiting))

    async def _flush(self, most: int) -> bool:
        while self._waiting and most > 0:
            batch = self._waiting[: min(_BATCH, most)]
            if not await self._linked(batch):
                return False
            del self._waiting[: len(batch)]
            most -= len(batch)
        if self._left_out and not await self._catch_up():
            return False
        self._again = self.failing = False
        self._tidy()
        return True

    async def adopt(self) -> int:
        """Take over the records of processes that are gone; how many there were."""
        try:
            with left_behind(self._folder) as bodies:
                if bodies:
                    async with self._database.transaction() as tx:
                        head = await append(tx, bodies, again=True)
                    self._anchor(head)
                return len(bodies)
        except FileNotFoundError:  # no process has kept records on this machine yet
            return 0
        except Exception as error:  # also what only a chain that was tampered with can cause
            self._complain(f"the records of earlier processes cannot be taken over: {error}")
            return 0

    async def _linked(self, bodies: Sequence[str | Entry]) -> bool:
        again, self._again = self._again, True  # until it is known that this commit has happened
        try:
            async with self._database.transaction() as tx:
                head = await append(tx, bodies, again=again)
        except Exception as error:  # also what only a chain that was tampered with can cause
            self._complain(f"records wait in {self._folder}, the database does not take them: {error}")
            return False
        self._again = again
        self._anchor(head)
        return True

    async def _catch_up(self) -> bool:
        """Link what did not fit into memory, from the spool."""
        try:
            bodies = self.spool.ended() if self.spool else []
        except OSError as error:
            self._complain(f"{self._folder} cannot be read: {error.strerror}")
            return False
        self._again = True
        for start in range(0, len(bodies), _BATCH):
            if not await self._linked(bodies[start : start + _BATCH]):
                return False
        self._left_out = False
        return True

    async def retain(self, seconds: float) -> int:
        """Remove the records older than so many seconds, and leave one that says so; how many were removed."""
        record = audit.Record(uuid.uuid4().hex[:16], "clew", "retention", "write", "none", "local", audit.now())
        record.outcome = "applied"
        return await prune(self._database, audit.now() - seconds, record.as_dict())

    async def _write(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            await asyncio.sleep(GATHER_SECONDS)
            self._say_begun()
            # While calls keep coming, those that end meanwhile are for the next time: a commit for every few would cost
            # each of them more than all the rest. Only a spool that has grown long is brought to its end.
            long = self.spool is not None and self.spool.size > _ROTATE_BYTES
            if not await self.flush(all_of_them=long):
                self._came.set()
                await asyncio.sleep(AGAIN_SECONDS)
            elif self._waiting:
                self._came.set()

    def _say_begun(self) -> None:
        """The reads that are still under way."""
        if self.spool is not None:
            for record in self._unsaid.values():
                self._spooled(self.spool.begin, record.as_json())
        self._unsaid.clear()

    async def _finish(self) -> None:
        self._say_begun()
        self._again = True  # the writer may have been cancelled between a commit and its answer
        done = await self.flush()
        if self.spool is not None:
            self.spool.close(keep=not done or bool(self._begun))
            self.spool = None

    def _tidy(self) -> None:
        """Everything that ended is linked: start the spool anew, with the calls that are still under way."""
        if self.spool is None or self._waiting:
            return
        if len(self._begun) == len(self._unsaid):
            self.spool.empty()
        elif self.spool.size > _ROTATE_BYTES:
            former = self.spool
            self._reopen()
            if self.spool is not former:
                former.close()

    def _reopen(self) -> None:
        try:
            fresh = Spool.open(self._folder)
            for record in self._begun.values():
                fresh.begin(record.as_json())
        except OSError as error:
            self._complain(f"records cannot be spooled in {self._folder}: {error.strerror}")
            return
        self.spool = fresh

    def _spooled(self, write: Callable[[str], None], body: str) -> None:
        try:
            write(body)
        except OSError as error:
            self._complain(f"records cannot be spooled in {self._folder}: {error.strerror}")

    def _anchor(self, head: Link) -> None:
        """Remember on this machine how far the chain went; one write of fixed length, so it is never torn."""
        try:
            file = os.open(self._folder / ANCHOR, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, f"{head.number:015} {head.hash}\n".encode())
            finally:
                os.close(file)
        except OSError as error:
            self._complain(f"the anchor of the chain cannot be kept: {error.strerror}")

    def _complain(self, why: str) -> None:
        """Once for each time that it begins to fail."""
        if not self.failing:
            log.error("audit: %s", why)
        self.failing = True


def _entry(record: audit.Record, body: str) -> Entry:
    """The record as its text says it."""
    started = round(record.started, 4)
    return Entry(body, record.reference, started, record.connector, record.tool, str(record.code))


async def take_in(database: Database, folder: Path) -> int:
    """For a process that keeps no records itself: link what dead ones left; how many there were."""
    await database.migrate("audit", STEPS)
    return await AuditLog(database, folder).adopt()


ANCHOR = "anchor"
"""The file that holds the last link that a process of this machine has written."""


def read_anchor(folder: Path) -> list[Link]:
    """The link that this machine remembers; none when it has not written yet."""
    try:
        number, _, found = (folder / ANCHOR).read_text().strip().partition(" ")
        return [Link(int(number), found)]
    except (OSError, ValueError):
        return []
