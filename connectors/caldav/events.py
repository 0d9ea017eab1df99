"""Reading events: what happens in a time, one event whole, and what changed since.

Servers expand series unreliably (caldav 3.6.0 `compatibility_hints`), so whole series are fetched and expanded here.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors

from . import ical
from .dav import SPACES, Member, ask, checked, members, place, propfind, quoted, send
from .provider import CalendarId, EventId, caldav
from .times import Moment, in_order, window, written

SIZE, MOST = 50, 5000
CUT, PEOPLE, CHANGED = 4000, 50, 20


class EventLine(BaseModel):
    """An event in a list, or one occurrence of a series."""

    id: str
    title: str | None = None
    start: str
    end: str
    all_day: bool | None = None
    time_zone: Annotated[str | None, Field(description="Without it and an offset: local time, wherever one is.")] = None
    location: str | None = None
    status: Annotated[str | None, Field(description="tentative or cancelled.")] = None
    attendees: int | None = None
    occurrence: Annotated[str | None, Field(description="Which one of a series.")] = None
    not_expanded: Annotated[
        str | None, Field(description="The rule of a series whose occurrences are not worked out here.")
    ] = None


class EventPage(BaseModel):
    """Events by time."""

    items: list[EventLine]
    next_cursor: Annotated[str | None, Field(description="Pass it as `cursor` to get the next page.")] = None
    unreadable: Annotated[int | None, Field(description="Objects that are damaged and left out.")] = None


class Attendee(BaseModel):
    """Somebody who is invited."""

    email: str
    name: str | None = None
    response: str | None = None
    optional: bool | None = None


class Changed(BaseModel):
    """An occurrence that differs from its series."""

    occurrence: str
    title: str | None = None
    start: str
    end: str


class Event(BaseModel):
    """One event, or a series."""

    id: str
    etag: Annotated[str | None, Field(description="For update_event and delete_event.")] = None
    uid: str | None = None
    title: str | None = None
    description: str | None = None
    location: str | None = None
    start: str
    end: str
    all_day: bool | None = None
    time_zone: str | None = None
    status: str | None = None
    show_as: Annotated[str | None, Field(description="free: the time counts as free.")] = None
    repeats: Annotated[str | None, Field(description="The rule; present: this is the whole series.")] = None
    changed_occurrences: list[Changed] | None = None
    organizer: str | None = None
    attendees: list[Attendee] | None = None
    attendees_not_shown: int | None = None
    server_mails: Annotated[
        bool | None, Field(description="True: the server itself tells attendees or organizer of every change.")
    ] = None
    url: str | None = None


class ChangedEvent(BaseModel):
    """An event that is new or has changed."""

    id: str
    etag: str | None = None
    title: str | None = None
    start: str | None = None


class Changes(BaseModel):
    """What changed in a calendar."""

    changed: list[ChangedEvent] = []
    removed: list[str] = []
    sync_token: Annotated[str, Field(description="Pass it the next time.")]
    more: Annotated[bool | None, Field(description="True: call again at once with this sync_token.")] = None
    start_over: Annotated[
        bool | None,
        Field(description="True: nobody knows what changed. Forget what you kept; use list_events, keep the token."),
    ] = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One calendar object as the server has it."""

    path: str
    etag: str | None
    calendar: Any


@caldav.read(toolset="events")
async def list_events(
    api: Api,
    calendar: CalendarId,
    start: Moment,
    end: Moment,
    *,
    query: Annotated[str | None, Field(description="Words in title, description or location.")] = None,
    cursor: Annotated[str | None, Field(pattern=r"^\d{1,4}$", description="next_cursor of the previous page.")] = None,
) -> EventPage:
    """List what happens in a window of at most 366 days, by time; each occurrence of a series by itself."""
    begins, ends = window(start, end)
    found, damaged = await read_between(api, calendar, begins, ends)
    lines = sorted(await asyncio.to_thread(_lines, found, begins, ends, query), key=lambda each: each[0])
    first = int(cursor or 0)
    following = first + SIZE if len(lines) > first + SIZE else None
    return EventPage(
        items=[line for _, line in lines[first : first + SIZE]],
        next_cursor=None if following is None else str(following),
        unreadable=damaged or None,
    )


