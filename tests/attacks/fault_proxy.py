"""A TCP proxy before an HTTP/1.1 server that does to requests and answers what networks do, one fault a request."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    DROPPED = "dropped before it arrives"
    LOST = "answer lost after the write"
    CUT = "cut in the middle of the answer"
    DOUBLED = "request delivered twice"
    DELAYED = "answer later than the caller waits"


Choose = Callable[[bytes], Fault]
"""The whole request to what shall happen to it."""


@dataclass(slots=True)
class Proxy:
    """A proxy that is up: its port, and which faults there were."""

    port: int
    seen: Counter[Fault] = field(default_factory=Counter[Fault])


@contextlib.asynccontextmanager
async def proxying(target: int, choose: Choose) -> AsyncGenerator[Proxy]:
    """Forward a free port of 127.0.0.1 to the port `target`, a connection for each request."""
    proxy = Proxy(0)
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await _serve(proxy, target, choose, reader, writer)
        finally:
            under_way.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await server.wait_closed()


async def _serve(
    proxy: Proxy, target: int, choose: Choose, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    request = await _request(reader)
    fault = choose(request)
    proxy.seen[fault] += 1
    if fault is Fault.DROPPED:
        writer.transport.abort()
        return
    answer = await _ask(target, request)
    if fault is Fault.DOUBLED:
        await _ask(target, request)
    if fault is Fault.LOST:
        writer.transport.abort()
        return
    if fault is Fault.DELAYED:
        await reader.read()  # until the caller has gone
        return
    writer.write(answer[: len(answer) // 2] if fault is Fault.CUT else answer)
    await writer.drain()
    if fault is Fault.CUT:
        writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One request, told to end its connection: the next one is a connection of its own."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    body = await reader.readexactly(length)
    return b"\r\n".join([first, *kept, b"connection: close", b"", b""]) + body


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
