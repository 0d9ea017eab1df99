"""Lists through the `Api`: pages, their cursors, and cursors that somebody made up."""

import base64
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel
from tests.loopback import Build, Serve, line

from clew.core.api import Api
from clew.core.errors import (
    ConfigurationError,
    ContractChangedError,
    InvalidInputError,
)
from clew.core.mapping import From
from clew.core.pages import CursorPages, GraphQLPages, LinkPages, NextUrlPages, NumberPages, Place

pytestmark = pytest.mark.anyio

Open = Callable[..., Api]


class Note(BaseModel):
    id: int
    author: Annotated[str, From("user.login")]


ADA = {"id": 7, "user": {"login": "ada"}, "more": "ignored"}


async def test_a_page_is_mapped_and_its_cursor_leads_to_the_next(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {"items": [ADA], "next_cursor": "abc"}), reply(200, {"items": []}))
    api = opened(url, pages=CursorPages(size=2))
    first = await api.page("/notes/{}", "x", into=Note, query={"q": "x", "none": None})
    assert [note.author for note in first.items] == ["ada"]
    last = await api.page("/notes/{}", "x", into=Note, query={"q": "x"}, cursor=first.next_cursor)
    assert (last.items, last.next_cursor) == ([], None)
    assert line(requests[0]) == "GET /notes/x?limit=2&q=x"
    assert line(requests[1]) == "GET /notes/x?limit=2&cursor=abc&q=x"


async def test_a_page_needs_a_way_of_paging(opened: Open) -> None:
    with pytest.raises(ConfigurationError, match="declares no pages="):
        await opened("https://x.example").page("/notes", into=Note)


async def test_a_call_may_page_in_its_own_way(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, [1, 2], link='</notes?page=2&per_page=2>; rel="next"'), reply(200, [3]))
    api = opened(url, pages=CursorPages())
    first = await api.page("/notes", into=int, pages=LinkPages(size=2))
    await api.page("/notes", into=int, pages=LinkPages(size=2), cursor=first.next_cursor)
    assert [line(request) for request in requests] == ["GET /notes?per_page=2", "GET /notes?per_page=2&page=2"]


async def test_a_next_path_below_the_tools_own_is_followed(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(
        reply(200, {"items": [1], "next": "/api/query/01-2000?x=1&x=2"}), reply(200, {"items": [2]})
    )
    api = opened(f"{url}/api", pages=NextUrlPages())
    first = await api.page("/query", into=int)
    second = await api.page("/query", into=int, cursor=first.next_cursor)
    assert second.items == [2]
    assert line(requests[1]) == "GET /api/query/01-2000?x=1&x=2"


FORGED = [
    "/api/admin",
    "/api/query-all",
    "/api/query/../admin",
    "/api/query/%2e%2e/admin",
    "/api/query/%2E./admin",
    "/api/query/%252e%252e/admin",
    "/api/query/..%2fadmin",
    "/api/query/..\\admin",
    "/api/query/%5c..%5cadmin",
    "/api/query/./x",
    "/query",
    "/query/x",
    "/apiquery",
    "/other/query",
    "query",
    "",
    "/",
    "//evil.example/query",
    "https://evil.example/api/query",
    "/api/query/x?admin=1",
    "/api/query/x#y",
    "/api/query/x\r\nx-evil: 1",
    "/api/query/x y",
    "/api/query/\N{SNOWMAN}",
]


@pytest.mark.parametrize("path", FORGED)
async def test_a_forged_cursor_leads_nowhere_else(serve: Serve, reply: Build, opened: Open, path: str) -> None:
    url, requests = await serve(reply(200, {"items": []}))
    api = opened(f"{url}/api", pages=NextUrlPages())
    if path == "":  # an empty path is no path: the tool's own resource
        await api.page("/query", into=int, cursor=Place({}, path).cursor())
        assert [line(request) for request in requests] == ["GET /api/query"]
        return
    with pytest.raises(InvalidInputError, match="the cursor does not belong to this call") as caught:
        await api.page("/query", into=int, cursor=Place({}, path).cursor())
    assert "without a cursor" in caught.value.next_step
    assert requests == []


async def test_a_list_at_the_root_owns_nothing_below_it(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {"items": []}))
    api = opened(url, pages=NextUrlPages())
    with pytest.raises(InvalidInputError):
        await api.page("/", into=int, cursor=Place({}, "/secrets").cursor())
    await api.page("/", into=int, cursor=Place({"a": "1"}, "/").cursor())
    assert [line(request) for request in requests] == ["GET /?a=1"]


