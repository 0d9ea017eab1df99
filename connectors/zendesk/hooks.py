"""Zendesk's webhooks: what they say, and how to ask for them. Subscribing needs an administrator.

A delivery has 12 s; 409, 429 and 503 are repeated, and a circuit breaker pauses an address that fails (memory). Bodies
of webhooks that triggers call are written by the account's people: they are verified, and tell no reference.
Source: developer.zendesk.com/api-reference/webhooks (webhooks, event types).
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, Secret, errors, events

from .provider import zendesk

_ALL, _ONE, _SECRET = "/webhooks", "/webhooks/{}", "/webhooks/{}/signing_secret"
_TICKET = "zen:event-type:ticket."
_USUAL = ("created", "comment_added", "status_changed", "priority_changed", "agent_assignment_changed", "merged")

zendesk.events = events.Events(type="type", id="id", reference="detail.id", occurred="time")


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    types = [each if ":" in each else f"{_TICKET}{each.removeprefix('ticket.')}" for each in wish.types or _USUAL]
    webhook = {
        "name": "clew",
        "endpoint": wish.url,
        "http_method": "POST",
        "request_format": "json",
        "status": "active",
        "subscriptions": types,
    }
    made: dict[str, Any] = await api.post(_ALL, json={"webhook": webhook}, at="webhook")
    known = str(made.get("id") or "")
    if not known:
        raise errors.ContractChangedError(
            "zendesk made a webhook and did not say which.", outcome=errors.Outcome.APPLIED
        )
    secret = await api.get(_SECRET, known, at="signing_secret.secret", into=str)
    return events.Subscribed(id=known, secret=Secret(secret))


async def _check(api: Api, known: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found: dict[str, Any] = await api.get(_ONE, known, at="webhook")
    except errors.NotFoundError:
        return None
    active = found.get("status") == "active"
    return events.Subscribed(id=known, active=active, why="" if active else "Zendesk has switched it off")


async def _remove(api: Api, known: str, where: Mapping[str, str]) -> None:
    await api.delete(_ONE, known)


zendesk.subscription = events.Subscription(create=_create, check=_check, remove=_remove)
