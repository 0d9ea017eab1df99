"""Durable state: one small asynchronous interface, with SQLite as the embedded engine (PostgreSQL: `postgres`).

Every component (vault, journal, inbox, approvals, audit) keeps its tables here, brings its own ordered migrations
and speaks plain SQL with `?` parameters. Keep that SQL portable: TEXT, BIGINT, DOUBLE PRECISION and BLOB columns,
upserts with `ON CONFLICT`, no `RETURNING` (older SQLite libraries lack it), compare-and-swap by the row count. A
statement that fails may undo its whole transaction (in PostgreSQL it does): do not go on after one.
"""

import asyncio
import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from clew.core.errors import CallError, ConfigurationError, InternalError, Retry, TransientError
from clew.core.secret import Secret
from clew.core.values import dataclass

T = TypeVar("T")

Value = str | bytes | int | float | None
"""What a parameter may be."""

Row = tuple[Any, ...]
"""What a query returns, in the order of its columns."""


Statement = tuple[str, tuple[Value, ...]]
"""SQL and its parameters."""


@dataclass(frozen=True, slots=True)
class Batched:
    """What one statement of a batch came to."""

    changed: int
    rows: list[Row]


class Transaction(Protocol):
    """One write transaction: all of it becomes durable when the block ends, or none of it."""

    async def execute(self, sql: str, *parameters: Value) -> int:
        """Run one statement and return how many rows it changed."""
        ...

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        """Return the first row, or None."""
        ...

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        """Return every row."""
        ...


