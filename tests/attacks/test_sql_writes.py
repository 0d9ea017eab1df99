"""Promises: a declared write changes what it says and no more, whatever its arguments hold, and is committed once."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.test_sql import ENDLESS, HOSTILE, state
from tests.core.writes import PaddedSealer
from tests.people import Person
from tests.servers.databases.worlds import PRODUCTS, World, world_of

from clew.core.database import open_database
from clew.core.errors import CallError, Code, ConfigurationError, Outcome
from clew.core.journal import Journal, State, open_journal
from clew.servers.databases.dialects import Login, dialect_of
from clew.servers.databases.session import Session

pytestmark = pytest.mark.anyio


@pytest.fixture(params=PRODUCTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database of each kind with two customers and 250 invoices."""
    with world_of(request, tmp_path) as made:
        yield made


EVERY_KIND: dict[str, Any] = {
    "update_name": {
        "help": "Rename a customer.",
        "sql": "UPDATE customers SET name = :name WHERE id = :id AND name <> :other",
        "parameters": {
            "id": {"type": "integer"},
            "name": {},
            "other": {"optional": True},
        },
        "rows": 1,
    },
    "add_invoice": {
        "help": "Add an invoice.",
        "sql": "INSERT INTO invoices (id, customer_id, cents, due, paid) VALUES (:id, 1, :cents, :due, 0)",
        "parameters": {"id": {"type": "integer"}, "cents": {"type": "number"}, "due": {"type": "date"}},
    },
    "delete_invoice": {
        "help": "Delete an invoice.",
        "sql": "DELETE FROM invoices WHERE id = :id AND due = :due",
        "parameters": {"id": {"type": "integer"}, "due": {"type": "date"}},
    },
}

WORSE = [
    *HOSTILE,
    "x', email = 'y",
    "x' WHERE 1=1 -- ",
    "x\\' WHERE 1=1 -- ",
    "\\",
    "x\\",
    "'",
    '"',
    "\u00bf' OR 1=1 -- ",
    "\u5c27' OR 1=1 -- ",
    ":id :other :name",
    "$1 ? %(id)s %%",
    "\x1a\b\n\r\t",
    "1; SELECT pg_sleep(10)",
    "{{7*7}}",
]


async def test_a_text_is_stored_as_it_is_and_nothing_else_happens(world: World) -> None:
    world.facts = {"write": EVERY_KIND}
    before = state(world)
    for text in (each[:80] for each in WORSE):
        assert await world("update_name", id=1, name=text, other=text[:70] + "-") == {"changed": 1}
        after = state(world)
        assert [tuple(row) for row in after[0]] == [(1, text, "ada@example.com"), tuple(before[0][1])]
        assert after[1:] == before[1:]
        for tool, arguments in (
            ("update_name", {"id": text, "name": "x"}),
            ("add_invoice", {"id": 900, "cents": text, "due": "2026-01-01"}),
            ("add_invoice", {"id": 900, "cents": 1, "due": text}),
            ("delete_invoice", {"id": text, "due": "2026-01-02"}),
        ):
            error = await world.failed(tool, **arguments)
            assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED), (tool, arguments)
    assert state(world)[1:] == before[1:]


async def test_a_parameter_inside_quotes_cannot_end_them(world: World) -> None:
    """PyMySQL writes values into the text: there such a value would stand outside of the quotes."""
    sql = "SELECT count(*) AS n FROM customers WHERE name <> ':name' AND name = :name"
    stated: dict[str, Any] = {"help": "x", "sql": sql, "parameters": {"name": {}}}
    world.facts = {"query": {"get_count": stated}}
    with pytest.raises(ConfigurationError, match="inside quotes"):
        await world("get_count", name=" OR 1=1 -- ")
    world.facts = {}
    error = await world.failed("query", sql=sql, params={"name": " OR 1=1 -- "})
    assert error.code is Code.INVALID_INPUT


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "NaN", "Infinity", "1e999", 2**63, -(2**70), True])
async def test_no_number_is_more_than_a_number(world: World, number: Any) -> None:
    world.facts = {"write": EVERY_KIND}
    before = state(world)
    with contextlib.suppress(CallError):
        await world("update_name", id=number, name="x", other="y")
        assert number is True  # which Python takes for 1
        return
    assert state(world) == before
    if number is not True and not isinstance(number, int):
        error = await world.failed("add_invoice", id=901, cents=number, due="2026-01-01")
        assert error.code is Code.INVALID_INPUT


