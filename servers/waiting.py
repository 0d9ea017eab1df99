"""A call that waits for a person or for the provider: the host opens the link, the webhook ends the write.

Nothing here acts a second time. Whoever stops waiting can make the same call again: the journal answers it.
"""

import asyncio
import time
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from clew.auth.vault import Vault
from clew.auth.webhook_secrets import place_of
from clew.core.call import Call, Structured
from clew.core.connector import Effect
from clew.core.errors import ActionRequiredError, CallError, DeniedError
from clew.core.host import Host
from clew.core.joining import Joining, ending_of
from clew.core.journal import Journal, State, Write
from clew.core.journaling import wanted

_LOOK = 0.2
_TELL = 5.0
"""Seconds between looks at the journal, and between words to the host."""


@runtime_checkable
class OpensLinks(Protocol):
    """A host that can bring a person to a page."""

    async def visit(self, url: str, message: str) -> bool:
        """Offer the link to the person; False when nobody can be asked, or the person does not want to."""
        ...


def is_shown(url: str) -> bool:
    """May a person be sent to this address of a provider? Only to a page with TLS, or on this machine."""
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


class Waiting:
    """Ends the calls of one server whose end comes from outside."""

    def __init__(self, journal: Journal, joining: Joining, vault: Vault) -> None:
        self._journal = journal
        self._joining = joining
        self._vault = vault

    async def accepted(self, call: Call) -> None:
        """A write was accepted: its end may be here already."""
        write = await self._open_write(call)
        if write is not None:
            await self._joining.settle(write)

    async def person(self, call: Call, error: ActionRequiredError, *, host: Host, seconds: float) -> Structured:
        """Bring the person to the page and wait for the end. Raises `error` when nobody goes there, or it takes too
        long; what the provider says then is for the next call."""
        write = await self._open_write(call)
        if write is None:
            raise error
        if not await self._joining.settle(write):
            if error.url is None or not is_shown(error.url) or not isinstance(host, OpensLinks):
                raise error
            if not await host.visit(error.url, error.message) or not await self._hears(call):
                raise error
        return await self._ended(write.id, error, host, seconds)

    async def _ended(self, identity: str, error: ActionRequiredError, host: Host, seconds: float) -> Structured:
        until = time.monotonic() + seconds
        told = 0.0
        while True:
            write = await self._journal.get(identity)
            if write is not None and not write.pending and not self._journal.is_held(write):
                return await self._told(write, error)
            now = time.monotonic()
            if now > until:
                error.next_step = "When the person has confirmed, make the same call again: it is not done twice."
                raise error
            if now - told > _TELL:
                told = now
                await host.progress("waiting for the person to confirm")
            await asyncio.sleep(_LOOK)

    async def _told(self, write: Write, error: CallError) -> Structured:
        result, refusal = ending_of(await self._journal.answer(write))
        if write.state is State.APPLIED and result is not None:
            return result
        raise refusal or (
            error
            if write.state is State.APPLIED
            else DeniedError(f"{write.tool} did not happen: it was not confirmed.")
        )

    async def _open_write(self, call: Call) -> Write | None:
        if call.tool.effect is Effect.READ:
            return None
        write = await self._journal.peek(wanted(call, self._journal))
        return write if write is not None and write.pending else None

    async def _hears(self, call: Call) -> bool:
        """Does anything arrive for this connection? Without a secret every delivery is refused, and waiting is vain."""
        return await self._vault.get(place_of(call.connection)) is not None
