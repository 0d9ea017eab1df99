"""The facts of Notion's REST API: address, version, logins, paging, budgets.

Sources: @notionhq/client 5.26.0, airbyte-source-notion 3.2.0, developers.notion.com. "(memory)" marks what was not read
again.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from clew import Api, Bearer, Connector, CursorPages, From, Limit, Version, schemes
from clew.connectors.webhooks.work import NOTION

from .ids import id_of
from .rules import ERRORS

notion = Connector(
    "notion",
    title="Notion",
    base_url="https://api.notion.com/v1",
    version=Version("2025-09-03", header="Notion-Version"),
    auth=(
        Bearer(help="https://www.notion.so/profile/integrations (internal integration token)"),
        schemes.OAuth2(
            authorize_url="https://api.notion.com/v1/oauth/authorize",
            token_url="https://api.notion.com/v1/oauth/token",
            revoke_url="https://api.notion.com/v1/oauth/revoke",
            introspect_url="https://api.notion.com/v1/oauth/introspect",
            client_auth="basic",
            body_format="json",
            pkce="off",
            scope_separator="",  # no scopes: a person picks pages, and the integration's settings say what it may do
            authorize_parameters={"owner": "user"},
            refresh_class="C",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule("misconfigured", code="invalid_client|unauthorized|invalid_request|validation_error"),
                schemes.TokenRule(
                    "outage", code="rate_limited|service_overload|internal_server_error|service_unavailable"
                ),
            ),
        ),
    ),
    pages=CursorPages(items="results", parameter="start_cursor", size=50, size_parameter="page_size"),
    # An average of 3 a second for a connection, bursts allowed (memory). https://developers.notion.com
    rate_limits=Limit(amount=3, per=1, kind="bucket", burst=10),
    errors=ERRORS,
    webhooks=NOTION,
    docs="https://developers.notion.com/reference",
)

Id = Annotated[str, AfterValidator(id_of), Field(max_length=500, description="Id or URL.")]
Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]


class _Bot(BaseModel):
    id: str
    name: str | None = None
    workspace: Annotated[str | None, From("bot.workspace_name")] = None


@notion.identity
async def bot(api: Api) -> str:
    """The name of the connection and of its workspace."""
    me = await api.get("/users/me", into=_Bot)
    return " in ".join(filter(None, (me.name or me.id, me.workspace)))
