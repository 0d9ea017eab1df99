"""Payments: money moves once, cards are declined, and some need a person to confirm."""

import hmac
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import html
from .cursors import list_answer
from .gate import Call, Handler, check_fields, is_amount, is_optional_text
from .idempotency import answer_once
from .refusals import RefusalError, refuse_missing
from .state import State
from .tables import Row, show
from .webhooks import announce

_CARDS = {"4242": "succeeded", "4000": "declined", "3220": "requires_action"}


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()


def _is_card(value: Any) -> bool:
    return isinstance(value, str) and value in _CARDS


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "amount": is_amount,
    "currency": _is_currency,
    "card": _is_card,
    "contact_id": is_optional_text,
    "reference": is_optional_text,
    "description": is_optional_text,
}


async def list_payments(call: Call) -> Response:
    """Answer a page of payments, by `status`, `contact_id` or `reference`."""
    wanted = {key: call.query[key] for key in ("status", "contact_id", "reference") if key in call.query}
    rows = [row for row in call.state.store.payments if all(row[key] == value for key, value in wanted.items())]
    return JSONResponse(list_answer(rows, call.query))


async def get_payment(call: Call) -> Response:
    """Answer one payment."""
    return JSONResponse(show(_find(call)))


async def create_payment(call: Call) -> Response:
    """Charge a card, once per idempotency key."""
    return await answer_once(call, lambda: _charge(call))


async def create_refund(call: Call) -> Response:
    """Give money back, once per idempotency key."""
    return await answer_once(call, lambda: _refund(call))


async def list_refunds(call: Call) -> Response:
    """Answer a page of a payment's refunds."""
    payment = _find(call)
    rows = [row for row in call.state.store.refunds if row["payment_id"] == payment["id"]]
    return JSONResponse(list_answer(rows, call.query))


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/payments", "payments:read", list_payments),
    ("POST", "/payments", "payments:write", create_payment),
    ("GET", "/payments/{id}", "payments:read", get_payment),
    ("GET", "/payments/{id}/refunds", "payments:read", list_refunds),
    ("POST", "/payments/{id}/refunds", "payments:write", create_refund),
]


def page_route(state: State) -> Route:
    """Return the page where a person confirms a payment, as a bank's 3-D Secure page would."""

    async def decide(request: Request) -> Response:
        given = dict(request.query_params)
        if request.method == "POST":
            given |= dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        payment = state.store.payments.get(request.path_params["id"])
        known = payment is not None and hmac.compare_digest(payment.get("_key", "-"), given.get("token", ""))
        if payment is None or not known:
            return html.say("Unknown payment", "This link is wrong.", status=404)
        if payment["status"] != "requires_action":
            return html.say("Nothing to do", f"This payment is decided: {payment['status']}.", status=409)
        price = f"{payment['amount']} {payment['currency']} (minor units)"
        if given.get("decision") not in ("confirm", "fail"):
            buttons = {"confirm": "Confirm", "fail": "Fail"}
            hidden = {"token": given["token"]}
            return html.ask("Confirm this payment?", [price], hidden=hidden, name="decision", buttons=buttons)
        payment["status"] = "succeeded" if given["decision"] == "confirm" else "failed"
        payment["next_action"] = None
        state.commit("payment", given["decision"], payment["id"], request.scope.get("acme.request_id", ""))
        announce(state, f"payment.{payment['status']}", show(payment))
        return html.say("Thank you", f"The payment {payment['status']}.")

    return Route("/pay/{id}", decide, methods=["GET", "POST"])


async def _charge(call: Call) -> Response:
    data = await call.read_json()
    check_fields(data, _FIELDS, required=("amount", "currency", "card"))
    status = _CARDS[data["card"]]
    row = call.state.store.payments.add(
        {
            "amount": data["amount"],
            "currency": data["currency"].upper(),
            "card_last4": data["card"],
            "status": status,
            "refunded_amount": 0,
            "contact_id": data.get("contact_id"),
            "reference": data.get("reference"),
            "description": data.get("description"),
            "next_action": None,
            "created_at": call.state.timestamp(),
        }
    )
    if status == "requires_action":
        row["_key"] = secrets.token_urlsafe(16)
        origin = call.state.url or str(call.request.base_url).rstrip("/")
        row["next_action"] = {"type": "redirect_to_url", "url": f"{origin}/pay/{row['id']}?token={row['_key']}"}
    call.commit("payment", "decline" if status == "declined" else "create", row)
    announce(call.state, f"payment.{status}", show(row))
    if status == "declined":
        details = {"payment_id": row["id"], "decline_code": "insufficient_funds"}
        raise RefusalError(402, "card_declined", "The card was declined.", details=details)
    return JSONResponse(show(row), 201)


async def _refund(call: Call) -> Response:
    payment = _find(call)
    data = await call.read_json() if await call.request.body() else {}
    check_fields(data, {"amount": is_amount})
    if payment["status"] == "refunded":
        raise RefusalError(409, "already_refunded", "Nothing of this payment is left to refund.")
    if payment["status"] not in ("succeeded", "partially_refunded"):
        raise RefusalError(409, "not_refundable", f"The payment is {payment['status']}.")
    left = payment["amount"] - payment["refunded_amount"]
    amount = data.get("amount", left)
    if amount > left:
        raise RefusalError(422, "invalid_field", f"Only {left} is left to refund.", field="amount")
    payment["refunded_amount"] += amount
    payment["status"] = "refunded" if amount == left else "partially_refunded"
    row = call.state.store.refunds.add(
        {
            "payment_id": payment["id"],
            "amount": amount,
            "currency": payment["currency"],
            "status": "succeeded",
            "created_at": call.state.timestamp(),
        }
    )
    call.commit("refund", "create", row)
    announce(call.state, "payment.refunded", show(row))
    return JSONResponse(show(row), 201)


def _find(call: Call) -> Row:
    row = call.state.store.payments.get(call.path_id)
    if row is None:
        raise refuse_missing("payment", call.path_id)
    return row
