"""Reading the calendar: by window or by what changed since, and times in which several people can meet."""

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field

from clew import Api, From, errors, mail
from clew.connectors.times import Moment, Zone, now, read_window, read_zone, wrong

from .lists import PAGES, following, moved_on, token_of
from .messages import AS_TEXT, addresses, cut, person
from .provider import EVENTS_READ, IMMUTABLE, SHARED_READ, Changes, Cursor, EventId, microsoft

EVENT = "/me/events/{}"
SIZE = 25
GUESTS_SHOWN = 50
LINE = "id,subject,start,end,isAllDay,isCancelled,location,attendees,responseStatus,type,showAs,onlineMeeting"
WHOLE = f"{LINE},changeKey,organizer,isOrganizer,seriesMasterId,body,webLink,originalStartTimeZone"


class Attendee(BaseModel):
    """Somebody who is invited. `response`: none, accepted, tentativelyAccepted, declined."""

    email: Annotated[str | None, From("emailAddress.address")] = None
    response: Annotated[str | None, From("status.response")] = None
    kind: Annotated[str | None, From("type"), Field(description="required, optional or resource.")] = None


class Raw(BaseModel):
    """An event as Graph gives it, with those of its fields that were asked for."""

    id: str
    removed: Annotated[str | None, From("['@removed'].reason")] = None
    change_key: Annotated[str | None, From("changeKey")] = None
    title: Annotated[str | None, From("subject")] = None
    start: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    all_day: Annotated[bool | None, From("isAllDay")] = None
    cancelled: Annotated[bool | None, From("isCancelled")] = None
    location: Annotated[str | None, From("location.displayName")] = None
    attendees: list[Attendee] | None = None
    my_response: Annotated[str | None, From("responseStatus.response")] = None
    kind: Annotated[str | None, From("type")] = None
    show_as: Annotated[str | None, From("showAs")] = None
    meeting: Annotated[str | None, From("onlineMeeting.joinUrl")] = None
    is_online: Annotated[bool | None, From("isOnlineMeeting")] = None
    organizer: dict[str, Any] | None = None
    is_organizer: Annotated[bool | None, From("isOrganizer")] = None
    series_id: Annotated[str | None, From("seriesMasterId")] = None
    written: Annotated[str | None, From("body.content")] = None
    written_as: Annotated[str | None, From("body.contentType")] = None
    web_link: Annotated[str | None, From("webLink")] = None
    zone: Annotated[str | None, From("originalStartTimeZone")] = None
    transaction: Annotated[str | None, From("transactionId")] = None


class EventLine(BaseModel):
    """An event in a list. One that was deleted, or left the window, has nothing but its id and `removed`."""

    id: str
    removed: str | None = None
    title: str | None = None
    all_day: Annotated[bool | None, Field(description="start, end: dates; end is the day after the last.")] = None
    start: str | None = None
    end: str | None = None
    location: str | None = None
    attendees: int | None = None
    my_response: str | None = None
    repeats: bool | None = None
    cancelled: bool | None = None
    show_as: Annotated[str | None, Field(description="When not busy: free, tentative, oof, workingElsewhere.")] = None
    meeting: Annotated[str | None, Field(description="The link to join.")] = None


class EventPage(BaseModel):
    """One page of events."""

    items: list[EventLine]
    next_cursor: Annotated[str | None, Field(description="Pass it as `cursor` to get the next page.")] = None
    next_changes: Annotated[
        str | None, Field(description="Keep it: as changes it gets what changes from now on in the same window.")
    ] = None


class Event(BaseModel):
    """One event. Its description was written by whoever organizes it."""

    id: str
    change_key: Annotated[str, Field(description="For update_event and cancel_event.")]
    title: str | None = None
    description: str | None = None
    location: str | None = None
    all_day: bool | None = None
    start: str | None = None
    end: str | None = None
    time_zone: Annotated[str | None, Field(description="In which it was made, as Windows names it.")] = None
    kind: Annotated[str | None, Field(description="singleInstance, occurrence, exception or seriesMaster.")] = None
    series_id: str | None = None
    organizer: str | None = None
    own: Annotated[
        bool | None, Field(description="True: this account organizes it, so it may change and cancel it.")
    ] = None
    attendees: list[Attendee] | None = None
    attendees_not_shown: int | None = None
    my_response: str | None = None
    cancelled: bool | None = None
    show_as: str | None = None
    meeting: str | None = None
    url: str | None = None


