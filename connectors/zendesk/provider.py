"""The facts of Zendesk Support: the address of each account, logins whose tokens are rotated, and limits.

Sources: developer.zendesk.com (rate limits, refresh-token, pagination, incremental exports), support.zendesk.com
articles 9182123625370 and 4408834530458. "(memory)" marks what was not read again.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, Basic, Bearer, Connector, CursorPages, Limit, NumberPages, RateLimitHeaders, errors, schemes
from clew.connectors.webhooks.work import ZENDESK

from .rules import ERRORS

TICKETS_READ, TICKETS_WRITE = "tickets:read|read", "tickets:write|write"
USERS_READ = "users:read|read"

_ACCOUNT = {
    "subdomain": schemes.Variable(
        pattern=r"(?:https://)?([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.zendesk\.com)?/?",
        help="the NAME of NAME.zendesk.com, also where people see an address of your own",
    )
}

zendesk = Connector(
    "zendesk",
    title="Zendesk",
    base_url="https://{subdomain}.zendesk.com/api/v2",
    auth=(
        Basic(
            suffix="/token",
            variables=_ACCOUNT,
            help="Admin Center, Apps and integrations, API tokens (user name is the e-mail address)",
        ),
        Bearer(variables=_ACCOUNT, help="an OAuth access token"),
        schemes.OAuth2(
            authorize_url="https://{subdomain}.zendesk.com/oauth/authorizations/new",
            token_url="https://{subdomain}.zendesk.com/oauth/tokens",
            variables=_ACCOUNT,
            # Each refresh ends both tokens before it at once.
            token_parameters={"expires_in": "1800", "refresh_token_expires_in": "7776000"},
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant|invalid_token"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_scope|invalid_request"),
            ),
        ),
    ),
    pages=CursorPages(
        items="tickets",
        cursor="meta.after_cursor",
        parameter="page[after]",
        more="meta.has_more",
        size=25,
        size_parameter="page[size]",
    ),
    # https://developer.zendesk.com/api-reference/introduction/rate-limits: the smallest plan's 200 a minute until
    # headers say more; exports 10 a minute; one ticket takes 30 changes in 10 minutes.
    rate_limits=(
        Limit(name="account", amount=200, per=60),
        Limit(name="exports", amount=10, per=60, paths=("/incremental/*",)),
        Limit(name="ticket", amount=30, per=600, methods=("PUT",), paths=("/tickets/{}",), each=0),
        RateLimitHeaders(
            limit="ratelimit-limit", remaining="ratelimit-remaining", reset="ratelimit-reset", budget="account"
        ),
    ),
    errors=ERRORS,
    webhooks=ZENDESK,
    docs="https://developer.zendesk.com/api-reference",
)

FOUND = NumberPages(items="results", size=20)
"""Searches know page numbers only, and no more than 1 000 results."""

Id = Annotated[int, Field(ge=1, le=10**18)]
Cursor = Annotated[str | None, Field(max_length=2000, description="next_cursor of the previous page.")]


class Me(BaseModel):
    """The user of a login; nobody, where Zendesk does not know the credentials and answers all the same."""

    id: int | None
    email: str | None = None
    name: str | None = None


@zendesk.identity
async def user(api: Api) -> str:
    """The address of the user. https://developer.zendesk.com/api-reference/ticketing/users (show self)"""
    me = await api.get("/users/me", at="user", into=Me)
    if me.id is None:
        raise errors.AuthRevokedError("zendesk takes this login for an anonymous visitor.")
    return me.email or me.name or str(me.id)
