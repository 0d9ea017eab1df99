"""Free time over several calendars: gaps, working hours, clock changes, and calendars that cannot be read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import respx
from tests.connectors.calling import Calling

from clew.connectors.google_calendar import google_calendar
from clew.core.errors import CallError, Code

pytestmark = pytest.mark.anyio

MONDAY = {"start": "2091-03-19T00:00:00+01:00", "end": "2091-03-20T00:00:00+01:00"}
BERLIN = "Europe/Berlin"


@pytest.fixture
def busy() -> Iterator[respx.Route]:
    with respx.mock(base_url="https://www.googleapis.com", assert_all_called=False) as router:
        yield router.post("/calendar/v3/freeBusy")


def answer(**calendars: list[tuple[str, str]]) -> dict[str, Any]:
    found = {name: {"busy": [{"start": a, "end": b} for a, b in times]} for name, times in calendars.items()}
    return {"kind": "calendar#freeBusy", "calendars": found}


async def slots(call: Calling, **arguments: Any) -> list[tuple[str, str, int]]:
    found = await call(google_calendar, "find_free_time", arguments)
    return [(each["start"], each["end"], each["minutes"]) for each in found["slots"]]


async def refusal(call: Calling, **arguments: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await call(google_calendar, "find_free_time", arguments)
    return caught.value


async def test_the_gaps_that_all_calendars_share_within_working_hours(call: Calling, busy: respx.Route) -> None:
    a = [("2091-03-19T08:30:00Z", "2091-03-19T09:30:00Z"), ("2091-03-19T12:00:00Z", "2091-03-19T12:30:00Z")]
    b = [("2091-03-19T09:00:00Z", "2091-03-19T10:00:00Z"), ("2091-03-19T15:50:00Z", "2091-03-19T18:00:00Z")]
    busy.respond(json=answer(a=a, b=b))
    assert await slots(call, **MONDAY, calendars=["a", "b"], hours="09:00-17:00", time_zone=BERLIN, minutes=30) == [
        ("2091-03-19T09:00:00+01:00", "2091-03-19T09:30:00+01:00", 30),
        ("2091-03-19T11:00:00+01:00", "2091-03-19T13:00:00+01:00", 120),
        ("2091-03-19T13:30:00+01:00", "2091-03-19T16:50:00+01:00", 200),
    ]


async def test_a_meeting_inside_a_longer_one_does_not_end_it(call: Calling, busy: respx.Route) -> None:
    long, inner = ("2091-03-18T23:00:00Z", "2091-03-19T22:00:00Z"), ("2091-03-19T08:00:00Z", "2091-03-19T09:00:00Z")
    busy.respond(json=answer(a=[long], b=[inner]))
    found = await slots(call, **MONDAY, calendars=["a", "b"])
    assert found == [("2091-03-19T23:00:00+01:00", "2091-03-20T00:00:00+01:00", 60)]


async def test_without_hours_the_window_itself_is_searched_in_its_own_offset(call: Calling, busy: respx.Route) -> None:
    busy.respond(json=answer(primary=[("2091-03-18T20:00:00Z", "2091-03-19T10:00:00Z")]))
    assert await slots(call, **MONDAY) == [("2091-03-19T11:00:00+01:00", "2091-03-20T00:00:00+01:00", 780)]


async def test_hours_are_those_on_the_wall_on_both_sides_of_a_clock_change(call: Calling, busy: respx.Route) -> None:
    busy.respond(json=answer(primary=[]))
    window = {"start": "2091-03-24T00:00:00+01:00", "end": "2091-03-27T00:00:00+02:00"}
    every = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    found = await slots(call, **window, hours="09:00-10:00", days=every, time_zone=BERLIN)
    assert [each[0] for each in found] == [
        "2091-03-24T09:00:00+01:00",
        "2091-03-25T09:00:00+02:00",
        "2091-03-26T09:00:00+02:00",
    ]
    night = await slots(call, **window, days=["sun"], time_zone=BERLIN)
    assert night == [("2091-03-25T00:00:00+01:00", "2091-03-26T00:00:00+02:00", 23 * 60)]


async def test_the_weekend_is_no_working_time_unless_it_is_named(call: Calling, busy: respx.Route) -> None:
    busy.respond(json=answer(primary=[]))
    weekend = {"start": "2091-03-24T00:00:00+01:00", "end": "2091-03-25T23:00:00+02:00"}
    assert await slots(call, **weekend, hours="09:00-17:00", time_zone=BERLIN) == []
    named = await slots(call, **weekend, hours="09:00-24:00", days=["sat"], time_zone=BERLIN)
    assert named == [("2091-03-24T09:00:00+01:00", "2091-03-25T00:00:00+01:00", 900)]


async def test_a_slot_is_at_least_as_long_as_was_asked(call: Calling, busy: respx.Route) -> None:
    busy.respond(json=answer(primary=[("2091-03-19T08:29:00Z", "2091-03-19T16:00:00Z")]))
    hours = {"hours": "09:00-17:00", "time_zone": BERLIN}
    assert await slots(call, **MONDAY, **hours, minutes=30) == []
    assert len(await slots(call, **MONDAY, **hours, minutes=29)) == 1


async def test_too_many_slots_are_counted(call: Calling, busy: respx.Route) -> None:
    times = [
        (f"2091-03-19T{h:02}:{m:02}:00Z", f"2091-03-19T{h:02}:{m + 10:02}:00Z") for h in range(23) for m in (0, 30)
    ]
    busy.respond(json=answer(primary=times))
    found = await call(google_calendar, "find_free_time", {**MONDAY, "minutes": 10})
    assert len(found["slots"]) == 25
    assert found["slots_left_out"] > 0


async def test_a_window_that_has_begun_is_searched_from_now_on(call: Calling, busy: respx.Route) -> None:
    present = datetime.now(UTC)
    busy.respond(json=answer(primary=[]))
    window = {"start": (present - timedelta(1)).isoformat(), "end": (present + timedelta(1)).isoformat()}
    found = await call(google_calendar, "find_free_time", window)
    assert found["searched_from"] == found["slots"][0]["start"]
    assert abs(datetime.fromisoformat(found["searched_from"]) - present) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "calendars",
    [
        {"a": {"busy": []}, "b": {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}},
        {"a": {"busy": []}},
    ],
)
async def test_a_calendar_that_cannot_be_read_never_passes_for_free(
    call: Calling, busy: respx.Route, calendars: dict[str, Any]
) -> None:
    busy.respond(json={"calendars": calendars})
    error = await refusal(call, **MONDAY, calendars=["a", "b"])
    assert error.code is Code.NOT_FOUND
    assert list(error.fields) == ["b"]


async def test_a_busy_time_that_is_no_time_is_a_changed_contract(call: Calling, busy: respx.Route) -> None:
    busy.respond(json=answer(primary=[("soon", "later")]))
    assert (await refusal(call, **MONDAY)).code is Code.CONTRACT_CHANGED


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}, "end"),
        ({"start": MONDAY["end"], "end": MONDAY["start"]}, "end"),
        ({"start": "2091-01-01T00:00:00Z", "end": "2091-12-01T00:00:00Z"}, "end"),
        ({**MONDAY, "hours": "09:00-17:00"}, "time_zone"),
        ({**MONDAY, "hours": "17:00-09:00", "time_zone": BERLIN}, "hours"),
        ({**MONDAY, "hours": "25:00-26:00", "time_zone": BERLIN}, "hours"),
        ({**MONDAY, "hours": "9-17", "time_zone": BERLIN}, "hours"),
        ({**MONDAY, "calendars": []}, "calendars"),
    ],
)
async def test_a_search_that_means_nothing_is_refused_before_google_is_asked(
    call: Calling, busy: respx.Route, arguments: dict[str, Any], field: str
) -> None:
    error = await refusal(call, **arguments)
    assert error.code is Code.INVALID_INPUT
    assert field in error.fields
    assert not busy.called
