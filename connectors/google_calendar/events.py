"""Reading calendars and events, by window or by what changed since."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from clew import Api, From, Page, errors
from clew.connectors.times import Moment, read_window, wrong

from .provider import LIST, READ, CalendarId, Cursor, google_calendar

GUESTS_SHOWN = 50
LINE = (
    "id,status,summary,start,end,location,hangoutLink,recurringEventId,attendeesOmitted,attendees(self,responseStatus)"
)


def _own_response(guests: Any) -> Any:
    listed: list[Any] = guests or []
    return next((guest.get("responseStatus") for guest in listed if guest.get("self") is True), None)


def _unusual(status: Any) -> Any:
    return None if status == "confirmed" else status


def _count(guests: Any) -> int | None:
    return len(guests) if guests else None


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= 4000 else text[:4000] + "…"


AllDay = Annotated[bool | None, From("start.date"), BeforeValidator(bool), Field(description="start, end: dates.")]
Starts = Annotated[str | None, From("start.dateTime", "start.date")]
Ends = Annotated[str | None, From("end.dateTime", "end.date"), Field(description="All-day: the day after the last.")]
Repeats = Annotated[bool | None, From("recurringEventId"), BeforeValidator(bool)]
Guests = Annotated[int | None, From("attendees"), BeforeValidator(_count)]
OwnResponse = Annotated[str | None, From("attendees"), BeforeValidator(_own_response)]


class Calendar(BaseModel):
    """A calendar that the account has in its list."""

    id: str
    name: Annotated[str, From("summaryOverride", "summary")]
    primary: bool | None = None
    access: Annotated[
        str, From("accessRole"), Field(description="freeBusyReader, reader, writer or owner: the last two may write.")
    ]
    time_zone: Annotated[str | None, From("timeZone")] = None


class EventLine(BaseModel):
    """An event in a list. A cancelled one may have nothing but its id."""

    id: str
    status: Annotated[
        str | None, BeforeValidator(_unusual), Field(description="tentative or cancelled; else absent.")
    ] = None
    title: Annotated[str | None, From("summary")] = None
    all_day: AllDay = None
    start: Starts = None
    end: Ends = None
    location: Annotated[str | None, AfterValidator(_cut)] = None
    guests: Guests = None
    my_response: OwnResponse = None
    repeats: Repeats = None
    meeting: Annotated[str | None, From("hangoutLink")] = None


class EventPage(BaseModel):
    """One page of events."""

    items: list[EventLine]
    time_zone: Annotated[str | None, From("timeZone")] = None
    next_cursor: Annotated[str | None, From("nextPageToken")] = Field(
        default=None, description="Pass it as `cursor` to get the next page."
    )
    next_sync_token: Annotated[str | None, From("nextSyncToken")] = Field(
        default=None, description="Keep it: as sync_token it gets what changes from now on."
    )


class Guest(BaseModel):
    """Somebody who is invited."""

    email: str | None = None
    response: Annotated[str | None, From("responseStatus")] = None
    optional: bool | None = None


class Event(BaseModel):
    """One event."""

    id: str
    etag: Annotated[str, Field(description="For update_event and delete_event.")]
    status: str
    title: Annotated[str | None, From("summary")] = None
    description: Annotated[str | None, AfterValidator(_cut)] = None
    location: Annotated[str | None, AfterValidator(_cut)] = None
    all_day: AllDay = None
    start: Starts = None
    end: Ends = None
    time_zone: Annotated[str | None, From("start.timeZone")] = None
    recurrence: Annotated[list[str] | None, Field(description="Present: this is the whole series.")] = None
    series_id: Annotated[str | None, From("recurringEventId")] = None
    organizer: Annotated[str | None, From("organizer.email")] = None
    guests: Annotated[list[Guest] | None, From("attendees")] = None
    guests_not_shown: Annotated[int | None, From("attendees"), BeforeValidator(_count)] = None
    show_as: Annotated[str | None, From("transparency"), Field(description="transparent: the time counts as free.")] = (
        None
    )
    meeting: Annotated[str | None, From("hangoutLink")] = None
    url: Annotated[str | None, From("htmlLink")] = None


@google_calendar.read(toolset="events", scopes=[LIST])
async def list_calendars(api: Api, cursor: Cursor = None) -> Page[Calendar]:
    """List the account's calendars, with what it may do in each."""
    query = {"fields": "items(id,summary,summaryOverride,primary,accessRole,timeZone),nextPageToken"}
    return await api.page("/calendar/v3/users/me/calendarList", into=Calendar, cursor=cursor, query=query)


@google_calendar.read(toolset="events", scopes=[READ])
async def list_events(
    api: Api,
    calendar_id: CalendarId = "primary",
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    query: Annotated[str | None, Field(description="Words in title, description, location or guests.")] = None,
    sync_token: Annotated[
        str | None,
        Field(description='"new": all from start on, and a token at the end. That token: only changes since.'),
    ] = None,
    cursor: Cursor = None,
) -> EventPage:
    """List events between start and end, single ones of a series each, by time. Or follow changes with sync_token."""
    asked = _asked(start, end, query, sync_token)
    fields = f"items({LINE}),nextPageToken,nextSyncToken,timeZone"
    more: dict[str, str | int | None] = {"singleEvents": True, "maxResults": 25, "fields": fields, "pageToken": cursor}
    page = await api.get("/calendar/v3/calendars/{}/events", calendar_id, query={**asked, **more}, into=EventPage)
    if page.next_cursor is not None and page.next_cursor == cursor:
        raise errors.ContractChangedError("Google's next page is the same page again; stopped.")
    return page


def _asked(start: str | None, end: str | None, query: str | None, sync_token: str | None) -> dict[str, str | None]:
    """A window in the order of time, or changes: Google gives no token for the former and no window for the latter."""
    if sync_token is None:
        if start is None or end is None:
            raise wrong("end" if start else "start", "is missing", "Give start and end, or a sync_token.")
        read_window(start, end)
        return {"timeMin": start, "timeMax": end, "q": query, "orderBy": "startTime"}
    if end is not None or query is not None or (start is not None and sync_token != "new"):
        name = "end" if end is not None else "query" if query is not None else "start"
        raise wrong(name, "cannot be combined with a sync_token", "Leave it out; changes come from the whole calendar.")
    if sync_token != "new":
        return {"syncToken": sync_token}
    if start is not None:
        read_window(start, "9999-12-31T23:59:59Z")
    return {"timeMin": start}


@google_calendar.read(toolset="events", scopes=[READ])
async def get_event(api: Api, event_id: str, calendar_id: CalendarId = "primary") -> Event:
    """Read one event with its guests and its etag."""
    event = await api.get("/calendar/v3/calendars/{}/events/{}", calendar_id, event_id, into=Event)
    return shortened(event)


def shortened(event: Event) -> Event:
    """An event with no more guests than a result can afford, and the number of the others."""
    guests = event.guests or []
    hidden = len(guests) - GUESTS_SHOWN
    return event.model_copy(
        update={"guests": guests[:GUESTS_SHOWN] or None, "guests_not_shown": hidden if hidden > 0 else None}
    )
