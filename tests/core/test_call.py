"""One call takes a straight walk, and whatever happens on it ends in a result or one honest error, and one record."""

import asyncio
import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field
from tests.loopback import Build, Serve

from clew.core.api import Api
from clew.core.audit import Record
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import (
    ActionRequiredError,
    ConflictError,
    ContractChangedError,
    InternalError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    TransientError,
)
from clew.core.wire import Wire

if TYPE_CHECKING:
    from tests.core.conftest import Office

pytestmark = pytest.mark.anyio


acme = Connector("acme", "https://api.acme.example")


@pytest.fixture
def connector() -> Connector:
    return acme


class Note(BaseModel):
    id: int
    text: str | None = None


class Filter(BaseModel):
    word: str


@acme.read
async def get_note(api: Api, note_id: int, filter: Filter | None = None) -> Note:
    """Read one note."""
    return await api.get("/notes/{}", note_id, into=Note)


@acme.write
async def add_note(api: Api, text: str) -> Note:
    """Add a note."""
    return await api.post("/notes", json={"text": text}, into=Note)


@acme.write
async def add_notes(api: Api, texts: list[str]) -> None:
    """Add several notes."""
    for text in texts:
        await api.post("/notes", json={"text": text})


@acme.write
async def look_only(api: Api) -> None:
    """Change nothing after all."""
    await api.get("/notes/1")


@acme.write
async def add_then_fail(api: Api, how: str) -> None:
    """Add a note and then meet a bug."""
    await api.post("/notes", json={"text": "x"})
    raise {"bug": KeyError("secret"), "missing": NotFoundError("gone."), "taken": ConflictError("taken.")}[how]


LEFT_BEHIND: list["asyncio.Future[Any]"] = []


@acme.write
async def add_in_passing(api: Api) -> None:
    """Leave a write behind and fail."""
    LEFT_BEHIND.append(asyncio.ensure_future(api.post("/notes", json={"text": "x"})))
    raise ConflictError("taken.")


@acme.write
async def pay(api: Api) -> None:
    """Pay, which a person has to confirm."""
    raise ActionRequiredError("the person must confirm it.", url="https://bank.example/3ds")


@acme.read
async def fail(api: Api, why: str) -> None:
    """Meet a bug."""
    raise ValueError(f"secret {why}")


@acme.read
async def lie(api: Api) -> Note:
    """Return another type than it says."""
    payload: Any = {"secret": 1}
    note: Note = payload
    return note


@acme.destructive(preview=get_note)
async def delete_note(api: Api, note_id: int, filter: Annotated[Filter | None, Field()] = None) -> None:
    """Delete a note."""
    await api.delete("/notes/{}", note_id)


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def test_the_walk_prints_its_stages_in_order() -> None:
    assert str(Walk()).splitlines() == [
        "record",
        "check",
        "consent",
        "journal",
        "run",
        "  pin",
        "  limit",
        "  authorize",
        "  send",
        "  learn",
        "  judge",
    ]


async def test_a_read_gives_plain_data_and_a_record(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(500), reply(200, {"id": 7, "text": None}))
    assert await office.call("get_note", url, arguments={"note_id": 7, "filter": '{"word": "x"}'}) == {"id": 7}
    assert len(requests) == 2
    (record,) = office.records
    assert (record.connector, record.tool, record.effect) == ("acme", "get_note", "read")
    assert (record.account, record.tenant, record.code, record.outcome) == ("work", "local", "ok", "not_applied")
    assert [(each.route, each.status) for each in record.attempts] == [("/notes/{}", 500), ("/notes/{}", 200)]
    assert 0 < record.seconds < 10
    assert len(record.reference) == 16


async def test_a_write_is_applied_only_when_something_was_written(office: "Office", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(201, {"id": 7}))
    assert await office.call("add_note", url, arguments={"text": "x"}) == {"id": 7}
    assert office.record.outcome == "applied"
    assert await office.call("look_only", url) == {"done": True}
    assert office.record.outcome == "not_applied"


async def test_every_record_is_written_and_holds_no_argument_and_no_secret(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(422, {"message": "hunter2 is bad"}))
    await office.failed("add_note", url, arguments={"text": "hunter2"})
    await office.failed("add_note", url, arguments={"text": ["hunter2"]})
    await office.failed("fail", url, arguments={"why": "hunter2"})
    await office.failed("delete_note", url, arguments={"note_id": 7})
    assert [record.code for record in office.records] == ["invalid_input", "invalid_input", "internal", "invalid_input"]
    assert "hunter2" not in json.dumps([asdict(record) for record in office.records])


