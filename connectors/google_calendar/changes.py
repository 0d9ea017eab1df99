"""Creating, changing and deleting events. Mail to guests cannot be called back, so a person is asked before it goes."""

import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once
from clew.connectors.times import Until, When, Zone, now, read_span, wrong

from .events import AllDay, Ends, Event, Guests, Starts, get_event
from .provider import WRITE, CalendarId, google_calendar

SendUpdates = Annotated[
    Literal["all", "externalOnly", "none"],
    Field(description="Who gets mail: all guests, those without Google Calendar, nobody. Mail needs a person's yes."),
]
Etag = Annotated[str, Field(description="etag of get_event: refuses if the event has changed since.")]

EVENTS = "/calendar/v3/calendars/{}/events"
EVENT = "/calendar/v3/calendars/{}/events/{}"


class SavedEvent(BaseModel):
    """An event after a change."""

    id: str
    etag: str
    status: str
    title: Annotated[str | None, From("summary")] = None
    all_day: AllDay = None
    start: Starts = None
    end: Ends = None
    guests: Guests = None
    meeting: Annotated[str | None, From("hangoutLink")] = None
    meeting_state: Annotated[
        str | None,
        From("conferenceData.createRequest.status.statusCode"),
        Field(description="pending: get_event has the link in a moment."),
    ] = None
    url: Annotated[str | None, From("htmlLink")] = None
    mailed: Annotated[str | None, Field(description="The guests who got mail: all or externalOnly.")] = None


class Deletion(BaseModel):
    """What deleting an event will do."""

    title: str | None = None
    start: str | None = None
    end: str | None = None
    all_day: bool | None = None
    organizer: str | None = None
    guests: int
    mail: str
    whole_series: Annotated[bool, Field(description="True: every event of the series goes.")]
    url: str | None = None


async def _created(api: Api, key: str, calendar_id: str = "primary") -> SavedEvent | None:
    try:
        return await api.get(EVENT, calendar_id, key, into=SavedEvent)
    except errors.NotFoundError:
        return None


# An id of ours: Google has it once, or answers 409. https://developers.google.com/calendar/api/v3/reference/events/insert
@google_calendar.write(toolset="changes", scopes=[WRITE], once=once.NaturalKey(field="id"), verify=_created)
async def create_event(
    api: Api,
    title: str,
    start: When,
    end: Until,
    *,
    calendar_id: CalendarId = "primary",
    time_zone: Zone = None,
    description: str | None = None,
    location: str | None = None,
    guests: Annotated[list[str] | None, Field(max_length=200, description="E-mail addresses.")] = None,
    send_updates: SendUpdates = "none",
    meet: Annotated[bool, Field(description="Add a Google Meet link.")] = False,
) -> SavedEvent:
    """Create an event that is not over yet."""
    span = read_span(start, end, time_zone)
    if span.over <= now():
        raise wrong("end", "is in the past", "Check the year. Events of the past are added in Google Calendar itself.")
    given = {"summary": title, "description": description, "location": location}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    body |= {"start": span.start, "end": span.end}
    if guests:
        body["attendees"] = [{"email": each} for each in dict.fromkeys(guests)]
    if meet:
        body["conferenceData"] = {"createRequest": _meeting()}
    query = {"sendUpdates": send_updates, "conferenceDataVersion": 1 if meet else None}
    saved = await api.post(EVENTS, calendar_id, query=query, json=body, into=SavedEvent)
    return _told(saved, send_updates if guests else "none")


def _meeting() -> dict[str, Any]:
    return {"requestId": uuid.uuid4().hex, "conferenceSolutionKey": {"type": "hangoutsMeet"}}


