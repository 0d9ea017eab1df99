"""Dates and times as they come from a model: read strictly, compared truly, sent as they were given.

A timed event has RFC 3339 times with an offset, or local times and an IANA time zone; an all-day event has plain dates
in no time zone at all, its end being the day after its last.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from clew import errors

Moment = Annotated[str, Field(description="RFC 3339 with an offset: 2026-03-01T09:00:00+01:00.")]
When = Annotated[
    str,
    Field(description="2026-03-01T09:00:00+01:00; without an offset: local to time_zone. All-day: 2026-03-01."),
]
Until = Annotated[str, Field(description="As start. All-day: the day after the last, 2026-03-02 for one day.")]
Zone = Annotated[str | None, Field(description="IANA name: Europe/Berlin.")]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?")


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def wrong(name: str, why: str, step: str | None = None) -> errors.InvalidInputError:
    """One argument is wrong, and why."""
    return errors.InvalidInputError(f"{name} {why}.", fields={name: why}, next_step=step)


def read_zone(text: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises `InvalidInputError`."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of names
        raise wrong("time_zone", "is not an IANA name such as Europe/Berlin") from None


def read_moment(name: str, text: str, zone: tzinfo | None = None) -> datetime:
    """A moment from RFC 3339. Without an offset it is local to `zone`. Raises `InvalidInputError`."""
    if _TIME.fullmatch(text) is None:
        raise wrong(name, "is not RFC 3339: write 2026-03-01T09:00:00+01:00")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise wrong(name, "is no real date and time") from None
    if moment.tzinfo is not None:
        return moment
    if zone is None:
        raise wrong(name, "has no offset: add one (Z, +01:00) or give time_zone where there is one")
    local = moment.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise wrong(name, f"does not exist in {zone}: the clocks skip it that day")
    return local


def read_window(start: str, end: str) -> tuple[datetime, datetime]:
    """Two moments in their order. Raises `InvalidInputError`."""
    begins, ends = read_moment("start", start), read_moment("end", end)
    if ends <= begins:
        raise wrong("end", "is not after start")
    return begins, ends


@dataclass(frozen=True, slots=True)
class Span:
    """When an event is: as Google takes it, and the moment it is over for everybody."""

    start: dict[str, Any]
    end: dict[str, Any]
    over: datetime


def read_span(start: str, end: str, time_zone: str | None) -> Span:
    """The time of an event, timed or all-day. Raises `InvalidInputError`."""
    zone = read_zone(time_zone) if time_zone is not None else None
    days = [_DATE.fullmatch(text) is not None for text in (start, end)]
    if days[0] != days[1]:
        raise wrong("end", "must be a date like start, or a time like start")
    if all(days):
        first, after = _read_date("start", start), _read_date("end", end)
        if after <= first:
            raise wrong("end", "is not after start; an all-day event ends on the day after its last")
        # The day is over last where clocks are 12 hours behind.
        return Span({"date": start}, {"date": end}, datetime.fromisoformat(f"{end}T12:00:00+00:00"))
    begins, ends = read_moment("start", start, zone), read_moment("end", end, zone)
    if ends <= begins:
        raise wrong("end", "is not after start")
    named = {} if time_zone is None else {"timeZone": time_zone}
    return Span({"dateTime": _sent(start), **named}, {"dateTime": _sent(end), **named}, ends)


def _read_date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong(name, "is no real date") from None


def _sent(text: str) -> str:
    """RFC 3339 wants seconds and capital letters."""
    text = text.upper()
    return text if text[16:17] == ":" else f"{text[:16]}:00{text[16:]}"
