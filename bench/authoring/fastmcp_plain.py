# pyright: basic, reportMissingImports=false
"""The help desk with FastMCP as its guides show it: five tools over httpx, one token from the environment."""

import os
from typing import Any
from urllib.parse import quote

import httpx
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from pydantic import BaseModel

mcp = FastMCP("helpdesk")
client = httpx.AsyncClient(
    base_url="https://api.acme.example",
    headers={"authorization": f"Bearer {os.environ.get('ACME_TOKEN', '')}", "acme-version": "2026-07-01"},
)


class Ticket(BaseModel):
    id: str
    subject: str
    status: str
    comments: int


class Tickets(BaseModel):
    items: list[Ticket]
    next_cursor: str | None = None


class Contact(BaseModel):
    id: str
    name: str
    email: str


class Contacts(BaseModel):
    items: list[Contact]
    next_cursor: str | None = None


def ticket_of(data: dict[str, Any]) -> Ticket:
    return Ticket(id=data["id"], subject=data["subject"], status=data["status"], comments=data["comments_count"])


async def call(method: str, path: str, **more: Any) -> Any:
    response = await client.request(method, path, **more)
    if response.is_error:
        raise ToolError(f"Acme answered {response.status_code}: {response.json()['error']['message']}")
    return response.json()


@mcp.tool(annotations={"readOnlyHint": True})
async def list_tickets(status: str | None = None, cursor: str | None = None) -> Tickets:
    """List tickets, oldest first."""
    query = {name: value for name, value in {"status": status, "cursor": cursor}.items() if value is not None}
    data = await call("GET", "/api/tickets", params=query)
    return Tickets(items=[ticket_of(each) for each in data["data"]], next_cursor=data.get("next_cursor"))


@mcp.tool(annotations={"readOnlyHint": True})
async def get_ticket(ticket_id: str) -> Ticket:
    """Read one ticket."""
    return ticket_of(await call("GET", f"/api/tickets/{quote(ticket_id, safe='')}"))


@mcp.tool(annotations={"readOnlyHint": True})
async def search_contacts(email: str, cursor: str | None = None) -> Contacts:
    """Find contacts by e-mail address."""
    query = {name: value for name, value in {"email": email, "cursor": cursor}.items() if value is not None}
    data = await call("GET", "/api/contacts", params=query)
    return Contacts(items=[Contact(**each) for each in data["data"]], next_cursor=data.get("next_cursor"))


@mcp.tool
async def create_ticket(subject: str, body: str = "") -> Ticket:
    """Open a ticket."""
    return ticket_of(await call("POST", "/api/tickets", json={"subject": subject, "body": body}))


@mcp.tool(annotations={"destructiveHint": True})
async def close_ticket(ticket_id: str) -> Ticket:
    """Close a ticket. It cannot be opened again."""
    return ticket_of(await call("POST", f"/api/tickets/{quote(ticket_id, safe='')}/close"))
