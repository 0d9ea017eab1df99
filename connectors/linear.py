"""Linear: facts of the GraphQL API. The machine code is `extensions.type` or `.code`; the status says little.

Sources: linear/linear SDK `error.ts` (2026-07), linear.app/developers (oauth-2-0-authentication, rate-limiting). Resets
are epoch milliseconds.
"""

from clew import ApiKey, Connector, ErrorMap, Reset, Rule, schemes

from .webhooks.work import LINEAR

ANY = (200, *range(400, 600))

ERRORS = ErrorMap(
    message=("errors[0].extensions.userPresentableMessage", "errors[0].message", "error_description", "error"),
    provider_code=("errors[*].extensions.code", "errors[*].extensions.type", "error"),
    request_id=("x-request-id",),
    resets=tuple(
        Reset(header=f"x-ratelimit-{kind}-reset", unit="epoch_ms", remaining=f"x-ratelimit-{kind}-remaining")
        for kind in ("requests", "complexity", "endpoint-requests")
    ),
    buckets=("x-ratelimit-endpoint-name",),
    rules=(
        Rule(code="rate_limited", status=ANY, codes="RATELIMITED ratelimited", retry_after=60),
        Rule(code="rate_limited", status=429, retry_after=60),
        Rule(
            code="quota_exhausted",
            status=ANY,
            codes=("usage limit exceeded", "USAGE_LIMIT_EXCEEDED"),
        ),
        Rule(
            code="auth_expired",
            status=ANY,
            codes=("authentication error", "AUTHENTICATION_ERROR", "UNAUTHENTICATED"),
        ),
        Rule(
            code="permission",
            status=ANY,
            codes=("forbidden", "feature not accessible", "FEATURE_NOT_ACCESSIBLE", "FORBIDDEN"),
        ),
        Rule(code="not_found", status=ANY, codes=("ENTITY_NOT_FOUND", "entity not found")),
        Rule(code="not_found", status=(200, 400), text='"message":\\s*"Entity not found'),
        Rule(
            code="invalid_input",
            status=ANY,
            text="query (?:is )?too complex|complexity .{0,40}(?:exceed|limit|maximum)",
            next_step="Ask for fewer fields or a smaller page.",
        ),
        Rule(
            code="already_done",
            status=(200, 400),
            text="duplicate key|already exists|id .{0,30}already (?:in use|taken)",
        ),
        Rule(
            code="contract_changed",
            status=ANY,
            codes=("graphql error", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"),
        ),
        Rule(
            code="invalid_input",
            status=ANY,
            codes=("invalid input", "user error", "INPUT_ERROR", "INVALID_INPUT", "USER_ERROR", "BAD_USER_INPUT"),
        ),
        # The lock was not had: nothing was done.
        Rule(code="transient", status=ANY, codes=("lock timeout", "LOCK_TIMEOUT"), not_applied=True),
        Rule(
            code="transient",
            status=ANY,
            codes=("bootstrap error", "internal error", "INTERNAL_SERVER_ERROR", "INTERNAL_ERROR"),
        ),
        Rule(code="provider_down", status=ANY, codes=("network error", "NETWORK_ERROR")),
    ),
)

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
            scopes=("read", "write"),
            scope_separator=",",
            # A short replay window is said to exist (memory); not relied on.
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_request|unauthorized_client"),
            ),
        ),
    ),
    errors=ERRORS,
    webhooks=LINEAR,
    docs="https://linear.app/developers",
)
