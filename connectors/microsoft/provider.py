"""The facts of Microsoft Graph for one person's mailbox: addresses, login, scopes, limits.

Sources: microsoft-graph-docs (throttling, immutable ids, permissions), msal-python 1.39.0. Numbers of AADSTS codes:
(memory).
"""

import json
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from clew import Api, Bearer, Bounds, Connector, From, Limit, NextUrlPages, schemes
from clew.connectors.webhooks.platforms import GRAPH

from .rules import ERRORS

if TYPE_CHECKING:
    import httpx

IMMUTABLE = 'IdType="ImmutableId"'
"""Asks for ids that stay when an item is moved or a draft is sent. It counts for one request alone, so all have it.
https://learn.microsoft.com/graph/outlook-immutable-id"""

MAIL_READ = "Mail.Read|Mail.ReadWrite"
MAIL_WRITE = "Mail.ReadWrite"
MAIL_SEND = "Mail.Send"
EVENTS_READ = "Calendars.Read|Calendars.ReadWrite"
EVENTS_WRITE = "Calendars.ReadWrite"
SHARED_READ = "Calendars.Read.Shared|Calendars.ReadWrite.Shared"
"""One scope or a choice: any will do, the first, which allows least, is asked for."""

BATCH = "/$batch"
OUTLOOK = (
    BATCH,
    *(
        f"/{owner}/{kind}*"
        for owner in ("me", "users/{}")
        for kind in ("messages", "mailFolders", "sendMail", "events", "calendar", "contacts", "findMeetingTimes")
    ),
)
"""Paths of one mailbox."""


def parts(request: "httpx.Request") -> float:
    """A batch costs what its parts cost; they are throttled one by one."""
    return float(len(json.loads(request.content)["requests"])) if request.url.path.endswith(BATCH) else 1.0


microsoft = Connector(
    "microsoft",
    title="Microsoft 365",
    base_url="https://graph.microsoft.com/v1.0",
    headers={"Prefer": IMMUTABLE},
    auth=(
        schemes.OAuth2(
            authorize_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
            token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
            device_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
            # Empty but for a person who names another server with `clew auth login --issuer`: a stand-in, a national
            # cloud.
            discovery_url="{issuer}",
            variables={
                "issuer": schemes.Variable(
                    pattern=r"https?://[^\s?#]{1,500}",
                    optional=True,
                    help="another authorization server than Microsoft's",
                ),
                "tenant": schemes.Variable(
                    pattern=r"[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*",
                    default="common",
                    help="a tenant's id or domain; organizations: work accounts alone, consumers: personal ones",
                ),
            },
            scopes=("offline_access", "User.Read"),
            # Where work accounts log in, the answer names the scopes with their resource before them, and never names
            # offline_access: a refresh token says that it was granted.
            answer=schemes.TokenAnswer(scope_prefix="https://graph.microsoft.com/", offline_scope="offline_access"),
            # Any port is taken for http://localhost, for 127.0.0.1 only where an app's manifest says so.
            # https://learn.microsoft.com/entra/identity-platform/reply-url
            loopback_host="localhost",
            # The old refresh token keeps working (memory).
            refresh_class="D",
            idle_seconds=90 * 86_400.0,
            token_errors=(
                schemes.TokenRule("outage", code="temporarily_unavailable"),
                schemes.TokenRule("outage", text=r"AADSTS(?:90033|50196)\b"),
                schemes.TokenRule("dead", code="invalid_grant|interaction_required|login_required|consent_required"),
                schemes.TokenRule(
                    "misconfigured",
                    code="invalid_client|unauthorized_client|invalid_scope|invalid_request|invalid_resource",
                ),
            ),
        ),
        Bearer(help="an access token, for trying things out; it lives about an hour"),
    ),
    pages=NextUrlPages(items="value", next_url="['@odata.nextLink']"),
    # https://learn.microsoft.com/graph/throttling-limits: 10 000 requests of an app to a mailbox in 10 minutes, 4 at
    # once. A bucket of these sizes keeps to that; a window would be shut for 10 minutes by a refusal that does not say
    # for how long, and those of a batch's parts and of some services do not.
    rate_limits=(
        Limit(name="mailbox", amount=9000, per=600, kind="bucket", burst=1000, paths=OUTLOOK, cost=parts),
        Limit(name="mailbox at once", amount=4, kind="concurrency", paths=OUTLOOK),
    ),
    # Twenty moved messages come back whole.
    bounds=Bounds(body=30_000_000),
    errors=ERRORS,
    webhooks=GRAPH,
    docs="https://learn.microsoft.com/graph/api/overview",
)

_ID = r"^[A-Za-z0-9_=-]{1,500}$"
MessageId = Annotated[str, Field(pattern=_ID, description="id of a message.")]
EventId = Annotated[str, Field(pattern=_ID, description="id of an event.")]
ChangeKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/=_-]{1,200}$")]
Cursor = Annotated[str | None, Field(max_length=6000, description="next_cursor of the previous page.")]
Changes = Annotated[
    str | None,
    Field(
        max_length=6000,
        description='"new": all from since or start on, and at the end next_changes. That: only what changed since.',
    ),
]


class Account(BaseModel):
    """Whose mailbox it is. A guest or a new account may have no address of its own."""

    mail: str | None = None
    name: Annotated[str, From("userPrincipalName")]


async def address_of(api: Api) -> str:
    """The account's own address."""
    found = await api.get("/me", query={"$select": "mail,userPrincipalName"}, into=Account)
    return found.mail or found.name


@microsoft.identity
async def address(api: Api) -> str:
    """The e-mail address of the account."""
    return await address_of(api)