class Database(Transaction, Protocol):
    """A durable store that many tasks and many processes use at once.

    Outside a transaction each `execute` is durable when it returns. Faults of the store are `InternalError` (disk full,
    read-only, damaged: nothing was written) or `TransientError` (others hold the write lock for too long).
    """

    @property
    def shared(self) -> bool:
        """May its users be on other machines than it? Then they outlive a crash of the machine that it is on."""
        ...

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Bring the tables of `component` up to date: run the steps (one statement each) that have not run yet.

        Steps are only ever appended. A store written by a newer clew is a `ConfigurationError` and stays untouched.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a write transaction that excludes every other writer; an exception in the block undoes it."""
        ...

    async def batch(self, statements: Sequence[Statement], *, durable: bool = True) -> list[Batched]:
        """Run statements in one transaction and, with a server, in one round trip; each gives its rows or their count.

        In them `clew_now()` is the clock of `now`. With `durable=False` a crash of the whole machine may lose the
        transaction, a crash of the process may not.
        """
        ...

    async def now(self) -> float:
        """Seconds on a clock that every process using this store shares; its zero means nothing."""
        ...

    def state(self) -> int | None:
        """A number that is another one after every commit, whichever process made it; None where asking for it would
        cost as much as reading."""
        ...

    async def close(self) -> None:
        """Release the files or connections. Closing twice is fine."""
        ...


async def open_database(location: str | Path | Secret) -> Database:
    """Open the store at a path, a `sqlite:///path` or a `postgresql://…` address (a secret: it may hold a password).

    A missing file is made, mode 0600 in a 0700 folder.
    """
    address = location if isinstance(location, Secret) else Secret(str(location))
    scheme, separator, rest = address.reveal().partition("://")
    if scheme in ("postgresql", "postgres") and separator:
        del rest  # it may hold the password, and a traceback shows what a frame holds
        from clew.core.postgres import PostgresDatabase

        opened: Any = await PostgresDatabase.open(address)  # a checker of files knows `Batched` twice
        database: Database = opened
        return database
    if not separator or scheme == "sqlite":
        return await SqliteDatabase.open(Path(rest or scheme))
    raise ConfigurationError(
        f"Databases of the kind {scheme}:// are not supported; give a file path, sqlite:///path or postgresql://…"
    )


class SqliteDatabase:
    """SQLite in WAL mode with full synchronisation: safe for many processes on one machine.

    An instance belongs to the event loop that opened it. Reads take tens of microseconds and run inline; whatever
    waits for a lock or for the disk (begin, commit) runs in one worker thread.
    """

    def __init__(self, path: Path, patience_seconds: float = 10.0) -> None:
        self._path = path
        self._patience = patience_seconds
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clew-database")
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._reader: sqlite3.Connection
        self._writer: sqlite3.Connection

    @classmethod
    async def open(cls, path: Path, *, patience_seconds: float = 10.0) -> Self:
        """Open or create the file; `patience_seconds` is how long a write waits for other processes' writes."""
        database = cls(path, patience_seconds)
        try:
            await database._patiently(database._connect)
        except CallError as error:
            await database.close()
            raise ConfigurationError(f"{error.message} It was not changed: move it away or set another one.") from error
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close both connections and the worker thread."""
        for name in ("_reader", "_writer"):
            connection: sqlite3.Connection | None = self.__dict__.pop(name, None)
            if connection is not None:
                await self._in_thread(connection.close)
        self._pool.shutdown()

    async def now(self) -> float:
        """The machine's monotonic clock, which all its processes share and nobody can set."""
        return time.monotonic()

    def state(self) -> int | None:
        """SQLite's own count of what other connections committed: all writes go through another one than reads."""
        with _explained(self._path):
            (count,) = self._reader.execute("PRAGMA data_version").fetchone()
        return int(count)

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Run the missing steps in one transaction; costs one read when there are none."""
        await run_steps(self, component, steps)

    def __str__(self) -> str:
        """The path."""
        return str(self._path)

    @property
    def shared(self) -> bool:
        """All its users are on this machine."""
        return False

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """BEGIN IMMEDIATE … COMMIT; the block's statements run inline, the waits in the worker thread."""
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("this task is already in a transaction: use the one it has")
        async with self._lock:
            self._owner = asyncio.current_task()
            try:
                await self._patiently(lambda: self._writer.execute("BEGIN IMMEDIATE"))
                yield _Inline(self._path, self._writer)
                await self._patiently(self._writer.commit)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.rollback()
                raise
            finally:
                self._owner = None

    async def batch(self, statements: Sequence[Statement], *, durable: bool = True) -> list[Batched]:
        """Run the statements in one transaction, all of it in the worker thread."""
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("this task is already in a transaction: use the one it has")
        async with self._lock:
            return await self._patiently(lambda: self._run_batch(statements, durable))

    def _run_batch(self, statements: Sequence[Statement], durable: bool) -> list[Batched]:
        writer = self._writer
        if not durable:
            writer.execute("PRAGMA synchronous=NORMAL")
        try:
            writer.execute("BEGIN IMMEDIATE")
            done: list[Batched] = []
            for sql, parameters in statements:
                cursor = writer.execute(sql, parameters)
                done.append(Batched(cursor.rowcount, cursor.fetchall()))
            writer.execute("COMMIT")
        finally:
            if writer.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    writer.rollback()
            if not durable:
                writer.execute("PRAGMA synchronous=FULL")
        return done

    async def execute(self, sql: str, *parameters: Value) -> int:
        """Run one statement in its own durable transaction."""
        async with self.transaction() as tx:
            return await tx.execute(sql, *parameters)

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        """Return the first row of a read, or None."""
        try:
            row: Row | None = self._reader.execute(sql, parameters).fetchone()
        except sqlite3.Error:
            with _explained(self._path):  # only now: every call reads its credential here
                raise
        return row

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        """Return every row of a read."""
        with _explained(self._path):
            return self._reader.execute(sql, parameters).fetchall()

    def _connect(self) -> None:
        make_private(self._path)
        writer = self._writer = self._open_connection(timeout=0.25)
        (mode,) = writer.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(f"{self._path} is on a file system that cannot share a file; use a local disk.")
        writer.execute("PRAGMA synchronous=FULL")
        writer.execute("PRAGMA secure_delete=ON")
        writer.execute(
            "CREATE TABLE IF NOT EXISTS clew_migrations (component TEXT PRIMARY KEY, version BIGINT NOT NULL)"
        )
        # The first read takes the shared lock that keeps others from exclusive use; from then on no read ever waits.
        self._reader = self._open_connection(timeout=0.25)
        self._reader.execute("SELECT version FROM clew_migrations").fetchone()
        self._reader.execute("PRAGMA query_only=ON")

    def _open_connection(self, *, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=timeout, isolation_level=None, check_same_thread=False)
        connection.create_function("clew_now", 0, time.monotonic)
        return connection

    async def _patiently(self, job: Callable[[], T]) -> T:
        """Run `job` in the worker thread, again and again while other processes hold the lock it needs."""
        give_up_at = time.monotonic() + self._patience
        while True:
            try:
                return await self._in_thread(job)
            except sqlite3.Error as error:
                if not _busy(error) or time.monotonic() > give_up_at:
                    with _explained(self._path):
                        raise

    async def _in_thread(self, job: Callable[[], T]) -> T:
        """Run `job` in the worker thread; a cancelled caller still waits for its end, so nothing is left half known."""
        return await to_the_end(asyncio.get_running_loop().run_in_executor(self._pool, job))


