"""Refreshing a grant without ever burning it.

One refresher at a time: tasks of a process share one run, threads, processes and machines take a lease. After the lease
the store is read again; the new pair is durable (compare-and-swap, fenced) before anybody uses it; "dead" is believed
only after one more look at the store. A dead grant, an outage and a wrong client are three different endings, and after
the last two everybody rests.

A run ends as `Renewal.REFRESHED`, as `Renewal.STILL_VALID`, or with `AuthRevokedError` (dead), `TransientError` with
`retry_after` (outage) or `InternalError` (misconfigured, or the new pair cannot be stored yet).
"""

import asyncio
import contextlib
import copy
import random
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from clew.auth.advice import reconnect, refused
from clew.auth.clients import client_of, refresh_place
from clew.auth.endings import Rests, failure
from clew.auth.keeper import Keeper, Pair
from clew.auth.leases import Lease, Leases, lease_name
from clew.auth.oauth import Grant, Refusal, refresh_request
from clew.auth.schemes import AnyScheme, OAuth2
from clew.auth.vault import Record, StaleRecordError, Vault
from clew.core.connection import Connection
from clew.core.errors import AuthRevokedError, CallError, TransientError
from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

ENDPOINT_SECONDS = 10.0
"""How long a token endpoint may take, from the first byte sent to the last one read."""


class Renewal(StrEnum):
    """How a run ended that did not fail."""

    REFRESHED = "refreshed"
    STILL_VALID = "still_valid"
    """Somebody else has brought a newer credential, or removed it: read the store."""


class Minter(Protocol):
    """Makes a new token for a connection of class E from what is stored. Nothing is spent by it: it may be repeated."""

    async def __call__(
        self,
        http: "httpx.AsyncClient",
        record: Record,
        scheme: AnyScheme,
        *,
        base_url: str,
        seconds: float,
        send_before: float,
    ) -> Grant | Refusal:
        """Ask for a token within `seconds`, sending nothing after `send_before` (monotonic clock)."""
        ...


