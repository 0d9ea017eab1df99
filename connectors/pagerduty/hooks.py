"""PagerDuty's webhooks (v3): what they say, and how to ask for them.

Repeated for up to 48 h; nothing is signed that tells the time, so deliveries are told apart by `event.id`.
PagerDuty/developer-docs, webhooks `02-Behavior`, `04-Signatures`; api-reference (webhook subscriptions) (memory).
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, Secret, errors, events

from .provider import pagerduty

_ALL, _ONE = "/webhook_subscriptions", "/webhook_subscriptions/{}"
_USUAL = (
    "incident.triggered", "incident.acknowledged", "incident.unacknowledged", "incident.escalated",
    "incident.reassigned", "incident.delegated", "incident.reopened", "incident.resolved", "incident.annotated",
)  # fmt: skip

pagerduty.events = events.Events(
    type="event.event_type", id="event.id", reference="event.data.id", occurred="event.occurred_at"
)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    subscription = {
        "type": "webhook_subscription",
        "delivery_method": {"type": "http_delivery_method", "url": wish.url},
        "description": "clew",
        "events": list(wish.types) or list(_USUAL),
        "filter": {"type": "account_reference"},
    }
    made: dict[str, Any] = await api.post(_ALL, json={"webhook_subscription": subscription}, at="webhook_subscription")
    return events.Subscribed(id=str(made["id"]), secret=Secret(str(made["delivery_method"]["secret"])))


async def _check(api: Api, known: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found: dict[str, Any] = await api.get(_ONE, known, at="webhook_subscription")
    except errors.NotFoundError:
        return None
    method: dict[str, Any] = found.get("delivery_method") or {}
    active = found.get("active") is not False and method.get("temporarily_disabled") is not True
    return events.Subscribed(id=known, active=active, why="" if active else "PagerDuty has disabled it")


async def _remove(api: Api, known: str, where: Mapping[str, str]) -> None:
    await api.delete(_ONE, known)


pagerduty.subscription = events.Subscription(create=_create, check=_check, remove=_remove)