@google_calendar.write(toolset="changes", scopes=[WRITE], once=once.Guarded())
async def update_event(
    api: Api,
    event_id: str,
    etag: Etag,
    calendar_id: CalendarId = "primary",
    *,
    title: str | None = None,
    start: When | None = None,
    end: Until | None = None,
    time_zone: Zone = None,
    description: str | None = None,
    location: str | None = None,
    add_guests: Annotated[list[str] | None, Field(max_length=200, description="E-mail addresses.")] = None,
    remove_guests: Annotated[list[str] | None, Field(description="E-mail addresses.")] = None,
    send_updates: SendUpdates = "none",
) -> SavedEvent:
    """Change an event. What is not given stays; start and end go together."""
    given = {"summary": title, "description": description, "location": location}
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if (start is None) != (end is None):
        raise wrong("end" if start else "start", "is missing: give both, or neither")
    if start is not None and end is not None:
        span = read_span(start, end, time_zone)
        # A patch keeps what it does not name: an all-day event that gets times must lose its dates, and vice versa.
        body |= {"start": {**_EMPTY, **span.start}, "end": {**_EMPTY, **span.end}}
    if add_guests or remove_guests:
        body["attendees"] = await _guests(api, calendar_id, event_id, add_guests or [], remove_guests or [])
    if not body:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    headers = {"If-Match": _quoted(etag)}
    query = {"sendUpdates": send_updates}
    saved = await api.patch(EVENT, calendar_id, event_id, query=query, headers=headers, json=body, into=SavedEvent)
    return _told(saved, send_updates if saved.guests else "none")


_EMPTY: Mapping[str, None] = {"date": None, "dateTime": None}


async def _guests(api: Api, calendar_id: str, event_id: str, add: list[str], remove: list[str]) -> list[dict[str, Any]]:
    """The whole new list: a patch replaces it, and who is left out of it, or without the answer given, has none."""
    event = await api.get(EVENT, calendar_id, event_id, query={"fields": "attendees,attendeesOmitted"})
    if event.get("attendeesOmitted") is True:
        raise errors.ConflictError("Google does not show all guests of this event, so the list cannot be changed here.")
    present: list[dict[str, Any]] = event.get("attendees") or []
    known = {str(each.get("email", "")).casefold() for each in present}
    gone = {each.casefold() for each in remove}
    if unknown := sorted(gone - known):
        raise wrong("remove_guests", f"names {unknown[0]}, who is not invited")
    kept = [each for each in present if str(each.get("email", "")).casefold() not in gone]
    return [*kept, *({"email": each} for each in dict.fromkeys(add) if each.casefold() not in known - gone)]


@google_calendar.asks_when(create_event)
def mails_new_guests(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves for people outside."""
    return arguments["send_updates"] != "none" and bool(arguments["guests"])


@google_calendar.asks_when(update_event, preview=get_event)
def mails_guests(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves for whoever is invited."""
    return bool(arguments["send_updates"] != "none")


@google_calendar.read(toolset="changes", scopes=[WRITE])
async def preview_deletion(
    api: Api, event_id: str, etag: Etag, calendar_id: CalendarId = "primary", send_updates: SendUpdates = "none"
) -> Deletion:
    """Show what delete_event would delete and who would get mail; deletes nothing."""
    event = await api.get(EVENT, calendar_id, event_id, into=Event)
    if event.status == "cancelled":
        raise errors.AlreadyDoneError("the event is deleted already.")
    if event.etag != _quoted(etag):
        raise errors.ConflictError(
            "the event has changed since it was read.", next_step="Read it again with get_event, then decide."
        )
    count = len(event.guests or [])
    whom = {"all": "all guests", "externalOnly": "guests without Google Calendar", "none": "nobody"}
    return Deletion(
        title=event.title,
        start=event.start,
        end=event.end,
        all_day=event.all_day,
        organizer=event.organizer,
        guests=count,
        mail=f"goes to {whom[send_updates] if count else 'nobody'}",
        whole_series=bool(event.recurrence),
        url=event.url,
    )


@google_calendar.destructive(
    preview=preview_deletion, toolset="changes", scopes=[WRITE], once=once.Guarded(done=("already_done", "not_found"))
)
async def delete_event(
    api: Api, event_id: str, etag: Etag, calendar_id: CalendarId = "primary", send_updates: SendUpdates = "none"
) -> None:
    """Delete an event, or a whole series by its own id."""
    headers = {"If-Match": _quoted(etag)}
    await api.delete(EVENT, calendar_id, event_id, query={"sendUpdates": send_updates}, headers=headers)


def _quoted(etag: str) -> str:
    """An etag as a header wants it; the quotes get lost easily on the way through a model."""
    bare = etag.strip().strip('"')
    if not re.fullmatch(r"[\x21\x23-\x7e]{1,200}", bare):
        raise wrong("etag", "is not one that get_event returned")
    return f'"{bare}"'


def _told(saved: SavedEvent, send_updates: str) -> SavedEvent:
    return saved.model_copy(update={"mailed": None if send_updates == "none" else send_updates})
