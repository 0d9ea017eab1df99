"""Creating and changing events. A server that schedules (RFC 6638) mails people by itself: a person is asked before."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors, once

from . import ical
from .calendars import find_principal
from .dav import checked, place
from .edits import Change, apply, invite, put_texts, read_rule, stamp
from .events import Event, Stored, get_event, read_event, schedules, view
from .provider import CalendarId, Etag, EventId, caldav
from .times import Occurrence, Until, When, Zone, now, read_span, wrong

People = Annotated[list[str] | None, Field(max_length=100, description="E-mail addresses.")]
Tell = Annotated[
    bool, Field(description="True: the server may mail the attendees, after a person's yes. False: nobody is mailed.")
]
CALENDAR_TEXT = "text/calendar; charset=utf-8"
NOBODY = "nobody: this server sends no invitations"


class SavedEvent(BaseModel):
    """An event after a change."""

    id: str
    etag: Annotated[str | None, Field(description="Absent: get_event has it.")] = None
    title: str | None = None
    start: str
    end: str
    repeats: str | None = None
    attendees: int | None = None
    told: Annotated[str | None, Field(description="Whom the server mails.")] = None


async def _created(api: Api, key: str, calendar: str) -> SavedEvent | None:
    try:
        return saved(await read_event(api, f"{calendar}{key}.ics"))
    except errors.NotFoundError:
        return None


# The UID and the name are ours, and the server must not have them: RFC 4791, 5.3.2 and RFC 9110, 13.1.2.
@caldav.write(toolset="changes", once=once.NaturalKey(form="uuid"), verify=_created)
async def create_event(
    api: Api,
    calendar: CalendarId,
    title: Annotated[str, Field(min_length=1, max_length=500)],
    start: When,
    end: Until,
    *,
    time_zone: Zone = None,
    description: Annotated[str | None, Field(max_length=20_000)] = None,
    location: Annotated[str | None, Field(max_length=500)] = None,
    repeats: Annotated[str | None, Field(description="FREQ=WEEKLY;BYDAY=MO;COUNT=10 (RFC 5545).")] = None,
    attendees: People = None,
    tell_attendees: Tell = False,
) -> SavedEvent:
    """Create an event that is not over yet."""
    known = ical.library()
    span = read_span(start, end, time_zone)
    if span.over <= now() and repeats is None:
        raise wrong("end", "is in the past", "Check the year.")
    event, uid = known.Event(), await api.own_id()
    event.add("uid", uid)
    event.add("dtstamp", stamp())
    event.add("dtstart", span.begins)
    event.add("dtend", span.ends)
    put_texts(event, SUMMARY=title, DESCRIPTION=description, LOCATION=location)
    if repeats is not None:
        event.add("rrule", read_rule(repeats))
    told = None
    if attendees:
        event.add("organizer", f"mailto:{await _own_address(api)}")
        invite(event, attendees, agent=None if tell_attendees else "NONE")
        told = await _mailing(api, calendar, len(attendees)) if tell_attendees else None
    whole = known.Calendar()
    whole.add("version", "2.0")
    whole.add("prodid", ical.PRODUCT)
    whole.add_component(event)
    path = f"{calendar}{uid}.ics"
    api.reference(path)
    try:
        etag = await put(api, path, ical.finished(whole), {"If-None-Match": "*"})
    except errors.ConflictError as error:
        if error.status != 412:
            raise
        raise errors.AlreadyDoneError("this event is there already.", status=412) from error
    return saved(Stored(path, etag, whole), told)


@caldav.asks_when(create_event)
def invites(arguments: Mapping[str, Any]) -> bool:
    """The server may mail people outside."""
    return bool(arguments["tell_attendees"] and arguments["attendees"])


async def _updated(
    api: Api,
    event: str,
    etag: str,
    *,
    occurrence: str | None = None,
    title: str | None = None,
    start: str | None = None,
    end: str | None = None,
    time_zone: str | None = None,
    description: str | None = None,
    location: str | None = None,
    add_attendees: list[str] | None = None,
    remove_attendees: list[str] | None = None,
) -> SavedEvent | None:
    change = Change(
        occurrence=occurrence, title=title, start=start, end=end, time_zone=time_zone, description=description,
        location=location, add_attendees=add_attendees, remove_attendees=remove_attendees,
    )  # fmt: skip
    return await stands(api, event, etag, lambda calendar: apply(calendar, change, add_again=False))


async def stands(api: Api, event: str, etag: str, make: Callable[[Any], object]) -> SavedEvent | None:
    """Has a change been made? It has not while the version is the old one; it has when making it changes nothing."""
    stored = await read_event(api, event)
    if stored.etag == etag:
        return None
    before = _lasting(stored.calendar)
    calendar = copy.deepcopy(stored.calendar)
    make(calendar)
    if _lasting(calendar) != before:
        raise errors.ConflictError("the event was changed by somebody else meanwhile.")
    return saved(stored)


def _lasting(calendar: Any) -> str:
    """What an object says, without what each writing of it changes."""
    text: str = calendar.to_ical().decode("utf-8", "replace")
    return re.sub(r"(?m)^(?:DTSTAMP|LAST-MODIFIED|SEQUENCE)[:;].*\r?\n", "", text)


@caldav.write(toolset="changes", once=once.Guarded(), verify=_updated)
async def update_event(
    api: Api,
    event: EventId,
    etag: Etag,
    *,
    occurrence: Occurrence = None,
    title: Annotated[str | None, Field(min_length=1, max_length=500)] = None,
    start: When | None = None,
    end: Until | None = None,
    time_zone: Zone = None,
    description: Annotated[str | None, Field(max_length=20_000)] = None,
    location: Annotated[str | None, Field(max_length=500)] = None,
    add_attendees: People = None,
    remove_attendees: People = None,
    tell_attendees: Tell = False,
) -> SavedEvent:
    """Change an event, one occurrence of a series, or a whole series. What is not given stays."""
    change = Change(
        occurrence=occurrence, title=title, start=start, end=end, time_zone=time_zone, description=description,
        location=location, add_attendees=add_attendees, remove_attendees=remove_attendees,
    )  # fmt: skip
    change.check()
    stored = await read_same(api, event, etag)
    own = await _organizes(api, stored) if ical.listed(ical.master_of(stored.calendar), "ATTENDEE") else None
    before = _told(ical.master_of(stored.calendar))  # whoever is taken off the list gets mail, too
    component = apply(stored.calendar, change)
    if add_attendees and ical.organizer(component) is None:
        component.add("organizer", f"mailto:{own or await _own_address(api)}")
    told = await _will_tell(api, event, before | _told(component), may=tell_attendees)
    return await replace(api, stored, etag, told)


@caldav.asks_when(update_event, preview=get_event)
def tells_attendees(arguments: Mapping[str, Any]) -> bool:
    """The server may mail whoever is invited."""
    return bool(arguments["tell_attendees"])


async def read_same(api: Api, event: str, etag: str) -> Stored:
    """The object, if it still is the one that was read. Raises `ConflictError`."""
    if etag.startswith("W/"):
        raise errors.ConflictError(
            "this server does not mark versions exactly, so a change could undo somebody else's.",
            next_step="Ask the person to change the event in their calendar.",
        )
    stored = await read_event(api, event)
    if stored.etag is not None and stored.etag.strip('"') != etag.strip('"'):
        raise errors.ConflictError(
            "the event has changed since it was read.",
            next_step="Read it again with get_event, decide anew, and pass its new etag.",
        )
    return stored


async def _organizes(api: Api, stored: Stored) -> str | None:
    """Our address, where we or nobody is the organizer. Raises `PermissionDeniedError` for somebody else's event."""
    own, organizer = (await find_principal(api)).addresses, ical.organizer(ical.master_of(stored.calendar))
    if organizer is not None and own and organizer not in own:
        raise errors.PermissionDeniedError(
            "only the organizer of this event can change it.",
            next_step=f"Ask {organizer} to change it, or answer the invitation with reply_to_invitation.",
        )
    return own[0] if own else None


