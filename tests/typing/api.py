"""What type checkers infer from the public names. Never run: mypy and pyright read it, in CI, and every `type: ignore`
must be needed for both."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Mapping
from typing import Annotated, Any, assert_type

from pydantic import BaseModel

from clew import (
    Api,
    Bounds,
    Connector,
    CursorPages,
    ErrorMap,
    From,
    GraphQLPages,
    LinkPages,
    NextUrlPages,
    NumberPages,
    Page,
    RateLimitHeaders,
    Response,
    Rule,
    Secret,
    Verdict,
    Version,
    errors,
)


class Note(BaseModel):
    id: int
    author: Annotated[str, From("user.login")]


acme = Connector("acme", "https://api.acme.example", pages=LinkPages(), version=Version("1", header="Acme-Version"))


async def answers_have_the_type_they_are_mapped_to(api: Api) -> None:
    assert_type(await api.get("/notes/{}", 7, into=Note), Note)
    assert_type(await api.post("/notes", json={"a": 1}, into=Note), Note)
    assert_type(await api.put("/notes/{}", "x", into=Note), Note)
    assert_type(await api.patch("/notes/{}", "x", into=Note), Note)
    assert_type(await api.get("/notes", into=list[Note]), list[Note])
    assert_type(await api.get("/notes", into=dict[str, Note], at="data"), dict[str, Note])
    assert_type(await api.get("/count", into=int), int)
    assert_type(await api.get("/notes"), Any)
    assert_type(await api.post("/notes", at="data.id"), Any)
    assert_type(await api.delete("/notes/{}", 7), None)
    assert_type(await api.request("HEAD", "/notes"), Response)


async def pages_are_pages_of_what_they_hold(api: Api) -> None:
    page = await api.page("/notes/{}", "x", into=Note, cursor=None, query={"q": ["a", "b"], "n": 1, "b": True})
    assert_type(page, Page[Note])
    assert_type(page.items, list[Note])
    assert_type(page.next_cursor, str | None)
    for pages in (CursorPages(), LinkPages(), NextUrlPages(), NumberPages(step="items")):
        assert_type(await api.page("/notes", into=int, pages=pages), Page[int])
    assert_type(await api.graphql("{ x }", into=Note, at="x"), Note)
    assert_type(await api.graphql_page("{ x }", into=Note, pages=GraphQLPages("x")), Page[Note])


async def wrong_requests_are_refused(api: Api) -> None:
    await api.get("/notes/{}", 1.5)  # type: ignore[call-overload]
    await api.get("/notes/{}", None)  # type: ignore[call-overload]
    await api.get("/notes", json={})  # type: ignore[call-overload]
    await api.get("/notes", into=Note())  # type: ignore[call-overload, call-arg]
    await api.get("/notes", query={"a": object()})  # type: ignore[dict-item]
    await api.get("/notes", limit=5)  # type: ignore[call-overload]
    await api.page("/notes")  # type: ignore[call-arg]
    await api.delete("/notes", json={})  # type: ignore[call-arg]


@acme.read
async def get_note(api: Api, note_id: int) -> Note:
    """Read."""
    return await api.get("/notes/{}", note_id, into=Note)


@acme.read(toolset="notes")
async def list_notes(api: Api, cursor: str | None = None) -> Page[Note]:
    """List."""
    return await api.page("/notes", into=Note, cursor=cursor)


@acme.write
async def add_note(api: Api, text: str) -> Note:
    """Add."""
    return await api.post("/notes", json={"text": text}, into=Note)


@acme.destructive(preview=get_note)
async def delete_note(api: Api, note_id: int) -> None:
    """Delete."""
    await api.delete("/notes/{}", note_id)


@acme.destructive(preview=get_note)  # type: ignore[arg-type]
async def delete_by_name(api: Api, name: str) -> None:
    """Its preview takes another parameter."""


@acme.destructive(preview=get_note)  # type: ignore[arg-type]
async def delete_with_more(api: Api, note_id: int, force: bool) -> None:
    """Its preview takes fewer parameters."""


@acme.destructive(preview=get_note)  # type: ignore[arg-type]
async def delete_with_text(api: Api, note_id: str) -> None:
    """Its preview takes another type."""


@acme.destructive  # type: ignore[call-arg]
async def delete_without_preview(api: Api, note_id: int) -> None:
    """A destructive tool needs a preview."""


async def tools_stay_functions_that_can_be_called(api: Api) -> None:
    assert_type(await get_note(api, 7), Note)
    assert_type(await list_notes(api, cursor="x"), Page[Note])
    assert_type(await add_note(api, text="x"), Note)
    assert_type(await delete_note(api, note_id=7), None)
    await get_note(api, "7")  # type: ignore[arg-type]
    await add_note(api)  # type: ignore[call-arg]


@acme.identity
async def whoami(api: Api) -> str:
    return str(await api.get("/user", at="login"))


def a_hook_takes_a_response_and_may_have_no_opinion(response: Response) -> Verdict | None:
    assert_type(response.status, int)
    assert_type(response.headers, Mapping[str, str])
    assert_type(response.field("error.code"), str | None)
    return Verdict("conflict") if response.status == 409 else None


ErrorMap(hook=a_hook_takes_a_response_and_may_have_no_opinion, rules=(Rule(code="conflict", status=409),))
ErrorMap(hook=lambda response: "conflict")  # type: ignore[arg-type, return-value]
Bounds(body=1_000_000)
Bounds(10)  # type: ignore[call-arg]
RateLimitHeaders(remaining="a", reset="b", unit="epoch_s")
RateLimitHeaders(remaining="a", reset="b", unit="minutes")  # type: ignore[arg-type]
NumberPages(step="offset")  # type: ignore[arg-type]

assert_type(Secret("x").reveal(), str)
assert_type(errors.RateLimitError("x.").retry_after, float | None)