class Delta(BaseModel):
    """One answer of the calendar's changes."""

    items: Annotated[list[Raw], From("value")]
    further: Annotated[str | None, From("['@odata.nextLink']")] = None
    last: Annotated[str | None, From("['@odata.deltaLink']")] = None


def moment(value: dict[str, Any] | None, zone: ZoneInfo | None, *, day: bool = False) -> str | None:
    """Graph's time, which is UTC as we ask for none else: ISO in `zone`, or a plain date."""
    text = str((value or {}).get("dateTime") or "")[:19]
    if not text:
        return None
    if day:
        return text[:10]
    name = str((value or {}).get("timeZone") or "UTC")
    try:
        given = UTC if name in ("UTC", "tzone://Microsoft/Utc") else ZoneInfo(name)
        found = datetime.fromisoformat(text).replace(tzinfo=given)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return f"{text} {name}"
    return found.astimezone(zone or UTC).isoformat().replace("+00:00", "Z")


def line_of(raw: Raw, zone: ZoneInfo | None = None) -> EventLine:
    """The projection of an event in a list."""
    day = raw.all_day is True
    return EventLine(
        id=raw.id,
        removed=raw.removed,
        title=cut(raw.title, 300) if raw.title else None,
        all_day=day or None,
        start=moment(raw.start, zone, day=day),
        end=moment(raw.end, zone, day=day),
        location=cut(raw.location, 200) if raw.location else None,
        attendees=len(raw.attendees) if raw.attendees else None,
        my_response=None if raw.my_response in ("none", "organizer") else raw.my_response,
        repeats=True if raw.kind in ("occurrence", "exception", "seriesMaster") else None,
        cancelled=raw.cancelled or None,
        show_as=None if raw.show_as == "busy" else raw.show_as,
        meeting=raw.meeting,
    )


def event_of(raw: Raw, zone: ZoneInfo | None = None) -> Event:
    """The projection of one event."""
    if raw.change_key is None:
        raise errors.ContractChangedError("Graph's answer changed its shape: changeKey is missing.")
    found = line_of(raw, zone)
    html = (raw.written_as or "").lower() == "html"
    written = (mail.text_of_html(raw.written or "") if html else raw.written or "").replace("\r\n", "\n").strip()
    guests = raw.attendees or []
    return Event(
        id=raw.id,
        change_key=raw.change_key,
        title=found.title,
        description=cut(written, 4000) or None,
        location=found.location,
        all_day=found.all_day,
        start=found.start,
        end=found.end,
        time_zone=raw.zone,
        kind=raw.kind,
        series_id=raw.series_id,
        organizer=person(raw.organizer),
        own=raw.is_organizer,
        attendees=guests[:GUESTS_SHOWN] or None,
        attendees_not_shown=len(guests) - GUESTS_SHOWN if len(guests) > GUESTS_SHOWN else None,
        my_response=found.my_response,
        cancelled=found.cancelled,
        show_as=raw.show_as,
        meeting=raw.meeting,
        url=raw.web_link,
    )


@microsoft.read(toolset="calendar", scopes=[EVENTS_READ])
async def list_events(
    api: Api,
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    time_zone: Zone = None,
    changes: Changes = None,
    cursor: Cursor = None,
) -> EventPage:
    """List what is in the account's calendar between start and end, single ones of a series each. Or follow changes."""
    zone = read_zone(time_zone) if time_zone is not None else None
    if changes is not None and changes != "new":
        if start is not None or end is not None:
            raise wrong("start" if start else "end", "is part of changes already", "Leave it out.")
        return await _changed(api, changes, {}, zone, cursor)
    if start is None or end is None:
        raise wrong("end" if start else "start", "is missing", "Give start and end, or changes.")
    begins, ends = (each.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in read_window(start, end))
    window = {"startDateTime": begins, "endDateTime": ends}
    if changes is not None:
        return await _changed(api, changes, window, zone, cursor)
    query: dict[str, Any] = {**window, "$select": LINE, "$orderby": "start/dateTime", "$top": SIZE}
    found = await api.page("/me/calendarView", into=Raw, cursor=cursor, pages=PAGES, query=query)
    return EventPage(items=[line_of(each, zone) for each in found.items], next_cursor=found.next_cursor)


