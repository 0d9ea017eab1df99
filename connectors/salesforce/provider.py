"""The facts of Salesforce's core platform: logins, the host of each organization, the pinned version, the day's calls.

Sources: airbyte-source-salesforce 2.10.3, simple-salesforce 1.12.10, jsforce 3.10.16, developer.salesforce.com.
"(memory)" marks what was not read again. Three versions a year; each is kept for at least three years (memory).
"""

import re
from typing import Annotated, Any

from pydantic import Field

from clew import Api, Bearer, Connector, Limit, NextUrlPages, RateLimitHeaders, errors, schemes

from .rules import ERRORS

ROOT = "/services/data/v66.0"
_DOMAINS = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)"
"""*.lightning.force.com, which people see in their browser, answers no API."""
_INSTANCE = {
    "instance_url": schemes.Variable(
        pattern=rf"(?:https://)?({_DOMAINS})/?",
        help="the organization's own host, like acme.my.salesforce.com: Setup, My Domain",
    )
}

salesforce = Connector(
    "salesforce",
    title="Salesforce",
    # Every organization has its own host, which the token's answer names.
    base_url="https://{instance_url}" + ROOT,
    auth=(
        schemes.OAuth2(
            authorize_url="https://{login_host}/services/oauth2/authorize",
            token_url="https://{login_host}/services/oauth2/token",
            revoke_url="https://{login_host}/services/oauth2/revoke",
            introspect_url="https://{login_host}/services/oauth2/introspect",
            variables={
                "login_host": schemes.Variable(
                    pattern=rf"(?:https://)?({_DOMAINS})/?",
                    default="login.salesforce.com",
                    help="the organization's My Domain host, test.salesforce.com for sandboxes",
                ),
                **_INSTANCE,
            },
            scopes=("api", "refresh_token"),
            # Rotation is the organization's choice; assuming it is safe for both.
            refresh_class="C",
            token_errors=(
                schemes.TokenRule(
                    "outage", text="rate exceeded|login rate|too many logins|server unavailable|try again later"
                ),
                schemes.TokenRule("outage", code="rate_limit_exceeded|server_error|temporarily_unavailable"),
                schemes.TokenRule("outage", status=420),
                schemes.TokenRule("outage", code="unknown_error", text="retry"),
                schemes.TokenRule("outage", status=406),
                schemes.TokenRule("dead", code="invalid_grant|inactive_user|invalid_session"),
                schemes.TokenRule(
                    "misconfigured",
                    code="inactive_org|invalid_client|invalid_client_id|invalid_app_access|invalid_client_credentials"
                    "|unsupported_grant_type|redirect_uri_mismatch|invalid_assertion_type",
                ),
            ),
            answer=schemes.TokenAnswer(keep={"instance_url": "instance_url", "id": "id"}),
        ),
        Bearer(variables=_INSTANCE, help="a session id, for trying things out"),
    ),
    pages=NextUrlPages(items="records", next_url="nextRecordsUrl"),
    rate_limits=(
        # Long requests (over 20 s) at once: 25 in production (memory).
        Limit(name="at once", amount=25, kind="concurrency", by="app"),
        # Of a rolling day, for everybody in the organization; answers tell the real size and what is used.
        Limit(name="day", amount=100_000, per=86_400, kind="bucket"),
        RateLimitHeaders(
            packed="sforce-limit-info", pattern=r"(?:^|[;,]\s*)api-usage=(?P<used>\d+)/(?P<limit>\d+)", budget="day"
        ),
    ),
    errors=ERRORS,
    docs="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest",
)

NAME = r"[A-Za-z][A-Za-z0-9_]{0,79}"
ObjectName = Annotated[str, Field(pattern=rf"^{NAME}$", description="API name: Account, Invoice__c.")]
RecordId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$", description="15 or 18 characters.")]
FieldName = Annotated[str, Field(pattern=rf"^{NAME}$")]

_IDENTITY = re.compile(r"https://[^/?#]+/id/[A-Za-z0-9]{15,18}/([A-Za-z0-9]{15,18})")


async def user_id(api: Api) -> str:
    """The id of the user whose login this is: the end of the identity address (jsforce `identity`)."""
    address: Any = await api.get("/", at="identity")
    found = _IDENTITY.fullmatch(str(address))
    if found is None:
        raise errors.ContractChangedError("the provider's answer changed its shape: identity is no address of a user.")
    return found[1]


@salesforce.identity
async def user(api: Api) -> str:
    """The user name, which looks like an e-mail address, and the organization's host."""
    query = {"fields": "Username"}
    return await api.get("/sobjects/User/{}", await user_id(api), query=query, at="Username", into=str)
