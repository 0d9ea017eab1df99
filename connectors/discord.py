"""Discord: facts of REST v10. Integer codes; 10 000 answers of 401, 403 or 429 in ten minutes ban the address.

Sources: discord-api-docs `topics/rate-limits`, `topics/opcodes-and-status-codes`, `topics/oauth2`, `reference`
(2026-08). "(memory)" marks what was not read again.
"""

from clew import Bearer, Connector, ErrorMap, Limit, RateLimitHeaders, Reset, Rule, schemes

from .webhooks.messages import DISCORD

_LIMITS = " ".join(str(code) for code in range(30001, 30062) if code not in (30040, 30042, 30046))

ERRORS = ErrorMap(
    message=("message", "error_description", "error"),
    provider_code=("code", "error"),
    request_id=("x-request-id", "cf-ray"),
    resets=(Reset(body="retry_after"), Reset(header="x-ratelimit-reset-after")),
    buckets=("x-ratelimit-bucket", "x-ratelimit-scope"),
    rules=(
        Rule(
            code="rate_limited",
            status=(400, 403, 429),
            codes="20016 20022 20028 20029 40062 40003 30040 30042 30046",
            retry_after=60,
        ),
        # The edge has banned the address for a while; no limit header comes with it.
        Rule(
            code="rate_limited",
            status=(403, 429),
            headers={"content-type": "text/html.*", "server": "cloudflare.*"},
            message="{provider}'s edge has banned this address for a while.",
            next_step="Stop calling for an hour. Refused calls (401, 403, 429) count towards the ban.",
            retry_after=3600,
        ),
        Rule(code="rate_limited", status=429, retry_after=5),
        Rule(code="quota_exhausted", codes=_LIMITS),
        Rule(
            code="auth_revoked",
            codes="40012 50027",
            next_step="Ask the person to connect the account again, or to make a new webhook.",
        ),
        Rule(code="auth_expired", status=401),
        Rule(code="auth_expired", status=(401, 403), codes="40001 50014 50025"),
        Rule(code="permission", codes="50001 50013 20012 20018 50026 50007 40007 40002 20015 50005 40333 20001 50020"),
        Rule(
            code="not_found",
            codes="10001 10002 10003 10004 10005 10006 10007 10008 10009 10010 10011 10012 10013 10014 10015 10016 "
            "10020 10026 10029 10057 10062 10065 10066 10070",
        ),
        Rule(code="already_done", codes="40033 40060"),
        Rule(code="provider_down", status=(400, 403, 429), codes="40004 40006 130000", not_applied=True),
        Rule(code="provider_down", codes="40004 40006 130000"),
        Rule(
            code="contract_changed",
            status=400,
            text="invalid api version|api version .{0,40}(?:discontinued|no longer)",
        ),
        Rule(
            code="invalid_input",
            codes="50035 50006 50008 50024 40005 50010 50011 50012 50016 50033 50034 50036 50041 50045 50109 40032",
        ),
    ),
)

discord = Connector(
    "discord",
    title="Discord",
    base_url="https://discord.com/api/v10",
    headers={"User-Agent": "DiscordBot (https://clew.invalid, 0.1)"},
    auth=(
        Bearer(prefix="Bot", help="https://discord.com/developers/applications (Bot, Reset Token)"),
        schemes.OAuth2(
            authorize_url="https://discord.com/oauth2/authorize",
            token_url="https://discord.com/api/oauth2/token",
            revoke_url="https://discord.com/api/oauth2/token/revoke",
            client_auth="basic",
            scopes=("identify", "guilds"),
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|invalid_request|unsupported_grant_type"),
            ),
        ),
    ),
    # https://docs.discord.com/developers/topics/rate-limits: 50 a second for a bot; routes tell theirs in headers.
    rate_limits=(
        Limit(name="bot", amount=50, per=1),
        RateLimitHeaders(
            limit="x-ratelimit-limit",
            remaining="x-ratelimit-remaining",
            reset="x-ratelimit-reset-after",
            bucket="x-ratelimit-bucket",
        ),
    ),
    errors=ERRORS,
    webhooks=DISCORD,
    docs="https://discord.com/developers/docs",
)