class Refresher:
    """Refreshes the grants of one process. Close it, so that a refresh under way is stored before the process ends.

    `minters` make the tokens of class E, by the kind of the scheme.
    """

    def __init__(
        self,
        vault: Vault,
        leases: Leases,
        *,
        http: "httpx.AsyncClient | None" = None,
        endpoint_seconds: float = ENDPOINT_SECONDS,
        minters: Mapping[str, Minter] | None = None,
    ) -> None:
        self._vault = vault
        self.leases = leases
        self._rests = Rests(leases)
        self._http = http
        self._own_http = http is None
        self._endpoint_seconds = endpoint_seconds
        # Two attempts at the endpoint and the write fit in, so a living holder keeps its lease to the end.
        self._lease_seconds = 3 * endpoint_seconds
        self._minters = minters or {}
        self._keeper = Keeper(vault, leases, lease_seconds=self._lease_seconds)
        self._joinable: dict[tuple[Connection, str | None], asyncio.Task[Renewal]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    def renews(self, record: Record, scheme: AnyScheme) -> bool:
        """Can a new token be had for this record without a person?"""
        if isinstance(scheme, OAuth2) and scheme.refresh_class == "A":
            return False
        return self._minter(scheme) is not None or (isinstance(scheme, OAuth2) and "refresh_token" in record.fields)

    async def replace(self, connection: Connection, generation: str, scheme: AnyScheme, *, base_url: str) -> Renewal:
        """Return when another generation than this one is stored: ours or one that somebody else brought.

        Raises as the module says. A caller that is cancelled does not stop the run.
        """
        return await self._join((connection, generation), scheme, base_url)

    async def force(self, connection: Connection, scheme: AnyScheme, *, base_url: str) -> Renewal:
        """Ask for a new token now, whatever is stored, and do not rest: a person wants it.

        Never the same run as one of `replace`, nor as another forced one that has sent its request already.
        """
        return await self._join((connection, None), scheme, base_url)

    async def close(self) -> None:
        """Wait for refreshes under way (each is bounded in time) and close the HTTP client."""
        while self._running:
            await asyncio.wait(self._running)
            await asyncio.sleep(0)
        await self._keeper.close()
        if self._http is not None and self._own_http:
            await self._http.aclose()
            self._http = None

    async def _join(self, key: tuple[Connection, str | None], scheme: AnyScheme, base_url: str) -> Renewal:
        run = self._joinable.get(key)
        if run is None:
            run = asyncio.create_task(self._run(key, scheme, base_url), name="clew refresh")
            self._joinable[key] = run
            self._running.add(run)
            run.add_done_callback(lambda done: self._ended(key, done))
        try:
            return await asyncio.shield(run)
        except CallError as error:
            # Each caller gets an error of its own: the core writes a reference into it.
            raise copy.copy(error) from error

    def _ended(self, key: tuple[Connection, str | None], run: asyncio.Task[Renewal]) -> None:
        self._running.discard(run)
        if self._joinable.get(key) is run:
            del self._joinable[key]
        if not run.cancelled():
            run.exception()

    async def _run(self, key: tuple[Connection, str | None], scheme: AnyScheme, base_url: str) -> Renewal:
        connection, generation = key
        lease = await self._lease(connection, generation)
        if lease is None:
            return Renewal.STILL_VALID
        try:
            if generation is None:
                self._joinable.pop(key, None)
            record = await self._vault.get(connection)
            if record is None and generation is None:
                raise AuthRevokedError(
                    f"No credential of {connection} is stored.", next_step=reconnect(connection, scheme.kind)
                )
            if generation is not None:
                await self._rests.check(connection, scheme.kind)
            if record is not None and generation in (None, record.facts.generation) and lease.taken_over:
                record = await self._fence_out(record, lease)
            if record is None or generation not in (None, record.facts.generation):
                return Renewal.STILL_VALID
            if not self.renews(record, scheme) or (generation is not None and record.facts.refused_at is not None):
                raise refused(connection, record.facts.kind, record.facts.refused)
            return await self._refresh(record, lease, scheme, base_url)
        finally:
            if not self._keeper.holds(connection):
                self._afterwards(self.leases.release(lease))

    def _afterwards(self, job: Coroutine[Any, Any, None]) -> None:
        """Tidy up while the callers go on: they need the new pair and nothing else. `close` waits for it."""

        async def quietly() -> None:
            with contextlib.suppress(CallError):  # a lease and a rest end by themselves, too
                await job

        task = asyncio.create_task(quietly(), name="clew refresh, afterwards")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _lease(self, connection: Connection, generation: str | None) -> Lease | None:
        """Wait for the lease; None as soon as the generation is gone, for then another holder has done the work.

        Raises what another holder has failed with, for ever or while everybody rests. The first look is left out: the
        caller has just read the record, and whoever gets the lease looks again. Not so while a new pair waits here to
        be stored: the store may have taken it a moment ago.
        """
        give_up_at = time.monotonic() + self._lease_seconds + self._endpoint_seconds
        name, pause, waited = lease_name("refresh", connection), 0.02, False
        while True:
            if generation is not None and (waited or self._keeper.holds(connection)):
                record = await self._vault.get(connection)
                if record is None or record.facts.generation != generation:
                    return None
                if record.facts.refused_at is not None:
                    raise refused(connection, record.facts.kind, record.facts.refused)
                await self._rests.check(connection, record.facts.kind)
            self._keeper.check(connection)
            lease = None
            with contextlib.suppress(TransientError):  # others keep the store busy: one more reason to wait
                lease = await self.leases.acquire(name, seconds=self._lease_seconds)
            if lease is not None:
                return lease
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"Another process is still renewing the credential of {connection}.",
                    retry_after=self._endpoint_seconds,
                )
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause, waited = min(pause * 1.2, 0.15), True

    async def _fence_out(self, record: Record, lease: Lease) -> Record | None:
        """Write our fence before anything is sent: the holder before us may wake up, and must not write after this.

        Returns the record as it is then, None when it is gone.
        """
        current: Record | None = record
        for _ in range(3):
            if current is None or current.fence >= lease.fence:
                break
            with contextlib.suppress(StaleRecordError):
                await self._vault.amend(current, current.facts, fence=lease.fence)
            current = await self._vault.get(record.connection)
        if current is not None and current.fence != lease.fence:
            raise TransientError(f"Another process is renewing the credential of {record.connection}.")
        return current

    async def _refresh(self, record: Record, lease: Lease, scheme: AnyScheme, base_url: str) -> Renewal:
        answer = await self._answer(record, lease, scheme, base_url)
        if isinstance(answer, Grant):
            fields = _to_keep(record, answer, scheme)
            disown = partial(self._disown, record, answer, scheme, base_url)
            pair = Pair(record.connection, record.facts.generation, answer, fields, disown=disown)
            stored = await self._keeper.store(record, pair, lease)
            self._afterwards(self._rests.end(record.connection))
            return Renewal.REFRESHED if stored else Renewal.STILL_VALID
        if answer.verdict == "dead" and self._minter(scheme) is None:
            return await self._dead(record, answer, lease)
        wait = await self._rests.begin(record.connection, answer)
        raise failure(record.connection, answer, record.facts.kind, wait)

    async def _disown(self, record: Record, grant: Grant, scheme: AnyScheme, base_url: str) -> None:
        from clew.auth.revocation import disown

        assert self._http is not None
        await disown(self._vault, record, grant.fields(), scheme, self._http, base_url=base_url)

    async def _answer(self, record: Record, lease: Lease, scheme: AnyScheme, base_url: str) -> Grant | Refusal:
        """Ask; once more when the answer was lost, for it may hold the new pair and asking again can only help.

        In class D the provider may have lost count as well (a twin of this request, an answer that went to a process
        that died): within its grace the token before this one is good too, and is tried before "dead" is believed.
        """
        answer = await self._ask(record, "refresh_token", lease, scheme, base_url)
        if isinstance(answer, Refusal) and answer.lost and await self.leases.left(lease) > self._endpoint_seconds:
            answer = await self._ask(record, "refresh_token", lease, scheme, base_url)
        if isinstance(answer, Refusal) and answer.verdict == "dead" and _in_grace(record, scheme):
            again = await self._ask(record, "previous_refresh_token", lease, scheme, base_url)
            answer = again if isinstance(again, Grant) else answer
        return answer

    async def _ask(self, record: Record, token: str, lease: Lease, scheme: AnyScheme, base_url: str) -> Grant | Refusal:
        import httpx

        from clew.auth.exchange import exchange
        from clew.core.http1 import tls

        self._http = self._http or httpx.AsyncClient(verify=tls())
        # Read last: what happens from here on ends before the lease does, or is not begun.
        send_before = time.monotonic() + await self.leases.left(lease) - self._endpoint_seconds
        times = {"seconds": self._endpoint_seconds, "send_before": send_before}
        minter = self._minter(scheme)
        if minter is not None:
            return await minter(self._http, record, scheme, base_url=base_url, **times)
        assert isinstance(scheme, OAuth2)
        secret = record.secret(token)
        assert secret is not None
        settled, url = refresh_place(record, scheme, base_url)
        client = await client_of(self._vault, record, settled)
        redirect_uri = record.facts.redirect_uri
        request = refresh_request(settled, url, client, refresh_token=secret, redirect_uri=redirect_uri)
        return await exchange(self._http, settled, request, **times)

    async def _dead(self, record: Record, answer: Refusal, lease: Lease) -> Renewal:
        """Look at the store once more: when somebody has brought a newer pair, ours was dead for that reason only."""
        for _ in range(2):
            current = await self._vault.get(record.connection)
            if current is None or current.facts.generation != record.facts.generation:
                return Renewal.STILL_VALID
            facts = replace(current.facts, refused_at=time.time(), refused=answer.code)
            try:
                await self._vault.amend(current, facts, fence=lease.fence)
            except StaleRecordError:
                continue
            break
        raise refused(record.connection, record.facts.kind, answer.code)

    def _minter(self, scheme: AnyScheme) -> Minter | None:
        if isinstance(scheme, OAuth2) and scheme.refresh_class != "E":
            return None
        return self._minters.get(scheme.kind)


def _in_grace(record: Record, scheme: AnyScheme) -> bool:
    """Is there a refresh token before the stored one that the provider still takes? It was used at `obtained_at`."""
    if not isinstance(scheme, OAuth2) or scheme.refresh_class != "D" or "previous_refresh_token" not in record.fields:
        return False
    return 0 <= time.time() - record.facts.obtained_at < scheme.grace_seconds


def _to_keep(record: Record, grant: Grant, scheme: AnyScheme) -> dict[str, Secret | None]:
    """The fields to write; a reply without a refresh token (class B) leaves the old one where it is."""
    fields: dict[str, Secret | None] = dict(grant.fields())
    if grant.refresh_token is not None and isinstance(scheme, OAuth2) and scheme.refresh_class == "D":
        fields["previous_refresh_token"] = record.secret("refresh_token")
    return fields