async def read_between(api: Api, calendar: str, begins: datetime, ends: datetime) -> tuple[list[Stored], int]:
    """The objects with something between two moments, and how many could not be read."""
    times = f'start="{_utc(begins)}" end="{_utc(ends)}"'
    body = (
        f"<C:calendar-query {SPACES}><D:prop><D:getetag/><C:calendar-data/></D:prop><C:filter>"
        f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:time-range {times}/></C:comp-filter>'
        "</C:comp-filter></C:filter></C:calendar-query>"
    )
    found = await ask(api, "REPORT", checked(calendar), body, depth=1)
    if any(each.status == 507 for each in found):
        raise errors.InvalidInputError(
            "the server does not list that many events at once.", next_step="Ask for a shorter range."
        )
    return await asyncio.to_thread(_stored, found)


def _stored(found: Iterable[Member]) -> tuple[list[Stored], int]:
    read: list[Stored] = []
    damaged = 0
    for each in found:
        content = each.text("calendar-data")
        if content is None or each.host:
            continue
        try:
            read.append(Stored(each.path, each.text("getetag"), ical.parse(content)))
        except ical.UnreadableError:
            damaged += 1
    return read, damaged


def _lines(
    found: list[Stored], begins: datetime, ends: datetime, query: str | None
) -> list[tuple[datetime, EventLine]]:
    lines: list[tuple[datetime, EventLine]] = []
    for stored in found:
        for each in happenings(stored, begins, ends):
            if query is None or _speaks_of(each, query.casefold()):
                lines.append((in_order(each.start), _line(stored, each)))
        if len(lines) > MOST:
            raise errors.InvalidInputError(
                f"more than {MOST} events are in this range.", next_step="Ask for a shorter range."
            )
    return lines


def happenings(stored: Stored, begins: datetime, ends: datetime) -> list[Any]:
    """What an object has between two moments; of a series that is not expanded here the series itself."""
    master = ical.master_of(stored.calendar)
    try:
        found = ical.occurrences(stored.calendar, begins, ends)
    except ical.UnreadableError:
        found = None
    return [master] if found is None else found


def is_unexpanded(stored: Stored, component: Any) -> bool:
    """Is this a series as a whole, because its rule is not expanded here?"""
    return component is ical.master_of(stored.calendar) and ical.repeats(component)


def _line(stored: Stored, component: Any) -> EventLine:
    series, status = ical.repeats(ical.master_of(stored.calendar)), ical.text(component, "STATUS")
    whole = is_unexpanded(stored, component)
    which = ical.original(component) if series and not whole else None
    return EventLine(
        id=stored.path,
        title=_cut(ical.text(component, "SUMMARY"), 200),
        **ical.times(component),
        location=_cut(ical.text(component, "LOCATION"), 200),
        status=None if status is None or status.upper() == "CONFIRMED" else status.lower(),
        attendees=len(ical.listed(component, "ATTENDEE")) or None,
        occurrence=None if which is None else written(which),
        not_expanded=_cut(" ".join(ical.values(component, "RRULE")), 200) if whole else None,
    )


def _speaks_of(component: Any, words: str) -> bool:
    texts = (ical.text(component, name) or "" for name in ("SUMMARY", "DESCRIPTION", "LOCATION"))
    return any(words in each.casefold() for each in texts)


@caldav.read(toolset="events")
async def get_event(api: Api, event: EventId) -> Event:
    """Read one event, or a whole series with the occurrences that differ from it."""
    stored = await read_event(api, event)
    shown = view(stored)
    if shown.attendees or shown.organizer:
        shown.server_mails = await schedules(api, event)
    return shown


async def read_event(api: Api, event: str) -> Stored:
    """One object with its version mark. Raises `ContractChangedError` when it is no event."""
    template, values = place(checked(event))
    # Packed on the way, an answer has a weaker mark (RFC 9110, 8.8.3.3), with which nothing can be changed safely.
    answer = await api.request("GET", template, *values, headers={"Accept-Encoding": "identity"})
    try:
        return Stored(event, answer.headers.get("etag"), await asyncio.to_thread(ical.parse, answer.content))
    except ical.UnreadableError as error:
        raise errors.ContractChangedError(
            f"this object cannot be shown: {error}.", next_step="Use an id of list_events."
        ) from error


async def schedules(api: Api, path: str) -> bool:
    """Does this server write to attendees by itself? RFC 6638, 2."""
    template, values = place(checked(path))
    answer = await api.request("OPTIONS", template, *values)
    return "calendar-auto-schedule" in answer.headers.get("dav", "").lower().replace(",", " ").split()


