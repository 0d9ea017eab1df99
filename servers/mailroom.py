"""Everything about events in one process: the inbox, the way in, the route that providers call, and the worker."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from clew.core.connector import Connector
from clew.core.errors import ClewError
from clew.core.inbox import Inbox
from clew.core.inbox_work import Worker
from clew.core.intake import Intake
from clew.servers.runtime import Runtime

if TYPE_CHECKING:
    from starlette.routing import Route

    from clew.servers.receiver import Receiver
    from clew.servers.webhook_endpoint import Outside

_PRUNE_SECONDS = 3600.0


class Mailroom:
    """Made by `open_mailroom`. `receiver` is what providers deliver to, made when it is asked for: a server on a pipe
    needs none."""

    def __init__(self, inbox: Inbox, intake: Intake, worker: Worker, make: Callable[[], "Receiver"]) -> None:
        self.inbox, self.intake, self.worker = inbox, intake, worker
        self._make = make

    @cached_property
    def receiver(self) -> "Receiver":
        """The one of this process."""
        return self._make()

    @property
    def routes(self) -> "list[Route]":
        """Where providers deliver."""
        from starlette.routing import Route

        return [Route("/webhooks/{connector}/{connection}", self.receiver)]


@contextlib.asynccontextmanager
async def open_mailroom(runtime: Runtime) -> AsyncGenerator[Mailroom]:
    """Receive and work on the events of the served connectors while the block runs."""
    inbox = runtime.inbox
    served: Mapping[str, Connector] = {each.name: each for each in runtime.connectors if each.webhook_schemes}
    watched = {each.name for each in runtime.connectors if each.watch is not None}
    worker = Worker(inbox, before=runtime.joining, only=(*served, *sorted(watched - served.keys())))
    intake = Intake(inbox, worker.nudge)
    opened: list[Outside] = []

    def make() -> "Receiver":
        from clew.servers.webhook_endpoint import open_endpoint

        receiver, outside = open_endpoint(runtime, served, intake)
        opened.append(outside)
        return receiver

    tasks = [asyncio.create_task(_prune(inbox), name="clew prune events")]
    if served or watched:
        tasks.append(asyncio.create_task(worker.run(), name="clew worker"))
    try:
        yield Mailroom(inbox, intake, worker, make)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await intake.close()
        for outside in opened:
            await outside.close()


async def _prune(inbox: Inbox) -> None:
    while True:
        with contextlib.suppress(ClewError):  # the store is out: what needs it says so
            await inbox.prune()
        await asyncio.sleep(_PRUNE_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
