"""How a write ends: what refusals, lost answers, looks and cuts say about it, and what is told again afterwards."""

import asyncio
from typing import Any

import pytest
from tests.core.writes import CONNECTION, Writer, drop, only
from tests.loopback import Build, Serve

from clew.core.database import Database
from clew.core.errors import (
    ActionRequiredError,
    AlreadyDoneError,
    CallError,
    ContractChangedError,
    Outcome,
    OutcomeUnknownError,
    Retry,
)
from clew.core.host import Question, SilentHost
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio


async def failed(writer: Writer, url: str, tool: str, seconds: float = 10.0, **arguments: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await writer.call(url, tool, {"text": "a", "request_id": "one", **arguments}, seconds=seconds)
    return caught.value


async def again(writer: Writer, url: str, tool: str) -> dict[str, Any]:
    return await writer.call(url, tool, {"text": "a", "request_id": "one"})


class Person(SilentHost):
    asks = True

    def __init__(self) -> None:
        self.asked = 0

    async def confirm(self, question: Question) -> bool:
        self.asked += 1
        return True


async def test_a_key_in_the_body_and_an_id_of_ours_stay_the_same(writer: Writer, serve: Serve, reply: Build) -> None:
    for tool, part in (("add_field", b'"meta":{"key":"'), ("add_chosen", b'"id":"')):
        url, requests = await serve(drop, reply(201, {"id": 7}))
        await again(writer, url, tool)
        first, second = (request.split(part)[1][:32] for request in requests)
        assert first == second


async def test_an_id_that_is_taken_after_a_lost_answer_is_ours(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(drop, reply(409, {"code": "taken"}))
    error = await failed(writer, url, "add_chosen")
    assert (error.code, error.outcome) == ("already_done", Outcome.APPLIED)
    assert (await only(journal)).state is State.APPLIED


@pytest.mark.parametrize("there", [True, False])
async def test_a_guarded_write_that_is_refused_after_a_lost_answer_is_looked_at(
    writer: Writer, journal: Journal, serve: Serve, reply: Build, there: bool
) -> None:
    found = reply(200, [{"id": 1}] if there else [])
    url, _ = await serve(drop, reply(412, {}), found)
    if there:
        await writer.call(url, "change_note", {"text": "a", "etag": "1", "request_id": "one"})
    else:
        assert (await failed(writer, url, "change_note", etag="1")).outcome is Outcome.NOT_APPLIED
    assert (await only(journal)).state is (State.APPLIED if there else State.NOT_APPLIED)


async def test_already_done_after_a_lost_answer_brings_the_result_when_it_can_be_read(
    writer: Writer, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(drop, reply(409, {"code": "done"}), reply(200, [{"id": 1}]))
    assert await writer.call(url, "change_note", {"text": "a", "etag": "1"}) == {"id": 1}


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (422, {}, State.NOT_APPLIED),
        (409, {"code": "key_in_use"}, State.UNKNOWN),
        (403, {}, State.UNKNOWN),
        (429, {}, State.UNKNOWN),
    ],
)
async def test_what_a_refused_repeat_says_about_the_first_request(
    writer: Writer, journal: Journal, serve: Serve, reply: Build, status: int, body: Any, state: State
) -> None:
    url, _ = await serve(drop, reply(status, body, retry_after="900"))
    error = await failed(writer, url, "add_keyed")
    assert (await only(journal)).state is state
    assert error.outcome is (Outcome.NOT_APPLIED if state is State.NOT_APPLIED else Outcome.UNKNOWN)


async def test_a_stored_fault_is_not_asked_for_again(writer: Writer, serve: Serve, reply: Build) -> None:
    url, requests = await serve(drop, reply(500, {}, idempotent_replayed="true"))
    error = await failed(writer, url, "add_keyed")
    assert (error.code, error.retry) == ("outcome_unknown", Retry.SAME_CALL)
    assert len(requests) == 2


async def test_a_write_stays_repeatable_until_its_key_is_forgotten(
    writer: Writer, journal: Journal, database: Database, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(drop, drop, drop, reply(201, {"id": 7}))
    assert (await failed(writer, url, "add_keyed")).code == "outcome_unknown"
    assert len(requests) == 3
    await database.execute("UPDATE writes SET sent_at = sent_at - 90000")
    error = await failed(writer, url, "add_keyed")
    assert "forgotten its key" in error.message
    assert len(requests) == 3
    await database.execute("UPDATE writes SET sent_at = sent_at + 90000")
    assert await again(writer, url, "add_keyed") == {"id": 7}
    assert (await only(journal)).settled_by == "repeat"


async def test_a_certain_refusal_frees_the_request_id_and_takes_another_key(
    writer: Writer, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(422, {}), reply(201, {"id": 7}))
    assert (await failed(writer, url, "add_keyed")).outcome is Outcome.NOT_APPLIED
    assert await again(writer, url, "add_keyed") == {"id": 7}
    keys = {line for request in requests for line in request.split(b"\r\n") if line.lower().startswith(b"idem")}
    assert len(keys) == 2


async def test_a_marked_write_is_found_by_its_mark(writer: Writer, serve: Serve, reply: Build) -> None:
    url, requests = await serve(drop, reply(200, []), reply(200, [{"id": 7}]))
    assert await again(writer, url, "add_marked") == {"id": 7}
    marker = requests[0].split(b"[")[1].split(b"]")[0]
    assert marker in requests[1]


async def test_what_a_later_look_does_not_find_is_done_by_the_same_call(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(drop, *[reply(503, {})] * 8, reply(200, []), reply(200, []), reply(201, {"id": 7}))
    assert (await failed(writer, url, "add_looked")).outcome is Outcome.UNKNOWN
    url, requests = await serve(reply(200, []), reply(200, []), reply(201, {"id": 7}))
    assert await again(writer, url, "add_looked") == {"id": 7}
    assert [request.split(b" ")[0] for request in requests] == [b"GET", b"GET", b"POST"]


@pytest.mark.parametrize(("status", "sent"), [(200, True), (200, False), (503, False)])
async def test_a_draft_is_looked_at_by_its_reference(
    writer: Writer, journal: Journal, serve: Serve, reply: Build, status: int, sent: bool
) -> None:
    url, requests = await serve(reply(201, {"id": 5}), drop, reply(status, {"id": 5, "sent": sent}))
    if sent:
        assert await again(writer, url, "send_draft") == {"id": 5}
    else:
        await failed(writer, url, "send_draft", seconds=3)
    assert b"/drafts/5 " in requests[2]
    row = await only(journal)
    ends = {(200, True): State.APPLIED, (200, False): State.NOT_APPLIED, (503, False): State.UNKNOWN}
    assert (row.state, row.reference) == (ends[status, sent], "5")


async def test_what_is_accepted_waits_for_its_end(writer: Writer, journal: Journal, serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(202, {"id": 7}))
    result = await again(writer, url, "add_accepted")
    assert result["accepted"]["next"] == "call find_note in a minute"
    (row,) = await journal.find("notes", "note-7")
    assert (row.pending, row.id) == ("accepted", result["accepted"]["write"])
    assert await journal.find("notes", "note-7", tenant="other") == []
    assert await journal.complete(row.id, answer={"result": {"id": 7, "text": "there"}})
    assert not await journal.complete(row.id)
    assert await again(writer, url, "add_accepted") == {"id": 7, "text": "there"}
    assert len(requests) == 1


async def test_what_a_person_must_confirm_is_told_again_until_it_is_settled(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    for _ in range(2):
        error = await failed(writer, url, "add_confirmed")
        assert isinstance(error, ActionRequiredError)
        assert error.url == "https://notes.example/confirm"
    (row,) = await journal.find("notes", "note-7")
    assert await journal.complete(row.id)
    assert isinstance(await failed(writer, url, "add_confirmed"), AlreadyDoneError)
    assert len(requests) == 1


async def test_a_refusal_before_anything_was_made_is_not_pending(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(402, {}))
    await failed(writer, url, "add_plain")
    assert (await only(journal)).state is State.NOT_APPLIED


async def test_an_answer_of_another_shape_is_an_applied_write(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": "seven"}))
    for _ in range(2):
        assert isinstance(await failed(writer, url, "add_plain"), ContractChangedError)
    assert (await only(journal)).state is State.APPLIED
    assert len(requests) == 1


async def test_a_bug_after_a_write_leaves_it_unknown(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(201, {"id": 7}))
    assert (await failed(writer, url, "add_broken")).outcome is Outcome.UNKNOWN
    row = await only(journal)
    assert (row.state, row.code) == (State.UNKNOWN, "internal")
    assert await journal.arguments(row) == {"text": "a"}


async def test_what_changes_nothing_is_no_write(writer: Writer, journal: Journal, serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(200, [{"id": 1}]), reply(200, []), reply(201, {"id": 7}))
    assert await again(writer, url, "read_then_add") == {}
    assert (await only(journal)).state is State.NOT_APPLIED
    assert await again(writer, url, "read_then_add") == {"result": {"id": 7}}
    row = await only(journal)
    assert (row.state, row.attempts) == (State.APPLIED, 1)
    assert len(requests) == 3


async def test_requests_at_once_share_one_row_and_are_told_once(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {}))
    for _ in range(2):
        assert await again(writer, url, "add_both") == {"done": True}
    assert len(requests) == 2
    assert (await only(journal)).attempts == 1


async def test_a_cut_off_call_is_written_down(writer: Writer, journal: Journal, serve: Serve, reply: Build) -> None:
    arrived = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    url, _ = await serve(wait)
    task = asyncio.ensure_future(again(writer, url, "add_plain"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await only(journal)
    assert (row.state, row.code) == (State.UNKNOWN, "cancelled")


async def test_a_write_in_progress_elsewhere_is_waited_for_and_then_said(
    writer: Writer, journal: Journal, database: Database, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    await again(writer, url, "add_plain")
    await database.execute("UPDATE writes SET state = 'sent', lease_ends = ?", await database.now() + 10)
    error = await failed(writer, url, "add_plain", seconds=0.7)
    assert (error.code, error.outcome) == ("transient", Outcome.UNKNOWN)
    assert "in progress" in error.message
    await database.execute("UPDATE writes SET state = 'intended', lease_ends = 0")
    assert await again(writer, url, "add_plain") == {"id": 7}
    assert len(requests) == 2


async def test_a_long_call_keeps_its_row(
    writer: Writer,
    journal: Journal,
    database: Database,
    serve: Serve,
    reply: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clew.core.holding.LEASE_SECONDS", 0.06)
    monkeypatch.setattr("clew.core.holding._MARGIN", 0.0)
    extended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        before = await database.fetch_one("SELECT lease_ends FROM writes")
        while await database.fetch_one("SELECT lease_ends FROM writes") == before:  # noqa: ASYNC110 - a row's change
            await asyncio.sleep(0.01)
        extended.set()
        stream.write(reply(201, {"id": 7}))

    url, _ = await serve(wait)
    assert await again(writer, url, "add_plain") == {"id": 7}
    assert extended.is_set()


async def test_a_result_that_cannot_be_kept_or_read_is_no_lost_write(
    writer: Writer, journal: Journal, database: Database, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    await again(writer, url, "add_plain")
    await database.execute("UPDATE writes SET answer = arguments || answer || answer")
    await database.execute("UPDATE writes SET answer = ?", b"x" * 50)
    error = await failed(writer, url, "add_plain")
    assert (error.code, "no longer kept" in error.next_step) == ("already_done", True)
    assert len(requests) == 1


async def test_a_person_is_not_asked_again_about_what_is_done(writer: Writer, serve: Serve, reply: Build) -> None:
    person = Person()
    url, requests = await serve(reply(200, []), reply(204))
    for _ in range(2):
        await writer.call(url, "delete_note", {"text": "a", "request_id": "one"}, host=person)
    assert person.asked == 1
    assert len(requests) == 2


async def test_a_deletion_that_finds_nothing_after_a_lost_answer_is_done(
    writer: Writer, serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(200, []), drop, reply(404, {}))
    with pytest.raises(AlreadyDoneError):
        await writer.call(url, "delete_note", {"text": "a"}, host=Person())


@pytest.mark.parametrize("there", [True, False])
async def test_a_look_needs_nobodys_yes_but_doing_it_again_does(
    writer: Writer, journal: Journal, database: Database, serve: Serve, reply: Build, there: bool
) -> None:
    person, given = Person(), {"text": "a", "request_id": "one"}
    failing, found = reply(503, {}), reply(200, [{"id": 7}] if there else [])
    url, _ = await serve(reply(200, []), drop, *[failing] * 8, found)
    with pytest.raises(OutcomeUnknownError):
        await writer.call(url, "erase_note", given, host=person)
    url, requests = await serve(found)
    if there:
        assert await writer.call(url, "erase_note", given, host=person) == {"id": 7}
    else:
        with pytest.raises(CallError, match="did not happen"):
            await writer.call(url, "erase_note", given, host=person)
    assert person.asked == 1
    assert all(request.startswith(b"GET") for request in requests)


async def test_what_was_to_be_read_and_is_gone_is_not_done_unasked(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    from clew.core.deadline import Deadline
    from clew.core.journal import Wanted
    from clew.core.writing import Answered, Writing

    wanted = Wanted(CONNECTION, "add_plain", {"text": "a"}, "one", 600.0)
    writing = Writing(journal=journal, wanted=wanted, deadline=Deadline.after(5), approved=False)
    with pytest.raises(Answered):
        await writing.depart(safe=False)
    with pytest.raises(CallError, match="no longer in the journal"):
        writing.said()


async def test_a_call_that_is_cut_off_before_it_sent_says_so(writer: Writer, journal: Journal, serve: Serve) -> None:
    """Cut off between any two steps, the row of the write and its request among them: no row is left as `sent`."""

    async def silent(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    url, requests = await serve(silent)
    for steps in range(60):
        call = asyncio.ensure_future(writer.call(url, "add_plain", {"text": f"n{steps}", "request_id": f"{steps}"}))
        for _ in range(steps):  # the moment of the cut, in turns of the loop
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    rows = await journal.rows()
    assert {row.state for row in rows} <= {State.NOT_APPLIED, State.UNKNOWN}
    assert State.NOT_APPLIED in {row.state for row in rows}
    left = {request.rpartition(b'"text":"')[2].split(b'"')[0].decode() for request in requests}
    assert left <= {f"n{row.request_key.removeprefix('id:')}" for row in rows if row.state is State.UNKNOWN}
