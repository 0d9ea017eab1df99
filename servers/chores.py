"""What a server does beside answering: keys are rotated, grants kept alive, open writes settled, events worked on."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from clew.auth.keepalive import Served, kept_alive
from clew.core.errors import ClewError
from clew.servers.mailroom import Mailroom, open_mailroom
from clew.servers.rotation import LOOK_EVERY_SECONDS, keep_policy
from clew.servers.runtime import Runtime
from clew.servers.settling import keep_settling
from clew.servers.subscriptions import kept_subscribed
from clew.servers.watching import kept_watching


@contextlib.asynccontextmanager
async def chores(runtime: Runtime) -> AsyncGenerator[Mailroom]:
    """Run them while the block runs; what receives events is given to it."""
    served = {each.name: Served(each.schemes, runtime.place(each)) for each in runtime.connectors}
    rotation = asyncio.create_task(keep_policy(runtime), name="clew rotation")
    audit = asyncio.create_task(_keep_audit(runtime), name="clew audit retention")
    settling = asyncio.create_task(keep_settling(runtime), name="clew settling")
    try:
        async with (
            kept_alive(runtime.vault, runtime.refresher, served, runtime.tenancy.served),
            kept_subscribed(runtime),
            kept_watching(runtime),
            open_mailroom(runtime) as mailroom,
        ):
            yield mailroom
    finally:
        rotation.cancel()
        audit.cancel()
        settling.cancel()
        await asyncio.wait([rotation, audit, settling])


async def _keep_audit(runtime: Runtime) -> None:
    """Take over what dead processes left, and remove what is older than the operator wants to keep."""
    while runtime.evidence is not None:
        await runtime.evidence.audit.adopt()
        if runtime.settings.audit_keep:
            with contextlib.suppress(ClewError):
                await runtime.evidence.audit.retain(runtime.settings.audit_keep)
        await asyncio.sleep(LOOK_EVERY_SECONDS)
