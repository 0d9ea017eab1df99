"""Where nobody delivers events, a server looks itself: for reports about the mail that was sent, in the mailbox.

Only while writes of the last days are open, one process for all, and what was seen goes the way of every event.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence

from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.deadline import Deadline
from clew.core.errors import ClewError
from clew.core.events import seen
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

_EVERY = 60.0
_LOOKED = 0.7 * _EVERY
_SECONDS = 45.0
_OPEN = 5.5 * 86400.0
"""Seconds for which a write may wait for its end: servers try mail for five days."""


@contextlib.asynccontextmanager
async def kept_watching(runtime: Runtime) -> AsyncGenerator[None]:
    """Look while the block runs."""
    task = asyncio.create_task(_look_on(runtime), name="clew watching")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _look_on(runtime: Runtime) -> None:
    while any(each.watch is not None for each in runtime.connectors):
        await asyncio.sleep(_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
        await watch_once(runtime)


async def watch_once(runtime: Runtime) -> int:
    """Look for the ends of open writes, unless another process has done so just now. How many events were new."""
    new = 0
    mine = [each for each in runtime.connectors if each.watch is not None]
    tenants: Sequence[str] = ()
    with contextlib.suppress(ClewError):
        tenants = await runtime.tenancy.served(runtime.vault)
    for connector, tenant in itertools.product(mine, tenants):
        for stored in await runtime.vault.list(tenant=tenant, connector=connector.name):
            name = json.dumps(["watch", tenant, connector.name, stored.connection.account])
            try:
                if await runtime.refresher.leases.acquire(name, seconds=_LOOKED) is not None:
                    new += await _look(runtime, connector, stored.connection)
            except ClewError as error:
                log.warning("nobody could look for what became of the mail of %s: %s", stored.connection, error)
    return new


async def _look(runtime: Runtime, connector: Connector, connection: Connection) -> int:
    assert connector.watch is not None
    rows = await runtime.store.journal.open_writes(connection, since=time.time() - _OPEN, told=True)
    references = [row.reference for row in rows if row.reference]
    if not references:
        return 0
    wire = await runtime.wire(connector, connection.account, tenant=connection.tenant)
    api = Api(wire, Deadline.after(_SECONDS), Trail(), Effect.READ, SilentHost())
    found = await connector.watch(api, references)
    stored = await runtime.inbox.store([seen(connection, each) for each in found])
    return sum(number is not None for number in stored)
