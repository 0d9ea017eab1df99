"""iCalendar objects (RFC 5545): what stands in one, and its occurrences, read by `icalendar` and its companion.

What a server sends was written by anybody: what cannot be read is counted and told, never guessed. Both libraries are
imported by the first call that needs them.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Any

from clew import errors

from .times import in_order, written

PRODUCT = "-//clew//caldav//EN"
OFTEN = re.compile(r"FREQ=(?:SECONDLY|MINUTELY|HOURLY)|BYSECOND=|BYMINUTE=", re.IGNORECASE)
"""Rules that make more than a day's worth of occurrences; they are not expanded."""
OLDEST = 1900
"""Rules that begin before this year are not expanded: they would be counted day by day."""
_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


class UnreadableError(ValueError):
    """This is no event that we can read."""


def library() -> Any:
    """`icalendar`. Raises `InternalError` where it is not installed."""
    return _both()[0]


def _both() -> tuple[Any, Any]:
    try:
        return import_module("icalendar"), import_module("recurring_ical_events")
    except ImportError as error:
        raise errors.InternalError(
            "the calendar library is not installed.",
            next_step="Ask the person who runs the server to run: pip install 'clew[caldav]'",
        ) from error


def parse(content: str | bytes) -> Any:
    """The `icalendar.Calendar`, which holds at least one event. Raises `UnreadableError`."""
    known = library()
    try:
        calendar = known.Calendar.from_ical(content)
        for each in calendar.walk("VEVENT"):
            in_order(each.start)
    except _DAMAGE as error:
        raise UnreadableError("damaged iCalendar data") from error
    if isinstance(calendar, list) or not calendar.walk("VEVENT"):
        raise UnreadableError("no event")
    return calendar


def master_of(calendar: Any) -> Any:
    """The event itself: of a series the component with the rule, not one of the changed occurrences."""
    listed = calendar.walk("VEVENT")
    return next((each for each in listed if each.get("RECURRENCE-ID") is None), listed[0])


def overrides(calendar: Any) -> list[Any]:
    """The occurrences of a series that differ from it."""
    return [each for each in calendar.walk("VEVENT") if each.get("RECURRENCE-ID") is not None]


def repeats(component: Any) -> bool:
    """Is this a series?"""
    return component.get("RRULE") is not None or component.get("RDATE") is not None


def occurrences(calendar: Any, begins: datetime, ends: datetime) -> list[Any] | None:
    """The components of a series, or the one event, between two moments; None when the rule is not expanded here.

    Raises `UnreadableError`.
    """
    _, series = _both()
    master = master_of(calendar)
    rules = " ".join(values(master, "RRULE"))
    if rules and (OFTEN.search(rules) or in_order(master.start).year < OLDEST):
        return None
    try:
        found: list[Any] = list(series.of(calendar).between(begins, ends))
        for each in found:
            in_order(each.start)
            in_order(each.end)
    except _DAMAGE as error:
        raise UnreadableError("a rule that cannot be read") from error
    return found


def values(component: Any, name: str) -> list[str]:
    """Every value of a property, as iCalendar writes it."""
    return [_plain(each) for each in listed(component, name)]


def listed(component: Any, name: str) -> list[Any]:
    """Every value of a property as the library has it."""
    found: Any = component.get(name)
    several: list[Any] | None = found if isinstance(found, list) else None  # pyright: ignore[reportUnknownVariableType]
    return [] if found is None else [found] if several is None else several


def text(component: Any, name: str) -> str | None:
    """The first value of a property, without spaces around it; None when there is none."""
    return next((each.strip() for each in values(component, name) if each.strip()), None)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raw = value.to_ical()
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def original(component: Any) -> date | None:
    """Which occurrence of a series this is: when it would have been."""
    found = component.get("RECURRENCE-ID")
    return None if found is None else found.dt


def times(component: Any) -> dict[str, Any]:
    """Start, end and zone in words."""
    begins, ends = component.start, component.end
    timed = isinstance(begins, datetime)
    zone = component["DTSTART"].params.get("TZID") if component.get("DTSTART") is not None else None
    return {
        "start": written(begins),
        "end": written(ends),
        "all_day": None if timed else True,
        "time_zone": str(zone) if zone is not None else None,
    }


def people(component: Any) -> Iterator[tuple[str, Any]]:
    """The attendees: address in lower case without `mailto:`, and the property."""
    for each in listed(component, "ATTENDEE"):
        yield address(each), each


def address(value: Any) -> str:
    """A calendar user's address, without `mailto:`."""
    return re.sub(r"^mailto:", "", str(value).strip(), flags=re.IGNORECASE).lower()


def organizer(component: Any) -> str | None:
    """The organizer's address."""
    return next((address(each) for each in listed(component, "ORGANIZER")), None)


def is_told(value: Any) -> bool:
    """Does a server that schedules write to this attendee? RFC 6638, 7.1."""
    return str(value.params.get("SCHEDULE-AGENT", "SERVER")).upper() == "SERVER"


def finished(calendar: Any) -> bytes:
    """The object as it is sent, with the zones that it names. The order in it stays."""
    first = min(in_order(each.start) for each in calendar.walk("VEVENT")).date()
    calendar.add_missing_timezones(first - timedelta(days=366), first + timedelta(days=5 * 366))
    content: bytes = calendar.to_ical(sorted=False)
    return content
