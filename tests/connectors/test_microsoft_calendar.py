"""Microsoft 365: the calendar: reading, times to meet, and changes that mail people."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.graph_box import ROOT, refused, request_of, somebody
from tests.people import Person

from clew.connectors.microsoft import microsoft
from clew.core.errors import Code, Outcome
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

NEXT, DELTA = "@odata.nextLink", "@odata.deltaLink"
WINDOW = {"start": "2091-03-01T00:00:00+01:00", "end": "2091-03-08T00:00:00+01:00"}
TIMES = {"start": "2091-03-01T09:00:00", "end": "2091-03-01T10:00:00", "time_zone": "Europe/Berlin"}
GUEST: dict[str, Any] = {
    "type": "optional",
    "status": {"response": "accepted"},
    **somebody("grace@away.example", "Grace"),
}


def event(identity: str = "e1", **more: Any) -> dict[str, Any]:
    """An event of the account's own, without attendees."""
    return {
        "@odata.etag": 'W/"ck1="',
        "id": identity,
        "changeKey": "ck1=",
        "subject": "Plans",
        "start": {"dateTime": "2091-03-01T08:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2091-03-01T09:00:00.0000000", "timeZone": "UTC"},
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "isOnlineMeeting": False,
        "location": {"displayName": "Room 4"},
        "attendees": [],
        "organizer": somebody("ada@home.example", "Ada"),
        "responseStatus": {"response": "organizer"},
        "type": "singleInstance",
        "showAs": "busy",
        "onlineMeeting": None,
        "seriesMasterId": None,
        "body": {"contentType": "html", "content": "<p>Bring  cake</p>"},
        "originalStartTimeZone": "W. Europe Standard Time",
        "webLink": "https://outlook.example/e1",
        **more,
    }


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ROOT, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(microsoft, person)


def sent(route: respx.Route) -> Any:
    return json.loads(request_of(route).content)


async def test_a_window_is_listed_in_the_wanted_zone_and_paged_to_its_end(tool: Tool, api: respx.MockRouter) -> None:
    route = api.get("/me/calendarView")
    day = {"isAllDay": True, "start": {"dateTime": "2091-03-02T00:00:00.0000000", "timeZone": "UTC"}}
    more = {
        "type": "occurrence",
        "attendees": [GUEST, GUEST],
        "responseStatus": {"response": "accepted"},
        "showAs": "oof",
    }
    link = f"{ROOT}/me/calendarView?startDateTime=x&%24skip=25"
    route.side_effect = [
        httpx.Response(200, json={"value": [event()], NEXT: link}),
        httpx.Response(
            200, json={"value": [event("e2", **day, **more, onlineMeeting={"joinUrl": "https://teams.example"})]}
        ),
    ]
    page = await tool("list_events", **WINDOW, time_zone="Europe/Berlin")
    line = {"title": "Plans", "location": "Room 4"}
    times = {"start": "2091-03-01T09:00:00+01:00", "end": "2091-03-01T10:00:00+01:00"}
    assert page["items"] == [{"id": "e1", **line, **times}]
    asked = request_of(route, 0).url.params
    assert (asked["startDateTime"], asked["endDateTime"]) == ("2091-02-28T23:00:00Z", "2091-03-07T23:00:00Z")
    assert (asked["$orderby"], "body" in asked["$select"].split(",")) == ("start/dateTime", False)
    rest = await tool("list_events", **WINDOW, cursor=page["next_cursor"])
    assert request_of(route, 1).url.params["$skip"] == "25"
    assert rest["items"] == [
        {
            "id": "e2",
            **line,
            "all_day": True,
            "start": "2091-03-02",
            "end": "2091-03-01",
            "attendees": 2,
            "my_response": "accepted",
            "repeats": True,
            "show_as": "oof",
            "meeting": "https://teams.example",
        }
    ]
    assert "next_cursor" not in rest


