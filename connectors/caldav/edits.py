"""Editing an event that was read: pure functions of the iCalendar object. What they do not name stays as it is."""

import copy
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clew import errors

from . import ical
from .times import in_order, now, read_occurrence, read_span, wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be different, as it was asked for."""

    occurrence: str | None
    title: str | None
    start: str | None
    end: str | None
    time_zone: str | None
    description: str | None
    location: str | None
    add_attendees: list[str] | None
    remove_attendees: list[str] | None

    def check(self) -> None:
        """Raise `InvalidInputError` for what makes no sense by itself."""
        if (self.start is None) != (self.end is None):
            raise wrong("end" if self.start else "start", "is missing: give both, or neither")
        texts = (self.title, self.start, self.description, self.location, self.add_attendees, self.remove_attendees)
        if all(each is None for each in texts):
            raise errors.InvalidInputError(
                "there is nothing to change.", next_step="Give at least one field to change."
            )


def apply(calendar: Any, change: Change, *, add_again: bool = True) -> Any:
    """Make a change; the component that has it now. Raises `InvalidInputError`, `ConflictError`."""
    master = ical.master_of(calendar)
    component = master if change.occurrence is None else occurrence_of(calendar, change.occurrence)
    if change.start is not None and change.end is not None:
        if component is master and ical.repeats(master) and (ical.overrides(calendar) or master.get("EXDATE")):
            raise errors.ConflictError(
                "single occurrences of this series were changed or left out; moving the series would lose them.",
                next_step="Change the occurrences one by one, or ask the person to move the series in their calendar.",
            )
        zone = change.time_zone or ical.times(component)["time_zone"]
        span = read_span(change.start, change.end, _iana(zone, change.start) if change.time_zone is None else zone)
        for name in ("DTSTART", "DTEND", "DURATION"):
            component.pop(name, None)
        component.add("dtstart", span.begins)
        component.add("dtend", span.ends)
    put_texts(component, SUMMARY=change.title, DESCRIPTION=change.description, LOCATION=change.location)
    _remove(component, change.remove_attendees or [], strict=add_again)
    present = {mail for mail, _ in ical.people(component)}
    invite(component, [each for each in change.add_attendees or [] if each.lower() not in present])
    touch(component)
    return component


def _iana(zone: str | None, start: str) -> str | None:
    """The event's own zone, where it has a name that we know; dates have none."""
    try:
        return zone if zone is not None and len(start) > 10 and ZoneInfo(zone) else None
    except (KeyError, ValueError, OSError):
        return None


def occurrence_of(calendar: Any, text: str) -> Any:
    """The component of one occurrence, made when it does not differ from its series yet. Raises `InvalidInputError`."""
    wanted, master = read_occurrence(text), ical.master_of(calendar)
    for each in ical.overrides(calendar):
        if _same(each["RECURRENCE-ID"].dt, wanted):
            return each
    moment = in_order(wanted)
    try:
        found = ical.occurrences(calendar, moment - timedelta(hours=26), moment + timedelta(hours=26)) or []
    except ical.UnreadableError:
        found = []
    there = next((each for each in found if _same(ical.original(each) or each.start, wanted)), None)
    if there is None or not ical.repeats(master):
        raise wrong("occurrence", "is none of this series", "list_events shows the occurrences of a series.")
    begins = there.start
    own = copy.deepcopy(master)
    length = own.end - own.start
    for name in ("RRULE", "RDATE", "EXDATE", "EXRULE", "DTSTART", "DTEND", "DURATION"):
        own.pop(name, None)
    own.add("dtstart", begins)
    own.add("dtend", begins + length)
    own.add("recurrence-id", begins)
    calendar.add_component(own)
    return own


def _same(one: date, other: date) -> bool:
    if isinstance(one, datetime) != isinstance(other, datetime):
        return False
    return in_order(one) == in_order(other)


def put_texts(component: Any, **texts: str | None) -> None:
    """Set texts; None leaves one as it is. Raises `InvalidInputError` for control characters."""
    for name, text in texts.items():
        if text is None:
            continue
        if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text):
            raise wrong(name.lower(), "holds control characters")
        component.pop(name, None)
        component.add(name.lower(), text)


def invite(component: Any, people: list[str], *, agent: str | None = None) -> None:
    """Add attendees who have not answered yet. `agent` NONE: the server must not write to them (RFC 6638, 7.1)."""
    from clew import mail

    for each in dict.fromkeys(people):
        parameters = {"PARTSTAT": "NEEDS-ACTION", "RSVP": "TRUE", "ROLE": "REQ-PARTICIPANT"}
        if agent is not None:
            parameters["SCHEDULE-AGENT"] = agent
        component.add("attendee", f"mailto:{mail.checked_address(each, what='attendee')}", parameters=parameters)


def _remove(component: Any, people: list[str], *, strict: bool) -> None:
    gone = {each.lower() for each in people}
    listed = list(ical.people(component))
    unknown = sorted(gone - {mail for mail, _ in listed})
    if unknown and strict:
        raise wrong("remove_attendees", f"names {unknown[0]}, who is not invited")
    if gone:
        component.pop("ATTENDEE", None)
        for mail, each in listed:
            if mail not in gone:
                component.add("attendee", each, encode=0)


def touch(component: Any) -> None:
    """Mark a component as changed now (RFC 5546, 2.1.4)."""
    try:
        number = int(component.get("SEQUENCE", 0))
    except (TypeError, ValueError):
        number = 0
    for name in ("SEQUENCE", "DTSTAMP", "LAST-MODIFIED"):
        component.pop(name, None)
    component.add("sequence", number + 1)
    component.add("dtstamp", stamp())
    component.add("last-modified", stamp())


def stamp() -> datetime:
    return now().astimezone(UTC).replace(microsecond=0)


def read_rule(text: str) -> Any:
    """A rule of recurrence. Raises `InvalidInputError`."""
    plain = text.strip().upper().removeprefix("RRULE:")
    if ical.OFTEN.search(plain):
        raise wrong("repeats", "is more often than daily, which this connector does not work out")
    try:
        rule: Any = ical.library().vRecur.from_ical(plain)
    except ValueError:
        rule = None
    if not rule or "FREQ" not in rule:
        raise wrong("repeats", "is no rule of RFC 5545: write FREQ=WEEKLY;COUNT=10")
    return rule
