"""A workflow that takes longer than its call: a handle, how far it is, its end, for its own principal alone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
from mcp import Client, MCPError, types
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from pydantic import ConfigDict
from tests.servers.test_http import served

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.journal import State
from clew.core.secret import Secret
from clew.servers.chores import chores
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("era", ["legacy", "auto"])
IN_ALL = [("payment", "create"), ("refund", "create"), ("message", "create"), ("comment", "create")]


async def agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"approve": True})


@asynccontextmanager
async def opened(settings: Settings, sandbox: Sandbox, account: str = "main") -> AsyncGenerator[Runtime]:
    async with Runtime.open(replace(settings, deadline=1.5), ["acme"], account=account) as runtime:
        connection = Connection(LOCAL_TENANT, "acme", account)
        await set_token(runtime.vault, connection, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        yield runtime


@pytest.fixture
async def hasty(settings: Settings, sandbox: Sandbox) -> AsyncGenerator[Runtime]:
    """A server whose calls have little time."""
    async with opened(settings, sandbox) as runtime:
        yield runtime


async def paid(runtime: Runtime, sandbox: Sandbox) -> dict[str, Any]:
    """The arguments of a refund of a new payment."""
    made = await runtime.client.post(
        f"{sandbox.url}/api/payments",
        json={"amount": 500, "currency": "EUR", "card": "4242"},
        headers={"authorization": f"Bearer {sandbox.pat}", "acme-version": "2026-07-01"},
    )
    return {
        "payment_id": made.json()["id"],
        "ticket_id": "tic_000001",
        "to": "ada@acme.example",
        "request_id": "one",
    }


def held_up(sandbox: Sandbox) -> None:
    """From now on no message is sent, until the faults are cleared."""
    sandbox.fault("slow", seconds=None, method="POST", path="/api/messages", when="before")


async def ended(client: Client, handle: str) -> dict[str, Any]:
    """What `get_operation` says in the end."""
    while True:
        said: dict[str, Any] = (await client.call_tool("get_operation", {"operation": handle})).structured_content or {}
        if said["state"] != "running":
            return said


def commits(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(each.resource, each.action) for each in sandbox.state.commits]


@both_eras
async def test_a_workflow_outlives_its_call_and_is_read_by_its_handle(
    hasty: Runtime, sandbox: Sandbox, era: str
) -> None:
    given = await paid(hasty, sandbox)
    held_up(sandbox)
    told: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with Client(build_server(hasty), mode=era, elicitation_callback=agree) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("refund_and_notify", given, progress_callback=hear)
        accepted = result.structured_content["accepted"]
        assert "get_operation" in accepted["next"]
        assert listed["get_operation"].annotations is not None
        assert listed["get_operation"].annotations.read_only_hint
        handle = accepted["operation"]
        running = (await client.call_tool("get_operation", {"operation": handle})).structured_content
        assert running["state"] == "running"
        assert [each["tool"] for each in running["steps"]] == ["find_payment", "refund_payment", "send_message"]
        again = await client.call_tool("refund_and_notify", given)
        assert again.structured_content["accepted"]["operation"] == handle
        sandbox.clear_faults()
        end = await ended(client, handle)
        assert (end["state"], end["result"]["refund"]["amount"]) == ("applied", 500)
        assert {each["state"] for each in end["steps"]} == {"applied"}
        repeated = await client.call_tool("refund_and_notify", given)
        assert repeated.structured_content == end["result"]
    assert "step 2: refund_payment" in told
    assert commits(sandbox) == IN_ALL


async def test_its_result_is_sealed_and_not_for_another_account(
    hasty: Runtime, settings: Settings, sandbox: Sandbox
) -> None:
    given = await paid(hasty, sandbox)
    held_up(sandbox)
    async with Client(build_server(hasty), elicitation_callback=agree) as client:
        result = await client.call_tool("refund_and_notify", given)
        handle = result.structured_content["accepted"]["operation"]
        sandbox.clear_faults()
        await ended(client, handle)
    (kept,) = await hasty.store.database.fetch_all("SELECT answer FROM writes WHERE id = ?", handle)
    assert given["payment_id"].encode() not in bytes(kept[0])
    async with opened(settings, sandbox, "other") as stranger, Client(build_server(stranger)) as client:
        refused = await client.call_tool("get_operation", {"operation": handle})
        missing = await client.call_tool("get_operation", {"operation": "0" * 24})
        assert refused.structured_content["error"]["code"] == "not_found"
        assert (
            refused.structured_content["error"]["message"].replace(handle, "0" * 24)
            == (missing.structured_content["error"]["message"])
        )
    await hasty.store.journal.prune(answers_after=0, rows_after=3600)
    async with Client(build_server(hasty)) as client:
        assert "no longer kept" in (await ended(client, handle))["next"]


async def test_another_process_goes_on_where_the_first_has_stopped(settings: Settings, sandbox: Sandbox) -> None:
    async with opened(settings, sandbox) as first:
        given = await paid(first, sandbox)
        held_up(sandbox)
        async with Client(build_server(first), elicitation_callback=agree) as client:
            result = await client.call_tool("refund_and_notify", given)
            handle = result.structured_content["accepted"]["operation"]
        await first.drain(0.1)
    sandbox.clear_faults()
    async with opened(settings, sandbox, "other") as stranger, chores(stranger):
        await asyncio.sleep(0)
    async with opened(settings, sandbox) as second:
        (row,) = [each for each in await second.store.journal.rows() if each.id == handle]
        assert (row.state, row.pending) == (State.SENT, "running")
        async with chores(second), Client(build_server(second)) as client:
            end = await ended(client, handle)
    assert end["state"] == "applied", end
    assert commits(sandbox) == IN_ALL


async def test_a_caller_that_cancels_stops_it_and_the_same_call_goes_on(hasty: Runtime, sandbox: Sandbox) -> None:
    given = await paid(hasty, sandbox)
    sandbox.fault("slow", seconds=None, method="POST", path="/api/tickets", when="before")

    async def refund() -> None:
        async with Client(build_server(hasty), elicitation_callback=agree) as client:
            await client.call_tool("refund_and_notify", given)

    calling = asyncio.ensure_future(refund())
    await sandbox.wait_until(lambda: sandbox.state.faults.show()[0]["hits"] == 1)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await sandbox.wait_until(lambda: not hasty.operations.running)
    (row,) = [each for each in await hasty.store.journal.rows() if each.tool == "refund_and_notify"]
    assert (row.state, row.pending) == (State.UNKNOWN, None)
    sandbox.clear_faults()
    async with Client(build_server(hasty)) as client:
        await client.call_tool("refund_and_notify", given)
        assert (await ended(client, row.id))["state"] == "applied"
    assert commits(sandbox) == IN_ALL


class TaskHandle(types.Result):
    """The claimed shape of a call that has become a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int


