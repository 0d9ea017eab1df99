"""Thousands of streams that say nothing: what each costs, what they cost the others, and what is left of them.

pytest -m slow tests/attacks/test_http_idle.py       ten thousand, of a hundred callers
"""

import asyncio
import contextlib
import itertools
import json
import os
import resource
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.attacks.http_site import Site, Worker, free_port, serving_site
from tests.attacks.http_world import ACCEPT, HELLO

from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
OLDER, MODERN = "2025-11-25", "2026-07-28"
LISTEN: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
    "params": {
        "notifications": {"toolsListChanged": True},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}  # fmt: skip
EACH = 100
"""Streams of one caller."""
MOST_KB = {OLDER: 180, MODERN: 130}
"""Memory that one stream may cost; measured were 102 and 71."""


@pytest.fixture
def files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    port = free_port()
    with Sandbox() as sandbox:
        url = f"http://127.0.0.1:{port}"
        async with serving_site(tmp_path, sandbox, url=url, sharing={}, sessions=True) as made:
            await made.start(port)
            yield made


@dataclass
class Stream:
    """One that is open; `session` is empty in the era that has none."""

    token: str
    session: str
    writer: asyncio.StreamWriter


@dataclass
class Crowd:
    """Opens streams from several addresses, so that the ports of none run out."""

    site: Site

    async def open(self, count: int, era: str) -> list[Stream]:
        port = int(self.site.url.rpartition(":")[2])
        ends = int(time.time()) + 3600
        tokens = [self.site.token(sub=f"{era}-{number}", exp=ends) for number in range(-(-count // EACH))]
        addresses = itertools.cycle(f"127.0.0.{number}" for number in range(2, 6))
        found: list[Stream] = []

        async def one(token: str) -> Stream:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(next(addresses), 0))
            session = ""
            if era == OLDER:
                writer.write(self.request("POST", token, HELLO))
                head = await reader.readuntil(b"\r\n\r\n")
                session = head.lower().partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0].decode()
                assert session, head
                await reader.readuntil(b"\r\n0\r\n\r\n")
                writer.write(self.request("GET", token, None, **{"mcp-session-id": session}))
            else:
                writer.write(self.request("POST", token, LISTEN, **{"mcp-method": "subscriptions/listen"}))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head, head
            return Stream(token, session, writer)

        for some in _batches(count, 50):
            found += await asyncio.gather(*(one(tokens[number // EACH]) for number in some))
        return found

    def request(self, method: str, token: str, body: Any, **more: str) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "host": self.site.url.removeprefix("http://"), "authorization": f"Bearer {token}", **ACCEPT,
            "content-type": "application/json", "content-length": str(len(content)),
            "mcp-protocol-version": MODERN if body is LISTEN else OLDER, **more,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} /mcp HTTP/1.1\r\n{lines}\r\n".encode() + content

    async def close(self, streams: list[Stream]) -> None:
        """Hang up, and end the sessions."""
        for each in streams:
            each.writer.close()
        port = int(self.site.url.rpartition(":")[2])
        for some in _batches(len(streams), 50):
            await asyncio.gather(*(self._end(port, streams[number]) for number in some if streams[number].session))

    async def _end(self, port: int, stream: Stream) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(self.request("DELETE", stream.token, None, **{"mcp-session-id": stream.session}))
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


def _batches(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def memory(worker: Worker) -> int:
    """In kB."""
    pages = int(Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def open_files(worker: Worker) -> int:
    return len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))


async def seconds_of_a_call(site: Site) -> float:
    """The median of some calls of somebody who holds nothing."""
    taken: list[float] = []
    async with site.client(site.url) as client:
        for _ in range(30):
            began = time.perf_counter()
            assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
            taken.append(time.perf_counter() - began)
    return median(taken)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_idle_streams_cost_memory_alone_and_leave_nothing(site: Site, count: int) -> None:
    (worker,), crowd = site.workers, Crowd(site)
    alone = await seconds_of_a_call(site)
    files = open_files(worker)
    held: list[Stream] = []
    for era in (OLDER, MODERN):
        before = memory(worker)
        held += await crowd.open(count, era)
        each = (memory(worker) - before) / count
        print(f"{era}: {each:.0f} kB a stream")
        assert each <= MOST_KB[era]
    beside = await seconds_of_a_call(site)
    print(f"a call alone {alone * 1000:.1f} ms, beside {len(held)} streams {beside * 1000:.1f} ms")
    assert beside <= 4 * alone + 0.05
    full = memory(worker)
    for _ in range(2):
        await crowd.close(held)
        async with asyncio.timeout(60):
            while open_files(worker) > files + 20:  # noqa: ASYNC110 - another process closes them
                await asyncio.sleep(0.05)
        held = [*await crowd.open(count, OLDER), *await crowd.open(count, MODERN)]
    print(f"{full} kB with the first of them, {memory(worker)} kB with the third")
    assert memory(worker) <= full * 1.15 + 20_000
    with contextlib.suppress(ConnectionError):
        await crowd.close(held)
