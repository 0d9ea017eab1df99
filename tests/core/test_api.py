"""What a tool function can do with its connection, and what it cannot."""

import json
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import BaseModel
from tests.loopback import Build, Serve, body, header, line

from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import (
    ConfigurationError,
    ContractChangedError,
    InvalidInputError,
    NotFoundError,
    Outcome,
)
from clew.core.exchange import Trail
from clew.core.mapping import From

from .conftest import Line

pytestmark = pytest.mark.anyio

Open = Callable[..., Api]


class Note(BaseModel):
    id: int
    author: Annotated[str, From("user.login")]


class Colour(str, Enum):  # noqa: UP042 - many people still write it so, and its str() is another
    RED = "red"


ADA = {"id": 7, "user": {"login": "ada"}, "more": "ignored"}


async def test_each_verb_sends_its_method_and_maps_its_answer(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, ADA))
    api = opened(url, Effect.WRITE)
    for verb in (api.get, api.post, api.put, api.patch):
        note = await verb("/notes/{}", 7, into=Note)
        assert note == Note.model_validate({"id": 7, "author": "ada"})
        assert await verb("/notes/{}", 7) == ADA
        assert await verb("/notes/{}", 7, at="user.login") == "ada"
        assert await verb("/notes/{}", 7, at="user.login", into=str) == "ada"
    await api.delete("/notes/{}", 7)
    assert [line(request) for request in requests[::4]] == [
        "GET /notes/7",
        "POST /notes/7",
        "PUT /notes/7",
        "PATCH /notes/7",
        "DELETE /notes/7",
    ]


async def test_a_delete_looks_at_nothing_but_the_judgement(serve: Serve, reply: Build, opened: Open) -> None:
    url, _ = await serve(reply(204), reply(404))
    api = opened(url, Effect.DESTRUCTIVE)
    await api.delete("/notes/{}", 7)
    with pytest.raises(NotFoundError):
        await api.delete("/notes/{}", 7)


async def test_request_gives_the_whole_answer(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(206, b"abc", "application/pdf", etag="x"))
    answer = await opened(url).request("get", "/files/{+}", "a/b.pdf", headers={"Range": "bytes=0-2"})
    assert (answer.status, answer.content, answer.headers["etag"]) == (206, b"abc", "x")
    assert line(requests[0]) == "GET /files/a/b.pdf"


async def test_query_values_are_written_as_providers_expect_them(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {}))
    query = {"a": None, "b": True, "c": [1, 2], "d": "x y&z", "e": 1.5, "f": Colour.RED, "g": [], "h": ""}
    await opened(url).get("/notes", query=query)
    assert parse_qsl(line(requests[0]).partition("?")[2], keep_blank_values=True) == [
        ("b", "true"),
        ("c", "1"),
        ("c", "2"),
        ("d", "x y&z"),
        ("e", "1.5"),
        ("f", "red"),
        ("h", ""),
    ]
    await opened(url).get("/notes", query={"a": None})
    assert line(requests[1]) == "GET /notes"


async def test_a_body_is_json_or_a_form(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {}))
    api = opened(url, Effect.WRITE)
    await api.post("/notes", json={"text": "\N{SNOWMAN}", "n": None})
    await api.post("/notes", form={"text": "a b", "flag": False, "x": ["1", "2"], "no": None})
    await api.post("/notes")
    assert json.loads(body(requests[0])) == {"text": "\N{SNOWMAN}", "n": None}
    assert body(requests[1]) == b"text=a+b&flag=false&x=1&x=2"
    assert body(requests[2]) == b""
    assert [header(request, "content-type") for request in requests] == [
        ["application/json"],
        ["application/x-www-form-urlencoded"],
        [],
    ]


async def test_a_requests_own_headers_replace_ours_in_any_spelling(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {}))
    api = opened(url, Effect.WRITE, headers={"accept": "application/vnd.acme"})
    await api.post("/x", json=[], headers={"ACCEPT": "text/csv", "Content-Type": "application/merge-patch+json"})
    assert header(requests[0], "accept") == ["text/csv"]
    assert header(requests[0], "content-type") == ["application/merge-patch+json"]


@pytest.mark.parametrize(
    "more",
    [
        {"json": {"n": float("nan")}},
        {"json": {"n": float("inf")}},
        {"json": {"text": "\ud800"}},
        {"query": {"q": "\ud800"}},
        {"query": {"q": "x" * 70_000}},
        {"form": {"q": "\ud800"}},
        {"headers": {"if-match": "\N{SNOWMAN}"}},
    ],
    ids=range(7),
)
async def test_values_that_no_request_can_carry_are_invalid_arguments(
    serve: Serve, reply: Build, opened: Open, more: Any
) -> None:
    url, requests = await serve(reply(200, {}))
    with pytest.raises(InvalidInputError, match="do not fit into a request"):
        await opened(url, Effect.WRITE).post("/notes", **more)
    assert requests == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "delete", "MERGE"])
async def test_a_read_tool_cannot_change_anything(serve: Serve, reply: Build, opened: Open, method: str) -> None:
    url, requests = await serve(reply(200, {}))
    with pytest.raises(ConfigurationError, match=f"a read tool may not send {method.upper()} /notes"):
        await opened(url).request(method, "/notes")
    assert requests == []


async def test_a_search_by_post_in_a_read_tool_is_a_read(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(500), reply(200, {"id": 1}))
    trail = Trail()
    with pytest.raises(ContractChangedError) as caught:
        await opened(url, trail=trail).post("/search", json={"q": "x"}, into=Note)
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert len(requests) == 2
    assert trail.changed == 0


async def test_a_changed_answer_to_a_write_still_says_that_it_was_applied(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, _ = await serve(reply(201, {"id": "x"}))
    api = opened(url, Effect.WRITE)
    ways: list[dict[str, Any]] = [{"into": Note}, {"at": "data.note"}]
    for more in ways:
        with pytest.raises(ContractChangedError) as caught:
            await api.post("/notes", **more)
        assert caught.value.outcome is Outcome.APPLIED
    with pytest.raises(ContractChangedError, match=r"data\.note is missing") as caught:
        await api.get("/notes", at="data.note")
    assert caught.value.outcome is Outcome.NOT_APPLIED


async def test_what_a_read_says_about_a_write_is_about_none(serve: Serve, reply: Build, opened: Open) -> None:
    url, _ = await serve(reply(200, ADA))
    trail = Trail()
    api = opened(url, Effect.READ, trail)
    api.reference("note-7")
    api.accepted("look again later")
    api.accepted("look again later", reference="note-7")
    assert trail.writing is None
    assert await api.get("/notes/{}", 7, into=int, at="id") == 7


async def test_a_tool_can_tell_what_it_waits_for() -> None:
    async with httpx.AsyncClient(verify=False) as client:
        told = Line(client)
        api = Api(told.wire("http://127.0.0.1:9"), Deadline.after(10), told.trail, Effect.READ, told.host)
        await api.progress("the export is not ready yet")
    assert told.host.told == ["the export is not ready yet"]
