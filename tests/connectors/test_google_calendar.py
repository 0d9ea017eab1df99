"""Google Calendar: what the tools send, what they make of the answers, and when they ask a person."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.people import Person

from clew.connectors.google_calendar import google_calendar
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

Refusal = Callable[..., Awaitable[CallError]]

V3 = "/calendar/v3"
EVENTS = f"{V3}/calendars/primary/events"
BERLIN = "Europe/Berlin"
REVIEW: dict[str, Any] = {
    "kind": "calendar#event",
    "id": "review1",
    "etag": '"3181161784712000"',
    "status": "confirmed",
    "htmlLink": "https://www.google.com/calendar/event?eid=cmV2aWV3MQ",
    "summary": "Design review",
    "description": "Bring the drawings.",
    "location": "Room 4",
    "organizer": {"email": "ada@example.com", "self": True},
    "start": {"dateTime": "2091-03-01T09:00:00+01:00", "timeZone": BERLIN},
    "end": {"dateTime": "2091-03-01T10:00:00+01:00", "timeZone": BERLIN},
    "hangoutLink": "https://meet.google.com/abc-defg-hij",
    "attendees": [
        {"email": "ada@example.com", "organizer": True, "self": True, "responseStatus": "accepted"},
        {"email": "grace@example.com", "responseStatus": "tentative", "optional": True},
    ],
}
FAIR = {
    "id": "fair1",
    "etag": '"1"',
    "status": "confirmed",
    "summary": "Fair",
    "start": {"date": "2091-03-05"},
    "end": {"date": "2091-03-07"},
}


def last(router: respx.MockRouter) -> httpx.Request:
    calls: Any = router.calls
    request: httpx.Request = calls[-1].request
    return request


def body(request: httpx.Request) -> Any:
    return json.loads(request.content)


def saved_as_sent(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={**REVIEW, **body(request)})


def test_the_tools_and_what_they_do_to_the_world() -> None:
    assert {name: tool.effect.value for name, tool in google_calendar.tools.items()} == {
        "list_calendars": "read",
        "list_events": "read",
        "get_event": "read",
        "create_event": "write",
        "update_event": "write",
        "preview_deletion": "read",
        "delete_event": "destructive",
        "find_free_time": "read",
    }
    assert all(len(tool.description) <= 120 for tool in google_calendar.tools.values())


async def test_the_identity_is_the_email_address(call: Calling, api: respx.MockRouter) -> None:
    api.get("/oauth2/v2/userinfo").respond(json={"id": "1", "email": "ada@example.com", "verified_email": True})
    bound = Api(call.wire(google_calendar), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert google_calendar.identify is not None
    assert await google_calendar.identify(bound) == "ada@example.com"


async def test_calendars_show_their_own_name_and_what_the_account_may_do(calendar: Tool, api: respx.MockRouter) -> None:
    mine = {"id": "a@example.com", "summary": "a@example.com", "summaryOverride": "Ada", "accessRole": "owner"}
    shared = {"id": "team@group.calendar.google.com", "summary": "Team", "accessRole": "freeBusyReader"}
    route = api.get(f"{V3}/users/me/calendarList")
    route.side_effect = [
        httpx.Response(200, json={"items": [{**mine, "primary": True, "timeZone": BERLIN}], "nextPageToken": "p2"}),
        httpx.Response(200, json={"items": [shared]}),
    ]
    first = await calendar("list_calendars")
    assert first["items"] == [
        {"id": "a@example.com", "name": "Ada", "primary": True, "access": "owner", "time_zone": BERLIN}
    ]
    second = await calendar("list_calendars", cursor=first["next_cursor"])
    assert second["items"][0]["access"] == "freeBusyReader"
    assert "next_cursor" not in second
    assert last(api).url.params["pageToken"] == "p2"


async def test_listed_events_are_thrifty_lines(calendar: Tool, api: respx.MockRouter) -> None:
    page = {"items": [REVIEW, {**FAIR, "status": "tentative"}], "timeZone": BERLIN, "nextPageToken": "p2"}
    api.get(EVENTS).respond(json=page)
    found = await calendar("list_events", start="2091-03-01T00:00:00+01:00", end="2091-04-01T00:00:00+02:00", query="x")
    assert found["items"] == [
        {
            "id": "review1",
            "title": "Design review",
            "start": "2091-03-01T09:00:00+01:00",
            "end": "2091-03-01T10:00:00+01:00",
            "location": "Room 4",
            "guests": 2,
            "my_response": "accepted",
            "meeting": "https://meet.google.com/abc-defg-hij",
        },
        {
            "id": "fair1",
            "status": "tentative",
            "title": "Fair",
            "all_day": True,
            "start": "2091-03-05",
            "end": "2091-03-07",
        },
    ]
    sent = dict(last(api).url.params)
    assert sent.pop("fields").endswith("nextPageToken,nextSyncToken,timeZone")
    assert sent == {
        "timeMin": "2091-03-01T00:00:00+01:00",
        "timeMax": "2091-04-01T00:00:00+02:00",
        "q": "x",
        "orderBy": "startTime",
        "singleEvents": "true",
        "maxResults": "25",
    }
    assert found["next_cursor"] == "p2"


async def test_following_changes_begins_without_an_order_and_goes_on_with_the_token_alone(
    calendar: Tool, api: respx.MockRouter
) -> None:
    gone = {"id": "gone1", "status": "cancelled"}
    api.get(EVENTS).side_effect = [
        httpx.Response(200, json={"items": [FAIR], "nextSyncToken": "t1"}),
        httpx.Response(200, json={"items": [gone], "nextSyncToken": "t2"}),
    ]
    first = await calendar("list_events", sync_token="new", start="2091-01-01T00:00:00Z")
    assert first["next_sync_token"] == "t1"
    assert "orderBy" not in last(api).url.params
    then = await calendar("list_events", sync_token="t1")
    assert then["items"] == [gone]
    assert then["next_sync_token"] == "t2"
    assert not {"timeMin", "timeMax", "q", "orderBy"} & set(last(api).url.params)
    assert last(api).url.params["syncToken"] == "t1"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "start"),
        ({"start": "2091-03-01T00:00:00Z"}, "end"),
        ({"start": "2091-03-02T00:00:00Z", "end": "2091-03-01T00:00:00Z"}, "end"),
        ({"start": "2091-03-01", "end": "2091-03-02"}, "start"),
        ({"start": "2091-03-01T00:00:00", "end": "2091-03-02T00:00:00Z"}, "start"),
        ({"start": "20910301", "end": "20910302"}, "start"),
        ({"start": "2091-02-30T00:00:00Z", "end": "2091-03-02T00:00:00Z"}, "start"),
        ({"sync_token": "t1", "query": "x"}, "query"),
        ({"sync_token": "t1", "start": "2091-03-01T00:00:00Z"}, "start"),
        ({"sync_token": "new", "end": "2091-03-01T00:00:00Z"}, "end"),
    ],
)
async def test_a_window_that_means_nothing_is_refused_before_google_is_asked(
    rejected: Refusal, api: respx.MockRouter, arguments: dict[str, str], field: str
) -> None:
    error = await rejected("list_events", **arguments)
    assert error.code is Code.INVALID_INPUT
    assert field in error.fields
    assert not api.calls


async def test_an_event_has_its_guests_and_no_more_than_fifty(calendar: Tool, api: respx.MockRouter) -> None:
    many = [{"email": f"g{number}@example.com", "responseStatus": "needsAction"} for number in range(53)]
    api.get(f"{EVENTS}/review1").respond(json={**REVIEW, "attendees": many})
    event = await calendar("get_event", event_id="review1")
    assert len(event["guests"]) == 50
    assert event["guests_not_shown"] == 3
    assert event["time_zone"] == BERLIN
    assert event["etag"] == '"3181161784712000"'


async def test_a_timed_event_is_created_under_our_own_id(calendar: Tool, api: respx.MockRouter) -> None:
    api.post(EVENTS).mock(side_effect=saved_as_sent)
    made = await calendar(
        "create_event", title="Lunch", start="2091-03-01T12:00", end="2091-03-01T13:00:00", time_zone=BERLIN
    )
    sent = body(last(api))
    assert made["id"] == sent.pop("id")
    assert sent == {
        "summary": "Lunch",
        "start": {"dateTime": "2091-03-01T12:00:00", "timeZone": BERLIN},
        "end": {"dateTime": "2091-03-01T13:00:00", "timeZone": BERLIN},
    }
    assert dict(last(api).url.params) == {"sendUpdates": "none"}
    assert "mailed" not in made


async def test_an_all_day_event_has_plain_dates(calendar: Tool, api: respx.MockRouter) -> None:
    api.post(EVENTS).respond(json=FAIR)
    made = await calendar("create_event", title="Fair", start="2091-03-05", end="2091-03-07", meet=True)
    sent = body(last(api))
    assert (sent["start"], sent["end"]) == ({"date": "2091-03-05"}, {"date": "2091-03-07"})
    assert len(sent["conferenceData"]["createRequest"]["requestId"]) == 32
    assert last(api).url.params["conferenceDataVersion"] == "1"
    assert made["all_day"] is True


@pytest.mark.parametrize(
    ("start", "end", "zone", "field", "words"),
    [
        ("2020-03-01T09:00:00Z", "2020-03-01T10:00:00Z", None, "end", "past"),
        ("2020-03-01", "2020-03-02", None, "end", "past"),
        ("2091-03-01T09:00:00Z", "2091-03-01T09:00:00Z", None, "end", "not after"),
        ("2091-03-01T09:00:00+01:00", "2091-03-01T08:30:00Z", BERLIN, "", ""),
        ("2091-03-01", "2091-03-01", None, "end", "day after its last"),
        ("2091-03-01", "2091-03-01T10:00:00Z", None, "end", "date like start"),
        ("2091-03-01T09:00:00", "2091-03-01T10:00:00", None, "start", "no offset"),
        ("2091-03-01T09:00:00", "2091-03-01T10:00:00", "Berlin", "time_zone", "IANA"),
        ("2091-03-01T09:00:00", "2091-03-01T10:00:00", "../etc", "time_zone", "IANA"),
        ("2091-03-25T02:30:00", "2091-03-25T04:00:00", BERLIN, "start", "does not exist"),
        ("tomorrow", "2091-03-01T10:00:00Z", None, "start", "RFC 3339"),
    ],
)
async def test_times_that_cannot_be_meant_are_refused_with_the_reason(
    call: Calling, api: respx.MockRouter, start: str, end: str, zone: str | None, field: str, words: str
) -> None:
    api.post(EVENTS).respond(json=FAIR)
    given = {"title": "x", "start": start, "end": end, "time_zone": zone}
    if not field:  # later on the wall, and truly later
        await call(google_calendar, "create_event", given)
        return
    with pytest.raises(CallError) as caught:
        await call(google_calendar, "create_event", given)
    assert caught.value.code is Code.INVALID_INPUT
    assert words in caught.value.fields[field]
    assert not api.calls


FUTURE = {"title": "Lunch", "start": "2091-03-01T12:00:00Z", "end": "2091-03-01T13:00:00Z"}


async def test_mail_to_guests_needs_a_person(calendar: Tool, rejected: Refusal, api: respx.MockRouter) -> None:
    invited = {**FUTURE, "guests": ["grace@example.com"], "send_updates": "all"}
    api.post(EVENTS).respond(json=REVIEW)
    nobody = await rejected("create_event", **invited)
    assert nobody.code is Code.APPROVAL_REQUIRED
    no = Person(agrees=False)
    assert (await rejected("create_event", **invited, host=no)).code is Code.DENIED
    assert "grace@example.com" in no.asked[0].text
    assert "send_updates: all" in no.asked[0].text
    assert "It will hit" not in no.asked[0].text
    assert not api.calls
    yes = Person(agrees=True)
    made = await calendar("create_event", **invited, host=yes)
    assert made["mailed"] == "all"
    assert last(api).url.params["sendUpdates"] == "all"


async def test_guests_without_mail_and_mail_without_guests_need_nobody(calendar: Tool, api: respx.MockRouter) -> None:
    api.post(EVENTS).respond(json=FAIR)
    await calendar("create_event", **FUTURE, guests=["grace@example.com"])
    assert "mailed" not in await calendar("create_event", **FUTURE, send_updates="all")


async def test_a_lost_answer_is_settled_by_the_id_that_is_ours(
    calendar: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    posted = api.post(EVENTS).mock(side_effect=[httpx.ReadError("reset"), httpx.Response(409)])
    api.get(url__regex=rf".*{EVENTS}/[0-9a-f]{{32}}$").respond(json=REVIEW)
    assert (await calendar("create_event", **FUTURE))["title"] == "Design review"
    calls: Any = posted.calls
    first, second = (body(each.request)["id"] for each in calls)
    assert first == second
    (row,) = await journal.rows()
    assert (row.state, row.settled_by) == (State.APPLIED, "repeat")


async def test_what_is_not_there_after_a_lost_answer_did_not_happen(
    rejected: Refusal, api: respx.MockRouter, journal: Journal
) -> None:
    api.post(EVENTS).respond(503, text="busy")
    api.get(url__regex=rf".*{EVENTS}/[0-9a-f]{{32}}$").respond(404)
    error = await rejected("create_event", **FUTURE)
    assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    (row,) = await journal.rows()
    assert row.state is State.NOT_APPLIED


async def test_a_change_is_guarded_by_the_etag_and_keeps_what_is_not_given(
    calendar: Tool, api: respx.MockRouter
) -> None:
    api.patch(f"{EVENTS}/review1").respond(json=REVIEW)
    saved = await calendar(
        "update_event",
        event_id="review1",
        etag="3181161784712000",
        title="Review",
        start="2091-03-05",
        end="2091-03-06",
    )
    assert saved["etag"] == '"3181161784712000"'
    assert last(api).headers["if-match"] == '"3181161784712000"'
    assert body(last(api)) == {
        "summary": "Review",
        "start": {"date": "2091-03-05", "dateTime": None},
        "end": {"date": "2091-03-06", "dateTime": None},
    }


async def test_guests_are_added_and_removed_without_losing_the_others_answers(
    calendar: Tool, api: respx.MockRouter
) -> None:
    api.get(f"{EVENTS}/review1").respond(json=REVIEW)
    api.patch(f"{EVENTS}/review1").respond(json=REVIEW)
    changed = {"add_guests": ["alan@example.com", "ADA@example.com"], "remove_guests": ["Grace@Example.com"]}
    person = Person(agrees=True)
    saved = await calendar("update_event", event_id="review1", etag='"1"', **changed, send_updates="all", host=person)
    assert body(last(api))["attendees"] == [REVIEW["attendees"][0], {"email": "alan@example.com"}]
    assert saved["mailed"] == "all"
    assert person.asked[0].preview["title"] == "Design review"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "nothing to change"),
        ({"start": "2091-03-05"}, "give both"),
        ({"remove_guests": ["eve@example.com"]}, "eve@example.com"),
        ({"title": "x", "etag": "a\r\nb"}, "etag"),
    ],
)
async def test_a_change_that_cannot_be_made_is_not_sent(
    rejected: Refusal, api: respx.MockRouter, arguments: dict[str, Any], words: str
) -> None:
    api.get(f"{EVENTS}/review1").respond(json=REVIEW)
    route = api.patch(f"{EVENTS}/review1").respond(json=REVIEW)
    error = await rejected("update_event", **{"event_id": "review1", "etag": '"1"', **arguments})
    assert error.code is Code.INVALID_INPUT
    assert words in error.message
    assert route.call_count == 0


async def test_a_deletion_shows_what_goes_and_who_gets_mail(calendar: Tool, api: respx.MockRouter) -> None:
    api.get(f"{EVENTS}/review1").respond(json={**REVIEW, "recurrence": ["RRULE:FREQ=WEEKLY"]})
    api.delete(f"{EVENTS}/review1").respond(204)
    person = Person(agrees=True)
    asked = {"event_id": "review1", "etag": "3181161784712000", "send_updates": "externalOnly"}
    assert await calendar("delete_event", **asked, host=person) == {"done": True}
    seen = person.asked[0].preview
    assert (seen["title"], seen["whole_series"], seen["guests"]) == ("Design review", True, 2)
    assert seen["mail"] == "goes to guests without Google Calendar"
    assert last(api).headers["if-match"] == '"3181161784712000"'
    assert last(api).url.params["sendUpdates"] == "externalOnly"


async def test_nobody_is_asked_about_an_event_that_has_changed_or_is_gone(
    rejected: Refusal, api: respx.MockRouter
) -> None:
    person = Person(agrees=True)
    api.get(f"{EVENTS}/review1").side_effect = [
        httpx.Response(200, json=REVIEW),
        httpx.Response(200, json={**REVIEW, "status": "cancelled"}),
    ]
    changed = await rejected("delete_event", event_id="review1", etag='"1"', host=person)
    assert changed.code is Code.CONFLICT
    gone = await rejected("delete_event", event_id="review1", etag='"1"', host=person)
    assert gone.code is Code.ALREADY_DONE
    assert not person.asked