async def test_a_zone_that_only_windows_knows_is_shown_as_it_is(tool: Tool, api: respx.MockRouter) -> None:
    odd = {"dateTime": "2091-03-01T08:00:00.0000000", "timeZone": "Customized Time Zone"}
    api.get("/me/calendarView").respond(json={"value": [event(start=odd, end=None)]})
    (found,) = (await tool("list_events", **WINDOW))["items"]
    assert (found["start"], "end" in found) == ("2091-03-01T08:00:00 Customized Time Zone", False)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"start": WINDOW["start"]},
        {"start": WINDOW["end"], "end": WINDOW["start"]},
        {**WINDOW, "time_zone": "Mars/Olympus"},
        {**WINDOW, "changes": "a-token"},
        {"changes": "new"},
    ],
)
async def test_a_window_that_makes_no_sense_is_refused_before_anything_is_sent(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any]
) -> None:
    assert (await failed(tool, "list_events", **given)).code is Code.INVALID_INPUT
    assert not api.calls


async def test_changes_of_a_window_are_followed(tool: Tool, api: respx.MockRouter) -> None:
    route = api.get("/me/calendarView/delta")
    occurrence = {"id": "e2", "type": "occurrence", "seriesMasterId": "e1", **{k: event()[k] for k in ("start", "end")}}
    gone = {"@removed": {"reason": "deleted"}, "id": "e9"}
    path = f"{ROOT}/me/calendarView/delta"
    route.side_effect = [
        httpx.Response(200, json={"value": [event()], NEXT: f"{path}?$skiptoken=s1"}),
        httpx.Response(200, json={"value": [occurrence], DELTA: f"{path}?$deltatoken=d1"}),
        httpx.Response(200, json={"value": [gone], DELTA: f"{path}?$deltatoken=d2"}),
        refused(410, "fullSyncRequired"),
    ]
    first = await tool("list_events", **WINDOW, changes="new")
    assert set(request_of(route, 0).url.params) == {"startDateTime", "endDateTime"}  # Graph takes no $select here
    second = await tool("list_events", **WINDOW, changes="new", cursor=first["next_cursor"])
    assert second["items"][0]["repeats"] is True
    third = await tool("list_events", changes=second["next_changes"])
    assert third == {"items": [{"id": "e9", "removed": "deleted"}], "next_changes": "d2"}
    error = await failed(tool, "list_events", changes="d2")
    assert (error.code, "changes=new" in error.next_step) == (Code.CONFLICT, True)


async def test_one_event_has_its_attendees_and_its_key(tool: Tool, api: respx.MockRouter) -> None:
    guests = [GUEST, *({"type": "required", **somebody(f"g{n}@x.example")} for n in range(60))]
    api.get("/me/events/e1").respond(json=event(attendees=guests))
    found = await tool("get_event", event_id="e1", time_zone="Europe/Berlin")
    assert (found["change_key"], found["own"], found["organizer"]) == ("ck1=", True, "Ada <ada@home.example>")
    assert (found["description"], found["time_zone"]) == ("Bring cake", "W. Europe Standard Time")
    assert found["attendees"][0] == {"email": "grace@away.example", "response": "accepted", "kind": "optional"}
    assert (len(found["attendees"]), found["attendees_not_shown"]) == (50, 11)


async def test_an_event_without_its_key_is_a_changed_contract(tool: Tool, api: respx.MockRouter) -> None:
    api.get("/me/events/e1").respond(json={**event(), "changeKey": None})
    assert (await failed(tool, "get_event", event_id="e1")).code is Code.CONTRACT_CHANGED


