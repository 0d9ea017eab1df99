"""Microsoft Graph: a mailbox of fifteen messages and a calendar of ten events. Shapes: learn.microsoft.com/graph/api,
resources/message and resources/event; `$select` and the form of bodies that `Prefer` names are heeded.
"""

import base64
import hashlib
from typing import Any

import httpx

from bench.tokens_client import node
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .shared import PEOPLE, SUBJECTS, Object, address, day, routed

OWN = PEOPLE[0]
CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#users('ada%40example.com')"
MAILS = 15


def known_as(name: str, *, ends: int = 110) -> str:
    """An id as Exchange gives them: a long beginning that the mailbox's share, and some that differ."""
    mailbox = hashlib.sha512(b"mailbox").digest() + hashlib.sha256(b"folder").digest()
    mixed = b"\x00\x08\x4b" + mailbox[: ends - 27] + hashlib.sha256(name.encode()).digest()[:24]
    return base64.urlsafe_b64encode(mixed).decode()


def somebody(name: str) -> Object:
    """A person as Graph writes one."""
    return {"emailAddress": {"name": name, "address": address(name)}}


def html(text: str) -> str:
    """A body as Outlook stores it."""
    head = '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>'
    parts = "".join(f"<p>{each}</p>\r\n" for each in text.split("\n") if each)
    return f'{head}<body><div style="font-family:Aptos,sans-serif; font-size:12pt">{parts}</div></body></html>'


def message(number: int) -> Object:
    """A message with all its fields."""
    identity, at = known_as(f"message {number}"), f"{day(number)}T09:30:00Z"
    return {
        "@odata.etag": f'W/"{known_as(f"key {number}", ends=40)[-40:]}"',
        "id": identity,
        "createdDateTime": at,
        "lastModifiedDateTime": f"{day(number)}T09:31:12Z",
        "changeKey": known_as(f"key {number}", ends=40)[-40:],
        "categories": [],
        "receivedDateTime": at,
        "sentDateTime": f"{day(number)}T09:29:58Z",
        "hasAttachments": False,
        "internetMessageId": f"<{hashlib.sha256(identity.encode()).hexdigest()[:32]}@mail.example.com>",
        "subject": SUBJECTS[number % 10],
        "bodyPreview": NOTE[:255].replace("\n", "\r\n"),
        "importance": "normal",
        "parentFolderId": known_as("inbox", ends=80),
        "conversationId": known_as(f"conversation {number}", ends=80),
        "conversationIndex": base64.b64encode(hashlib.sha256(identity.encode()).digest()[:22]).decode(),
        "isDeliveryReceiptRequested": False,
        "isReadReceiptRequested": False,
        "isRead": number % 2 == 0,
        "isDraft": False,
        "webLink": f"https://outlook.office365.com/owa/?ItemID={identity}&exvsurl=1&viewmodel=ReadMessageItem",
        "inferenceClassification": "focused",
        "body": {"contentType": "html", "content": html(NOTE)},
        "sender": somebody(PEOPLE[1]),
        "from": somebody(PEOPLE[1]),
        "toRecipients": [somebody(OWN)],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "flag": {"flagStatus": "notFlagged"},
    }


