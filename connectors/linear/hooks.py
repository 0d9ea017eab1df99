"""Linear's webhooks: what they say, and how to ask for them. That needs an administrator's key or the scope `admin`.

A delivery is repeated after 1 minute, 1 hour and 6 hours; then Linear may switch the webhook off.
Sources: linear.app/developers/webhooks, @linear/sdk 98.0.0.
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, errors, events

from .names import team_id
from .provider import linear

_USUAL = ("Issue", "Comment", "Project")

linear.events = events.Events(
    type="type",
    action="action",
    reference=("data.identifier", "data.id"),
    # The id of what we make is our key: by it a write is found whose answer was lost.
    marker="data.id",
    occurred="webhookTimestamp",
    object="data",
)

_CREATE = "mutation CreateWebhook($input: WebhookCreateInput!) { webhookCreate(input: $input) { webhook { id } } }"
_READ = "query Webhook($id: String!) { webhook(id: $id) { id enabled } }"
_REMOVE = "mutation DeleteWebhook($id: String!) { webhookDelete(id: $id) { success } }"


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    team = wish.where.get("team", "")
    if not team:
        raise errors.ConfigurationError("team must be the key of a team, or all.")
    where = {"allPublicTeams": True} if team == "all" else {"teamId": await team_id(api, team)}
    types = list(wish.types) or list(_USUAL)
    given = {"url": wish.url, "resourceTypes": types, "secret": wish.secret.reveal(), "label": "clew", **where}
    made = await api.graphql(_CREATE, into=dict[str, Any], at="webhookCreate.webhook", variables={"input": given})
    return events.Subscribed(id=str(made["id"]))


async def _check(api: Api, hook_id: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        hook = await api.graphql(_READ, into=dict[str, Any], at="webhook", variables={"id": hook_id})
    except errors.NotFoundError:
        return None
    active = hook.get("enabled") is not False
    return events.Subscribed(id=hook_id, active=active, why="" if active else "Linear has disabled the webhook")


async def _remove(api: Api, hook_id: str, where: Mapping[str, str]) -> None:
    await api.graphql(_REMOVE, into=bool, at="webhookDelete.success", variables={"id": hook_id})


linear.subscription = events.Subscription(
    create=_create, check=_check, remove=_remove, where={"team": "key of the team, or all for all public teams"}
)
