"""Promises: whatever breaks between us and a database, code and outcome say what became of the call.

The databases are real, and the network before them is one that breaks. SQLite is locked by another program instead.
"""

import asyncio
import contextlib
import os
import socket
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.test_sql_writes import COUNT, cents, journal_of
from tests.servers.databases.worlds import PostgresWorld, World, sqlite_world, world_of

from clew.core.errors import Code, Outcome
from clew.core.journal import State
from clew.testing.kit import Subject, run

pytestmark = pytest.mark.anyio
SERVERS = ["postgresql", "mariadb"]


@pytest.fixture(params=SERVERS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database behind a network, with two customers and 250 invoices."""
    with world_of(request, tmp_path) as made:
        made.facts = {"write": COUNT}
        yield made


@contextlib.asynccontextmanager
async def breaking(world: World, at: bytes, *, handed_on: bool) -> AsyncGenerator[list[bytes]]:
    """The world behind a proxy that breaks the connection when it sees `at`, before or after it hands it on."""
    target, own, broken = world.profile.port, world.address, list[bytes]()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", target)
        back = asyncio.create_task(copy(up, writer))
        try:
            while data := await reader.read(65536):
                if at in data:
                    broken.append(data)
                    back.cancel()
                    await asyncio.wait([back])
                    if handed_on:
                        down.write(data)
                        await down.drain()
                        await up.read(1)
                    break
                down.write(data)
                await down.drain()
        finally:
            back.cancel()
            writer.transport.abort()
            down.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    world.address = own.replace(f":{target}", f":{server.sockets[0].getsockname()[1]}")
    try:
        yield broken
    finally:
        world.address = own
        server.close()


@contextlib.contextmanager
def unreachable(world: World) -> Generator[None]:
    """Nobody listens at the world's port."""
    own = world.address
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        world.address = own.replace(f":{world.profile.port}", f":{taken.getsockname()[1]}")
        yield
    world.address = own


async def test_a_server_that_is_not_there_did_nothing(world: World, tmp_path: Path) -> None:
    async with journal_of(tmp_path) as journal:
        world.journal = journal
        with unreachable(world):
            calls: list[tuple[str, dict[str, Any]]] = [("query", {"sql": "SELECT 1 AS a"}), ("update_cents", {"id": 5})]
            for tool, arguments in (*calls, ("list_tables", {})):
                error = await world.failed(tool, **arguments)
                assert (tool, error.code, error.outcome) == (tool, Code.TRANSIENT, Outcome.NOT_APPLIED)
        assert await journal.rows(states=(State.UNKNOWN,), limit=10) == []
    assert cents(world) == 500


@pytest.mark.parametrize("handed_on", [False, True])
async def test_a_connection_that_breaks_before_the_commit_changed_nothing(world: World, handed_on: bool) -> None:
    async with breaking(world, b"UPDATE invoices", handed_on=handed_on) as broken:
        error = await world.failed("update_cents", id=5)
        assert broken
        assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    assert cents(world) == 500
    async with breaking(world, b"SELECT 77", handed_on=handed_on) as broken:
        error = await world.failed("query", sql="SELECT 77 AS a")
        assert broken
        assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)


async def test_a_connection_that_breaks_before_the_login_is_no_wrong_password(world: World) -> None:
    async with breaking(world, world.user.encode(), handed_on=False) as broken:
        error = await world.failed("query", sql="SELECT 1 AS a")
        assert broken
        assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)


WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE user = '{}' AND info LIKE 'UPDATE%'",
}


@contextlib.contextmanager
def locked(world: World) -> Generator[None]:
    """Somebody else holds the row."""
    if isinstance(world, PostgresWorld):
        import psycopg

        with psycopg.connect(world.url) as other:
            other.execute("SELECT * FROM invoices WHERE id = 5 FOR UPDATE")
            yield
        return
    import pymysql

    other_one: Any = pymysql.connect(host="127.0.0.1", port=world.profile.port, user="root", database=world.user)
    with contextlib.closing(other_one), other_one.cursor() as cursor:
        cursor.execute("SELECT * FROM invoices WHERE id = 5 FOR UPDATE")
        yield


async def test_a_row_that_somebody_else_holds_is_a_conflict(world: World) -> None:
    with locked(world):
        error = await world.failed("update_cents", id=5)
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert cents(world) == 500


async def test_a_session_that_an_administrator_ends_changed_nothing(world: World) -> None:
    waiting = WAITING[world.product].format(world.user)
    with locked(world):
        call = asyncio.create_task(world.failed("update_cents", id=5))
        async with asyncio.timeout(15):
            while not int((await asyncio.to_thread(world.admin, waiting))[0][0]):
                pass
        if world.product == "postgresql":
            world.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{world.user}'")
        else:
            world.admin(f"KILL USER {world.user}")
        error = await call
    assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    assert cents(world) == 500


async def test_a_file_that_somebody_else_writes_is_a_conflict(tmp_path: Path) -> None:
    with sqlite_world(tmp_path) as world:
        world.facts = {"write": COUNT}
        other = sqlite3.connect(world.profile.database, isolation_level=None)
        with contextlib.closing(other):
            other.execute("BEGIN EXCLUSIVE")
            error = await world.failed("update_cents", id=5)
        assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
        assert cents(world) == 500


async def test_a_file_that_is_damaged_or_gone_is_no_mistake_of_the_agent(tmp_path: Path) -> None:
    with sqlite_world(tmp_path) as world:
        world.facts = {"write": COUNT}
        for spoil in (_damage, os.unlink):
            spoil(world.profile.database)
            error = await world.failed("query", sql="SELECT id FROM invoices")
            assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
            error = await world.failed("update_cents", id=5)
            assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)


def _damage(file: str) -> None:
    Path(file).write_bytes(b"not a database" * 1000)


@pytest.mark.parametrize("product", ["sqlite", *SERVERS])
def test_the_chaos_pass_meets_every_tool_and_reaches_no_database(tmp_path: Path, product: str) -> None:
    from clew.servers.databases.profile import Profile
    from clew.servers.databases.tools import connector_of

    with socket.socket() as ear:
        ear.bind(("127.0.0.1", 0))
        ear.listen()
        ear.setblocking(False)
        place = f"sqlite:///{tmp_path / 'x.db'}" if product == "sqlite" else ""
        address = place or f"{product}://127.0.0.1:{ear.getsockname()[1]}/shop"
        made = connector_of(Profile.model_validate({"address": address, "name": "shop", "write": COUNT}))
        for check in ("chaos", "secrets"):
            seen = run(check, Subject(made))
            assert [finding.line for finding in seen.findings] == []
            assert seen.skipped == []
            assert seen.count == (24 if check == "chaos" else 0)
        with pytest.raises(BlockingIOError):
            ear.accept()
    assert list(tmp_path.iterdir()) == []
