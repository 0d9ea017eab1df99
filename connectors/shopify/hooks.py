"""Shopify's webhooks: what they say, and how to ask for them.

A subscription made here is removed by Shopify after 8 failures in 4 hours (memory). The body is the resource as REST
has it; the topic stands in a header, and the delivery's own id there tells repetitions apart.
https://shopify.dev/docs/apps/build/webhooks, https://shopify.dev/docs/api/admin-graphql (webhookSubscriptionCreate)
"""

import re
from collections.abc import Mapping
from typing import Any

from clew import Api, errors, events

from .provider import shopify

_USUAL = ("orders/create", "orders/cancelled", "orders/paid", "refunds/create", "app/uninstalled")

shopify.events = events.Events(
    reference=("admin_graphql_api_id", "id"),
    occurred="updated_at",
    # An order that is cancelled is what cancel_order waits for; `succeeded` is the word for a wish that came true.
    states={"orders/cancelled": "succeeded"},
)

_CREATE = """
mutation Subscribe($topic: WebhookSubscriptionTopic!, $wanted: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $wanted) {
    webhookSubscription { id } userErrors { field message }
  }
}"""
_READ = "query Subscription($id: ID!) { webhookSubscription(id: $id) { id uri } }"
_REMOVE = """
mutation Unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}"""


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    """One subscription for each topic; their ids stand together in one."""
    made: list[str] = []
    for topic in wish.types or _USUAL:
        if re.fullmatch(r"[a-z_]+/[a-z_]+", topic) is None:
            raise errors.ConfigurationError(f"{topic} is no topic: write orders/create.")
        given = {"topic": topic.upper().replace("/", "_"), "wanted": {"uri": wish.url, "format": "JSON"}}
        at = "webhookSubscriptionCreate.webhookSubscription"
        found = await api.graphql(_CREATE, into=dict[str, Any], at=at, variables=given)
        made.append(str(found["id"]).rpartition("/")[2])
    return events.Subscribed(id=",".join(made))


def _ids(known: str) -> list[str]:
    return [f"gid://shopify/WebhookSubscription/{each}" for each in known.split(",")]


async def _check(api: Api, known: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        for each in _ids(known):
            await api.graphql(_READ, into=dict[str, Any], at="webhookSubscription", variables={"id": each})
    except errors.NotFoundError:
        return None
    return events.Subscribed(id=known)


async def _remove(api: Api, known: str, where: Mapping[str, str]) -> None:
    for each in _ids(known):
        try:
            await api.graphql(_REMOVE, into=dict[str, Any], at="webhookSubscriptionDelete", variables={"id": each})
        except errors.NotFoundError:
            continue


shopify.subscription = events.Subscription(create=_create, check=_check, remove=_remove)
