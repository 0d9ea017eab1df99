"""The facts of Stripe's API v1: address, version, logins, limits, and what all its tools share.

Sources: https://docs.stripe.com/api (versioning, pagination), https://docs.stripe.com/rate-limits,
https://docs.stripe.com/connect/oauth-reference, stripe-python 16.1.0. Bodies are forms, nested in brackets.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from clew import Api, Bearer, Connector, CursorPages, Limit, Version, errors, once, schemes
from clew.connectors.webhooks.money import STRIPE

from .rules import ERRORS

VERSION = "2026-10-28.endive"

stripe = Connector(
    "stripe",
    title="Stripe",
    base_url="https://api.stripe.com",
    # Without the header an account speaks the version of its first day for ever.
    version=Version(VERSION, header="Stripe-Version"),
    auth=(
        Bearer(help="https://dashboard.stripe.com/apikeys (a restricted key, rk_…, is enough)"),
        # Connect: the token never ends (class A); client_secret is the platform's secret key.
        schemes.OAuth2(
            authorize_url="https://connect.stripe.com/oauth/authorize",
            token_url="https://connect.stripe.com/oauth/token",
            scopes=("read_write",),
            pkce="off",
            refresh_class="A",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule(
                    "misconfigured",
                    code="invalid_client|invalid_scope|invalid_request|unsupported_grant_type|invalid_redirect_uri",
                ),
                schemes.TokenRule("outage", code="rate_limit|api_error|temporarily_unavailable"),
            ),
        ),
    ),
    # The search alone has page tokens; lists go by the last id, see `following`.
    pages=CursorPages(cursor="next_page", parameter="page", items="data", size=20),
    # https://docs.stripe.com/rate-limits: an account may send 100 requests a second in live mode and 25 in a sandbox,
    # and 25 to any one operation in both. The key alone tells the mode, and budgets never see keys: 25 holds for all.
    # The number of requests at once is not published; 20 of them are 25 a second at 0.8 s each.
    rate_limits=(
        Limit(amount=25, per=1, name="account"),
        Limit(amount=20, per=1, name="search", paths=("/v1/customers/search",)),
        Limit(amount=20, kind="concurrency", name="at once"),
    ),
    webhooks=STRIPE,
    errors=ERRORS,
    docs="https://docs.stripe.com/api",
)

KEY = once.ProviderKey(
    header="Idempotency-Key",
    ttl=24 * 3600.0,
    replayed="Idempotent-Replayed",
    doubtful=("idempotency_key_in_use", "idempotency_error"),
)
"""Stripe keeps the answer to a POST under its key for at least 24 hours, also a 500, and gives it again.

https://docs.stripe.com/api/idempotent_requests. What it refused before it began (validation, 409, 429) is not kept.
"""

SIZE = 20
"""Lines on a page: they stay below 10 kB."""


def known(prefix: str, what: str) -> Any:
    """The schema of an id: Stripe tells its objects apart by what their ids begin with."""
    return Field(pattern=f"^(?:{prefix})_[A-Za-z0-9_]{{1,250}}$", description=what)


CustomerId = Annotated[str, known("cus", "Customer id: cus_….")]
InvoiceId = Annotated[str, known("in", "Invoice id: in_….")]
SubscriptionId = Annotated[str, known("sub", "Subscription id: sub_….")]
PaymentId = Annotated[str, known("pi|ch|py", "Payment (pi_…) or charge (ch_…).")]
Cursor = Annotated[str | None, Field(pattern="^[A-Za-z0-9_]{1,255}$", description="next_cursor of the previous page.")]


def _iso(value: Any) -> Any:
    """Epoch seconds as a time in UTC; whatever else came stays, for the type to refuse."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}" if whole else value


Moment = Annotated[str, BeforeValidator(_iso)]
"""A time that Stripe sends in epoch seconds."""


def _said(value: Any) -> Any:
    """Nothing for what is empty or false: it says nothing."""
    return value or None


def _short(value: Any) -> Any:
    """The beginning of a text, for lists."""
    return value[:99] + "…" if isinstance(value, str) and len(value) > 100 else value or None


Text = Annotated[str | None, BeforeValidator(_said)]
Short = Annotated[str | None, BeforeValidator(_short)]
Flag = Annotated[bool | None, BeforeValidator(_said)]


def following(last: str | None, has_more: bool, cursor: str | None) -> str | None:
    """The cursor of the next page: the id of the last object of this one.

    Raises `ContractChangedError` when it leads to the same page again.
    """
    if not has_more:
        return None
    if last is None or last == cursor:
        raise errors.ContractChangedError("stripe says that there is more, and its page does not lead on; stopped.")
    return last


@stripe.identity
async def account(api: Api) -> str:
    """The account's id."""
    return str(await api.get("/v1/account", at="id"))
