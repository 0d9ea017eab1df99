"""The way in for deliveries, which only a server that providers can reach needs: it brings an HTTP server along."""

import asyncio
import logging
from collections.abc import Mapping

import httpx

from clew.core.connector import Connector
from clew.core.intake import Intake
from clew.core.webhooks import KeyRing
from clew.servers.admission import Admission, Public
from clew.servers.receiver import Receiver
from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

_LARGEST_KEY = 256 * 1024


def open_endpoint(runtime: Runtime, served: Mapping[str, Connector], intake: Intake) -> "tuple[Receiver, Outside]":
    """What takes deliveries for the `served` connectors, and what asks for their keys."""
    settings, outside = runtime.settings, Outside(runtime.client)
    public = Public(settings.webhooks.public_url, settings.webhooks.networks)
    # An address names no tenant: where there are several and none was chosen, no delivery is anybody's.
    admission = Admission(
        runtime.store.vault, served, KeyRing(outside.fetch), outside.visit, public, runtime.tenancy.own
    )
    return Receiver(admission, intake, most_body=settings.webhooks.most_body), outside


class Outside:
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
        """End what is under way."""
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
