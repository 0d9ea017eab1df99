"""Zendesk: what the tools send, what they make of the answers, and that no write is done twice."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.people import Person

from clew.connectors.zendesk import zendesk
from clew.connectors.zendesk.reading import LONGEST, thrifty
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.secret import Secret
from clew.core.subscriptions import Wish
from clew.core.webhooks import Delivery, Event, verify

pytestmark = pytest.mark.anyio

BASE = "https://acme.zendesk.com/api/v2"
LOST = httpx.ReadTimeout("slow")
STAMP = "2026-02-01T09:30:00Z"


@pytest.fixture
def desk() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(zendesk, person, base_url=BASE, seconds=60)


def ticket(known: int = 7, /, **more: Any) -> dict[str, Any]:
    return {
        "id": known, "url": f"{BASE}/tickets/{known}.json", "subject": "Engine", "description": "It stopped.",
        "status": "open", "priority": None, "type": None, "requester_id": 21, "submitter_id": 21, "assignee_id": 31,
        "tags": ["vip"], "custom_fields": [{"id": 36, "value": None}, {"id": 37, "value": "x"}], "external_id": None,
        "email_cc_ids": [22], "created_at": "2026-01-01T00:00:00Z", "updated_at": STAMP, **more,
    }  # fmt: skip


def comment(known: int, text: str, *, author: int = 21, public: bool = True) -> dict[str, Any]:
    return {
        "id": known, "type": "Comment", "author_id": author, "body": "md", "html_body": "<p>h</p>", "plain_body": text,
        "public": public, "attachments": [{"file_name": "a.png", "content_url": "u"}] if known == 1 else [],
        "created_at": STAMP, "via": {"channel": "email"},
    }  # fmt: skip


ADA = {"id": 21, "name": "Ada", "email": "ada@home.example", "role": "end-user"}
BEA = {"id": 22, "name": "Bea", "email": "bea@home.example", "role": "end-user"}
GRACE = {"id": 31, "name": "Grace", "email": "grace@acme.example", "role": "agent"}
PEOPLE = [ADA, BEA, GRACE]


def talk(*said: dict[str, Any], more: bool = False, after: str | None = None) -> dict[str, Any]:
    return {"comments": list(said), "users": PEOPLE, "meta": {"has_more": more, "after_cursor": after}}


def sent(route: respx.Route) -> Any:
    calls: Any = route.calls
    return json.loads(calls.last.request.content)


def asked(route: respx.Route) -> dict[str, str]:
    calls: Any = route.calls
    return dict(calls.last.request.url.params)


def headers(route: respx.Route) -> list[str | None]:
    calls: Any = route.calls
    return [each.request.headers.get("idempotency-key") for each in calls]


async def end_of(journal: Journal) -> State:
    (row,) = await journal.rows()
    return row.state


# Reading.


async def test_a_search_is_for_tickets_alone_and_paged_by_number(tool: Tool, desk: respx.MockRouter) -> None:
    route = desk.get("/search").respond(json={"results": [ticket(each) for each in range(1, 21)], "count": 21})
    page = await tool("search_tickets", query="status<solved tags:vip")
    first = {"query": "type:ticket status<solved tags:vip", "sort_by": "updated_at", "sort_order": "desc"}
    assert asked(route) == {**first, "page": "1", "per_page": "20"}
    assert page["items"][0] == {
        "id": 1, "subject": "Engine", "status": "open", "requester_id": 21, "assignee_id": 31, "updated_at": STAMP,
    }  # fmt: skip
    route.respond(json={"results": [ticket()], "count": 21})
    last = await tool("search_tickets", query="status<solved tags:vip", cursor=page["next_cursor"])
    assert (asked(route)["page"], "next_cursor" in last) == ("2", False)
    await tool("search_tickets", query="engine", sort="relevance")
    assert "sort_by" not in asked(route)


@pytest.mark.parametrize("query", ["type:user ada", "ada TYPE: organization", "x type:user"])
async def test_a_search_for_other_things_is_refused(tool: Tool, desk: respx.MockRouter, query: str) -> None:
    assert (await failed(tool, "search_tickets", query=query)).code is Code.INVALID_INPUT
    assert desk.calls.call_count == 0
    desk.get("/search").respond(json={"results": [], "count": 0})
    assert await tool("search_tickets", query="ticket_type:incident type:ticket") == {"items": []}


async def test_a_search_past_its_end_says_how_to_narrow_it(tool: Tool, desk: respx.MockRouter) -> None:
    body = {"error": "insufficient_resource_error", "description": "Insufficient Resource Error"}
    desk.get("/search").respond(422, json=body)
    error = await failed(tool, "search_tickets", query="a")
    assert (error.code, "created" in error.next_step) == (Code.INVALID_INPUT, True)


async def test_lists_are_paged_by_cursor_to_their_end(tool: Tool, desk: respx.MockRouter) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        given = request.url.params
        assert given["page[size]"] == "25"
        meta = {"has_more": "page[after]" not in given, "after_cursor": "xyz=="}
        return httpx.Response(200, json={"tickets": [ticket()], "meta": meta, "links": {}})

    for path, given in (
        ("/tickets", {}),
        ("/users/21/tickets/requested", {"requester_id": 21}),
        ("/views/5/tickets", {"view_id": 5}),
    ):
        route = desk.get(path).mock(side_effect=answer)
        page = await tool("list_tickets", **given)
        last = await tool("list_tickets", **given, cursor=page["next_cursor"])
        assert (asked(route)["page[after]"], "next_cursor" in last) == ("xyz==", False)
    assert (await failed(tool, "list_tickets", requester_id=1, view_id=2)).code is Code.INVALID_INPUT


async def test_a_list_that_leads_to_itself_ends(tool: Tool, desk: respx.MockRouter) -> None:
    same: dict[str, Any] = {"tickets": [], "meta": {"has_more": True, "after_cursor": "a"}}
    desk.get("/tickets").respond(json=same)
    page = await tool("list_tickets")
    assert (await failed(tool, "list_tickets", cursor=page["next_cursor"])).code is Code.CONTRACT_CHANGED


async def test_a_ticket_is_read_with_what_was_said_last(tool: Tool, desk: respx.MockRouter) -> None:
    whole = desk.get("/tickets/7").respond(json={"ticket": ticket(), "users": PEOPLE})
    mail = "Still broken.\r\n\r\n\r\n\r\nAda\r\n\r\nOn Mon, 2 Feb 2026, Acme <help@acme.example> wrote:\r\n> hello\r\n"
    said = talk(comment(2, "seen", author=31, public=False), comment(1, mail), more=True, after="c")
    route = desk.get("/tickets/7/comments").respond(json=said)
    told = await tool("get_ticket", ticket_id=7)
    assert (asked(whole), asked(route)) == (
        {"include": "users"},
        {"sort": "-created_at", "include": "users", "page[size]": "5"},
    )
    assert told == {
        "id": 7, "subject": "Engine", "status": "open", "requester_id": 21, "requester": "Ada <ada@home.example>",
        "assignee_id": 31, "assignee": "Grace", "tags": ["vip"], "custom_fields": [{"id": 37, "value": "x"}],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": STAMP,
        "comments": [
            {"id": 2, "author": "Grace", "public": False, "created_at": STAMP, "text": "seen", "attachments": []},
            {
                "id": 1, "author": "Ada <ada@home.example>", "public": True, "created_at": STAMP,
                "text": "Still broken.\n\nAda", "attachments": ["a.png"],
            },
        ],
        "older_comments": True,
    }  # fmt: skip
    assert "comments" not in await tool("get_ticket", ticket_id=7, comments=0)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("> all quoted\n> of it", "> all quoted\n> of it"),
        ("a\n\nOn Mon, 2 Feb 2026, Acme\n<h@a.example> wrote:\n> old\n\nb", "a\n\nb"),
        ("Am 2. Februar 2026 um 10:00 schrieb Acme <h@a.example>:\n\n> old\nnew", "new"),
        ("a\n-----Original Message-----\nold", "a…"),
        ("-----Original Message-----\nold", "-----Original Message-----\nold"),
        (
            "Hello,\nOn Monday I wrote: it broke.\nNow it is worse.",
            "Hello,\nOn Monday I wrote: it broke.\nNow it is worse.",
        ),
        ("a\n> quoted\nb", "a\nb"),
        ("x" * (LONGEST + 5), "x" * LONGEST + "…"),
        (None, None),
    ],
)
def test_texts_are_thrifty_and_never_lose_what_is_new(text: str | None, short: str | None) -> None:
    assert thrifty(text) == short


async def test_all_comments_are_paged(tool: Tool, desk: respx.MockRouter) -> None:
    route = desk.get("/tickets/7/comments").respond(json=talk(comment(2, "b", author=99), more=True, after="c1"))
    page = await tool("get_comments", ticket_id=7)
    assert (page["next_cursor"], page["items"][0]["author_id"]) == ("c1", 99)
    assert (await failed(tool, "get_comments", ticket_id=7, cursor="c1")).code is Code.CONTRACT_CHANGED
    route.respond(json=talk(comment(1, "a")))
    assert "next_cursor" not in await tool("get_comments", ticket_id=7, cursor="c1")
    assert asked(route)["page[after]"] == "c1"


async def test_a_grant_that_is_revoked_between_pages(tool: Tool, desk: respx.MockRouter) -> None:
    desk.get("/tickets/7/comments").respond(401, json={"error": "unauthorized"})
    error = await failed(tool, "get_comments", ticket_id=7, cursor="c1")
    assert (error.code, error.outcome, error.retry) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED, Retry.AFTER_HUMAN)


async def test_what_has_changed_is_followed_by_cursor(tool: Tool, desk: respx.MockRouter) -> None:
    route = desk.get("/incremental/tickets/cursor")
    route.respond(json={"tickets": [ticket()], "after_cursor": "c1", "end_of_stream": False, "after_url": "u"})
    page = await tool("list_changed_tickets", since="2026-01-01T01:00:00+01:00")
    assert asked(route) == {"per_page": "100", "start_time": "1767225600"}
    assert (page["at_end"], page["next_cursor"]) == (False, "c1")
    assert (await failed(tool, "list_changed_tickets", cursor="c1")).code is Code.CONTRACT_CHANGED
    route.respond(json={"tickets": [], "after_cursor": "c2", "end_of_stream": True})
    page = await tool("list_changed_tickets", cursor="c1")
    assert (asked(route), page) == (
        {"per_page": "100", "cursor": "c1"},
        {"items": [], "at_end": True, "next_cursor": "c2"},
    )
    # At the end the same place comes again until something happens.
    route.respond(json={"tickets": [], "after_cursor": "c2", "end_of_stream": True})
    assert (await tool("list_changed_tickets", cursor="c2"))["next_cursor"] == "c2"


async def test_exports_begin_at_a_time_that_is_over(tool: Tool, desk: respx.MockRouter) -> None:
    young = datetime.fromtimestamp(time.time() - 30, UTC).isoformat()
    for since in (young, "2099-01-01T00:00:00Z", "2026-01-01T00:00:00", "yesterday"):
        assert (await failed(tool, "list_changed_tickets", since=since)).code is Code.INVALID_INPUT
    assert (await failed(tool, "list_changed_tickets")).code is Code.INVALID_INPUT
    assert (await failed(tool, "list_changed_tickets", since=STAMP, cursor="c")).code is Code.INVALID_INPUT
    assert desk.calls.call_count == 0


async def test_too_many_exports_say_when_to_come_back(tool: Tool, desk: respx.MockRouter, call: Calling) -> None:
    call.seconds = 1
    text = "Number of allowed incremental ticket export API requests per minute exceeded"
    desk.get("/incremental/tickets/cursor").respond(429, text=text, headers={"retry-after": "47"})
    error = await failed(tool, "list_changed_tickets", since=STAMP)
    assert (error.code, error.retry_after) == (Code.RATE_LIMITED, 47)


async def test_an_eleventh_export_in_a_minute_is_not_sent(tool: Tool, desk: respx.MockRouter, call: Calling) -> None:
    call.seconds = 2
    route = desk.get("/incremental/tickets/cursor")
    route.respond(json={"tickets": [], "after_cursor": "c", "end_of_stream": True})
    wire = call.wire(zendesk, BASE)
    ends: list[Code | None] = []
    for _ in range(12):
        try:
            await call(zendesk, "list_changed_tickets", {"since": STAMP}, wire=wire)
            ends.append(None)
        except CallError as error:
            ends.append(error.code)
    assert ends[-1] is Code.RATE_LIMITED
    assert route.call_count <= 10


async def test_users_are_searched(tool: Tool, desk: respx.MockRouter) -> None:
    route = desk.get("/users/search").respond(json={"users": [{**ADA, "suspended": False, "phone": None}], "count": 1})
    assert (await tool("search_users", query="ada"))["items"] == [ADA]
    assert asked(route) == {"query": "ada", "page": "1", "per_page": "20"}


# Writing.

NEW: dict[str, Any] = {"subject": "Engine\nstopped", "text": "It stopped."}


async def test_a_ticket_is_created_under_a_key(tool: Tool, desk: respx.MockRouter, journal: Journal) -> None:
    route = desk.post("/tickets").mock(side_effect=[LOST, httpx.Response(201, json={"ticket": ticket()})])
    told = await tool("create_ticket", **NEW, internal=True, priority="high", tags=["a"], external_id="X-1")
    assert (told["id"], told["status"], await end_of(journal)) == (7, "open", State.APPLIED)
    assert sent(route) == {
        "ticket": {
            "subject": "Engine stopped",
            "comment": {"body": "It stopped.", "public": False},
            "priority": "high",
            "tags": ["a"],
            "external_id": "X-1",
        }
    }
    first, second = headers(route)
    assert first is not None
    assert (first, len(first)) == (second, 36)


@pytest.mark.parametrize(
    ("status", "name", "outcome"),
    [(409, "IdempotentRequestInProgress", Outcome.UNKNOWN), (400, "IdempotentRequestError", Outcome.UNKNOWN)],
)
async def test_a_repeat_that_is_refused_for_its_key_stays_unknown(
    tool: Tool, desk: respx.MockRouter, journal: Journal, status: int, name: str, outcome: Outcome
) -> None:
    refused = httpx.Response(status, json={"error": name, "description": "d"})
    desk.post("/tickets").mock(side_effect=[LOST, refused, refused, refused])
    assert (await failed(tool, "create_ticket", **NEW)).outcome is outcome


async def test_a_person_is_asked_before_a_requester_gets_mail(
    tool: Tool, desk: respx.MockRouter, person: Person
) -> None:
    route = desk.post("/tickets").respond(201, json={"ticket": ticket()})
    person.agrees = False
    assert (await failed(tool, "create_ticket", **NEW, requester_email="ada@home.example")).code is Code.DENIED
    assert route.call_count == 0
    await tool("create_ticket", **NEW, requester_email="ada@home.example", internal=True)
    assert sent(route)["ticket"]["requester"] == {"email": "ada@home.example", "name": "ada"}
    wrong = await failed(tool, "create_ticket", **NEW, requester_email="Ada <ada@home.example>", internal=True)
    alone = await failed(tool, "create_ticket", **NEW, requester_name="Ada")
    assert (wrong.code, alone.code, route.call_count) == (Code.INVALID_INPUT, Code.INVALID_INPUT, 1)


async def test_a_note_stays_inside(tool: Tool, desk: respx.MockRouter, person: Person, journal: Journal) -> None:
    route = desk.put("/tickets/7").respond(json={"ticket": ticket()})
    assert (await tool("add_note", ticket_id=7, text="Called her."))["updated_at"] == STAMP
    body = sent(route)["ticket"]
    mark = body.pop("metadata")["clew"]
    assert (body, mark[:5], person.asked) == ({"comment": {"body": "Called her.", "public": False}}, "clew-", [])


async def test_a_reply_shows_who_gets_it_and_what_it_answers(
    tool: Tool, desk: respx.MockRouter, person: Person
) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket(), "users": PEOPLE})
    inside = comment(3, "She is angry.", author=31, public=False)
    desk.get("/tickets/7/comments").respond(json=talk(inside, comment(2, "Still broken.")))
    route = desk.put("/tickets/7").respond(json={"ticket": ticket(status="pending")})
    person.agrees = False
    given = {"ticket_id": 7, "text": "Please restart.", "updated_at": STAMP, "status": "pending"}
    assert (await failed(tool, "send_reply", **given)).code is Code.DENIED
    shown = person.asked[0].preview
    assert (shown["to"], shown["copies"], shown["answers"]["text"]) == (
        "Ada <ada@home.example>",
        ["Bea <bea@home.example>"],
        "Still broken.",
    )
    assert route.call_count == 0
    person.agrees = True
    assert (await tool("send_reply", **given))["status"] == "pending"
    assert sent(route)["ticket"] == {
        "comment": {"body": "Please restart.", "public": True},
        "status": "pending",
        "safe_update": True,
        "updated_stamp": STAMP,
    }


async def test_a_reply_to_what_has_moved_on_is_not_sent(tool: Tool, desk: respx.MockRouter, journal: Journal) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket(), "users": PEOPLE})
    desk.get("/tickets/7/comments").respond(json=talk(comment(2, "Solved it myself!")))
    desk.put("/tickets/7").respond(409, json={"error": "UpdateConflict", "description": "Safe Update prevented"})
    error = await failed(tool, "send_reply", ticket_id=7, text="Please restart.", updated_at=STAMP)
    assert (error.code, error.outcome, "get_ticket" in error.next_step) == (Code.CONFLICT, Outcome.NOT_APPLIED, True)
    assert await end_of(journal) is State.NOT_APPLIED


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("add_note", {"text": "Called."}),
    ("send_reply", {"text": "Hello.", "updated_at": STAMP}),
    ("update_ticket", {"priority": "urgent"}),
]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("name", "given"), CHANGES)
async def test_a_change_whose_answer_was_lost_is_found_by_its_mark_and_not_sent_again(
    tool: Tool, desk: respx.MockRouter, journal: Journal, name: str, given: dict[str, Any], there: bool
) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket(), "users": PEOPLE})
    desk.get("/tickets/7/comments").respond(json=talk())
    put = desk.put("/tickets/7").mock(side_effect=LOST)

    def audits(request: httpx.Request) -> httpx.Response:
        mark = sent(put)["ticket"]["metadata"]["clew"]
        other: dict[str, Any] = {
            "id": 1,
            "metadata": {"system": {}, "custom": {"clew": "clew-of-another"}},
            "events": [],
        }
        bare: dict[str, Any] = {"id": 2, "metadata": {}, "events": []}
        mine: dict[str, Any] = {"id": 3, "metadata": {"custom": {"clew": mark}}, "events": []}
        return httpx.Response(200, json={"audits": [other, bare, *([mine] if there else [])]})

    route = desk.get("/tickets/7/audits").mock(side_effect=audits)
    if there:
        assert (await tool(name, ticket_id=7, **given))["id"] == 7
        assert (await failed(tool, name, ticket_id=7, **given)).code is Code.ALREADY_DONE
    else:
        error = await failed(tool, name, ticket_id=7, **given)
        assert (error.outcome, error.retry) == (Outcome.NOT_APPLIED, Retry.SAME_CALL)
    assert asked(route) == {"sort": "-created_at", "page[size]": "100"}
    assert (await end_of(journal), put.call_count) == (State.APPLIED if there else State.NOT_APPLIED, 1)


async def test_a_long_history_is_searched_to_its_end_where_the_oldest_come_first(
    tool: Tool, desk: respx.MockRouter, journal: Journal
) -> None:
    """That audits can be sorted is nowhere documented: an older page without the mark proves nothing."""
    desk.get("/tickets/7").respond(json={"ticket": ticket()})
    put = desk.put("/tickets/7").mock(side_effect=LOST)
    first: list[dict[str, Any]] = [{"created_at": f"2026-01-0{day}T09:00:00Z", "metadata": {}} for day in (1, 2)]

    def audits(request: httpx.Request) -> httpx.Response:
        if "page[after]" not in request.url.params:
            return httpx.Response(200, json={"audits": first, "meta": {"has_more": True, "after_cursor": "c2"}})
        mine = {"created_at": STAMP, "metadata": {"custom": sent(put)["ticket"]["metadata"]}}
        return httpx.Response(200, json={"audits": [mine], "meta": {"has_more": False}})

    desk.get("/tickets/7/audits").mock(side_effect=audits)
    assert (await tool("add_note", ticket_id=7, text="Called."))["id"] == 7
    assert (await end_of(journal), put.call_count) == (State.APPLIED, 1)


NEVER_ENDS: dict[str, Any] = {"audits": [{"metadata": {}}], "meta": {"has_more": True, "after_cursor": "c"}}
NEWEST: dict[str, Any] = {
    "audits": [{"created_at": f"2026-01-0{day}T09:00:00Z", "metadata": {}} for day in (2, 1)],
    "meta": {"has_more": True, "after_cursor": "c"},
}


@pytest.mark.parametrize(
    ("answer", "outcome", "pages"),
    [
        # Audits take the scope `read`: tickets:read alone is refused.
        (httpx.Response(403, json={"error": "Forbidden"}), Outcome.UNKNOWN, 1),
        (httpx.Response(200, json=NEVER_ENDS), Outcome.UNKNOWN, 10),
        (httpx.Response(200, json=NEWEST), Outcome.NOT_APPLIED, 1),
    ],
)
async def test_a_history_that_cannot_be_read_tells_nothing_of_a_change(
    tool: Tool, desk: respx.MockRouter, journal: Journal, answer: httpx.Response, outcome: Outcome, pages: int
) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket()})
    desk.put("/tickets/7").mock(side_effect=LOST)
    route = desk.get("/tickets/7/audits").mock(return_value=answer)
    assert (await failed(tool, "add_note", ticket_id=7, text="Called.")).outcome is outcome
    assert route.call_count == pages * 2  # it looks twice
    assert await end_of(journal) is (State.UNKNOWN if outcome is Outcome.UNKNOWN else State.NOT_APPLIED)


async def test_tags_are_added_to_those_that_are_there_under_a_guard(tool: Tool, desk: respx.MockRouter) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket(tags=["vip", "Old", "b"])})
    route = desk.put("/tickets/7").respond(json={"ticket": ticket()})
    await tool("update_ticket", ticket_id=7, add_tags=["new", "b"], remove_tags=["old"])
    guard = {"safe_update": True, "updated_stamp": STAMP}
    assert sent(route)["ticket"] == {"tags": ["vip", "b", "new"], **guard}
    await tool("update_ticket", ticket_id=7, custom_fields={"37": "y"}, assignee_id=31)
    assert sent(route)["ticket"] == {"assignee_id": 31, "custom_fields": [{"id": 37, "value": "y"}]}
    for wrong in ({}, {"custom_fields": {"colour": "red"}}, {"add_tags": ["a b"]}, {"status": "closed"}):
        assert (await failed(tool, "update_ticket", ticket_id=7, **wrong)).code is Code.INVALID_INPUT


async def test_a_person_is_asked_before_a_ticket_is_solved(tool: Tool, desk: respx.MockRouter, person: Person) -> None:
    desk.get("/tickets/7").respond(json={"ticket": ticket(), "users": PEOPLE})
    desk.get("/tickets/7/comments").respond(json=talk())
    route = desk.put("/tickets/7").respond(json={"ticket": ticket()})
    person.agrees = False
    assert (await failed(tool, "update_ticket", ticket_id=7, status="solved")).code is Code.DENIED
    assert (route.call_count, person.asked[0].preview["subject"]) == (0, "Engine")
    await tool("update_ticket", ticket_id=7, status="pending")
    assert route.call_count == 1


async def test_an_address_without_an_account_is_not_taken_for_a_missing_ticket(
    tool: Tool, desk: respx.MockRouter
) -> None:
    told = {"error": {"title": "No help desk at acme.zendesk.com", "message": "There is no help desk configured here."}}
    desk.get("/tickets/7").respond(404, json=told)
    error = await failed(tool, "get_ticket", ticket_id=7)
    assert (error.code, error.retry) == (Code.PERMISSION, Retry.AFTER_HUMAN)
    assert "zendesk.com" in error.next_step


async def test_a_closed_ticket_is_a_conflict(tool: Tool, desk: respx.MockRouter) -> None:
    details = {"status": [{"description": "Status: closed prevents ticket update"}]}
    desk.put("/tickets/7").respond(422, json={"error": "RecordInvalid", "description": "x", "details": details})
    assert (await failed(tool, "add_note", ticket_id=7, text="x")).code is Code.CONFLICT


# The login, and what Zendesk tells by itself.


def api_of(call: Calling, effect: Effect = Effect.READ) -> Api:
    return Api(call.wire(zendesk, BASE), Deadline.after(5), Trail(), effect, SilentHost())


async def test_whose_login_it_is(call: Calling, desk: respx.MockRouter) -> None:
    assert zendesk.identify is not None
    desk.get("/users/me").respond(json={"user": GRACE})
    assert await zendesk.identify(api_of(call)) == "grace@acme.example"
    desk.get("/users/me").respond(json={"user": {"id": None, "name": "Anonymous user", "email": "invalid@example.com"}})
    with pytest.raises(CallError) as caught:
        await zendesk.identify(api_of(call))
    assert caught.value.code is Code.AUTH_REVOKED


async def test_a_webhook_is_asked_for_checked_and_taken_away(call: Calling, desk: respx.MockRouter) -> None:
    assert zendesk.subscription is not None
    route = desk.post("/webhooks").respond(201, json={"webhook": {"id": "01H", "status": "active"}})
    desk.get("/webhooks/01H/signing_secret").respond(
        json={"signing_secret": {"algorithm": "SHA256", "secret": "s3cret"}}
    )
    wish = Wish(
        url="https://hooks.example/z", secret=Secret("ours"), types=["status_changed", "zen:event-type:user.created"]
    )
    made = await zendesk.subscription.create(api_of(call, Effect.WRITE), wish)
    assert made.secret is not None
    assert (made.id, made.secret.reveal()) == ("01H", "s3cret")
    assert sent(route)["webhook"]["subscriptions"] == [
        "zen:event-type:ticket.status_changed",
        "zen:event-type:user.created",
    ]
    desk.get("/webhooks/01H").respond(json={"webhook": {"id": "01H", "status": "inactive"}})
    seen = await zendesk.subscription.check(api_of(call), "01H", {})
    assert seen is not None
    assert (seen.active, seen.why) == (False, "Zendesk has switched it off")
    desk.get("/webhooks/01H").respond(404, json={"error": "RecordNotFound"})
    assert await zendesk.subscription.check(api_of(call), "01H", {}) is None
    gone = desk.delete("/webhooks/01H").respond(204)
    await zendesk.subscription.remove(api_of(call, Effect.WRITE), "01H", {})
    assert gone.call_count == 1


def test_a_delivery_is_verified_and_told() -> None:
    event = {
        "id": "e-1", "type": "zen:event-type:ticket.status_changed", "time": STAMP, "subject": "zen:ticket:7",
        "account_id": 1, "detail": {"id": "7", "status": "solved"}, "event": {"current": "SOLVED", "previous": "OPEN"},
    }  # fmt: skip
    body, moment = json.dumps(event).encode(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    mac = hmac.new(b"s3cret", moment.encode() + body, hashlib.sha256)
    signed = {
        "X-Zendesk-Webhook-Signature": base64.b64encode(mac.digest()).decode(),
        "X-Zendesk-Webhook-Signature-Timestamp": moment,
        "X-Zendesk-Webhook-Invocation-Id": "i-1",
    }
    (scheme,) = zendesk.webhook_schemes
    assert zendesk.events is not None
    told = verify(scheme, Delivery(list(signed.items()), body), [Secret("s3cret")])
    assert isinstance(told, Event)
    (found,) = zendesk.events.read(Connection("local", "zendesk", "work"), told)
    assert (found.type, found.reference) == ("zen:event-type:ticket.status_changed", "7")
    other = verify(scheme, Delivery(list(signed.items()), body + b" "), [Secret("s3cret")])
    assert not isinstance(other, Event)
