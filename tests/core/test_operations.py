"""A workflow whose caller has gone with a handle: what the journal says of it, and who goes on with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.core.test_workflow import paths, shop
from tests.core.writes import CONNECTION, Writer
from tests.loopback import Build, Serve

from clew.core.call import Call, Walk
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import CallError, NotFoundError
from clew.core.journal import RUNNING, Journal, State, Write
from clew.core.operations import operation
from clew.core.reconcile import reconcile
from clew.core.wire import Wire
from clew.core.writing import Writing

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

GIVEN = {"room": 3, "request_id": "one"}


@pytest.fixture
async def writer(journal: Journal) -> AsyncIterator[Writer]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield Writer(client, journal, shop)


class Gate:
    """An answer that waits until it may go."""

    def __init__(self, answer: bytes) -> None:
        self.asked, self.open = asyncio.Event(), asyncio.Event()
        self._answer = answer

    async def __call__(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.open.wait()
        out.write(self._answer)
        await out.drain()


def made(writer: Writer, url: str, **facts: Any) -> Call:
    wire = Wire(shop, CONNECTION, None, writer.client, base_url=url)
    arguments = facts.pop("arguments", GIVEN)
    return Call(shop.tools["meet"], arguments, CONNECTION, wire, Deadline.after(10), **facts)


async def promised(writer: Writer, call: Call, gate: Gate) -> tuple["asyncio.Task[dict[str, Any]]", str]:
    """The call under way at the gate, and its handle."""
    walk = Walk(sink=writer.records.append, journal=writer.journal)
    task = asyncio.ensure_future(walk(call))
    await gate.asked.wait()
    assert isinstance(call.trail.writing, Writing)
    handle = await call.trail.writing.promise()
    assert handle is not None
    return task, handle


async def row_of(journal: Journal, handle: str) -> Write:
    row = await journal.get(handle)
    assert row is not None
    return row


async def test_it_says_how_far_it_is_and_how_it_ended(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    gate = Gate(reply(201, {"id": 7}))
    url, _ = await serve(reply(200, {"id": 3}), gate, reply(201, {}))
    call = made(writer, url)
    task, handle = await promised(writer, call, gate)
    said = await operation(journal, await row_of(journal, handle))
    assert (said.state, said.result) == ("running", None)
    assert [(each.tool, each.state) for each in said.steps] == [("get_room", "applied"), ("book", "sent")]
    late = await writer.call(url, "meet", GIVEN, seconds=0.6)
    assert late["accepted"]["operation"] == handle
    gate.open.set()
    assert await task == {"id": 7}
    said = await operation(journal, await row_of(journal, handle))
    assert (said.state, said.result, said.undone) == ("applied", {"id": 7}, ())
    assert said.updated >= said.row.created_at
    assert isinstance(call.trail.writing, Writing)
    assert await call.trail.writing.promise() is None


async def test_a_refusal_is_kept_with_what_was_undone(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    gate = Gate(reply(404, {}))
    url, _ = await serve(reply(200, {"id": 3}), reply(201, {"id": 7}), gate, reply(201, {}))
    task, handle = await promised(writer, made(writer, url), gate)
    gate.open.set()
    with pytest.raises(NotFoundError):
        await task
    said = await operation(journal, await row_of(journal, handle))
    assert (said.state, said.undone) == ("not_applied", ("book",))
    assert said.error is not None
    assert said.error["code"] == "not_found"


async def test_one_that_stops_on_the_way_says_where(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    gate = Gate(reply(429, {}, retry_after="900"))
    url, _ = await serve(reply(200, {"id": 3}), reply(201, {"id": 7}), gate)
    task, handle = await promised(writer, made(writer, url), gate)
    gate.open.set()
    with pytest.raises(CallError):
        await task
    said = await operation(journal, await row_of(journal, handle))
    assert said.state == "unknown"
    assert said.error is not None
    assert "stopped at step 3 (invite)" in said.error["message"]


async def test_what_is_cut_off_is_let_go_of_and_gone_on_with(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    gate = Gate(b"")
    url, requests = await serve(reply(200, {"id": 3}), reply(201, {"id": 7}), gate, reply(201, {}))
    task, handle = await promised(writer, made(writer, url), gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await row_of(journal, handle)
    assert (row.state, row.pending, journal.is_held(row)) == (State.SENT, RUNNING, False)
    assert (await operation(journal, row)).state == "running"

    async def nowhere(_: Write) -> tuple[Connector, Wire] | None:
        return None

    (step,) = [each for each in await journal.rows() if each.tool == "invite"]
    await journal.complete(step.id, state=State.NOT_APPLIED)
    assert await reconcile(journal, nowhere, every=True) == []
    assert (await row_of(journal, handle)).pending == RUNNING  # only who serves it goes on with it
    arguments = await journal.arguments(row)
    assert arguments == {"room": 3}
    again = made(writer, url, arguments=arguments, row=handle, settled=True)
    assert await Walk(sink=writer.records.append, journal=journal).step(again) == {"id": 7}
    assert paths(requests) == ["/rooms/3", "/bookings", "/invitations", "/invitations"]
    assert (await row_of(journal, handle)).pending is None


async def test_a_promise_can_be_taken_back(writer: Writer, journal: Journal, serve: Serve, reply: Build) -> None:
    gate = Gate(b"")
    url, _ = await serve(reply(200, {"id": 3}), gate)
    call = made(writer, url)
    task, handle = await promised(writer, call, gate)
    assert isinstance(call.trail.writing, Writing)
    await call.trail.writing.forsake("cancelled")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await row_of(journal, handle)
    assert (row.state, row.pending, row.code) == (State.UNKNOWN, None, "cancelled")
    assert not await journal.forsake(handle, code="cancelled")
    assert (await operation(journal, row)).state == "unknown"
