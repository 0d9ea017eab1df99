"""A person approved a write with other arguments: the caller repeats its own, and hears what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.core.writes import PaddedSealer, Writer, drop, only
from tests.loopback import Build, Serve

from clew.core.approvals import Approvals, Edit, Verdict, open_approvals
from clew.core.consent import Consent
from clew.core.database import Database
from clew.core.errors import ConflictError, DeniedError, OutcomeUnknownError
from clew.core.journal import Journal, State
from clew.core.policy import Channel, Policy

pytestmark = pytest.mark.anyio

GIVEN = {"text": "all", "request_id": "one"}


class Desk:
    """Somebody who decides elsewhere while the call waits."""

    def __init__(self, approvals: Approvals) -> None:
        self.approvals = approvals
        self.edit: Edit | None = None
        self.digest = ""

    async def sleep(self, seconds: float) -> None:
        for waiting in await self.approvals.list():
            self.digest = waiting.digest
            verdict = Verdict.DENY if self.edit is None else Verdict.APPROVE
            await self.approvals.vote(waiting.id, verdict, approver="bob", channel=Channel.CLI, edit=self.edit)
        await asyncio.sleep(0)


@pytest.fixture
async def desk(database: Database) -> Desk:
    return Desk(await open_approvals(database, PaddedSealer()))


@pytest.fixture
async def edited(writer: Writer, desk: Desk, serve: Serve, reply: Build) -> Callable[..., Awaitable[dict[str, Any]]]:
    """`edited(url)` is a call for which a person changes "all" into "some"."""
    found = reply(200, [{"id": 7, "text": "x"}])
    preview, _ = await serve(found)
    consent = Consent(Policy(), desk.approvals, sleep=desk.sleep)
    with pytest.raises(DeniedError):  # what the other arguments would look like to a person
        await writer.call(preview, "erase_note", {"text": "some"}, seconds=30, consenting=consent)
    desk.edit = Edit({"text": "some"}, desk.digest)

    async def call(url: str, **more: Any) -> dict[str, Any]:
        return await writer.call(url, "erase_note", {**GIVEN, **more}, seconds=30, consenting=consent)

    return call


async def test_the_same_call_hears_what_was_done_instead(
    edited: Callable[..., Awaitable[dict[str, Any]]], serve: Serve, reply: Build
) -> None:
    found = reply(200, [{"id": 7, "text": "x"}])
    url, requests = await serve(found, found, reply(201, {"id": 7}))
    first = await edited(url)
    assert "changed the arguments" in first.pop("note")
    assert b'{"text":"some"}' in requests[-1]
    assert await edited(url) == first
    assert [request.split()[0] for request in requests] == [b"GET", b"GET", b"POST"]
    with pytest.raises(ConflictError, match="used for another"):
        await edited(url, text="third")


async def test_a_lost_answer_is_looked_for_as_it_was_sent(
    edited: Callable[..., Awaitable[dict[str, Any]]], serve: Serve, reply: Build, journal: Journal
) -> None:
    found = reply(200, [{"id": 7, "text": "x"}])
    failing = reply(500, {})
    url, requests = await serve(found, found, drop, *[failing] * 8, found)
    with pytest.raises(OutcomeUnknownError):
        await edited(url)
    assert (await only(journal)).state is State.UNKNOWN
    looks = [request for request in requests if request.startswith(b"GET")][2:]
    assert looks
    assert all(b"text=some" in request for request in looks)
    done = 0
    while not done:  # the provider is back some time
        try:
            done = (await edited(url))["id"]
        except OutcomeUnknownError:
            continue
    assert b"text=some" in requests[-1]
    assert sum(request.startswith(b"POST") for request in requests) == 1
