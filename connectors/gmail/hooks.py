"""Gmail's notifications: a watch on the mailbox, told through a Pub/Sub topic of the person's Google project.

The push subscription at Pub/Sub (topic, our address, the service account that signs) is made by a person in the
project; Gmail is told the topic. A notification says that something has changed and a history id, in base64 in
`message.data`: list_changes says what. https://developers.google.com/workspace/gmail/api/guides/push
"""

import re
from collections.abc import Mapping
from typing import Any

from clew import Api, Secret, errors, events

from .provider import gmail

gmail.events = events.Events(
    id="message.messageId", reference="subscription", occurred="message.publishTime", order="subscription"
)


async def _watch(api: Api, where: Mapping[str, str]) -> events.Subscribed:
    topic = where.get("topic", "")
    if not re.fullmatch(r"projects/[a-z0-9:.-]{4,60}/topics/[A-Za-z0-9._~+%-]{3,255}", topic):
        raise errors.ConfigurationError("topic must be projects/PROJECT/topics/NAME.")
    account = where.get("service_account", "")
    if not re.fullmatch(r"[^\s@]{1,100}@[A-Za-z0-9.-]{1,200}", account):
        raise errors.ConfigurationError("service_account must be the address that signs the pushes.")
    body: dict[str, Any] = {"topicName": topic}
    if labels := [each.strip() for each in where.get("labels", "").split(",") if each.strip()]:
        body |= {"labelIds": labels, "labelFilterBehavior": "include"}
    made: dict[str, Any] = await api.post("/gmail/v1/users/me/watch", json=body)
    return events.Subscribed(id=topic, ends_at=int(made["expiration"]) / 1000)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    made = await _watch(api, wish.where)
    return events.Subscribed(id=made.id, ends_at=made.ends_at, secret=Secret(wish.where["service_account"]))


async def _check(api: Api, topic: str, where: Mapping[str, str]) -> events.Subscribed | None:
    """Gmail shows no watch. Asking for it anew changes nothing but its end, which is a week later then."""
    return await _watch(api, where)


async def _remove(api: Api, topic: str, where: Mapping[str, str]) -> None:
    await api.post("/gmail/v1/users/me/stop")


gmail.subscription = events.Subscription(
    create=_create,
    check=_check,
    remove=_remove,
    where={
        "topic": "projects/PROJECT/topics/NAME; gmail-api-push@system.gserviceaccount.com must be its publisher",
        "service_account": "the address of the account with which the push subscription signs",
        "labels": "optional: ids of labels, with commas; without it the whole mailbox",
    },
)
