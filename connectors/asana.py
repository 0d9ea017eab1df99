"""Asana: facts of the REST API. No codes: status and text; a 412 on events is normal.

Sources: Asana/developer-docs `_errors`, `_rate-limits`, `_auth`, `_pagination`; Asana/openapi (2026-06).
"""

from clew import Bearer, Connector, CursorPages, ErrorMap, Limit, Rule, schemes

from .webhooks.work import ASANA

ERRORS = ErrorMap(
    message=("errors[0].message", "error_description", "error"),
    provider_code=("errors[0].phrase", "error"),
    request_id=("x-request-id",),
    rules=(
        Rule(code="rate_limited", status=429, retry_after=30),
        Rule(
            code="permission",
            status=401,
            text='(?:app|application|workspace|domain)[^"]{0,80}(?:disabled|blocked|not (?:allowed|permitted))'
            '|(?:disabled|blocked)[^"]{0,60}(?:app|workspace|admin)',
            message="an administrator of the {provider} workspace has blocked this app.",
            next_step="Tell the person: an administrator has to allow the app. A new login does not help.",
        ),
        Rule(code="auth_expired", status=401),
        Rule(
            code="permission",
            status=402,
            message="this needs a paid {provider} plan.",
            next_step="Tell the person: the workspace's plan does not include this.",
        ),
        Rule(code="permission", status=(403, 451)),
        Rule(
            code="conflict",
            status=412,
            message="{provider} has given a new place to read changes from.",
            next_step="Use the sync token of this answer; on the first call this is normal.",
        ),
        Rule(
            code="invalid_input",
            status=400,
            text="truncated",
            next_step="Narrow the query; the result is too large to page.",
        ),
        Rule(
            code="invalid_input",
            status=400,
            text="pagination token|offset.{0,40}expired",
            next_step="Begin the listing again without a cursor.",
        ),
        Rule(code="invalid_input", status=(400, 413)),
        Rule(code="not_found", status=404),
        Rule(code="transient", status=424),
        Rule(code="transient", status=(500, 502, 503, 504)),
    ),
)

asana = Connector(
    "asana",
    title="Asana",
    base_url="https://app.asana.com/api/1.0",
    auth=(
        Bearer(help="https://app.asana.com/0/my-apps (personal access token)"),
        schemes.OAuth2(
            authorize_url="https://app.asana.com/-/oauth_authorize",
            token_url="https://app.asana.com/-/oauth_token",
            revoke_url="https://app.asana.com/-/oauth_revoke",
            scopes=("default",),
            refresh_class="B",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_request|unauthorized_client"),
            ),
        ),
    ),
    pages=CursorPages(items="data", cursor="next_page.offset", parameter="offset"),
    # https://developers.asana.com/docs/rate-limits: 150 a minute without a paid plan (1 500 with one), refused calls
    # count; search 60; at once 50 reads and 15 writes.
    rate_limits=(
        Limit(name="requests", amount=150, per=60),
        Limit(name="search", amount=60, per=60, paths=("/workspaces/{}/tasks/search",)),
        Limit(name="reads at once", amount=50, kind="concurrency", methods=("GET",)),
        Limit(name="writes at once", amount=15, kind="concurrency", methods=("POST", "PUT", "PATCH", "DELETE")),
    ),
    errors=ERRORS,
    webhooks=ASANA,
    docs="https://developers.asana.com/reference/rest-api-reference",
)