async def _changed(
    api: Api, changes: str, window: dict[str, str], zone: ZoneInfo | None, cursor: str | None
) -> EventPage:
    """Graph takes no $select here. https://learn.microsoft.com/graph/api/event-delta"""
    found = await api.get(
        "/me/calendarView/delta",
        query=following(changes, cursor, window),
        headers={"Prefer": f"{IMMUTABLE}, odata.maxpagesize={SIZE}"},
        into=Delta,
    )
    further = moved_on(token_of(found.further, "$skiptoken"), cursor)
    last = None if further else token_of(found.last, "$deltatoken")
    # A series and its occurrences share what they share: an occurrence may come with its times alone.
    return EventPage(items=[line_of(each, zone) for each in found.items], next_cursor=further, next_changes=last)


@microsoft.read(toolset="calendar", scopes=[EVENTS_READ])
async def get_event(api: Api, event_id: EventId, *, time_zone: Zone = None) -> Event:
    """Read one event with its attendees and its change_key."""
    zone = read_zone(time_zone) if time_zone is not None else None
    raw = await api.get(EVENT, event_id, query={"$select": WHOLE}, headers=AS_TEXT, into=Raw)
    return event_of(raw, zone)


class Suggestion(BaseModel):
    """A time to meet. `confidence` (percent): free counts 100, unknown 49, busy 0, on average."""

    start: str
    end: str
    confidence: float | None = None
    not_free: Annotated[list[str] | None, Field(description="Who is busy, or whose calendar nobody may see.")] = None


class Suggestions(BaseModel):
    """Times to meet, the best first; without one, why."""

    suggestions: list[Suggestion]
    none_because: str | None = None


class Free(BaseModel):
    """One suggestion as Graph gives it."""

    slot: Annotated[dict[str, dict[str, Any]], From("meetingTimeSlot")]
    confidence: float | None = None
    own: Annotated[str | None, From("organizerAvailability")] = None
    others: Annotated[list[dict[str, Any]], From("attendeeAvailability")] = []


class Answer(BaseModel):
    """What Graph suggests."""

    found: Annotated[list[Free], From("meetingTimeSuggestions")] = []
    why: Annotated[str | None, From("emptySuggestionsReason")] = None


@microsoft.read(toolset="calendar", scopes=[SHARED_READ])
async def find_meeting_times(
    api: Api,
    start: Moment,
    end: Moment,
    attendees: Annotated[
        list[str] | None, Field(max_length=20, description="E-mail addresses; without it the own calendar alone.")
    ] = None,
    *,
    minutes: Annotated[int, Field(ge=5, le=1440)] = 30,
    working_hours: Annotated[bool, Field(description="Only within the account's own.")] = True,
    all_free: Annotated[bool, Field(description="Only when everybody is known to be free.")] = False,
    time_zone: Zone = None,
) -> Suggestions:
    """Suggest times in which the account and the attendees can meet. For work and school accounts."""
    zone = read_zone(time_zone) if time_zone is not None else None
    begins, ends = read_window(start, end)
    present = now()
    if ends <= present:
        raise wrong("end", "is in the past", "Check the year.")
    window = {
        name: {"dateTime": when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}
        for name, when in (("start", max(begins, present)), ("end", ends))
    }
    people = [mail.checked_address(each, what="attendees' address") for each in attendees or []]
    body = {
        "attendees": [{"type": "required", "emailAddress": {"address": each}} for each in dict.fromkeys(people)],
        "timeConstraint": {
            "activityDomain": "work" if working_hours else "unrestricted",
            "timeSlots": [window],
        },
        "meetingDuration": f"PT{minutes}M",
        "maxCandidates": 15,
        "minimumAttendeePercentage": 100 if all_free else 50,
    }
    found = await api.post("/me/findMeetingTimes", json=body, into=Answer)
    times = [_suggestion(each, zone) for each in found.found]
    return Suggestions(suggestions=times, none_because=None if times else cut(found.why or "unknown", 100))


def _suggestion(found: Free, zone: ZoneInfo | None) -> Suggestion:
    closed = [each for each in found.others if each.get("availability") not in ("free", "workingElsewhere")]
    named = addresses([each.get("attendee") for each in closed])
    own = [] if found.own in ("free", "workingElsewhere", None) else ["(the account itself)"]
    return Suggestion(
        start=moment(found.slot.get("start"), zone) or "",
        end=moment(found.slot.get("end"), zone) or "",
        confidence=found.confidence,
        not_free=[*own, *named] or None,
    )