async def test_a_text_of_a_megabyte_and_one_with_a_null_character_are_refused(world: World) -> None:
    world.facts = {"write": EVERY_KIND}
    before = state(world)
    for text in ("x" * 1_000_000, "a\0b"):
        with contextlib.suppress(CallError):
            await world("update_name", id=1, name=text, other="-")
            assert world.product != "postgresql"
            assert len(text) == 3  # the others can hold a null character
            world.admin("UPDATE customers SET name = 'Ada' WHERE id = 1")
    assert state(world) == before


async def test_the_database_alone_keeps_a_write_from_what_is_no_change_of_rows(world: World, tmp_path: Path) -> None:
    """Behind the parser's back: even a profile that was tampered with reaches no file and no schema in SQLite."""
    if world.product != "sqlite":
        pytest.skip("there the role's rights decide")
    canary = tmp_path / "canary"
    world.facts = {"write": EVERY_KIND}
    before = state(world)
    for sql in (
        f"ATTACH DATABASE '{canary}' AS other",
        "PRAGMA writable_schema = ON",
        "DROP TABLE invoices",
        "CREATE TABLE mine (a)",
        "UPDATE sqlite_master SET sql = ''",
        f"VACUUM INTO '{canary}'",
        "CREATE TRIGGER t AFTER INSERT ON customers BEGIN SELECT 1; END",
    ):
        session = Session(dialect_of(world.profile), _plainly(sql), writes=True, keep=True)
        with contextlib.suppress(CallError):
            await _carried(session)
        assert state(world) == before, sql
    assert not canary.exists()


def _plainly(sql: str) -> Callable[[Any], None]:
    return lambda connection: connection.exec_driver_sql(sql).close()


async def _carried(session: Session) -> None:
    from clew.core.bounds import Bounds
    from clew.core.deadline import Deadline

    await session.carry(None, bounds=Bounds(), deadline=Deadline.after(10), safe=False, provider="sql")


@contextlib.asynccontextmanager
async def journal_of(folder: Path) -> AsyncGenerator[Journal]:
    database = await open_database(f"sqlite:///{folder / 'clew.db'}")
    try:
        yield await open_journal(database, PaddedSealer())
    finally:
        await database.close()


COUNT = {
    "update_cents": {
        "help": "Raise an invoice.",
        "sql": "UPDATE invoices SET cents = cents + 1 WHERE id = :id",
        "parameters": {"id": {"type": "integer"}},
    }
}


def cents(world: World) -> int:
    return int(world.admin("SELECT cents FROM invoices WHERE id = 5")[0][0])


async def test_a_write_that_is_repeated_is_committed_once(world: World, tmp_path: Path) -> None:
    world.facts = {"write": COUNT}
    async with journal_of(tmp_path) as journal:
        world.journal = journal
        calls = [world("update_cents", id=5, request_id="one") for _ in range(5)]
        assert [await call for call in calls] == [{"changed": 1}] * 5
        assert cents(world) == 501
        error = await world.failed("update_cents", id=5)
        assert error.code is Code.ALREADY_DONE or cents(world) == 501


@contextlib.asynccontextmanager
async def answers_lost_at_commit(world: World) -> AsyncGenerator[list[bytes]]:
    """The world behind a proxy that hands a COMMIT on and breaks the connection before the answer comes back."""
    target = world.profile.port
    lost: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", target)
        back = asyncio.create_task(_copy(up, writer))
        try:
            while data := await reader.read(65536):
                if re.search(rb"(?<!AUTO)COMMIT", data) and not lost:
                    lost.append(data)
                    back.cancel()
                    await asyncio.wait([back])
                    down.write(data)
                    await down.drain()
                    await up.read(1)  # the server has answered: it is done
                    break
                down.write(data)
                await down.drain()
        finally:
            back.cancel()
            writer.transport.abort()
            down.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port, own = server.sockets[0].getsockname()[1], world.address
    world.address = own.replace(f":{target}", f":{port}")
    try:
        yield lost
    finally:
        world.address = own
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def test_a_commit_whose_answer_is_lost_is_unknown_and_never_sent_again(world: World, tmp_path: Path) -> None:
    if world.product == "sqlite":
        pytest.skip("a file has no network")
    world.facts = {"write": COUNT}
    async with journal_of(tmp_path) as journal:
        world.journal = journal
        async with answers_lost_at_commit(world) as lost:
            error = await world.failed("update_cents", id=5, request_id="one")
            assert lost
            assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
            assert cents(world) == 501
            again = await world.failed("update_cents", id=5, request_id="one")
            assert again.outcome is Outcome.UNKNOWN
        assert cents(world) == 501
        (row,) = await journal.rows(states=(State.UNKNOWN,), limit=10)
        assert row.tool == "update_cents"