async def test_times_to_meet_say_who_is_not_free(tool: Tool, api: respx.MockRouter) -> None:
    slot = {
        name: {"dateTime": f"2091-03-01T{hour}:00:00.0000000", "timeZone": "UTC"}
        for name, hour in (("start", "08"), ("end", "09"))
    }
    others = [
        {"availability": "unknown", "attendee": somebody("grace@away.example")},
        {"availability": "free", "attendee": somebody("ida@home.example")},
    ]
    found = {
        "confidence": 74.5,
        "organizerAvailability": "tentative",
        "meetingTimeSlot": slot,
        "attendeeAvailability": others,
    }
    route = api.post("/me/findMeetingTimes").respond(
        json={"meetingTimeSuggestions": [found], "emptySuggestionsReason": ""}
    )
    people = ["grace@away.example", "ida@home.example"]
    assert await tool("find_meeting_times", **WINDOW, attendees=people, minutes=60, time_zone="Europe/Berlin") == {
        "suggestions": [
            {
                "start": "2091-03-01T09:00:00+01:00",
                "end": "2091-03-01T10:00:00+01:00",
                "confidence": 74.5,
                "not_free": ["(the account itself)", "grace@away.example"],
            }
        ]
    }
    asked = sent(route)
    assert (asked["meetingDuration"], asked["minimumAttendeePercentage"]) == ("PT60M", 50)
    assert asked["timeConstraint"]["activityDomain"] == "work"
    assert asked["timeConstraint"]["timeSlots"][0]["start"] == {"dateTime": "2091-02-28T23:00:00", "timeZone": "UTC"}


async def test_no_time_to_meet_says_why(tool: Tool, api: respx.MockRouter) -> None:
    answer: dict[str, Any] = {"meetingTimeSuggestions": [], "emptySuggestionsReason": "AttendeesUnavailable"}
    route = api.post("/me/findMeetingTimes").respond(json=answer)
    found = await tool("find_meeting_times", **WINDOW, working_hours=False, all_free=True)
    assert found == {"suggestions": [], "none_because": "AttendeesUnavailable"}
    assert (sent(route)["timeConstraint"]["activityDomain"], sent(route)["attendees"]) == ("unrestricted", [])


@pytest.mark.parametrize(
    "given",
    [
        {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"},
        {**WINDOW, "attendees": ["grace"]},
        {**WINDOW, "time_zone": "nowhere"},
    ],
)
async def test_a_past_window_and_a_wrong_person_are_refused(tool: Tool, api: respx.MockRouter, given: Any) -> None:
    assert (await failed(tool, "find_meeting_times", **given)).code is Code.INVALID_INPUT
    assert not api.calls


async def test_an_event_is_made_in_its_zone_and_nobody_is_asked(
    tool: Tool, api: respx.MockRouter, person: Person
) -> None:
    route = api.post("/me/events").respond(201, json=event())
    made = await tool("create_event", title="Plans", **TIMES, description="x", location="Room 4", teams=True)
    assert made == {
        "id": "e1",
        "change_key": "ck1=",
        "title": "Plans",
        "start": "2091-03-01T08:00:00Z",
        "end": "2091-03-01T09:00:00Z",
        "url": "https://outlook.example/e1",
    }
    asked = sent(route)
    assert asked["start"] == {"dateTime": "2091-03-01T09:00:00", "timeZone": "Europe/Berlin"}
    assert (asked["isOnlineMeeting"], asked["onlineMeetingProvider"]) == (True, "teamsForBusiness")
    assert (asked["body"], asked["location"]) == ({"contentType": "text", "content": "x"}, {"displayName": "Room 4"})
    assert len(asked["transactionId"]) == 36
    assert not person.asked


async def test_times_with_an_offset_and_whole_days(tool: Tool, api: respx.MockRouter) -> None:
    route = api.post("/me/events").respond(201, json=event())
    await tool("create_event", title="x", start="2091-03-01T09:00:00+01:00", end="2091-03-01T10:00:00+01:00")
    assert sent(route)["start"] == {"dateTime": "2091-03-01T08:00:00", "timeZone": "UTC"}
    await tool("create_event", title="y", start="2091-03-01", end="2091-03-03", time_zone="Europe/Berlin")
    asked = sent(route)
    assert (asked["isAllDay"], asked["end"]) == (True, {"dateTime": "2091-03-03T00:00:00", "timeZone": "Europe/Berlin"})


async def test_attendees_get_mail_only_after_a_yes(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    route = api.post("/me/events").respond(201, json=event(attendees=[GUEST]))
    person.agrees = False
    guests = {"attendees": ["grace@away.example", "grace@away.example"]}
    assert (await failed(tool, "create_event", title="x", **TIMES, **guests)).code is Code.DENIED
    assert not api.calls
    person.agrees = True
    assert (await tool("create_event", title="x", **TIMES, **guests))["mailed"] == 1
    assert sent(route)["attendees"] == [{"type": "required", "emailAddress": {"address": "grace@away.example"}}]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"start": "2020-03-01T09:00:00Z", "end": "2020-03-01T10:00:00Z", "time_zone": None}, "end"),
        ({"end": TIMES["start"]}, "end"),
        ({"time_zone": None}, "start"),
        ({"time_zone": "W. Europe Standard Time"}, "time_zone"),
        ({"attendees": ["grace"]}, ""),
    ],
)
async def test_what_cannot_be_an_event_is_refused(tool: Tool, api: respx.MockRouter, given: Any, field: str) -> None:
    error = await failed(tool, "create_event", title="x", **{**TIMES, **given})
    assert (error.code, next(iter(error.fields), "")) == (Code.INVALID_INPUT, field)
    assert not api.calls


