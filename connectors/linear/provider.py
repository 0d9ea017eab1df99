"""The facts of Linear's GraphQL API: address, logins, budgets.

Sources: linear.app/developers (oauth-2-0-authentication, rate-limiting), @linear/sdk 98.0.0. A query costs 0.1 for a
property and 1 for an object, times the page size of the connection it stands in, and at most 10 000.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, ApiKey, Connector, From, Limit, RateLimitHeaders, schemes
from clew.connectors.webhooks.work import LINEAR

from .rules import ERRORS

HOUR = 3600
TYPICAL = 150.0
"""Complexity points of a query of ours, before its answer says what it took; a page of issues takes about this."""

linear = Connector(
    "linear",
    title="Linear",
    base_url="https://api.linear.app",
    auth=(
        # An API key is sent bare, an access token with Bearer.
        ApiKey(header="Authorization", help="Linear, Settings, Security & access, Personal API keys"),
        schemes.OAuth2(
            authorize_url="https://linear.app/oauth/authorize",
            token_url="https://api.linear.app/oauth/token",
            revoke_url="https://api.linear.app/oauth/revoke",
            scopes=("read",),
            scope_separator=",",
            # A short replay window is said to exist (memory); not relied on.
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_request|unauthorized_client"),
            ),
        ),
    ),
    # Leaky buckets that refill evenly. An API key has 2 500 requests and 3 000 000 points an hour, an OAuth app 5 000
    # and 2 000 000: the lower ones are declared, the headers tell the rest.
    rate_limits=(
        Limit(name="requests", amount=2500, per=HOUR, kind="bucket"),
        Limit(name="complexity", amount=2_000_000, per=HOUR, kind="bucket", cost=TYPICAL, spent="header:x-complexity"),
        *(
            RateLimitHeaders(
                limit=f"x-ratelimit-{kind}-limit",
                remaining=f"x-ratelimit-{kind}-remaining",
                reset=f"x-ratelimit-{kind}-reset",
                unit="epoch_ms",
                budget=kind,
            )
            for kind in ("requests", "complexity")
        ),
        # Single queries have windows of their own, and the header names them.
        RateLimitHeaders(
            limit="x-ratelimit-endpoint-requests-limit",
            remaining="x-ratelimit-endpoint-requests-remaining",
            reset="x-ratelimit-endpoint-requests-reset",
            unit="epoch_ms",
            bucket="x-ratelimit-endpoint-name",
        ),
    ),
    errors=ERRORS,
    webhooks=LINEAR,
    docs="https://linear.app/developers",
)

Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]
IssueId = Annotated[str, Field(min_length=1, max_length=60, description="ENG-123, or an id.")]

WRITE = "write|admin"


class Account(BaseModel):
    """Who the credentials belong to."""

    email: str
    workspace: Annotated[str, From("organization.urlKey")]


@linear.identity
async def account(api: Api) -> str:
    """The user, and the workspace."""
    query = "query Account { viewer { email organization { urlKey } } }"
    who = await api.graphql(query, into=Account, at="viewer")
    return f"{who.email} in {who.workspace}"
