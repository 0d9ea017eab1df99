"""Webhooks by Standard Webhooks: registration, signing, delivery, retries, and the ways a delivery goes wrong."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from .cursors import list_answer
from .gate import Call, Handler, check_fields, no_content
from .refusals import RefusalError, refuse_missing
from .state import Delivery, State
from .tables import Row, show

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_STALE_SECONDS = 3600
_GONE = 410


def announce(state: State, event_type: str, data: Row) -> None:
    """Send an event to every endpoint that wants it. Returns at once; deliveries go on by themselves."""
    body = json.dumps({"type": event_type, "timestamp": state.timestamp(), "data": data}, ensure_ascii=False).encode()
    event_id = f"evt_{secrets.token_hex(12)}"
    for webhook in state.store.webhooks:
        if not webhook["disabled"] and ("*" in webhook["events"] or event_type in webhook["events"]):
            _dispatch(state, webhook, event_type, event_id, body)


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the `v1,<base64>` signature of a delivery; `secret` is the `whsec_…` text."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{event_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()}"


async def create_webhook(call: Call) -> Response:
    """Register an endpoint; the secret is shown this once."""
    data = await call.read_json()
    check_fields(data, {"url": _is_loopback_url, "events": _is_events}, required=("url",))
    row = call.state.store.webhooks.add(
        {
            "url": data["url"],
            "events": data.get("events", ["*"]),
            "disabled": False,
            "created_at": call.state.timestamp(),
            "_secrets": [_make_secret()],
            "_held": [],
        }
    )
    call.commit("webhook", "create", row)
    return JSONResponse({**show(row), "secret": row["_secrets"][0]}, 201)


async def rotate_secret(call: Call) -> Response:
    """Give the endpoint a new secret; deliveries carry the signatures of both until the next rotation."""
    row = _find(call)
    row["_secrets"] = [_make_secret(), row["_secrets"][0]]
    call.commit("webhook", "rotate", row)
    return JSONResponse({**show(row), "secret": row["_secrets"][0]})


async def list_webhooks(call: Call) -> Response:
    """Answer a page of endpoints."""
    return JSONResponse(list_answer(call.state.store.webhooks, call.query))


async def get_webhook(call: Call) -> Response:
    """Answer one endpoint."""
    return JSONResponse(show(_find(call)))


async def delete_webhook(call: Call) -> Response:
    """Forget an endpoint; what is under way to it is not sent again."""
    row = _find(call)
    row["disabled"] = True
    call.state.store.webhooks.remove(row["id"])
    call.commit("webhook", "delete", row)
    return no_content()


async def list_deliveries(call: Call) -> Response:
    """Answer a page of what was sent to an endpoint."""
    row = _find(call)
    names = ("id", "event_id", "event_type", "attempts", "status", "response_status")
    sent = [item for item in call.state.deliveries if item.webhook_id == row["id"]]
    return JSONResponse(list_answer([{name: getattr(item, name) for name in names} for item in sent], call.query))


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/webhooks", "webhooks:read", list_webhooks),
    ("POST", "/webhooks", "webhooks:write", create_webhook),
    ("GET", "/webhooks/{id}", "webhooks:read", get_webhook),
    ("DELETE", "/webhooks/{id}", "webhooks:write", delete_webhook),
    ("POST", "/webhooks/{id}/rotate", "webhooks:write", rotate_secret),
    ("GET", "/webhooks/{id}/deliveries", "webhooks:read", list_deliveries),
]


@dataclass(frozen=True, slots=True)
class _Shipment:
    """One delivery with all it needs: it waits for `after` to be set, and sets the events in `releases` at its end."""

    webhook: Row
    delivery: Delivery
    body: bytes
    fault: str
    after: asyncio.Event | None
    releases: list[asyncio.Event]


def _dispatch(state: State, webhook: Row, event_type: str, event_id: str, body: bytes) -> None:
    taken = state.faults.take_webhook(event_type)
    fault = "" if taken is None else taken.fault
    if fault == "webhook_lost":
        return
    after: asyncio.Event | None = None
    releases: list[asyncio.Event] = webhook["_held"]
    webhook["_held"] = []
    if fault == "webhook_reorder":
        after = asyncio.Event()
        webhook["_held"], releases = [*releases, after], []
    for _ in range(2 if fault == "webhook_duplicate" else 1):
        delivery = Delivery(
            id=f"dlv_{len(state.deliveries) + 1:06d}",
            webhook_id=webhook["id"],
            event_id=event_id,
            event_type=event_type,
        )
        state.deliveries.append(delivery)
        state.spawn(_deliver(state, _Shipment(webhook, delivery, body, fault, after, releases)))


async def _deliver(state: State, shipment: _Shipment) -> None:
    if shipment.after is not None:
        await shipment.after.wait()
    shipment.delivery.status = "failed" if not await _try(state, shipment) else "delivered"
    for held in shipment.releases:
        held.set()


async def _try(state: State, shipment: _Shipment) -> bool:
    """Send until the endpoint says 2xx, the retries are used up, or it is disabled."""
    webhook, delivery = shipment.webhook, shipment.delivery
    for wait in (0.0, *state.settings.webhook_retry_seconds):
        await asyncio.sleep(wait)
        if webhook["disabled"]:
            return False
        headers = _sign_headers(state, shipment)
        delivery.attempts += 1
        status = await _post(webhook["url"], headers, shipment.body, state.settings.webhook_timeout_seconds)
        delivery.response_status = status
        if status is not None and 200 <= status < 300:
            return True
        if status == _GONE:
            webhook["disabled"] = True
    return False


def _sign_headers(state: State, shipment: _Shipment) -> Mapping[str, str]:
    event_id = shipment.delivery.event_id
    timestamp = int(state.now()) - (_STALE_SECONDS if shipment.fault == "webhook_stale" else 0)
    keys = [_make_secret()] if shipment.fault == "webhook_forged" else shipment.webhook["_secrets"]
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, event_id, timestamp, shipment.body) for key in keys),
    }


async def _post(url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> int | None:
    """POST to a loopback address and return the status, or None when no answer came. Redirects are not followed."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await writer.drain()
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, ValueError, IndexError, TimeoutError):
        return None


def _make_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def _find(call: Call) -> Row:
    row = call.state.store.webhooks.get(call.path_id)
    if row is None:
        raise refuse_missing("webhook", call.path_id)
    return row


def _is_loopback_url(value: Any) -> bool:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.username is not None or not port_is_fine:
        raise RefusalError(422, "invalid_field", "Acme sends webhooks to http loopback addresses only.", field="url")
    return True


def _is_events(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    return value != [] and all(isinstance(event, str) for event in cast("Iterable[Any]", value))
