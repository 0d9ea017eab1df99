"""Objects as Stripe's API sends them (2026-10-28.endive), cut to what matters and to what must not come through."""

from typing import Any

CREATED = 1767225600
TIME = "2026-01-01T00:00:00Z"


def listed(*data: Any, has_more: bool = False, **more: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(data), "has_more": has_more, "url": "/v1/things", **more}


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "id": "cus_1",
        "object": "customer",
        "address": None,
        "balance": -1500,
        "created": CREATED,
        "currency": "usd",
        "delinquent": False,
        "description": None,
        "email": "ada@example.com",
        "invoice_settings": {"default_payment_method": "pm_1", "footer": None},
        "livemode": False,
        "metadata": {"crm": "17"},
        "name": "Ada Lovelace",
        "phone": "",
        "shipping": None,
        **changes,
    }


def charge(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 10_000,
        "amount_captured": 10_000,
        "amount_refunded": 4_000,
        "created": CREATED,
        "currency": "usd",
        "customer": "cus_1",
        "description": None,
        "disputed": False,
        "failure_code": None,
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
        "status": "succeeded",
        **changes,
    }


def intent(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 10_000,
        "amount_received": 10_000,
        "client_secret": "pi_1_secret_x",
        "created": CREATED,
        "currency": "usd",
        "customer": "cus_1",
        "description": "Order 7",
        "last_payment_error": None,
        "latest_charge": charge(),
        "next_action": None,
        "status": "succeeded",
        **changes,
    }


def invoice(**changes: Any) -> dict[str, Any]:
    line = {"id": "il_1", "object": "line_item", "amount": 2500, "currency": "usd", "description": "Hours"}
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 5000,
        "amount_paid": 0,
        "amount_remaining": 5000,
        "auto_advance": False,
        "collection_method": "send_invoice",
        "created": CREATED,
        "currency": "usd",
        "customer": "cus_1",
        "customer_email": "ada@example.com",
        "customer_name": "Ada Lovelace",
        "due_date": CREATED + 86_400,
        "hosted_invoice_url": "https://invoice.stripe.com/i/1",
        "lines": listed({**line, "quantity": 2}, has_more=True),
        "number": "A-1",
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}},
        "status": "open",
        "total": 5000,
        **changes,
    }


def subscription(**changes: Any) -> dict[str, Any]:
    item = {"id": "si_1", "current_period_end": CREATED, "price": {"id": "price_1", "nickname": "Gold"}}
    return {
        "id": "sub_1",
        "object": "subscription",
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "customer": "cus_1",
        "items": listed(item),
        "status": "active",
        **changes,
    }


def refund(**changes: Any) -> dict[str, Any]:
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 2500,
        "charge": "ch_1",
        "currency": "usd",
        "failure_reason": None,
        "payment_intent": "pi_1",
        "reason": None,
        "status": "succeeded",
        **changes,
    }
