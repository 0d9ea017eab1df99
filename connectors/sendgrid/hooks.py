"""SendGrid's event webhook: what it says of a message, and how to ask for it.

A message's events name it by an id that begins with the `X-Message-Id` of its acceptance, and repeat its custom
arguments, of which ours is one. They are repeated for 24 hours and signed once the signature is switched on.
docs.sendgrid.com (event webhook reference; webhooks API for several webhooks, 2023): (memory).
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, Secret, errors, events

from .provider import MARK, MESSAGE, STATES, sendgrid

_SETTINGS = "/user/webhooks/event/settings"
_ONE, _SIGNED = "/user/webhooks/event/settings/{}", "/user/webhooks/event/settings/signed/{}"
_SWITCHES = (
    "bounce", "deferred", "delivered", "dropped", "processed", "spam_report", "unsubscribe", "group_unsubscribe",
)  # fmt: skip

sendgrid.events = events.Events(
    type="event",
    id="sg_event_id",
    reference="sg_message_id",
    reference_pattern=MESSAGE,
    marker=MARK,
    recipient="email",
    occurred="timestamp",
    states={name: state.value for name, state in STATES.items()},
)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    wanted = tuple(wish.types) or _SWITCHES
    unknown = [each for each in wanted if each not in (*_SWITCHES, "open", "click", "group_resubscribe")]
    if unknown:
        raise errors.ConfigurationError(
            f"sendgrid has no events {unknown[0]}; use {', '.join(_SWITCHES)}, open, click."
        )
    switched = dict.fromkeys(wanted, True)
    body = {"enabled": True, "url": wish.url, "friendly_name": "clew", **switched}
    made: dict[str, Any] = await api.post(_SETTINGS, json=body)
    webhook = str(made["id"])
    # Unsigned until this: and then only what is signed with this key is taken.
    signed: dict[str, Any] = await api.patch(_SIGNED, webhook, json={"enabled": True})
    return events.Subscribed(id=webhook, secret=Secret(str(signed["public_key"])))


async def _check(api: Api, webhook: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found: dict[str, Any] = await api.get(_ONE, webhook)
    except errors.NotFoundError:
        return None
    active = found.get("enabled") is True
    return events.Subscribed(id=webhook, active=active, why="" if active else "it is switched off")


async def _remove(api: Api, webhook: str, where: Mapping[str, str]) -> None:
    await api.delete(_ONE, webhook)


sendgrid.subscription = events.Subscription(create=_create, check=_check, remove=_remove)
