"""Moments as iCalendar has them: dates, times in a zone, UTC, and floating ones that are in no zone at all."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import Field

from clew.connectors.times import (
    Moment,
    Until,
    When,
    Zone,
    now,
    read_moment,
    read_window,
    read_zone,
    wrong,
)

__all__ = [
    "LONGEST", "Moment", "Occurrence", "Span", "Until", "When", "Zone", "in_order", "now", "read_occurrence",
    "read_span", "read_window", "read_zone", "window", "written", "wrong",
]  # fmt: skip

LONGEST = timedelta(days=366)
Occurrence = Annotated[
    str | None, Field(description="occurrence of list_events: this one only. Without it: the whole series.")
]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Span:
    """When an event is, and the moment it is over for everybody."""

    begins: date
    ends: date
    over: datetime


def read_span(start: str, end: str, time_zone: str | None) -> Span:
    """The time of an event, timed or all-day, in `time_zone` or else UTC. Raises `InvalidInputError`."""
    zone = read_zone(time_zone) if time_zone is not None else None
    days = [_DATE.fullmatch(text) is not None for text in (start, end)]
    if days[0] != days[1]:
        raise wrong("end", "must be a date like start, or a time like start")
    if all(days):
        first, after = _date("start", start), _date("end", end)
        if after <= first:
            raise wrong("end", "is not after start; an all-day event ends on the day after its last")
        # The day is over last where clocks are 12 hours behind.
        return Span(first, after, datetime.combine(after, time(12), UTC))
    begins, ends = read_moment("start", start, zone), read_moment("end", end, zone)
    if ends <= begins:
        raise wrong("end", "is not after start")
    return Span(begins.astimezone(zone or UTC), ends.astimezone(zone or UTC), ends)


def read_occurrence(text: str) -> date:
    """One occurrence of a series as `written` writes it. Raises `InvalidInputError`."""
    if _DATE.fullmatch(text):
        return _date("occurrence", text)
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise wrong("occurrence", "is not one that list_events returned") from None


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong(name, "is no real date") from None


def window(start: str, end: str) -> tuple[datetime, datetime]:
    """Two moments in their order, at most a year apart. Raises `InvalidInputError`."""
    begins, ends = read_window(start, end)
    if ends - begins > LONGEST:
        raise wrong("end", "is more than 366 days after start")
    return begins, ends


def in_order(moment: date, zone: tzinfo = UTC) -> datetime:
    """A moment that can be compared with others: dates and floating times are taken to be in `zone`."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time(), zone)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def written(moment: date) -> str:
    """A date, or a time with its offset; a floating one without."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
