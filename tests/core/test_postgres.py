# ruff: noqa: PT012, ASYNC110
"""What only the PostgreSQL engine has to prove: other machines, restarts, lost answers, the server's words."""

import asyncio
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

import psycopg
import pytest

from clew.core.database import Database, open_database
from clew.core.errors import ConfigurationError, InternalError, OutcomeUnknownError, Retry, TransientError
from clew.core.postgres import PostgresDatabase
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio

STEPS = ["CREATE TABLE things (name TEXT PRIMARY KEY, amount BIGINT NOT NULL, content BLOB)"]
INSERT = "INSERT INTO things (name, amount) VALUES (?, ?)"
CANARY = "canary-5f1c9b7e2a"


@pytest.fixture
async def database(postgres_address: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(Secret(postgres_address), patience_seconds=2.0)
    await opened.migrate("things", STEPS)
    yield opened
    await opened.close()


@pytest.fixture
def admin(postgres_address: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_address, autocommit=True, application_name="admin") as connection:
        yield connection


async def names(database: Database) -> list[str]:
    return [row[0] for row in await database.fetch_all("SELECT name FROM things ORDER BY name")]


def end_all(admin: psycopg.Connection) -> int:
    """What a restart does to every connection of ours."""
    ended = admin.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE application_name = 'clew' AND datname = current_database()"
    ).fetchone()
    assert ended is not None
    return int(ended[0])


async def test_bytes_quotes_and_percent_signs_pass_unchanged(database: PostgresDatabase) -> None:
    await database.execute("INSERT INTO things VALUES (?, ?, ?)", "100 % ?", 1, b"\x00\xff")
    assert await database.fetch_one("SELECT content, '?''%' FROM things WHERE name = ?", "100 % ?") == (
        b"\x00\xff",
        "?'%",
    )


async def test_reads_outside_a_transaction_cannot_write(database: PostgresDatabase) -> None:
    with pytest.raises(InternalError, match="is read-only; nothing was written") as caught:
        await database.fetch_all("INSERT INTO things (name, amount) VALUES ('x', 1)")
    assert caught.value.retry is Retry.AFTER_HUMAN


async def test_after_a_restart_of_the_server_reads_and_writes_go_on(
    database: PostgresDatabase, admin: psycopg.Connection
) -> None:
    await database.execute(INSERT, "a", 1)
    await asyncio.gather(*(names(database) for _ in range(8)))
    assert end_all(admin) >= 2
    assert await asyncio.gather(*(names(database) for _ in range(8))) == [["a"]] * 8
    end_all(admin)
    await database.execute(INSERT, "b", 1)
    assert await names(database) == ["a", "b"]


async def test_a_transaction_whose_connection_dies_has_written_nothing(
    database: PostgresDatabase, admin: psycopg.Connection
) -> None:
    with pytest.raises(TransientError, match="nothing was written"):
        async with database.transaction() as tx:
            await tx.execute(INSERT, "a", 1)
            end_all(admin)
            await tx.execute(INSERT, "b", 1)
    assert await names(database) == []
    with pytest.raises(TransientError, match="nothing was written"):
        async with database.transaction() as tx:
            await tx.execute(INSERT, "c", 1)
            end_all(admin)
    assert await names(database) == []


async def test_a_writer_that_sleeps_inside_its_transaction_does_not_hold_up_the_others_for_ever(
    database: PostgresDatabase,
) -> None:
    with pytest.raises(TransientError, match="nothing was written"):
        async with database.transaction() as tx:
            await tx.fetch_one("SELECT set_config('idle_in_transaction_session_timeout', '20ms', true)")
            await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.3)
            await tx.execute(INSERT, "a", 1)
    assert await names(database) == []


