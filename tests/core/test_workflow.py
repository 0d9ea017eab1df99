"""Workflows: steps done once, told again after a crash, taken back in reverse when a later one is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from tests.core.writes import CONNECTION, PaddedSealer, Writer
from tests.loopback import Build, Serve

from clew.core.api import Api
from clew.core.connector import Connector
from clew.core.database import open_database
from clew.core.errors import CallError, ConfigurationError, Outcome
from clew.core.host import Question, SilentHost
from clew.core.journal import Journal, State, Wanted, open_journal
from clew.core.workflow import Flow

pytestmark = pytest.mark.anyio


class Room(BaseModel):
    id: int


shop = Connector("shop", "https://api.shop.example")


@shop.read
async def get_room(api: Api, room: int) -> Room:
    """Read a room."""
    return await api.get("/rooms/{}", room, into=Room)


@shop.write
async def book(api: Api, room: int) -> Room:
    """Book a room."""
    return await api.post("/bookings", json={"room": room}, into=Room)


@shop.write
async def cancel(api: Api, booking: int) -> None:
    """Cancel a booking."""
    await api.post("/cancellations", json={"booking": booking})


@shop.write
async def invite(api: Api, booking: int) -> None:
    """Invite people."""
    await api.post("/invitations", json={"booking": booking})


@shop.destructive(preview=get_room)
async def demolish(api: Api, room: int) -> None:
    """Demolish a room."""
    await api.delete("/rooms/{}", room)


@shop.workflow()
async def meet(flow: Flow, room: int) -> Room:
    """Book a room and invite people."""
    found = await flow.step(get_room, room=room)
    booked = await flow.step(book, lambda made: (cancel, {"booking": made.id}), room=found.id)
    await flow.step(invite, booking=booked.id)
    return booked


@shop.workflow()
async def meet_for_good(flow: Flow, room: int) -> Room:
    """The same, without a way back."""
    booked = await flow.step(book, room=room)
    await flow.step(invite, booking=booked.id)
    return booked


@shop.workflow()
async def unasked(flow: Flow, room: int) -> None:
    """Demolish without a question."""
    await flow.step(demolish, room=room)


@shop.workflow(preview=get_room)
async def asked(flow: Flow, room: int) -> None:
    """Demolish after a question."""
    await flow.step(demolish, room=room)


@shop.workflow()
async def wrong(flow: Flow, how: str) -> None:
    """Do what a workflow cannot."""
    await (flow.step(_elsewhere) if how == "stranger" else flow.step(book, None, 3))


async def _elsewhere(api: Api) -> None:
    """No tool."""


class Person(SilentHost):
    asks = True

    def __init__(self) -> None:
        self.asked = 0

    async def confirm(self, question: Question) -> bool:
        self.asked += 1
        return True


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    database = await open_database(tmp_path / "clew.db")
    opened = await open_journal(database, PaddedSealer())
    yield opened
    opened.presence.leave()
    await database.close()


@pytest.fixture
async def writer(journal: Journal) -> AsyncIterator[Writer]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield Writer(client, journal, shop)


def paths(requests: list[bytes]) -> list[str]:
    return [request.split(b" ")[1].decode() for request in requests]


async def failed(writer: Writer, url: str, tool: str, **arguments: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await writer.call(url, tool, arguments)
    return caught.value


async def test_steps_are_done_in_order_and_told_again(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {"id": 3}), reply(201, {"id": 7}), reply(201, {}))
    for _ in range(2):
        assert await writer.call(url, "meet", {"room": 3, "request_id": "one"}) == {"id": 7}
    assert paths(requests) == ["/rooms/3", "/bookings", "/invitations"]
    assert {row.state for row in await journal.rows()} == {State.APPLIED}


async def test_it_goes_on_where_it_stopped(writer: Writer, serve: Serve, reply: Build) -> None:
    ok = reply(200, {"id": 3}), reply(201, {"id": 7})
    url, requests = await serve(*ok, reply(429, {}, retry_after="900"), reply(201, {}))
    error = await failed(writer, url, "meet", room=3, request_id="one")
    assert (error.code, error.outcome) == ("rate_limited", Outcome.UNKNOWN)
    assert "stopped at step 3 (invite); done before: book" in error.message
    assert await writer.call(url, "meet", {"room": 3, "request_id": "one"}) == {"id": 7}
    assert paths(requests) == ["/rooms/3", "/bookings", "/invitations", "/invitations"]


async def test_a_refused_step_has_the_steps_before_it_undone(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    ok = reply(200, {"id": 3}), reply(201, {"id": 7})
    url, requests = await serve(*ok, reply(422, {}), reply(200, {}), *ok, reply(201, {}))
    error = await failed(writer, url, "meet", room=3, request_id="one")
    assert (error.code, error.outcome) == ("invalid_input", Outcome.NOT_APPLIED)
    assert "Undone: book" in error.message
    assert paths(requests)[-1] == "/cancellations"
    assert await writer.call(url, "meet", {"room": 3, "request_id": "one"}) == {"id": 7}
    assert len(requests) == 7


async def test_an_undoing_that_was_cut_off_goes_on_and_never_forward(
    writer: Writer, serve: Serve, reply: Build
) -> None:
    ok = reply(200, {"id": 3}), reply(201, {"id": 7})
    slow = reply(429, {}, retry_after="900")
    url, requests = await serve(*ok, reply(422, {}), slow, reply(200, {}))
    error = await failed(writer, url, "meet", room=3, request_id="one")
    assert (error.outcome, "undoing book" in error.message) == (Outcome.UNKNOWN, True)
    error = await failed(writer, url, "meet", room=3, request_id="one")
    assert (error.code, error.outcome) == ("invalid_input", Outcome.NOT_APPLIED)
    assert paths(requests)[-2:] == ["/cancellations", "/cancellations"]


async def test_an_undoing_that_was_killed_at_its_beginning_is_begun_again(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    ok = reply(200, {"id": 3}), reply(201, {"id": 7})
    url, _ = await serve(*ok, reply(429, {}, retry_after="900"), reply(422, {}), reply(200, {}))
    await failed(writer, url, "meet", room=3, request_id="one")
    (flow,) = [row for row in await journal.rows() if row.tool == "meet"]
    note = Wanted(flow.connection, "meet undo", {}, f"flow {flow.seed} undo", 0.0)
    await journal.claim(note, state=State.INTENDED)
    error = await failed(writer, url, "meet", room=3, request_id="one")
    assert (error.code, error.outcome) == ("invalid_input", Outcome.NOT_APPLIED)


async def test_an_undoing_by_two_is_refused_to_one(journal: Journal) -> None:
    note = Wanted(CONNECTION, "meet undo", {}, "flow x undo", 0.0)
    row, _ = await journal.claim(note, state=State.INTENDED)
    assert await journal.take(row, State.INTENDED) is not None
    assert await journal.take(row, State.INTENDED) is None


async def test_what_cannot_be_undone_stops_at_a_named_step(writer: Writer, serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(201, {"id": 7}), reply(422, {}), reply(201, {}))
    error = await failed(writer, url, "meet_for_good", room=3, request_id="one")
    assert (error.outcome, "stopped at step 2 (invite)" in error.message) == (Outcome.UNKNOWN, True)
    await writer.call(url, "meet_for_good", {"room": 3, "request_id": "one"})
    assert paths(requests) == ["/bookings", "/invitations", "/invitations"]


async def test_a_first_step_that_is_refused_is_a_plain_refusal(writer: Writer, serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(404, {}))
    error = await failed(writer, url, "meet", room=3)
    assert (error.code, error.outcome) == ("not_found", Outcome.NOT_APPLIED)


async def test_a_person_is_asked_once_for_all_of_it(writer: Writer, serve: Serve, reply: Build) -> None:
    shown = reply(200, {"id": 3})
    url, requests = await serve(shown, reply(429, {}, retry_after="900"), shown, reply(204))
    person = Person()
    arguments = {"room": 3, "request_id": "one"}
    with pytest.raises(CallError):
        await writer.call(url, "asked", arguments, host=person)
    await writer.call(url, "asked", arguments, host=person)
    await writer.call(url, "asked", arguments, host=person)
    assert len(requests) == 4
    assert person.asked == 2  # the first attempt changed nothing, so the second one was a new action


@pytest.mark.parametrize(("tool", "words"), [("unasked", "needs preview="), ("wrong", "no tool of its connector")])
async def test_a_wrong_workflow_is_named(writer: Writer, tool: str, words: str) -> None:
    arguments = {"room": 3} if tool == "unasked" else {"how": "stranger"}
    with pytest.raises(CallError, match="failed inside the connector") as caught:
        await writer.call("http://127.0.0.1:9", tool, arguments)
    assert words in str(caught.value.__cause__)
    with pytest.raises(CallError):
        await writer.call("http://127.0.0.1:9", "wrong", {"how": "by position"})


async def test_without_a_journal_there_is_no_workflow(writer: Writer) -> None:
    writer.journal = None
    with pytest.raises(CallError) as caught:
        await writer.call("http://127.0.0.1:9", "meet", {"room": 3})
    assert isinstance(caught.value.__cause__, ConfigurationError)
