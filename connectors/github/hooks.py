"""GitHub's repository webhooks: what they say, and how to ask for them.

Deliveries are not repeated by GitHub; a person can repeat them for three days.
https://docs.github.com/rest/repos/webhooks
"""

from collections.abc import Mapping
from typing import Any

from clew import Api, errors, events

from .provider import github

_USUAL = ("issues", "issue_comment", "pull_request", "workflow_run")

github.events = events.Events(
    action="action",
    reference=("pull_request.html_url", "issue.html_url", "workflow_run.html_url", "repository.full_name"),
)


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    owner, name = _repository(wish.where)
    config = {"url": wish.url, "content_type": "json", "secret": wish.secret.reveal()}
    hook = {"name": "web", "active": True, "events": list(wish.types) or list(_USUAL), "config": config}
    made = await api.post("/repos/{}/{}/hooks", owner, name, json=hook)
    return events.Subscribed(id=str(made["id"]))


async def _check(api: Api, hook_id: str, where: Mapping[str, str]) -> events.Subscribed | None:
    owner, name = _repository(where)
    try:
        hook: dict[str, Any] = await api.get("/repos/{}/{}/hooks/{}", owner, name, hook_id)
    except errors.NotFoundError:
        return None
    last: dict[str, Any] = hook.get("last_response") or {}
    code = last.get("code")
    why = f"the last delivery was answered with {code}" if isinstance(code, int) and code >= 400 else ""
    return events.Subscribed(id=hook_id, active=hook.get("active") is not False, why=why)


async def _remove(api: Api, hook_id: str, where: Mapping[str, str]) -> None:
    owner, name = _repository(where)
    await api.delete("/repos/{}/{}/hooks/{}", owner, name, hook_id)


def _repository(where: Mapping[str, str]) -> tuple[str, str]:
    owner, _, name = where.get("repository", "").partition("/")
    if not owner or not name or "/" in name:
        raise errors.ConfigurationError("repository must be OWNER/NAME.")
    return owner, name


github.subscription = events.Subscription(
    create=_create, check=_check, remove=_remove, where={"repository": "OWNER/NAME of the repository"}
)
