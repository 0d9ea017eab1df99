"""What a failed refresh means to the callers, and how long everybody leaves the token endpoint alone after it."""

import json

from clew.auth.advice import refused
from clew.auth.leases import Leases, lease_name
from clew.auth.oauth import Refusal
from clew.core.connection import Connection
from clew.core.errors import CallError, InternalError, Retry, TransientError


class Rests:
    """The rests after failed refreshes, shared by all processes: an outage is not hammered, a lock-out not provoked."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def check(self, connection: Connection, kind: str) -> None:
        """Raise what the last refresh failed with while the rest after it lasts."""
        rest = await self._leases.resting(_name(connection))
        if rest is not None and rest.left > 0:
            raise failure(connection, _recalled(rest.reason), kind, rest.left)

    async def begin(self, connection: Connection, answer: Refusal) -> float:
        """Order a rest after `answer` and return its seconds; 0 when nothing was sent."""
        if answer.code == "too_late":
            return 0.0
        reason = json.dumps([answer.verdict, answer.code, answer.status])
        return await self._leases.rest(_name(connection), reason, at_least=answer.retry_after or 0.0)

    async def end(self, connection: Connection) -> None:
        """It works again."""
        if await self._leases.resting(_name(connection)) is not None:
            await self._leases.recovered(_name(connection))


def _name(connection: Connection) -> str:
    return lease_name("refresh", connection)


def _recalled(reason: str) -> Refusal:
    verdict, code, status = json.loads(reason)
    return Refusal(verdict, code, status=status)


def failure(connection: Connection, answer: Refusal, kind: str, wait: float = 0.0) -> CallError:
    """The error for a refusal: an outage, a client the operator has to correct, or a credential that is not taken.

    `kind` is that of the stored credential; `wait` is how many seconds nobody will ask again.
    """
    if answer.verdict in ("dead", "interaction"):
        return refused(connection, kind, answer.code)
    if answer.verdict == "outage":
        return TransientError(
            f"The authorization server of {connection.connector} gives no usable answer at the moment.",
            retry_after=wait or None,
            provider_code=answer.code or None,
            status=answer.status,
        )
    return InternalError(
        f"The authorization server of {connection.connector} does not accept this server's OAuth client or request.",
        next_step="Ask the person who runs the server to check the OAuth client's id and secret. The account is fine.",
        retry=Retry.AFTER_HUMAN,
        provider_code=answer.code or None,
        provider_message=answer.message or None,
        status=answer.status,
    )
