"""Transports other than HTTP, as core sees them: one operation, one answer, the same outcomes.

An `Exchange` with a carrier takes the same way as any other: budgets, credential, send, judge, retry, record. Only what
`send` does differs. The answer has a status as HTTP has it: SMTP's reply code, or 200 and 400 for yes and no.
"""

from typing import Protocol

from clew.core.bounds import Bounds
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.response import Response


class Carrier(Protocol):
    """Does one operation at the provider over a connection of its own."""

    async def carry(
        self, credential: Credential | None, *, bounds: Bounds, deadline: Deadline, safe: bool, provider: str
    ) -> Response:
        """Do the operation and bring the answer, also one that refuses.

        Raises what `lost` of `core.outcomes` says when there is no answer: `TransientError` when nothing can have
        happened, `OutcomeUnknownError` when it may have; with a `ConnectionError` as its cause when the host is gone.
        """
        ...