class TaskRequest(types.Request[dict[str, Any], str]):
    """Any method of the extension."""


class Anything(types.Result):
    """A result with whatever is in it."""

    model_config = ConfigDict(extra="allow")


async def ask(session: Any, method: str, task: str, **more: Any) -> dict[str, Any]:
    answer = await session.send_request(TaskRequest(method=method, params={"taskId": task, **more}), Anything)
    said: dict[str, Any] = answer.model_dump(by_alias=True)
    return said


class Polling(ClientExtension):
    """A host that knows tasks."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, sandbox: Sandbox, *, cancels: bool = False) -> None:
        self._sandbox = sandbox
        self._cancels = cancels
        self.seen: list[str] = []

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskHandle, resolve=self.resolve)]

    async def resolve(self, result: TaskHandle, context: ClaimContext) -> types.CallToolResult:
        assert result.status == "working"
        said = await ask(context.session, "tasks/get", result.task_id)
        assert said["status"] == "working"
        assert "result" not in said
        assert await ask(context.session, "tasks/update", result.task_id, inputResponses={})
        with pytest.raises(MCPError, match="no operation"):
            await ask(context.session, "tasks/get", "0" * 24)
        if self._cancels:
            await ask(context.session, "tasks/cancel", result.task_id)
        self._sandbox.clear_faults()
        while said["status"] == "working":
            said = await ask(context.session, "tasks/get", result.task_id)
        self.seen += [said["status"], said["statusMessage"]]
        return types.CallToolResult.model_validate(said.get("result") or {"content": [], "isError": True})


async def test_hosts_that_know_tasks_poll_one(hasty: Runtime, sandbox: Sandbox) -> None:
    given = await paid(hasty, sandbox)
    held_up(sandbox)
    polling = Polling(sandbox)
    async with served(hasty) as url:
        async with Client(url, elicitation_callback=agree, extensions=[polling]) as client:
            result = await client.call_tool("refund_and_notify", given)
            assert "io.modelcontextprotocol/tasks" in (client.server_capabilities.extensions or {})
        assert result.structured_content["refund"]["amount"] == 500
        assert polling.seen[0] == "completed"
        async with Client(url) as client:
            with pytest.raises(MCPError, match="Declare") as undeclared:
                await ask(client.session, "tasks/get", "0" * 24)
            assert undeclared.value.error.code == -32021
        async with Client(url, mode="legacy") as client:
            with pytest.raises(MCPError, match="Method not found"):
                await ask(client.session, "tasks/get", "0" * 24)
    assert commits(sandbox) == IN_ALL


async def test_a_task_that_is_cancelled_stops_and_says_so(hasty: Runtime, sandbox: Sandbox) -> None:
    given = await paid(hasty, sandbox)
    held_up(sandbox)
    polling = Polling(sandbox, cancels=True)
    async with Client(build_server(hasty), elicitation_callback=agree, extensions=[polling]) as client:
        await client.call_tool("refund_and_notify", given)
    assert polling.seen[0] == "cancelled"
    assert commits(sandbox).count(("comment", "create")) == 0
