"""Events as resources: hosts that listen hear `resources/updated` when something came. Both protocol eras.

`clew://events/{connector}` holds the newest events of one connector. In the 2026-07-28 era hosts listen with
`subscriptions/listen`, before it with `resources/subscribe`. Another process may have stored the event, so the inbox is
looked at once a second while somebody listens.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ToolsListChanged

from clew.core.connector import Connector
from clew.core.errors import ClewError
from clew.core.inbox import Inbox, StoredEvent
from clew.servers.runtime import Runtime

Context = ServerRequestContext[Any, Any]
PREFIX = "clew://events/"
_LOOK = 1.0
"""Seconds between looks for events that another process has stored."""
_SHOWN = 20
_LISTENERS = 100_000
"""Each caller has a share of its own before that (`servers.holding`)."""


class EventResources:
    """The event resources of one server. `watched` tells its listeners while it is open."""

    def __init__(self, runtime: Runtime, connectors: Sequence[Connector]) -> None:
        self._inbox: Inbox = runtime.inbox
        self._account = runtime.account
        self._tenancy = runtime.tenancy
        self._names = {each.name: each.title or each.name for each in connectors if each.name in runtime.hears}
        self._bus = InMemorySubscriptionBus()
        self._listener = ListenHandler(self._bus, max_subscriptions=_LISTENERS)
        self._subscribed: dict[str, list[Any]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._stale = False

    @property
    def handlers(self) -> Mapping[str, Any]:
        """What a low-level server is built with; without events only changes of the tools can be heard."""
        if not self._names:
            return {"on_subscriptions_listen": self._listen}
        return {
            "on_subscribe_resource": self._subscribe,
            "on_unsubscribe_resource": self._unsubscribe,
            "on_subscriptions_listen": self._listen,
        }

    async def tools_changed(self) -> None:
        """Tell those who listen, and whoever begins to later, that the tools are not those that were listed first."""
        self._stale = True
        await self._bus.publish(ToolsListChanged())

    def listed(self) -> list[types.Resource]:
        """A resource for each connector that receives events."""
        return [
            types.Resource(
                uri=f"{PREFIX}{name}",
                name=f"{name}-events",
                title=f"{title}: newest events",
                description="What the provider reported by webhook, the newest first.",
                mime_type="application/json",
            )
            for name, title in sorted(self._names.items())
        ]

    async def read(self, uri: str, tenant: str | None = None) -> str | None:
        """The newest events as JSON; None when `uri` names no connector that receives events. `tenant` is what the
        reader's principal belongs to."""
        name = self._connector(uri)
        if name is None:
            return None
        whose = self._tenancy.of(tenant)
        events = [event for event in await self._inbox.list(limit=500) if self._is_mine(event, name, whose)]
        lines = [
            {"id": each.id, "type": each.type, "state": each.state, "reference": each.reference}
            for each in events[:_SHOWN]
        ]
        return json.dumps({"events": lines}, separators=(",", ":"))

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        uri = str(params.uri)
        if self._connector(uri) is None:
            raise MCPError(types.INVALID_PARAMS, "Unknown resource.", {"uri": uri})
        sessions = self._subscribed.setdefault(uri, [])
        if context.session not in sessions:
            sessions.append(context.session)
        self._watch()
        return types.EmptyResult()

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        if self._names:
            self._watch()
        stream = asyncio.create_task(self._listener(context, params))
        if self._stale:
            await asyncio.sleep(0)  # the stream listens from its first step on
            await self._bus.publish(ToolsListChanged())
        return await stream

    async def _unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        sessions = self._subscribed.get(str(params.uri), [])
        if context.session in sessions:
            sessions.remove(context.session)
        return types.EmptyResult()

    def _connector(self, uri: str) -> str | None:
        """The connector whose events `uri` names; None when it receives none."""
        name = uri.removeprefix(PREFIX)
        return name if uri.startswith(PREFIX) and name in self._names else None

    def _is_mine(self, event: StoredEvent, name: str, tenant: str) -> bool:
        where = event.connection
        return where.tenant == tenant and where.connector == name and self._account in (None, where.account)

    def _watch(self) -> None:
        """Look for events from the first listener on, as long as the server's loop runs."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._look_on(), name="clew event listeners")

    async def _look_on(self) -> None:
        seen: int | None = None
        while True:
            with contextlib.suppress(ClewError):  # the store is out: what needs it says so
                newest = await self._inbox.newest()
                if seen is not None and newest > seen:
                    # Listeners do not say who they are: nobody is told of what several tenants share a server for.
                    events, own = await self._inbox.list(after=seen, limit=500), self._tenancy.own
                    for name in {name for each in events for name in self._names if self._is_mine(each, name, own)}:
                        await self._tell(f"{PREFIX}{name}")
                seen = newest
            await asyncio.sleep(_LOOK * random.uniform(0.8, 1.2))  # noqa: S311

    async def _tell(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri=uri))
        for session in list(self._subscribed.get(uri, ())):
            try:
                await session.send_resource_updated(uri)
            except Exception:  # the host is gone, however it went
                self._subscribed[uri].remove(session)