async def test_a_bug_of_ours_is_internal_with_a_reference_and_without_its_text(
    office: "Office", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        error = await office.failed("fail", arguments={"why": "words"})
    assert isinstance(error, InternalError)
    assert error.message == "fail failed inside the connector."
    assert "secret" not in error.as_text()
    assert error.reference is not None
    assert error.reference in caplog.text
    assert "Traceback" in caplog.text


async def test_what_a_person_confirms_elsewhere_is_a_part_of_the_call_and_of_its_record(office: "Office") -> None:
    async def confirmed(call: Call, error: ActionRequiredError) -> dict[str, Any]:
        return {"done": error.url == "https://bank.example/3ds"}

    async def too_late(call: Call, error: ActionRequiredError) -> dict[str, Any]:
        raise error

    assert await office.call("pay", outside=confirmed) == {"done": True}
    assert (office.record.code, office.record.outcome) == ("ok", Outcome.APPLIED)
    for outside in (None, too_late):
        error = await office.failed("pay", outside=outside)
        assert (error.code, error.outcome) == ("action_required", Outcome.NOT_APPLIED)


async def test_a_tool_that_returns_another_type_than_it_says_is_our_fault(office: "Office") -> None:
    error = await office.failed("lie")
    assert isinstance(error, InternalError)
    assert error.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("how", ["bug", "missing", "taken"])
async def test_an_error_after_a_write_of_the_same_call_is_unknown(
    office: "Office", serve: Serve, reply: Build, how: str
) -> None:
    url, _ = await serve(reply(201, {"id": 7}))
    error = await office.failed("add_then_fail", url, arguments={"how": how})
    assert error.outcome is Outcome.UNKNOWN
    assert "secret" not in error.as_text()
    if how != "bug":
        assert error.next_step.startswith("Part of this action has happened.")


async def test_several_writes_that_stop_halfway_are_unknown(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(201, {}), reply(422))
    error = await office.failed("add_notes", url, arguments={"texts": ["a", "b", "c"]})
    assert (error.code, error.outcome) == ("invalid_input", Outcome.UNKNOWN)
    assert "Part of this action has happened" in error.next_step
    assert len(requests) == 2
    url, _ = await serve(reply(422))
    error = await office.failed("add_notes", url, arguments={"texts": ["a", "b"]})
    assert error.outcome is Outcome.NOT_APPLIED


async def test_nothing_leaves_for_a_call_that_has_ended(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(201, {}))
    error = await office.failed("add_in_passing", url)
    assert error.outcome is Outcome.NOT_APPLIED
    with pytest.raises(TransientError, match="the call has ended"):
        await LEFT_BEHIND.pop()
    assert requests == []


async def test_a_write_that_was_answered_in_another_shape_is_applied(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(201, {"note": 7}))
    error = await office.failed("add_note", url, arguments={"text": "x"})
    assert isinstance(error, ContractChangedError)
    assert error.outcome is Outcome.APPLIED


async def test_a_write_whose_answer_was_lost_is_unknown(office: "Office", serve: Serve) -> None:
    url, requests = await serve(drop)
    error = await office.failed("add_note", url, arguments={"text": "x"})
    assert isinstance(error, OutcomeUnknownError)
    assert len(requests) == 1


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("tool", "arguments", "outcome"),
    [("add_note", {"text": "x"}, "unknown"), ("get_note", {"note_id": 7}, "not_applied")],
)
async def test_a_cancelled_call_is_recorded_with_what_may_have_happened(
    office: "Office", serve: Serve, tool: str, arguments: dict[str, Any], outcome: str
) -> None:
    url, requests = await serve(silence)
    task = asyncio.create_task(office.call(tool, url, arguments=arguments))
    async with asyncio.timeout(5):
        while not requests:  # noqa: ASYNC110 - the list is the provider's, it has no event
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (office.record.code, office.record.outcome) == ("cancelled", outcome)


async def test_the_end_of_the_calls_time_is_an_error_like_any_other(office: "Office", serve: Serve) -> None:
    url, _ = await serve(silence)
    error = await office.failed("get_note", url, arguments={"note_id": 7}, seconds=0.1)
    assert isinstance(error, TransientError)


async def test_a_record_that_cannot_be_kept_does_not_turn_a_success_into_an_error(
    office: "Office", serve: Serve, reply: Build, caplog: pytest.LogCaptureFixture
) -> None:
    def full(record: Record) -> None:
        raise OSError("no space left on device")

    url, _ = await serve(reply(201, {"id": 7}))
    connection = Connection(LOCAL_TENANT, "acme", "work")
    wire = Wire(acme, connection, None, office.client, base_url=url)
    call = Call(acme.tools["add_note"], {"text": "x"}, connection, wire, Deadline.after(10))
    with caplog.at_level(logging.ERROR):
        assert await Walk(sink=full)(call) == {"id": 7}
    assert f"the record of call {call.reference} could not be kept" in caplog.text


async def test_the_audit_log_is_the_sink_when_none_is_given(
    office: "Office", serve: Serve, reply: Build, caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = await serve(reply(200, {"id": 7}))
    connection = Connection(LOCAL_TENANT, "acme", "work")
    wire = Wire(acme, connection, None, office.client, base_url=url)
    with caplog.at_level(logging.INFO, "clew.audit"):
        await Walk()(Call(acme.tools["get_note"], {"note_id": 7}, connection, wire, Deadline.after(10)))
    assert json.loads(caplog.messages[-1])["tool"] == "get_note"


async def test_calls_have_references_of_their_own(office: "Office", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(200, {"id": 7}))
    for _ in range(3):
        await office.call("get_note", url, arguments={"note_id": 7})
    assert len({record.reference for record in office.records}) == 3