DUPLICATE = refused(409, "ErrorDuplicateTransactionId", **{"@event.existingEventId": "e1"})


@pytest.mark.parametrize("second", [httpx.Response(201, json=event()), DUPLICATE])
async def test_a_lost_answer_is_repeated_under_the_same_key_and_makes_one_event(
    tool: Tool, api: respx.MockRouter, journal: Journal, second: httpx.Response
) -> None:
    route = api.post("/me/events")
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(json.loads(request.content)["transactionId"])
        if len(keys) == 1:
            raise httpx.ReadError("reset")
        return second

    route.side_effect = answer

    def window(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"value": [event("e0", transactionId="other"), event(transactionId=keys[0])]})

    api.get("/me/calendarView").mock(side_effect=window)
    assert (await tool("create_event", title="x", **TIMES))["id"] == "e1"
    assert (len(keys), len(set(keys))) == (2, 1)
    (row,) = await journal.rows()
    assert row.state is State.APPLIED


async def test_an_event_that_was_moved_since_it_was_made_is_told_as_done(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    api.post("/me/events").side_effect = [httpx.ReadError("reset"), DUPLICATE]
    route = api.get("/me/calendarView").respond(json={"value": []})
    error = await failed(tool, "create_event", title="x", start="2091-03-01", end="2091-03-02")
    assert error.outcome is not Outcome.NOT_APPLIED
    assert request_of(route).url.params["startDateTime"] == "2091-03-01T00:00:00Z"


async def test_a_change_names_the_version_it_was_decided_on(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    api.get("/me/events/e1").respond(json=event())
    route = api.patch("/me/events/e1").respond(json=event(changeKey="ck2", subject="New"))
    done = await tool("update_event", event_id="e1", change_key="ck1=", title="New", **TIMES, location="")
    assert (done["change_key"], done["title"], "mailed" in done) == ("ck2", "New", False)
    assert request_of(route).headers["if-match"] == 'W/"ck1="'
    assert sent(route).keys() == {"subject", "location", "isAllDay", "start", "end"}
    assert not person.asked


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"changeKey": "ck2"}, Code.CONFLICT),
        ({"isCancelled": True}, Code.ALREADY_DONE),
        ({"isOrganizer": False}, Code.PERMISSION),
    ],
)
async def test_an_event_that_is_not_what_was_read_stays(
    tool: Tool, api: respx.MockRouter, change: dict[str, Any], code: Code
) -> None:
    api.get("/me/events/e1").respond(json=event(**change))
    for name, more in (("update_event", {"title": "New"}), ("cancel_event", {}), ("preview_cancellation", {})):
        assert (await failed(tool, name, event_id="e1", change_key="ck1=", **more)).code is code
    calls: Any = api.calls
    assert {each.request.method for each in calls} == {"GET"}


async def test_of_two_agents_that_change_at_once_one_is_refused(tool: Tool, api: respx.MockRouter) -> None:
    api.get("/me/events/e1").respond(json=event())
    api.patch("/me/events/e1").mock(return_value=refused(412, "ErrorIrresolvableConflict"))
    error = await failed(tool, "update_event", event_id="e1", change_key="ck1=", title="New")
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "change_key" in error.next_step


