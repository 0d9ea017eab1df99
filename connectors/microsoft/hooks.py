"""Change notifications: Graph says what changed, by immutable id, and what is wrong with the subscription itself.

Lifecycle notifications come to the same address: `missed` and `subscriptionRemoved` mean that something was not told
(follow it with `changes`), `reauthorizationRequired` that Graph wants to see our token again, which each look shows it.
https://learn.microsoft.com/graph/change-notifications-lifecycle-events
"""

import contextlib
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clew import Api, errors, events

from .provider import microsoft

_LIFE = 4200 * 60.0
"""Seconds that a subscription is asked for: mail and events were allowed 4230 minutes, by now 10 080 (memory)."""
_WATCHED = re.compile(r"(me|users/[^/?#\s]{1,200})/(messages|events|mailFolders\('?[^/?#'\s]{1,500}'?\)/messages)")


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    resource = wish.where["resource"].lstrip("/")
    if not _WATCHED.fullmatch(resource):
        raise errors.ConfigurationError("resource must be me/messages, me/events or me/mailFolders('inbox')/messages.")
    body = {
        "changeType": ",".join(wish.types) or "created,updated,deleted",
        "notificationUrl": wish.url,
        "lifecycleNotificationUrl": wish.url,
        "resource": resource,
        "clientState": wish.secret.reveal(),
        "expirationDateTime": _moment(time.time() + _LIFE),
    }
    return _subscribed(await api.post("/subscriptions", json=body))


async def _check(api: Api, subscription: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found = _subscribed(await api.get("/subscriptions/{}", subscription))
    except errors.NotFoundError:
        return None
    # Without this Graph would stop to deliver after a while, whether we hear of it or not.
    with contextlib.suppress(errors.CallError):
        await api.request("POST", "/subscriptions/{}/reauthorize", subscription, safe=True)
    return found


async def _renew(api: Api, subscription: str, where: Mapping[str, str]) -> events.Subscribed:
    body = {"expirationDateTime": _moment(time.time() + _LIFE)}
    return _subscribed(await api.patch("/subscriptions/{}", subscription, json=body))


async def _remove(api: Api, subscription: str, where: Mapping[str, str]) -> None:
    await api.delete("/subscriptions/{}", subscription)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _subscribed(found: dict[str, Any]) -> events.Subscribed:
    ends_at = datetime.fromisoformat(str(found["expirationDateTime"])).timestamp()
    return events.Subscribed(id=str(found["id"]), ends_at=ends_at, active=ends_at > time.time())


# https://learn.microsoft.com/graph/api/resources/changenotification; a lifecycle notification has no changeType and
# comes with others of its kind, so its name is the delivery's.
microsoft.events = events.Events(
    items="value", type="changeType", reference=("resourceData.id", "resource"), order="resource"
)
microsoft.subscription = events.Subscription(
    create=_create,
    check=_check,
    renew=_renew,
    remove=_remove,
    where={"resource": "what to watch: me/messages, me/events, me/mailFolders('inbox')/messages"},
)
