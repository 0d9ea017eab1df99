"""A story from end to end: a payment is refunded and replaced by one that its cardholder has to confirm (3-D Secure).

Acme runs on loopback, the host is an MCP client, the cardholder a browser, the end comes as a webhook. Whatever gets
lost on the way, money goes back once and comes in once, and the journal and the audit say so.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, types

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core import audit_chain, audit_reading
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.fields import as_object
from clew.core.inbox import Status
from clew.core.journal import State
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.mailroom import open_mailroom
from clew.servers.mcp import build_server
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings
from clew.servers.subscriptions import subscribe

pytestmark = pytest.mark.anyio

MAIN = Connection(LOCAL_TENANT, "acme", "main")
OLD = {"amount": 1250, "currency": "EUR", "card": "4242", "reference": "order 7", "request_id": "order-7"}
NEW = {**OLD, "card": "3220", "request_id": "order-7-again"}


@asynccontextmanager
async def opened(home: Path, sandbox: Sandbox) -> AsyncGenerator[Runtime]:
    """A receiver that Acme delivers to, and the runtime of a server for the host: they share nothing but the store."""
    settings = Settings(
        home=home,
        key_provider="file",
        connectors={"acme": ConnectorSettings(base_url=sandbox.url)},
        deadline=16,
        policy=Policy(writes=Decision.ALLOW),
    )
    async with Runtime.open(settings, ["acme"]) as receiver:
        await set_token(receiver.vault, MAIN, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        async with open_mailroom(receiver) as mailroom:
            address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", address.set_result))
            await subscribe(receiver, receiver.connectors[0], MAIN, await address)
            async with Runtime.open(settings, ["acme"]) as runtime:
                yield runtime
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


class Person:
    """Who sits at the host: agrees to what is shown, and opens links when `opens`; the cardholder confirms there."""

    def __init__(self, *, opens: bool = True) -> None:
        self.opens = opens
        self.asked: list[str] = []
        self.links: list[str] = []

    async def __call__(self, context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        if not isinstance(params, types.ElicitRequestURLParams):
            self.asked.append(params.message)
            return types.ElicitResult(action="accept", content={"approve": True})
        self.links.append(params.url)
        if not self.opens:
            return types.ElicitResult(action="cancel")
        await confirm(params.url)
        return types.ElicitResult(action="accept")


async def confirm(url: str) -> None:
    """The cardholder in a browser."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        token = re.search(r'name="token" value="([^"]+)"', (await browser.get(url)).text)
        assert token
        await browser.post(url.partition("?")[0], data={"token": token[1], "decision": "confirm"})


async def call(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """What a tool returns to the agent; it must not be an error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return dict(result.structured_content or {})


async def refused(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The error that a tool ends with."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    told: dict[str, Any] = dict(result.structured_content or {})
    found = as_object(told["error"])
    assert found is not None
    return found


async def audited(runtime: Runtime) -> list[dict[str, Any]]:
    """Every record of the audit; its chain must be whole."""
    assert runtime.evidence is not None
    assert await runtime.evidence.audit.flush()
    assert (await audit_chain.verify(runtime.store.database)).faults == ()
    return await audit_reading.last(runtime.store.database, audit_reading.Filter(connector="acme"), 100)


def money(sandbox: Sandbox) -> dict[str, int]:
    """What has really happened at Acme."""
    state = sandbox.state
    ours = [row for row in state.store.payments if row["reference"] == "order 7"]
    left = [row["amount"] - row["refunded_amount"] for row in ours if row["status"] != "requires_action"]
    return {"payments": state.committed("payment"), "refunds": state.committed("refund"), "kept": sum(left)}


async def test_a_refund_and_its_replacement_are_two_calls_and_two_movements_of_money(tmp_path: Path) -> None:
    person = Person()
    with Sandbox() as sandbox:
        async with (
            opened(tmp_path / "home", sandbox) as runtime,
            Client(build_server(runtime), elicitation_callback=person) as client,
        ):
            old = await call(client, "create_payment", **OLD)
            refund = await call(client, "refund_payment", payment_id=old["id"], request_id="refund-7")
            new = await call(client, "create_payment", **NEW)
            assert await call(client, "create_payment", **NEW) == new
            rows = await runtime.store.journal.rows()
            records = await audited(runtime)
        assert money(sandbox) == {"payments": 2, "refunds": 1, "kept": 1250}
    assert (refund["amount"], refund["payment_id"]) == (1250, old["id"])
    assert (new["status"], new["confirmed"]["state"]) == ("succeeded", "succeeded")
    assert old["id"] in person.asked[0]
    assert (len(person.asked), len(person.links)) == (1, 1)
    assert {(row.tool, row.state, row.pending) for row in rows} == {
        ("create_payment", State.APPLIED, None),
        ("refund_payment", State.APPLIED, None),
    }
    assert {row.reference for row in rows} == {old["id"], refund["id"], new["id"]}
    told = [(each["tool"], each["code"], each["outcome"]) for each in records]
    assert told.count(("refund_payment", "ok", "applied")) == 1
    # The old one, and the new one: also where the cardholder confirmed it before the call came back.
    assert told.count(("create_payment", "ok", "applied")) == 2
    assert ("create_payment", "asked", "not_applied") in told
    assert told[-1] == ("create_payment", "ok", "not_applied")  # how it ended, told again and not done again
    assert sandbox.pat not in str(records)


async def test_whatever_is_lost_on_the_way_no_second_payment_is_made(tmp_path: Path) -> None:
    person = Person(opens=False)  # the link goes to the cardholder by another way
    with Sandbox() as sandbox:
        async with (
            opened(tmp_path / "home", sandbox) as runtime,
            Client(build_server(runtime), elicitation_callback=person) as client,
        ):
            old = await call(client, "create_payment", **OLD)
            # Done, and its answer lost: first of the refund, then of the new payment.
            sandbox.fault("drop_after_commit", method="POST", path=f"/api/payments/{old['id']}/refunds")
            sandbox.fault("webhook_duplicate", event="payment.succeeded")
            refund = await call(client, "refund_payment", payment_id=old["id"], request_id="refund-7")
            sandbox.fault("drop_after_commit", method="POST", path="/api/payments")
            errors = [await refused(client, "create_payment", **NEW) for _ in range(3)]
            assert {each["code"] for each in errors} == {"action_required"}
            (link,) = {each["url"] for each in errors}
            assert money(sandbox) == {"payments": 2, "refunds": 1, "kept": 0}
            await confirm(link)
            name = link.partition("?")[0].rpartition("/")[2]
            event = await call(client, "wait_for_event", reference=name, type="payment.succeeded", seconds=10)
            async with asyncio.timeout(10):
                while (await runtime.inbox.count())[Status.PENDING]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            new = await call(client, "create_payment", **NEW)
            again = await call(client, "refund_payment", payment_id=old["id"], request_id="refund-7")
            rows = await runtime.store.journal.rows()
            records = await audited(runtime)
            asked = sandbox.state.requests["POST /api/payments"]
        assert money(sandbox) == {"payments": 2, "refunds": 1, "kept": 1250}
    assert event["event"]["state"] == "succeeded"
    assert (new["id"], new["status"]) == (name, "succeeded")
    assert again["id"] == refund["id"]
    assert asked == 3  # the first one, the one whose answer was lost, and its repetition under the same key
    assert Counter(row.tool for row in rows) == {"create_payment": 2, "refund_payment": 1}
    assert {(row.state, row.pending) for row in rows} == {(State.APPLIED, None)}
    told = Counter((each["tool"], each["code"]) for each in records)
    assert told[("create_payment", "action_required")] >= 3  # a host may ask a second time for the link's sake
    assert told[("refund_payment", "ok")] == 2
