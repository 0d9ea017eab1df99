"""What Google's refusals mean. A 403 can be a limit, a daily allowance, a missing scope, a missing right, or an API
that is switched off; only its reason says which, so reasons come before statuses.

Sources: https://developers.google.com/workspace/calendar/api/guides/errors, google-api-python-client
(`http._should_retry_response`), https://developers.google.com/workspace/calendar/api/guides/sync.
"""

import re
from dataclasses import replace

from clew import Response, Rule, Verdict
from clew.connectors import google
from clew.connectors.google import FAULTS, LIMITS

LOGIN = "Ask the person to run: clew auth login google_calendar --account {account}"
EXPIRED = "the sync token is no longer valid; {provider} cannot say what changed since."
RESYNC = "Forget what was kept of this calendar and call list_events with sync_token=new."


FORBIDDEN = (
    Rule(
        code="permission",
        codes="accessNotConfigured SERVICE_DISABLED",
        message="the Calendar API is switched off in the project of this OAuth client.",
        next_step="Ask the person who runs the server to enable the Google Calendar API in the project's console.",
    ),
    Rule(
        code="permission",
        codes="insufficientPermissions insufficientScopes ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        message="the login does not cover this part of the calendar.",
        next_step=f"{LOGIN} (and to leave all boxes ticked).",
    ),
    Rule(
        code="permission",
        codes="forbiddenForNonOrganizer",
        message="only the organizer of this event can change it.",
        next_step="Tell the person who the organizer is: get_event shows it.",
    ),
    Rule(
        code="permission",
        status=403,
        codes="forbidden forbiddenForServiceAccounts requiredAccessLevel domainPolicy",
        next_step="list_calendars shows what the account may do with each calendar; its owner can give more.",
    ),
)
"""What the tools of a calendar can say better than Google's interfaces in common."""

STATE = (
    Rule(code="conflict", codes="fullSyncRequired updatedMinTooLongAgo", message=EXPIRED, next_step=RESYNC),
    Rule(code="already_done", status=410, methods=("DELETE",), message="the event is deleted already."),
    Rule(code="not_found", status=410, message="the event was deleted.", next_step="Find others with list_events."),
    Rule(
        code="already_done",
        status=409,
        methods=("POST",),
        message="there is an event with this id already.",
        next_step="Read it with get_event. If it is another or a cancelled one, choose another event_id.",
    ),
    Rule(
        code="conflict",
        status=(409, 412),
        message="the event has changed since it was read.",
        next_step="Read it again with get_event, decide anew, and pass its new etag.",
    ),
    Rule(
        code="not_found",
        status=404,
        message="{provider} does not know this calendar or event, or hides it from this account.",
        next_step="Check the ids with list_calendars and list_events.",
    ),
)

_ARGUMENTS = {
    "timeMin": "start",
    "timeMax": "end",
    "start.date": "start",
    "start.dateTime": "start",
    "end.date": "end",
    "end.dateTime": "end",
    "start.timeZone": "time_zone",
    "end.timeZone": "time_zone",
    "summary": "title",
    "q": "query",
    "pageToken": "cursor",
    "syncToken": "sync_token",
    "resource.id": "event_id",
    "id": "event_id",
    "If-Match": "etag",
    "If-None-Match": "etag",
}
"""Google's name of a field to ours; other names are shown as they are."""


def classify(response: Response) -> Verdict | None:
    """What rules cannot say: a dead sync token under any reason, and which fields are wrong."""
    if response.status == 410 and re.search(r"[?&]syncToken=", response.url):
        return Verdict("conflict", EXPIRED, RESYNC)
    faults = _faults(response) if response.status == 400 else []
    codes = ERRORS.codes(response) if faults else frozenset[str]()
    if faults and not any(rule.matches(response, codes) for rule in (*LIMITS, *FORBIDDEN, *STATE)):
        return Verdict("invalid_input", "{provider} rejected the arguments: " + ", ".join(faults) + ".")
    return None


def _faults(response: Response) -> list[str]:
    """Argument and reason of each fault; anything that does not look like a name is not repeated."""
    faults: list[str] = []
    for position in range(10):
        reason = response.field(f"error.errors[{position}].reason")
        if reason is None or not re.fullmatch(r"[\w-]{1,60}", reason):
            break
        place = response.field(f"error.errors[{position}].location") or ""
        place = _ARGUMENTS.get(place, place if re.fullmatch(r"[\w.\[\]-]{1,60}", place) else "")
        faults.append(f"{place} ({reason})" if place else reason)
    return faults


ERRORS = replace(google.ERRORS, rules=(*LIMITS, *FORBIDDEN, *STATE, *FAULTS), hook=classify)
