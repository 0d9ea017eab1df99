# pyright: basic, reportMissingImports=false
"""The help desk with FastMCP, as far as one process can do what clew does without the author: waits for a rate limit,
repeated reads, an idempotency key, whether a failed write happened, and a person asked with the object in view."""

import asyncio
import json
import os
import uuid
from typing import Any
from urllib.parse import quote

import httpx
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from pydantic import BaseModel, ValidationError

mcp = FastMCP("helpdesk")
client = httpx.AsyncClient(
    base_url="https://api.acme.example",
    headers={"authorization": f"Bearer {os.environ.get('ACME_TOKEN', '')}", "acme-version": "2026-07-01"},
    timeout=30,
)
ATTEMPTS, LONGEST_WAIT = 4, 20.0


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


def failure(code: str, outcome: str, text: str, **more: Any) -> ToolError:
    return ToolError(json.dumps({"code": code, "outcome": outcome, "message": text, **more}))


CODES = {
    400: "invalid_input", 401: "auth_revoked", 403: "permission", 404: "not_found", 409: "conflict",
    422: "invalid_input",
}  # fmt: skip


def judged(response: httpx.Response, *, safe: bool) -> ToolError:
    try:
        error = response.json()["error"]
        code, text = str(error["code"]), str(error["message"])[:200]
    except (ValueError, KeyError, TypeError):
        code, text = "", ""
    if response.status_code == 409 and code == "already_closed":
        return failure("already_done", "applied", "the ticket is closed already")
    if response.status_code in CODES:
        return failure(CODES[response.status_code], "not_applied", f"Acme refused it: {text!r}")
    if response.status_code >= 500 and not safe:
        return failure("outcome_unknown", "unknown", "Acme failed; read the ticket before doing anything else")
    return failure("provider_down", "not_applied", f"Acme answered {response.status_code}")


async def call(method: str, path: str, **more: Any) -> Any:
    headers = {"idempotency-key": str(uuid.uuid4())} if method == "POST" else {}
    safe = method == "GET"
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            response = await client.request(method, path, headers=headers, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if last:
                raise failure("transient", "not_applied", "Acme could not be reached") from None
        except httpx.HTTPError:
            if last:
                code, outcome = ("transient", "not_applied") if safe else ("outcome_unknown", "unknown")
                raise failure(code, outcome, "the answer was lost") from None
        else:
            if response.is_success:
                try:
                    return response.json()
                except ValueError:
                    outcome = "not_applied" if safe else "applied"
                    raise failure("contract_changed", outcome, "Acme answered with no JSON") from None
            if response.status_code == 429:
                wait = float(response.headers.get("retry-after", 1))
                if last or wait > LONGEST_WAIT:
                    raise failure("rate_limited", "not_applied", "the limit is reached", retry_after=wait)
                await asyncio.sleep(wait)
                continue
            if response.status_code < 500 or last:
                raise judged(response, safe=safe)
        await asyncio.sleep(0.3 * 2**attempt)
    raise AssertionError


def ticket_of(data: Any, *, outcome: str = "not_applied") -> Ticket:
    try:
        return Ticket(id=data["id"], subject=data["subject"], status=data["status"], comments=data["comments_count"])
    except (KeyError, TypeError, ValidationError) as error:
        raise failure("contract_changed", outcome, f"Acme's answer changed: {error}") from None


async def page(path: str, **query: str | None) -> tuple[list[Any], str | None]:
    data = await call("GET", path, params={name: value for name, value in query.items() if value is not None})
    following = data.get("next_cursor")
    if following is not None and following == query.get("cursor"):
        raise failure("contract_changed", "not_applied", "Acme's pages run in a circle")
    return data["data"], following


@mcp.tool(annotations={"readOnlyHint": True})
async def list_tickets(status: str | None = None, cursor: str | None = None) -> Tickets:
    """List tickets, oldest first."""
    items, following = await page("/api/tickets", status=status, cursor=cursor)
    return Tickets(items=[ticket_of(each) for each in items], next_cursor=following)


@mcp.tool(annotations={"readOnlyHint": True})
async def get_ticket(ticket_id: str) -> Ticket:
    """Read one ticket."""
    return ticket_of(await call("GET", f"/api/tickets/{quote(ticket_id, safe='')}"))


@mcp.tool(annotations={"readOnlyHint": True})
async def search_contacts(email: str, cursor: str | None = None) -> Contacts:
    """Find contacts by e-mail address."""
    items, following = await page("/api/contacts", email=email, cursor=cursor)
    return Contacts(items=[Contact.model_validate(each) for each in items], next_cursor=following)


@mcp.tool(annotations={"readOnlyHint": False, "destructiveHint": False})
async def create_ticket(subject: str, body: str = "") -> Ticket:
    """Open a ticket."""
    return ticket_of(await call("POST", "/api/tickets", json={"subject": subject, "body": body}), outcome="applied")


@mcp.tool(annotations={"readOnlyHint": False, "destructiveHint": True})
async def close_ticket(ticket_id: str, ctx: Context) -> Ticket:
    """Close a ticket. It cannot be opened again."""
    ticket = await get_ticket(ticket_id)
    answer = await ctx.elicit(f"Close ticket {ticket.id}, {ticket.subject!r}?", response_type=["close it"])
    if answer.action != "accept":
        raise failure("denied", "not_applied", "the person declined")
    return ticket_of(await call("POST", f"/api/tickets/{quote(ticket_id, safe='')}/close"), outcome="applied")
