"""One request against providers on loopback that behave, and that do not: what is certain, and what is told."""

import asyncio
import gzip
import logging
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.loopback import Build, Serve

from clew.core.bounds import Bounds
from clew.core.deadline import Deadline
from clew.core.errors import InvalidInputError, Outcome, OutcomeUnknownError, TransientError
from clew.core.pool import Client, SlotTransport
from clew.core.response import Response
from clew.core.transport import send

pytestmark = pytest.mark.anyio


_own: Callable[[], httpx.AsyncClient] = httpx.AsyncClient


@pytest.fixture(params=["httpx", "ours"], autouse=True)
def stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds over httpx's own connections (through a proxy, in unit tests) and over ours."""

    def make() -> httpx.AsyncClient:
        if request.param == "ours":
            return Client(direct=SlotTransport(), trust_env=False)
        return httpx.AsyncClient(verify=False, trust_env=False)

    monkeypatch.setattr(sys.modules[__name__], "_own", make)


async def go(
    url: str,
    method: str = "GET",
    *,
    safe: bool | None = None,
    seconds: float = 5,
    client: httpx.AsyncClient | None = None,
    bounds: Bounds | None = None,
    **request: Any,
) -> Response:
    async with _own() as own:
        return await send(
            client or own,
            httpx.Request(method, url, **request),
            bounds=bounds or Bounds(),
            deadline=Deadline.after(seconds),
            safe=method in {"GET", "HEAD"} if safe is None else safe,
            provider="acme",
        )


async def until(requests: list[bytes]) -> None:
    """Let the others run until a request has arrived."""
    async with asyncio.timeout(5):
        while not requests:  # noqa: ASYNC110 - the list is the provider's, it has no event
            await asyncio.sleep(0)


async def lost_read(url: str, **more: Any) -> str:
    with pytest.raises(TransientError) as caught:
        await go(url, **more)
    assert caught.value.outcome is Outcome.NOT_APPLIED
    return caught.value.message


async def lost_write(url: str, **more: Any) -> str:
    with pytest.raises(OutcomeUnknownError) as caught:
        await go(url, "POST", **more)
    assert caught.value.outcome is Outcome.UNKNOWN
    return caught.value.message


async def unsent_write(url: str, **more: Any) -> str:
    with pytest.raises(TransientError) as caught:
        await go(url, "POST", **more)
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert caught.value.message.endswith("; nothing was sent.")
    return caught.value.message


async def test_an_answer_is_read_whole_and_decoded(serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(201, {"id": 7}, x_request_id="r1"))
    answer = await go(f"{url}/a%2Fb/..%2F?q=%2F", "POST", content=b"{}", headers={"x": "y"})
    assert (answer.status, answer.data, answer.damage, answer.method) == (201, {"id": 7}, None, "POST")
    assert answer.headers["X-Request-Id"] == "r1"
    assert answer.url == f"{url}/a%2Fb/..%2F?q=%2F"
    assert requests[0].startswith(b"POST /a%2Fb/..%2F?q=%2F HTTP/1.1\r\n")


async def test_a_compressed_answer_is_unpacked(serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(200, gzip.compress(b'{"id": 7}'), content_encoding="gzip"))
    assert (await go(url)).data == {"id": 7}


@pytest.mark.parametrize(
    ("body", "headers", "damage"),
    [
        (b"<html>login</html>", {}, "HTML or XML instead of JSON"),
        (b'{"a": "\xff"}', {}, "damaged JSON (invalid unicode code point)"),
        (b"[" * 10_000 + b"]" * 10_000, {}, "damaged JSON (recursion limit exceeded)"),
        (b"not gzip", {"content_encoding": "gzip"}, "damaged compression"),
        (gzip.compress(b"{}")[:-4], {"content_encoding": "gzip"}, "unfinished compression"),
        (b"x", {"content_encoding": "br"}, "an encoding that was not asked for"),
        (gzip.compress(bytes(1_000_000)), {"content_encoding": "gzip"}, "more than 100000 bytes"),
        (b"x" * 100_001, {}, "more than 100000 bytes"),
    ],
    ids=["html", "utf-8", "deep", "not gzip", "cut gzip", "brotli", "bomb", "large"],
)
async def test_an_answer_that_cannot_be_read_comes_back_with_its_damage(
    serve: Serve, reply: Build, body: bytes, headers: dict[str, str], damage: str
) -> None:
    url, _ = await serve(reply(200, body, **headers))
    answer = await go(url, bounds=Bounds(body=100_000))
    assert (answer.damage, answer.data, answer.status) == (damage, None, 200)


