"""A write is journaled before it leaves, told again to whoever repeats it, and never sent blindly a second time."""

import asyncio

import pytest
from tests.core.writes import Writer, drop, only
from tests.loopback import Build, Serve

from clew.core.errors import AlreadyDoneError, ConflictError, InvalidInputError, Outcome, OutcomeUnknownError
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


async def test_a_write_is_kept_and_its_repetition_answered_from_the_journal(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7, "text": "a"}))
    for _ in range(2):
        assert await writer.call(url, "add_plain", {"text": "a", "request_id": "one"}) == {"id": 7, "text": "a"}
    assert len(requests) == 1
    row = await only(journal)
    assert (row.state, row.attempts, row.request_key, row.sealed_arguments) == (State.APPLIED, 1, "id:one", None)


@pytest.mark.parametrize("id", ["", "two words", "é", "line\n", "x" * 201])
async def test_a_request_id_has_bounds_that_no_schema_shows(
    serve: Serve, reply: Build, writer: Writer, id: str
) -> None:
    url, requests = await serve(reply(201, {"id": 7, "text": "a"}))
    with pytest.raises(InvalidInputError, match="request_id"):
        await writer.call(url, "add_plain", {"text": "a", "request_id": id})
    assert requests == []
    shown = writer.connector.tools["add_plain"].signature.input_schema["properties"]["request_id"]
    assert set(shown) == {"type", "description"}


async def test_a_second_identical_write_is_never_silent(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    await writer.call(url, "add_plain", {"text": "a"})
    with pytest.raises(AlreadyDoneError, match="was done") as caught:
        await writer.call(url, "add_plain", {"text": "a"})
    assert caught.value.as_dict()["result"] == {"id": 7}
    assert "new request_id" in caught.value.next_step
    await writer.call(url, "add_plain", {"text": "b"})
    await writer.call(url, "add_plain", {"text": "a", "request_id": "again"})
    assert len(requests) == 3


async def test_the_same_key_with_other_arguments_is_refused(writer: Writer, serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    await writer.call(url, "add_plain", {"text": "a", "request_id": "one"})
    with pytest.raises(ConflictError, match="another add_plain"):
        await writer.call(url, "add_plain", {"text": "b", "request_id": "one"})
    assert len(requests) == 1


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(drop, reply(201, {"id": 7}))
    assert await writer.call(url, "add_keyed", {"text": "a", "request_id": "one"}) == {"id": 7}
    keys = [line for request in requests for line in request.split(b"\r\n") if line.lower().startswith(b"idem")]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert (await only(journal)).settled_by == "repeat"


async def test_without_a_way_to_know_the_outcome_stays_unknown_and_nothing_is_sent_twice(
    writer: Writer, journal: Journal, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(drop, reply(201, {"id": 7}))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError) as caught:
            await writer.call(url, "add_plain", {"text": "a", "request_id": "one"})
        assert caught.value.outcome is Outcome.UNKNOWN
        assert "find_note" in caught.value.next_step
        assert "clew writes resolve" in caught.value.next_step
    assert len(requests) == 1


@pytest.mark.parametrize("there", [True, False])
async def test_a_declared_look_settles_a_lost_answer(
    writer: Writer, journal: Journal, serve: Serve, reply: Build, there: bool
) -> None:
    url, _ = await serve(drop, reply(200, [{"id": 7}] if there else []))
    if there:
        assert await writer.call(url, "add_looked", {"text": "a"}) == {"id": 7}
    else:
        with pytest.raises(Exception, match="did not happen"):
            await writer.call(url, "add_looked", {"text": "a"})
    row = await only(journal)
    assert (row.state, row.settled_by) == (State.APPLIED if there else State.NOT_APPLIED, "look")


async def test_many_callers_at_once_make_one_write_and_get_one_answer(
    writer: Writer, serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    calls = [writer.call(url, "add_plain", {"text": "a", "request_id": "one"}) for _ in range(16)]
    assert await asyncio.gather(*calls) == [{"id": 7}] * 16
    assert len(requests) == 1
