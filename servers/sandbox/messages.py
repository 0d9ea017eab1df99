"""Messages: accepted is not done; the end comes later, by status and by webhook."""

import asyncio
from typing import Any

from starlette.responses import JSONResponse, Response

from .cursors import list_answer
from .gate import Call, Handler, check_fields, is_text
from .idempotency import answer_once
from .refusals import refuse_missing
from .state import State
from .tables import Row, show
from .webhooks import announce

SENDERS = ("support@acme.example", "billing@acme.example")
_BOUNCE = {"code": "5.1.1", "reason": "No such mailbox"}


def _is_address(value: Any) -> bool:
    return is_text(value) and "@" in value.strip("@") and " " not in value


async def send_message(call: Call) -> Response:
    """Accept a message, once per idempotency key."""
    return await answer_once(call, lambda: _accept(call))


async def _accept(call: Call) -> Response:
    """An unknown sender is answered 200 with `ok: false`, as some real APIs do."""
    data = await call.read_json()
    checks = {"from": _is_address, "to": _is_address, "subject": is_text, "text": is_text}
    check_fields(data, checks, required=tuple(checks))
    if data["from"] not in SENDERS:
        return JSONResponse({"ok": False, "error": "unknown_sender"})
    row = call.state.store.messages.add(
        {
            "ok": True,
            "from": data["from"],
            "to": data["to"],
            "subject": data["subject"],
            "status": "accepted",
            "bounce": None,
            "created_at": call.state.timestamp(),
        }
    )
    call.commit("message", "create", row)
    call.state.spawn(_deliver(call.state, row))
    return JSONResponse(show(row), 202)


async def get_message(call: Call) -> Response:
    """Answer one message as it stands."""
    row = call.state.store.messages.get(call.path_id)
    if row is None:
        raise refuse_missing("message", call.path_id)
    return JSONResponse(show(row))


async def list_messages(call: Call) -> Response:
    """Answer a page of messages."""
    return JSONResponse(list_answer(call.state.store.messages, call.query))


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/messages", "messages:read", list_messages),
    ("POST", "/messages", "messages:write", send_message),
    ("GET", "/messages/{id}", "messages:read", get_message),
]


async def _deliver(state: State, row: Row) -> None:
    await asyncio.sleep(state.settings.message_delivery_seconds)
    bounced = row["to"].lower().endswith("@bounce.example")
    row["status"] = "bounced" if bounced else "delivered"
    row["bounce"] = _BOUNCE if bounced else None
    announce(state, f"message.{row['status']}", show(row))
