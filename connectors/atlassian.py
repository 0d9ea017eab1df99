"""Atlassian Cloud: facts of Jira and Confluence. No stable codes; limits name themselves in `RateLimit-Reason`.

Sources: developer.atlassian.com (rate-limiting, build-an-app-that-respects-rate-limits), jira.js 5.4.0, jira (python)
3.10.5. "(memory)" marks what was not read again.
"""

from clew import Basic, Connector, ErrorMap, NumberPages, Reset, Rule, schemes

from .webhooks.work import ATLASSIAN

ERRORS = ErrorMap(
    message=("errorMessages[0]", "message", "errors[0].detail", "errors[0].title", "error_description", "error"),
    provider_code=("errors[0].code", "error", "code", "statusCode"),
    request_id=("atl-traceid", "x-arequestid"),
    resets=(Reset(header="x-ratelimit-reset", unit="iso"), Reset(header="beta-retry-after")),
    buckets=("ratelimit-reason",),
    rules=(
        # A bulk request: some were made, and these were not. Its success status holds both lists.
        Rule(
            code="outcome_unknown",
            status=(200, 201),
            body={"errors[*].failedElementNumber": r"\d+"},
            message="{provider} did some parts of this request and refused others.",
            next_step="Read the current state and repeat only the parts that failed.",
        ),
        # Points of the hour: waiting minutes does not help.
        Rule(code="quota_exhausted", status=429, headers={"ratelimit-reason": ".*-quota-.*"}),
        Rule(code="rate_limited", status=429, headers={"ratelimit-reason": ".*-(?:burst|per-issue).*"}, retry_after=5),
        Rule(code="rate_limited", status=429, retry_after=5),
        # An expired token is answered as if nobody had logged in, with what is public (jira.js issue 418).
        Rule(
            code="auth_expired",
            status=200,
            methods=("GET",),
            headers={"x-seraph-loginreason": ".*AUTHENTICATED_FAILED.*"},
        ),
        Rule(
            code="auth_revoked",
            status=(401, 403),
            headers={"x-seraph-loginreason": ".*AUTHENTICATION_DENIED.*"},
            message="{provider} asks for a captcha before this account may log in again.",
            next_step="Stop calling. Ask the person to log in with the browser once, then to check the API token.",
        ),
        Rule(
            code="permission",
            status=(401, 403),
            text="scope does not match",
            next_step="Ask the person to connect the account again with the scope this tool needs.",
        ),
        Rule(code="auth_expired", status=401),
        Rule(code="permission", status=403),
        Rule(
            code="contract_changed",
            status=410,
            message="{provider} has removed this endpoint.",
        ),
        Rule(code="conflict", status=409),
        Rule(
            code="already_done",
            status=400,
            text="a page (?:with this title )?already exists|page already exists with the same TITLE",
        ),
        Rule(
            code="contract_changed", status=400, text="cannot be set\\. It is not on the appropriate screen, or unknown"
        ),
        Rule(code="invalid_input", status=(400, 413, 414, 422)),
        Rule(code="not_found", status=404),
    ),
)

atlassian = Connector(
    "atlassian",
    title="Atlassian (Jira, Confluence)",
    # With a login: /ex/jira/{cloudId} below this; with an API token: https://{site}.atlassian.net.
    base_url="https://api.atlassian.com",
    auth=(
        schemes.OAuth2(
            authorize_url="https://auth.atlassian.com/authorize",
            token_url="https://auth.atlassian.com/oauth/token",
            authorize_parameters={"audience": "api.atlassian.com", "prompt": "consent"},
            scopes=("offline_access",),
            refresh_class="D",
            grace_seconds=600.0,
            idle_seconds=90 * 86_400.0,
            token_errors=(
                schemes.TokenRule("dead", code="unauthorized_client", text="refresh_token is invalid|refresh token"),
                schemes.TokenRule("dead", code="invalid_grant"),
                # The person declined, or our secret is wrong: asking the person again would go in circles.
                schemes.TokenRule("misconfigured", code="access_denied|invalid_client|unauthorized_client"),
            ),
        ),
        Basic(help="https://id.atlassian.com/manage-profile/security/api-tokens (user name is the e-mail address)"),
    ),
    pages=NumberPages(
        parameter="startAt", start=0, step="items", items="values", more=None, size_parameter="maxResults"
    ),
    errors=ERRORS,
    webhooks=ATLASSIAN,
    docs="https://developer.atlassian.com/cloud",
)
