"""In the background open writes are looked at and never sent; the journal itself, its keepers and its prunings."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.core.writes import CONNECTION, PaddedSealer, make_connector
from tests.loopback import Build, Serve

from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.database import Database
from clew.core.errors import ConfigurationError, InternalError, TransientError
from clew.core.journal import Ending, Journal, State, Wanted, Write
from clew.core.presence import Presence
from clew.core.reconcile import reconcile
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

Wires = Callable[[Write], Awaitable[tuple[Connector, Wire] | None]]


@pytest.fixture
async def wires() -> AsyncIterator[Callable[[str], Wires]]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        connector = make_connector()

        def at(url: str) -> Wires:
            async def way(row: Write) -> tuple[Connector, Wire] | None:
                return connector, Wire(connector, CONNECTION, None, client, base_url=url)

            return way

        yield at


async def nowhere(row: Write) -> None:
    """This process does not serve the connector."""


async def leave(journal: Journal, database: Database, tool: str, state: State = State.SENT) -> Write:
    """A row as a killed process leaves it."""
    row, made = await journal.claim(Wanted(CONNECTION, tool, {"text": "a"}, None, 600.0), state=state)
    assert made
    await database.execute("UPDATE writes SET lease_ends = 0 WHERE id = ?", row.id)
    return row


async def now(journal: Journal, row: Write) -> Write:
    found = await journal.get(row.id)
    assert found is not None
    return found


async def test_what_was_never_sent_did_not_happen(journal: Journal, database: Database) -> None:
    row = await leave(journal, database, "add_plain", State.INTENDED)
    assert [each.id for each in await reconcile(journal, nowhere)] == [row.id]
    assert (await now(journal, row)).state is State.NOT_APPLIED


async def test_what_may_have_happened_and_cannot_be_seen_is_unknown(
    journal: Journal, database: Database, wires: Callable[[str], Wires]
) -> None:
    row = await leave(journal, database, "add_plain")
    other = await leave(journal, database, "add_looked")
    assert await reconcile(journal, nowhere) == []
    assert {(await now(journal, each)).state for each in (row, other)} == {State.UNKNOWN}
    assert await reconcile(journal, wires("http://127.0.0.1:9"), every=True) == []
    assert (await now(journal, row)).state is State.UNKNOWN


@pytest.mark.parametrize("there", [True, False])
async def test_a_look_settles_it_and_nothing_is_sent(
    journal: Journal,
    database: Database,
    wires: Callable[[str], Wires],
    serve: Serve,
    reply: Build,
    there: bool,
) -> None:
    row = await leave(journal, database, "add_looked")
    url, requests = await serve(reply(200, [{"id": 7}] if there else []))
    assert len(await reconcile(journal, wires(url))) == 1
    found = await now(journal, row)
    assert (found.state, found.settled_by) == (State.APPLIED if there else State.NOT_APPLIED, "look")
    assert await journal.answer(found) == ({"result": {"id": 7}} if there else None)
    assert all(request.startswith(b"GET") for request in requests)


async def test_what_is_held_or_was_looked_at_just_now_waits(
    journal: Journal, database: Database, wires: Callable[[str], Wires], serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, [{"id": 7}]))
    row, _ = await journal.claim(Wanted(CONNECTION, "add_looked", {"text": "a"}, None, 600.0), state=State.SENT)
    assert await reconcile(journal, wires(url)) == []
    await journal.finish(row, Ending(state=State.UNKNOWN))
    await database.execute("UPDATE writes SET created_at = created_at - 100")
    assert await reconcile(journal, wires(url)) == []
    assert requests == []


async def test_a_store_of_arguments_that_does_not_open_is_left_for_a_person(
    journal: Journal, database: Database, wires: Callable[[str], Wires]
) -> None:
    row = await leave(journal, database, "add_looked")
    await database.execute("UPDATE writes SET arguments = ?", b"x" * 40)
    assert await reconcile(journal, wires("http://127.0.0.1:9")) == []
    await database.execute("UPDATE writes SET arguments = NULL")
    assert await reconcile(journal, wires("http://127.0.0.1:9")) == []
    assert (await now(journal, row)).state is State.SENT


async def test_two_that_take_a_row_get_it_once(journal: Journal, database: Database) -> None:
    row = await leave(journal, database, "add_plain")
    other = Journal(database, PaddedSealer())
    taken = await other.take(row, State.UNKNOWN)
    assert taken is not None
    assert await journal.take(row, State.UNKNOWN) is None
    assert not await journal.finish(row, Ending(state=State.APPLIED))
    assert not await journal.mark_sent(row)
    assert not await journal.extend(row)
    assert not await journal.complete(row.id)
    assert await other.finish(taken, Ending(state=State.UNKNOWN))
    assert await journal.complete(row.id, state=State.NOT_APPLIED, by="person")
    assert (await now(journal, row)).settled_by == "person"
    assert not await journal.complete("0" * 24)
    other.presence.leave()


async def test_old_answers_and_rows_are_forgotten_but_not_what_is_open(journal: Journal, database: Database) -> None:
    rows = [await leave(journal, database, tool) for tool in ("add_plain", "add_looked", "add_keyed")]
    for row, state in zip(rows, (State.APPLIED, State.APPLIED, State.UNKNOWN), strict=True):
        await journal.finish(row, Ending(state=state, answer={"result": {}}))
    await database.execute("UPDATE writes SET ended_at = ended_at - 100, created_at = created_at - 100")
    await journal.prune(answers_after=50, rows_after=1000)
    kept = {row.tool: row.sealed_answer is not None for row in await journal.rows()}
    assert kept == {"add_plain": False, "add_looked": False, "add_keyed": True}
    await journal.prune(answers_after=50, rows_after=50)
    assert [row.tool for row in await journal.rows(tenant="local")] == ["add_keyed"]
    assert await journal.rows(tenant="other") == []
    assert await journal.rows(states=(State.APPLIED,)) == []


async def test_an_answer_of_another_row_does_not_open(journal: Journal, database: Database) -> None:
    rows = [await leave(journal, database, tool) for tool in ("add_plain", "add_looked")]
    for row in rows:
        await journal.finish(row, Ending(state=State.APPLIED, answer={"result": {"id": row.tool}}))
    first, second = [await now(journal, row) for row in rows]
    await database.execute("UPDATE writes SET answer = ? WHERE id = ?", second.sealed_answer, first.id)
    with pytest.raises(InternalError):
        await journal.answer(await now(journal, first))


async def test_a_store_that_is_gone_refuses_before_anything_is_sent(
    journal: Journal, database: Database, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "postgres":
        pytest.skip("SQLite's lock is the quick way to a store that does not answer")
    monkeypatch.setattr("clew.core.journal._PATIENCE", 0.0)
    monkeypatch.setattr(database, "_patience", 0.0)
    import sqlite3

    path = getattr(database, "path", None)
    other = sqlite3.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match=r"Nothing was sent\."):
        await journal.claim(Wanted(CONNECTION, "add_plain", {}, None, 600.0), state=State.SENT)
    other.execute("ROLLBACK")
    other.close()


async def test_equal_writes_of_two_accounts_are_two(journal: Journal) -> None:
    other = Connection("local", "notes", "home")
    for connection in (CONNECTION, other):
        _, made = await journal.claim(Wanted(connection, "add_plain", {}, None, 600.0), state=State.SENT)
        assert made


async def test_after_the_window_an_equal_write_is_a_new_one(journal: Journal, database: Database) -> None:
    wanted = Wanted(CONNECTION, "add_plain", {}, None, 5.0)
    for expected in (True, False, True):
        row, made = await journal.claim(wanted, state=State.SENT)
        assert made is expected
        if made:
            await journal.finish(row, Ending(state=State.APPLIED))
        else:
            await database.execute("UPDATE writes SET ended_at = ended_at - 6")


def test_a_process_is_seen_until_it_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "writers"
    mine, theirs = Presence(folder), Presence(folder)
    name = theirs.appear()
    assert theirs.appear() == name
    assert not mine.is_gone(name)
    assert not theirs.is_gone(name)
    theirs.leave()
    theirs.leave()
    assert mine.is_gone(name)
    assert not mine.is_gone("n0123")
    assert not Presence(None).is_gone(name)
    assert not Presence(tmp_path / "nowhere").is_gone(name)


def test_a_killed_process_is_gone_and_its_name_is_swept(tmp_path: Path) -> None:
    mine, out = Presence(tmp_path), os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        os.write(out[1], mine.appear().encode())
        os._exit(0)
    name = os.read(out[0], 100).decode()
    os.waitpid(pid, 0)
    for descriptor in out:
        os.close(descriptor)
    assert mine.is_gone(name)
    assert not (tmp_path / name).exists()


def test_where_files_cannot_be_made_or_read_leases_alone_decide(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nobody = Presence(tmp_path / "file" / "writers")
    assert nobody.appear().startswith("n")
    nobody.leave()
    (tmp_path / "f1").mkdir()
    assert not Presence(tmp_path).is_gone("f1")


def test_what_cannot_work_is_refused_when_it_is_declared() -> None:
    from clew.core import once

    async def find() -> None:
        """Nothing."""

    assert once.check_declared("t", None, None) is None
    assert once.check_declared("t", None, find) == once.Look(find)
    with pytest.raises(ConfigurationError, match="either header= or field="):
        once.ProviderKey()
    with pytest.raises(ConfigurationError, match=r"needs \{marker\}"):
        once.Marker(field="text", text="mark")
    with pytest.raises(ConfigurationError, match="needs verify="):
        once.check_declared("t", once.Marker(field="text"), None)


def test_a_key_or_a_mark_is_put_into_a_body() -> None:
    from clew.core.once import fill

    assert fill(None, "id", "k", add=False) == {"id": "k"}
    assert fill({"id": "own"}, "id", "k", add=False) == {"id": "own"}
    assert fill({"a": {"b": 1}}, "a.c", "k", add=False) == {"a": {"b": 1, "c": "k"}}
    assert fill({"a": '{"b": 1}'}, "a.c", "k", add=False) == {"a": '{"b": 1, "c": "k"}'}
    assert fill({"text": "hello"}, "text", " [m]", add=True) == {"text": "hello [m]"}
    rows: dict[str, Any] = {"a": [{"k": "x", "v": ""}, {"k": "y"}]}
    assert fill(rows, "a.0.v", "m", add=True) == {"a": [{"k": "x", "v": "m"}, {"k": "y"}]}
    assert rows["a"][0]["v"] == ""
