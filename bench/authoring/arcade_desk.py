# pyright: basic, reportMissingImports=false
"""The help desk with Arcade's arcade-tdk: five tools, the token from Arcade's secrets."""

from typing import Annotated, Any
from urllib.parse import quote

import httpx
from arcade_tdk import ToolContext, tool
from arcade_tdk.errors import ToolExecutionError


async def call(context: ToolContext, method: str, path: str, **more: Any) -> Any:
    headers = {"authorization": f"Bearer {context.get_secret('ACME_TOKEN')}", "acme-version": "2026-07-01"}
    async with httpx.AsyncClient(base_url="https://api.acme.example", headers=headers) as client:
        response = await client.request(method, path, **more)
    if response.is_error:
        raise ToolExecutionError(f"Acme answered {response.status_code}: {response.json()['error']['message']}")
    return response.json()


def ticket_of(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": data["id"],
        "subject": data["subject"],
        "status": data["status"],
        "comments": data["comments_count"],
    }


@tool(requires_secrets=["ACME_TOKEN"])
async def list_tickets(
    context: ToolContext,
    status: Annotated[str | None, "Only tickets with this status."] = None,
    cursor: Annotated[str | None, "The next_cursor of the page before."] = None,
) -> Annotated[dict[str, Any], "Tickets and the next cursor."]:
    """List tickets, oldest first."""
    query = {name: value for name, value in {"status": status, "cursor": cursor}.items() if value is not None}
    data = await call(context, "GET", "/api/tickets", params=query)
    return {"items": [ticket_of(each) for each in data["data"]], "next_cursor": data.get("next_cursor")}


@tool(requires_secrets=["ACME_TOKEN"])
async def get_ticket(
    context: ToolContext, ticket_id: Annotated[str, "The ticket's id."]
) -> Annotated[dict[str, Any], "The ticket."]:
    """Read one ticket."""
    return ticket_of(await call(context, "GET", f"/api/tickets/{quote(ticket_id, safe='')}"))


@tool(requires_secrets=["ACME_TOKEN"])
async def search_contacts(
    context: ToolContext,
    email: Annotated[str, "The e-mail address."],
    cursor: Annotated[str | None, "The next_cursor of the page before."] = None,
) -> Annotated[dict[str, Any], "Contacts and the next cursor."]:
    """Find contacts by e-mail address."""
    query = {name: value for name, value in {"email": email, "cursor": cursor}.items() if value is not None}
    data = await call(context, "GET", "/api/contacts", params=query)
    items = [{"id": each["id"], "name": each["name"], "email": each["email"]} for each in data["data"]]
    return {"items": items, "next_cursor": data.get("next_cursor")}


@tool(requires_secrets=["ACME_TOKEN"])
async def create_ticket(
    context: ToolContext, subject: Annotated[str, "The subject."], body: Annotated[str, "The first message."] = ""
) -> Annotated[dict[str, Any], "The ticket."]:
    """Open a ticket."""
    return ticket_of(await call(context, "POST", "/api/tickets", json={"subject": subject, "body": body}))


@tool(requires_secrets=["ACME_TOKEN"])
async def close_ticket(
    context: ToolContext, ticket_id: Annotated[str, "The ticket's id."]
) -> Annotated[dict[str, Any], "The ticket."]:
    """Close a ticket. It cannot be opened again."""
    return ticket_of(await call(context, "POST", f"/api/tickets/{quote(ticket_id, safe='')}/close"))
