"""A server over HTTP with users of its own: Acme behind it, an issuer beside it, and clients with tokens."""

import contextlib
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.attacks.issuer import Issuer, running

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import Connection
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.http import serve_http
from clew.servers.http_settings import HttpSettings
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings

PUBLIC = "https://mcp.example.com"
ALL, ACME = f"{PUBLIC}/mcp", f"{PUBLIC}/acme/mcp"
ACCEPT = {"accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}  # fmt: skip


@dataclass
class World:
    """`base` is where the server listens, `wires` the connections that browsers and `http` share."""

    issuer: Issuer
    sandbox: Sandbox
    runtime: Runtime
    base: str
    http: httpx.AsyncClient
    wires: httpx.AsyncHTTPTransport

    async def post(self, token: str | None, *, path: str = "/mcp", body: Any = HELLO, **headers: str) -> httpx.Response:
        """One request by hand."""
        shown = {"authorization": f"Bearer {token}"} if token is not None else {}
        sent = {**ACCEPT, **shown, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.http.post(self.base + path, json=body, headers=sent)

    @contextlib.asynccontextmanager
    async def client(
        self, token: str, *, path: str = "/mcp", era: Any = "auto", **options: Any
    ) -> AsyncGenerator[Client]:
        """The official client with a token."""
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http:
            transport = streamable_http_client(self.base + path, http_client=http)
            async with Client(transport, mode=era, **options) as client:
                yield client

    async def connect(self, *tenants: str) -> None:
        """Give each of these tenants an account at Acme."""
        for tenant in tenants:
            where = Connection(tenant, "acme", "main")
            fields = {"token": Secret(self.sandbox.pat)}
            await set_token(self.runtime.vault, where, Bearer(), fields, origin=self.sandbox.url)


@contextlib.asynccontextmanager
async def world(
    folder: Path, chosen: tuple[str, ...] = ("acme",), *, writes: Decision = Decision.ALLOW, **http: Any
) -> AsyncGenerator[World]:
    """Everything running; `http` is what `[http]` says besides the address and the issuer. With `url="here"` hosts find
    the server where it listens."""
    address = free_address()
    if http.get("url") == "here":
        http["url"] = f"http://{address}"
    with Sandbox() as sandbox:
        wires = httpx.AsyncHTTPTransport()
        async with running(Issuer()) as issuer, httpx.AsyncClient(transport=wires, timeout=30) as client:
            given: dict[str, Any] = {"url": PUBLIC, "issuer": issuer.url, "client_id": "clew", **http}
            said = HttpSettings(**given)
            settings = Settings(
                home=folder / "home", key_provider="file", deadline=20, http=said, repeat_window=0.0,
                connectors={"acme": ConnectorSettings(base_url=sandbox.url)},
            )  # fmt: skip
            settings = replace(settings, policy=Policy(writes=writes))
            async with (
                Runtime.open(settings, chosen, users=said.has_users) as runtime,
                served(runtime, address) as base,
            ):
                yield World(issuer, sandbox, runtime, base, client, wires)


@contextlib.asynccontextmanager
async def served(runtime: Runtime, address: str) -> AsyncGenerator[str]:
    """The server; yields where it listens, which may not be where hosts believe it to be."""
    ready = anyio.Event()

    def heard(url: str) -> None:
        ready.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve_http, runtime, address, heard)
        await ready.wait()
        yield f"http://{address}"
        group.cancel_scope.cancel()


def free_address() -> str:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"
