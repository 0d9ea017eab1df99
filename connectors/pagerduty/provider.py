"""The facts of PagerDuty's REST v2: address, version, logins, limits.

Sources: PagerDuty/developer-docs (`04-Rate-Limits`, `06-OAuth-Functionality`, `09-Pagination`, `03-Versioning`),
pagerduty (python) 7.2.0. "(memory)" marks what was not read again. The Events API is left out: its key stands in the
body, where a tool's arguments would have to carry it; `create_incident` takes a key against duplicates as well.
"""

from typing import Annotated, Any

from pydantic import Field

from clew import Api, ApiKey, Connector, Limit, NumberPages, RateLimitHeaders, errors, schemes
from clew.connectors.webhooks.work import PAGERDUTY

from .rules import ERRORS

pagerduty = Connector(
    "pagerduty",
    title="PagerDuty",
    base_url="https://api.pagerduty.com",
    headers={"Accept": "application/vnd.pagerduty+json;version=2"},
    auth=(
        ApiKey(header="Authorization", prefix="Token token=", help="PagerDuty, My Profile, User Settings, API access"),
        schemes.OAuth2(
            authorize_url="https://identity.pagerduty.com/oauth/authorize",
            token_url="https://identity.pagerduty.com/oauth/token",
            scopes=("read", "write"),
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_request|unauthorized_client"),
            ),
        ),
    ),
    pages=NumberPages(
        parameter="offset", start=0, step="items", items="incidents", more="more", size_parameter="limit"
    ),
    # https://developer.pagerduty.com/docs/rest-api-rate-limits
    rate_limits=(
        Limit(name="requests", amount=960, per=60),
        RateLimitHeaders(
            limit="ratelimit-limit", remaining="ratelimit-remaining", reset="ratelimit-reset", budget="requests"
        ),
    ),
    errors=ERRORS,
    webhooks=PAGERDUTY,
    docs="https://developer.pagerduty.com/api-reference",
)

Id = Annotated[str, Field(pattern="^[A-Z0-9]{5,20}$", description="PagerDuty id: P… or Q….")]
Ids = Annotated[list[Id] | None, Field(max_length=20)]
Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]
From_ = Annotated[
    str | None, Field(max_length=320, description="E-mail of the user who acts; needed with an account's API key only.")
]


def pages(items: str, size: int = 20) -> NumberPages:
    """Offsets, at most 10 000 of them. https://developer.pagerduty.com/docs/pagination"""
    return NumberPages(
        parameter="offset", start=0, step="items", items=items, more="more", size=size, size_parameter="limit"
    )


@pagerduty.identity
async def account(api: Api) -> str:
    """The user of the login; an account's own API key belongs to nobody."""
    try:
        found: dict[str, Any] = await api.get("/users/me", at="user")
    except (errors.InvalidInputError, errors.NotFoundError):
        return "an account key"
    return str(found.get("email") or found.get("summary"))
