"""The upstream connections: one for every request in flight, last used first.

httpcore's own pool looks through all its connections at every acquire and release, so a request costs more the more are
in flight; here it costs the same at 1 and at 256.
"""

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import field
from typing import Any

import httpx

from clew.core.http1 import Http1Connection, connect, written
from clew.core.values import dataclass

Origin = tuple[str, bytes, int | None]
Turn = asyncio.Future[Http1Connection | None]


@dataclass(slots=True)
class _Lane:
    """One origin's connections: those that are free, the last used at the end, how many there may be by now, and who
    waits. A turn is a connection, or leave to open one."""

    free: deque[Http1Connection] = field(default_factory=deque[Http1Connection])
    count: int = 0
    waiting: deque[Turn] = field(default_factory=deque[Turn])


class SlotTransport(httpx.AsyncBaseTransport):
    """A transport with at most `slots` connections to each origin; one unused for `idle_seconds` is closed.

    A request that finds all of them taken waits as long as its pool timeout allows, then ends with `httpx.PoolTimeout`.
    """

    def __init__(
        self, *, slots: int = 256, idle_seconds: float = 15.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._idle = idle_seconds
        self._clock = clock
        self._lanes: dict[Origin, _Lane] = defaultdict(_Lane)

    @property
    def busy(self) -> int:
        """How many connections are in use."""
        return sum(lane.count - len(lane.free) for lane in self._lanes.values())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on a free connection; it is free again when the answer has been read or closed."""
        head = written(request)
        url = request.url
        lane = self._lanes[url.scheme, url.raw_host, url.port]
        trace = request.extensions.get("trace")
        line = await self._take(lane, request)
        try:
            if line is None or not line.usable or line.used < self._clock() - self._idle:
                if line is not None:
                    line.abort()
                if trace is not None:
                    await trace("connection.connect_tcp.started", {})
                line = await connect(request)
            if trace is not None:
                await trace("http11.send_request_headers.started", {})
            return await line.exchange(request, head, lambda: self._give(lane, line))
        except BaseException:
            if line is not None:
                line.abort()
            self._give(lane, None)
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        for lane in self._lanes.values():
            for line in lane.free:
                line.abort()
        self._lanes.clear()
        await asyncio.sleep(0)  # the loop closes their sockets

    async def _take(self, lane: _Lane, request: httpx.Request) -> Http1Connection | None:
        if lane.free:
            return lane.free.pop()
        if lane.count < self._slots:
            lane.count += 1
            return None
        turn: Turn = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        timeout = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(timeout):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give(lane, turn.result())
            with contextlib.suppress(ValueError):
                lane.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("all connections are busy", request=request) from error
            raise

    def _give(self, lane: _Lane, line: Http1Connection | None) -> None:
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(line)
                return
        if line is None or not line.alive:
            lane.count -= 1
            return
        line.used = self._clock()
        lane.free.append(line)
        while lane.free[0].used < line.used - self._idle:
            lane.count -= 1
            lane.free.popleft().abort()


class Client(httpx.AsyncClient):
    """httpx's client without its cookie jar: tenants share the client, no provider's API needs a cookie, and to look
    for some costs as much as to read a small answer. What is to be streamed as it comes goes straight to `direct`."""

    def __init__(self, *, direct: httpx.AsyncBaseTransport | None = None, **more: Any) -> None:
        super().__init__(transport=direct, **more)
        self.direct = direct

    async def send(self, request: httpx.Request, *, stream: bool = False, **more: Any) -> httpx.Response:
        """Send a request; without redirects and authentication of httpx's there is only one step to take."""
        if self.direct is None or self.is_closed or not stream or more != {"follow_redirects": False}:
            return await super().send(request, stream=stream, **more)
        response = await self.direct.handle_async_request(request)
        response.request = request
        try:
            for hear in self.event_hooks["response"]:
                await hear(response)
        except BaseException:
            await response.aclose()
            raise
        return response

    @property
    def cookies(self) -> httpx.Cookies:
        """None, ever."""
        return _NONE

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        raise TypeError("this client keeps no cookies")


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them."""


_NONE = _NoCookies()
