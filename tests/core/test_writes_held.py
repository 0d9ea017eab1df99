# pyright: reportPrivateUsage=false
"""Holding a row: who slept too long does not send, who lost the row changes nothing, and a store may fail meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.core.writes import CONNECTION, PaddedSealer, Writer, drop, make_connector

from clew.core import once
from clew.core.api import Api
from clew.core.connector import Connector
from clew.core.database import Database, SqliteDatabase
from clew.core.deadline import Deadline
from clew.core.errors import (
    ApprovalRequiredError,
    ConfigurationError,
    ConflictError,
    ContractChangedError,
    InvalidInputError,
    Outcome,
    OutcomeUnknownError,
    TransientError,
)
from clew.core.journal import Ending, Journal, State, Wanted, open_journal
from clew.core.reconcile import settle
from clew.core.writing import Writing

pytestmark = pytest.mark.anyio

WANTED = Wanted(CONNECTION, "add_plain", {"text": "a"}, "one", 600.0)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "clew.db", patience_seconds=0.1)
    yield opened
    await opened.close()


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    opened = await open_journal(database, PaddedSealer())
    yield opened
    opened.presence.leave()


def make(journal: Journal | None, **facts: Any) -> Writing:
    given: dict[str, Any] = {"journal": journal, "wanted": WANTED, "deadline": Deadline.after(3)}
    return Writing(**(given | facts))


async def test_who_slept_past_the_lease_does_not_send(journal: Journal, database: Database) -> None:
    writing = make(journal)
    await writing.depart(safe=True)
    writing.guard()
    writing._ends = time.monotonic() - 1, time.time() + 100
    with pytest.raises(TransientError, match=r"slept past its time.*nothing was sent"):
        writing.guard()
    await database.execute("UPDATE writes SET lease_ends = 0")
    with pytest.raises(TransientError, match="nothing was sent"):
        await writing.depart(safe=False)
    writing._let_go()
    assert make(None, wanted=None)._provider == "the provider"


async def test_a_lost_row_is_not_renewed_and_a_failing_store_is_tried_again(
    journal: Journal, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("clew.core.journal._PATIENCE", 0.0)
    import sqlite3

    writing = make(journal)
    await writing.depart(safe=False)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await writing._extend()
    assert "could not be renewed" in caplog.text
    await writing.succeeded({"id": 1}, changed=True)
    assert "could not be kept" in caplog.text
    other.execute("ROLLBACK")
    other.execute("UPDATE writes SET owner = 'another'")
    other.close()
    before = writing._renewal
    await writing._extend()
    assert writing._renewal is before
    writing._renew()
    assert writing._renewing is not None
    await asyncio.wait([writing._renewing])
    writing._let_go()


async def test_what_changed_hands_meanwhile_is_left_alone(journal: Journal) -> None:
    row, _ = await journal.claim(WANTED, state=State.SENT)
    taken = await journal.take(row, State.UNKNOWN)
    assert taken is not None
    assert await make(journal)._settle(row) is None
    assert await make(journal, once=once.NaturalKey())._settle(row) is None

    async def wires(each: Any) -> Any:
        connector = make_connector()
        return connector, None

    from dataclasses import replace

    assert not await journal._complete(row, State.APPLIED, None, "event")
    assert not await settle(journal, row, wires)
    assert not await settle(journal, replace(row, tool="add_looked"), wires)
    assert not await settle(journal, replace(row, state=State.INTENDED), wires)
    assert not await settle(journal, replace(taken, tool="add_looked"), _nowhere)


async def test_a_clock_that_was_set_back_stops_no_write(journal: Journal, database: SqliteDatabase) -> None:
    wanted = Wanted(CONNECTION, "add_plain", {}, None, 0.0)
    made_before: list[str] = []
    for _ in range(2):
        row, made = await journal.claim(wanted, state=State.SENT)
        assert made
        await journal.finish(row, Ending(state=State.NOT_APPLIED))
        made_before.append(row.id)
    await database.execute("UPDATE writes SET created_at = 0 WHERE id = ?", made_before[-1])
    row, made = await journal.claim(wanted, state=State.SENT)
    assert made


async def test_a_store_that_is_busy_for_a_moment_is_waited_for(journal: Journal, database: SqliteDatabase) -> None:
    import sqlite3

    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.5, other.execute, "ROLLBACK")
    _, made = await journal.claim(WANTED, state=State.SENT)
    assert made
    other.close()


async def _nowhere(row: Any) -> None:
    """Not served here."""


async def test_a_draft_that_was_never_named_was_not_sent(journal: Journal) -> None:
    writing = make(journal, once=once.Draft())
    await writing.depart(safe=False)
    with pytest.raises(TransientError, match="did not happen"):
        await writing.failed(OutcomeUnknownError("lost."), outcome=Outcome.UNKNOWN)


async def test_a_look_that_does_not_fit_the_deadline_leaves_it_unknown(journal: Journal) -> None:
    async def look(row: Any) -> None:
        raise AssertionError("there was no time for it")

    timing = once.Look(_nowhere, after=30.0)
    writing = make(journal, look=look, timing=timing)
    await writing.depart(safe=False)
    with pytest.raises(OutcomeUnknownError):
        await writing.failed(OutcomeUnknownError("lost."), outcome=Outcome.UNKNOWN)


async def test_a_repeat_whose_answer_has_another_shape_is_applied(journal: Journal) -> None:
    writing = make(journal, once=once.NaturalKey())
    await writing.depart(safe=False)
    writing.doubt = True
    error = ContractChangedError("odd.", outcome=Outcome.APPLIED)
    with pytest.raises(ContractChangedError):
        await writing.failed(error, outcome=Outcome.APPLIED)
    (row,) = await journal.rows()
    assert row.state is State.APPLIED


async def test_what_stops_half_way_says_so(journal: Journal) -> None:
    writing = make(journal)
    await writing.depart(safe=False)
    with pytest.raises(ConflictError) as caught:
        await writing.failed(ConflictError("taken."), outcome=Outcome.UNKNOWN)
    assert (caught.value.outcome, caught.value.next_step[:12]) == (Outcome.UNKNOWN, "Part of this")


async def test_without_a_journal_writes_go_as_ever(serve: Any, reply: Any) -> None:
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        writer = Writer(client, None, make_connector())
        url, requests = await serve(*[reply(201, {"id": 7})] * 3, reply(422, {}), reply(200, []))
        for tool in ("add_keyed", "add_marked", "add_accepted"):
            result = await writer.call(url, tool, {"text": "a"})
            assert result["id"] == 7
        assert b"clew-" not in requests[1]
        with pytest.raises(InvalidInputError):
            await writer.call(url, "add_plain", {"text": "a"})
        with pytest.raises(ApprovalRequiredError):
            await writer.call(url, "delete_note", {"text": "a"})


async def test_the_key_of_a_graphql_mutation_is_one_of_its_variables(journal: Journal, serve: Any, reply: Any) -> None:
    import httpx

    shop = Connector("shop", "https://api.shop.example")

    @shop.write(once=once.ProviderKey(field="key"))
    async def refund(api: Api, order: int) -> dict[str, Any]:
        """Refund an order."""
        text = "mutation ($key: String!, $order: Int!) { refund(order: $order) @idempotent(key: $key) { id } }"
        found: dict[str, Any] = await api.graphql(text, into=dict[str, Any], at="refund", variables={"order": order})
        return found

    url, requests = await serve(reply(200, {"data": {"refund": {"id": 1}}}))
    async with httpx.AsyncClient(trust_env=False) as client:
        await Writer(client, journal, shop).call(url, "refund", {"order": 3})
    assert b'"variables":{"order":3,"key":"' in requests[0]


async def test_a_write_that_reads_first_is_repeated_like_any_other(journal: Journal, serve: Any, reply: Any) -> None:
    import httpx

    notes = Connector("notes", "https://api.notes.example")

    @notes.write(once=once.NaturalKey(field="id"))
    async def add(api: Api, text: str) -> dict[str, Any]:
        """Add a note where notes go."""
        place = await api.get("/place")
        return await api.post("/notes", json={"text": text, "place": place["id"]}, into=dict[str, Any])

    url, requests = await serve(reply(200, {"id": 1}), drop, reply(200, {"id": 1}), reply(201, {"id": 7}))
    async with httpx.AsyncClient(trust_env=False) as client:
        assert await Writer(client, journal, notes).call(url, "add", {"text": "a"}) == {"id": 7}
    posted = [request.partition(b"\r\n\r\n")[2] for request in requests if request.startswith(b"POST")]
    assert len(posted) == 2
    assert posted[0] == posted[1]


@pytest.mark.parametrize("there", [True, False])
async def test_a_repeat_refused_in_unknown_words_is_looked_up_by_our_id(
    journal: Journal, serve: Any, reply: Any, there: bool
) -> None:
    import httpx

    notes = Connector("notes", "https://api.notes.example")

    async def made(api: Api, key: str) -> dict[str, Any] | None:
        found: list[dict[str, Any]] = await api.get("/notes", query={"id": key})
        return found[0] if found else None

    @notes.write(once=once.NaturalKey(field="id"), verify=once.Look(made, after=0.0, tries=1))
    async def add(api: Api, text: str) -> dict[str, Any]:
        """Add a note under an id of ours."""
        return await api.post("/notes", json={"text": text}, into=dict[str, Any])

    url, _ = await serve(drop, reply(422, {"message": "no"}), reply(200, [{"id": 7}] if there else []))
    async with httpx.AsyncClient(trust_env=False) as client:
        writer = Writer(client, journal, notes)
        if there:
            assert await writer.call(url, "add", {"text": "a"}) == {"id": 7}
        else:
            with pytest.raises(TransientError, match="did not happen"):
                await writer.call(url, "add", {"text": "a"})
    (row,) = await journal.rows()
    assert (row.state, row.settled_by) == (State.APPLIED if there else State.NOT_APPLIED, "look")


def test_a_parameter_may_not_be_called_request_id() -> None:
    notes = Connector("notes", "https://api.notes.example")

    @notes.write
    async def add(api: Api, request_id: str) -> None:
        """Add."""

    with pytest.raises(ConfigurationError, match="request_id is the framework's own"):
        _ = notes.tools["add"].signature


def test_a_workflow_may_not_show_what_it_does_not_take() -> None:
    from clew.core.workflow import Flow

    notes = Connector("notes", "https://api.notes.example")

    @notes.read
    async def get(api: Api, note: int) -> None:
        """Get."""

    async def act(flow: Flow, other: int) -> None:
        """Act."""

    with pytest.raises(ConfigurationError, match="its preview takes what it does not"):
        notes.workflow(preview=get)(act)


async def test_a_batch_is_whole_or_nothing(database: SqliteDatabase) -> None:
    await database.migrate("things", ["CREATE TABLE things (name TEXT PRIMARY KEY)"])
    add = "INSERT INTO things (name) VALUES (?)"
    done = await database.batch([(add, ("a",)), ("SELECT name FROM things", ())], durable=False)
    assert (done[0].changed, done[1].rows) == (1, [("a",)])
    with pytest.raises(Exception, match="UNIQUE"):
        await database.batch([(add, ("b",)), (add, ("a",))], durable=False)
    assert await database.fetch_all("SELECT name FROM things") == [("a",)]
    async with database.transaction():
        with pytest.raises(RuntimeError, match="already in a transaction"):
            await database.batch([])
    await journal_of_nothing(database)


async def journal_of_nothing(database: SqliteDatabase) -> None:
    journal = await open_journal(database, PaddedSealer())
    assert await journal.peek(WANTED) is None
    row, _ = await journal.claim(WANTED, state=State.SENT)
    await journal.finish(row, Ending(state=State.APPLIED))
    assert await journal.answer(row) is None
    journal.presence.leave()
