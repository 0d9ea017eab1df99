"""Requests that must be found wrong, else nothing found would mean nothing.

The test beds send them through their stand-ins, and the connectors' tests hold them against the excerpts.
"""

from collections.abc import Sequence
from typing import Any

GITHUB: Sequence[tuple[str, str, Any]] = (
    ("GET", "/repos/o/r/isues", None),
    ("GET", "/repos/o/r/issues?state=ajar", None),
    ("GET", "/repos/o/r/issues?size=20", None),
    ("POST", "/repos/o/r/issues", {"body": "no title"}),
    ("POST", "/repos/o/r/issues", {"title": "t", "colour": "red"}),
    ("PUT", "/repos/o/r/pulls/1/merge", {"merge_method": "guess"}),
    ("POST", "/repos/o/r/pulls", {"title": "t"}),
)

STRIPE: Sequence[tuple[str, str, str]] = (
    ("GET", "/v1/charge", ""),
    ("GET", "/v1/charges?size=20", ""),
    ("GET", "/v1/charges?limit=ten", ""),
    ("GET", "/v1/customers/search?limit=20", ""),
    ("POST", "/v1/refunds", "payment_intent=pi_1&amount=1.5"),
    ("POST", "/v1/refunds", "payment_intent=pi_1&reason=guess"),
    ("POST", "/v1/payment_intents", "amount=1000"),
    ("POST", "/v1/payment_intents", "amount=1000&currency=usd&automatic_payment_methods[enable]=true"),
    ("POST", "/v1/payment_links", "line_items[0][quantity]=x"),
    ("POST", "/v1/customers/cus_1", "name[first]=Ada"),
    ("POST", "/v1/invoices/in_1/void", "reason=none"),
)
"""Their bodies are forms."""
