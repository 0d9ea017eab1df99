"""Free time that several calendars share."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from clew import Api, errors
from clew.connectors.times import Moment, Zone, now, read_window, read_zone, wrong

from .provider import BUSY, google_calendar

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Interval = tuple[datetime, datetime]

DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLOTS_SHOWN = 25
LONGEST = timedelta(days=92)


class Slot(BaseModel):
    """A time in which all calendars are free."""

    start: str
    end: str
    minutes: int


class FreeTime(BaseModel):
    """The free slots, in order."""

    slots: list[Slot]
    slots_left_out: Annotated[int | None, Field(description="More slots, later in the window.")] = None
    searched_from: Annotated[str | None, Field(description="Present when start was in the past.")] = None


class Busy(BaseModel):
    """A time in which a calendar is busy."""

    start: AwareDatetime
    end: AwareDatetime


class CalendarBusy(BaseModel):
    """One calendar's busy times, or why they cannot be told."""

    busy: list[Busy] = []
    errors: list[dict[str, Any]] = []


@google_calendar.read(toolset="free", scopes=[BUSY])
async def find_free_time(
    api: Api,
    start: Moment,
    end: Moment,
    *,
    minutes: Annotated[int, Field(ge=1, le=1440, description="How long a slot must be.")] = 30,
    calendars: Annotated[
        list[str] | None,
        Field(min_length=1, max_length=50, description="Ids or people's e-mail addresses; without it the own one."),
    ] = None,
    hours: Annotated[
        str | None, Field(pattern=r"^\d{2}:\d{2}-\d{2}:\d{2}$", description="Working hours in time_zone: 09:00-17:30.")
    ] = None,
    days: Annotated[list[Day] | None, Field(description="Working days; with hours, mon to fri without it.")] = None,
    time_zone: Zone = None,
) -> FreeTime:
    """Find when several calendars are all free, in a window of at most 92 days and within working hours."""
    begins, ends = read_window(start, end)
    if ends - begins > LONGEST:
        raise wrong("end", "is more than 92 days after start")
    present = now()
    if ends <= present:
        raise wrong("end", f"is in the past; it is {_written(present, UTC)} now")
    zone: tzinfo | None = read_zone(time_zone) if time_zone is not None else None
    if zone is None and (hours is not None or days is not None):
        raise wrong("time_zone", "is missing: hours and days mean nothing without it")
    searched = max(begins, present)
    windows = _windows(searched, ends, zone, hours, days)
    busy = await _busy(api, calendars or ["primary"], searched, ends)
    shown = zone or begins.tzinfo or UTC
    least = timedelta(minutes=minutes)
    free = [(a, b) for window in windows for a, b in _gaps(window, busy) if b - a >= least]
    return FreeTime(
        slots=[
            Slot(start=_written(a, shown), end=_written(b, shown), minutes=int((b - a).total_seconds() // 60))
            for a, b in free[:SLOTS_SHOWN]
        ],
        slots_left_out=len(free) - SLOTS_SHOWN if len(free) > SLOTS_SHOWN else None,
        searched_from=_written(searched, shown) if searched != begins else None,
    )


async def _busy(api: Api, calendars: list[str], begins: datetime, ends: datetime) -> list[Interval]:
    """All busy times, merged and in order. A calendar that cannot be read must not pass for a free one."""
    asked = list(dict.fromkeys(calendars))
    body = {"timeMin": _written(begins, UTC), "timeMax": _written(ends, UTC), "items": [{"id": each} for each in asked]}
    found = await api.post("/calendar/v3/freeBusy", json=body, into=dict[str, CalendarBusy], at="calendars")
    faults = {each: _fault(found.get(each)) for each in asked}
    closed = {each: why for each, why in faults.items() if why}
    if closed:
        raise errors.NotFoundError(
            "Google does not tell when some of these calendars are busy.",
            fields=closed,
            next_step="Leave these calendars out, or ask the person to get access to their free and busy times.",
        )
    times = sorted((each.start, each.end) for calendar in found.values() for each in calendar.busy)
    return _merged(times)


def _fault(calendar: CalendarBusy | None) -> str:
    if calendar is None:
        return "not in the answer"
    return str(calendar.errors[0].get("reason") or "unknown reason") if calendar.errors else ""


def _merged(times: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for begins, ends in times:
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged


def _windows(
    begins: datetime, ends: datetime, zone: tzinfo | None, hours: str | None, days: list[Day] | None
) -> list[Interval]:
    """The parts of a window that are within working hours; hours are those of the wall clock, whatever its changes."""
    if zone is None or (hours is None and days is None):
        return [(begins, ends)]
    opens, closes = _hours(hours)
    wanted = set(days or (DAYS[:5] if hours else DAYS))
    found: list[Interval] = []
    for day in _dates(begins.astimezone(zone).date(), ends.astimezone(zone).date()):
        if DAYS[day.weekday()] in wanted:
            last = datetime.combine(day, closes, zone) if closes else datetime.combine(day + timedelta(1), time(), zone)
            # Compared in UTC: two times of the same zone are compared by the clock on the wall.
            from_ = max(datetime.combine(day, opens, zone).astimezone(UTC), begins.astimezone(UTC))
            until = min(last.astimezone(UTC), ends.astimezone(UTC))
            if from_ < until:
                found.append((from_, until))
    return found


def _hours(hours: str | None) -> tuple[time, time | None]:
    """Opening and closing; `None` is midnight at the end of the day."""
    if hours is None:
        return time(), None
    first, _, last = hours.partition("-")
    try:
        opens, closes = time.fromisoformat(first), None if last == "24:00" else time.fromisoformat(last)
    except ValueError:
        raise wrong("hours", "are no times of a day: write 09:00-17:30") from None
    if closes is not None and closes <= opens:
        raise wrong("hours", "must end after they begin, on the same day")
    return opens, closes


def _dates(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _gaps(window: Interval, busy: list[Interval]) -> Iterator[Interval]:
    """What `busy`, merged and in order, leaves of a window."""
    free, ends = window
    for begins, over in busy:
        if begins >= ends:
            break
        if begins > free:
            yield free, begins
        free = max(free, over)
    if free < ends:
        yield free, ends


def _written(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
