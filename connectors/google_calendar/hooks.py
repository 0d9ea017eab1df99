"""Google Calendar's notifications: a channel that says that a calendar has changed, and nothing else.

A notification has no body; list_changes says what changed. Google repeats our secret in a header and signs nothing. A
channel ends (after a month at most, (memory)) and cannot be renewed or looked at: another one is opened before its end,
and what happened in between is in list_changes too.
https://developers.google.com/workspace/calendar/api/guides/push
"""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from clew import Api, errors, events

from .provider import google_calendar

google_calendar.events = events.Events(
    reference="channel",
    order="channel",
    headers={
        "channel": "X-Goog-Channel-ID",
        "resource": "X-Goog-Resource-ID",
        "resource_uri": "X-Goog-Resource-URI",
        "state": "X-Goog-Resource-State",
    },
)


async def _open(api: Api, wish: events.Wish) -> events.Subscribed:
    made: dict[str, Any] = await api.post(
        "/calendar/v3/calendars/{}/events/watch",
        wish.where["calendar"],
        json={"id": str(uuid.uuid4()), "type": "web_hook", "address": wish.url, "token": wish.secret.reveal()},
    )
    try:
        ends_at = int(made["expiration"]) / 1000
        # Closing a channel takes both ids, and nothing tells them or the end again.
        return events.Subscribed(id=f"{made['id']} {made['resourceId']} {ends_at:.0f}", ends_at=ends_at)
    except (KeyError, ValueError, TypeError):
        raise errors.ContractChangedError(
            "google_calendar opened a channel and did not say its ids and its end.", outcome=errors.Outcome.APPLIED
        ) from None


async def _check(api: Api, channel: str, where: Mapping[str, str]) -> events.Subscribed | None:
    ends_at = float(channel.rpartition(" ")[2])
    return events.Subscribed(id=channel, ends_at=ends_at) if ends_at > time.time() else None


async def _close(api: Api, channel: str, where: Mapping[str, str]) -> None:
    name, resource, _ = channel.split(" ")
    await api.post("/calendar/v3/channels/stop", json={"id": name, "resourceId": resource})


google_calendar.subscription = events.Subscription(
    create=_open, check=_check, remove=_close, where={"calendar": "which calendar: primary, or an id of list_calendars"}
)
