"""HubSpot: facts of the CRM APIs. The machine code is `category`; `policyName` says which limit was met.

Sources: HubSpot public API spec collection 2026-08, @hubspot/api-client 13.5.0, airbyte-source-hubspot 5.7.0,
developers.hubspot.com (usage guidelines, changelog). "(memory)" marks what was not read again.
"""

from clew import Bearer, Connector, CursorPages, ErrorMap, Limit, RateLimitHeaders, Response, Rule, Verdict, schemes

from .webhooks.work import HUBSPOT


def classify(response: Response) -> Verdict | None:
    """A missing right is named in the context of the first error; the names are the provider's, so they are checked."""
    if response.status != 403 or response.field("category") != "MISSING_SCOPES":
        return None
    named = response.field("errors[0].context.requiredGranularScopes[0]") or ""
    known = named.replace(".", "").replace("-", "").replace("_", "").isalnum() and len(named) <= 80
    step = f"Ask the person to connect {response.method and 'HubSpot'} again with the scope {named}." if known else None
    return Verdict("permission", next_step=step)


ERRORS = ErrorMap(
    message=("message", "errors[0].message", "error_description", "error"),
    provider_code=(
        "subCategory",
        "errors[*].code",
        "category",
        "errorType",
        "errors[*].subCategory",
        "errors[*].category",
        "status",
        "error",
    ),
    request_id=("x-hubspot-correlation-id", "x-request-id"),
    buckets=("policyName",),
    hook=classify,
    rules=(
        Rule(code="quota_exhausted", body={"policyName": "DAILY"}),
        Rule(code="rate_limited", status=429, body={"policyName": "SECONDLY"}, retry_after=1),
        Rule(code="rate_limited", status=429, retry_after=10),
        Rule(code="auth_expired", codes="EXPIRED_AUTHENTICATION"),
        Rule(code="auth_revoked", codes="INVALID_AUTHENTICATION BAD_REFRESH_TOKEN"),
        Rule(code="permission", codes="MISSING_SCOPES BANNED ACCOUNT_SUSPENDED FORBIDDEN"),
        Rule(code="permission", status=530),
        Rule(code="not_found", codes="OBJECT_NOT_FOUND RESOURCE_NOT_FOUND"),
        Rule(code="contract_changed", status=404, headers={"content-type": "text/html.*"}),
        Rule(code="contract_changed", status=410),
        Rule(code="contract_changed", status=400, codes="PROPERTY_DOESNT_EXIST"),
        Rule(code="contract_changed", status=400, text="PROPERTY_DOESNT_EXIST|Property \\S+ does not exist"),
        Rule(
            code="already_done",
            status=409,
            codes="OBJECT_ALREADY_EXISTS",
            next_step="Read the existing object; the provider's message holds its id.",
        ),
        Rule(
            code="already_done",
            status=409,
            text="already exists|Existing ID",
            next_step="Read the existing object; the provider's message holds its id.",
        ),
        Rule(code="conflict", status=409),
        Rule(code="conflict", status=423, retry_after=2),
        Rule(
            code="invalid_input",
            status=(400, 413, 414, 422, 431),
            codes="VALIDATION_ERROR INVALID_OPTION INVALID_EMAIL INVALID_PARAMS",
        ),
        Rule(code="invalid_input", status=(413, 414, 431)),
        # The account moves to another data centre; hours (memory).
        Rule(code="provider_down", status=477),
        Rule(code="provider_down", status=(521, 522, 523, 524, 525, 526)),
        # Processing limits: a few seconds.
        Rule(code="transient", status=(502, 504), retry_after=5),
    ),
)

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
    # searches 5 a second, and their answers carry no headers.
    rate_limits=(
        Limit(name="burst", amount=100, per=10),
        Limit(name="search", amount=5, per=1, methods=("POST",), paths=("/crm/v3/objects/{}/search",)),
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
