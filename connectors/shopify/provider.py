"""The facts of Shopify's Admin API: address, logins, points, version.

Sources: @shopify/shopify-api 13.1.0, shopify.dev (offline access tokens, rate limits, versioning), the Admin schema of
2026-07 in @shopify/dev-mcp 1.16.0. "(memory)" marks what was not read again.
"""

import re
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, Bearer, Connector, From, Limit, RateLimitHeaders, Version, errors, once, schemes
from clew.connectors.webhooks.money import SHOPIFY

from .rules import ERRORS

VERSION = "2026-07"
SHOP = {
    "shop": schemes.Variable(
        pattern=r"(?:https://)?([a-z0-9][a-z0-9-]{0,80})(?:\.myshopify\.com)?/?", help="NAME.myshopify.com"
    )
}
TYPICAL = 40.0
"""Points of a query of ours, before its answer says what it took."""
STATUS = "extensions.cost.throttleStatus."

shopify = Connector(
    "shopify",
    title="Shopify",
    base_url=f"https://{{shop}}.myshopify.com/admin/api/{VERSION}",
    graphql="/graphql.json",
    # It stands in the path. A version is served for a year, then calls fall forward to the oldest that is.
    version=Version(VERSION, announced=("x-shopify-api-deprecated-reason",)),
    auth=(
        Bearer(
            prefix="",
            header="X-Shopify-Access-Token",
            variables=SHOP,
            help="the shop's admin, Settings, Apps, Develop apps",
        ),
        schemes.OAuth2(
            authorize_url="https://{shop}.myshopify.com/admin/oauth/authorize",
            token_url="https://{shop}.myshopify.com/admin/oauth/access_token",
            variables=SHOP,
            scope_separator=",",
            pkce="off",
            prefix="",
            header="X-Shopify-Access-Token",
            code_parameters={"expiring": "1"},
            # The old one stays good until the new one is first used, at most 30 days.
            refresh_class="D",
            grace_seconds=30 * 86_400.0,
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant|invalid_refresh_token|invalid_subject_token"),
                schemes.TokenRule("misconfigured", code="invalid_client|application_cannot_be_found|invalid_request"),
            ),
        ),
    ),
    # A leaky bucket per app and shop: 100 points a second on the smallest plan, 20 seconds' worth of them at once
    # (memory). Answers say how big it really is, how full, and how fast it fills.
    rate_limits=(
        Limit(
            name="points",
            amount=2000,
            per=20,
            kind="bucket",
            cost=TYPICAL,
            spent="extensions.cost.actualQueryCost",
        ),
        RateLimitHeaders(
            body=True,
            limit=f"{STATUS}maximumAvailable",
            remaining=f"{STATUS}currentlyAvailable",
            restore=f"{STATUS}restoreRate",
            budget="points",
        ),
    ),
    errors=ERRORS,
    webhooks=SHOPIFY,
    docs="https://shopify.dev/docs/api/admin-graphql",
)

# `@idempotent(key:)` on the field; needed for refunds and stock since 2026-04, kept for a day, parameters compared.
# https://shopify.dev/docs/api/usage/idempotent-requests
KEY = once.ProviderKey(field="key")

Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$", description='Decimal text: "12.50".')]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO code, such as USD.")]
OrderId = Annotated[str, Field(max_length=80, description="id of search_orders.")]


def gid(kind: str, given: str, name: str) -> str:
    """An id as Shopify writes it, of a number too. Raises `InvalidInputError` for one of another kind."""
    match = re.fullmatch(r"(?:gid://shopify/([A-Za-z]+)/)?([0-9]{1,20})", given.strip())
    if match is None or (match[1] or kind) != kind:
        why = f"is no id of a {kind}: write gid://shopify/{kind}/123"
        raise errors.InvalidInputError(f"{name} {why}.", fields={name: why})
    return f"gid://shopify/{kind}/{match[2]}"


def _amount(value: Any) -> Any:
    """`{amount, currencyCode}` as `12.50 EUR`; anything else as it is, for pydantic to refuse."""
    if not isinstance(value, dict):
        return value
    money = cast("dict[str, Any]", value)
    if not isinstance(money.get("amount"), str):
        return money
    return f"{money['amount']} {money.get('currencyCode', '')}".strip()


Money = Annotated[str, BeforeValidator(_amount)]
MaybeMoney = Annotated[str | None, BeforeValidator(_amount)]
MONEY = "presentmentMoney { amount currencyCode }"


def cut(limit: int) -> BeforeValidator:
    """Cut a text to `limit` characters; an empty one is none."""

    def shorten(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        return (text if len(text) <= limit else text[:limit] + "…") or None

    return BeforeValidator(shorten)


class Shop(BaseModel):
    """Whose credentials these are."""

    name: str
    domain: Annotated[str, From("myshopifyDomain")]


@shopify.identity
async def shop(api: Api) -> str:
    """The shop."""
    found = await api.graphql("query Shop { shop { name myshopifyDomain } }", into=Shop, at="shop")
    return f"{found.name} ({found.domain})"
