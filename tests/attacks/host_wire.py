"""A hostile host by hand: raw JSON-RPC over stdio or HTTP in the older protocol era."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.secret import Secret
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings

COMMAND = [sys.executable, "-m", "clew.servers.cli", "serve", "acme"]
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Installed:
    """A clew with one account at a running Acme; `environment` is what its processes get."""

    environment: dict[str, str]
    folder: Path


async def install(folder: Path, sandbox: Sandbox) -> Installed:
    """Write the configuration and store the token."""
    home, config = folder / "home", folder / "clew.toml"
    connectors = {"acme": ConnectorSettings(base_url=sandbox.url)}
    async with Runtime.open(Settings(home=home, key_provider="file", connectors=connectors), ["acme"]) as runtime:
        where = Connection(LOCAL_TENANT, "acme", "main")
        await set_token(runtime.vault, where, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
    config.write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n', encoding="utf-8")
    ours = {"CLEW_HOME": str(home), "CLEW_CONFIG": str(config), "CLEW_KEY_PROVIDER": "file", "CLEW_DEADLINE": "20"}
    ours["CLEW_REPEAT_WINDOW"] = "0"  # the journal must not be what stops a replay
    rest = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    return Installed({**rest, **ours}, folder)


@contextlib.asynccontextmanager
async def http_server(installed: Installed) -> AsyncGenerator[str]:
    """`clew serve acme --http` in a process of its own; yields its address."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--http", "127.0.0.1:0", env=installed.environment, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(rb"http://127\.0\.0\.1:\d+/mcp", line := await process.stderr.readline())):
                assert line, "the server did not start"
        drain = asyncio.create_task(process.stderr.read())
        yield found[0].decode()
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await drain
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


class Host(Protocol):
    """Sends anything at all, and hears what comes."""

    async def send(self, message: Message) -> None:
        """Send one message."""
        ...

    async def hear(self) -> Message:
        """The next message that comes."""
        ...


class StdioHost:
    """The server's standard streams."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> Message:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        heard: Message = json.loads(line)
        return heard


class HttpHost:
    """One session of a streamable HTTP server; what comes on any stream is heard in one queue."""

    def __init__(self, url: str, client: httpx.AsyncClient, group: asyncio.TaskGroup) -> None:
        self._url, self._client, self._group = url, client, group
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._session: dict[str, str] = {}

    async def send(self, message: Message) -> None:
        sent = asyncio.Event()
        self._group.create_task(self._post(message, sent))
        await sent.wait()

    async def _post(self, message: Message, sent: asyncio.Event) -> None:
        headers = {"accept": "application/json, text/event-stream", **self._session}
        async with self._client.stream("POST", self._url, json=message, headers=headers, timeout=30) as answer:
            if found := answer.headers.get("mcp-session-id"):
                self._session = {"mcp-session-id": found, "mcp-protocol-version": "2025-11-25"}
            sent.set()
            async for line in answer.aiter_lines():
                text = line.removeprefix("data:").strip()
                if text.startswith("{"):
                    await self._heard.put(json.loads(text))

    async def hear(self) -> Message:
        async with asyncio.timeout(30):
            return await self._heard.get()


@contextlib.asynccontextmanager
async def raw_host(way: str, installed: Installed) -> AsyncGenerator[Host]:
    """A host of the older era that says it can ask people, after the handshake."""
    async with contextlib.AsyncExitStack() as stack:
        if way == "stdio":
            process = await asyncio.create_subprocess_exec(
                *COMMAND, env=installed.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**22,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            stack.push_async_callback(_end, process)
            host: Host = StdioHost(process)
        else:
            url = await stack.enter_async_context(http_server(installed))
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            host = HttpHost(url, client, group)
        capable: Message = {"elicitation": {"form": {}}}
        who = {"name": "hostile", "version": "1"}
        hello: Message = {"protocolVersion": "2025-11-25", "capabilities": capable, "clientInfo": who}
        await host.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
        assert (await host.hear())["id"] == 0
        await host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield host


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
