"""The facts of Slack's Web API: address, logins, paging, and what all its tools share.

Sources: docs.slack.dev/apis/web-api (rate-limits, pagination, using-token-rotation, using-pkce), slack_sdk 3.47.0 for
rotation. Every method takes POST with a form; there queries and texts stay out of addresses, and so out of logs.

Budgets are per method, workspace and app, and never told in headers, only by a 429 with `Retry-After`: search.messages,
conversations.list and users.list allow 20 calls a minute, chat.update, chat.delete and reactions.add 50, users.info and
the methods for files 100, chat.postMessage about one a second in a channel. conversations.history and
conversations.replies allow 50 a minute, but commercially distributed apps outside the Marketplace 1 a minute with at
most 15 messages: so no page here is longer than that. Which kind an app is cannot be seen; budgets begin with 50, and
refusals teach the rest. The budget of a channel is not declared: the channel stands in the form, not in the path.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from clew import Api, Bearer, Connector, CursorPages, From, Limit, errors, schemes
from clew.connectors.webhooks.messages import SLACK

from .rules import ERRORS

TIERS: Mapping[int, tuple[str, ...]] = {
    20: ("search.messages", "conversations.list", "users.list"),
    50: ("conversations.history", "conversations.replies", "chat.update", "chat.delete", "reactions.add"),
    100: ("users.info", "files.getUploadURLExternal", "files.completeUploadExternal"),
}
"""Calls a minute, by the lowest number of each tier: https://docs.slack.dev/apis/web-api/rate-limits"""

slack = Connector(
    "slack",
    title="Slack",
    base_url="https://slack.com/api",
    auth=(
        # Without token rotation tokens have no end and no refresh token.
        schemes.OAuth2(
            authorize_url="https://slack.com/oauth/v2/authorize",
            token_url="https://slack.com/api/oauth.v2.access",
            client_auth="basic",
            pkce="off",
            scopes=(
                "channels:read", "channels:history", "groups:read", "groups:history", "im:read", "im:history",
                "mpim:read", "mpim:history", "users:read", "users:read.email", "chat:write", "reactions:write",
                "files:write",
            ),
            scope_separator=",",
            # An app that asks for user scopes only gets no token at the top.
            answer=schemes.TokenAnswer(
                access_token=("access_token", "authed_user.access_token"),
                refresh_token=("refresh_token", "authed_user.refresh_token"),
                expires=("expires_in", "authed_user.expires_in"),
                scope=("scope", "authed_user.scope"),
                keep={"team": "team.id", "enterprise": "enterprise.id", "bot_user": "bot_user_id"},
            ),
            refresh_class="C",
            early_seconds=7200.0,
            token_errors=(
                schemes.TokenRule(
                    "dead",
                    code="invalid_refresh_token|token_expired|token_revoked|account_inactive|invalid_grant|invalid_auth",
                ),
                schemes.TokenRule(
                    "outage",
                    code="ratelimited|rate_limited|fatal_error|internal_error|service_unavailable|request_timeout",
                ),
                schemes.TokenRule(
                    "misconfigured",
                    code="invalid_client_id|bad_client_secret|bad_redirect_uri|oauth_authorization_url_mismatch",
                ),
            ),
        ),
        Bearer(help="https://api.slack.com/apps (OAuth & Permissions: xoxb-…, or xoxp-… to search as a person)"),
    ),
    pages=CursorPages(cursor="response_metadata.next_cursor", items="messages"),
    rate_limits=tuple(
        Limit(name=method, amount=calls, per=60, paths=(f"/{method}",))
        for calls, methods in TIERS.items()
        for method in methods
    ),
    errors=ERRORS,
    webhooks=SLACK,
    docs="https://docs.slack.dev/apis/web-api",
)  # fmt: skip

Form = dict[str, str | int | bool | None]
Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]
Channel = Annotated[str, Field(min_length=1, max_length=100, description="Channel id: C…, G… or D….")]
TS = r"^\d{1,11}\.\d{1,9}$"
Ts = Annotated[str, Field(pattern=TS, description="The message's ts, unchanged.")]


def or_none(value: Any) -> Any:
    """`None` for what is empty or false: Slack sends empty texts where it has nothing to say."""
    return value or None


Nonempty = BeforeValidator(or_none)
Following = Annotated[str | None, From("response_metadata.next_cursor"), Nonempty]
"""The cursor of the next page; Slack sends an empty one, or none, with the last page."""


def advancing(following: str | None, cursor: str | None) -> str | None:
    """The next page's cursor. Raises `ContractChangedError` when it is the one that was just used."""
    if following is not None and following == cursor:
        raise errors.ContractChangedError("slack's next page is the same page again; stopped.")
    return following


def iso_of(ts: str) -> str:
    """The time in a message's `ts`, in UTC to the second."""
    return f"{datetime.fromtimestamp(float(ts), UTC):%Y-%m-%dT%H:%M:%SZ}"


def cut(text: str, limit: int) -> str:
    """`text`, at most `limit` characters of it."""
    return text if len(text) <= limit else text[:limit] + "…"


def objects_of(value: Any) -> Sequence[Mapping[str, Any]]:
    """The JSON objects in a list; nothing for whatever else came."""
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", each) for each in found if isinstance(each, dict)]


@slack.identity
async def account(api: Api) -> str:
    """The user or bot, and its workspace."""
    who = await api.post("/auth.test", safe=True, into=dict[str, Any])
    return f"{who.get('user')} in {who.get('team')}"
