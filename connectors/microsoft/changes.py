"""Creating, changing and cancelling events. Outlook mails every attendee of whatever changes, so a person is asked."""

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, errors, mail, once
from clew.connectors.times import Until, When, Zone, now, read_moment, read_span, read_zone, wrong

from .events import EVENT, LINE, Raw, get_event, moment
from .provider import EVENTS_WRITE, ChangeKey, EventId, microsoft

EVENTS = "/me/events"
GUARDED = "id,changeKey,subject,start,end,isAllDay,isCancelled,isOrganizer,isOnlineMeeting,type,attendees,webLink"

Key = Annotated[ChangeKey, Field(description="Of get_event: refuses if the event has changed since.")]
Guests = Annotated[list[str] | None, Field(max_length=200, description="E-mail addresses.")]


class SavedEvent(BaseModel):
    """An event after a change."""

    id: str
    change_key: str
    title: str | None = None
    all_day: bool | None = None
    start: str | None = None
    end: str | None = None
    meeting: Annotated[str | None, Field(description="The link to join. A new one may take a moment: get_event.")] = (
        None
    )
    mailed: Annotated[int | None, Field(description="How many attendees Outlook mails about it.")] = None
    url: str | None = None


class Cancellation(BaseModel):
    """What cancelling will do."""

    title: str | None = None
    start: str | None = None
    end: str | None = None
    all_day: bool | None = None
    attendees: list[str] | None = None
    mail: str
    whole_series: Annotated[bool, Field(description="True: every event of the series goes.")]
    url: str | None = None


def _saved(raw: Raw, mailed: int = 0) -> SavedEvent:
    if raw.change_key is None:
        raise errors.ContractChangedError(
            "Graph's answer changed its shape: changeKey is missing.", outcome=errors.Outcome.APPLIED
        )
    day = raw.all_day is True
    return SavedEvent(
        id=raw.id,
        change_key=raw.change_key,
        title=raw.title,
        all_day=day or None,
        start=moment(raw.start, None, day=day),
        end=moment(raw.end, None, day=day),
        meeting=raw.meeting,
        mailed=mailed or None,
        url=raw.web_link,
    )


