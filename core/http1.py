"""One HTTP/1.1 connection to a provider: asyncio's sockets and TLS, llhttp's parser, httpx's requests and answers.

httpx's own connection (httpcore, h11, anyio) took a third of a call's processor time. What it promises holds here too:
every fault is one of httpx's exceptions, every phase has its timeout, and who traces a request is told before the first
byte of it leaves. An answer that has arrived whole is read without another turn of the event loop.
"""

import asyncio
import functools
import re
import select
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import httptools
import httpx

if TYPE_CHECKING:
    import ssl

_HEAD_BYTES = 100 * 1024
"""Bytes an answer's head may have."""
_AHEAD = 256 * 1024
"""Bytes of a body that are read before somebody takes them."""
_PIECE = 256 * 1024
"""Bytes of a request that are handed over at once."""
_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*\r\n)+")
_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e\x80-\xff]+")


@functools.cache
def tls() -> "ssl.SSLContext":
    """The one TLS context of a process for servers that ask for no certificate: making one costs 20 ms and more."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Http1Connection(asyncio.Protocol):
    """One connection. It carries one request at a time; `usable` says whether it can carry another."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("Any", None)
        self._poll: Callable[[], object] = bool
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._paused = self._lost = self._keep = False
        self.used = 0.0
        self._begin("")

    def _begin(self, method: str) -> None:
        self._method = method
        self._fault: Exception | None = None
        self._fed = self._held = self._status = 0
        self._raw: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._interim = self._to_the_end = self._headed = self._whole = False

    # What a request does.

    async def exchange(self, request: httpx.Request, head: bytes, done: Callable[[], None]) -> httpx.Response:
        """Send a request whose head is ready and read the head of its answer; `done` is called when its body has been
        closed. Raises httpx's errors; then, or when it is cancelled, the connection is closed. The extension `sent_at`
        of the request says when it left (monotonic seconds)."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        self._begin(request.method)
        self._keep = False
        self._parser = _parser(self)
        request.extensions["sent_at"] = time.monotonic()
        try:
            await self._write(head, request.stream, timeouts.get("write"))
            while not self._headed:
                self._check()
                await self._wait(timeouts.get("read"), httpx.ReadTimeout)
        except BaseException:
            self.abort()
            raise
        body = Body(self, timeouts.get("read"), done)
        return httpx.Response(self._status, headers=self._raw, stream=body, extensions={"http_version": b"HTTP/1.1"})

    async def part(self, seconds: float | None) -> bytes:
        """What has arrived of the body since the last time, at least something; nothing is its end."""
        while not self._parts:
            if self._whole:
                return b""
            self._check()
            await self._wait(seconds, httpx.ReadTimeout)
        found = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._held = [], 0
        if not self._lost:
            self._transport.resume_reading()
        return found

    def finish(self) -> None:
        """The answer has been read or given up."""
        self._parser = None
        self._parts = []
        if not (self._whole and self._keep):
            self.abort()

    @property
    def alive(self) -> bool:
        """May it carry another request, as far as the loop has heard?"""
        return self._keep and not self._lost

    @property
    def usable(self) -> bool:
        """Can it carry another request? Not where the server hung up, or says what nobody asked for."""
        return self.alive and not self._poll()

    def abort(self) -> None:
        """Close the connection."""
        self._keep = False
        if not self._lost:
            self._transport.abort()

    async def _write(self, head: bytes, stream: object, seconds: float | None) -> None:
        if type(stream) is httpx.ByteStream:
            content = b"".join(stream)
            if len(content) <= _PIECE:
                self._transport.write(head + content if content else head)
                if self._paused:
                    await self._drain(seconds)
                return
            parts: Iterable[bytes] = (content[at : at + _PIECE] for at in range(0, len(content), _PIECE))
            self._transport.write(head)
            for part in parts:
                if not await self._sent(part, seconds):
                    return
            return
        assert isinstance(stream, httpx.AsyncByteStream)
        chunked = b"\r\ntransfer-encoding: chunked\r\n" in head.lower()
        self._transport.write(head)
        async for part in stream:
            if part and not await self._sent(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part, seconds):
                return
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    async def _sent(self, part: bytes, seconds: float | None) -> bool:
        """Hand over a piece of the request; false when the answer is there already, or the connection gone."""
        if self._lost or self._headed:
            self._keep = False
            return False
        self._transport.write(part)
        if self._paused:
            await self._drain(seconds)
        return True

    async def _drain(self, seconds: float | None) -> None:
        while self._paused and not self._lost and not self._headed:
            await self._wait(seconds, httpx.WriteTimeout)

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._lost:
            raise httpx.RemoteProtocolError("the server hung up")

    async def _wait(self, seconds: float | None, late: type[httpx.TimeoutException]) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake, True)
        try:
            if await waiter:
                raise late("too slow")
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self, late: bool = False) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(late)

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the socket: whether it is readable before it is used again tells that the server hung up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._poll = _readable(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """Take in what the server sends."""
        if self._parser is None:
            self.abort()
            return
        if not self._headed:
            self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep = False
            if not self._whole:
                self._fail(httpx.RemoteProtocolError(f"the answer is not HTTP ({type(error).__name__})"))
        if self._fed > _HEAD_BYTES and not self._headed:
            self._fail(httpx.RemoteProtocolError("the answer's head is too long"))
        if self._held > _AHEAD and not self._whole:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Let the transport close itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever has not come by now never will."""
        self._lost = True
        if exc is not None:
            self._fault = self._fault or httpx.ReadError("the connection broke")
        elif self._to_the_end and self._fault is None:
            self._whole = True
        self._wake()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._paused = False
        self._wake()

    def _fail(self, fault: Exception) -> None:
        self._fault = self._fault or fault
        self.abort()

    # What the parser says; it must not raise.

    def on_message_begin(self) -> None:
        """An answer begins; a second one was not asked for."""
        if self._whole:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, of the head or of the trailer. Space around a value is no part of it (RFC 9110 §5.5); llhttp
        leaves what follows."""
        if not self._headed:
            self._raw.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole; one of 1xx says nothing yet."""
        if self._whole or self._parser is None:
            return
        self._status = self._parser.get_status_code()
        if 100 <= self._status < 200:
            self._interim = True
            return
        self._headed = True
        self._keep = self._parser.should_keep_alive()
        if self._method == "HEAD":
            self._whole = True
        elif self._status not in (204, 304):
            names = {name.lower() for name, _ in self._raw}
            self._to_the_end = not names & {b"content-length", b"transfer-encoding"}

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if not self._whole:
            self._parts.append(part)
            self._held += len(part)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it said nothing yet."""
        if self._interim:
            self._interim = False
            self._raw.clear()
        else:
            self._whole = True


class Body(httpx.AsyncByteStream):
    """The body of an answer; closing it frees its connection, once."""

    def __init__(self, line: Http1Connection, seconds: float | None, done: Callable[[], None]) -> None:
        self._line = line
        self._seconds = seconds
        self._done: Callable[[], None] | None = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._done is not None and (part := await self._line.part(self._seconds)):
            yield part

    async def aclose(self) -> None:
        """Close it; what has not been read is thrown away with the connection."""
        done, self._done = self._done, None
        if done is not None:
            self._line.finish()
            done()


async def connect(request: httpx.Request) -> Http1Connection:
    """Open a connection to where a request goes. Raises `httpx.ConnectError` and `httpx.ConnectTimeout`."""
    url = request.url
    host = url.raw_host.decode("ascii")
    secure = url.scheme == "https"
    try:
        async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect")):
            _, line = await asyncio.get_running_loop().create_connection(
                Http1Connection, host, url.port or (443 if secure else 80), happy_eyeballs_delay=0.25,
                ssl=tls() if secure else None, server_hostname=host if secure else None,
            )  # fmt: skip
            return line
    except TimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time", request=request) from error
    except (OSError, UnicodeError, OverflowError, IndexError) as error:  # the last: asyncio's, for an impossible port
        raise httpx.ConnectError("no connection", request=request) from error


def _parser(line: Http1Connection) -> httptools.HttpResponseParser:
    """Forgiving where old servers and h11 agree and nobody stands between to be misled: a length beside chunks (chunks
    count), lines without CR, space after a chunk's size."""
    parser = httptools.HttpResponseParser(line)
    parser.set_dangerous_leniencies(
        lenient_chunked_length=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
    )
    return parser


def written(request: httpx.Request) -> bytes:
    """The head of a request. Raises `httpx.LocalProtocolError` for what HTTP cannot carry, `httpx.UnsupportedProtocol`
    for another scheme than HTTP's."""
    url = request.url
    if url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol("only http and https are spoken here", request=request)
    start = b"%b %b" % (request.method.encode(), url.raw_path)
    pairs = request.headers.raw
    fields = b"".join([b"%b: %b\r\n" % pair for pair in pairs])
    if fields.count(b"\n") != len(pairs) or not _START.fullmatch(start) or not _FIELDS.fullmatch(fields):
        raise httpx.LocalProtocolError("a header that HTTP cannot carry", request=request)
    return b"%b HTTP/1.1\r\n%b\r\n" % (start, fields)


def _readable(fileno: int) -> Callable[[], object]:
    """Whether something waits to be read from a socket: asked of the system, because the loop may not have heard."""
    if not hasattr(select, "poll"):
        return lambda: select.select([fileno], [], [], 0)[0]
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return lambda: poll.poll(0)
