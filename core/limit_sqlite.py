"""Budgets shared by all processes of one machine: a database file of their own.

Nothing here is worth a disk's flush: after a power cut the budgets begin anew, and a damaged file is made anew. The
write lock is held for some tens of microseconds, so waiting for it means trying again at once; SQLite's own wait sleeps
for milliseconds.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import Self

from clew.core.budgets import Level, Terms
from clew.core.database import make_private
from clew.core.limit_store import Ask, Edit, StoreError, Taken, Wish, idle, parse, read_level, row, take

_TABLE = "CREATE TABLE IF NOT EXISTS budgets (key TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID"
_WRITE = "INSERT INTO budgets (key, row) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET row = excluded.row"
_READ = "SELECT key, row FROM budgets WHERE key IN ({})"
_SPINS = 40
_SPIN_SECONDS = 0.00005
_PATIENCE = 2.0


class SqliteStore:
    """Budgets in a file that all processes of a machine open. The clock is the machine's monotonic one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._takes = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the file; a damaged one is made anew. Raises `StoreError` where that cannot be done."""
        make_private(path)
        try:
            return cls(_connect(path))
        except sqlite3.OperationalError as error:
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError:
            for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                name.unlink(missing_ok=True)
            make_private(path)
            return cls(_connect(path))

    async def take(self, asks: Sequence[Ask], wish: Wish) -> Taken:
        """Take units in one write transaction."""
        async with self._writing() as now:
            levels = self._levels([ask.key for ask in asks], now)
            taken = take(asks, levels, wish, now)
            if not taken.ok and self._free_dead(asks, levels):
                taken = take(asks, levels, wish, now)
            if taken.ok:
                for ask, level in zip(asks, levels, strict=True):
                    if ask.terms.kind != "circuit" or level.left > 0:
                        self._connection.execute(_WRITE, (ask.key, row(ask.terms, level)))
        self._takes += 1
        if self._takes % 5000 == 1:
            await self._forget()
        return taken

    async def change(self, key: str, terms: Terms, edit: Edit) -> None:
        """Edit a budget in one write transaction."""
        async with self._writing() as now:
            (level,) = self._levels([key], now)
            if edit(level, now):
                self._connection.execute(_WRITE, (key, row(terms, level)))

    async def read(self, keys: Sequence[str]) -> tuple[float, list[Level]]:
        """Read without a lock."""
        now = time.monotonic()
        with _named():
            return now, self._levels(keys, now)

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        """All budgets in the file."""
        now = time.monotonic()
        with _named():
            rows = self._connection.execute("SELECT key, row FROM budgets").fetchall()
        return now, {key: parse(text, now) for key, text in rows}

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _levels(self, keys: Sequence[str], now: float) -> list[Level]:
        rows = dict(self._connection.execute(_READ.format(",".join("?" * len(keys))), keys).fetchall())
        return [read_level(rows[key], now) if key in rows else Level() for key in keys]

    @staticmethod
    def _free_dead(asks: Sequence[Ask], levels: Sequence[Level]) -> bool:
        """Free the concurrency slots of processes that have died."""
        freed = False
        for ask, level in zip(asks, levels, strict=True):
            if ask.terms.kind == "concurrency":
                for token in [token for token in level.leases if not _alive(token)]:
                    del level.leases[token]
                    freed = True
        return freed

    async def _forget(self) -> None:
        now, budgets = await self.everything()
        async with self._writing():
            for key, (terms, level) in budgets.items():
                if idle(terms, level, now):
                    self._connection.execute("DELETE FROM budgets WHERE key = ?", (key,))

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncGenerator[float]:
        """A write transaction, with the time at which it began."""
        with _named():
            await self._begin()
            try:
                yield time.monotonic()
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    async def _begin(self) -> None:
        give_up_at, spins = time.monotonic() + _PATIENCE, 0
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
                if not busy or time.monotonic() > give_up_at:
                    raise
            spins += 1
            if spins % _SPINS:
                time.sleep(_SPIN_SECONDS)  # noqa: ASYNC251 - shorter than a turn of the event loop
            else:
                await asyncio.sleep(0.001)


@contextlib.contextmanager
def _named() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(str(error)) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(_TABLE)
        connection.execute("PRAGMA busy_timeout=0")
    except BaseException:
        connection.close()
        raise
    return connection


def _alive(token: str) -> bool:
    """Does the process that a lease names still run? Leases of other kinds of tokens end by themselves."""
    pid = token.partition("-")[0]
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
