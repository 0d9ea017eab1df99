"""What Linear's refusals mean. The machine code is `extensions.type` or `.code`; the status says little.

Sources: linear/linear SDK `error.ts` (2026-07), linear.app/developers/rate-limiting. Resets are epoch milliseconds.
"""

from clew import ErrorMap, Reset, Rule

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
            text="duplicate key|already exists|unique constraint|must be unique|conflict on insert"
            "|id .{0,30}already (?:in use|taken)",
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
        # A mutation says whether it was done; a text that people wrote cannot hold this with its quotes unescaped.
        Rule(
            code="conflict",
            status=200,
            text='"success":\\s*false',
            not_applied=True,
            message="{provider} took the request and did nothing.",
            next_step="Read the object: it may be locked, or changed by somebody else.",
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
