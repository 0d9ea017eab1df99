"""Jira's webhooks: what they say, and how to ask for them.

These are the webhooks of a site's administration: with a secret of ours, without an end, and only for an
administrator's API token. Those that an app makes after a login are signed in another way and end after 30 days.
Deliveries are repeated up to five times within the hour. developer.atlassian.com/cloud/jira/platform/webhooks; the
shape of the answers: (memory).
"""

import re
from collections.abc import Mapping
from typing import Any

from clew import Api, errors, events

from .provider import jira

_HOOKS, _HOOK = "/rest/webhooks/1.0/webhook", "/rest/webhooks/1.0/webhook/{}"
_USUAL = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created")

jira.events = events.Events(
    type="webhookEvent",
    reference=("issue.key", "project.key", "version.id", "sprint.id"),
    order="issue.id",
    occurred="timestamp",
)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    jql = wish.where.get("jql", "")
    body = {
        "name": "clew",
        "url": wish.url,
        "events": list(wish.types) or list(_USUAL),
        "filters": {"issue-related-events-section": jql},
        "excludeBody": False,
        "secret": wish.secret.reveal(),
    }
    made: dict[str, Any] = await api.post(_HOOKS, json=body)
    found = re.search(r"/webhook/(\d{1,19})$", str(made.get("self") or ""))
    if found is None:
        raise errors.ContractChangedError(
            "jira made a webhook and did not say under which id.", outcome=errors.Outcome.APPLIED
        )
    return events.Subscribed(id=found[1])


async def _check(api: Api, hook: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found: dict[str, Any] = await api.get(_HOOK, hook)
    except errors.NotFoundError:
        return None
    active = found.get("enabled") is not False
    return events.Subscribed(id=hook, active=active, why="" if active else "it is switched off")


async def _remove(api: Api, hook: str, where: Mapping[str, str]) -> None:
    await api.delete(_HOOK, hook)


jira.subscription = events.Subscription(
    create=_create, check=_check, remove=_remove, where={"jql": "which issues, as JQL: project = ABC"}
)
