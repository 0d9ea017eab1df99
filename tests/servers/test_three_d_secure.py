# ruff: noqa: ASYNC220
"""3-D Secure end to end on Acme: a payment that waits for its cardholder, and is never made a second time."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from mcp import Client, StdioServerParameters, types

from clew.core.audit_chain import rows
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import ActionRequiredError
from clew.core.inbox import Status
from clew.servers.mailroom import open_mailroom
from clew.servers.mcp import build_server
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings
from clew.servers.subscriptions import subscribe

pytestmark = pytest.mark.anyio

MAIN = Connection(LOCAL_TENANT, "acme", "main")
PAYMENT = {"amount": 1250, "currency": "EUR", "card": "3220", "reference": "order 7"}


@asynccontextmanager
async def receiving(runtime: Runtime, *, subscribed: bool = True) -> AsyncGenerator[None]:
    """A receiver of this runtime, and Acme's subscription for it."""
    async with open_mailroom(runtime) as mailroom:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", address.set_result))
        root = await address
        if subscribed:
            await subscribe(runtime, runtime.connectors[0], MAIN, root)
        yield
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def decide(url: str, decision: str = "confirm") -> None:
    """What the cardholder does in a browser."""
    async with httpx.AsyncClient() as browser:
        page = await browser.get(url)
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        assert token
        await browser.post(url.partition("?")[0], data={"token": token[1], "decision": decision})


