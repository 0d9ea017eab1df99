"""Notion: facts of the REST API. The machine code is `code`; a page that was not shared is a 404.

Sources: @notionhq/client 5.26.0, airbyte-source-notion 3.2.0, developers.notion.com. "(memory)" marks what was not read
again.
"""

from clew import Bearer, Connector, CursorPages, ErrorMap, Limit, Rule, Version, schemes

from .webhooks.work import NOTION

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

notion = Connector(
    "notion",
    title="Notion",
    base_url="https://api.notion.com/v1",
    version=Version("2025-09-03", header="Notion-Version"),
    auth=(
        Bearer(help="https://www.notion.so/profile/integrations (internal integration token)"),
        schemes.OAuth2(
            authorize_url="https://api.notion.com/v1/oauth/authorize",
            token_url="https://api.notion.com/v1/oauth/token",
            revoke_url="https://api.notion.com/v1/oauth/revoke",
            introspect_url="https://api.notion.com/v1/oauth/introspect",
            client_auth="basic",
            body_format="json",
            pkce="off",
            authorize_parameters={"owner": "user"},
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|unauthorized|invalid_request|validation_error"),
                schemes.TokenRule(
                    "outage", code="rate_limited|service_overload|internal_server_error|service_unavailable"
                ),
            ),
        ),
    ),
    pages=CursorPages(items="results", parameter="start_cursor", size_parameter="page_size"),
    # An average of 3 a second for a connection, bursts allowed (memory). https://developers.notion.com
    rate_limits=Limit(amount=3, per=1, kind="bucket", burst=10),
    errors=ERRORS,
    webhooks=NOTION,
    docs="https://developers.notion.com/reference",
)
