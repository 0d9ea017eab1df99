"""Free time that several calendars of the account share."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors

from . import ical
from .calendars import calendars_of, find_principal
from .events import Stored, happenings, is_unexpanded, read_between
from .provider import CalendarId, caldav
from .times import Moment, Zone, in_order, now, read_zone, window, written, wrong

Interval = tuple[datetime, datetime]

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


@caldav.read(toolset="free")
async def find_free_time(
    api: Api,
    start: Moment,
    end: Moment,
    *,
    minutes: Annotated[int, Field(ge=1, le=1440, description="How long a slot must be.")] = 30,
    calendars: Annotated[list[CalendarId] | None, Field(max_length=20, description="Without it all of them.")] = None,
    time_zone: Zone = None,
) -> FreeTime:
    """Find when all calendars are free, in a window of at most 92 days. Declined and cancelled events are free time."""
    begins, ends = window(start, end)
    if ends - begins > LONGEST:
        raise wrong("end", "is more than 92 days after start")
    present = now()
    if ends <= present:
        raise wrong("end", f"is in the past; it is {written(present.replace(microsecond=0))} now")
    zone = read_zone(time_zone) if time_zone is not None else begins.tzinfo or UTC
    searched = max(begins, present)
    person = await find_principal(api)
    asked = calendars or [each.id for each in await calendars_of(api, person)]
    busy: list[Interval] = []
    for calendar in dict.fromkeys(asked):
        found, damaged = await read_between(api, calendar, searched, ends)
        if damaged:  # what cannot be read must not pass for free
            raise errors.ContractChangedError(
                f"{damaged} events of {calendar} cannot be read, so nobody knows when it is free.",
                next_step="Leave this calendar out, or ask the person to look at it.",
            )
        busy += await asyncio.to_thread(_busy, found, searched, ends, person.addresses, zone)
    free = [each for each in _gaps(searched, ends, sorted(busy)) if each[1] - each[0] >= timedelta(minutes=minutes)]
    return FreeTime(
        slots=[
            Slot(
                start=written(a.astimezone(zone)),
                end=written(b.astimezone(zone)),
                minutes=int((b - a).total_seconds() // 60),
            )
            for a, b in free[:SLOTS_SHOWN]
        ],
        slots_left_out=len(free) - SLOTS_SHOWN if len(free) > SLOTS_SHOWN else None,
        searched_from=written(searched.astimezone(zone).replace(microsecond=0)) if searched != begins else None,
    )


def _busy(found: list[Stored], begins: datetime, ends: datetime, own: tuple[str, ...], zone: Any) -> list[Interval]:
    busy: list[Interval] = []
    for stored in found:
        for each in happenings(stored, begins, ends):
            if is_unexpanded(stored, each):
                raise errors.ContractChangedError(
                    f"the series {stored.path} repeats by a rule that is not worked out here.",
                    next_step="Leave its calendar out, or ask the person when it is busy.",
                )
            if not _is_free(each, own):
                # A day, and a time in no zone, is the day where the question was asked.
                busy.append((in_order(each.start, zone).astimezone(UTC), in_order(each.end, zone).astimezone(UTC)))
    return busy


def _is_free(component: Any, own: tuple[str, ...]) -> bool:
    if (ical.text(component, "TRANSP") or "").upper() == "TRANSPARENT":
        return True
    if (ical.text(component, "STATUS") or "").upper() == "CANCELLED":
        return True
    answers = (str(each.params.get("PARTSTAT", "")).upper() for mail, each in ical.people(component) if mail in own)
    return "DECLINED" in answers


def _gaps(begins: datetime, ends: datetime, busy: list[Interval]) -> list[Interval]:
    """What `busy`, in order, leaves of a window."""
    gaps: list[Interval] = []
    free = begins
    for start, over in busy:
        if start > free:
            gaps.append((free, min(start, ends)))
        free = max(free, over)
        if free >= ends:
            return gaps
    return [*gaps, (free, ends)]