def view(stored: Stored) -> Event:
    """What an agent sees of an object."""
    master = ical.master_of(stored.calendar)
    status = ical.text(master, "STATUS")
    invited = list(ical.people(master))
    changed = [
        Changed(
            occurrence=written(each["RECURRENCE-ID"].dt),
            title=_cut(ical.text(each, "SUMMARY"), 200),
            start=written(each.start),
            end=written(each.end),
        )
        for each in ical.overrides(stored.calendar)[:CHANGED]
        if each is not master
    ]
    return Event(
        id=stored.path,
        etag=stored.etag,
        uid=ical.text(master, "UID"),
        title=_cut(ical.text(master, "SUMMARY"), 500),
        description=_cut(ical.text(master, "DESCRIPTION"), CUT),
        location=_cut(ical.text(master, "LOCATION"), 500),
        **ical.times(master),
        status=status.lower() if status is not None else None,
        show_as="free" if (ical.text(master, "TRANSP") or "").upper() == "TRANSPARENT" else None,
        repeats=_cut("; ".join(ical.values(master, "RRULE")), 300),
        changed_occurrences=changed or None,
        organizer=ical.organizer(master),
        attendees=[_attendee(mail, each) for mail, each in invited[:PEOPLE]] or None,
        attendees_not_shown=max(len(invited) - PEOPLE, 0) or None,
        url=ical.text(master, "URL"),
    )


def _attendee(mail: str, value: Any) -> Attendee:
    response, role = value.params.get("PARTSTAT"), value.params.get("ROLE")
    name = value.params.get("CN")
    return Attendee(
        email=mail,
        name=None if name is None else _cut(str(name), 100),
        response=None if response is None else str(response).lower(),
        optional=True if str(role).upper() == "OPT-PARTICIPANT" else None,
    )


@caldav.read(toolset="events")
async def list_changes(
    api: Api,
    calendar: CalendarId,
    sync_token: Annotated[
        str, Field(min_length=1, max_length=1000, description='"new" for a token from now on, later that of last time.')
    ] = "new",  # noqa: S107 - no password
) -> Changes:
    """List what changed in a calendar since a token was given."""
    if sync_token == "new":
        return Changes(sync_token=await _token(api, calendar))
    body = (
        f"<D:sync-collection {SPACES}><D:sync-token>{quoted(sync_token)}</D:sync-token>"
        "<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"
    )
    try:
        # RFC 6578, 3.2: the depth is 0, the level stands in the body.
        answer = await send(api, "REPORT", checked(calendar), body)
    except errors.ConflictError as error:
        if error.provider_code != "valid-sync-token":
            raise
        return Changes(sync_token=await _token(api, calendar), start_over=True)
    found, token = members(answer, calendar), answer.markup().child("sync-token")
    if token is None or not token.text.strip():
        raise errors.ContractChangedError("the server's answer has no sync token.", status=answer.status)
    there = [each for each in found if each.status < 300 and each.path != calendar and not each.host]
    said = await _contents(api, calendar, there[:SIZE])
    return Changes(
        changed=await asyncio.to_thread(lambda: [_changed(each, said.get(each.path, "")) for each in there]),
        removed=[each.path for each in found if each.status in (404, 410)],
        sync_token=token.text.strip(),
        more=True if any(each.status == 507 for each in found) else None,
    )


async def _token(api: Api, calendar: str) -> str:
    found = await propfind(api, checked(calendar), "D:sync-token")
    token = next((each.text("sync-token") for each in found), None)
    if token is None:
        raise errors.InvalidInputError(
            "this calendar cannot say what changed.", next_step="Use list_events for the time that matters."
        )
    return token


async def _contents(api: Api, calendar: str, wanted: list[Member]) -> dict[str, str]:
    """What stands in some objects. Servers differ in whether a sync says it too, so it is asked for by itself."""
    if not wanted:
        return {}
    hrefs = "".join(f"<D:href>{quoted(each.href)}</D:href>" for each in wanted)
    properties = "<D:prop><D:getetag/><C:calendar-data/></D:prop>"
    body = f"<C:calendar-multiget {SPACES}>{properties}{hrefs}</C:calendar-multiget>"
    found = await ask(api, "REPORT", checked(calendar), body, depth=1)
    return {each.path: each.text("calendar-data") or "" for each in found}


def _changed(member: Member, content: str) -> ChangedEvent:
    title = start = None
    try:
        master = ical.master_of(ical.parse(content))
        title, start = _cut(ical.text(master, "SUMMARY"), 200), written(master.start)
    except ical.UnreadableError:
        pass
    return ChangedEvent(id=member.path, etag=member.text("getetag"), title=title, start=start)


def _cut(text: str | None, limit: int) -> str | None:
    return text or None if text is None or len(text) <= limit else text[:limit] + "…"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
