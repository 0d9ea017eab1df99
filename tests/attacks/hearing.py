"""A runtime with one account, and a receiver on loopback to which its provider delivers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.host import Question, SilentHost
from clew.core.inbox import Status
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.http import open_listener
from clew.servers.mailroom import open_mailroom
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.settings import ConnectorSettings, Settings
from clew.servers.subscriptions import subscribe


class Person(SilentHost):
    """A host with a person who says yes; `act` is what they do on a page. Without it they do not go there."""

    asks = True

    def __init__(self, act: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.act = act
        self.opened: list[str] = []

    async def confirm(self, question: Question) -> bool:
        return True

    async def progress(self, message: str) -> None:
        """Nothing to show it on."""

    async def visit(self, url: str, message: str) -> bool:
        if self.act is None:
            return False
        self.opened.append(url)
        await self.act(url.rpartition("/")[2])
        return True


def main_account(connector: str) -> Connection:
    """The account of the runtime."""
    return Connection(LOCAL_TENANT, connector, "main")


@contextlib.asynccontextmanager
async def serving(routes: Sequence[Route]) -> AsyncGenerator[str]:
    """A stand-in for a provider on a free port; its address."""
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off")
    with open_listener("", "127.0.0.1", 0) as listener:
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@contextlib.asynccontextmanager
async def hearing(
    home: Path, database: str, connector: str, provider: str, *, where: Mapping[str, str] | None = None
) -> AsyncGenerator[Runtime]:
    """The runtime, subscribed at `provider`."""
    settings = Settings(
        home=home,
        key_provider="file",
        database=Secret(database),
        connectors={connector: ConnectorSettings(base_url=provider)},
        deadline=20,
        policy=Policy(writes=Decision.ALLOW),
    )
    async with Runtime.open(settings, [connector]) as runtime:
        account, token = main_account(connector), {"token": Secret("sk_test_" + "x")}
        await set_token(runtime.vault, account, Bearer(), token, origin=provider)
        async with open_mailroom(runtime) as mailroom:
            root: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            receiving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", root.set_result))
            await subscribe(runtime, runtime.connectors[0], account, await root, where=where)
            yield runtime
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)


async def worked(runtime: Runtime) -> None:
    """Wait until every event was worked on."""
    async with asyncio.timeout(20):
        while (await runtime.inbox.count())[Status.PENDING]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