async def test_a_forged_cursor_cannot_change_what_the_tool_asks_for(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {"items": []}))
    api = opened(url, pages=CursorPages())
    await api.page("/notes", into=int, query={"owner": "me"}, cursor=Place({"owner": "you", "cursor": "x"}).cursor())
    assert "owner=me" in line(requests[0])
    assert "you" not in line(requests[0])


async def test_a_cursor_that_is_none_of_ours_is_refused(opened: Open) -> None:
    api = opened("https://x.example", pages=CursorPages())
    with pytest.raises(InvalidInputError, match="not one that this tool returned"):
        await api.page("/notes", into=int, cursor="abc")
    with pytest.raises(InvalidInputError, match="not one that this tool returned"):
        await api.graphql_page("{ x }", into=int, pages=GraphQLPages("x"), cursor="abc")


@pytest.mark.parametrize(
    ("pages", "data", "headers"),
    [
        (CursorPages(), {"items": [1], "next_cursor": "same"}, {}),
        (NextUrlPages(), {"items": [1], "next": "/notes?page=1"}, {}),
        (LinkPages(), [1], {"link": '</notes?page=1>; rel="next"'}),
    ],
)
async def test_a_list_that_leads_to_itself_is_stopped(
    serve: Serve, reply: Build, opened: Open, pages: Any, data: Any, headers: dict[str, str]
) -> None:
    url, requests = await serve(reply(200, data, **headers))
    api = opened(url, pages=pages)
    cursor = (await api.page("/notes", into=int)).next_cursor
    with pytest.raises(ContractChangedError, match="the same page again; stopped"):
        await api.page("/notes", into=int, cursor=cursor)
    assert len(requests) == 2


async def test_page_numbers_walk_a_whole_list(serve: Serve, reply: Build, opened: Open) -> None:
    pages = NumberPages(parameter="offset", start=0, step="items", size=2, size_parameter="limit")
    url, requests = await serve(*[reply(200, {"items": items}) for items in ([1, 2], [3, 4], [5])])
    api = opened(url, pages=pages)
    found: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        page = await api.page("/notes", into=int, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
    assert (found, cursor) == ([1, 2, 3, 4, 5], None)
    assert [line(request)[-1] for request in requests] == ["0", "2", "4"]


class QueryKey:
    async def apply(self, request: httpx.Request) -> str:
        request.url = request.url.copy_set_param("api_key", "hunter2-key")
        return "g"

    async def renew(self, generation: str) -> None:
        return


async def test_a_key_that_a_provider_puts_into_its_next_link_never_reaches_the_cursor(
    serve: Serve, reply: Build, opened: Open
) -> None:
    link = '</notes?api_key=hunter2-key&page=2>; rel="next"'
    url, requests = await serve(reply(200, [1], link=link))
    api = opened(url, pages=LinkPages(), authorizer=QueryKey())
    cursor = (await api.page("/notes", into=int)).next_cursor
    assert cursor is not None
    assert b"hunter2" not in base64.urlsafe_b64decode(cursor + "==")
    with pytest.raises(ContractChangedError):
        await api.page("/notes", into=int, cursor=cursor)
    assert "api_key=hunter2-key" in line(requests[1])


async def test_an_item_of_another_shape_is_named(serve: Serve, reply: Build, opened: Open) -> None:
    url, _ = await serve(reply(200, {"items": [ADA, {"id": 8, "user": {}}]}))
    with pytest.raises(ContractChangedError, match=r"user\.login is missing"):
        await opened(url, pages=CursorPages()).page("/notes", into=Note)
