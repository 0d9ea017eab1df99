"""stripe-stateful-mock behind the fault proxy, and writes through the journal of a connector with Stripe's facts.

The mock speaks Stripe's API of 2020, which has charges where today's has payment intents. So the writes are tools of
this file; address, version, errors and idempotency are those of the Stripe connector.
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.attacks.fault_proxy import Choose, Proxy, proxying
from tests.core.writes import PaddedSealer

from clew.connectors.stripe.provider import KEY, stripe
from clew.core.api import Api
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.database import open_database
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.journal import Journal, open_journal
from clew.core.wire import Wire

MODULES = Path(__file__).resolve().parent.parent.parent / ".cache" / "testbeds" / "node_modules"
NODE = MODULES / "node" / "bin" / "node"
PACKAGE = MODULES / "stripe-stateful-mock"
MOCK = """
const mock = require(process.argv[1]).createExpressApp();
require(require.resolve('loglevel', {paths: [process.argv[1]]})).setLevel('silent');
const server = require('http').createServer((request, answer) => {
  const write = answer.writeHead;
  answer.writeHead = function (...given) {
    if (answer.getHeader('idempotent-replayed')) answer.setHeader('content-type', 'application/json');
    return write.apply(this, given);
  };
  mock(request, answer);
}).listen(0, '127.0.0.1', () => console.log(server.address().port));
"""
"""The mock on a port of its choice. It gives its kept answers again without their content type; Stripe does not."""
TOKEN = "sk_test_" + "attack"
CONNECTION = Connection(LOCAL_TENANT, "stripe", "attack")

old_stripe = Connector("stripe", stripe.base_url, version=stripe.version, errors=stripe.errors)


@old_stripe.write(once=KEY)
async def charge(api: Api, description: str) -> dict[str, Any]:
    """Charge a card."""
    form = {"amount": 1000, "currency": "usd", "source": "tok_visa", "metadata": {"run": description}}
    return await api.post("/v1/charges", form={**form, "description": description}, into=dict[str, Any])


@old_stripe.write(once=KEY)
async def refund(api: Api, payment: str, run: str) -> dict[str, Any]:
    """Refund a part, so that a second time would be possible."""
    form = {"charge": payment, "amount": 1, "metadata": {"run": run}}
    return await api.post("/v1/refunds", form=form, into=dict[str, Any])


class Token:
    """A test key, without a vault."""

    async def apply(self, request: httpx.Request) -> str:
        request.headers["authorization"] = f"Bearer {TOKEN}"
        return "1"

    async def renew(self, generation: str) -> None:
        raise AssertionError("this key does not expire")


async def _briefly(seconds: float) -> None:
    """The pauses between tries, cut short: they are for a provider that needs time."""
    await asyncio.sleep(min(seconds, 0.02))


def missing() -> str:
    """What has to be installed first; empty when all is there."""
    return "" if NODE.exists() and PACKAGE.exists() else "stripe-stateful-mock is not installed: scripts/tested-with"


@contextlib.asynccontextmanager
async def mocked() -> AsyncGenerator[int]:
    """The mock on a free port."""
    command = [str(NODE), "-e", MOCK, str(PACKAGE.resolve())]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await asyncio.wait_for(process.stdout.readline(), 30))
    finally:
        process.kill()
        await process.wait()


@dataclass(slots=True)
class World:
    """The mock at `port`, the proxy before it, and a journal."""

    port: int
    proxy: Proxy
    client: httpx.AsyncClient
    journal: Journal

    async def write(self, tool: str, arguments: dict[str, Any], *, seconds: float = 3.0) -> dict[str, Any]:
        """One call; its result, or its error as an agent sees it."""
        base = f"http://127.0.0.1:{self.proxy.port}"
        wire = Wire(old_stripe, CONNECTION, Token(), self.client, base_url=base, sleep=_briefly)
        made = Call(old_stripe.tools[tool], arguments, CONNECTION, wire, Deadline.after(seconds))
        try:
            return await Walk(sink=lambda record: None, journal=self.journal)(made)
        except CallError as error:
            return {"error": error.as_dict()}

    async def ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """What stands at the mock, past the proxy."""
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"authorization": f"Bearer {TOKEN}"}
        answer = await self.client.request(method, url, headers=headers, data=form)
        found: dict[str, Any] = json.loads(answer.content)
        return found


@contextlib.asynccontextmanager
async def world(folder: Path, choose: Choose) -> AsyncGenerator[World]:
    """All of it, up."""
    database = await open_database(folder / "clew.db")
    journal = await open_journal(database, PaddedSealer())
    limits = httpx.Limits(max_keepalive_connections=0)
    try:
        async with (
            mocked() as port,
            proxying(port, choose) as proxy,
            httpx.AsyncClient(verify=False, trust_env=False, limits=limits) as client,
        ):
            yield World(port, proxy, client, journal)
    finally:
        journal.presence.leave()
        await database.close()
