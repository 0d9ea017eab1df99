"""The help desk with clew: five tools."""

from typing import Annotated

from pydantic import BaseModel

from clew import Api, Bearer, Connector, CursorPages, ErrorMap, From, Page, Rule, Version, once

helpdesk = Connector(
    "helpdesk",
    base_url="https://api.acme.example",
    auth=Bearer(help="Acme, Settings, API tokens"),
    version=Version("2026-07-01", header="Acme-Version"),
    pages=CursorPages(items="data"),
    errors=ErrorMap(
        message=("error.message",),
        provider_code=("error.code",),
        rules=(Rule(code="already_done", status=409, body={"error.code": "already_closed"}),),
    ),
)


class Ticket(BaseModel):
    id: str
    subject: str
    status: str
    comments: Annotated[int, From("comments_count")]


class Contact(BaseModel):
    id: str
    name: str
    email: str


@helpdesk.read
async def list_tickets(api: Api, status: str | None = None, cursor: str | None = None) -> Page[Ticket]:
    """List tickets, oldest first."""
    return await api.page("/api/tickets", into=Ticket, cursor=cursor, query={"status": status})


@helpdesk.read
async def get_ticket(api: Api, ticket_id: str) -> Ticket:
    """Read one ticket."""
    return await api.get("/api/tickets/{}", ticket_id, into=Ticket)


@helpdesk.read
async def search_contacts(api: Api, email: str, cursor: str | None = None) -> Page[Contact]:
    """Find contacts by e-mail address."""
    return await api.page("/api/contacts", into=Contact, cursor=cursor, query={"email": email})


@helpdesk.write(once=once.ProviderKey(header="Idempotency-Key"))
async def create_ticket(api: Api, subject: str, body: str = "") -> Ticket:
    """Open a ticket."""
    return await api.post("/api/tickets", json={"subject": subject, "body": body}, into=Ticket)


@helpdesk.destructive(preview=get_ticket, once=once.NaturalKey())
async def close_ticket(api: Api, ticket_id: str) -> Ticket:
    """Close a ticket. It cannot be opened again."""
    return await api.post("/api/tickets/{}/close", ticket_id, into=Ticket)
