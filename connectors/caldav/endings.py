"""Answering invitations and deleting events: both may write to people, and a person is asked first."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, errors, once

from . import ical
from .calendars import find_principal
from .changes import NOBODY, SavedEvent, quoted_etag, read_same, replace, stands
from .dav import checked, place
from .edits import occurrence_of, touch
from .events import get_event, schedules, view
from .provider import Etag, EventId, caldav
from .times import Occurrence

PEOPLE = 20
Answer = Literal["accepted", "declined", "tentative"]
Reply = Annotated[
    bool, Field(description="For an invitation of somebody else: whether the server tells the organizer of it.")
]


class Deletion(BaseModel):
    """What deleting an event will do."""

    title: str | None = None
    start: str
    end: str
    occurrence: str | None = None
    whole_series: Annotated[bool, Field(description="True: every occurrence goes.")]
    organizer: str | None = None
    attendees: list[str] | None = None
    attendees_not_shown: int | None = None
    mail: str


async def _responded(api: Api, event: str, etag: str, response: Answer) -> SavedEvent | None:
    own = (await find_principal(api)).addresses
    return await stands(api, event, etag, lambda calendar: _answer(calendar, own, response))


@caldav.write(toolset="changes", once=once.Guarded(), verify=_responded)
async def reply_to_invitation(api: Api, event: EventId, etag: Etag, response: Answer) -> SavedEvent:
    """Answer an invitation, for all of a series. A server that schedules tells the organizer."""
    own = (await find_principal(api)).addresses
    stored = await read_same(api, event, etag)
    _answer(stored.calendar, own, response)
    organizer = ical.organizer(ical.master_of(stored.calendar)) or "the organizer"
    told = f"{organizer}, by the server" if await schedules(api, event) else NOBODY
    return await replace(api, stored, etag, told)


@caldav.asks_when(reply_to_invitation, preview=get_event)
def replies(arguments: Mapping[str, Any]) -> bool:
    """The organizer may be told."""
    return True


def _answer(calendar: Any, own: tuple[str, ...], response: Answer) -> None:
    found = False
    for component in calendar.walk("VEVENT"):
        for mail, each in ical.people(component):
            if mail in own:
                each.params["PARTSTAT"] = response.upper()
                each.params.pop("RSVP", None)
                found = True
    if not found:
        raise errors.InvalidInputError(
            "this account is not among the attendees of the event.", next_step="get_event shows who is invited."
        )


@caldav.read(toolset="changes")
async def preview_deletion(
    api: Api, event: EventId, etag: Etag, occurrence: Occurrence = None, tell_organizer: Reply = False
) -> Deletion:
    """Show what delete_event would delete and who would get mail; deletes nothing."""
    stored = await read_same(api, event, etag)
    shown, master = view(stored), ical.master_of(stored.calendar)
    if occurrence is not None:
        only = ical.times(occurrence_of(stored.calendar, occurrence))
        shown.start, shown.end = only["start"], only["end"]
    invited = [mail for mail, each in ical.people(master) if ical.is_told(each)]
    return Deletion(
        title=shown.title,
        start=shown.start,
        end=shown.end,
        occurrence=occurrence,
        whole_series=ical.repeats(master) and occurrence is None,
        organizer=shown.organizer,
        attendees=invited[:PEOPLE] or None,
        attendees_not_shown=max(len(invited) - PEOPLE, 0) or None,
        mail=await _mail(api, event, shown.organizer, invited, tell_organizer),
    )


async def _mail(api: Api, event: str, organizer: str | None, invited: list[str], reply: bool) -> str:
    """Who will be told, in words."""
    if not invited or not await schedules(api, event):
        return "goes to nobody"
    own = (await find_principal(api)).addresses
    if organizer in own:
        return f"a cancellation goes to {len(invited)} attendees, by the server"
    return "a refusal goes to the organizer, by the server" if reply else "goes to nobody"


@caldav.destructive(preview=preview_deletion, toolset="changes", once=once.Guarded(done=("already_done", "not_found")))
async def delete_event(
    api: Api, event: EventId, etag: Etag, occurrence: Occurrence = None, tell_organizer: Reply = False
) -> None:
    """Delete an event, a whole series, or one occurrence of it."""
    stored = await read_same(api, event, etag)  # an event, and nothing else that a server may have at this place
    if occurrence is None:
        template, values = place(checked(event))
        reply = {"Schedule-Reply": "T" if tell_organizer else "F"}  # RFC 6638, 8.1
        await api.delete(template, *values, headers={"If-Match": quoted_etag(etag), **reply})
        return
    component, master = occurrence_of(stored.calendar, occurrence), ical.master_of(stored.calendar)
    stored.calendar.subcomponents = [each for each in stored.calendar.subcomponents if each is not component]
    master.add("exdate", component["RECURRENCE-ID"].dt)
    touch(master)
    await replace(api, stored, etag, None)
