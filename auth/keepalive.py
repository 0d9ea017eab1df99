"""Keeping idle grants alive: some providers end a grant whose refresh token nobody has used for months.

Google ends it after six months, Atlassian after 90 days (`OAuth2.idle_seconds`); others name the end in their answer.
One process of all looks once an hour and refreshes what has used up three quarters of that time.
"""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from clew.auth.facts import Facts
from clew.auth.origins import Place
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.credentials import Scheme
from clew.core.errors import ClewError
from clew.core.values import dataclass

log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
FIRST_AFTER_SECONDS = 30.0
"""A server's first minute belongs to its host."""
_USED_UP = 0.75


@dataclass(frozen=True, slots=True)
class Served:
    """How the connections of one connector authenticate, and where its provider is."""

    schemes: Sequence[Scheme]
    place: Place


Tenants = Callable[[Vault], Awaitable[Sequence[str]]]
"""Whose grants are kept alive, as it is at each sweep."""


@asynccontextmanager
async def kept_alive(
    vault: Vault, refresher: Refresher, served: Mapping[str, Served], tenants: Tenants
) -> AsyncGenerator[None]:
    """Sweep in the background while the block runs; `served` is by connector."""
    sweeping = asyncio.create_task(_sweep_on(vault, refresher, served, tenants), name="clew keep alive")
    try:
        yield
    finally:
        sweeping.cancel()
        await asyncio.wait({sweeping})


async def sweep(
    vault: Vault, refresher: Refresher, served: Mapping[str, Served], *, tenants: Sequence[str] = (LOCAL_TENANT,)
) -> list[Connection]:
    """Refresh the connections that are about to idle out, and return those that were.

    What another process has swept within the hour is left out. A refresh that fails is logged: the next sweep, or the
    next call, tries again.
    """
    done: list[Connection] = []
    for name, provider in served.items():
        schemes = {scheme.kind: scheme for scheme in provider.schemes if isinstance(scheme, OAuth2)}
        for tenant in tenants if schemes else ():
            # Of one tenant alone: whoever sweeps for another one must not keep us from ours.
            lease = json.dumps(["keep alive", tenant, name])
            if await refresher.leases.acquire(lease, seconds=EVERY_SECONDS * 0.9) is None:
                continue
            for stored in await vault.list(tenant=tenant, connector=name):
                scheme = schemes.get(stored.facts.kind)
                if scheme is None or not is_idle(stored.facts, scheme):
                    continue
                try:
                    base_url = provider.place.url(provider.schemes, stored.connection, stored.facts)
                    await refresher.replace(stored.connection, stored.facts.generation, scheme, base_url=base_url)
                except ClewError as error:
                    log.warning("the idle credential of %s could not be refreshed: %s", stored.connection, error)
                else:
                    done.append(stored.connection)
    return done


def is_idle(facts: Facts, scheme: OAuth2) -> bool:
    """Has a living grant been without a refresh for most of the time after which the provider ends it?"""
    limits = [scheme.idle_seconds] if scheme.idle_seconds else []
    if facts.refresh_expires_at is not None:
        limits.append(facts.refresh_expires_at - facts.obtained_at)
    if not facts.renewable or facts.refused_at is not None or not limits:
        return False
    return time.time() > facts.obtained_at + _USED_UP * min(limits)


async def _sweep_on(vault: Vault, refresher: Refresher, served: Mapping[str, Served], tenants: Tenants) -> None:
    await asyncio.sleep(FIRST_AFTER_SECONDS)
    while True:
        with contextlib.suppress(ClewError):  # the store is out: what needs it says so
            await sweep(vault, refresher, served, tenants=await tenants(vault))
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
