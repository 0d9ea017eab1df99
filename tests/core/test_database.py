# ruff: noqa: ASYNC220, ASYNC240
"""Both engines: durable, shared by many processes, honest about faults. What only SQLite promises uses `sqlite`."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clew.core.database import Database, SqliteDatabase, open_database
from clew.core.errors import ConfigurationError, InternalError, Retry, TransientError

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

STEPS = ["CREATE TABLE things (name TEXT PRIMARY KEY, amount BIGINT NOT NULL)"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "clew.db"


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    await opened.migrate("things", STEPS)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[Database]:
    opened = await SqliteDatabase.open(path, patience_seconds=0.3)
    await opened.migrate("things", STEPS)
    yield opened
    await opened.close()


async def amounts(database: Database) -> dict[str, int]:
    return {str(name): amount for name, amount in await database.fetch_all("SELECT name, amount FROM things")}


async def put(database: Database, name: str, amount: int = 1) -> int:
    return await database.execute("INSERT INTO things (name, amount) VALUES (?, ?)", name, amount)


async def test_what_is_written_is_read_back_by_another_opener(address: str, database: Database) -> None:
    assert await put(database, "a") == 1
    other = await open_database(address if "://" in address else f"sqlite://{address}")
    assert await amounts(other) == {"a": 1}
    assert await other.fetch_one("SELECT amount FROM things WHERE name = ?", "a") == (1,)
    assert await other.fetch_one("SELECT amount FROM things WHERE name = ?", "b") is None
    await other.close()
    await other.close()


async def test_only_a_server_outlives_the_machines_of_its_users(address: str, database: Database) -> None:
    assert database.shared == address.startswith("postgresql://")


async def test_the_file_its_logs_and_its_folder_are_private(path: Path, sqlite: Database) -> None:
    await put(sqlite, "a")
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"clew.db": 0o600, "clew.db-wal": 0o600, "clew.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_that_others_can_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.chmod(0o644)
    await (await SqliteDatabase.open(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_writes_reach_the_disk_before_they_return(sqlite: Database) -> None:
    async with sqlite.transaction() as tx:
        assert await tx.fetch_one("PRAGMA synchronous") == (2,)
        assert await tx.fetch_one("PRAGMA journal_mode") == ("wal",)


async def test_reads_outside_a_transaction_cannot_write(sqlite: Database) -> None:
    with pytest.raises(InternalError, match="read-only"):
        await sqlite.fetch_all("INSERT INTO things (name, amount) VALUES ('x', 1)")


async def test_compare_and_swap_reports_how_many_rows_changed(database: Database) -> None:
    await put(database, "a", 1)
    swap = "UPDATE things SET amount = ? WHERE name = ? AND amount = ?"
    assert await database.execute(swap, 2, "a", 1) == 1
    assert await database.execute(swap, 3, "a", 1) == 0
    assert await amounts(database) == {"a": 2}


async def test_an_exception_undoes_the_whole_transaction(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO things (name, amount) VALUES ('a', 1)")
            assert await tx.fetch_all("SELECT name FROM things") == [("a",)]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await amounts(database) == {}


async def test_tasks_take_turns_to_write(database: Database) -> None:
    await put(database, "a", 0)

    async def add() -> None:
        async with database.transaction() as tx:
            row = await tx.fetch_one("SELECT amount FROM things WHERE name = 'a'")
            await asyncio.sleep(0)
            assert row is not None
            await tx.execute("UPDATE things SET amount = ? WHERE name = 'a'", row[0] + 1)

    await asyncio.gather(*(add() for _ in range(20)))
    assert await amounts(database) == {"a": 20}


async def test_a_transaction_inside_a_transaction_is_refused_instead_of_hanging(database: Database) -> None:
    async with database.transaction():
        with pytest.raises(RuntimeError, match="already in a transaction"):
            await put(database, "a")


async def test_a_transaction_cannot_be_used_after_its_end(database: Database) -> None:
    async with database.transaction() as tx:
        pass
    with pytest.raises(RuntimeError, match="has ended"):
        await tx.execute("DELETE FROM things")


async def test_a_writer_cancelled_while_it_waits_leaves_the_lock_free(path: Path, sqlite: Database) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = asyncio.create_task(put(sqlite, "a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writer.cancel()
    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await writer
    other.execute("INSERT INTO things (name, amount) VALUES ('b', 1)")
    other.close()
    assert await put(sqlite, "c") == 1
    assert await amounts(sqlite) == {"b": 1, "c": 1}


async def test_a_lock_held_for_too_long_is_a_transient_error(path: Path, sqlite: Database) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="nothing was written"):
        await put(sqlite, "a")
    assert await amounts(sqlite) == {}
    other.close()


async def test_nobody_can_take_the_file_for_himself_while_we_read_it(path: Path, sqlite: Database) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN EXCLUSIVE")
    other.close()
    assert await amounts(sqlite) == {}


async def test_reads_go_on_while_another_process_writes(path: Path, sqlite: Database) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO things (name, amount) VALUES ('b', 1)")
    assert await amounts(sqlite) == {}
    other.execute("COMMIT")
    assert await amounts(sqlite) == {"b": 1}
    other.close()


async def test_steps_run_once_and_later_ones_are_added(address: str, database: Database) -> None:
    await put(database, "a")
    more = [*STEPS, "ALTER TABLE things ADD COLUMN note TEXT"]
    other = await open_database(address)
    await other.migrate("things", more)
    await other.migrate("things", more)
    assert await other.fetch_all("SELECT name, note FROM things") == [("a", None)]
    await other.close()


async def test_a_failing_step_leaves_nothing_behind(sqlite: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await sqlite.migrate("other", ["CREATE TABLE other (x TEXT)", "nonsense"])
    assert await sqlite.fetch_all("SELECT name FROM sqlite_master WHERE name = 'other'") == []


async def test_a_store_written_by_a_newer_clew_is_left_alone(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="newer version of clew"):
        await database.migrate("things", [])


async def test_a_file_that_is_no_database_is_named_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my precious notes " * 100)
    with pytest.raises(ConfigurationError, match=r"clew.db is not a database.*was not changed"):
        await open_database(path)
    assert path.read_bytes() == b"my precious notes " * 100


@pytest.fixture
async def pages(path: Path) -> int:
    """A closed database with one row; the number of its pages of 4096 bytes."""
    first = await SqliteDatabase.open(path)
    await first.migrate("things", STEPS)
    await put(first, "a")
    await first.close()
    return path.stat().st_size // 4096


def damage(path: Path, page: int) -> bytes:
    content = path.read_bytes()
    content = content[: page * 4096] + b"\xff" * 4096 + content[(page + 1) * 4096 :]
    path.write_bytes(content)
    return content


async def test_a_database_damaged_at_its_root_does_not_open_and_is_kept(path: Path, pages: int) -> None:
    content = damage(path, 1)
    with pytest.raises(ConfigurationError, match="is damaged"):
        await SqliteDatabase.open(path)
    assert path.read_bytes() == content


async def test_damage_met_later_is_reported_and_nothing_is_overwritten(path: Path, pages: int) -> None:
    content = damage(path, pages - 2)
    database = await SqliteDatabase.open(path)
    with pytest.raises(InternalError, match="is damaged") as caught:
        await amounts(database)
    assert caught.value.retry is Retry.AFTER_HUMAN
    await database.close()
    assert path.read_bytes() == content


async def test_a_full_disk_is_a_clear_error_and_the_old_rows_stay(sqlite: Database) -> None:
    await put(sqlite, "a")
    async with sqlite.transaction() as tx:
        await tx.fetch_one("PRAGMA max_page_count = 1")
    with pytest.raises(InternalError, match=r"is full; nothing was written"):
        await put(sqlite, "b" * 100_000)
    assert await amounts(sqlite) == {"a": 1}


async def test_a_place_that_cannot_hold_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await open_database(tmp_path / "file" / "clew.db")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await open_database(tmp_path)


async def test_an_unknown_kind_of_database_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"oracle://"):
        await open_database("oracle://host/db")


async def test_a_task_in_a_transaction_can_still_ask_for_the_time(database: Database) -> None:
    async with database.transaction():
        assert await database.now() <= await database.now()


async def test_a_file_system_without_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    # Such a file system makes SQLite answer another mode than the one it was asked for; so does a database in memory.
    real = sqlite3.connect

    def connect(path: Path, **options: Any) -> sqlite3.Connection:
        opened: sqlite3.Connection = real(":memory:", **options)
        return opened

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(ConfigurationError, match="use a local disk"):
        await open_database(path)


async def test_the_shared_clock_runs_forwards(database: Database) -> None:
    first = await database.now()
    assert await database.now() >= first


ADD = """
import asyncio, sys
from clew.core.database import open_database

async def main() -> None:
    database = await open_database(sys.argv[1])
    await database.migrate("things", ["CREATE TABLE things (name TEXT PRIMARY KEY, amount BIGINT NOT NULL)"])
    for _ in range(25):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO things (name, amount) VALUES ('a', 0) ON CONFLICT DO NOTHING")
            (amount,) = await tx.fetch_one("SELECT amount FROM things WHERE name = 'a'")
            await tx.execute("UPDATE things SET amount = ? WHERE name = 'a'", amount + 1)
    await database.close()

asyncio.run(main())
"""


async def test_many_processes_create_and_write_the_same_store_without_losing_a_write(address: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [subprocess.Popen([sys.executable, "-c", ADD, address], env=environment) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    database = await open_database(address)
    assert await amounts(database) == {"a": 100}
    await database.close()


async def test_a_damaged_row_that_a_call_needs_is_reported(path: Path, pages: int) -> None:
    damage(path, pages - 2)
    database = await SqliteDatabase.open(path)
    with pytest.raises(InternalError, match="is damaged"):
        await database.fetch_one("SELECT amount FROM things")
    await database.close()