async def test_a_body_that_declares_too_much_is_not_even_read(serve: Serve) -> None:
    async def only_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2000000000\r\n\r\n")
        await writer.drain()
        await reader.read()  # until the client hangs up

    url, _ = await serve(only_a_head)
    assert (await go(url)).damage == "more than 10000000 bytes"


async def test_an_endless_body_is_stopped_at_the_cap(serve: Serve) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"ffff\r\n" + bytes(0xFFFF) + b"\r\n")
            await writer.drain()

    url, _ = await serve(stream)
    assert (await go(url, bounds=Bounds(body=300_000))).damage == "more than 300000 bytes"


async def test_the_length_a_head_request_reports_is_no_body(serve: Serve) -> None:
    url, _ = await serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2000000000\r\n\r\n")
    answer = await go(url, "HEAD")
    assert (answer.damage, answer.headers["content-length"]) == (None, "2000000000")


async def test_a_transport_that_delivers_whole_answers_is_read_too() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"path": request.url.path})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        assert (await go("https://acme.example/x", client=client)).data == {"path": "/x"}
        assert (await go("https://acme.example/x", client=client, bounds=Bounds(body=8))).damage == "more than 8 bytes"


@pytest.fixture
def closed_port() -> Generator[str]:
    """An address where nothing listens; the port stays ours, so that nobody else can listen there."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


async def test_a_refused_connection_certainly_sent_nothing(closed_port: str) -> None:
    assert await lost_read(closed_port) == "acme could not be reached (no connection); nothing was sent."
    await unsent_write(closed_port)


@pytest.fixture
def deaf() -> Generator[str]:
    """A port whose queue of connections is full: connecting takes forever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


async def test_a_connection_that_takes_too_long_certainly_sent_nothing(deaf: str) -> None:
    said = await unsent_write(deaf, bounds=Bounds(connect=0.1))
    assert said == "acme could not be reached (no connection in time); nothing was sent."


async def test_the_end_of_the_calls_time_during_connecting_certainly_sent_nothing(deaf: str, serve: Serve) -> None:
    await unsent_write(deaf, seconds=0.15)

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    url, _ = await serve(late)
    client = httpx.AsyncClient(verify=False, trust_env=False, limits=httpx.Limits(max_connections=1))
    async with client:
        first = asyncio.create_task(client.get(url))
        await asyncio.sleep(0)
        said = await unsent_write(deaf, client=client, seconds=0.3)  # half of it is over when the connection is free
        assert "the time for this call is over" in said
        await first


async def test_the_end_of_the_calls_time_during_the_tls_handshake_certainly_sent_nothing() -> None:
    async with raw(lambda reader, writer: asyncio.Event().wait()) as url:
        await unsent_write(url.replace("http:", "https:"), seconds=0.3)
        said = await unsent_write(url.replace("http:", "https:"), bounds=Bounds(connect=0.1))
    assert "no connection in time" in said


async def test_a_server_without_tls_certainly_got_no_request(serve: Serve, reply: Build) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 no TLS here\r\n\r\n")
        await writer.drain()

    async with raw(hang_up) as url:
        await unsent_write(url.replace("http:", "https:"))


