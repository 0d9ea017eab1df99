"""Everything about events in one process: the inbox, the way in, the route that providers call, and the worker."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import httpx
from starlette.routing import Route

from clew.core.connector import Connector
from clew.core.errors import ClewError
from clew.core.inbox import Inbox
from clew.core.inbox_work import Worker
from clew.core.intake import Intake
from clew.core.webhooks import KeyRing
from clew.servers.admission import Admission, Public
from clew.servers.receiver import Receiver
from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

_PRUNE_SECONDS = 3600.0
_LARGEST_KEY = 256 * 1024


@dataclass(slots=True)
class Mailroom:
    """Made by `open_mailroom`."""

    inbox: Inbox
    intake: Intake
    worker: Worker
    receiver: Receiver

    @property
    def routes(self) -> list[Route]:
        """Where providers deliver."""
        return [Route("/webhooks/{connector}/{connection}", self.receiver)]


@contextlib.asynccontextmanager
async def open_mailroom(runtime: Runtime) -> AsyncGenerator[Mailroom]:
    """Receive and work on the events of the served connectors while the block runs."""
    settings, store, inbox = runtime.settings, runtime.store, runtime.inbox
    served: Mapping[str, Connector] = {each.name: each for each in runtime.connectors if each.webhook_schemes}
    watched = {each.name for each in runtime.connectors if each.watch is not None}
    worker = Worker(inbox, before=runtime.joining, only=(*served, *sorted(watched - served.keys())))
    intake = Intake(inbox, worker.nudge)
    outside = _Outside(runtime.client)
    public = Public(settings.webhooks.public_url, settings.webhooks.networks)
    # An address names no tenant: where there are several and none was chosen, no delivery is anybody's.
    admission = Admission(store.vault, served, KeyRing(outside.fetch), outside.visit, public, runtime.tenancy.own)
    receiver = Receiver(admission, intake, most_body=settings.webhooks.most_body)
    tasks = [asyncio.create_task(_prune(inbox), name="clew prune events")]
    if served or watched:
        tasks.append(asyncio.create_task(worker.run(), name="clew worker"))
    try:
        yield Mailroom(inbox, intake, worker, receiver)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await intake.close()
        await outside.close()


class _Outside:
    """The only requests that a delivery can cause: keys and confirmations at addresses that a scheme pins."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._visits: set[asyncio.Task[None]] = set()

    async def fetch(self, url: str) -> bytes:
        """A provider's key."""
        async with asyncio.timeout(5), self._client.stream("GET", url) as answer:
            answer.raise_for_status()
            content = b""
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > _LARGEST_KEY:
                    raise ValueError("a key is not that large")
            return content

    def visit(self, url: str) -> None:
        """Confirm a subscription, after the answer to the delivery."""
        task = asyncio.create_task(self._visit(url))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    async def _visit(self, url: str) -> None:
        try:
            async with asyncio.timeout(10):
                answer = await self._client.get(url)
            log.warning("a webhook subscription was confirmed: %s", answer.status_code)
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("a webhook subscription could not be confirmed: %s", type(error).__name__)

    async def close(self) -> None:
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)


async def _prune(inbox: Inbox) -> None:
    while True:
        with contextlib.suppress(ClewError):  # the store is out: what needs it says so
            await inbox.prune()
        await asyncio.sleep(_PRUNE_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
