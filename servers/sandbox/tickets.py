"""Tickets: a list by status, a natural key of the caller's own, and a way of life (open, closed)."""

from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from .cursors import list_answer
from .gate import Call, Handler, check_fields, is_optional_text, is_text
from .refusals import RefusalError, refuse_missing
from .tables import Row, show
from .tokens import USERS
from .webhooks import announce

_STATUSES = ("open", "pending", "closed")


def _is_priority(value: Any) -> bool:
    return value in ("low", "normal", "high")


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "subject": is_text,
    "body": lambda value: isinstance(value, str) and len(value) <= 10_000,
    "priority": _is_priority,
    "contact_id": is_optional_text,
    "external_id": is_optional_text,
}


async def list_tickets(call: Call) -> Response:
    """Answer a page of tickets, by status, `external_id` or `contact_id`."""
    if call.query.get("status", "open") not in _STATUSES:
        raise RefusalError(422, "invalid_field", "status must be open, pending or closed.", field="status")
    wanted = {key: call.query[key] for key in ("status", "external_id", "contact_id") if key in call.query}
    rows = [row for row in call.state.store.tickets if all(row[key] == value for key, value in wanted.items())]
    return JSONResponse(list_answer(rows, call.query))


async def get_ticket(call: Call) -> Response:
    """Answer one ticket."""
    return JSONResponse(show(_find(call)))


async def create_ticket(call: Call) -> Response:
    """Open a ticket; an `external_id` can be used once."""
    data = await call.read_json()
    check_fields(data, _FIELDS, required=("subject",))
    external_id, contact_id = data.get("external_id"), data.get("contact_id")
    if contact_id is not None and call.state.store.contacts.get(contact_id) is None:
        raise RefusalError(422, "invalid_field", "contact_id names no contact.", field="contact_id")
    if external_id is not None and (other := call.state.store.tickets.find(external_id=external_id)):
        details = {"existing_id": other["id"]}
        message = "A ticket with this external_id exists."
        raise RefusalError(409, "external_id_taken", message, field="external_id", details=details)
    now = call.state.timestamp()
    row = call.state.store.tickets.add(
        {
            "subject": data["subject"],
            "body": data.get("body", ""),
            "status": "open",
            "priority": data.get("priority", "normal"),
            "contact_id": contact_id,
            "external_id": external_id,
            "comments_count": 0,
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
        }
    )
    call.commit("ticket", "create", row)
    announce(call.state, "ticket.created", show(row))
    return JSONResponse(show(row), 201)


async def list_comments(call: Call) -> Response:
    """Answer a page of a ticket's comments."""
    ticket = _find(call)
    rows = [row for row in call.state.store.comments if row["ticket_id"] == ticket["id"]]
    return JSONResponse(list_answer(rows, call.query))


async def add_comment(call: Call) -> Response:
    """Write under a ticket, also under a closed one."""
    ticket = _find(call)
    data = await call.read_json()
    check_fields(data, {"text": is_text}, required=("text",))
    now = call.state.timestamp()
    subject = call.token.grant.subject
    author = USERS.get(subject, (subject, subject))[0]
    row = call.state.store.comments.add(
        {"ticket_id": ticket["id"], "author": author, "text": data["text"], "created_at": now}
    )
    ticket["comments_count"] += 1
    ticket["updated_at"] = now
    call.commit("comment", "create", row)
    announce(call.state, "ticket.commented", show(row))
    return JSONResponse(show(row), 201)


async def close_ticket(call: Call) -> Response:
    """Close a ticket; a closed one stays as it is and says so."""
    ticket = _find(call)
    if ticket["status"] == "closed":
        raise RefusalError(409, "already_closed", "The ticket is closed already.")
    now = call.state.timestamp()
    ticket.update(status="closed", updated_at=now, closed_at=now)
    call.commit("ticket", "close", ticket)
    announce(call.state, "ticket.closed", show(ticket))
    return JSONResponse(show(ticket))


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/tickets", "tickets:read", list_tickets),
    ("POST", "/tickets", "tickets:write", create_ticket),
    ("GET", "/tickets/{id}", "tickets:read", get_ticket),
    ("GET", "/tickets/{id}/comments", "tickets:read", list_comments),
    ("POST", "/tickets/{id}/comments", "tickets:write", add_comment),
    ("POST", "/tickets/{id}/close", "tickets:write", close_ticket),
]


def _find(call: Call) -> Row:
    row = call.state.store.tickets.get(call.path_id)
    if row is None:
        raise refuse_missing("ticket", call.path_id)
    return row
