"""The parameters that Stripe's Python library declares for its version of the API, asked by name.

The library pins the same version as our connector, so it knows what the older OpenAPI description does not.
"""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from testbeds.stripe_forms import nested

VERSION_MODULE, PARAMETERS = "stripe._api_version", "stripe.params._"
OPERATIONS: Mapping[tuple[str, str], str] = {
    ("GET", "/v1/customers/search"): "CustomerSearch",
    ("GET", "/v1/customers/{customer}"): "CustomerRetrieve",
    ("POST", "/v1/customers/{customer}"): "CustomerUpdate",
    ("GET", "/v1/invoices"): "InvoiceList",
    ("GET", "/v1/invoices/{invoice}"): "InvoiceRetrieve",
    ("POST", "/v1/invoices"): "InvoiceCreate",
    ("POST", "/v1/invoiceitems"): "InvoiceItemCreate",
    ("POST", "/v1/invoices/{invoice}/finalize"): "InvoiceFinalizeInvoice",
    ("POST", "/v1/invoices/{invoice}/void"): "InvoiceVoidInvoice",
    ("GET", "/v1/payment_intents/{intent}"): "PaymentIntentRetrieve",
    ("POST", "/v1/payment_intents"): "PaymentIntentCreate",
    ("GET", "/v1/charges"): "ChargeList",
    ("GET", "/v1/charges/{charge}"): "ChargeRetrieve",
    ("GET", "/v1/balance"): "BalanceRetrieve",
    ("GET", "/v1/account"): "AccountRetrieveCurrent",
    ("POST", "/v1/payment_links"): "PaymentLinkCreate",
    ("POST", "/v1/refunds"): "RefundCreate",
    ("GET", "/v1/subscriptions/{subscription_exposed_id}"): "SubscriptionRetrieve",
    ("POST", "/v1/subscriptions/{subscription_exposed_id}"): "SubscriptionUpdate",
    ("DELETE", "/v1/subscriptions/{subscription_exposed_id}"): "SubscriptionCancel",
}
"""The library's name for each operation that the connector uses."""


def library_version() -> str:
    """The version of the API that the library pins."""
    return str(importlib.import_module(VERSION_MODULE)._ApiVersion.CURRENT)


def unknown(method: str, route: str, text: str) -> list[str]:
    """The names in a query or form that the library does not know."""
    name = OPERATIONS.get((method, route))
    if name is None:
        return [f"{method} {route} is not in the table of operations"]
    module = importlib.import_module(PARAMETERS + _snake(name) + "_params")
    return list(_unknown(module, f"{name}Params", nested(parse_qsl(text, keep_blank_values=True)), ""))


def _unknown(module: ModuleType, kind: str, value: Mapping[str, Any], place: str) -> Sequence[str]:
    declared: Mapping[str, Any] = getattr(module, kind).__annotations__
    found: list[str] = []
    for name, inner in value.items():
        if name not in declared:
            found.append(f"{place}{name} is no parameter of the library")
            continue
        deeper = _class_in(module, kind, str(declared[name]))
        for each in inner if isinstance(inner, list) else [inner]:
            if deeper and isinstance(each, dict):
                found += _unknown(module, deeper, each, f"{place}{name}.")
    return found


def _class_in(module: ModuleType, kind: str, annotation: str) -> str:
    """The class of the module that an annotation names; of several the longest name, the others are its beginnings."""
    names = [name for name in vars(module) if name.startswith(kind) and name != kind and name in annotation]
    return max(names, key=len, default="")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
