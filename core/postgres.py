"""The PostgreSQL engine (13 or later): one store for many machines, with the SQL that is written for SQLite.

A write takes an advisory lock of the whole database, so a transaction excludes every other writer exactly as in SQLite;
single statements share that lock among themselves. Needs the extra `postgres` and connections of its own: a pooler
between must be in session mode.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Self, TypeVar

from clew.core.database import Batched, Row, Statement, Transaction, Value, run_steps, to_the_end
from clew.core.errors import CallError, ConfigurationError, OutcomeUnknownError, TransientError, quote
from clew.core.secret import Secret

try:
    import psycopg
    from psycopg_pool import AsyncConnectionPool

    from clew.core.postgres_address import parse
    from clew.core.postgres_faults import explained, lost
except ImportError:  # pragma: no cover - the extra is always there where coverage is taken
    raise ConfigurationError("A postgresql:// database needs one more package: pip install 'clew[postgres]'") from None

T = TypeVar("T")
_Connection = psycopg.AsyncConnection[Row]

READERS, WRITERS = 8, 4
"""How many connections one process takes at most for reads and for writes."""

# One round trip. A writer that falls asleep inside its transaction loses it and the lock after a minute; where the
# server would confirm a commit before it is durable, it is told not to.
_BEGIN = """BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = '{patience}ms';
SET LOCAL idle_in_transaction_session_timeout = '60s';
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
SELECT pg_advisory_xact_lock{shared}(1668048247);
SELECT pg_current_xact_id()::text"""
_BATCH = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    "SET LOCAL lock_timeout = '{patience}ms'",
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
    "SELECT pg_advisory_xact_lock_shared(1668048247)",
)
_DEFAULTS: dict[str, Any] = {"connect_timeout": 10, "tcp_user_timeout": 20_000, "application_name": "clew"}
_MIGRATIONS = "CREATE TABLE IF NOT EXISTS clew_migrations (component TEXT PRIMARY KEY, version BIGINT NOT NULL)"


class PostgresDatabase:
    """A `Database` on a PostgreSQL server; an instance belongs to the event loop that opened it."""

    def __init__(self, address: Secret, patience_seconds: float) -> None:
        self._arguments, self._password = parse(address)
        self._patience = patience_seconds
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._reads = self._pool(READERS, _make_read_only)
        self._writes = self._pool(WRITERS, None)

    @classmethod
    async def open(cls, address: Secret, *, patience_seconds: float = 10.0) -> Self:
        """Connect; `patience_seconds` is how long a write waits for others' writes and anything for the server.

        Raises `ConfigurationError` with the server's words, never with the password.
        """
        database = cls(address, patience_seconds)
        try:
            async with await psycopg.AsyncConnection.connect(**database._connect(), autocommit=True) as connection:
                cursor = await connection.execute("SELECT to_regclass('clew_migrations')")
                there = await cursor.fetchone() != (None,)
            await database._reads.open()
            await database._writes.open()
            if not there:
                async with database.transaction() as tx:
                    await tx.execute(_MIGRATIONS)
        except (psycopg.Error, CallError) as error:
            await database.close()
            why = quote(str(error).strip().splitlines()[-1]).rstrip(".")
            raise ConfigurationError(f"The database {database} cannot be used: {why}.") from None
        return database

    def __str__(self) -> str:
        """The address without user and password."""
        at = self._arguments
        return f"postgresql://{at.get('host', 'localhost')}/{at.get('dbname', '')}"

    async def close(self) -> None:
        """Close all connections."""
        await self._reads.close()
        await self._writes.close()

    def state(self) -> int | None:
        """Not known without a round trip."""
        return None

    async def now(self) -> float:
        """The server's clock, the one that all machines share."""
        row = await self.fetch_one("SELECT extract(epoch FROM clock_timestamp())::float8")
        assert row is not None
        return float(row[0])

    @property
    def shared(self) -> bool:
        """A server has users everywhere."""
        return True

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Run the missing steps in one transaction; of many machines one does it while the others wait."""
        await run_steps(self, component, [re.sub(r"\bBLOB\b", "BYTEA", step) for step in steps])

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """BEGIN, the lock, … COMMIT. A commit whose answer is lost is looked up at the server (`pg_xact_status`).

        Only when that cannot be done in time it ends in `OutcomeUnknownError`: read before you write again.
        """
        self._check_owner()
        async with self._lock:
            self._owner = asyncio.current_task()
            try:
                async with self._writing(shared="") as statements:
                    yield statements
            finally:
                self._owner = None

    async def batch(self, statements: Sequence[Statement], *, durable: bool = True) -> list[Batched]:
        """Run the statements in one transaction and one round trip; among themselves batches exclude nobody.

        When the connection breaks it is not known whether they were run: repeat only what may be run twice.
        """
        self._check_owner()
        begin = [each.format(patience=int(self._patience * 1000)) for each in _BATCH]
        begin += [] if durable else ["SET LOCAL synchronous_commit = off"]
        with explained(self):
            try:
                async with self._writes.connection() as connection:
                    return await to_the_end(self._pipelined(connection, begin, statements))
            except psycopg.Error as error:
                if not lost(error):
                    raise
                await self._writes.check()
                raise OutcomeUnknownError(f"The connection to {self} was lost; the write may have happened.") from error

    @staticmethod
    async def _pipelined(
        connection: _Connection, begin: Sequence[str], statements: Sequence[Statement]
    ) -> list[Batched]:
        async with connection.pipeline():
            for sql in begin:
                await connection.execute(sql.encode())
            cursors = [await connection.execute(_translated(sql), given) for sql, given in statements]
            await connection.execute(b"COMMIT")
        return [Batched(each.rowcount, await _rows_of(each)) for each in cursors]

    async def execute(self, sql: str, *parameters: Value) -> int:
        """Run one statement in its own durable transaction."""
        self._check_owner()
        async with self._writing(shared="_shared") as statements:
            return await statements.execute(sql, *parameters)

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        """Return the first row of a read, or None."""
        return await self._read(lambda statements: statements.fetch_one(sql, *parameters))

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        """Return every row of a read."""
        return await self._read(lambda statements: statements.fetch_all(sql, *parameters))

    def _check_owner(self) -> None:
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("this task is already in a transaction: use the one it has")

    async def _read(self, job: Callable[["_Statements"], Awaitable[T]]) -> T:
        """Run a read; when the server has gone away (it was restarted), once more on a new connection."""
        with explained(self):
            try:
                async with self._reads.connection() as connection:
                    return await job(_Statements(connection))
            except psycopg.Error as error:
                if not lost(error):
                    raise
                await self._reads.check()
            async with self._reads.connection() as connection:
                return await job(_Statements(connection))

    @asynccontextmanager
    async def _writing(self, *, shared: str) -> AsyncGenerator["_Statements"]:
        begin = _BEGIN.format(patience=int(self._patience * 1000), shared=shared).encode()
        connection, transaction_id = await self._begin(begin)
        statements = _Statements(connection)
        try:
            with explained(self):
                yield statements
            statements.ended = True
            await to_the_end(self._commit(connection, transaction_id))
        finally:
            statements.ended = True
            await to_the_end(self._give_back(connection))

    async def _begin(self, sql: bytes) -> tuple[_Connection, str]:
        """A connection with the transaction open and the lock taken; repeated once, for nothing has happened yet."""
        with explained(self):
            try:
                return await self._begin_once(sql)
            except psycopg.Error as error:
                if not lost(error):
                    raise
                await self._writes.check()
            return await self._begin_once(sql)

    async def _begin_once(self, sql: bytes) -> tuple[_Connection, str]:
        connection = await self._writes.getconn()
        try:
            cursor = await connection.execute(sql)
            while cursor.nextset():
                pass
            row = await cursor.fetchone()
        except BaseException:
            await to_the_end(self._give_back(connection))
            raise
        assert row is not None
        return connection, str(row[0])

    async def _give_back(self, connection: _Connection) -> None:
        """Undo what was not committed and return the connection; a broken one is replaced by the pool."""
        with contextlib.suppress(psycopg.Error):
            await connection.rollback()
        await self._writes.putconn(connection)

    async def _commit(self, connection: _Connection, transaction_id: str) -> None:
        with explained(self):
            try:
                cursor = await connection.execute("COMMIT")
            except psycopg.Error as error:
                if not lost(error):
                    raise
                await self._look_up(transaction_id)
                return
        if cursor.statusmessage != "COMMIT":
            raise RuntimeError("a statement of this transaction failed, so nothing of it was written")

    async def _look_up(self, transaction_id: str) -> None:
        """Ask the server how a transaction ended whose commit it did not answer."""
        give_up_at = time.monotonic() + self._patience
        while True:
            status: str | None = "no answer"
            with contextlib.suppress(TransientError):
                row = await self.fetch_one("SELECT pg_xact_status(?::text::xid8)", transaction_id)
                status = row[0] if row else None
            if status == "committed":
                return
            if status == "aborted":
                raise TransientError(f"The connection to {self} was lost; nothing was written.")
            if status is None or time.monotonic() > give_up_at:
                raise OutcomeUnknownError(f"The connection to {self} was lost during a commit; it may have happened.")
            await asyncio.sleep(0.05)

    def _connect(self) -> dict[str, Any]:
        password = {} if self._password is None else {"password": self._password.reveal()}
        return _DEFAULTS | self._arguments | password

    def _pool(
        self, size: int, configure: Callable[[_Connection], Awaitable[None]] | None
    ) -> AsyncConnectionPool[_Connection]:
        # The keywords are made at each connect: nothing that holds the pool holds the password in the clear.
        return AsyncConnectionPool(
            kwargs=lambda: {**self._connect(), "autocommit": True},
            min_size=0,
            max_size=size,
            open=False,
            configure=configure,
            timeout=self._patience,
            name="clew",
        )


class _Statements:
    """The statements of one connection, with `?` for parameters."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.ended = False

    async def execute(self, sql: str, *parameters: Value) -> int:
        return (await self._run(sql, parameters)).rowcount

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        return await (await self._run(sql, parameters)).fetchone()

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        return await (await self._run(sql, parameters)).fetchall()

    async def _run(self, sql: str, parameters: Sequence[Value]) -> psycopg.AsyncCursor[Row]:
        if self.ended:
            raise RuntimeError("this transaction has ended")
        return await self._connection.execute(_translated(sql), parameters)


async def _rows_of(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    return [] if cursor.description is None else await cursor.fetchall()


_NOW = "extract(epoch FROM clock_timestamp())::float8"


@lru_cache(maxsize=512)
def _translated(sql: str) -> bytes:
    """`?` becomes psycopg's `%s`, except in quotes, and `clew_now()` the server's clock."""
    parts = re.split(r"('(?:[^']|'')*')", sql.replace("%", "%%").replace("clew_now()", _NOW))
    return "".join(part if part[:1] == "'" else part.replace("?", "%s") for part in parts).encode()


async def _make_read_only(connection: _Connection) -> None:
    await connection.execute("SET default_transaction_read_only = on")
