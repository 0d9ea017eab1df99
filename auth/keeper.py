"""Storing what a refresh brought. The old pair is worth nothing by then, so the new one is held on to until it is
durable, or somebody has stored a newer one, or the process ends."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace

from clew.auth.facts import Facts, new_generation
from clew.auth.leases import Lease, Leases, lease_name
from clew.auth.oauth import Grant
from clew.auth.vault import Record, StaleRecordError, Vault
from clew.core.connection import Connection
from clew.core.errors import CallError, InternalError, Retry, TransientError
from clew.core.secret import Secret
from clew.core.values import dataclass

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long callers, and the end of the process, wait for a store that does not take the new pair."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a refresh brought for the generation it replaces. `disown` ends it at the provider: nobody wants it."""

    connection: Connection
    replaces: str
    grant: Grant
    fields: Mapping[str, Secret | None]
    obtained_at: float = field(default_factory=time.time)
    generation: str = field(default_factory=new_generation)
    disown: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)


class Keeper:
    """Makes new pairs durable, and keeps those in memory that the store does not take."""

    def __init__(self, vault: Vault, leases: Leases, *, lease_seconds: float) -> None:
        self._vault = vault
        self._leases = leases
        self._lease_seconds = lease_seconds
        self._held: dict[Connection, asyncio.Task[bool]] = {}
        self._ending: set[asyncio.Task[bool]] = set()
        self._faults: set[Connection] = set()

    def holds(self, connection: Connection) -> bool:
        """Is there a pair of this connection that is not stored yet? Its lease is then kept here, too."""
        return connection in self._held

    def check(self, connection: Connection) -> None:
        """Raise while a new pair waits to be stored: asking with the old one would only burn it."""
        if connection in self._held:
            raise self._unstored(connection)

    async def store(self, record: Record, pair: Pair, lease: Lease) -> bool:
        """Make the pair durable and return True; False when somebody has stored a newer one meanwhile.

        When the store fails it is tried again, for longer than the callers wait: they get `InternalError`.
        """
        try:
            await self._vault.amend(record, renewed(record.facts, pair), pair.fields, fence=lease.fence)
        except Exception as error:  # whatever it is, the pair must not be lost
            if not isinstance(error, StaleRecordError):
                self._faults.add(pair.connection)
                log.error(
                    "the new credential of %s cannot be stored; it is kept in memory and tried again: %s",
                    pair.connection,
                    error,
                )
            return await self._hold_on(pair, lease)
        return True

    async def close(self) -> None:
        """Give the store a last chance; what it still does not take is lost with the process, and said so."""
        saving = set(self._ending)
        if saving:
            await asyncio.wait(saving, timeout=PATIENCE_SECONDS)
        for connection in self._held:
            log.error("the new credential of %s could not be stored and is lost: log in again", connection)
        for task in saving:
            task.cancel()
        await asyncio.gather(*saving, return_exceptions=True)

    async def _hold_on(self, pair: Pair, lease: Lease) -> bool:
        saving = asyncio.create_task(self._settle(pair, lease), name="clew store new credential")
        self._held[pair.connection] = saving
        self._ending.add(saving)
        saving.add_done_callback(self._ended)
        await asyncio.wait({saving}, timeout=PATIENCE_SECONDS)
        if saving.done():
            return saving.result()
        raise self._unstored(pair.connection)

    def _ended(self, saving: asyncio.Task[bool]) -> None:
        self._ending.discard(saving)
        if not saving.cancelled():
            saving.exception()

    def _unstored(self, connection: Connection) -> CallError:
        """There is a new credential which cannot be used before it is stored."""
        if connection not in self._faults:
            return TransientError(f"Another process is renewing the credential of {connection}.")
        return InternalError(
            f"The new credential of {connection} cannot be stored; it is kept in memory and tried again.",
            next_step="Ask the person who runs the server to repair its storage without stopping it, then call again.",
            retry=Retry.AFTER_HUMAN,
        )

    async def _settle(self, pair: Pair, lease: Lease) -> bool:
        """Save it, or end it when its connection was logged out meanwhile: it would live on unknown to anybody."""
        saved = await self._save(pair, lease)
        if not saved and pair.disown is not None and await self._vault.get(pair.connection) is None:
            await pair.disown()
        return saved

    async def _save(self, pair: Pair, lease: Lease) -> bool:
        held: Lease | None = lease
        pause = 0.02
        try:
            while True:
                with contextlib.suppress(Exception):  # told already; the store may come back
                    record = await self._vault.get(pair.connection)
                    if record is None or record.facts.generation != pair.replaces:
                        return record is not None and record.facts.generation == pair.generation
                    held = await self._regain(pair.connection, held)
                    if held is not None:
                        await self._vault.amend(record, renewed(record.facts, pair), pair.fields, fence=held.fence)
                        log.info("the new credential of %s is stored", pair.connection)
                        return True
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.5)
        finally:
            del self._held[pair.connection]
            self._faults.discard(pair.connection)
            if held is not None:
                with contextlib.suppress(CallError):
                    await self._leases.release(held)

    async def _regain(self, connection: Connection, lease: Lease | None) -> Lease | None:
        """Our lease for longer, or a new one with a higher fence once nobody else holds it."""
        kept = None if lease is None else await self._leases.extend(lease, seconds=self._lease_seconds)
        return kept or await self._leases.acquire(lease_name("refresh", connection), seconds=self._lease_seconds)


def renewed(facts: Facts, pair: Pair) -> Facts:
    """The facts after a refresh; what the answer does not name stays as it was."""
    grant = pair.grant
    return replace(
        facts,
        generation=pair.generation,
        scopes=facts.scopes if grant.scopes is None else grant.scopes,
        obtained_at=pair.obtained_at,
        expires_at=grant.expires_at,
        refresh_at=grant.refresh_at,
        refresh_expires_at=grant.refresh_expires_at or facts.refresh_expires_at,
        variables={**facts.variables, **grant.variables},
        refreshed=facts.refreshed + 1,
        refused_at=None,
        refused=None,
    )
