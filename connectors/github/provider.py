"""The facts of GitHub's REST API: address, version, logins, paging, budgets."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from clew import Api, Bearer, Connector, Limit, LinkPages, OAuth2, RateLimitHeaders, Version
from clew.connectors.webhooks.code import GITHUB

from .rules import ERRORS

if TYPE_CHECKING:
    import httpx

CONTENT = ("/repos/{}/{}/issues*", "/repos/{}/{}/pulls*")
"""Where a POST makes something that people are told of."""


def points(request: "httpx.Request") -> float:
    """What a request takes of the points: 1 for a read, 5 for a change."""
    return 1.0 if request.method in ("GET", "HEAD", "OPTIONS") else 5.0


github = Connector(
    "github",
    title="GitHub",
    # GitHub Enterprise Server: https://HOST/api/v3, set by the operator.
    base_url="https://api.github.com",
    headers={"Accept": "application/vnd.github+json"},
    # Supported at least until March 2028, and by every Enterprise Server in support; 2026-03-10 is not.
    # https://docs.github.com/rest/about-the-rest-api/api-versions
    version=Version("2022-11-28", header="X-GitHub-Api-Version"),
    auth=(
        Bearer(help="https://github.com/settings/tokens (fine-grained: issues, pull requests, contents, actions)"),
        # One scheme for both kinds of app: an OAuth app's token has no end and no refresh token, a GitHub App's refresh
        # token dies on use. https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
        OAuth2(
            authorize_url="https://github.com/login/oauth/authorize",
            token_url="https://github.com/login/oauth/access_token",
            device_url="https://github.com/login/device/code",
            scopes=("repo",),
            refresh_class="C",
        ),
    ),
    pages=LinkPages(size=20),
    # https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    rate_limits=(
        RateLimitHeaders(
            limit="x-ratelimit-limit",
            remaining="x-ratelimit-remaining",
            reset="x-ratelimit-reset",
            unit="epoch_s",
            bucket="x-ratelimit-resource",
        ),
        # The secondary limits, which no header tells: 100 at once, 900 points a minute, and for what people are told of
        # 80 a minute and 500 an hour. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
        Limit(name="at once", amount=100, kind="concurrency"),
        Limit(name="points", amount=900, per=60, cost=points),
        Limit(name="content a minute", amount=80, per=60, methods=("POST",), paths=CONTENT),
        Limit(name="content an hour", amount=500, per=3600, methods=("POST",), paths=CONTENT),
    ),
    errors=ERRORS,
    webhooks=GITHUB,
    docs="https://docs.github.com/rest",
)

Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]


@github.identity
async def login(api: Api) -> str:
    """The login of the account."""
    return str(await api.get("/user", at="login"))
