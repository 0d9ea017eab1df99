"""What needs a person: nothing happens before a clear yes to a question that shows the object as we fetched it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field
from tests.loopback import Build, Serve

from clew.core.api import Api
from clew.core.call import Suspend
from clew.core.connector import Connector
from clew.core.errors import (
    ApprovalRequiredError,
    DeniedError,
    InternalError,
    InvalidInputError,
    NotFoundError,
    Outcome,
)
from clew.core.host import Question, SilentHost
from clew.core.policy import Policy

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


@acme.destructive(preview=get_note)
async def delete_note(api: Api, note_id: int, filter: Annotated[Filter | None, Field()] = None) -> None:
    """Delete a note."""
    await api.delete("/notes/{}", note_id)


@acme.read
async def peek_and_delete(api: Api, note_id: int) -> None:
    """Pretend to look."""
    await api.delete("/notes/{}", note_id)


@acme.destructive(preview=peek_and_delete)
async def purge_note(api: Api, note_id: int) -> None:
    """Delete a note for good."""
    await api.delete("/notes/{}", note_id)


class Person(SilentHost):
    """A host with a person behind it who answers as told."""

    asks = True

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    async def confirm(self, question: Question) -> bool:
        self.asked.append(question)
        if isinstance(self.answer, BaseException):
            raise self.answer
        answer: bool = self.answer
        return answer

    async def progress(self, message: str) -> None:
        return


async def test_bad_arguments_stop_before_anything_is_sent_or_asked(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {}))
    person = Person(True)
    for arguments in ({}, {"note_id": "x"}, {"note_id": 7, "more": 1}):
        error = await office.failed("delete_note", url, arguments=arguments, host=person)
        assert isinstance(error, InvalidInputError)
    assert (requests, person.asked) == ([], [])


async def test_what_the_policy_denies_does_not_happen(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(200, {"id": 7}))
    policy = Policy(read_only=True)
    for tool, arguments in (("add_note", {"text": "x"}), ("delete_note", {"note_id": 7})):
        error = await office.failed(tool, url, arguments=arguments, policy=policy, host=Person(True))
        assert isinstance(error, DeniedError)
        assert tool in error.message
    assert requests == []
    assert await office.call("get_note", url, arguments={"note_id": 7}, policy=policy) == {"id": 7}


async def test_a_person_sees_the_object_as_we_fetched_it_and_agrees(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {"id": 7, "text": "hello"}), reply(204))
    person = Person(True)
    arguments = {"note_id": 7, "filter": {"word": "x"}}
    assert await office.call("delete_note", url, arguments=arguments, host=person) == {"done": True}
    (question,) = person.asked
    assert question.tool == "delete_note"
    assert question.arguments == {"note_id": 7, "filter": {"word": "x"}}
    assert question.preview == {"id": 7, "text": "hello"}
    assert [request.split()[0] for request in requests] == [b"GET", b"DELETE"]
    assert office.record.outcome == "applied"


async def test_the_usual_policy_asks_before_a_write_that_has_no_preview(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    person = Person(True)
    await office.call("add_note", url, arguments={"text": "x"}, host=person, policy=Policy())
    assert [(each.tool, each.arguments, each.preview) for each in person.asked] == [("add_note", {"text": "x"}, {})]
    assert len(requests) == 1


@pytest.mark.parametrize("answer", [False, None, 0, "no", "yes", 1, "true"])
async def test_anything_but_a_clear_yes_is_a_no(office: "Office", serve: Serve, reply: Build, answer: Any) -> None:
    url, requests = await serve(reply(200, {"id": 7}))
    error = await office.failed("delete_note", url, arguments={"note_id": 7}, host=Person(answer))
    assert isinstance(error, DeniedError)
    assert error.outcome is Outcome.NOT_APPLIED
    assert [request.split()[0] for request in requests] == [b"GET"]


async def test_a_host_that_cannot_ask_or_fails_to_ask_stops_the_call(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {"id": 7}))
    arguments = {"note_id": 7}
    assert isinstance(await office.failed("delete_note", url, arguments=arguments), ApprovalRequiredError)
    error = await office.failed("delete_note", url, arguments=arguments, host=Person(RuntimeError("secret")))
    assert isinstance(error, InternalError)
    assert error.outcome is Outcome.NOT_APPLIED
    assert {request.split()[0] for request in requests} == {b"GET"}


async def test_a_preview_that_fails_stops_the_call_before_the_question(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, _ = await serve(reply(404))
    person = Person(True)
    error = await office.failed("delete_note", url, arguments={"note_id": 7}, host=person)
    assert isinstance(error, NotFoundError)
    assert person.asked == []


async def test_a_preview_cannot_change_anything(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(204))
    error = await office.failed("purge_note", url, arguments={"note_id": 7}, host=Person(True))
    assert isinstance(error, InternalError)
    assert requests == []


async def test_a_question_for_another_round_passes_through_and_is_recorded_as_asked(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {"id": 7}))
    with pytest.raises(Suspend):
        await office.call("delete_note", url, arguments={"note_id": 7}, host=Person(Suspend()))
    assert (office.record.code, office.record.outcome) == ("asked", "not_applied")
    assert {request.split()[0] for request in requests} == {b"GET"}
    assert not issubclass(Suspend, Exception)


async def test_an_interrupted_call_is_not_recorded_as_ok(office: "Office", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(200, {"id": 7}))
    with pytest.raises(SystemExit):
        await office.call("delete_note", url, arguments={"note_id": 7}, host=Person(SystemExit()))
    assert (office.record.code, office.record.outcome) == ("cancelled", "not_applied")


class SlowPerson(Person):
    """Takes longer than the whole call may."""

    asks = True

    async def confirm(self, question: Question) -> bool:
        await asyncio.sleep(0.6)  # the behaviour under test is time going by
        return await super().confirm(question)


async def test_the_clock_of_a_call_stops_while_a_person_thinks(office: "Office", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(200, {"id": 7, "text": "x"}), reply(204))
    await office.call("delete_note", url, arguments={"note_id": 7}, host=SlowPerson(True), seconds=0.5)
    assert len(requests) == 2


async def test_arguments_that_are_no_json_are_refused_and_the_record_says_what_it_lacks(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {}))
    around: list[Any] = []
    around.append(around)
    error = await office.failed("add_note", url, arguments={"text": around})
    assert isinstance(error, InvalidInputError)
    assert (office.record.note, requests) == ("The arguments could not be read.", [])
