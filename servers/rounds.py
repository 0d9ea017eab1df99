"""What the workers of one address share, so that any of them can take the next round of a call.

In the 2026-07-28 era a question is a result, and the answer may reach another worker than the one that asked. The keys
that seal what the client carries between the rounds lie in the database, themselves sealed with the vault's keys, and
so do the answers that were used, so that none counts twice whichever worker it reaches.
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateBoundary, RequestStateSecurity

from clew.core.connection import LOCAL_TENANT
from clew.core.database import Database, Transaction
from clew.core.errors import ClewError
from clew.core.sealer import Sealer
from clew.servers.origins import principal_of

log = logging.getLogger(__name__)

STEPS = (
    "CREATE TABLE round_keys (id TEXT PRIMARY KEY, sealed BLOB NOT NULL, created DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE round_answers (nonce TEXT PRIMARY KEY, ends DOUBLE PRECISION NOT NULL)",
)

LIFETIME = 600.0
"""Seconds between two rounds of a call; what is older is refused by its seal, and need not be remembered longer."""
_MARGIN = 300.0
"""Seconds by which clocks of workers may differ."""
_KEY_SECONDS = 7 * 86400.0
"""A key seals for so long; then there is a new one, and the former only opens."""
_SETTLED = 180.0
"""Seconds after which every worker has read a new key. Only then is anything sealed with it."""
_FRESH = 60.0
"""Seconds for which what was read is believed."""


class Answers(Protocol):
    """Which answers were used."""

    async def use(self, nonce: str) -> bool:
        """Use an answer up; False when it was used before."""
        ...


class OwnAnswers:
    """The answers of a process that shares nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._used: dict[str, float] = {}
        self._clock = clock

    async def use(self, nonce: str) -> bool:
        """As `Answers` says."""
        now = self._clock()
        for old in [each for each, at in self._used.items() if now - at > LIFETIME + _MARGIN]:
            del self._used[old]
        if nonce in self._used:
            return False
        self._used[nonce] = now
        return True


class Rounds:
    """The keys and the used answers of one database. Made by `open_rounds`; a `RequestStateCodec` of the SDK."""

    def __init__(self, database: Database, sealer: Sealer, clock: Callable[[], float], fresh: float) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._fresh = fresh
        self._codec: AESGCMRequestStateCodec | None = None
        self._read_at = 0.0

    def seal(self, payload: bytes) -> str:
        """Seal with the present key."""
        assert self._codec is not None
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """Open what any worker has sealed. Raises the SDK's `InvalidRequestState`."""
        assert self._codec is not None
        return self._codec.unseal(token)

    async def use(self, nonce: str) -> bool:
        """Use an answer up, for all workers; False when one of them has. It is durable when this returns."""
        now = self._clock()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM round_answers WHERE ends < ?", now)
            used = await tx.execute(
                "INSERT INTO round_answers (nonce, ends) VALUES (?, ?) ON CONFLICT (nonce) DO NOTHING",
                nonce, now + LIFETIME + _MARGIN,
            )  # fmt: skip
        return used == 1

    async def refresh(self) -> None:
        """Read the keys when it is time. A store that is out does not end what is known; while nothing is known, what
        would be sealed or opened is refused."""
        if self._codec is not None and time.monotonic() - self._read_at < self._fresh:
            return
        try:
            await self._read()
        except ClewError as error:
            log.warning("the keys between rounds cannot be read: %s", error)
        self._read_at = time.monotonic()

    async def _read(self) -> None:
        newest = await self._database.fetch_one("SELECT MAX(created) FROM round_keys")
        if newest is None or newest[0] is None or newest[0] < self._clock() - _KEY_SECONDS:
            await self._make()
        rows = await self._database.fetch_all("SELECT id, sealed, created FROM round_keys ORDER BY created DESC, id")
        opened = [
            (created, await self._sealer.open(bytes(sealed), tenant=LOCAL_TENANT, label=_label(id)))
            for id, sealed, created in rows
        ]
        settled = [key for created, key in opened if created < self._clock() - _SETTLED]
        first = settled[0] if settled else opened[-1][1]
        self._codec = AESGCMRequestStateCodec([first, *(key for _, key in opened if key != first)])

    async def _make(self) -> None:
        """A new key, unless another worker is faster."""
        id, now = secrets.token_hex(8), self._clock()
        sealed = await self._sealer.seal(os.urandom(32), tenant=LOCAL_TENANT, label=_label(id))
        async with self._database.transaction() as tx:
            if await _has_newer(tx, now - _KEY_SECONDS):
                return
            await tx.execute("INSERT INTO round_keys (id, sealed, created) VALUES (?, ?, ?)", id, sealed, now)
            old = now - _KEY_SECONDS - 86400.0
            await tx.execute("DELETE FROM round_keys WHERE created < ?", old)


class SharedBoundary(RequestStateBoundary):
    """The SDK's boundary with keys that are read from time to time."""

    def __init__(self, rounds: Rounds, *, audience: str) -> None:
        security = RequestStateSecurity(codec=rounds, ttl=LIFETIME, bind_principal=_bound)
        super().__init__(security, default_audience=audience)
        self._rounds = rounds

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Seal and open with the keys as they are now."""
        if ctx.method == "tools/call":
            await self._rounds.refresh()
        return await super().__call__(ctx, call_next)


def boundary(rounds: Rounds | None, *, audience: str) -> RequestStateBoundary:
    """What seals the state that a client carries: with shared keys, or with one of this process alone."""
    if rounds is not None:
        return SharedBoundary(rounds, audience=audience)
    security = RequestStateSecurity(keys=[os.urandom(32)], ttl=LIFETIME, bind_principal=_bound)
    return RequestStateBoundary(security, default_audience=audience)


def _bound(context: ServerRequestContext[Any, Any]) -> str | None:
    """Whom a state is good for: the principal that was asked, and nobody else."""
    principal = principal_of(context)
    return json.dumps(principal.key) if principal else None


def _label(id: str) -> str:
    return f"round key {id}"


async def _has_newer(tx: Transaction, moment: float) -> bool:
    row = await tx.fetch_one("SELECT id FROM round_keys WHERE created > ?", moment)
    return row is not None


async def open_rounds(
    database: Database, sealer: Sealer, clock: Callable[[], float] = time.time, *, fresh: float = _FRESH
) -> Rounds:
    """Make the tables when they are missing. Keys are read when a call needs them, and again after `fresh` seconds."""
    await database.migrate("rounds", STEPS)
    return Rounds(database, sealer, clock, fresh)
