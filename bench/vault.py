"""What the vault costs: `python -m bench.vault [--connections N] [--callers N] [--trials N]`.

1. Read and decrypt one token, warm, on SQLite with 100 000 connections: of a random connection, and of one in use.
2. Many concurrent callers of one valid token, over loopback HTTP, with the vault's authorizer against one that has the
   token in a variable. Both wait at the same time and take turns, so that a busy machine burdens both; the ratio
   counts. Each of 32 slots has an HTTP client with one connection: one pool would spend its time on its queue.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from clew.auth.authorizer import VaultAuthorizer
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.leases import open_leases
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.sealing import DataKeys
from clew.auth.vault import Vault, binding_of, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.secret import Secret

TOKEN = "t" * 40
SCHEME = OAuth2("{base_url}/authorize", "{base_url}/token", client_id="clew")
SERVER = """
import asyncio
class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""
    def data_received(self, content):
        self.seen += content
        while b"\\r\\n\\r\\n" in self.seen:
            head, _, self.seen = self.seen.partition(b"\\r\\n\\r\\n")
            body = b'{"id": 1}' if b"Bearer tttt" in head else b"{}"
            start = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: "
            self.transport.write(start + str(len(body)).encode() + b"\\r\\n\\r\\n" + body)
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Plain:
    """No vault: the token in a variable."""

    async def apply(self, request: httpx.Request) -> str:
        request.headers["authorization"] = f"Bearer {TOKEN}"
        return "plain"


def connection(number: int) -> Connection:
    return Connection("local", "acme", f"account-{number:06}")


async def fill(database: Database, keys: LocalKeys, count: int) -> None:
    """Store the connections in a few transactions, exactly as `Vault.put` would one by one."""
    data_key = await DataKeys(database, keys).current("local")
    for start in range(0, count, 10_000):
        async with database.transaction() as tx:
            for number in range(start, min(start + 10_000, count)):
                each = connection(number)
                facts = Facts("oauth2", scopes=("read", "write"), expires_at=time.time() + 36_000, renewable=True)
                fields = {"access_token": TOKEN, "refresh_token": "r" * 40}
                bound = binding_of(each, 1, facts.encode(), fields)
                sealed = {name: data_key.seal(text, bound + name.encode()) for name, text in fields.items()}
                await tx.execute(
                    "INSERT INTO vault_connections VALUES (?, ?, ?, 1, 0, ?, ?, 0, 0)",
                    *(each.tenant, each.connector, each.account),
                    facts.encode(),
                    json.dumps(sealed, sort_keys=True),
                )


async def read(vault: Vault, numbers: Sequence[int]) -> list[float]:
    """Microseconds per read and decrypt."""
    times: list[float] = []
    for number in numbers:
        start = time.perf_counter()
        record = await vault.get(connection(number))
        assert record is not None
        secret = record.secret("access_token")
        times.append((time.perf_counter() - start) * 1e6)
        assert secret == Secret(TOKEN)
    return times


Slots = asyncio.LifoQueue[httpx.AsyncClient]


BLOCK = 500
"""Callers of one way in a row, before the other way has its turn."""


async def call(ways: Sequence[Plain | VaultAuthorizer], slots: Slots, url: str, callers: int) -> list[list[float]]:
    """Seconds of our processor's time for each block of each way, while `callers` of each way wait for their answers.

    They are served in their order, so the ways take turns block by block and a slow moment burdens both.
    """
    marks: list[float] = []

    async def one(number: int) -> None:
        http = await slots.get()
        if number % BLOCK == 0:
            marks.append(time.process_time())
        request = http.build_request("GET", url)
        await ways[number // BLOCK % len(ways)].apply(request)
        answer = await http.send(request)
        slots.put_nowait(http)
        assert answer.json() == {"id": 1}

    await asyncio.gather(*(one(number) for number in range(callers * len(ways))))
    marks.append(time.process_time())
    spent = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return [spent[way :: len(ways)] for way in range(len(ways))]


@asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/thing"
    finally:
        server.kill()
        server.wait()


async def main(connections: int, callers: int, trials: int) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        keys = LocalKeys(Path(folder) / "master.key", place="file", environ={}, warn=lambda text: None)
        database = await open_database(Path(folder) / "clew.db")
        vault = await open_vault(database, keys)
        await fill(database, keys, connections)
        size = os.path.getsize(Path(folder) / "clew.db") / 1e6  # noqa: PTH202, ASYNC240
        print(f"vault read and decrypt, SQLite, {connections} connections ({size:.0f} MB)\n")
        print("| which connection | p50 | p95 | target |\n| --- | --- | --- | --- |")
        chance = random.Random(1)
        spread = [chance.randrange(connections) for _ in range(10_000)]
        for name, numbers in (("a random one", spread), ("one in use", [7] * 10_000)):
            await read(vault, numbers)
            times = sorted(await read(vault, numbers))
            print(f"| {name} | {times[5_000]:.0f} µs | {times[9_500]:.0f} µs | p50 ≤ 100 µs |")
        await compare(database, vault, callers, trials)
        await database.close()


async def compare(database: Database, vault: Vault, callers: int, trials: int) -> None:
    """The second table."""
    refresher = Refresher(vault, await open_leases(database))
    with_vault = VaultAuthorizer(connection(7), [SCHEME], vault, refresher, base_url="http://127.0.0.1")
    seen: list[list[float]] = [[], []]
    slots: Slots = asyncio.LifoQueue()
    async with provider() as url, AsyncExitStack() as stack:
        for _ in range(32):
            slots.put_nowait(await stack.enter_async_context(httpx.AsyncClient(timeout=600)))
        await call([Plain(), with_vault], slots, url, BLOCK)
        for _ in range(trials):
            for way, blocks in enumerate(await call([Plain(), with_vault], slots, url, callers)):
                seen[way] += blocks
    await refresher.close()
    print(f"\n{callers} concurrent callers of one valid token beside as many without a vault, {trials} trials,")
    print(f"in turns of {BLOCK} (processor time per call; median of the ratios of {len(seen[0])} pairs)\n")
    print("| way | a call | ratio | target |\n| --- | --- | --- | --- |")
    for name, blocks, target in zip(("no vault", "vault"), seen, ("", "≤ 1.05"), strict=True):
        ratio = statistics.median(one / other for one, other in zip(blocks, seen[0], strict=True))
        print(f"| {name} | {statistics.median(blocks) / BLOCK * 1e6:.0f} µs | {ratio:.3f} | {target} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--callers", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=3)
    options = parser.parse_args()
    asyncio.run(main(options.connections, options.callers, options.trials))
