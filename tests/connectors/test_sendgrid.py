"""SendGrid: what the tools send, and what they make of the answers and events."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.people import Person

from clew.connectors.sendgrid import belongs_to, outcome_of, sendgrid
from clew.core.errors import Code, Outcome

pytestmark = pytest.mark.anyio

SENDER = {"sender": "shop@home.example", "to": ["ann@away.example", "ida@home.example"]}
LETTER: dict[str, Any] = {**SENDER, "subject": "Grüße", "text": "Hallo"}


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.sendgrid.com/v3", assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(sendgrid, person)


def queued(api: respx.MockRouter) -> respx.Route:
    return api.post("/mail/send").respond(202, headers={"x-message-id": "abc123"})


async def test_a_message_is_accepted_and_says_how_to_follow_it(
    tool: Tool, api: respx.MockRouter, person: Person
) -> None:
    route = queued(api)
    sent = await tool("send_email", **LETTER, html="<p>Hallo</p>", bcc=["eve@away.example"])
    assert (sent["message_id"], "get_message_status" in sent["accepted"]["next"]) == ("abc123", True)
    assert json.loads(route.calls.last.request.content) == {
        "personalizations": [
            {
                "to": [{"email": "ann@away.example"}, {"email": "ida@home.example"}],
                "bcc": [{"email": "eve@away.example"}],
            }
        ],
        "from": {"email": "shop@home.example"},
        "subject": "Grüße",
        "content": [{"type": "text/plain", "value": "Hallo"}, {"type": "text/html", "value": "<p>Hallo</p>"}],
    }
    assert person.asked[0].preview["outside"] == ["ann@away.example", "eve@away.example"]


async def test_a_template_needs_no_text(tool: Tool, api: respx.MockRouter) -> None:
    route = queued(api)
    await tool("send_email", **SENDER, template_id="d-1", template_data={"name": "Ann"})
    body = json.loads(route.calls.last.request.content)
    assert (body["template_id"], body["personalizations"][0]["dynamic_template_data"]) == ("d-1", {"name": "Ann"})
    assert "content" not in body


async def test_a_person_can_say_no(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    person.agrees = False
    assert (await failed(tool, "send_email", **LETTER)).code is Code.DENIED
    assert api.calls.call_count == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ["ann@away.example\r\nBcc: eve@evil.example"]},
        {"to": ["Ann <ann@away.example>"]},
        {"subject": "x\r\nBcc: eve@evil.example"},
        {"cc": ["ann@away.example"]},
        {"text": None},
        {"sender": "shop"},
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    tool: Tool, api: respx.MockRouter, changes: dict[str, Any]
) -> None:
    assert (await failed(tool, "send_email", **{**LETTER, **changes})).code is Code.INVALID_INPUT
    assert api.calls.call_count == 0


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(503), httpx.ReadTimeout("slow")])
async def test_a_message_whose_answer_is_lost_is_not_sent_again(
    tool: Tool, api: respx.MockRouter, answer: httpx.Response | Exception
) -> None:
    route = api.post("/mail/send")
    route.side_effect = [answer, httpx.Response(202)]
    error = await failed(tool, "send_email", **LETTER)
    assert (error.code, error.outcome, route.call_count) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, 1)


async def test_an_acceptance_without_an_id_is_a_changed_contract(tool: Tool, api: respx.MockRouter) -> None:
    api.post("/mail/send").respond(202)
    error = await failed(tool, "send_email", **LETTER)
    assert (error.code, error.outcome) == (Code.CONTRACT_CHANGED, Outcome.APPLIED)


def seen(status: str, to: str = "ann@away.example", known: str = "abc123.recv-1") -> dict[str, Any]:
    return {
        "msg_id": known,
        "to_email": to,
        "subject": "x",
        "status": status,
        "last_event_time": "2026-01-01T00:00:00Z",
    }


async def test_what_became_of_a_message_is_the_worst_of_its_recipients(tool: Tool, api: respx.MockRouter) -> None:
    found = [seen("delivered"), seen("not_delivered", "gone@away.example"), seen("delivered", known="abc999")]
    route = api.get("/messages").respond(json={"messages": found})
    status = await tool("get_message_status", message_id="abc123")
    assert (status["state"], [each["state"] for each in status["recipients"]]) == ("bounced", ["delivered", "bounced"])
    assert route.calls.last.request.url.params["query"] == 'msg_id LIKE "abc123%"'


async def test_a_message_that_is_not_there_yet_is_no_reason_to_send_again(tool: Tool, api: respx.MockRouter) -> None:
    api.get("/messages").respond(json={"messages": []})
    error = await failed(tool, "get_message_status", message_id="abc123")
    assert (error.code, "Do not send" in error.next_step) == (Code.NOT_FOUND, True)
    api.get("/messages").respond(json={"messages": [seen("vaporised")]})
    assert (await failed(tool, "get_message_status", message_id="abc123")).code is Code.CONTRACT_CHANGED
    assert (await failed(tool, "get_message_status", message_id='x" OR "1')).code is Code.INVALID_INPUT


async def test_suppressions_are_paged_and_read(tool: Tool, api: respx.MockRouter) -> None:
    entry = {"created": 1767225600, "email": "gone@away.example", "reason": "550 5.1.1", "status": "5.1.1"}
    route = api.get("/suppression/bounces").respond(json=[entry] * 50)
    page = await tool("list_suppressions", kind="bounces", since="2026-01-01T00:00:00")
    assert (len(page["items"]), dict(route.calls.last.request.url.params)) == (
        50,
        {"limit": "50", "offset": "0", "start_time": "1767225600"},
    )
    await tool("list_suppressions", kind="bounces", cursor=page["next_cursor"])
    assert route.calls.last.request.url.params["offset"] == "50"


async def test_a_suppression_is_shown_before_it_is_removed(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    entry = {"created": 1767225600, "email": "gone+a@away.example", "reason": "550 5.1.1", "status": "5.1.1"}
    api.get("/suppression/bounces/gone%2Ba%40away.example").respond(json=[entry])
    route = api.delete("/suppression/bounces/gone%2Ba%40away.example").respond(204)
    await tool("remove_suppression", kind="bounces", email="gone+a@away.example")
    assert route.call_count == 1
    assert person.asked[0].preview["result"][0]["reason"] == "550 5.1.1"


async def test_global_unsubscribes_have_a_place_of_their_own(tool: Tool, api: respx.MockRouter) -> None:
    api.get("/asm/suppressions/global/ann%40away.example").respond(json={"recipient_email": "ann@away.example"})
    route = api.delete("/asm/suppressions/global/ann%40away.example").respond(204)
    await tool("remove_suppression", kind="unsubscribes", email="ann@away.example")
    assert route.call_count == 1
    api.get("/asm/suppressions/global/ben%40away.example").respond(json={})
    assert await tool("get_suppression", kind="unsubscribes", email="ben@away.example") == {"result": []}


async def test_templates_are_listed_with_their_subjects(tool: Tool, api: respx.MockRouter) -> None:
    found = {"id": "d-1", "name": "welcome", "versions": [{"subject": "Hi"}, {"subject": "Hello"}]}
    api.get("/templates").respond(json={"result": [found], "_metadata": {}})
    assert (await tool("list_templates"))["result"] == [{"id": "d-1", "name": "welcome", "subjects": ["Hi", "Hello"]}]


@pytest.mark.parametrize(
    ("event", "state", "cause", "suppress"),
    [
        ({"event": "processed"}, "accepted", None, False),
        ({"event": "delivered", "response": "250 OK"}, "delivered", None, False),
        ({"event": "open"}, "delivered", None, False),
        ({"event": "deferred", "response": "450 4.1.1 unknown user"}, "deferred", "soft", False),
        ({"event": "deferred", "bounce_classification": "Invalid Address"}, "deferred", "soft", False),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 unknown"}, "bounced", "hard", True),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "spam"}, "bounced", "spam", False),
        ({"event": "bounce", "type": "blocked", "status": "5.1.1"}, "bounced", "policy", False),
        ({"event": "bounce", "bounce_classification": "Mailbox Unavailable"}, "bounced", "full", False),
        ({"event": "dropped", "reason": "Bounced Address"}, "suppressed", "unknown", False),
        ({"event": "spamreport"}, "complained", None, True),
        ({"event": "unsubscribe"}, "complained", None, True),
    ],
)
def test_an_event_says_where_a_message_stands(
    event: dict[str, Any], state: str, cause: str | None, suppress: bool
) -> None:
    found = outcome_of({"email": "ann@away.example", "sg_message_id": "abc123.recv-1", **event})
    assert found is not None
    assert (found.state.value, found.cause and found.cause.value, found.suppress) == (state, cause, suppress)


def test_other_events_say_nothing() -> None:
    assert outcome_of({"event": "account_status_change", "email": "a@b.example"}) is None
    assert outcome_of({"event": "delivered"}) is None
    assert outcome_of({}) is None


def test_an_event_belongs_to_the_message_whose_id_begins_its_own() -> None:
    assert belongs_to({"sg_message_id": "abc123.recv-1"}, "abc123")
    assert not belongs_to({"sg_message_id": "abc1234.recv-1"}, "abc123")
    assert not belongs_to({"sg_message_id": ""}, "")