async def test_a_declared_check_tells_how_a_lost_commit_ended(world: World, tmp_path: Path) -> None:
    if world.product == "sqlite":
        pytest.skip("a file has no network")
    world.facts = {
        "write": {"add_invoice": {**EVERY_KIND["add_invoice"], "check": "get_invoice"}},
        "query": {
            "get_invoice": {
                "help": "Read an invoice.",
                "sql": "SELECT id, cents FROM invoices WHERE id = :id",
                "parameters": {"id": {"type": "integer"}},
            }
        },
    }
    async with journal_of(tmp_path) as journal:
        world.journal = journal
        async with answers_lost_at_commit(world):
            found = await world("add_invoice", id=700, cents=5, due="2026-02-02", request_id="two")
        assert found["changed"] == 1
        assert found["returned"]["rows"] == [[700, 5]]
        assert world.admin("SELECT count(*) FROM invoices WHERE id = 700")[0][0] == 1


async def test_a_write_that_is_given_up_does_not_commit_behind_its_back() -> None:
    """Between the last look at the time and the commit nobody may say that nothing was changed."""
    session = Session(dialect_of(World("sqlite:///x").profile), lambda each: None, writes=True, keep=True)
    session._leave()  # pyright: ignore[reportPrivateUsage]
    running: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    session._done.set()  # pyright: ignore[reportPrivateUsage]
    assert session._end(Login(), running) is True  # pyright: ignore[reportPrivateUsage]
    running.cancel()
    with pytest.raises(TimeoutError):
        session._leave()  # pyright: ignore[reportPrivateUsage]


async def test_a_write_that_runs_forever_ends_at_its_bound_and_changed_nothing(world: World) -> None:
    forever = ENDLESS[world.product].replace(" AS n", "")
    if world.product == "mariadb":
        forever = "SELECT count(*) FROM customers a, customers b, information_schema.columns c, " + (
            "information_schema.columns d, information_schema.columns e"
        )
    sql = f"UPDATE customers SET name = :name WHERE id = 1 AND ({forever}) > 1"
    if world.product == "sqlite":
        sql = (
            "UPDATE customers SET name = :name WHERE id = 1 AND (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
            "SELECT x + 1 FROM n) SELECT count(*) FROM n) > 1"
        )
    stated: dict[str, Any] = {"help": "x", "sql": sql, "parameters": {"name": {}}}
    world.facts = {"seconds": 0.5, "write": {"update_name": stated}}
    before = state(world)
    error = await world.failed("update_name", name="x", seconds=4 if world.product == "sqlite" else 30)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert "longer than" in error.message
    assert state(world) == before


async def test_a_preview_leaves_nothing_behind_even_when_the_person_says_no(world: World) -> None:
    world.facts = {"write": {name: {**each, "asks": True} for name, each in EVERY_KIND.items()}}
    world.person = Person(agrees=False)
    before = state(world)
    for tool, arguments in (
        ("update_name", {"id": 1, "name": "Eve", "other": "-"}),
        ("add_invoice", {"id": 950, "cents": 1, "due": "2026-01-01"}),
        ("delete_invoice", {"id": 1, "due": "2026-01-02"}),
    ):
        error = await world.failed(tool, **arguments)
        assert error.code is Code.DENIED, error.as_text()
    assert [each.preview["would_change"] for each in world.person.asked] == [1, 1, 1]
    assert state(world) == before


async def test_a_table_that_knows_no_rollback_is_not_previewed(world: World) -> None:
    if world.product != "mariadb":
        pytest.skip("only there such tables exist")
    world.admin("CREATE TABLE notes (id INTEGER PRIMARY KEY, text VARCHAR(20)) ENGINE = MyISAM")
    stated = {
        "help": "x",
        "sql": "INSERT INTO notes (id, text) VALUES (:id, 'x')",
        "parameters": {"id": {"type": "integer"}},
    }
    world.facts = {"write": {"add_note": {**stated, "asks": True}}}
    error = await world.failed("add_note", id=1)
    assert "could not be taken back" in error.message
    assert list(world.admin("SELECT * FROM notes")) == []