def event(number: int) -> Object:
    """An event with all its fields."""
    identity, key = known_as(f"event {number}"), known_as(f"event key {number}", ends=40)[-20:]
    made = f"{day(number)}T09:30:00.1234567Z"
    answer = {"response": "organizer", "time": "0001-01-01T00:00:00Z"}
    room = {"displayName": "Room 4", "locationType": "default", "uniqueId": "Room 4", "uniqueIdType": "private"}
    guest = {"type": "required", "status": {"response": "accepted", "time": made}, **somebody(PEOPLE[1])}
    return {
        "@odata.etag": f'W/"{key}"',
        "id": identity,
        "createdDateTime": made,
        "lastModifiedDateTime": made,
        "changeKey": key,
        "categories": [],
        "transactionId": None,
        "originalStartTimeZone": "W. Europe Standard Time",
        "originalEndTimeZone": "W. Europe Standard Time",
        "iCalUId": hashlib.sha512(identity.encode()).hexdigest()[:112].upper(),
        "uid": hashlib.sha512(identity.encode()).hexdigest()[:112].upper(),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "hasAttachments": False,
        "subject": f"Review {number}",
        "bodyPreview": NOTE[:255].replace("\n", "\r\n"),
        "importance": "normal",
        "sensitivity": "normal",
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "responseRequested": True,
        "seriesMasterId": None,
        "showAs": "busy",
        "type": "singleInstance",
        "webLink": f"https://outlook.office365.com/owa/?itemid={identity}&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": False,
        "onlineMeetingProvider": "unknown",
        "allowNewTimeProposals": True,
        "occurrenceId": None,
        "isDraft": False,
        "hideAttendees": False,
        "responseStatus": answer,
        "body": {"contentType": "html", "content": html(NOTE)},
        "start": {"dateTime": f"2091-03-19T{number + 8:02}:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"2091-03-19T{number + 8:02}:30:00.0000000", "timeZone": "UTC"},
        "location": {**room, "address": {}, "coordinates": {}},
        "locations": [room],
        "recurrence": None,
        "attendees": [guest],
        "organizer": somebody(OWN),
        "onlineMeeting": None,
    }


def told(found: Object, request: httpx.Request) -> Object:
    """What was asked for of an object, with its body as it was asked for."""
    wanted = request.url.params.get("$select", "").split(",")
    shown = {name: each for name, each in found.items() if wanted == [""] or name in (*wanted, "id", "@odata.etag")}
    if "body" in shown and 'body-content-type="text"' in request.headers.get("prefer", ""):
        shown["body"] = {"contentType": "text", "content": NOTE.replace("\n", "\r\n")}
    if "attachments" in request.url.params.get("$expand", ""):
        shown["attachments"] = []
    return shown


def site() -> tuple[Site, Known]:
    """The mailbox."""
    mails = {each["id"]: each for each in map(message, range(MAILS))}
    events = {each["id"]: each for each in map(event, range(10))}

    def listed(request: httpx.Request, found: list[Object]) -> Object:
        some = found[: int(request.url.params.get("$top", "10"))]
        return {"@odata.context": f"{CONTEXT}/messages", "value": [told(each, request) for each in some]}

    def store(request: httpx.Request, body: Object) -> httpx.Response:
        made = {**message(20), **body, "isDraft": True, "body": {"contentType": "html", "content": html(NOTE)}}
        mails[made["id"]] = made
        return httpx.Response(201, json={"@odata.context": f"{CONTEXT}/messages/$entity", **made})

    def sent(request: httpx.Request, body: Object, identity: str = "") -> httpx.Response:
        if identity:
            mails[identity]["isDraft"] = False
        return httpx.Response(202)

    def make(request: httpx.Request, body: Object) -> httpx.Response:
        made = {**event(11), "subject": body["subject"], "start": body["start"], "end": body["end"]}
        return httpx.Response(201, json={"@odata.context": f"{CONTEXT}/events/$entity", **told(made, request)})

    def one(request: httpx.Request, _: Any, identity: str) -> Object:
        return {"@odata.context": f"{CONTEXT}/messages/$entity", **told(mails[identity], request)}

    newest = list(reversed(mails.values()))
    me = {"mail": address(OWN), "userPrincipalName": address(OWN)}
    found = routed(
        [
            ("GET", "/v1.0/me", lambda *_: me),
            ("GET", "/v1.0/me/messages", lambda request, *_: listed(request, newest)),
            ("GET", "/v1.0/me/mailFolders/inbox/messages", lambda request, *_: listed(request, newest)),
            ("GET", "/v1.0/me/messages/([^/]+)", one),
            ("POST", "/v1.0/me/messages", store),
            ("POST", "/v1.0/me/messages/([^/]+)/send", sent),
            ("POST", "/v1.0/me/sendMail", sent),
            ("GET", "/v1.0/me/calendarView", lambda request, *_: listed(request, list(events.values()))),
            ("POST", "/v1.0/me/events", make),
        ]
    )
    return found, {"message": known_as("message 3")}


RECOMMENDED = "id,subject,from,toRecipients,receivedDateTime,bodyPreview,isRead,hasAttachments"
"""What their description of the tool says to select."""


def _tasks(known: Known) -> Tasks:
    window = {"startDateTime": "2091-03-19T00:00:00Z", "endDateTime": "2091-03-19T23:59:00Z"}
    hour = {"start": "2091-03-19T21:00:00", "end": "2091-03-19T22:00:00"}
    nested = {name: {"dateTime": when, "timeZone": "UTC"} for name, when in hour.items()}
    to = [{"emailAddress": {"address": "grace@example.com"}}]
    letter = {"subject": "The export", "toRecipients": to, "body": {"contentType": "text", "content": NOTE}}
    made = {"subject": "Export", "body": {"contentType": "text", "content": NOTE}, **nested}
    return (
        (
            "find a message",
            [("list-mail-messages", {"search": '"export"', "select": RECOMMENDED, "top": MAILS})],
            [("search_messages", {"query": "export"})],
        ),
        (
            "read it",
            [("get-mail-message", {"messageId": known["message"]})],
            [("get_message", {"message_id": known["message"]})],
        ),
        (
            "send",
            [("send-mail", {"body": {"Message": letter}})],
            [
                (
                    "send_message",
                    {"to": ["grace@example.com"], "subject": "The export", "text": NOTE, "request_id": "one"},
                )
            ],
        ),
        (
            "what is on",
            [("get-calendar-view", {**window, "top": 25})],
            [("list_events", {"start": window["startDateTime"], "end": window["endDateTime"]})],
        ),
        (
            "make an event",
            [("create-calendar-event", {"body": made})],
            [
                (
                    "create_event",
                    {"title": "Export", "description": NOTE, **hour, "time_zone": "UTC", "request_id": "two"},
                )
            ],
        ),
    )


PAIR = Pair(
    "microsoft",
    "@softeria/ms-365-mcp-server 0.155.0",
    node("ms-365-mcp-server"),
    {"MS365_MCP_OAUTH_TOKEN": TOKEN},
    ["graph.microsoft.com"],
    "/v1.0",
    _tasks,
    site=site,
    scopes=["Mail.ReadWrite", "Mail.Send", "Calendars.ReadWrite", "User.Read", "offline_access"],
)
