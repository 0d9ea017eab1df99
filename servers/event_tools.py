"""What an agent can learn about events: three read tools, offered beside those of connectors that have webhooks.

They are tools of a connector of ours without a provider, so policy, records and errors are those of every other call.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew.core.api import Api
from clew.core.connector import Connector
from clew.core.errors import InvalidInputError, NotFoundError
from clew.core.events import DONE, NOT_DONE
from clew.core.inbox import Inbox, StoredEvent

LONGEST = 55
"""Seconds that one call waits at most: less than any host allows."""
_LOOK, _TELL = 0.25, 5.0
_MOST_TEXT = 8000

EventId = Annotated[str, Field(pattern="^evt_[0-9a-f]{1,16}$")]
Reference = Annotated[str, Field(description="The provider's id of what it is about, such as a payment or message.")]


class EventLine(BaseModel):
    """A verified webhook event. `state` is what it says about `reference`; times are ISO 8601."""

    id: str
    connector: str
    account: str
    type: str
    state: str | None = None
    reference: str | None = None
    received_at: str


class EventList(BaseModel):
    """The newest events first."""

    items: list[EventLine]
    next_cursor: str | None = None


class EventDetail(EventLine):
    """An event with what it carried: data from outside."""

    payload: str
    cut: bool = False


class Waited(BaseModel):
    """What came, or that nothing did in time."""

    event: EventLine | None = None
    next: str


def event_tools(inbox: Inbox, connectors: Sequence[Connector], account: str | None) -> Connector | None:
    """The connector with the three tools, for the events of those connectors; None when none of them has webhooks."""
    names = {each.name for each in connectors if each.webhook_schemes}
    if not names:
        return None
    own = Connector("events", "http://127.0.0.1", title="Events")

    def mine(event: StoredEvent, tenant: str) -> bool:
        where = event.connection
        return where.tenant == tenant and where.connector in names and account in (None, where.account)

    async def found(
        api: Api, reference: str, type: str, *, after: int = 0, before: int = 2**62, limit: int = 50
    ) -> list[StoredEvent]:
        events = await inbox.list(type=type, reference=reference, after=after, before=before, limit=limit)
        return [event for event in events if mine(event, api.tenant)]

    @own.read(toolset="events")
    async def list_events(
        api: Api, reference: Reference = "", type: str = "", cursor: EventId | None = None, limit: int = 20
    ) -> EventList:
        """List events that providers reported by webhook, the newest first. A type may end in *."""
        before = _number(cursor) if cursor else 2**62
        events = await found(api, reference, type, before=before, limit=max(1, min(limit, 50)))
        more = events[-1].id if len(events) == max(1, min(limit, 50)) else None
        return EventList(items=[_line(event) for event in events], next_cursor=more)

    @own.read(toolset="events")
    async def get_event(api: Api, event_id: EventId) -> EventDetail:
        """Read one event with what it carried."""
        event = await inbox.get(event_id)
        if event is None or not mine(event, api.tenant):
            raise NotFoundError(f"there is no event {event_id}, or no longer.")
        payload = await inbox.payload(event) or ""
        return EventDetail(**_line(event).model_dump(), payload=payload[:_MOST_TEXT], cut=len(payload) > _MOST_TEXT)

    @own.read(toolset="events")
    async def wait_for_event(
        api: Api,
        reference: Reference = "",
        type: str = "",
        after: EventId | None = None,
        seconds: Annotated[int, Field(ge=1, le=LONGEST)] = 30,
    ) -> Waited:
        """Wait until an event comes. With a reference: for its end (delivered, bounced, succeeded, failed …), which may
        be there already; else for the next event after `after`, or after now."""
        if not reference and not type and not after:
            raise InvalidInputError("say what to wait for: reference, type or after.")
        since = _number(after) if after else 0 if reference else await inbox.newest()
        until, told = time.monotonic() + seconds, time.monotonic()
        while True:
            events = await found(api, reference, type, after=since)
            ends = [each for each in events if each.state in DONE | NOT_DONE] if reference and not type else events
            if ends:
                return Waited(event=_line(ends[0]), next=f"get_event {ends[0].id} shows what it carried.")
            now = time.monotonic()
            if now >= until:
                newest = f" The newest so far: {events[0].state or events[0].type}." if events else ""
                return Waited(next=f"Nothing came in {seconds} s.{newest} Call again to go on waiting.")
            if now - told >= _TELL:
                told = now
                await api.progress(f"waiting for an event{f' about {reference}' if reference else ''}")
            await asyncio.sleep(min(_LOOK, until - now))

    return own


def names_for(own: Connector, taken: Mapping[str, Any]) -> dict[str, str]:
    """The name each tool is offered by: its own, unless a connector has a tool of that name."""
    clash = any(name in taken for name in own.tools)
    return {name: f"webhook_{name}" if clash else name for name in own.tools}


def _number(event_id: str) -> int:
    return int(event_id.removeprefix("evt_"), 16)


def _line(event: StoredEvent) -> EventLine:
    received = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.received_at))
    return EventLine(
        id=event.id,
        connector=event.connection.connector,
        account=event.connection.account,
        type=event.type,
        state=event.state or None,
        reference=event.reference or None,
        received_at=received,
    )
