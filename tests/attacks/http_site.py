"""One address with several workers behind it, each a process of its own, and an issuer beside them.

With SQLite the workers share a folder, as on one machine. With PostgreSQL each has an empty home of its own, as on
machines of their own: what they share is the database, a Redis server and the master key.
"""

import asyncio
import base64
import contextlib
import itertools
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from tests.attacks.host_wire import COMMAND, install
from tests.attacks.issuer import Issuer, running
from tests.attacks.own_redis import OwnRedis

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import Connection
from clew.core.secret import Secret
from clew.servers.sandbox import Sandbox
from clew.servers.settings import load_settings
from clew.servers.store import open_store

YES: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
GRACE, ALAN = {"contact_id": "con_000002"}, {"contact_id": "con_000003"}
MASTER_KEY = base64.b64encode(b"m" * 32).decode()


@dataclass
class Worker:
    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        """As the kernel does it when memory is short."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass
class Site:
    """`url` is what hosts believe it to be called, `apart` that no worker shares a folder with another."""

    issuer: Issuer
    sandbox: Sandbox
    environment: dict[str, str]
    url: str
    workers: list[Worker]
    apart: Path | None = None

    async def start(self, port: int | None = None) -> Worker:
        port = free_port() if port is None else port
        environment = self.environment
        if self.apart is not None:
            home = self.apart / f"machine-{len(self.workers)}"
            home.mkdir()
            environment = {**environment, "CLEW_HOME": str(home)}
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "--http", f"127.0.0.1:{port}", "--allow-writes", env=environment, stderr=subprocess.DEVNULL
        )
        worker = Worker(process, f"http://127.0.0.1:{port}")
        self.workers.append(worker)
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{worker.url}/readyz")).status_code == 200:
                        return worker
                assert process.returncode is None, "the worker did not start"
                await asyncio.sleep(0.05)

    def token(self, **claims: Any) -> str:
        """For the address of all connectors."""
        return self.issuer.token(f"{self.url}/mcp", **claims)

    @contextlib.asynccontextmanager
    async def client(self, base: str, token: str = "", *, era: Any = "auto", **headers: str) -> AsyncGenerator[Client]:
        """A client that comes to `base`; `headers` as `host` for the name it asks for there."""
        shown = {"authorization": f"Bearer {token or self.token()}", **headers}
        async with httpx2.AsyncClient(headers=shown, timeout=30, trust_env=False) as http:
            transport = streamable_http_client(f"{base}/mcp", http_client=http)
            async with Client(transport, mode=era, elicitation_callback=never) as client:
                yield client


async def never(context: object, params: object) -> types.ElicitResult:
    raise AssertionError("these attacks drive the rounds by hand")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def shared(engine: str, address: str, folder: Path, patch: pytest.MonkeyPatch) -> Generator[dict[str, str]]:
    """What the workers' environment says of what they share. This process gets the key, too, for ann's account."""
    if engine == "sqlite":
        yield {}
        return
    patch.setenv("CLEW_MASTER_KEY", MASTER_KEY)
    redis = OwnRedis(folder)
    redis.start()
    try:
        yield {
            "CLEW_DATABASE": address, "CLEW_LIMITS": redis.url, "CLEW_KEY_PROVIDER": "env",
            "CLEW_MASTER_KEY": MASTER_KEY,
        }  # fmt: skip
    finally:
        redis.stop()


@contextlib.asynccontextmanager
async def serving_site(
    folder: Path, sandbox: Sandbox, *, url: str, sharing: dict[str, str], sessions: bool = False
) -> AsyncGenerator[Site]:
    """No worker yet; ann has an account at Acme."""
    installed = await install(folder, sandbox)
    environment = {**installed.environment, **sharing}
    async with running(Issuer()) as issuer:
        add(environment, f'[http]\nurl = "{url}"\nissuer = "{issuer.url}"\nsessions = {str(sessions).lower()}\n')
        async with open_store(load_settings(environment)) as store:
            where = Connection("ann", "acme", "main")
            await set_token(store.vault, where, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        site = Site(issuer, sandbox, environment, url, [], folder if sharing else None)
        try:
            yield site
        finally:
            for worker in site.workers:
                await worker.kill()


def add(environment: dict[str, str], said: str) -> None:
    file = Path(environment["CLEW_CONFIG"])
    file.write_text(file.read_text() + said)


@contextlib.asynccontextmanager
async def taking_turns(site: Site, port: int) -> AsyncGenerator[None]:
    """A proxy without a memory: each connection goes to the next worker that lives."""
    turns = itertools.count()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        living = [each for each in site.workers if each.process.returncode is None]
        to = living[next(turns) % len(living)].url.rpartition(":")[2]
        near, far = await asyncio.open_connection("127.0.0.1", int(to))
        await asyncio.gather(pump(reader, far), pump(near, writer), return_exceptions=True)

    server = await asyncio.start_server(through, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def ask(client: Client, arguments: dict[str, str]) -> str:
    """The first round of a deletion: the sealed state of its question."""
    asked = await client.session.call_tool("delete_contact", arguments, allow_input_required=True)
    assert isinstance(asked, types.InputRequiredResult), asked
    return asked.request_state or ""


async def answer(client: Client, arguments: dict[str, str], state: str) -> Any:
    """The second round, with a yes."""
    return await client.session.call_tool(
        "delete_contact", arguments, input_responses=YES, request_state=state, allow_input_required=True
    )


def until(happened: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
