"""Hosts that listen hear that something came, in both protocol eras; whoever does not receive sees nothing of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, types
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ResourceUpdated
from tests.attacks.delivering import ACME, new_secret

from clew.auth.webhook_secrets import add_secret
from clew.core.inbox import Incoming
from clew.core.secret import Secret
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings

pytestmark = pytest.mark.anyio
URI = "clew://events/acme"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    found = Settings(home=tmp_path / "home", key_provider="file")
    async with Runtime.open(found, ["acme"]) as runtime:
        await add_secret(runtime.vault, ACME, Secret(new_secret()))
    return found


async def arrive(runtime: Runtime, key: str) -> None:
    await runtime.inbox.store([Incoming(ACME, (key,), "payment.succeeded", "{}", reference=key, state="succeeded")])


async def test_a_server_without_webhooks_offers_nothing_about_events(tmp_path: Path) -> None:
    async with Runtime.open(Settings(home=tmp_path / "home", key_provider="file"), ["acme"]) as runtime:
        assert not {"list_events", "get_event", "wait_for_event"} & set(runtime.tools)
        async with Client(build_server(runtime)) as client:
            assert (await client.list_resources()).resources == []
            with pytest.raises(MCPError):
                await client.read_resource("clew://events/acme")


async def test_the_tools_can_be_left_out_and_chosen(settings: Settings) -> None:
    async with Runtime.open(settings, ["acme"], tools=["tickets"]) as runtime:
        assert "list_events" not in runtime.tools
    async with Runtime.open(settings, ["acme"], tools=["events"]) as runtime:
        assert set(runtime.tools) == {"list_events", "get_event", "wait_for_event"}


async def test_events_are_listed_and_read_as_a_resource(settings: Settings) -> None:
    async with Runtime.open(settings, ["acme"]) as runtime, Client(build_server(runtime)) as client:
        await arrive(runtime, "pay_1")
        listed = await client.list_resources()
        assert [str(each.uri) for each in listed.resources] == [URI]
        read = await client.read_resource(URI)
        content = read.contents[0]
        assert isinstance(content, types.TextResourceContents)
        assert json.loads(content.text)["events"][0]["reference"] == "pay_1"
        with pytest.raises(MCPError):
            await client.read_resource("clew://events/github")


async def test_a_host_of_the_older_era_hears_of_an_event(settings: Settings) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(message: Any) -> None:
        heard.put_nowait(message)

    async with (
        Runtime.open(settings, ["acme"]) as runtime,
        Client(build_server(runtime), mode="legacy", message_handler=hear) as client,
    ):
        with pytest.warns(MCPDeprecationWarning):
            await client.subscribe_resource(URI)  # pyright: ignore[reportDeprecated]
        await until_heard(runtime, heard)
        with pytest.warns(MCPDeprecationWarning):
            await client.unsubscribe_resource(URI)  # pyright: ignore[reportDeprecated]


async def test_a_host_of_the_newer_era_hears_of_an_event(settings: Settings) -> None:
    async with (
        Runtime.open(settings, ["acme"]) as runtime,
        Client(build_server(runtime)) as client,
        client.listen(resource_subscriptions=[URI]) as changes,
    ):
        arriving = asyncio.create_task(_arriving(runtime))
        async with asyncio.timeout(10):
            async for change in changes:
                assert isinstance(change, ResourceUpdated)
                assert str(change.uri) == URI
                break
        arriving.cancel()


async def _arriving(runtime: Runtime) -> None:
    for number in range(100):
        await arrive(runtime, f"pay_{number}")
        await asyncio.sleep(0.3)


async def until_heard(runtime: Runtime, heard: "asyncio.Queue[Any]") -> None:
    arriving = asyncio.create_task(_arriving(runtime))
    async with asyncio.timeout(10):
        while True:
            message = await heard.get()
            if "ResourceUpdated" in type(getattr(message, "root", message)).__name__:
                break
    arriving.cancel()
