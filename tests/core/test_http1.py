"""One connection to servers that speak HTTP in every way it allows, and in some that it does not."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.mail.servers import make_certificate

from clew.core import http1
from clew.core.pool import Client, SlotTransport

pytestmark = pytest.mark.anyio
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Counts its connections and keeps what it was sent; `talk` is what it does with each."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.closed = asyncio.Event()
        self.url = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def serving(talk: Talk, **more: Any) -> AsyncGenerator[tuple[httpx.AsyncClient, Server]]:
    server = Server(talk)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, **more)
    scheme = "https" if more else "http"
    async with listener, Client(direct=SlotTransport(), trust_env=False) as client:
        server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
        yield client, server


def answering(*answers: bytes) -> Talk:
    """Give these answers on each connection, the last one again and again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return talk


async def test_space_around_a_header_s_value_is_no_part_of_it() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nReplayed: \t true \t \r\n\r\nok"
    async with serving(answering(answer)) as (client, server):
        assert (await client.get(server.url)).headers["replayed"] == "true"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\nx-late: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2 \n\nok", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
    ],
    ids=["length", "204", "304", "no reason", "chunked with a trailer", "two framings", "no CR", "interim answers"],
)
async def test_a_connection_is_used_again_after_an_answer_that_is_whole(answer: bytes, body: bytes) -> None:
    async with serving(answering(answer)) as (client, server):
        for _ in range(3):
            found = await client.get(server.url)
            assert found.content == body
            assert "link" not in found.headers
            assert "x-late" not in found.headers
        assert server.connections == 1


async def test_a_head_request_leaves_the_connection_as_it_was() -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", OK)) as (client, server):
        assert (await client.head(server.url)).headers["content-length"] == "9"
        assert (await client.get(server.url)).content == b"ok"
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        OK + b"evil",
    ],
    ids=["close", "1.0", "an answer nobody asked for", "junk"],
)
async def test_a_connection_that_says_more_or_wants_to_end_is_not_used_again(answer: bytes) -> None:
    async with serving(answering(answer)) as (client, server):
        for _ in range(3):
            assert (await client.get(server.url)).content == b"ok"
        assert server.connections == 3


async def test_what_is_said_between_two_requests_is_not_the_answer_of_the_next() -> None:
    late = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if not late.is_set():
            await late.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await reader.read()

    async with serving(talk) as (client, server):
        assert (await client.get(server.url)).content == b"ok"
        late.set()
        await server.closed.wait()  # we hung up
        assert (await client.get(server.url)).content == b"ok"
        assert server.connections == 2


async def test_a_server_that_hangs_up_between_two_requests_is_called_anew() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async with serving(once) as (client, server):
        for number in range(1, 4):
            assert (await client.post(server.url, content=b"{}")).content == b"ok"
            assert server.connections == number
            await server.closed.wait()
            server.closed.clear()


async def test_a_body_without_length_ends_with_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)

    async with serving(talk) as (client, server):
        assert (await client.get(server.url)).content == b"x" * 100_000
        assert len((await client.get(server.url)).content) == 100_000
        assert server.connections == 2


async def test_an_endless_row_of_interim_answers_is_too_long_a_head() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()

    async with serving(talk) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError, match="too long"):
            await client.get(server.url)


async def test_a_change_of_protocol_is_none_that_we_asked_for() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    async with serving(answering(switch)) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url, timeout=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 2\r\n\r\nok",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
    ],
    ids=["two lengths", "negative", "chunk size", "name", "ssh", "version"],
)
async def test_an_answer_that_is_not_http_is_refused(answer: bytes) -> None:
    async with serving(answering(answer)) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url, timeout=5)


async def test_a_large_body_is_not_read_ahead_of_who_takes_it() -> None:
    written = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")
        while written < 200_000_000:
            writer.write(bytes(1_000_000))
            await writer.drain()
            written += 1_000_000

    async with serving(talk) as (client, server), client.stream("GET", server.url) as answer:
        parts = answer.aiter_raw()
        await anext(parts)
        before = -1
        while before < written:  # until the server can write no more
            before = written
            for _ in range(200):
                await asyncio.sleep(0)
        assert written < 100_000_000
        assert sum([len(part) async for part in parts]) > 100_000_000


async def test_a_request_of_any_size_and_kind_arrives_as_it_is() -> None:
    received = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                received.extend((await reader.readexactly(size + 2))[:-2])
            await reader.readline()
        else:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            received.extend(await reader.readexactly(length))
        writer.write(OK)
        await reader.read()

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a" * 10, b"", b"b" * 300_000):
            yield part

    large = bytes(range(256)) * 40_000
    for sent, expected in ((b"{}", b"{}"), (large, large), (parts(), b"a" * 10 + b"b" * 300_000)):
        received.clear()
        async with serving(talk) as (client, server):
            assert (await client.post(server.url, content=sent)).content == b"ok"
        assert bytes(received) == expected
    received.clear()
    async with serving(talk) as (client, server):
        await client.post(server.url, files={"file": ("a.bin", large)}, data={"title": "x"})
    assert large in received


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_comes_before_the_request_is_whole_counts(*, stream: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        while await reader.read(1 << 20):
            pass

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(100_000)
            await asyncio.sleep(0)

    async with serving(refuse) as (client, server):
        answer = await client.post(server.url, content=parts() if stream else bytes(100_000_000), timeout=10)
        assert (answer.status_code, answer.content) == (413, b"no")
        await server.closed.wait()  # what was sent of the request is no beginning of another


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"x": "a\r\nb: c"}),
        ("GET", "/", {"x": "a\nb"}),
        ("GET", "/", {"x": "a\0b"}),
        ("GET", "/", {"x y": "z"}),
        ("GET", "/", {"": "z"}),
        ("GET /admin HTTP/1.1\r\nx:", "/", {}),
    ],
)
async def test_nothing_can_be_smuggled_into_a_head(method: str, path: str, headers: dict[str, str]) -> None:
    async with serving(answering(OK)) as (client, server):
        with pytest.raises(httpx.LocalProtocolError):
            await client.request(method, server.url, headers=headers)
        assert server.connections == 0
        assert (await client.get(server.url, headers=[(b"x", "ä ö".encode())])).content == b"ok"


async def test_only_http_is_spoken() -> None:
    async with Client(direct=SlotTransport()) as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")
        for address in ("http://127.0.0.1:99999/", f"http://{'a' * 70}.example/"):
            with pytest.raises((httpx.ConnectError, httpx.InvalidURL)):
                await client.get(address, timeout=5)


async def test_over_tls_only_to_whom_the_certificate_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK), ssl=make_certificate(tmp_path)) as (client, server):
        with pytest.raises(httpx.ConnectError):  # nobody we know signed it
            await client.get(server.url)
        known = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        monkeypatch.setattr(http1, "tls", lambda: known)
        for _ in range(3):
            assert (await client.get(server.url)).content == b"ok"
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url.replace("127.0.0.1", "localhost"))


async def test_who_is_cancelled_leaves_no_connection_behind() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with serving(silent) as (client, server):
        task = asyncio.create_task(client.get(server.url))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), 5)
