"""Clients that hold on to what they have: silent streams, answers that nobody reads, bodies that never end."""

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from tests.attacks.http_world import ACCEPT, ALL, HELLO, LIST, World, world

from clew.servers.guard import GuardedProtocol

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(tmp_path: Path) -> AsyncGenerator[World]:
    async with world(tmp_path) as running_world:
        await running_world.connect("ann")
        yield running_world


async def works(made: World, who: str = "ann") -> bool:
    """Is a caller served who has done nothing wrong?"""
    async with asyncio.timeout(10), made.client(made.issuer.token(ALL, sub=who)) as client:
        return not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error


async def test_whoever_holds_too_many_streams_is_refused_and_nobody_else(tmp_path: Path) -> None:
    async with world(tmp_path, most_open=8) as made, contextlib.AsyncExitStack() as held:
        await made.connect("ann", "bob")
        token = made.issuer.token(ALL)
        bearer = {**ACCEPT, "authorization": f"Bearer {token}"}
        limits = httpx.Limits(max_connections=None)
        http = await held.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30, limits=limits))

        async def hold(stack: contextlib.AsyncExitStack) -> httpx.Response:
            opened = await http.post(f"{made.base}/mcp", json=HELLO, headers=bearer)
            session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
            stream = http.stream("GET", f"{made.base}/mcp", headers={**bearer, **session})
            return await stack.enter_async_context(stream)

        async with contextlib.AsyncExitStack() as streams:
            assert [(await hold(streams)).status_code for _ in range(4)] == [200] * 4
            refused = await hold(held)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
            assert json.loads(await refused.aread())["error"] == "too_many_requests"
            assert await works(made), "a call of the same caller"
            assert await works(made, "bob")
        async with asyncio.timeout(10):
            while (await hold(held)).status_code != 200:  # the server hears of the ends a moment later
                pass


async def test_a_caller_who_never_ends_sessions_keeps_the_newest_ones(tmp_path: Path) -> None:
    async with world(tmp_path, most_open=4) as made:
        ann, bob = made.issuer.token(ALL), made.issuer.token(ALL, sub="bob")
        bobs = (await made.post(bob)).headers["mcp-session-id"]
        opened = [(await made.post(ann)).headers["mcp-session-id"] for _ in range(9)]
        used = [
            (await made.post(ann, body=LIST, mcp_session_id=each, mcp_protocol_version="2025-11-25")).status_code
            for each in opened
        ]
        assert used == [404] * 5 + [200] * 4
        his = await made.post(bob, body=LIST, mcp_session_id=bobs, mcp_protocol_version="2025-11-25")
        assert his.status_code == 200


async def test_an_answer_that_nobody_reads_costs_its_sender_alone(made: World) -> None:
    token = made.issuer.token(ALL)
    version = "2026-07-28"
    meta = {"protocolVersion": version, "clientInfo": {"name": "x", "version": "1"}, "clientCapabilities": {}}
    listing = {**LIST, "params": {"_meta": {f"io.modelcontextprotocol/{name}": each for name, each in meta.items()}}}
    shown = {"mcp_protocol_version": version, "mcp_method": "tools/list"}
    whole = await made.post(token, body=listing, **shown)
    assert (whole.status_code, len(whole.content) > 10_000) == (200, True), "an answer that is worth something"
    body = json.dumps(listing).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {made.base.removeprefix('http://')}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        f"Mcp-Protocol-Version: {version}\r\nMcp-Method: tools/list\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    host, port = made.base.removeprefix("http://").split(":")
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(5):
            wire = socket.socket()
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the system would take some MB for each
            wire.connect((host, int(port)))
            _, writer = await asyncio.open_connection(sock=wire, limit=1024)
            writers.append(writer)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write((head + body) * 1000)
        ours = {writer.get_extra_info("sockname") for writer in writers}
        serving: list[GuardedProtocol] = []
        async with asyncio.timeout(60):
            while len(serving) < 5 or not all(each.flow.write_paused for each in serving):
                await asyncio.sleep(0.1)
                if len(serving) < 5:  # looking through everything takes its time
                    found = gc.get_objects()
                    serving = [each for each in found if isinstance(each, GuardedProtocol) and each.client in ours]
        assert await works(made)
        held = [each.transport.get_write_buffer_size() for each in serving]
        assert max(held) < 64 * 1024 + 2 * len(whole.content), "no more than fills the buffer once, of 1000 answers"
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