async def run_steps(database: Database, component: str, steps: Sequence[str]) -> None:
    """What `Database.migrate` promises, for any engine."""
    if await _version(database, component) == len(steps):
        return
    async with database.transaction() as tx:
        done = await _version(tx, component)
        if done > len(steps):
            have = f"{component} {done}, this one knows {len(steps)}"
            raise ConfigurationError(f"{database} was written by a newer version of clew ({have}): upgrade clew.")
        for step in steps[done:]:
            await tx.execute(step)
        await tx.execute(
            "INSERT INTO clew_migrations (component, version) VALUES (?, ?) "
            "ON CONFLICT (component) DO UPDATE SET version = excluded.version",
            component,
            len(steps),
        )


async def _version(at: Transaction, component: str) -> int:
    row = await at.fetch_one("SELECT version FROM clew_migrations WHERE component = ?", component)
    return 0 if row is None else int(row[0])


async def to_the_end(job: Awaitable[T]) -> T:
    """Wait for the end of `job`, also for a cancelled caller: nothing is left half known."""
    running = asyncio.ensure_future(job)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()


class _Inline:
    """A transaction's statements, run where they are called: without the commit they wait for nothing."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    async def execute(self, sql: str, *parameters: Value) -> int:
        with _explained(self._path):
            return self._live().execute(sql, parameters).rowcount

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        with _explained(self._path):
            row: Row | None = self._live().execute(sql, parameters).fetchone()
        return row

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        with _explained(self._path):
            return self._live().execute(sql, parameters).fetchall()

    def _live(self) -> sqlite3.Connection:
        if not self._connection.in_transaction:
            raise RuntimeError("this transaction has ended")
        return self._connection


def make_private(path: Path) -> None:
    """Create the file for its owner's eyes only, before SQLite does; SQLite gives its log files the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise ConfigurationError(f"The database {path} cannot be opened: {error.strerror}.") from error


def _busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_FAULTS = {
    sqlite3.SQLITE_FULL: "The disk that holds {path} is full; nothing was written.",
    sqlite3.SQLITE_IOERR: "The disk that holds {path} reports a fault; nothing was written.",
    sqlite3.SQLITE_READONLY: "The database {path} is read-only; nothing was written.",
    sqlite3.SQLITE_CANTOPEN: "The database {path} cannot be opened.",
    sqlite3.SQLITE_CORRUPT: "The database {path} is damaged.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database.",
}


@contextlib.contextmanager
def _explained(path: Path) -> Generator[None]:
    """Turn a fault of the store into ours; a fault of our SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        if _busy(error):
            message = f"Another process has been writing to {path} for too long; nothing was written."
            raise TransientError(message) from error
        sentence = _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if sentence is None:
            raise
        next_step = "Ask the person who runs the server to repair its storage, then make the same call again."
        raise InternalError(sentence.format(path=path), next_step=next_step, retry=Retry.AFTER_HUMAN) from error
