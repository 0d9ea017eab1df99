"""What a server does about writes whose end nobody wrote down: it looks, at its start and every minute."""

import asyncio
import contextlib
import random
import time

from clew.core.connector import Connector
from clew.core.errors import ClewError
from clew.core.journal import Write
from clew.core.reconcile import reconcile
from clew.core.wire import Wire
from clew.servers.operations import take_up
from clew.servers.runtime import Runtime

EVERY_SECONDS = 60.0
PRUNE_EVERY_SECONDS = 3600.0
ROWS_KEPT_SECONDS = 90 * 86400.0
"""For how long a `request_id` is remembered."""


async def keep_settling(runtime: Runtime) -> None:
    """Look at open writes for as long as the server runs, and forget old ones."""
    pruned = 0.0
    while True:
        with contextlib.suppress(ClewError):  # the store is out: what needs it says so
            await settle_all(runtime)
            await take_up(runtime)
            if time.monotonic() - pruned > PRUNE_EVERY_SECONDS:
                pruned = time.monotonic()
                answers = runtime.settings.keep_results or ROWS_KEPT_SECONDS
                await runtime.store.journal.prune(answers_after=answers, rows_after=ROWS_KEPT_SECONDS)
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311


async def settle_all(runtime: Runtime, *, every: bool = False) -> list[Write]:
    """Look once at each open write of the connectors that this process serves."""
    return await reconcile(runtime.store.journal, lambda row: way_to(runtime, row), every=every)


async def way_to(runtime: Runtime, row: Write) -> tuple[Connector, Wire] | None:
    """The connector of a row and the way to its provider, when it is served here."""
    where = row.connection
    connector = next((each for each in runtime.connectors if each.name == where.connector), None)
    if connector is None or where.tenant not in await runtime.tenancy.served(runtime.vault):
        return None
    account = None if where.account == "none" else where.account
    return connector, await runtime.wire(connector, account, tenant=where.tenant)
