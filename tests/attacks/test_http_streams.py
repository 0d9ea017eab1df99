"""Clients that hold on to what they have: silent streams, answers that nobody reads, bodies that never end."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from tests.attacks.http_world import ALL, HELLO, LIST, World, world

pytestmark = pytest.mark.anyio
IDLE = 150
"""The short form of ten thousand."""


@pytest.fixture
async def made(tmp_path: Path) -> AsyncGenerator[World]:
    async with world(tmp_path) as running_world:
        await running_world.connect("ann")
        yield running_world


async def works(made: World) -> bool:
    """Is a caller served who has done nothing wrong?"""
    async with asyncio.timeout(10), made.client(made.issuer.token(ALL)) as client:
        return not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error


async def test_streams_that_say_nothing_keep_nobody_waiting(made: World) -> None:
    token = made.issuer.token(ALL)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.AsyncClient(trust_env=False, timeout=30, limits=limits)
    async with client as http, contextlib.AsyncExitStack() as held:
        bearer = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}

        async def hold() -> None:
            opened = await http.post(f"{made.base}/mcp", json=HELLO, headers=bearer)
            session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
            stream = http.stream("GET", f"{made.base}/mcp", headers={**bearer, **session})
            assert (await held.enter_async_context(stream)).status_code == 200

        for _ in range(IDLE // 10):
            await asyncio.gather(*(hold() for _ in range(10)))
        assert await works(made)
        assert (await made.http.get(f"{made.base}/readyz")).status_code == 200


async def test_an_answer_that_nobody_reads_costs_its_sender_alone(made: World) -> None:
    token = made.issuer.token(ALL)
    body = json.dumps(LIST).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {made.base.removeprefix('http://')}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        f"Mcp-Protocol-Version: 2025-11-25\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    host, port = made.base.removeprefix("http://").split(":")
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writers.append(writer)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write((head + body) * 200)
        assert await works(made)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        assert grown < 200, f"{grown} MB for answers that nobody reads"
    finally:
        for writer in writers:
            writer.transport.abort()


async def test_a_request_that_is_too_large_is_refused_whoever_sends_it(made: World) -> None:
    huge = {**LIST, "params": {"x": "y" * (5 << 20)}}
    assert (await made.post(made.issuer.token(ALL), body=huge)).status_code == 413
    assert (await made.post(None, body=huge)).status_code == 401, "and is not read from somebody unknown"


async def test_a_body_without_an_end_is_refused_at_its_limit(tmp_path: Path) -> None:
    scopes = {"all": ("*",)}
    async with world(tmp_path, scopes=scopes, most_body=64 * 1024) as made:
        token = made.issuer.token(ALL, scope="all")

        async def endless() -> AsyncGenerator[bytes]:
            while True:
                yield b" " * 8192

        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with contextlib.suppress(httpx.TransportError):  # the server may close while we still write
            answer = await made.http.post(f"{made.base}/mcp", content=endless(), headers=headers)
            assert answer.status_code == 413
        await made.connect("ann")
        assert (await made.post(token)).status_code == 200
