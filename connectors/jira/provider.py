"""The facts of Jira Cloud: one gateway for all sites, logins, paging, and the three budgets that count at once.

Sources: developer.atlassian.com/cloud/jira/platform (rate-limiting, 2026-03-05; build-an-app-that-respects-rate-limits,
2026-10-20; rest/v3). "(memory)" marks what was not read again.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from clew import Api, Basic, Connector, Limit, NumberPages, OAuth2, RateLimitHeaders, schemes
from clew.connectors.atlassian import atlassian
from clew.connectors.webhooks.work import ATLASSIAN

from .rules import ERRORS

if TYPE_CHECKING:
    import httpx

READ = "read:jira-work"
WRITE = "write:jira-work"
PEOPLE = "read:jira-user"

_SITE = {
    "cloud_id": schemes.Variable(
        pattern=r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        help="the cloudId that https://SITE.atlassian.net/_edge/tenant_info shows for your site",
    )
}


def points(request: "httpx.Request") -> float:
    """What a request takes of the hour's points: 1, and for a read 1 more for each object that it may return."""
    if request.method != "GET":
        return 1.0
    asked = request.url.params.get("maxResults", "1")
    return 1.0 + (float(asked) if asked.isdecimal() else 1.0)


def _login() -> OAuth2:
    """Atlassian's login with what Jira needs: a site, and the right to say who has logged in."""
    (shared,) = (each for each in atlassian.schemes if isinstance(each, OAuth2))
    return replace(
        shared,
        scopes=("offline_access", PEOPLE),
        variables=_SITE,
        help="https://developer.atlassian.com/console/myapps (OAuth 2.0 integration, Jira API)",
    )


jira = Connector(
    "jira",
    title="Jira",
    # The gateway takes logins and API tokens with scopes. A token without scopes is for the site itself:
    # https://SITE.atlassian.net, set by the operator.
    base_url="https://api.atlassian.com/ex/jira/{cloud_id}",
    headers={"Accept": "application/json"},
    auth=(
        _login(),
        Basic(
            variables=_SITE,
            help="https://id.atlassian.com/manage-profile/security/api-tokens (a token with scopes for Jira; "
            "user name is the e-mail address)",
        ),
    ),
    # The size is below what Jira lowers it to, so that a short page is the last one.
    pages=NumberPages(parameter="startAt", start=0, step="items", items="values", size=25, size_parameter="maxResults"),
    rate_limits=(
        # Points count for apps; what is left comes under a name that still begins with Beta- at many sites.
        RateLimitHeaders(packed="ratelimit", pattern=r"r=(?P<remaining>\d+)\s*;\s*t=(?P<reset>\d+)", budget="points"),
        RateLimitHeaders(
            packed="beta-ratelimit", pattern=r"r=(?P<remaining>\d+)\s*;\s*t=(?P<reset>\d+)", budget="points"
        ),
        # The smallest hourly quota, which an app's sites share; the numbers of the two others: (memory).
        Limit(name="points", amount=65_000, per=3600, kind="fixed", by="app", cost=points),
        Limit(
            name="issue",
            amount=20,
            per=2,
            methods=("POST", "PUT", "DELETE"),
            paths=("/rest/api/3/issue/{}*",),
            each=0,
        ),
        Limit(
            name="issue for long",
            amount=100,
            per=30,
            methods=("POST", "PUT", "DELETE"),
            paths=("/rest/api/3/issue/{}*",),
            each=0,
        ),
    ),
    errors=ERRORS,
    webhooks=ATLASSIAN,
    docs="https://developer.atlassian.com/cloud/jira/platform/rest/v3",
)

Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]
IssueKey = Annotated[
    str, Field(pattern=r"^(?:[A-Za-z][A-Za-z0-9_]{0,40}-[0-9]{1,12}|[0-9]{1,19})$", description="Like ABC-12.")
]
ProjectKey = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,40}$", description="Like ABC.")]


@jira.identity
async def person(api: Api) -> str:
    """The name of the account, and its address where the person's privacy settings show it."""
    me = await api.get("/rest/api/3/myself", into=dict[str, object])
    return str(me.get("emailAddress") or me.get("displayName") or me["accountId"])