def host(
    decision: str = "confirm", action: Literal["accept", "decline", "cancel"] = "accept"
) -> tuple[Callable[..., Any], list[str]]:
    """A host that opens links; the person at it decides."""
    opened: list[str] = []

    async def open_link(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        opened.append(params.url)
        if action == "accept":
            await decide(params.url, decision)
        return types.ElicitResult(action=action)

    return open_link, opened


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_waiting_call_returns_the_payment(runtime: Runtime, sandbox: Sandbox, mode: Any) -> None:
    answer, opened = host()
    async with receiving(runtime), Client(build_server(runtime), elicitation_callback=answer, mode=mode) as client:
        result = await client.call_tool("create_payment", PAYMENT)
        again = await client.call_tool("create_payment", {**PAYMENT, "request_id": "second"})
    assert not result.is_error, result
    assert result.structured_content is not None
    assert result.structured_content["status"] == "succeeded"
    assert result.structured_content["confirmed"]["state"] == "succeeded"
    assert not again.is_error
    assert len(opened) == 2
    assert sandbox.state.requests["POST /api/payments"] == 2
    # The record tells the end of the call, not where it stood when the person was sent to the page.
    assert runtime.evidence is not None
    assert await runtime.evidence.audit.flush()
    told = [json.loads(row[6]) async for row in rows(runtime.store.database, 0)]
    ends = [(each["code"], each["outcome"]) for each in told if each["code"] != "asked"]
    # In the newer protocol the call comes back after the person, and may find its own write done: it is its own still.
    assert ends == [("ok", "applied")] * 2


async def test_a_later_call_returns_what_happened_meanwhile(runtime: Runtime, sandbox: Sandbox) -> None:
    async with receiving(runtime):
        with pytest.raises(ActionRequiredError) as required:
            await runtime.call("create_payment", {**PAYMENT, "request_id": "order-7"})
        assert required.value.url is not None
        with pytest.raises(ActionRequiredError):  # still: and no second payment for asking again
            await runtime.call("create_payment", {**PAYMENT, "request_id": "order-7"})
        await decide(required.value.url)
        async with asyncio.timeout(10):
            while await runtime.inbox.newest() == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            waited = await _waited(runtime, required.value)
        done = await runtime.call("create_payment", {**PAYMENT, "request_id": "order-7"})
    assert waited["event"]["state"] == "succeeded"
    assert done["status"] == "succeeded"
    assert sandbox.state.requests["POST /api/payments"] == 1
    assert sandbox.state.committed("payment") == 1


async def _waited(runtime: Runtime, required: ActionRequiredError) -> dict[str, Any]:
    payment = re.search(r"pay_\w+", required.message)
    assert payment
    async with Runtime.open(runtime.settings, ["acme"]) as other:  # a process that starts after the subscription
        waited = await other.call("wait_for_event", {"reference": payment[0], "seconds": 8})
        while (await other.inbox.count())[Status.PENDING]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        listed = await other.call("list_events", {"reference": payment[0]})
        assert {each["state"] for each in listed["items"]} == {"requires_action", "succeeded"}
        detail = await other.call("get_event", {"event_id": waited["event"]["id"]})
        assert payment[0] in detail["payload"]
    return waited


async def test_a_payment_that_the_cardholder_refuses_is_not_made(runtime: Runtime, sandbox: Sandbox) -> None:
    answer, _ = host(decision="fail")
    async with receiving(runtime), Client(build_server(runtime), elicitation_callback=answer) as client:
        result = await client.call_tool("create_payment", PAYMENT)
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["error"]["code"] == "denied"
    assert result.structured_content["error"]["outcome"] == "not_applied"
    assert sandbox.state.requests["POST /api/payments"] == 1


@pytest.mark.parametrize("action", ["cancel", "decline"])
async def test_a_person_who_does_not_open_the_link_gets_it_in_the_error(
    runtime: Runtime, sandbox: Sandbox, action: Literal["cancel", "decline"]
) -> None:
    answer, opened = host(action=action)
    async with receiving(runtime), Client(build_server(runtime), elicitation_callback=answer) as client:
        result = await client.call_tool("create_payment", PAYMENT)
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["error"]["url"] == opened[0]


async def test_nobody_waits_for_events_that_cannot_come(runtime: Runtime, sandbox: Sandbox) -> None:
    answer, _ = host()
    async with (
        receiving(runtime, subscribed=False),
        Client(build_server(runtime), elicitation_callback=answer) as client,
    ):
        result = await client.call_tool("create_payment", PAYMENT)
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["error"]["code"] == "action_required"


async def test_a_wait_has_an_end_and_says_how_to_go_on(settings: Settings, runtime: Runtime, sandbox: Sandbox) -> None:
    async def open_link(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept")  # and the person is slow

    runtime.settings = replace(settings, deadline=1.0)
    async with receiving(runtime), Client(build_server(runtime), elicitation_callback=open_link) as client:
        result = await client.call_tool("create_payment", PAYMENT)
    assert result.is_error
    assert result.structured_content is not None
    assert "same call again" in result.structured_content["error"]["next"]


async def test_a_message_that_bounces_ends_as_bounced(runtime: Runtime, sandbox: Sandbox) -> None:
    message = {"sender": "support@acme.example", "to": "ada@bounce.example", "subject": "Hi", "text": "Hello"}
    async with receiving(runtime):
        sent = await runtime.call("send_message", {**message, "request_id": "m1"})
        assert sent["status"] == "accepted"
        async with Runtime.open(runtime.settings, ["acme"]) as other:
            waited = await other.call("wait_for_event", {"reference": sent["id"], "seconds": 10})
        async with asyncio.timeout(10):
            while (await runtime.inbox.count())[Status.PENDING]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        again = await runtime.call("send_message", {**message, "request_id": "m1"})
    assert waited["event"]["state"] == "bounced"
    assert (again["status"], again["confirmed"]["state"]) == ("bounced", "bounced")
    assert sandbox.state.requests["POST /api/messages"] == 1


async def test_two_real_processes_and_a_browser(settings: Settings, runtime: Runtime, sandbox: Sandbox) -> None:
    """`clew serve` for the host and `clew webhooks serve` for Acme share nothing but the store."""
    config = settings.home / "clew.toml"
    config.write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n', encoding="utf-8")
    places = {"CLEW_HOME": str(settings.home), "CLEW_CONFIG": str(config), "CLEW_KEY_PROVIDER": "file"}
    places["CLEW_ALLOW_WRITES"] = "1"
    environment = {**{name: each for name, each in os.environ.items() if not name.startswith("CLEW_")}, **places}
    command = [sys.executable, "-m", "clew.servers.cli"]
    receiver = subprocess.Popen(
        [*command, "webhooks", "serve", "acme", "--http", "127.0.0.1:0"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert receiver.stderr is not None
        root = await asyncio.to_thread(_address, receiver)
        await subscribe(runtime, runtime.connectors[0], MAIN, root)
        answer, opened = host()
        server = StdioServerParameters(command=command[0], args=[*command[1:], "serve", "acme"], env=environment)
        async with Client(server, elicitation_callback=answer) as client:
            result = await client.call_tool("create_payment", PAYMENT)
    finally:
        receiver.terminate()
        receiver.communicate()
    assert not result.is_error, result
    assert result.structured_content is not None
    assert result.structured_content["status"] == "succeeded"
    assert (len(opened), sandbox.state.requests["POST /api/payments"]) == (1, 1)


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"receiving at (http://[^/]+)", line)
        if found:
            return found[1]
    raise AssertionError("the receiver did not start")


def test_the_pages_are_only_acmes(tmp_path: Path) -> None:
    """A link that a host shows must be one that a browser may open."""
    from clew.servers.waiting import is_shown

    shown = [
        is_shown(url) for url in ("https://bank.example/x", "http://127.0.0.1:1/x", "http://bank.example", "file:///x")
    ]
    assert shown == [True, True, False, False]
