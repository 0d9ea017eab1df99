"""The upstream connections: one transport with one connection for every request in flight, last used first.

httpcore's own pool looks through all its connections at every acquire and release, so a request costs more the more are
in flight; here it costs the same at 1 and at 256. What one connection can do (TLS, keep-alive) stays httpx's.
"""

import asyncio
import contextlib
import functools
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import ssl

Origin = tuple[str, bytes, int | None]
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=15.0)


@functools.cache
def tls() -> "ssl.SSLContext":
    """The one TLS context of a process for servers that ask for no certificate: making one costs 20 ms and more."""
    return httpx.create_ssl_context()


@dataclass(slots=True)
class _Slot:
    transport: httpx.AsyncBaseTransport
    used: float = 0.0


@dataclass(slots=True)
class _Lane:
    """One origin's slots: those that are free, the last used at the end, how many there are, and who waits."""

    free: deque[_Slot] = field(default_factory=deque[_Slot])
    count: int = 0
    waiting: deque[asyncio.Future[_Slot]] = field(default_factory=deque["asyncio.Future[_Slot]"])


class SlotTransport(httpx.AsyncBaseTransport):
    """A transport with at most `slots` connections to each origin; unused ones are closed after `idle_seconds`.

    A request that finds all slots taken waits as long as its pool timeout allows, then ends with `httpx.PoolTimeout`.
    """

    def __init__(
        self, *, slots: int = 256, idle_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic
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
        """Send on a free slot; the slot is free again when the answer has been read or closed."""
        url = request.url
        origin = url.scheme, url.raw_host, url.port
        lane = self._lanes[origin]
        slot = await self._take(lane, request)
        try:
            response = await slot.transport.handle_async_request(request)
        except BaseException:
            await self._give(lane, slot)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Answer(response.stream, lambda: self._give(lane, slot))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        for lane in self._lanes.values():
            while lane.free:
                await lane.free.pop().transport.aclose()
        self._lanes.clear()

    async def _take(self, lane: _Lane, request: httpx.Request) -> _Slot:
        if lane.free:
            return lane.free.pop()
        if lane.count < self._slots:
            lane.count += 1
            return _Slot(self._connection(request.url.scheme))
        turn: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        timeout = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(timeout):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                await self._give(lane, turn.result())
            with contextlib.suppress(ValueError):
                lane.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("all connections are busy", request=request) from error
            raise

    async def _give(self, lane: _Lane, slot: _Slot) -> None:
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(slot)
                return
        slot.used = self._clock()
        lane.free.append(slot)
        while lane.free[0].used < slot.used - self._idle:
            lane.count -= 1
            await lane.free.popleft().transport.aclose()

    @staticmethod
    def _connection(scheme: str) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=tls() if scheme == "https" else False, limits=_ONE)


class Client(httpx.AsyncClient):
    """httpx's client without its cookie jar: tenants share the client, no provider's API needs a cookie, and to look
    for some costs as much as to read a small answer."""

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


class _Answer(httpx.AsyncByteStream):
    """A body that frees its slot when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, free: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._free: Callable[[], Awaitable[None]] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        """Close the body; only then is the connection free."""
        free, self._free = self._free, None
        try:
            await self._stream.aclose()
        finally:
            if free is not None:
                await free()