async def test_others_who_write_for_too_long_are_a_transient_error(
    database: PostgresDatabase, postgres_address: str
) -> None:
    impatient = await PostgresDatabase.open(Secret(postgres_address), patience_seconds=0.2)
    async with database.transaction() as tx:
        for write in (impatient.execute(INSERT, "b", 1), impatient.migrate("more", ["CREATE TABLE more (x TEXT)"])):
            with pytest.raises(TransientError, match="for too long; nothing was written"):
                await write
        await tx.execute(INSERT, "a", 1)
    assert await names(impatient) == ["a"]
    await impatient.close()


async def test_an_error_inside_a_transaction_that_was_swallowed_is_told_at_its_end(database: PostgresDatabase) -> None:
    with pytest.raises(RuntimeError, match="nothing of it was written"):
        async with database.transaction() as tx:
            await tx.execute(INSERT, "a", 1)
            with suppress(psycopg.errors.UniqueViolation):
                await tx.execute(INSERT, "a", 1)
    assert await names(database) == []


async def test_a_constraint_met_at_the_commit_undoes_it_and_is_not_called_a_lost_answer(
    database: PostgresDatabase,
) -> None:
    await database.execute("CREATE TABLE later (x BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO later VALUES (1), (1)")
    assert await database.fetch_all("SELECT x FROM later") == []


async def test_a_failing_step_leaves_nothing_behind(database: PostgresDatabase) -> None:
    with pytest.raises(psycopg.errors.SyntaxError):
        await database.migrate("other", ["CREATE TABLE other (x TEXT)", "nonsense"])
    assert await database.fetch_one("SELECT to_regclass('other')") == (None,)


