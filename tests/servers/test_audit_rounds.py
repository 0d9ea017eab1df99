"""What the audit tells of a call that asked a person in one round and went on in the next (2026-07-28)."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import Client, types

from clew.core import audit_chain, audit_reading
from clew.core.connection import LOCAL_TENANT, Connection
from clew.servers.cli.story import tell
from clew.servers.mailroom import open_mailroom
from clew.servers.mcp import build_server
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.subscriptions import subscribe

pytestmark = pytest.mark.anyio

MAIN = Connection(LOCAL_TENANT, "acme", "main")
ALAN = {"contact_id": "con_000003"}
PAYMENT = {"amount": 1250, "currency": "EUR", "card": "3220", "reference": "order 7"}
YES: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
NO: types.InputResponses = {"approve": types.ElicitResult(action="decline")}


async def audited(runtime: Runtime) -> list[dict[str, Any]]:
    """Every record, the oldest first; the chain must be whole."""
    assert runtime.evidence is not None
    assert await runtime.evidence.audit.flush()
    assert (await audit_chain.verify(runtime.store.database)).faults == ()
    return await audit_reading.last(runtime.store.database, audit_reading.Filter(connector="acme"), 100)


async def story(runtime: Runtime, reference: str) -> str:
    """What `clew audit show` prints."""
    record = await audit_reading.find(runtime.store.database, reference)
    assert record is not None
    return "\n".join(tell(await audit_reading.rounds(runtime.store.database, record)))


async def never_asked(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    raise AssertionError("the rounds are driven by hand")


@pytest.mark.parametrize(
    ("answer", "end"), [(YES, ("ok", "applied", "agreed")), (NO, ("denied", "not_applied", "declined"))]
)
async def test_the_first_round_says_asked_and_the_second_what_happened(
    runtime: Runtime, answer: types.InputResponses, end: tuple[str, str, str]
) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        asked = await client.session.call_tool("delete_contact", ALAN, allow_input_required=True)
        assert isinstance(asked, types.InputRequiredResult)
        (alone,) = await audited(runtime)
        unanswered = await story(runtime, alone["reference"])
        state = asked.request_state
        await client.session.call_tool("delete_contact", ALAN, input_responses=answer, request_state=state)
    first, second = await audited(runtime)
    assert (first["code"], first["outcome"], first["answer"], first.get("continues")) == (
        "asked", "not_applied", "asked", None,
    )  # fmt: skip
    assert (second["code"], second["outcome"], second["answer"]) == end
    assert second["continues"] == first["reference"]
    assert second["answered_after"] > 0, "the person thought between the rounds"
    assert "Nobody has come back with the answer so far." in unanswered
    whole = await story(runtime, first["reference"])
    assert whole == await story(runtime, second["reference"])
    assert whole.count("called delete_contact") == 1
    assert (
        whole.index("a person was asked") < whole.index(f"a person {end[2]}") < whole.index(f"with {end[0]}, {end[1]}")
    )
    assert "so far" not in whole


async def test_two_calls_that_asked_the_same_are_two_stories(runtime: Runtime) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        asked = [await client.session.call_tool("delete_contact", ALAN, allow_input_required=True) for _ in range(2)]
        assert isinstance(asked[1], types.InputRequiredResult)
        state = asked[1].request_state
        await client.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=state)
    one, two, end = await audited(runtime)
    assert end["continues"] == two["reference"]
    assert end["reference"] not in await story(runtime, one["reference"])
    assert end["reference"] in await story(runtime, two["reference"])


@asynccontextmanager
async def receiving(runtime: Runtime) -> AsyncGenerator[None]:
    async with open_mailroom(runtime) as mailroom:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", address.set_result))
        await subscribe(runtime, runtime.connectors[0], MAIN, await address)
        yield
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("given", [{}, {"request_id": "order-7"}], ids=["without a request_id", "with one"])
async def test_a_payment_that_was_confirmed_before_the_host_came_back_is_that_calls_payment(
    runtime: Runtime, sandbox: Sandbox, given: dict[str, str]
) -> None:
    """The cardholder is faster than the host: the write has its end when the second round begins, and some record has
    to say that this call made a payment."""

    async def confirm(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        async with httpx.AsyncClient(trust_env=False) as browser:
            token = re.search(r'name="token" value="([^"]+)"', (await browser.get(params.url)).text)
            assert token
            await browser.post(params.url.partition("?")[0], data={"token": token[1], "decision": "confirm"})
        async with asyncio.timeout(10):
            while any(row.pending for row in await runtime.store.journal.rows()):  # noqa: ASYNC110 - until the webhook
                await asyncio.sleep(0.02)
        return types.ElicitResult(action="accept")

    async with receiving(runtime), Client(build_server(runtime), elicitation_callback=confirm) as client:
        result = await client.call_tool("create_payment", {**PAYMENT, **given})
        again = await client.call_tool("create_payment", {**PAYMENT, **given})
    assert not result.is_error, result
    assert (result.structured_content or {})["status"] == "succeeded"
    assert again.is_error is not bool(given)
    assert sandbox.state.committed("payment") == 1
    asked, paid, repeated = await audited(runtime)
    assert (asked["code"], asked["outcome"]) == ("asked", "not_applied")
    assert (paid["code"], paid["outcome"], paid["continues"]) == ("ok", "applied", asked["reference"])
    assert (repeated["code"], repeated.get("continues")) == ("ok" if given else "already_done", None)
    assert not given or repeated["outcome"] == "not_applied"
    assert "POST /api/payments" in await story(runtime, paid["reference"])