async def test_attendees_are_mailed_only_when_that_is_said_and_agreed_to(
    tool: Tool, api: respx.MockRouter, person: Person
) -> None:
    api.get("/me/events/e1").respond(json=event(attendees=[GUEST]))
    route = api.patch("/me/events/e1").respond(json=event(changeKey="ck2"))
    target = {"event_id": "e1", "change_key": "ck1="}
    error = await failed(tool, "update_event", **target, title="New")
    assert (error.code, list(error.fields), route.called) == (Code.INVALID_INPUT, ["mail_attendees"], False)
    people = {"add_attendees": ["ida@home.example", "GRACE@away.example"], "mail_attendees": True}
    await tool("update_event", **target, **people)
    assert sent(route)["attendees"] == [
        {"type": "optional", "emailAddress": {"address": "grace@away.example"}},
        {"type": "required", "emailAddress": {"address": "ida@home.example"}},
    ]
    assert person.asked[0].preview["attendees"][0]["email"] == "grace@away.example"
    await tool("update_event", **target, remove_attendees=["Grace@away.example"], mail_attendees=True)
    assert sent(route)["attendees"] == []
    error = await failed(tool, "update_event", **target, remove_attendees=["eve@x.example"], mail_attendees=True)
    assert list(error.fields) == ["remove_attendees"]


async def test_the_text_of_an_online_meeting_is_left_alone(tool: Tool, api: respx.MockRouter) -> None:
    api.get("/me/events/e1").respond(json=event(isOnlineMeeting=True))
    error = await failed(tool, "update_event", event_id="e1", change_key="ck1=", description="x")
    assert (error.code, list(error.fields)) == (Code.INVALID_INPUT, ["description"])


@pytest.mark.parametrize("given", [{}, {"start": TIMES["start"]}, {"end": TIMES["end"]}])
async def test_an_update_of_nothing_or_half_a_time_is_refused(tool: Tool, api: respx.MockRouter, given: Any) -> None:
    assert (await failed(tool, "update_event", event_id="e1", change_key="k", **given)).code is Code.INVALID_INPUT
    assert not api.calls


async def test_a_meeting_is_cancelled_with_a_word_after_a_yes(
    tool: Tool, api: respx.MockRouter, person: Person
) -> None:
    api.get("/me/events/e1").respond(json=event(attendees=[GUEST], type="seriesMaster"))
    route = api.post("/me/events/e1/cancel").respond(202)
    await tool("cancel_event", event_id="e1", change_key="ck1=", comment="Sorry")
    shown = person.asked[0].preview
    assert (shown["mail"], shown["whole_series"]) == ("goes to 1 attendees", True)
    assert (shown["attendees"], shown["title"]) == (["grace@away.example"], "Plans")
    assert sent(route) == {"Comment": "Sorry"}


async def test_an_event_of_ones_own_is_deleted(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    api.get("/me/events/e1").respond(json=event())
    route = api.delete("/me/events/e1").respond(204)
    await tool("cancel_event", event_id="e1", change_key="ck1=")
    assert (request_of(route).headers["if-match"], person.asked[0].preview["mail"]) == (
        'W/"ck1="',
        "goes to nobody",
    )


async def test_a_lost_cancellation_is_repeated_and_found_done(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    gone = {"now": False}

    def read(request: httpx.Request) -> httpx.Response:
        return refused(404, "ErrorItemNotFound") if gone["now"] else httpx.Response(200, json=event(attendees=[GUEST]))

    def cancel(request: httpx.Request) -> httpx.Response:
        if gone["now"]:
            return refused(404, "ErrorItemNotFound")
        gone["now"] = True
        raise httpx.ReadError("reset")

    api.get("/me/events/e1").mock(side_effect=read)
    api.post("/me/events/e1/cancel").mock(side_effect=cancel)
    error = await failed(tool, "cancel_event", event_id="e1", change_key="ck1=")
    assert (error.code, error.outcome) == (Code.ALREADY_DONE, Outcome.APPLIED)
    (row,) = await journal.rows()
    assert row.state is State.APPLIED
