"""What the providers' descriptions get wrong or leave out, and how that is known, one fault at a time."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Known:
    """What a description gets wrong of one operation: a fault, as a pattern, and how that is known."""

    operation: str
    fault: str
    why: str
    when: Callable[[httpx.Request], bool] = lambda request: True


def _templated(request: httpx.Request) -> bool:
    return "template_id" in json.loads(request.content)


def _each(operations: Sequence[str], fault: str, why: str) -> tuple[Known, ...]:
    return tuple(Known(each, fault, why) for each in operations)


_NEWER = "twilio/sendgrid-oai, tsg_suppressions_v3, has it: this description is older"
_SEARCHED = (
    "developers.hubspot.com, Search the CRM: its examples have no after on the first page, and sorts of this form"
)
_SENDS_NOTHING = (
    "it says what a body is, and these have none; pagerduty (python) 7.2.0 does not need it for them either"
)
_ACCOUNT_KEY = "pagerduty (python) 7.2.0, default_from: needed with an account's key; any other login says who acts"
_BODY = "the example of the same operation has a type and a text"
_GRAPH = "learn.microsoft.com/graph/api"
_PAGED = "developer.zendesk.com/api-reference/introduction/pagination: said of lists in words"
_SORTED = "its words have it of comments by cursor; of tickets and audits it is from memory, and nothing rests on it"
_BESIDE = "developer.zendesk.com, Side-loading: include=users"
_WRITE_ONLY = "the same description's Ticket has it, for writing; developer.zendesk.com, Creating and updating tickets"
_AFTER_THE_FIRST = "developer.zendesk.com, Incremental Exports: start_time for the first page, then cursor"
_EXPORT_SIZE = "developer.zendesk.com, Incremental Exports; the description has it of people by cursor"
STALE: Mapping[str, Sequence[Known]] = {
    "google_calendar": (
        Known(
            "PATCH /calendar/v3/calendars/{calendarId}/events/{eventId}",
            r"body (start|end)\.(date|dateTime|timeZone): None is not of type 'string'",
            "null takes a field away: developers.google.com/workspace/calendar/api/guides/performance, Patch semantics",
        ),
    ),
    "hubspot": (
        Known(
            "POST /crm/objects/2026-09/{objectType}/search",
            r"body \.: 'after' is a required property|body sorts\.0: \{'propertyName': .* is not of type 'string'",
            _SEARCHED,
        ),
    ),
    "jira": (
        Known(
            "PUT /rest/api/3/issue/{issueIdOrKey}/assignee",
            "body accountId: None is not of type 'string'",
            "its words allow null, for nobody; its schema forgets it",
        ),
    ),
    "microsoft": (
        *_each(
            (
                "GET /me/calendarView/microsoft.graph.delta()",
                "GET /me/mailFolders/{mailFolder-id}/messages/microsoft.graph.delta()",
            ),
            r"query parameter (startDateTime|endDateTime|\$deltatoken|\$skiptoken) is unknown",
            f"{_GRAPH}/event-delta and message-delta name them in words",
        ),
        Known(
            "GET /me/calendarView",
            r"query parameter \$orderby: 0: 'start/dateTime' is not one of .*",
            f"{_GRAPH}/calendar-list-calendarview orders so: it lists fields, and no field of a field",
        ),
        Known(
            "GET /me/messages/{message-id}",
            r"query parameter \$expand is unknown",
            f"{_GRAPH}/message-get, Get the attachments with $expand",
        ),
        Known(
            "POST /me/messages",
            r"body field attachments\.contentBytes is unknown",
            f"{_GRAPH}/resources/fileattachment: contentBytes is the file's, which this takes for any attachment's",
        ),
        Known(
            "POST /me/messages/{message-id}/attachments",
            "body field contentBytes is unknown",
            f"{_GRAPH}/resources/fileattachment: contentBytes is the file's, which this takes for any attachment's",
        ),
    ),
    "pagerduty": (
        *_each(
            (
                "GET /incidents",
                "GET /incidents/{id}",
                "GET /incidents/{id}/notes",
                "GET /oncalls",
                "GET /services",
                "GET /services/{id}",
                "GET /users/me",
            ),
            "header parameter content-type is missing",
            _SENDS_NOTHING,
        ),
        *_each(
            ("POST /incidents", "PUT /incidents/{id}", "POST /incidents/{id}/notes"),
            "header parameter from is missing",
            _ACCOUNT_KEY,
        ),
        Known(
            "POST /incidents",
            r"body incident\.body\.details: .* is not of type 'object'|body field incident\.body\.type is unknown",
            _BODY,
        ),
    ),
    "sendgrid": (
        Known("GET /suppression/bounces", "query parameter (limit|offset) is unknown", _NEWER),
        Known(
            "DELETE /suppression/bounces/{email}",
            "query parameter email_address is missing",
            "the path names it; twilio/sendgrid-oai, tsg_suppressions_v3, asks for nothing else",
        ),
        Known(
            "POST /mail/send",
            r"body \.: '(subject|content)' is a required property",
            "its words say that a template's subject and content stand in for these",
            _templated,
        ),
    ),
    "zendesk": (
        *_each(
            (
                "GET /api/v2/tickets",
                "GET /api/v2/tickets/{ticket_id}/audits",
                "GET /api/v2/tickets/{ticket_id}/comments",
                "GET /api/v2/views/{view_id}/tickets",
            ),
            r"query parameter page\[(size|after)\] is unknown",
            _PAGED,
        ),
        *_each(
            ("GET /api/v2/search", "GET /api/v2/users/search"),
            "query parameter (page|per_page) is unknown",
            _PAGED,
        ),
        *_each(
            (
                "GET /api/v2/tickets",
                "GET /api/v2/tickets/{ticket_id}/audits",
                "GET /api/v2/tickets/{ticket_id}/comments",
            ),
            "query parameter sort is unknown",
            _SORTED,
        ),
        Known("GET /api/v2/tickets/{ticket_id}", "query parameter include is unknown", _BESIDE),
        Known("POST /api/v2/tickets", "body field ticket.requester is unknown", _WRITE_ONLY),
        Known("PUT /api/v2/tickets/{ticket_id}", "body field ticket.metadata is unknown", _WRITE_ONLY),
        Known(
            "GET /api/v2/incremental/tickets/cursor",
            "query parameter start_time is missing",
            _AFTER_THE_FIRST,
            lambda request: "cursor" in request.url.params,
        ),
        Known("GET /api/v2/incremental/tickets/cursor", "query parameter per_page is unknown", _EXPORT_SIZE),
    ),
}

UNDESCRIBED: Mapping[str, tuple[str, str]] = {
    "jira": (
        r"(POST|GET|DELETE) /rest/webhooks/1\.0/webhook(/[^/]+)?",
        "documented on a page of its own: developer.atlassian.com/cloud/jira/platform/webhooks",
    ),
    "zendesk": (
        r"(POST|GET|DELETE) /api/v2/webhooks(/[^/]+(/signing_secret)?)?|GET /api/v2/users/[^/]+/tickets/requested",
        "webhooks have a description of their own; developer.zendesk.com, List Tickets, has those of a requester",
    ),
}
"""Operations that a provider documents, though not in its description; and where."""

Asked = tuple[str, str, str, bytes]
"""Method, path, query and body of a request."""


def _predecessor(method: str, path: str, query: str, body: bytes) -> Sequence[Asked]:
    """Jira's description is older than this search, which pages by a token where the older one counts."""
    if path == "/rest/api/3/search/jql":
        return [(method, "/rest/api/3/search", re.sub(r"nextPageToken=[^&]*", "startAt=1", query), body)]
    return [(method, path, query, body)]


_ACTIONS = r"/(createReply|send|move|cancel|findMeetingTimes|reauthorize)$"


def _with_namespace(method: str, path: str, query: str, body: bytes) -> Sequence[Asked]:
    """Graph's description names actions and functions in full, and knows no batch: its parts are judged one by one."""
    if path == "/$batch":
        parts: list[Asked] = []
        for each in json.loads(body)["requests"]:
            place, _, asked = str(each["url"]).partition("?")
            sent = json.dumps(each["body"]).encode() if "body" in each else b""
            parts += _with_namespace(str(each["method"]), place, asked, sent)
        return parts
    named = re.sub("/delta$", "/microsoft.graph.delta()", re.sub(_ACTIONS, r"/microsoft.graph.\1", path))
    return [(method, named, query, body)]


def _from_the_host(method: str, path: str, query: str, body: bytes) -> Sequence[Asked]:
    """Zendesk's description begins its paths at the host."""
    return [(method, f"/api/v2{path}", query, body)]


READ_AS: Mapping[str, Callable[[str, str, str, bytes], Sequence[Asked]]] = {
    "jira": _predecessor,
    "microsoft": _with_namespace,
    "zendesk": _from_the_host,
}
"""How a request is put into the words of a description: an older one, or one that names things in full."""