async def test_a_writer_cancelled_while_it_waits_leaves_the_lock_free(
    database: PostgresDatabase, postgres_address: str
) -> None:
    other = await PostgresDatabase.open(Secret(postgres_address))
    async with other.transaction():
        writer = asyncio.create_task(database.execute(INSERT, "a", 1))
        while not await other.fetch_one("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
    await database.execute(INSERT, "b", 1)
    assert await names(database) == ["b"]
    await other.close()


async def test_commits_wait_for_the_disk_even_where_the_server_would_not(
    database: PostgresDatabase, admin: psycopg.Connection
) -> None:
    name = (admin.execute("SELECT current_database()").fetchone() or ("",))[0]
    admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    end_all(admin)
    async with database.transaction() as tx:
        assert await tx.fetch_one("SELECT current_setting('synchronous_commit')") == ("on",)
    admin.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit'.encode())


class Wire:
    """A relay before the server that can swallow the answer to a COMMIT, before or after the server has seen it."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.cut: str | None = None
        self.refuse = False
        self.held: socket.socket | None = None
        self.asked = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            upstream = socket.create_connection(self.server)
            self.open += [client, upstream]
            Thread(target=self.relay, args=(client, upstream, True), daemon=True).start()
            Thread(target=self.relay, args=(upstream, client, False), daemon=True).start()

    def relay(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                if asking and b"COMMIT\x00" in content and self.cut:
                    if self.cut == "before":
                        self.cut = None
                        source.shutdown(socket.SHUT_RDWR)
                        self.held = target  # the server sees no end yet
                        return
                elif not asking and self.cut in ("after", "after, and gone") and b"COMMIT\x00" in content:
                    self.refuse = self.cut == "after, and gone"
                    self.cut = None
                    break
                if b"pg_xact_status" in content and self.held:
                    self.asked += 1
                    if self.asked == 2:
                        self.held.shutdown(socket.SHUT_RDWR)
                target.sendall(content)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in [self.listener, *self.open]:
            each.close()


@contextmanager
def wire_to(address: str) -> Generator[tuple[Wire, str]]:
    parts = urlsplit(address)
    wire = Wire((parts.hostname or "127.0.0.1", parts.port or 5432))
    user = f"{parts.username}@" if parts.username else ""
    yield wire, parts._replace(netloc=f"{user}127.0.0.1:{wire.port}").geturl()
    wire.close()


@pytest.mark.parametrize(("cut", "kept"), [("before", []), ("after", ["a"])])
async def test_a_commit_whose_answer_is_lost_is_looked_up_and_never_repeated(
    database: PostgresDatabase, postgres_address: str, cut: str, kept: list[str]
) -> None:
    with wire_to(postgres_address) as (wire, address):
        relayed = await PostgresDatabase.open(Secret(address), patience_seconds=3.0)
        wire.cut = cut
        if kept:
            assert await relayed.execute(INSERT, "a", 1) == 1
        else:
            with pytest.raises(TransientError, match="nothing was written"):
                await relayed.execute(INSERT, "a", 1)
        assert await names(database) == kept
        await relayed.execute("UPDATE things SET amount = 2")
        await relayed.close()


async def test_a_lost_commit_that_nobody_can_look_up_is_reported_as_unknown(
    database: PostgresDatabase, postgres_address: str
) -> None:
    with wire_to(postgres_address) as (wire, address):
        relayed = await PostgresDatabase.open(Secret(address), patience_seconds=0.3)
        wire.cut = "after, and gone"
        with pytest.raises(OutcomeUnknownError, match="may have happened"):
            await relayed.execute(INSERT, "a", 1)
        assert await names(database) == ["a"]
        with pytest.raises(TransientError, match="cannot be reached"):
            await names(relayed)
        with pytest.raises(TransientError, match="cannot be reached"):
            await relayed.execute(INSERT, "b", 1)
        await relayed.close()


async def test_the_clock_is_the_servers(database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await database.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= await database.now() - before < 5


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ada:{CANARY}@127.0.0.1:1/x",
        f"postgresql://ada:{CANARY}@[oops/x",
        f"postgresql://ada:{CANARY}@127.0.0.1:port/x",
        f"postgresql://ada:@{CANARY}@127.0.0.1/x",
        f"postgresql://ada:{CANARY}/@127.0.0.1/x",
        f"postgresql://ada:1/{CANARY}@127.0.0.1/x",
        f"postgresql://ada:{CANARY}@127.0.0.1/x?no_such_option={CANARY}",
        "postgres://",
        "the server itself/no_such_database",
    ],
)
async def test_an_address_that_does_not_work_is_one_sentence_without_its_password(
    postgres_address: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    if address.startswith("the server"):
        address = urlsplit(postgres_address)._replace(path="/no_such_database").geturl()
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError) as caught:
        await open_database(Secret(address))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "\n" not in str(caught.value)
    assert (
        CANARY
        not in str(caught.value) + shown.replace(repr(address), "").replace(repr(address)[1:-1], "") + caplog.text
    )


async def test_neither_the_object_nor_its_name_shows_the_password(database: PostgresDatabase) -> None:
    hidden = PostgresDatabase(Secret(f"postgresql://ada:{CANARY}@db.example/vault"), 1.0)
    assert str(hidden) == "postgresql://db.example/vault"
    assert CANARY not in repr(vars(hidden))


async def test_the_password_can_come_from_libpqs_own_places(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    opened = await open_database(postgres_address)
    assert await opened.fetch_one("SELECT 1") == (1,)
    await opened.close()


async def test_a_batch_whose_connection_breaks_may_have_happened(database: PostgresDatabase) -> None:
    with pytest.raises(OutcomeUnknownError, match="may have happened"):
        await database.batch([("SELECT pg_terminate_backend(pg_backend_pid())", ())])
    with pytest.raises(psycopg.Error):
        await database.batch([("SELECT no_such_column", ())])
    assert (await database.batch([("SELECT clew_now() > ?", (0.0,))]))[0].rows == [(True,)]


async def test_a_full_or_damaged_disk_is_a_clear_error(database: PostgresDatabase) -> None:
    await database.execute(
        "CREATE FUNCTION fail(state text) RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = state; END $$"
    )
    for state, words in (("53100", "is full; nothing was written"), ("XX001", "is damaged")):
        with pytest.raises(InternalError, match=words):
            await database.fetch_one("SELECT fail(?)", state)
