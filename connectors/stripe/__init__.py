"""Stripe: customers, invoices, payments, refunds and cancellations, over API v1.

`provider` holds the facts, `rules` the errors and `money` the amounts; each of the other modules is one toolset or, in
`endings`, what cannot be taken back; `hooks` says what events mean.
"""

from . import customers, endings, hooks, invoices, payments
from .provider import stripe

__all__ = ["customers", "endings", "hooks", "invoices", "payments", "stripe"]
