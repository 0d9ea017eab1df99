"""Rotation where it runs: tokens refreshed ahead of need, and the policy that a server keeps while it runs."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from clew.auth.connections import status
from clew.auth.leases import open_leases
from clew.auth.rotation import Rotation
from clew.auth.schemes import OAuth2
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError, ClewError
from clew.core.values import dataclass
from clew.servers.runtime import Runtime

_log = logging.getLogger("clew.rotation")

LOOK_EVERY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How the forced refresh of one connection ended: `refreshed`, `not_renewable`, `refused` or `failed`, and why."""

    connection: Connection
    did: str
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        each = self.connection
        return {"connector": each.connector, "account": each.account, "did": self.did, "why": self.why}


async def refresh_tokens(
    runtime: Runtime,
    connectors: Sequence[Connector],
    *,
    older_than: float = 0.0,
    report: Callable[[Refreshed], None] = lambda done: None,
) -> list[Refreshed]:
    """Refresh every renewable connection of these connectors whose tokens are older than so many seconds."""
    done: list[Refreshed] = []
    whose = await runtime.tenancy.served(runtime.vault)
    for connector, tenant in itertools.product(connectors, whose):
        for stored in await status(runtime.vault, tenant=tenant, connector=connector.name):
            if time.time() - stored.obtained_at >= older_than:
                connection = Connection(stored.tenant, stored.connector, stored.account)
                done.append(await _refresh(runtime, connector, connection))
                report(done[-1])
    return done


async def _refresh(runtime: Runtime, connector: Connector, connection: Connection) -> Refreshed:
    scheme = next((each for each in connector.schemes if isinstance(each, OAuth2)), None)
    try:
        record = await runtime.vault.get(connection)
        if record is None or scheme is None or "refresh_token" not in record.fields:
            return Refreshed(connection, "not_renewable")
        base_url = runtime.place(connector).url(connector.schemes, connection, record.facts)
        await runtime.refresher.replace(connection, record.facts.generation, scheme, base_url=base_url)
    except AuthRevokedError as error:
        return Refreshed(connection, "refused", error.next_step)
    except ClewError as error:
        return Refreshed(connection, "failed", str(error))
    return Refreshed(connection, "refreshed")


async def keep_policy(runtime: Runtime, *, look_every: float = LOOK_EVERY_SECONDS) -> None:
    """Rotate what is due, now and then for as long as the server runs; of many servers one does it (a lease).

    Faults are logged and tried again at the next look: a server does not stop serving for them.
    """
    settings = runtime.settings
    if not settings.rotate_after or not settings.rotate:
        return
    while True:
        # The first look waits too: hosts start many servers at once, and most of them live for minutes.
        await asyncio.sleep(random.uniform(0.5, 1.5) * look_every)  # noqa: S311
        try:
            await rotate_what_is_due(runtime)
        except ClewError as error:
            _log.warning("the vault's keys were not rotated: %s", error)
        except Exception:
            _log.exception("the vault's keys were not rotated")


async def rotate_what_is_due(runtime: Runtime) -> bool:
    """One look at the policy; whether keys or data were rotated."""
    settings, store = runtime.settings, runtime.store
    if "tokens" in settings.rotate:
        await refresh_tokens(runtime, runtime.connectors, older_than=settings.rotate_after)
    rotation = Rotation(store.database, store.keys, await open_leases(store.database))
    if not await rotation.due(settings.rotate_after):
        return False
    if "keys" in settings.rotate:
        await rotation.rotate_keys()
    if "data" in settings.rotate and await rotation.due(settings.rotate_after):
        done = await rotation.rotate_data()
        if done.damaged:
            _log.warning("these records do not open and were left alone: %s", ", ".join(done.damaged))
    return True
