"""What Zendesk's refusals mean. The machine code is the string `error`; 429 may be plain text.

Sources: developer.zendesk.com (rate limits, search, tickets), zendesk-java-client `IdempotencyUtil`. "(memory)" marks
what was not read again.
"""

from clew import ErrorMap, Reset, Rule

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
        Rule(
            code="permission",
            status=404,
            text="no help ?desk (?:at|configured)",
            message="there is no {provider} account at the address of this connection.",
            next_step="Ask the person to connect again with the NAME of NAME.zendesk.com.",
        ),
        Rule(code="not_found", status=404),
        Rule(code="conflict", status=400, codes="IdempotentRequestError"),
        Rule(code="conflict", status=409, codes="IdempotentRequestInProgress", retry_after=2),
        Rule(
            code="conflict",
            status=409,
            codes="UpdateConflict",
            message="something has happened on the {provider} ticket since it was read; nothing was changed.",
            next_step="Read it again with get_ticket, decide anew, and pass its new updated_at.",
        ),
        Rule(code="conflict", status=409),
        Rule(code="already_done", status=422, text='"error":\\s*"DuplicateValue"'),
        Rule(code="conflict", status=422, text="(?:ticket|status)s? .{0,40}closed|closed prevents ticket update"),
        Rule(
            code="invalid_input",
            status=400,
            codes="InvalidPaginationDepth",
            next_step="List with a cursor instead of page numbers.",
        ),
        Rule(
            code="invalid_input",
            status=422,
            text="Insufficient.?Resource",
            message="{provider} shows no more than 1 000 results of a search.",
            next_step="Narrow the search by time: created>2026-01-01 created<2026-02-01.",
        ),
        Rule(code="invalid_input", status=422, codes="RecordInvalid"),
        Rule(code="contract_changed", status=410),
    ),
)
