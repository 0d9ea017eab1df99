"""API calls that show a client certificate: a token bound to it (RFC 8705 §3) is worth nothing without."""

from collections.abc import AsyncIterator

import httpx

from clew.auth.certificates import EXTENSION, context


class CertificateTransport(httpx.AsyncBaseTransport):
    """Sends a request that carries a certificate over a connection of its own, and every other one over `inner`.

    Such a connection costs a handshake and is closed with its answer: a pool of them would keep opened keys in memory.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        identity = request.extensions.get(EXTENSION)
        if identity is None:
            return await self.inner.handle_async_request(request)
        own = httpx.AsyncHTTPTransport(verify=context(*identity))
        try:
            response = await own.handle_async_request(request)
        except BaseException:
            await own.aclose()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Last(response.stream, own)
        return response

    async def aclose(self) -> None:
        """Close the connections without certificates; the others close themselves."""
        await self.inner.aclose()


class _Last(httpx.AsyncByteStream):
    """A body with whose end its connection closes."""

    def __init__(self, stream: httpx.AsyncByteStream, transport: httpx.AsyncHTTPTransport) -> None:
        self._stream = stream
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        """Close both."""
        try:
            await self._stream.aclose()
        finally:
            await self._transport.aclose()


async def refuse_certificate(request: httpx.Request) -> None:
    """For clients that go through a proxy, where a certificate could not be shown to the API: nothing is sent."""
    if EXTENSION in request.extensions:
        raise httpx.UnsupportedProtocol("a client certificate cannot be shown through a proxy", request=request)