def _times(start: str, end: str, time_zone: str | None, *, past: bool) -> dict[str, Any]:
    """Start and end as Graph takes them: local times of a named zone, all-day from midnight to midnight."""
    span = read_span(start, end, time_zone)
    if not past and span.over <= now():
        raise wrong("end", "is in the past", "Check the year. Events of the past are added in Outlook itself.")
    if "date" in span.start:
        days = {
            name: {"dateTime": f"{day}T00:00:00", "timeZone": time_zone or "UTC"} for name, day in _pair(start, end)
        }
        return {"isAllDay": True, **days}
    zone = read_zone(time_zone) if time_zone is not None else None
    timed = {
        name: {
            "dateTime": read_moment(name, text, zone).astimezone(zone or UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "timeZone": time_zone or "UTC",
        }
        for name, text in _pair(start, end)
    }
    return {"isAllDay": False, **timed}


def _pair(start: str, end: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("start", start), ("end", end)


class Made(BaseModel):
    """Events of a window, and by which request each was made."""

    value: Annotated[list[Raw], From("value")]


async def _created(api: Api, key: str, start: str, end: str, time_zone: str | None = None) -> SavedEvent | None:
    """The event that was made under our key: in the window where it was put, unless somebody has moved it."""
    zone = read_zone(time_zone) if time_zone is not None else UTC
    days = "date" in read_span(start, end, time_zone).start
    begins, ends = (
        read_moment(name, f"{text}T00:00" if days else text, zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, text in _pair(start, end)
    )
    query: dict[str, Any] = {
        "startDateTime": begins,
        "endDateTime": ends,
        "$select": f"{LINE},changeKey,webLink,transactionId",
        "$top": 200,
    }
    found = await api.get("/me/calendarView", query=query, into=Made)
    return next((_saved(each, len(each.attendees or [])) for each in found.value if each.transaction == key), None)


# https://learn.microsoft.com/graph/api/resources/event: Graph makes one event for one transactionId.
@microsoft.write(
    toolset="calendar",
    scopes=[EVENTS_WRITE],
    once=once.NaturalKey(field="transactionId", form="uuid"),
    verify=once.Look(_created, after=2.0, tries=3, every=3.0),
)
async def create_event(
    api: Api,
    title: Annotated[str, Field(max_length=255)],
    start: When,
    end: Until,
    *,
    time_zone: Zone = None,
    description: Annotated[str | None, Field(max_length=20_000)] = None,
    location: Annotated[str | None, Field(max_length=255)] = None,
    attendees: Annotated[
        list[str] | None, Field(max_length=200, description="E-mail addresses. Outlook invites them by mail.")
    ] = None,
    teams: Annotated[bool, Field(description="Add a Teams link.")] = False,
) -> SavedEvent:
    """Create an event that is not over yet. With attendees a person is asked first."""
    body: dict[str, Any] = {
        "subject": title,
        **_times(start, end, time_zone, past=False),
        **_words(description, location),
    }
    guests = _checked(attendees)
    if guests:
        body["attendees"] = [_guest(each) for each in guests]
    if teams:
        body |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    return _saved(await api.post(EVENTS, json=body, into=Raw), len(guests))


def _words(description: str | None, location: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if description is None else {"body": {"contentType": "text", "content": description}}
    return found if location is None else {**found, "location": {"displayName": location}}


def _checked(people: list[str] | None) -> list[str]:
    return list(dict.fromkeys(mail.checked_address(each, what="an attendee's address") for each in people or []))


def _guest(address: str, kind: str = "required") -> dict[str, Any]:
    return {"type": kind, "emailAddress": {"address": address}}


async def _guarded(api: Api, event_id: str, change_key: str) -> Raw:
    """The event, when it is the one that was read and this account may change it."""
    event = await api.get(EVENT, event_id, query={"$select": GUARDED}, into=Raw)
    if event.cancelled:
        raise errors.AlreadyDoneError("the event is cancelled already.")
    if event.change_key != change_key:
        raise errors.ConflictError(
            "the event has changed since it was read.", next_step="Read it again with get_event, then decide."
        )
    if event.is_organizer is False:
        raise errors.PermissionDeniedError(
            "only the organizer of this event can change it.",
            next_step="Tell the person who the organizer is: get_event shows it.",
        )
    return event


@microsoft.write(toolset="calendar", scopes=[EVENTS_WRITE], once=once.Guarded())
async def update_event(
    api: Api,
    event_id: EventId,
    change_key: Key,
    *,
    title: Annotated[str | None, Field(max_length=255)] = None,
    start: When | None = None,
    end: Until | None = None,
    time_zone: Zone = None,
    description: Annotated[str | None, Field(max_length=20_000)] = None,
    location: Annotated[str | None, Field(max_length=255)] = None,
    add_attendees: Guests = None,
    remove_attendees: Guests = None,
    mail_attendees: Annotated[
        bool, Field(description="Needed when the event has attendees: Outlook mails them. A person is asked.")
    ] = False,
) -> SavedEvent:
    """Change an event. What is not given stays; start and end go together."""
    body: dict[str, Any] = {} if title is None else {"subject": title}
    body |= _words(description, location)
    if (start is None) != (end is None):
        raise wrong("end" if start else "start", "is missing: give both, or neither")
    if start is not None and end is not None:
        body |= _times(start, end, time_zone, past=True)
    added, removed = _checked(add_attendees), _checked(remove_attendees)
    if not (body or added or removed):
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    event = await _guarded(api, event_id, change_key)
    known = [each for each in event.attendees or [] if each.email]
    if (known or added) and not mail_attendees:
        raise wrong(
            "mail_attendees",
            "is not true, and the event has attendees: Outlook mails them",
            "Call again with mail_attendees=true; a person is asked then.",
        )
    if description is not None and event.is_online:
        raise wrong(
            "description",
            "holds the link of an online meeting, which would be lost",
            "Leave it out; ask the person to change the text in Outlook.",
        )
    if added or removed:
        body["attendees"] = _guests(known, added, removed)
    headers = {"If-Match": f'W/"{change_key}"'}
    saved = await api.patch(EVENT, event_id, headers=headers, json=body, into=Raw)
    return _saved(saved, len(known) + len(added))


def _guests(known: list[Any], added: list[str], removed: list[str]) -> list[dict[str, Any]]:
    """The whole new list: a change replaces it, and who is left out of it gets a cancellation."""
    there = {str(each.email).casefold() for each in known}
    gone = {each.casefold() for each in removed}
    if unknown := sorted(gone - there):
        raise wrong("remove_attendees", f"names {unknown[0]}, who is not invited")
    kept = [
        _guest(str(each.email), each.kind or "required") for each in known if str(each.email).casefold() not in gone
    ]
    return [*kept, *(_guest(each) for each in added if each.casefold() not in there - gone)]


@microsoft.asks_when(create_event)
def mails_new_attendees(arguments: Mapping[str, Any]) -> bool:
    """Invitations leave for people outside."""
    return bool(arguments["attendees"])


@microsoft.asks_when(update_event, preview=get_event)
def mails_attendees(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves for whoever is invited."""
    return bool(arguments["mail_attendees"])


Comment = Annotated[str | None, Field(max_length=2000, description="What the attendees are told.")]


@microsoft.read(toolset="calendar", scopes=[EVENTS_WRITE])
async def preview_cancellation(api: Api, event_id: EventId, change_key: Key, comment: Comment = None) -> Cancellation:
    """Show what cancel_event would cancel and who would get mail; cancels nothing."""
    event = await _guarded(api, event_id, change_key)
    guests = [each.email for each in event.attendees or [] if each.email]
    day = event.all_day is True
    return Cancellation(
        title=event.title,
        start=moment(event.start, None, day=day),
        end=moment(event.end, None, day=day),
        all_day=day or None,
        attendees=guests[:50] or None,
        mail=f"goes to {len(guests)} attendees" if guests else "goes to nobody",
        whole_series=event.kind == "seriesMaster",
        url=event.web_link,
    )


@microsoft.destructive(
    preview=preview_cancellation,
    toolset="calendar",
    scopes=[EVENTS_WRITE],
    once=once.Guarded(done=("already_done", "not_found")),
)
async def cancel_event(api: Api, event_id: EventId, change_key: Key, comment: Comment = None) -> None:
    """Cancel an event, or a whole series by its own id; one without attendees is deleted."""
    event = await _guarded(api, event_id, change_key)
    if event.attendees:
        await api.post("/me/events/{}/cancel", event_id, json={"Comment": comment} if comment else {})
    else:
        await api.delete(EVENT, event_id, headers={"If-Match": f'W/"{change_key}"'})
