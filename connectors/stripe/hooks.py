"""Stripe's events: what they say of a payment, and how to ask for them.

An endpoint keeps the API version it was made with, so its events have the shape that the tools return. Stripe repeats
deliveries for three days and switches an endpoint off that fails for longer, with a mail to the account.
https://docs.stripe.com/webhooks, https://docs.stripe.com/api/webhook_endpoints, https://docs.stripe.com/api/events/types
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, Secret, errors, events

from .provider import VERSION, stripe

_ENDPOINT = "/v1/webhook_endpoints/{}"
_STATES: Mapping[str, str] = {
    "payment_intent.requires_action": "requires_action",
    "payment_intent.succeeded": "succeeded",
    # Captured later, and money that is reserved already: the call has what it wanted.
    "payment_intent.amount_capturable_updated": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "cancelled",
    "refund.failed": "failed",
}
_USUAL = (*_STATES, "charge.dispute.created", "charge.refunded", "checkout.session.completed", "invoice.paid")

stripe.events = events.Events(
    type="type",
    id="id",
    reference="data.object.id",
    # An event repeats the key of the request that caused it: by it a write is found whose answer was lost.
    marker="request.idempotency_key",
    occurred="created",
    object="data.object",
    states=_STATES,
)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    types = list(wish.types) or list(_USUAL)
    form = {"url": wish.url, "enabled_events": types, "api_version": VERSION, "description": "clew"}
    made: dict[str, Any] = await api.post("/v1/webhook_endpoints", form=form)
    return events.Subscribed(id=str(made["id"]), secret=Secret(str(made["secret"])))


async def _check(api: Api, endpoint: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found: dict[str, Any] = await api.get(_ENDPOINT, endpoint)
    except errors.NotFoundError:
        return None
    active = found.get("status") == "enabled"
    return events.Subscribed(id=endpoint, active=active, why="" if active else "Stripe has disabled the endpoint")


async def _remove(api: Api, endpoint: str, where: Mapping[str, str]) -> None:
    await api.delete(_ENDPOINT, endpoint)


stripe.subscription = events.Subscription(create=_create, check=_check, remove=_remove)
