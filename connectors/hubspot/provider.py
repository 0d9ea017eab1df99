"""The facts of HubSpot's CRM APIs: address, version, logins, limits.

Sources: HubSpot public API spec collection 2026-08, @hubspot/api-client 13.5.0, developers.hubspot.com (usage
guidelines, "Migrate to date-based versions", "Search the CRM", changelog "CRM API write validation enforcement").

The version is a date in every path; each is kept for at least 18 months. From 2026-09 on the rules that an account's
administrators set for required properties hold for the API too: such a write ends as `invalid_input` with the name.
"""

from typing import Any

from clew import Api, Bearer, Connector, CursorPages, Limit, RateLimitHeaders, schemes
from clew.connectors.webhooks.work import HUBSPOT

from .rules import ERRORS

hubspot = Connector(
    "hubspot",
    title="HubSpot",
    base_url="https://api.hubapi.com",
    auth=(
        Bearer(help="HubSpot, Settings, Integrations, Private apps"),
        # A 401 is no reason to refresh by itself, expires_in is. The refresh token stays the same (class B).
        schemes.OAuth2(
            authorize_url="https://app.hubspot.com/oauth/authorize",
            token_url="https://api.hubapi.com/oauth/2026-03/token",
            revoke_url="https://api.hubapi.com/oauth/2026-03/token/revoke",
            scopes=("oauth",),
            pkce="off",
            refresh_class="B",
            token_errors=(
                schemes.TokenRule("dead", code="BAD_REFRESH_TOKEN|invalid_grant|MISSING_REFRESH_TOKEN"),
                schemes.TokenRule("dead", text="missing or invalid refresh token"),
                schemes.TokenRule(
                    "misconfigured",
                    code="BAD_CLIENT_ID|BAD_CLIENT_SECRET|invalid_client|BAD_REDIRECT_URI|BAD_GRANT_TYPE",
                ),
                schemes.TokenRule("outage", code="RATE_LIMITS?|INTERNAL_ERROR"),
            ),
        ),
    ),
    pages=CursorPages(items="results", cursor="paging.next.after", parameter="after"),
    # https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines: the smallest plan's 100 in 10 s;
    # searches 5 a second for all of an account, and their answers carry no headers.
    rate_limits=(
        Limit(name="burst", amount=100, per=10),
        Limit(name="search", amount=5, per=1, methods=("POST",), paths=("/crm/objects/2026-09/{}/search",)),
        RateLimitHeaders(
            limit="x-hubspot-ratelimit-max",
            remaining="x-hubspot-ratelimit-remaining",
            window="x-hubspot-ratelimit-interval-milliseconds",
            window_unit="ms",
            budget="burst",
        ),
    ),
    errors=ERRORS,
    webhooks=HUBSPOT,
    docs="https://developers.hubspot.com/docs/api-reference",
)

CONTACTS_READ, CONTACTS_WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
COMPANIES_READ = "crm.objects.companies.read"
DEALS_READ, DEALS_WRITE = "crm.objects.deals.read", "crm.objects.deals.write"


@hubspot.identity
async def account(api: Api) -> str:
    """The account (portal) that the login belongs to. https://developers.hubspot.com/docs/api-reference (account)"""
    found: dict[str, Any] = await api.get("/account-info/2026-09/details")
    return f"portal {found.get('portalId')} at {found.get('uiDomain')}"
