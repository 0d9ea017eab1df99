"""Zendesk Support: facts of the ticketing API. The machine code is the string `error`; 429 may be plain text.

Sources: developer.zendesk.com (rate limits, refresh-token), zendesk-java-client `IdempotencyUtil`, support.zendesk.com
articles 9182123625370 and 4408834530458. "(memory)" marks what was not read again.
"""

from clew import Basic, Bearer, Connector, CursorPages, ErrorMap, Limit, RateLimitHeaders, Reset, Rule, schemes

from .webhooks.work import ZENDESK

ERRORS = ErrorMap(
    message=("description", "error.message", "error.title", "errors[0].detail", "errors[0].title", "message", "error"),
    provider_code=("error", "errors[*].code", "error.title"),
    request_id=("x-zendesk-request-id", "x-request-id"),
    resets=(
        Reset(header="ratelimit-reset", unit="delta_s"),
        Reset(header="zendesk-ratelimit-tickets-index", pattern=r"resets=(\d+)"),
    ),
    rules=(
        Rule(code="rate_limited", status=429, retry_after=10),
        Rule(code="rate_limited", status=503, headers={"retry-after": ".+"}),
        Rule(code="auth_revoked", status=401, codes="unauthorized invalid_client"),
        Rule(code="auth_expired", status=401),
        Rule(
            code="permission",
            status=403,
            text="account (?:is )?suspended|trial (?:has )?expired",
            message="the {provider} account is suspended or its trial is over.",
        ),
        Rule(
            code="permission",
            status=403,
            text="missing the following required scopes",
            next_step="Ask the person to connect the account again with the missing scopes.",
        ),
        Rule(code="permission", status=403),
        Rule(code="not_found", status=404),
        Rule(code="conflict", status=400, codes="IdempotentRequestError"),
        Rule(code="conflict", status=409, codes="IdempotentRequestInProgress", retry_after=2),
        Rule(code="conflict", status=409),
        Rule(code="already_done", status=422, text='"error":\\s*"DuplicateValue"'),
        Rule(code="conflict", status=422, text="(?:ticket|status)s? .{0,40}closed|closed prevents ticket update"),
        Rule(
            code="invalid_input",
            status=400,
            codes="InvalidPaginationDepth",
            next_step="List with a cursor instead of page numbers.",
        ),
        Rule(code="invalid_input", status=422, codes="RecordInvalid"),
        Rule(code="contract_changed", status=410),
    ),
)

zendesk = Connector(
    "zendesk",
    title="Zendesk",
    # Every account has its own host: https://{subdomain}.zendesk.com, set by the operator.
    base_url="https://subdomain.zendesk.com/api/v2",
    auth=(
        Basic(
            suffix="/token", help="Admin Center, Apps and integrations, API tokens (user name is the e-mail address)"
        ),
        Bearer(help="an OAuth access token"),
        schemes.OAuth2(
            authorize_url="https://{subdomain}.zendesk.com/oauth/authorizations/new",
            token_url="https://{subdomain}.zendesk.com/oauth/tokens",
            variables={"subdomain": schemes.Variable(help="NAME.zendesk.com")},
            scopes=("read", "write"),
            token_parameters={"expires_in": "1800", "refresh_token_expires_in": "7776000"},
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant|invalid_token"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_scope|invalid_request"),
            ),
        ),
    ),
    pages=CursorPages(
        items="tickets", cursor="meta.after_cursor", parameter="page[after]", size_parameter="page[size]"
    ),
    # https://developer.zendesk.com/api-reference/introduction/rate-limits: the smallest plan's 200 a minute until
    # headers say more; one ticket takes 30 changes in 10 minutes.
    rate_limits=(
        Limit(name="account", amount=200, per=60),
        Limit(name="ticket", amount=30, per=600, methods=("PUT",), paths=("/tickets/{}",), each=0),
        RateLimitHeaders(
            limit="ratelimit-limit", remaining="ratelimit-remaining", reset="ratelimit-reset", budget="account"
        ),
    ),
    errors=ERRORS,
    webhooks=ZENDESK,
    docs="https://developer.zendesk.com/api-reference",
)
