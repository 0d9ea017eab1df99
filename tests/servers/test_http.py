"""The HTTP address: loopback only, checked hosts, both eras."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from mcp import Client

from clew.core.errors import ConfigurationError
from clew.servers.guard import configure
from clew.servers.http import parse_address, serve_http
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(runtime: Runtime) -> AsyncGenerator[str]:
    ready = anyio.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve_http, runtime, "127.0.0.1:0", on_ready)
        await ready.wait()
        yield urls[0]
        group.cancel_scope.cancel()


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_lists_and_calls_tools_over_http(runtime: Runtime, era: str) -> None:
    async with served(runtime) as url, Client(url, mode=era) as client:
        assert len((await client.list_tools()).tools) == len(runtime.tools)
        result = await client.call_tool("get_contact", {"contact_id": "con_000001"})
        assert result.structured_content["email"] == "lovelace1@customer.example"


async def test_a_foreign_host_or_origin_is_refused(runtime: Runtime) -> None:
    async with served(runtime) as url, httpx.AsyncClient(verify=False) as browser:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accept = {"accept": "application/json, text/event-stream"}
        rebound = await browser.post(url, json=body, headers={**accept, "host": "evil.example"})
        foreign = await browser.post(url, json=body, headers={**accept, "origin": "https://evil.example"})
    assert rebound.status_code == 421
    assert foreign.status_code == 403


async def test_space_around_a_header_s_value_is_no_part_of_it() -> None:
    """The conformance suite sends such headers; what compares them with a body must not see the space."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(dict(scope["headers"])[b"mcp-name"]).encode()})

    answer = b""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(configure(echo, lifespan="off"))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(server.serve, sockets=[listener]))
            async with await anyio.connect_tcp("127.0.0.1", listener.getsockname()[1]) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nhost: x\r\nmcp-name: \t a b \t \r\nconnection: close\r\n\r\n")
                answer = b"".join([chunk async for chunk in stream])
            server.should_exit = True
    assert answer.endswith(b"b'a b'\r\n0\r\n\r\n"), answer


async def test_health_says_what_is_served(runtime: Runtime) -> None:
    async with served(runtime) as url, httpx.AsyncClient(verify=False) as browser:
        answer = await browser.get(url.removesuffix("/mcp") + "/health")
    assert answer.json() == {"status": "ok", "name": "acme", "tools": len(runtime.tools)}


async def test_a_port_in_use_is_one_clear_sentence(runtime: Runtime) -> None:
    async with served(runtime) as url:
        port = url.rpartition(":")[2].partition("/")[0]
        with pytest.raises(ConfigurationError, match="Choose another port"):
            await serve_http(runtime, f"127.0.0.1:{port}", lambda _: None)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.168.1.5:8000", "example.com:80", "[::]:80", "[2001:db8::1]:80"])
async def test_an_address_that_others_can_reach_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="only loopback"):
        parse_address(address)


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999"])
async def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        parse_address(address)


async def test_short_forms_of_loopback_are_understood() -> None:
    assert parse_address("8000") == ("127.0.0.1", 8000)
    assert parse_address(":8000") == ("127.0.0.1", 8000)
    assert parse_address("[::1]:8000") == ("::1", 8000)
    assert parse_address("localhost:0") == ("localhost", 0)


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_every_report_of_progress_says_more_than_the_last(settings: Settings, tmp_path: Path, era: str) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    opening = Runtime.open(settings, [str(tmp_path / "slow.py")])
    async with opening as opened, served(opened) as url, Client(url, mode=era) as client:
        await client.call_tool("climb", {}, progress_callback=note)
    assert seen == [1, 2, 3]


SLOW = '''
from clew import Api, Connector

slow = Connector("slow", base_url="https://slow.example")


@slow.read
async def climb(api: Api) -> dict[str, bool]:
    """Report three times."""
    for step in "abc":
        await api.progress(step)
    return {"up": True}
'''


async def test_whoever_asks_for_templates_of_resources_is_told_there_are_none(runtime: Runtime) -> None:
    async with served(runtime) as url, Client(url) as client:
        assert (await client.list_resource_templates()).resource_templates == []
