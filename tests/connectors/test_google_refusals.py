"""What Google's refusals mean to whoever uses its calendar: by reason, whatever the status."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import respx
from tests.people import Person

from clew.core.errors import CallError, Code, Outcome

pytestmark = pytest.mark.anyio

Refusal = Callable[..., Awaitable[CallError]]

EVENTS = "/calendar/v3/calendars/primary/events"
EVENT = {"id": "review1", "etag": '"1"', "status": "confirmed", "summary": "Design review"}


def reason(status: int, *reasons: str, location: str | None = None) -> dict[str, Any]:
    place = {"locationType": "parameter", "location": location} if location else {}
    faults = [{"domain": "global", "reason": each, "message": "Because.", **place} for each in reasons]
    return {"error": {"code": status, "message": "Because.", "errors": faults}}


def newer(status: int, word: str, detail: str) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}]
    return {"error": {"code": status, "message": "Because.", "status": word, "details": details}}


@pytest.mark.parametrize(
    ("status", "answer", "code", "words"),
    [
        (403, reason(403, "rateLimitExceeded"), Code.RATE_LIMITED, ""),
        (403, reason(403, "userRateLimitExceeded"), Code.RATE_LIMITED, ""),
        (429, newer(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"), Code.RATE_LIMITED, ""),
        (403, reason(403, "quotaExceeded"), Code.QUOTA_EXHAUSTED, ""),
        (403, reason(403, "dailyLimitExceeded"), Code.QUOTA_EXHAUSTED, ""),
        (403, reason(403, "insufficientPermissions"), Code.PERMISSION, "auth login google_calendar --account work"),
        (
            403,
            newer(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
            Code.PERMISSION,
            "auth login google_calendar --account work",
        ),
        (403, reason(403, "accessNotConfigured"), Code.PERMISSION, "person who runs the server"),
        (403, reason(403, "forbiddenForNonOrganizer"), Code.PERMISSION, "organizer"),
        (403, reason(403, "forbidden"), Code.PERMISSION, "list_calendars"),
        (404, reason(404, "notFound"), Code.NOT_FOUND, "list_calendars"),
        (410, reason(410, "deleted"), Code.NOT_FOUND, "list_events"),
        (412, reason(412, "conditionNotMet"), Code.CONFLICT, "etag"),
        (400, reason(400, "badRequest"), Code.INVALID_INPUT, ""),
    ],
)
async def test_a_refusal_is_judged_by_its_reason(
    rejected: Refusal, api: respx.MockRouter, status: int, answer: dict[str, Any], code: Code, words: str
) -> None:
    api.patch(f"{EVENTS}/review1").respond(status, json=answer)
    error = await rejected("update_event", event_id="review1", etag='"1"', title="x")
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
    assert words in error.next_step
    assert "{account}" not in error.next_step


async def test_wrong_arguments_are_named_as_the_tool_names_them(rejected: Refusal, api: respx.MockRouter) -> None:
    api.get(EVENTS).respond(400, json=reason(400, "timeRangeEmpty", location="timeMax"))
    error = await rejected("list_events", start="2091-03-01T00:00:00Z", end="2091-03-02T00:00:00Z")
    assert error.message == "google_calendar rejected the arguments: end (timeRangeEmpty)."


@pytest.mark.parametrize("why", ["fullSyncRequired", "updatedMinTooLongAgo", "gone"])
async def test_a_dead_sync_token_tells_the_agent_to_begin_anew(
    rejected: Refusal, api: respx.MockRouter, why: str
) -> None:
    api.get(EVENTS).respond(410, json=reason(410, why))
    error = await rejected("list_events", sync_token="t1")
    assert error.code is Code.CONFLICT
    assert "sync_token=new" in error.next_step


async def test_a_deletion_of_what_is_deleted_is_already_done(rejected: Refusal, api: respx.MockRouter) -> None:
    api.get(f"{EVENTS}/review1").respond(json=EVENT)
    api.delete(f"{EVENTS}/review1").respond(410, json=reason(410, "deleted"))
    error = await rejected("delete_event", event_id="review1", etag=EVENT["etag"], host=Person())
    assert error.code is Code.ALREADY_DONE


async def test_a_refused_token_is_not_tried_for_ever(rejected: Refusal, api: respx.MockRouter) -> None:
    route = api.get(f"{EVENTS}/review1").respond(401, json=reason(401, "authError"))
    assert (await rejected("get_event", event_id="review1")).code is Code.AUTH_REVOKED
    assert route.call_count == 2


async def test_a_repeat_under_the_same_id_is_already_done(rejected: Refusal, api: respx.MockRouter) -> None:
    api.post(EVENTS).respond(409, json=reason(409, "duplicate"))
    error = await rejected("create_event", title="Lunch", start="2091-03-01T12:00:00Z", end="2091-03-01T13:00:00Z")
    assert (error.code, error.outcome) == (Code.ALREADY_DONE, Outcome.APPLIED)