def _told(component: Any) -> set[str]:
    return {mail for mail, each in ical.people(component) if ical.is_told(each)}


async def _will_tell(api: Api, event: str, invited: set[str], *, may: bool) -> str | None:
    """Whom the server will mail about a change. Raises `InvalidInputError` when it would and must not."""
    if not invited:
        return None
    told = await _mailing(api, event, len(invited))
    if told != NOBODY and not may:
        raise errors.InvalidInputError(
            f"this server mails {len(invited)} attendees about every change; nothing was changed.",
            fields={"tell_attendees": "must be true for this event"},
            next_step="Call with tell_attendees=true: a person is asked then.",
        )
    return told


async def _mailing(api: Api, path: str, count: int) -> str:
    return f"{count} attendees, by the server" if await schedules(api, path) else NOBODY


async def _own_address(api: Api) -> str:
    addresses = (await find_principal(api)).addresses
    if addresses:
        return addresses[0]
    raise errors.InvalidInputError(
        "the server does not say which e-mail address this account has, so it cannot invite anybody.",
        next_step="Leave the attendees out.",
    )


async def replace(api: Api, stored: Stored, etag: str, told: str | None) -> SavedEvent:
    """Put a changed object in the place of the one that was read."""
    marked = await put(api, stored.path, ical.finished(stored.calendar), {"If-Match": quoted_etag(etag)})
    return saved(Stored(stored.path, marked, stored.calendar), told)


async def put(api: Api, path: str, content: bytes, headers: Mapping[str, str]) -> str | None:
    """Store an object; its new version mark, unless the server altered it on the way (RFC 4791, 5.3.4)."""
    template, values = place(checked(path))
    answer = await api.request("PUT", template, *values, headers=headers, content=content, content_type=CALENDAR_TEXT)
    return answer.headers.get("etag")


def quoted_etag(etag: str) -> str:
    """A version mark as a header wants it; the quotes get lost easily on the way through a model."""
    bare = etag.strip().strip('"')
    if not re.fullmatch(r"[\x21\x23-\x7e]{1,200}", bare):
        raise wrong("etag", "is not one that get_event returned")
    return f'"{bare}"'


def saved(stored: Stored, told: str | None = None) -> SavedEvent:
    """What a tool says of an event that it has stored."""
    shown: Event = view(stored)
    return SavedEvent(
        id=shown.id,
        etag=shown.etag,
        title=shown.title,
        start=shown.start,
        end=shown.end,
        repeats=shown.repeats,
        attendees=len(shown.attendees or []) + (shown.attendees_not_shown or 0) or None,
        told=told,
    )
