"""The stages below a tool: order, credentials, limits, trying again, and what is remembered of a request."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from clew.core import wire as wire_module
from clew.core.errors import (
    CallError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
)
from clew.core.exchange import Trail
from clew.core.limits import RateLimitHeaders
from clew.core.outcomes import ErrorMap, Rule, Verdict
from clew.core.response import Response
from clew.core.versions import Version
from clew.core.wire import Wire

if TYPE_CHECKING:
    from tests.core.conftest import Line

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[tuple[str, list[bytes]]]]
Build = Callable[..., bytes]
LIMITS = RateLimitHeaders(remaining="x-left", reset="x-reset", unit="delta_s")


def sent(requests: list[bytes], header: str) -> list[str]:
    """The values of a header over all requests; missing is empty."""
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in requests]
    found = [re.findall(rf"(?im)^{header}: (.*?)\r?$", head) for head in heads]
    return [", ".join(values) for values in found]


def test_the_documented_stages_are_the_stages_in_their_order() -> None:
    documented = re.findall(r"^    (\w+)  ", wire_module.__doc__ or "", re.MULTILINE)
    assert documented == [stage.__name__ for stage in Wire.stages()]
    assert all(stage.__doc__ for stage in Wire.stages())


async def test_an_operators_address_wins_and_loses_its_slash(line: "Line") -> None:
    assert line.wire("https://ghe.example/api/").base_url == "https://ghe.example/api"
    assert line.wire("").base_url == "https://api.acme.example"


async def test_headers_go_from_the_requests_own_to_the_connectors_to_ours(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {}))
    wire = line.wire(url, headers={"Accept": "application/vnd.acme+json", "X-Fixed": "1"})
    await line.ask(wire)
    await line.ask(wire, headers={"accept": "text/csv", "X-FIXED": "2"})
    await line.ask(line.wire(url))
    assert sent(requests, "accept") == ["application/vnd.acme+json", "text/csv", "application/json"]
    assert sent(requests, "x-fixed") == ["1", "2", ""]
    assert sent(requests, "accept-encoding") == ["gzip"] * 3
    assert sent(requests, "user-agent") == ["clew/0.1"] * 3


@pytest.mark.parametrize(
    ("version", "first", "header"),
    [
        (Version("2026-01-01", header="Acme-Version"), b"GET /notes HTTP/1.1", "2026-01-01"),
        (Version("7", parameter="v"), b"GET /notes?v=7 HTTP/1.1", "mine"),
        (Version("in the address"), b"GET /notes HTTP/1.1", "mine"),
    ],
)
async def test_the_version_is_pinned_whatever_the_request_says(
    line: "Line", serve: Serve, reply: Build, version: Version, first: bytes, header: str
) -> None:
    url, requests = await serve(reply(200, {}))
    await line.ask(line.wire(url, version=version), headers={"acme-version": "mine"})
    assert requests[0].startswith(first)
    assert sent(requests, "acme-version") == [header]


async def test_a_limit_within_the_deadline_is_waited_for_and_told(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(429, retry_after="3"), reply(200, {"id": 1}))
    assert (await line.ask(line.wire(url))).data == {"id": 1}
    assert len(requests) == 2
    assert 3 <= sum(line.clock.slept) < 3.4
    assert line.host.told == ["waiting 3 s before asking acme again"]


async def test_a_short_wait_is_not_worth_telling(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(503), reply(200, {}))
    await line.ask(line.wire(url))
    assert line.host.told == []
    assert 0 <= line.clock.slept[0] < 0.5


@pytest.mark.parametrize(
    ("says", "seconds"), [("40", 40), ("Wed, 21 Oct 2065 07:28:00 GMT", 3600), ("999999999", 3600), ("31,31", 31)]
)
async def test_a_limit_beyond_the_deadline_is_returned_at_once(
    line: "Line", serve: Serve, reply: Build, says: str, seconds: float
) -> None:
    url, requests = await serve(reply(429, retry_after=says))
    with pytest.raises(RateLimitError) as caught:
        await line.ask(line.wire(url))
    assert caught.value.retry_after == seconds
    assert (len(requests), line.clock.slept) == (1, [])


async def test_after_a_refusal_the_next_request_of_the_route_waits_too(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(429, retry_after="40"), reply(200, {}))
    wire = line.wire(url)
    with pytest.raises(RateLimitError):
        await line.ask(wire)
    with pytest.raises(RateLimitError, match="the rate limit of acme is used up") as caught:
        await line.ask(wire)
    assert caught.value.retry_after == pytest.approx(40)
    assert len(requests) == 1
    await line.ask(wire, seconds=60)
    assert sum(line.clock.slept) == pytest.approx(40)
    assert line.host.told == [f"waiting {left} s for the rate limit of acme" for left in (40, 30, 20, 10)]
    assert line.trail.attempts[-1].waited == pytest.approx(40)


async def test_a_known_window_says_how_long_when_the_refusal_does_not(line: "Line", serve: Serve, reply: Build) -> None:
    for retry_after in ({}, {"retry_after": "soon"}):
        url, _ = await serve(reply(429, x_left="0", x_reset="50", **retry_after))
        with pytest.raises(RateLimitError) as caught:
            await line.ask(line.wire(url, rate_limits=LIMITS))
        assert caught.value.retry_after == pytest.approx(50)


async def test_a_rules_penalty_or_a_second_is_the_wait_when_nothing_else_is_known(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(403, x_left="4000", x_reset="1800"))
    penalty = ErrorMap(rules=(Rule(code="rate_limited", status=403, retry_after=60),))
    wire = line.wire(url, errors=penalty, rate_limits=LIMITS)
    with pytest.raises(RateLimitError) as caught:
        await line.ask(wire)
    assert caught.value.retry_after == 60
    with pytest.raises(RateLimitError, match="used up"):
        await line.ask(wire)
    assert len(requests) == 1

    url, requests = await serve(reply(429), reply(200, {}))
    await line.ask(line.wire(url))
    assert 1 <= sum(line.clock.slept) < 1.2


async def test_a_used_up_budget_is_waited_for_before_anything_is_sent(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(200, {}, x_left="0", x_reset="5"), reply(200, {}))
    wire = line.wire(url, rate_limits=LIMITS)
    await line.ask(wire)
    await line.ask(wire)
    assert line.clock.slept == [pytest.approx(5, abs=0.1)]
    assert len(requests) == 2


async def test_a_missing_right_is_not_mistaken_for_a_limit(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(403, x_left="4999", x_reset="1800", retry_after="9"))
    with pytest.raises(PermissionDeniedError) as caught:
        await line.ask(line.wire(url, rate_limits=LIMITS))
    assert caught.value.retry_after is None
    assert (len(requests), line.clock.slept) == (1, [])


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def test_a_read_is_asked_again_after_a_lost_answer(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(drop, drop, reply(200, {"id": 1}))
    assert (await line.ask(line.wire(url))).data == {"id": 1}
    assert len(requests) == 3
    assert [attempt.code for attempt in line.trail.attempts] == ["transient", "transient", None]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_is_never_repeated_after_a_lost_answer_or_a_fault(
    line: "Line", serve: Serve, reply: Build, method: str
) -> None:
    for fault in (drop, reply(500), reply(503), reply(504), reply(408)):
        url, requests = await serve(fault)
        line.trail = Trail()
        with pytest.raises(OutcomeUnknownError):
            await line.ask(line.wire(url), method)
        assert len(requests) == 1
        assert (line.trail.changed, line.trail.in_flight) == (1, 0)
        assert line.trail.outcome() is Outcome.UNKNOWN


async def test_a_write_is_repeated_when_the_provider_refused_it_as_too_much(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(429, retry_after="1"), reply(503, retry_after="1"), reply(201, {"id": 1}))
    assert (await line.ask(line.wire(url), "POST", content=b"{}")).data == {"id": 1}
    assert [request[-2:] for request in requests] == [b"{}"] * 3
    assert line.trail.changed == 1


async def test_a_write_is_repeated_after_a_connection_that_never_was(line: "Line", reply: Build) -> None:
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply(201, {"id": 1}, connection="close"))
        writer.close()

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        wire = line.wire(f"http://127.0.0.1:{holder.getsockname()[1]}")
        servers: list[asyncio.Server] = []

        async def come_back(seconds: float) -> None:
            servers.append(await asyncio.start_server(talk, sock=holder))

        wire.sleep = come_back
        assert (await line.ask(wire, "POST")).data == {"id": 1}
        servers[0].close()
    assert len(requests) == 1
    assert [attempt.code for attempt in line.trail.attempts] == ["transient", None]


async def test_a_write_that_was_refused_leaves_no_mark(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(422))
    with pytest.raises(CallError):
        await line.ask(line.wire(url), "POST")
    assert (line.trail.changed, line.trail.in_flight) == (0, 0)
    assert line.trail.outcome() is Outcome.NOT_APPLIED


async def test_a_write_whose_answer_breaks_our_own_code_stays_in_flight(
    line: "Line", serve: Serve, reply: Build
) -> None:
    def hook(response: Response) -> Verdict | None:
        raise KeyError("a bug of the connector")

    url, _ = await serve(reply(200, {}))
    wire = line.wire(url, errors=ErrorMap(hook=hook))
    with pytest.raises(KeyError):
        await line.ask(wire, "POST")
    assert line.trail.outcome() is Outcome.UNKNOWN
    line.trail = Trail()
    with pytest.raises(KeyError):
        await line.ask(wire, "GET")
    assert line.trail.outcome() is Outcome.NOT_APPLIED


async def test_the_end_of_one_request_says_nothing_about_another_in_flight(
    line: "Line", serve: Serve, reply: Build
) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    slow, arrived = await serve(silence)
    quick, _ = await serve(reply(404))
    write = asyncio.create_task(line.ask(line.wire(slow), "POST"))
    async with asyncio.timeout(5):
        while not arrived:  # noqa: ASYNC110 - the list is the provider's, it has no event
            await asyncio.sleep(0)
    for method in ("GET", "POST"):
        with pytest.raises(CallError):
            await line.ask(line.wire(quick), method)
        assert line.trail.in_flight == 1
    write.cancel()
    await asyncio.gather(write, return_exceptions=True)
    assert line.trail.outcome() is Outcome.UNKNOWN


async def test_what_an_answer_says_about_the_version_is_remembered(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(200, {}, sunset="soon"))
    wire = line.wire(url)
    await line.ask(wire)
    assert wire.notices.seen == {"acme": {"sunset": "soon"}}


async def test_every_attempt_is_on_the_record_with_its_end(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(500), reply(404))
    with pytest.raises(CallError):
        await line.ask(line.wire(url))
    assert [(each.method, each.route, each.status, each.code) for each in line.trail.attempts] == [
        ("GET", "/notes", 500, "transient"),
        ("GET", "/notes", 404, "not_found"),
    ]
