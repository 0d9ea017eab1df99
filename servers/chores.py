"""What a server does beside answering: keys are rotated, idle grants are kept alive."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from clew.auth.keepalive import Served, kept_alive
from clew.servers.rotation import keep_policy
from clew.servers.runtime import Runtime


@contextlib.asynccontextmanager
async def chores(runtime: Runtime) -> AsyncGenerator[None]:
    """Run them while the block runs."""
    served = {each.name: Served(each.schemes, runtime.place(each)) for each in runtime.connectors}
    rotation = asyncio.create_task(keep_policy(runtime), name="clew rotation")
    try:
        async with kept_alive(runtime.vault, runtime.refresher, served):
            yield
    finally:
        rotation.cancel()
        await asyncio.wait([rotation])
