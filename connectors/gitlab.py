"""GitLab: facts of REST v4, on gitlab.com and self-managed hosts. No codes: status and words decide.

Sources: gitlabhq/gitlabhq `doc/api/oauth2.md`, python-gitlab 8.6.0, airbyte-source-gitlab 4.3.7. "(memory)" marks what
was not read again. `RateLimit-Reset` is epoch seconds, against the IETF draft.
"""

from clew import ApiKey, Bearer, Connector, ErrorMap, Limit, LinkPages, RateLimitHeaders, Reset, Rule, schemes

from .webhooks.code import GITLAB

ERRORS = ErrorMap(
    message=("error_description", "message.error", "message", "message.base[0]", "error", "errors[0].message"),
    provider_code=("error", "errors[*].extensions.code"),
    request_id=("x-request-id",),
    resets=(
        Reset(header="ratelimit-reset", unit="epoch_s", remaining="ratelimit-remaining"),
        Reset(header="ratelimit-resettime", unit="http_date", remaining="ratelimit-remaining"),
    ),
    buckets=("ratelimit-name",),
    rules=(
        Rule(code="rate_limited", status=429, retry_after=60),
        Rule(code="auth_revoked", status=401, codes="invalid_token", text="revoked"),
        Rule(code="auth_expired", status=401),
        Rule(
            code="permission",
            status=(401, 403),
            codes="insufficient_scope insufficient_granular_scope",
            next_step="Ask the person for a token with the scope that is missing.",
        ),
        Rule(code="permission", status=403),
        Rule(code="not_found", status=404),
        Rule(code="transient", status=409, text="resource lock", not_applied=True),
        Rule(
            code="already_done",
            status=409,
            text="already exists|already been taken",
        ),
        Rule(code="conflict", status=(405, 406), text="method not allowed|branch cannot be merged|merge conflict"),
        Rule(code="conflict", status=(406, 409, 412)),
        Rule(code="already_done", status=400, text='(?:branch|tag|label|file)[^"]{0,80}already exists'),
        Rule(code="contract_changed", status=410),
        Rule(code="invalid_input", status=(400, 413, 422)),
    ),
)

gitlab = Connector(
    "gitlab",
    title="GitLab",
    # A self-managed host is set by the operator: https://HOST/api/v4.
    base_url="https://gitlab.com/api/v4",
    auth=(
        ApiKey(header="PRIVATE-TOKEN", help="https://gitlab.com/-/user_settings/personal_access_tokens"),
        Bearer(help="an OAuth or personal access token"),
        schemes.OAuth2(
            authorize_url="{origin}/oauth/authorize",
            token_url="{origin}/oauth/token",
            revoke_url="{origin}/oauth/revoke",
            device_url="{origin}/oauth/authorize_device",
            introspect_url="{origin}/oauth/introspect",
            scopes=("api",),
            refresh_redirect_uri=True,
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant|invalid_token"),
                schemes.TokenRule("misconfigured", code="invalid_client|unauthorized_client|invalid_request"),
            ),
        ),
    ),
    pages=LinkPages(size=20),
    # GitLab.com: 2 000 a minute for a user (memory); other installations say theirs in headers. `reset` is an epoch.
    # https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits
    rate_limits=(
        Limit(name="requests", amount=2000, per=60),
        RateLimitHeaders(
            limit="ratelimit-limit",
            remaining="ratelimit-remaining",
            reset="ratelimit-reset",
            unit="epoch_s",
            budget="requests",
        ),
    ),
    errors=ERRORS,
    webhooks=GITLAB,
    docs="https://docs.gitlab.com/api/rest/",
)
