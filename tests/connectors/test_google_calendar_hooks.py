"""Notifications of Google Calendar: channels, and deliveries without a body."""

import json
import time
from typing import Any

import pytest
import respx

from clew.connectors.google_calendar import google_calendar
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import ContractChangedError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.subscriptions import Wish
from clew.core.webhooks import Delivery, Event, Refusal, verify

V3 = "https://www.googleapis.com/calendar/v3"
HERE = Connection("local", "google_calendar", "work")
TOKEN = Secret("a-token-of-ours")


pytestmark = pytest.mark.anyio


def writing_with(call: Any) -> Api:
    return Api(call.wire(google_calendar), Deadline.after(5), Trail(), Effect.WRITE, SilentHost())


async def test_a_channel_is_opened_seen_and_closed_with_both_its_ids(call: Any, api: respx.MockRouter) -> None:
    way, writing = google_calendar.subscription, writing_with(call)
    assert way is not None
    ends = int(time.time()) + 600
    opened = {"id": "c1", "resourceId": "r1", "expiration": str(ends * 1000)}
    watch = api.post(f"{V3}/calendars/team%40x.example/events/watch").respond(json=opened)
    stop = api.post(f"{V3}/channels/stop").respond(204)
    wish = Wish(url="https://h.example/in", secret=TOKEN, where={"calendar": "team@x.example"})
    made = await way.create(writing, wish)
    sent = json.loads(watch.calls.last.request.content)
    assert (sent["type"], sent["address"], sent["token"]) == ("web_hook", "https://h.example/in", "a-token-of-ours")
    assert made.ends_at == ends
    assert await way.check(writing, made.id, {}) == made
    assert await way.check(writing, f"c1 r1 {time.time() - 1:.0f}", {}) is None
    await way.remove(writing, made.id, {})
    assert json.loads(stop.calls.last.request.content) == {"id": "c1", "resourceId": "r1"}


@pytest.mark.parametrize(
    "answer", [{"id": "c1", "resourceId": "r1"}, {"expiration": "1"}, {"id": "c", "expiration": "x"}]
)
async def test_a_channel_that_nobody_could_close_is_told(call: Any, api: respx.MockRouter, answer: Any) -> None:
    api.post(f"{V3}/calendars/primary/events/watch").respond(json=answer)
    assert google_calendar.subscription is not None
    wish = Wish(url="https://h.example/in", secret=TOKEN, where={"calendar": "primary"})
    with pytest.raises(ContractChangedError):
        await google_calendar.subscription.create(writing_with(call), wish)


def notification(number: int, *, channel: str = "c1", token: str = "a-token-of-ours") -> Delivery:
    headers = {
        "X-Goog-Channel-ID": channel,
        "X-Goog-Channel-Token": token,
        "X-Goog-Message-Number": str(number),
        "X-Goog-Resource-ID": "r1",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Resource-URI": f"{V3}/calendars/primary/events?alt=json",
    }
    return Delivery(list(headers.items()), b"")


def test_each_notification_counts_once_and_says_which_channel() -> None:
    assert google_calendar.webhooks is not None
    assert google_calendar.events is not None
    seen: set[str] = set()
    for delivery in (notification(2), notification(3), notification(2, channel="c2"), notification(2)):
        event = verify(google_calendar.webhooks, delivery, [TOKEN])
        assert isinstance(event, Event)
        (incoming,) = google_calendar.events.read(HERE, event)
        assert (incoming.type, incoming.reference[0]) == ("exists", "c")
        assert json.loads(incoming.payload)["resource_uri"].startswith(V3)
        assert len(incoming.keys) == 1
        seen.add(incoming.keys[0])
    assert len(seen) == 3
    assert isinstance(verify(google_calendar.webhooks, notification(4, token="another"), [TOKEN]), Refusal)
