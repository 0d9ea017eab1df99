"""Several workers behind a proxy that takes turns: one is killed between the rounds of a call, a yes is used once."""

import asyncio
import contextlib
import itertools
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from tests.attacks.host_wire import COMMAND, Installed, install
from tests.attacks.issuer import Issuer, running

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import Connection
from clew.core.secret import Secret
from clew.servers.sandbox import Sandbox
from clew.servers.settings import load_settings
from clew.servers.store import open_store

pytestmark = pytest.mark.anyio
YES: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
GRACE, ALAN = {"contact_id": "con_000002"}, {"contact_id": "con_000003"}


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
    """One address with workers behind it."""

    issuer: Issuer
    sandbox: Sandbox
    environment: dict[str, str]
    url: str
    workers: list[Worker]

    async def start(self) -> Worker:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "--http", f"127.0.0.1:{port}", "--allow-writes", env=self.environment, stderr=subprocess.DEVNULL
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

    @contextlib.asynccontextmanager
    async def client(self, base: str, token: str = "") -> AsyncGenerator[Client]:
        shown = token or self.issuer.token(f"{self.url}/mcp")
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {shown}"}, timeout=30) as http:
            transport = streamable_http_client(f"{base}/mcp", http_client=http)
            async with Client(transport, elicitation_callback=never) as client:
                yield client


async def never(context: object, params: object) -> types.ElicitResult:
    raise AssertionError("these attacks drive the rounds by hand")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
async def site(tmp_path: Path, sandbox: Sandbox) -> AsyncGenerator[Site]:
    installed = await install(tmp_path, sandbox)
    port = free_port()
    async with running(Issuer()) as issuer:
        url = f"http://127.0.0.1:{port}"
        add(installed, f'[http]\nurl = "{url}"\nissuer = "{issuer.url}"\nsessions = false\n')
        async with open_store(load_settings(installed.environment)) as store:
            where = Connection("ann", "acme", "main")
            await set_token(store.vault, where, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        made = Site(issuer, sandbox, installed.environment, url, [])
        async with taking_turns(made, port):
            yield made
        for worker in made.workers:
            await worker.kill()


def add(installed: Installed, said: str) -> None:
    file = Path(installed.environment["CLEW_CONFIG"])
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
    asked = await client.session.call_tool("delete_contact", arguments, allow_input_required=True)
    assert isinstance(asked, types.InputRequiredResult)
    return asked.request_state or ""


async def answer(client: Client, arguments: dict[str, str], state: str) -> Any:
    return await client.session.call_tool(
        "delete_contact", arguments, input_responses=YES, request_state=state, allow_input_required=True
    )


async def test_a_worker_killed_between_the_rounds_lets_another_finish_and_a_replay_is_refused(site: Site) -> None:
    first, second = await site.start(), await site.start()
    async with site.client(first.url) as client:
        state = await ask(client, ALAN)
    await first.kill()
    async with site.client(second.url) as client:
        done = await answer(client, ALAN, state)
        assert not done.is_error, done
    assert site.sandbox.state.committed("contact", "delete") == 1
    site.sandbox.reset(keep_tokens=True)  # the contact is there again, so only the used answer can stop the replay
    third = await site.start()
    for worker in (second, third):
        async with site.client(worker.url) as client:
            again = await answer(client, ALAN, state)
        error = again.structured_content["error"]
        assert (error["code"], error["outcome"]) == ("already_done", "unknown"), "who used it may not have acted"
    async with site.client(third.url, site.issuer.token(f"{site.url}/mcp", sub="bob")) as client:
        with pytest.raises(Exception, match="Invalid or expired requestState"):
            await answer(client, ALAN, state)
    assert site.sandbox.state.committed("contact", "delete") == 0


@pytest.mark.slow
async def test_an_answer_sent_to_all_workers_at_once_counts_once(site: Site) -> None:
    workers = [await site.start() for _ in range(2)]
    async with site.client(workers[0].url) as client:
        state = await ask(client, ALAN)
    async with site.client(workers[0].url) as one, site.client(workers[1].url) as two:
        results = await asyncio.gather(*(answer(client, ALAN, state) for client in (one, two) for _ in range(4)))
    assert [each.is_error for each in results].count(False) == 1
    assert site.sandbox.state.committed("contact", "delete") == 1


@pytest.mark.slow
async def test_a_worker_killed_while_it_acts_does_not_make_another_act_again(site: Site) -> None:
    first, second = await site.start(), await site.start()
    async with site.client(second.url) as client:
        state = await ask(client, ALAN)
    site.sandbox.fault("slow", seconds=None, when="after", method="DELETE")

    async def act() -> None:
        async with site.client(first.url) as client:
            await answer(client, ALAN, state)

    acting = asyncio.create_task(act())
    await asyncio.to_thread(_until, lambda: site.sandbox.state.committed("contact", "delete") == 1)
    await first.kill()
    await asyncio.wait([acting])
    assert acting.exception() is not None, "the caller has heard nothing"
    async with site.client(second.url) as client:
        again = await answer(client, ALAN, state)
    assert again.is_error
    assert site.sandbox.state.committed("contact", "delete") == 1


def _until(happened: Any) -> None:
    import time

    give_up_at = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.mark.slow
async def test_a_proxy_that_takes_turns_serves_every_round_in_both_eras(site: Site) -> None:
    for _ in range(2):
        await site.start()
    for arguments in (ALAN, GRACE):
        async with site.client(site.url) as client:
            state = await ask(client, arguments)
        async with site.client(site.url) as client:
            assert not (await answer(client, arguments, state)).is_error
    token = site.issuer.token(f"{site.url}/mcp")
    params = {"name": "get_contact", "arguments": {"contact_id": "con_000001"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    headers["mcp-protocol-version"] = "2025-06-18"
    for _ in range(4):  # each on a connection of its own, so on another worker
        async with httpx.AsyncClient(trust_env=False) as http:
            heard = await http.post(f"{site.url}/mcp", json=call, headers=headers)
        assert "lovelace1@customer.example" in heard.text


async def test_a_worker_that_drains_ends_what_is_under_way_and_takes_no_more(site: Site) -> None:
    worker = await site.start()
    site.sandbox.fault("slow", seconds=1.5, when="before")
    async with site.client(worker.url) as client, httpx.AsyncClient(trust_env=False) as http:
        await client.list_tools()  # clients look at the schemas when a result comes; by then nothing new is taken
        running_call = asyncio.create_task(client.call_tool("get_contact", {"contact_id": "con_000001"}))
        await asyncio.to_thread(_until, lambda: sum(site.sandbox.state.requests.values()) == 1)
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(_until, lambda: httpx.get(f"{worker.url}/readyz", trust_env=False).status_code == 503)
        late = await http.post(f"{worker.url}/mcp", json={}, headers={"authorization": "Bearer x"})
        assert (late.status_code, late.headers["connection"]) == (503, "close")
        assert not (await running_call).is_error
    async with asyncio.timeout(10):
        assert await worker.process.wait() == 0
