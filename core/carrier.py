"""Transports other than HTTP, as core sees them: one operation, one answer, the same outcomes.

An `Exchange` with a carrier takes the same way as any other: budgets, credential, send, judge, retry, record. Only what
`send` does differs. The answer has a status as HTTP has it: SMTP's reply code, or 200 and 400 for yes and no.
"""

from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Rehearsed(Protocol):
    """A carrier that `clew check` can have fail, with nothing real behind it: the operation is not done."""

    def rehearse(self, fault: str) -> bool:
        """From now on end as by this fault, through all that a real one would go through; False where it cannot happen.

        `refused` no connection, `lost` the connection breaks before anything is final, `timeout`, `conflict` a
        deadlock or a failed serialization, `commit_lost` the answer to what makes a change final is lost,
        `commit_conflict` it is refused there; `large` and `type` are answers that nobody expected.
        """
        ...
