"""Airtable: facts of the Web API. One 429 is a pause of 30 seconds, another is the month's bill.

Sources: airbyte-source-airtable 4.5.1, pyairtable 3.5, support.airtable.com. Error names beyond these: (memory).
"""

from clew import Bearer, Connector, CursorPages, ErrorMap, Limit, Rule, schemes

from .webhooks.work import AIRTABLE

ERRORS = ErrorMap(
    message=("error.message", "errors[0].message", "error_description", "message", "error"),
    provider_code=("error.type", "errors[*].error", "error"),
    request_id=("x-airtable-request-id", "x-request-id"),
    rules=(
        Rule(
            code="quota_exhausted",
            codes="PUBLIC_API_BILLING_LIMIT_EXCEEDED",
            message="the {provider} workspace has used up its calls of the month.",
        ),
        Rule(code="quota_exhausted", status=402),
        # The base refuses everything for 30 s; no header says so.
        Rule(code="rate_limited", codes="RATE_LIMIT_REACHED", retry_after=30),
        Rule(code="rate_limited", status=429, retry_after=30),
        Rule(code="auth_expired", status=401),
        # Often a base or table that was deleted.
        Rule(
            code="permission",
            codes="INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
            message="{provider} does not know this base or table, or does not allow this account to use it.",
            next_step="List the bases and tables again. If it is there, ask the person to give access.",
        ),
        Rule(code="permission", codes="INVALID_PERMISSIONS"),
        Rule(code="contract_changed", codes="UNKNOWN_FIELD_NAME", next_step="Read the table's fields again."),
        Rule(
            code="invalid_input",
            codes="LIST_RECORDS_ITERATOR_NOT_AVAILABLE",
            next_step="Begin the listing again without a cursor.",
        ),
        Rule(code="not_found", codes="NOT_FOUND TABLE_NOT_FOUND MODEL_ID_NOT_FOUND MODEL_NOT_FOUND BASE_NOT_FOUND"),
        Rule(
            code="invalid_input",
            codes="INVALID_VALUE_FOR_COLUMN INVALID_MULTIPLE_CHOICE_OPTIONS INVALID_REQUEST* INVALID_RECORDS "
            "ROW_DOES_NOT_EXIST INVALID_FILTER_BY_FORMULA VIEW_NAME_NOT_FOUND INVALID_ATTACHMENT_OBJECT "
            "CANNOT_ACCEPT_VALUE FAILED_STATE_CHECK",
        ),
        Rule(code="invalid_input", status=413),
    ),
)

airtable = Connector(
    "airtable",
    title="Airtable",
    base_url="https://api.airtable.com/v0",
    auth=(
        Bearer(help="https://airtable.com/create/tokens"),
        schemes.OAuth2(
            authorize_url="https://airtable.com/oauth2/v1/authorize",
            token_url="https://airtable.com/oauth2/v1/token",
            client_auth="basic",
            scopes=("data.records:read", "data.records:write", "schema.bases:read"),
            refresh_class="C",
            idle_seconds=60 * 86_400.0,
            token_errors=(
                # A refresh that is spent can come back as an unknown client, too.
                schemes.TokenRule("dead", code="invalid_grant|invalid_client"),
                schemes.TokenRule("outage", status=409),
                schemes.TokenRule("misconfigured", code="invalid_request|unauthorized_client|invalid_scope"),
            ),
        ),
    ),
    pages=CursorPages(items="records", cursor="offset", parameter="offset", size_parameter="pageSize"),
    # airtable.md: 5 a second for a base whoever calls, 50 for a token over all bases (memory).
    rate_limits=(
        Limit(name="base", amount=5, per=1, paths=("/{}/*",), each=0, by="app"),
        Limit(name="token", amount=50, per=1),
    ),
    errors=ERRORS,
    webhooks=AIRTABLE,
    docs="https://airtable.com/developers/web/api",
)