@asynccontextmanager
async def raw(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]) -> AsyncGenerator[str]:
    """A server that does what `talk` does with each connection, before any request is read."""
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close politely."""


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id": ')


async def half_a_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{")


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")


async def long_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000)


async def lying_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n{}")


BREAKS = [reset, hang_up, half, half_a_chunk, garbage, long_head, lying_length]


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: str(fault.__name__))
async def test_a_broken_connection_loses_a_read_and_leaves_a_write_unknown(serve: Serve, fault: Any) -> None:
    url, _ = await serve(fault)
    assert await lost_read(url) == "acme did not answer (the connection broke)."
    assert await lost_write(url) == (
        "acme did not answer (the connection broke); the change may or may not have happened."
    )


async def test_a_reset_before_the_request_was_read_still_leaves_a_write_unknown() -> None:
    async with raw(reset) as url:
        await lost_read(url)
        await lost_write(url)


async def test_silence_ends_with_the_read_timeout(serve: Serve) -> None:
    url, _ = await serve(silence)
    assert "no answer in time" in await lost_read(url, bounds=Bounds(read=0.1))
    assert "no answer in time" in await lost_write(url, bounds=Bounds(read=0.1))


async def test_silence_ends_with_the_calls_time(serve: Serve) -> None:
    url, _ = await serve(silence)
    await lost_read(url, seconds=0.1)
    await lost_write(url, seconds=0.1)


async def test_a_drip_of_bytes_cannot_outlast_the_call(serve: Serve) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    url, _ = await serve(drip)
    started = time.monotonic()
    assert "the time for this call is over" in await lost_read(url, seconds=0.2)
    assert "the time for this call is over" in await lost_write(url, seconds=0.2)
    assert time.monotonic() - started < 2


async def test_a_body_that_cannot_be_written_in_time_leaves_the_write_unknown() -> None:
    async with raw(lambda reader, writer: asyncio.Event().wait()) as url:
        large = bytes(50_000_000)
        assert "no answer in time" in await lost_write(url, bounds=Bounds(write=0.1), content=large)


async def test_when_the_time_is_over_before_sending_nothing_leaves(serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply())
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        for safe in (True, False):
            with pytest.raises(TransientError, match="nothing was sent"):
                await send(
                    client,
                    httpx.Request("POST", url),
                    bounds=Bounds(),
                    deadline=Deadline(time.monotonic()),
                    safe=safe,
                    provider="acme",
                )
    assert requests == []


async def test_waiting_for_a_free_connection_to_the_end_certainly_sent_nothing(serve: Serve) -> None:
    url, requests = await serve(silence)
    client = httpx.AsyncClient(verify=False, trust_env=False, limits=httpx.Limits(max_connections=1))
    async with client:
        first = asyncio.create_task(client.get(url, timeout=30))
        await until(requests)
        for seconds, bounds in ((1.0, Bounds()), (5, Bounds(pool=0.1))):
            said = await unsent_write(url, client=client, seconds=seconds, bounds=bounds)
            assert said == "acme could not be reached (all connections are busy); nothing was sent."
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(requests) == 1


async def test_a_proxy_that_refuses_certainly_forwarded_nothing(serve: Serve, reply: Build) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(403))
        await writer.drain()

    async with raw(refuse) as proxy, httpx.AsyncClient(verify=False, proxy=proxy, trust_env=False) as client:
        assert "ProxyError" in await unsent_write("https://acme.example/x", client=client)


async def test_an_address_of_another_scheme_sent_nothing() -> None:
    assert "UnsupportedProtocol" in await unsent_write("ftp://acme.example/x")


async def test_a_header_that_http_cannot_carry_is_an_invalid_argument(serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply())
    for method in ("GET", "POST"):
        with pytest.raises(InvalidInputError, match="does not fit into a header") as caught:
            await go(url, method, headers={"if-match": "a\r\nx-evil: 1"})
        assert caught.value.outcome is Outcome.NOT_APPLIED
    assert requests == []


async def test_cancelling_ends_the_upstream_request(serve: Serve) -> None:
    hung_up = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()

    url, requests = await serve(wait)
    task = asyncio.create_task(go(url))
    await until(requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(hung_up.wait(), 5)


async def test_urls_stay_out_of_the_log(serve: Serve, reply: Build, caplog: pytest.LogCaptureFixture) -> None:
    url, _ = await serve(reply(200, {}))
    with caplog.at_level(logging.INFO):
        await go(f"{url}/?api_key=hunter2")
    assert "hunter2" not in caplog.text
