"""The same attacks on consent over the real wires: `clew serve` in its own process, stdio and HTTP, both eras."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters, types
from tests.attacks.host_wire import COMMAND, Host, Installed, Message, http_server, install, raw_host

from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio

YES: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
ADA, GRACE, ALAN = ({"contact_id": f"con_00000{number}"} for number in (1, 2, 3))
both_ways = pytest.mark.parametrize("way", ["stdio", pytest.param("http", marks=pytest.mark.slow)])


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
async def installed(tmp_path: Path, sandbox: Sandbox) -> Installed:
    return await install(tmp_path, sandbox)


def deletions(sandbox: Sandbox) -> int:
    return sandbox.state.committed("contact", "delete")


async def never_asked(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    raise AssertionError("these attacks drive the rounds by hand")


@contextlib.asynccontextmanager
async def target(way: str, installed: Installed) -> AsyncGenerator[StdioServerParameters | str]:
    if way == "http":
        async with http_server(installed) as url:
            yield url
    else:
        yield StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=installed.environment)


async def ask(client: Client, arguments: dict[str, str]) -> str:
    asked = await client.session.call_tool("delete_contact", arguments, allow_input_required=True)
    assert isinstance(asked, types.InputRequiredResult)
    return asked.request_state or ""


async def answered(client: Client, arguments: dict[str, str], state: str | None, said: types.InputResponses) -> Any:
    return await client.session.call_tool(
        "delete_contact", arguments, input_responses=said, request_state=state, allow_input_required=True
    )


@both_ways
async def test_in_the_newer_era_only_the_answer_to_our_question_counts_and_once(
    installed: Installed, sandbox: Sandbox, way: str
) -> None:
    async with target(way, installed) as server, Client(server, elicitation_callback=never_asked) as client:
        assert client.session.protocol_version == "2026-07-28"
        # An answer that nobody asked for, with no state and with one of another making.
        assert isinstance(await answered(client, ALAN, None, YES), types.InputRequiredResult)
        for forged in ('{"question": "x", "nonce": "y"}', "v1.AAAA"):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await answered(client, ALAN, forged, YES)
        # Answers that are no clear yes.
        loose: tuple[dict[str, Any] | None, ...] = (
            None, {}, {"approve": "true"}, {"approve": 1}, {"approve": ["yes"]}, {"yes": True},
        )  # fmt: skip
        for content in loose:
            said = types.ElicitResult(action="accept", content=content)
            result = await answered(client, ALAN, await ask(client, ALAN), {"approve": said})
            assert result.structured_content["error"]["code"] == "denied"
        # A yes to other arguments.
        state = await ask(client, ALAN)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await answered(client, GRACE, state, YES)
        # The model tries to say yes itself: in the arguments, or by a tool that it hopes for.
        for sneaky in ({"approve": True}, {"confirm": True}, {"approval": "yes"}):
            refused: Any = await client.session.call_tool(
                "delete_contact", {**ALAN, **sneaky}, allow_input_required=True
            )
            assert refused.structured_content["error"]["code"] == "invalid_input"
        for tool in ("approve", "approvals_approve", "clew_approve", "resolve_approval"):
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.session.call_tool(tool, {"id": "x"})
        assert not [tool.name for tool in (await client.list_tools()).tools if "appro" in tool.name]
        assert deletions(sandbox) == 0
        # One yes, sent many times at once: it is good for one.
        state = await ask(client, ALAN)
        results = await asyncio.gather(*(answered(client, ALAN, state, YES) for _ in range(8)))
        assert [each.is_error for each in results].count(False) == 1
        assert {each.structured_content["error"]["code"] for each in results if each.is_error} <= {
            "already_done",
            "not_found",
        }
        assert deletions(sandbox) == 1
        sandbox.reset(keep_tokens=True)  # the contact is there again, so only the spent yes can stop the replay
        assert (await answered(client, ALAN, state, YES)).structured_content["error"]["code"] == "already_done"
        assert deletions(sandbox) == 0
        left = await ask(client, GRACE)
    async with target(way, installed) as server, Client(server, elicitation_callback=never_asked) as client:
        if way == "stdio":
            with pytest.raises(MCPError, match="Invalid or expired requestState"):  # of another host's server
                await answered(client, GRACE, left, YES)
        else:
            # Behind one address the next worker goes on where the last one stopped, and knows which yes was used.
            assert (await answered(client, ALAN, state, YES)).structured_content["error"]["code"] == "already_done"
            assert not (await answered(client, GRACE, left, YES)).is_error
    assert deletions(sandbox) == (0 if way == "stdio" else 1)


def call(number: int, arguments: dict[str, str]) -> Message:
    params = {"name": "delete_contact", "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def answer(number: object, action: str = "accept") -> Message:
    content = {"content": {"approve": True}} if action == "accept" else {}
    return {"jsonrpc": "2.0", "id": number, "result": {"action": action, **content}}


async def hear(host: Host, method: str) -> Message:
    """The next request of this method."""
    while (heard := await host.hear()).get("method") != method:
        assert "result" not in heard, f"a result came before the question: {heard}"
    return heard


async def end_of(host: Host, number: int) -> Message:
    """The result of the call of this number."""
    while (heard := await host.hear()).get("id") != number or "method" in heard:
        pass
    found: Message = heard["result"]["structuredContent"]
    return found


@both_ways
async def test_in_the_older_era_only_the_answer_to_our_question_counts_and_once(
    installed: Installed, sandbox: Sandbox, way: str
) -> None:
    async with raw_host(way, installed) as host:
        # Yes to questions that were not asked yet, under every number they might get.
        for number in range(6):
            await host.send(answer(number))
            await host.send(answer(str(number)))
        await host.send(call(101, ALAN))
        first = await hear(host, "elicitation/create")
        assert "con_000003" in first["params"]["message"]
        # Yes to anything but this question, also as text of another shape, and then a no to it.
        for wrong in (first["id"] + 1000 if isinstance(first["id"], int) else "x", None, 101, -1):
            await host.send(answer(wrong))
        await host.send(answer(first["id"], "decline"))
        assert (await end_of(host, 101))["error"]["code"] == "denied"
        assert deletions(sandbox) == 0
        # The no is changed into a yes afterwards.
        await host.send(answer(first["id"]))
        # A yes to one question, while the other one stands: each counts for its own.
        await host.send(call(102, ALAN))
        alan = await hear(host, "elicitation/create")
        await host.send(call(103, GRACE))
        grace = await hear(host, "elicitation/create")
        await host.send(answer(grace["id"], "decline"))
        await host.send(answer(grace["id"]))
        assert (await end_of(host, 103))["error"]["code"] == "denied"
        await host.send(answer(alan["id"]))
        await host.send(answer(alan["id"]))
        assert "error" not in await end_of(host, 102)
        assert [each.id for each in sandbox.state.commits] == ["con_000003"]
        # The former yes again, for a question of its own.
        await host.send(call(104, ADA))
        ada = await hear(host, "elicitation/create")
        for former in (first, alan, grace):
            await host.send(answer(former["id"]))
        await host.send({"jsonrpc": "2.0", "id": ada["id"], "error": {"code": -1, "message": "no"}})
        assert (await end_of(host, 104))["error"]["code"] == "approval_required"
        await host.send(answer(ada["id"]))
        await host.send(call(105, ADA))
        again = await hear(host, "elicitation/create")
        await host.send(answer(again["id"], "cancel"))
        assert (await end_of(host, 105))["error"]["code"] == "approval_required"
    assert [each.id for each in sandbox.state.commits] == ["con_000003"]
