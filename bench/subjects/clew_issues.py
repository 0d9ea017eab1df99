"""The same tool as a connector: `clew serve clew_issues.py`, with every promise on."""

from typing import Annotated

from pydantic import BaseModel

from clew import Api, Bearer, Connector, From, Limit, LinkPages, Page, RateLimitHeaders

issues = Connector(
    "issues",
    base_url="http://127.0.0.1:1",
    auth=Bearer(),
    pages=LinkPages(),
    rate_limits=(
        RateLimitHeaders(
            limit="x-ratelimit-limit", remaining="x-ratelimit-remaining", reset="x-ratelimit-reset", unit="epoch_s"
        ),
        Limit(amount=5_000_000, per=3600, kind="bucket"),
    ),
)


class Issue(BaseModel):
    number: int
    title: str
    state: str
    author: Annotated[str, From("user.login")]
    comments: int
    url: Annotated[str, From("html_url")]


@issues.read
async def list_issues(api: Api, owner: str, repo: str) -> Page[Issue]:
    """List the open issues of a repository."""
    return await api.page("/repos/{}/{}/issues", owner, repo, into=Issue)
