"""How Notion refuses, and what each refusal means. The machine code is `code`; a page that was not shared is a 404.

Sources: @notionhq/client 5.26.0 (errors), airbyte-source-notion 3.2.0.
"""

from clew import ErrorMap, Rule

ERRORS = ErrorMap(
    message=("message", "error_description", "error"),
    provider_code=("code", "error"),
    request_id=("x-notion-request-id", "x-request-id"),
    rules=(
        Rule(code="rate_limited", codes="rate_limited", retry_after=1),
        # Overload: the SDK repeats every method, so nothing was done.
        Rule(code="rate_limited", status=529, retry_after=5),
        Rule(code="auth_expired", status=401),
        Rule(code="permission", codes="restricted_resource"),
        Rule(
            code="not_found",
            status=404,
            codes="object_not_found",
            next_step="Check the id. If it is right, ask the person to share the page with the connection.",
        ),
        Rule(
            code="contract_changed",
            status=404,
            codes="invalid_request_url",
            message="{provider} has no such endpoint in this version.",
        ),
        Rule(
            code="conflict",
            codes="validation_error",
            text=r"that (?:is|has been) archived|is in trash|must unarchive",
            message="this is in {provider}'s trash.",
            next_step="Take it out with restore_page, or leave it.",
        ),
        Rule(
            code="invalid_input",
            codes="validation_error",
            text="is a (?:database|page|block), not a",
            next_step="Use the tool for that kind of object: get_page, get_database or get_data_source.",
        ),
        Rule(
            code="invalid_input",
            status=400,
            text="start_cursor provided is invalid",
            next_step="Begin the listing again without a cursor.",
        ),
        Rule(
            code="contract_changed",
            codes="validation_error",
            text=r"property .{0,80}does not exist|is not a property that exists|could not find property",
        ),
        Rule(code="contract_changed", codes="missing_version unsupported_version"),
        Rule(
            code="invalid_input",
            codes="validation_error invalid_json invalid_request_url invalid_request invalid_beta invalid_grant",
        ),
        Rule(code="conflict", codes="conflict_error", retry_after=1),
        Rule(code="provider_down", codes="database_connection_unavailable"),
        # The SDK repeats these for GET and DELETE only.
        Rule(code="transient", codes="internal_server_error service_unavailable gateway_timeout"),
    ),
)
