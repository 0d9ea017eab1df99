"""Answers that pretend to be something else, over real sockets: permissions that look like limits, failures under 200,
absurd waits, pages instead of data, cut and bottomless bodies, credentials that are refused again and again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.loopback import Serve

from clew.connectors.github import github
from clew.connectors.slack import slack
from clew.core.audit import Attempt
from clew.core.bounds import Bounds
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import AuthRevokedError, CallError, Outcome, Retry
from clew.core.exchange import Exchange, Trail
from clew.core.host import SilentHost
from clew.core.response import Response
from clew.core.retry import RetryPolicy
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio

Reply = Callable[..., bytes]

LIMITS = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"}


@dataclass
class Renewing:
    """An authorizer whose every renewal brings a new token; it counts them."""

    renewed: list[str] = field(default_factory=list[str])

    async def apply(self, request: httpx.Request) -> str:
        request.headers["authorization"] = f"Bearer token-{len(self.renewed)}"
        return str(len(self.renewed))

    async def renew(self, generation: str) -> None:
        self.renewed.append(generation)


@dataclass
class Agent:
    """Sends requests through the wire of a connector and records the waits it asked for."""

    client: httpx.AsyncClient
    waits: list[float] = field(default_factory=list[float])
    authorizer: Renewing = field(default_factory=Renewing)

    async def ask(self, connector: Connector, url: str, method: str = "GET", seconds: float = 5.0) -> Response:
        async def pause(wait: float) -> None:
            self.waits.append(wait)

        wire = Wire(
            connector, Connection("local", connector.name, "work"), self.authorizer, self.client, url,
            retry=RetryPolicy(attempts=3), sleep=pause,
        )  # fmt: skip
        request = httpx.Request(method, f"{url}/x", content=b"{}" if method == "POST" else b"")
        safe = method == "GET"
        return await wire.exchange(
            Exchange(request, Attempt(method, "/x"), safe, Deadline.after(seconds), SilentHost(), Trail())
        )

    async def refused(self, connector: Connector, url: str, method: str = "GET", **more: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.ask(connector, url, method, **more)
        return caught.value


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    async with httpx.AsyncClient(verify=False) as client:
        yield Agent(client)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_permission_with_an_empty_budget_beside_it_is_not_waited_for(
    agent: Agent, serve: Serve, reply: Reply, method: str
) -> None:
    body = {"message": "Resource not accessible by integration"}
    url, requests = await serve(reply(403, body, **LIMITS))
    error = await agent.refused(github, url, method)
    assert (error.code, error.retry, error.retry_after) == ("permission", Retry.AFTER_HUMAN, None)
    assert (len(requests), agent.waits) == (1, [])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_secondary_limit_that_looks_like_a_permission_is_waited_for(
    agent: Agent, serve: Serve, reply: Reply, method: str
) -> None:
    body = {"message": "You have exceeded a secondary rate limit."}
    url, requests = await serve(reply(403, body, x_ratelimit_remaining="4999", retry_after="2"), reply(200, {"id": 1}))
    assert (await agent.ask(github, url, method)).data == {"id": 1}
    assert len(requests) == 2
    assert agent.waits[0] >= 2


async def test_a_failure_under_200_is_a_failure(agent: Agent, serve: Serve, reply: Reply) -> None:
    url, _ = await serve(reply(200, {"ok": False, "error": "channel_not_found"}))
    assert (await agent.refused(slack, url)).code == "not_found"


async def test_an_unknown_failure_under_200_never_repeats_a_write(agent: Agent, serve: Serve, reply: Reply) -> None:
    url, requests = await serve(reply(200, {"ok": False, "error": "brand_new_word"}))
    error = await agent.refused(slack, url, "POST")
    assert (error.code, error.outcome, error.retry) == ("outcome_unknown", Outcome.UNKNOWN, Retry.NO)
    assert error.provider_code == "brand_new_word"
    assert len(requests) == 1


@pytest.mark.parametrize(
    "value", ["Wed, 21 Oct 2065 07:28:00 GMT", "99999999999", "1e308", "2065-10-21T07:28:00Z", "NaN", "-1"]
)
async def test_an_absurd_wait_is_neither_slept_nor_passed_on(
    agent: Agent, serve: Serve, reply: Reply, value: str
) -> None:
    url, requests = await serve(reply(429, {}, retry_after=value))
    error = await agent.refused(Connector("acme", base_url="http://127.0.0.1"), url)
    assert error.code == "rate_limited"
    assert error.retry_after is not None
    assert error.retry_after <= 3600
    assert all(wait <= 5 for wait in agent.waits)
    assert len(requests) <= 3


@pytest.mark.parametrize(("method", "code"), [("GET", "transient"), ("POST", "outcome_unknown")])
async def test_a_page_from_the_edge_is_a_fault_and_never_data(
    agent: Agent, serve: Serve, reply: Reply, method: str, code: str
) -> None:
    page = b"<!doctype html><html><h1>Service Unavailable</h1><script>steal()</script></html>"
    url, requests = await serve(reply(503, page, kind="text/html"))
    error = await agent.refused(github, url, method)
    assert error.code == code
    assert "script" not in error.as_text()
    assert len(requests) == (3 if method == "GET" else 1)


async def test_a_login_page_with_200_is_no_answer(agent: Agent, serve: Serve, reply: Reply) -> None:
    url, requests = await serve(reply(200, b"<!doctype html><form>Log in</form>", kind="text/html"))
    assert (await agent.refused(github, url, "POST")).code == "outcome_unknown"
    assert len(requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_loop_of_401_ends_after_one_renewal_and_one_repeat(
    agent: Agent, serve: Serve, reply: Reply, method: str
) -> None:
    url, requests = await serve(reply(401, {"message": "Bad credentials"}))
    error = await agent.refused(github, url, method)
    assert isinstance(error, AuthRevokedError)
    assert (len(requests), agent.authorizer.renewed) == (2, ["0"])


@pytest.mark.parametrize(("method", "code", "sent"), [("GET", "transient", 3), ("POST", "outcome_unknown", 1)])
async def test_a_chunked_body_that_is_cut_in_half_is_a_lost_answer(
    agent: Agent, serve: Serve, method: str, code: str, sent: int
) -> None:
    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{"items": ['
        )
        await writer.drain()

    url, requests = await serve(cut)
    assert (await agent.refused(github, url, method)).code == code
    assert len(requests) == sent


@pytest.mark.parametrize(("status", "method", "code"), [
    (200, "GET", "contract_changed"), (200, "POST", "outcome_unknown"), (403, "GET", "permission"),
    (500, "POST", "outcome_unknown"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "application/xml"])
async def test_a_bottomless_body_is_judged_without_falling(
    agent: Agent, serve: Serve, reply: Reply, status: int, method: str, code: str, kind: str
) -> None:
    deep = b"[" * 10_000 + b"]" * 10_000 if "json" in kind else b"<a>" * 10_000 + b"</a>" * 10_000
    url, _ = await serve(reply(status, deep, kind=kind))
    if kind == "application/xml" and status == 200:
        assert (await agent.ask(github, url, method)).content == deep
        return
    assert (await agent.refused(github, url, method)).code == code


async def test_a_bomb_in_an_error_is_bounded_and_the_status_still_counts(
    agent: Agent, serve: Serve, reply: Reply
) -> None:
    import gzip

    small = Connector("acme", base_url="http://127.0.0.1", bounds=Bounds(body=100_000))
    bomb = gzip.compress(b'{"message": "' + b"a" * 50_000_000 + b'"}')
    url, _ = await serve(reply(403, bomb, content_encoding="gzip"))
    assert (await agent.refused(small, url)).code == "permission"


@pytest.mark.parametrize(("method", "code"), [("GET", "transient"), ("POST", "outcome_unknown")])
async def test_a_slow_loris_ends_with_the_calls_time(agent: Agent, serve: Serve, method: str, code: str) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    url, _ = await serve(drip)
    started = asyncio.get_running_loop().time()
    error = await agent.refused(github, url, method, seconds=0.6)
    assert error.code == code
    assert asyncio.get_running_loop().time() - started < 3
