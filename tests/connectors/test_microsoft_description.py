"""Every tool of the Microsoft connector with the fewest and with the most arguments, and a subscription's whole life.

What is looked at is what leaves: each request is judged by Graph's own description, as all of these tests' are.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from tests.connectors.calling import Calling
from tests.connectors.graph_box import OWN, message, somebody
from tests.people import Person

from clew.connectors.microsoft import microsoft
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.subscriptions import Wish

pytestmark = pytest.mark.anyio

WINDOW = {"start": "2091-03-01T00:00:00Z", "end": "2091-03-08T00:00:00Z"}
LETTER = {"to": ["grace@away.example"], "subject": "x", "text": "x"}
FULL = {
    "cc": ["c@x.example"],
    "bcc": ["b@x.example"],
    "html": True,
    "attachments": [{"filename": "a", "content": "aGk="}],
}
TARGET = {"event_id": "e1", "change_key": "ck1"}
CALLS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "search_messages": [
        {},
        {"query": "from:ada", "folder": "all"},
        {"unread": True, "since": "2026-01-01T00:00:00Z", "folder": "Customers/Acme"},
        {"conversation_id": "c1"},
        {"changes": "new", "since": "2026-01-01T00:00:00Z"},
        {"changes": "new", "cursor": "s1"},
        {"changes": "d1"},
    ],
    "get_message": [{"message_id": "m1"}],
    "update_messages": [
        {"message_ids": ["m1", "m2"], "read": True},
        {"message_ids": ["m1"], "read": False, "flagged": True, "categories": ["Red"], "move_to": "archive"},
    ],
    "create_draft": [LETTER, {**LETTER, **FULL}, {"text": "x", "reply_to": "m1", **FULL}],
    "preview_message": [LETTER, {"text": "x", "reply_to": "m1", "reply_all": True}],
    "send_message": [{**LETTER, **FULL}, {"text": "x", "reply_to": "m1", "reply_all": True}],
    "send_draft": [{"message_id": "d1", "change_key": "ck1"}],
    "list_events": [WINDOW, {**WINDOW, "changes": "new"}, {"changes": "d1"}],
    "get_event": [{"event_id": "e1"}],
    "find_meeting_times": [WINDOW, {**WINDOW, "attendees": ["grace@away.example"], "minutes": 60, "all_free": True}],
    "create_event": [
        {"title": "x", "start": "2091-03-01", "end": "2091-03-02"},
        {
            "title": "x",
            "start": "2091-03-01T09:00:00",
            "end": "2091-03-01T10:00:00",
            "time_zone": "Europe/Berlin",
            "description": "x",
            "location": "x",
            "attendees": ["grace@away.example"],
            "teams": True,
        },
    ],
    "update_event": [
        {**TARGET, "title": "x", "mail_attendees": True},
        {
            **TARGET,
            **WINDOW,
            "title": "x",
            "description": "x",
            "location": "x",
            "add_attendees": ["ida@home.example"],
            "remove_attendees": ["grace@away.example"],
            "mail_attendees": True,
        },
    ],
    "preview_cancellation": [TARGET],
    "cancel_event": [TARGET, {**TARGET, "comment": "x"}, {"event_id": "alone", "change_key": "ck1"}],
}
"""Every tool, with the fewest and with the most arguments."""
EVENT = {
    "id": "e1",
    "changeKey": "ck1",
    "isOrganizer": True,
    "attendees": [{"type": "required", **somebody("grace@away.example")}],
}


def answer(request: httpx.Request) -> httpx.Response:
    path = request.url.path.removeprefix("/v1.0")
    letter = message("m1", **{"from": somebody("grace@away.example"), "attachments": [{"id": "a1", "name": "a"}]})
    if path == "/me":
        return httpx.Response(200, json={"mail": OWN, "userPrincipalName": OWN})
    if path == "/$batch":
        rows = json.loads(request.content)["requests"]
        return httpx.Response(200, json={"responses": [{"id": each["id"], "status": 200} for each in rows]})
    if path == "/me/findMeetingTimes":
        return httpx.Response(200, json={"meetingTimeSuggestions": [], "emptySuggestionsReason": "Unknown"})
    if path.startswith("/me/events"):
        return httpx.Response(200, json=EVENT | ({"attendees": []} if "alone" in path else {}))
    if path.endswith(("/mailFolders", "/childFolders")):
        return httpx.Response(200, json={"value": [{"id": "f1", "displayName": "x"}]})
    if path.endswith(("/messages", "/calendarView")) and request.method == "GET":
        return httpx.Response(200, json={"value": []})
    if path.endswith("/delta"):
        return httpx.Response(
            200, json={"value": [], "@odata.deltaLink": "https://graph.microsoft.com/x?$deltatoken=d"}
        )
    if path.endswith("/createReply"):
        sent = json.loads(request.content)["Message"]
        return httpx.Response(201, json={**letter, **sent, "id": "d1", "changeKey": "ck1", "isDraft": True})
    if path.startswith("/me/messages/d1") or request.method == "POST":
        people = {f"{kind}Recipients": [somebody(who)] for kind, who in (("cc", "c@x.example"), ("bcc", "b@x.example"))}
        draft = {**letter, **people, "id": "d1", "changeKey": "ck1", "isDraft": True}
        return httpx.Response(202 if path.endswith("/send") else 200, json=draft)
    return httpx.Response(200, json=letter)


@pytest.mark.parametrize("name", list(microsoft.tools))
async def test_every_request_of_a_tool_is_one_that_is_described(call: Calling, name: str) -> None:
    sent = 0

    def count(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        return answer(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(count)) as client:
        call.client = client
        for arguments in CALLS[name]:
            await call(microsoft, name, arguments, host=Person())
    assert sent >= len(CALLS[name])


async def test_every_request_of_a_subscription_is_one_that_is_described(call: Calling) -> None:
    def renewed(request: httpx.Request) -> httpx.Response:
        ends = {"id": "s1", "expirationDateTime": "2091-01-01T00:00:00Z"}
        return httpx.Response(204 if request.method == "DELETE" else 200, json=ends)

    way = microsoft.subscription
    assert way is not None
    assert way.renew is not None
    async with httpx.AsyncClient(transport=httpx.MockTransport(renewed)) as client:
        call.client = client
        wire = call.wire(microsoft)
        api = Api(wire, Deadline.after(5), Trail(), Effect.WRITE, SilentHost())
        await way.create(api, Wish(url="https://here.example", secret=Secret("x"), where={"resource": "me/messages"}))
        await way.check(api, "s1", {})
        await way.renew(api, "s1", {})
        await way.remove(api, "s1", {})
        call.look(wire, "no tool")
