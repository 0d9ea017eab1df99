"""One connection for every request in flight, used again, bounded, and closed when it is idle."""

# pyright: reportPrivateUsage=false

import asyncio
from typing import Any

import httpx
import pytest
from tests.loopback import Serve

from clew.core.pool import Client, SlotTransport

pytestmark = pytest.mark.anyio


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def connections(transport: SlotTransport) -> int:
    return sum(lane.count for lane in transport._lanes.values())


async def test_requests_one_after_the_other_use_one_connection(serve: Serve, reply: Any) -> None:
    url, requests = await serve(reply(200, {}))
    transport = SlotTransport()
    async with httpx.AsyncClient(transport=transport) as client:
        for _ in range(3):
            assert (await client.get(url)).status_code == 200
        assert (len(requests), connections(transport), transport.busy) == (3, 1, 0)
        await asyncio.gather(*(client.get(url) for _ in range(5)))
        assert connections(transport) <= 5
    assert connections(transport) == 0


async def test_the_bound_makes_others_wait_their_turn(serve: Serve, reply: Any) -> None:
    url, _ = await serve(reply(200, {}))
    transport = SlotTransport(slots=2)
    async with httpx.AsyncClient(transport=transport) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert connections(transport) == 2


async def test_who_waits_too_long_for_a_connection_is_told_so(serve: Serve, reply: Any) -> None:
    url, _ = await serve(silent)
    async with httpx.AsyncClient(transport=SlotTransport(slots=1)) as client:
        first = asyncio.ensure_future(client.get(url, timeout=None))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(url, timeout=httpx.Timeout(5, pool=0.05))
        waiting = asyncio.ensure_future(client.get(url, timeout=None))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        assert all(
            isinstance(end, BaseException) for end in await asyncio.gather(first, waiting, return_exceptions=True)
        )


async def test_a_turn_that_comes_too_late_goes_to_the_next(serve: Serve, reply: Any) -> None:
    url, _ = await serve(reply(200, {}))
    transport = SlotTransport(slots=1)
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get(url)
        (lane,) = transport._lanes.values()
        connection = lane.free.pop()
        waiting = asyncio.ensure_future(client.get(url))
        for _ in range(20):
            await asyncio.sleep(0)
        assert lane.waiting
        transport._give(lane, connection)  # the turn is his,
        waiting.cancel()  # and he is gone before he hears of it
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert transport.busy == 0
        connection = lane.free.pop()
        gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        gone.cancel()
        lane.waiting.append(gone)
        transport._give(lane, connection)
        assert transport.busy == 0


async def test_a_failed_request_gives_its_slot_back() -> None:
    transport = SlotTransport()
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
        with pytest.raises(httpx.ConnectError):
            await client.get("https://127.0.0.1:1/")
        with pytest.raises(httpx.ConnectError):
            await client.get("https://127.0.0.1:2/")
        assert transport.busy == 0


async def test_idle_connections_are_closed(serve: Serve, reply: Any) -> None:
    url, _ = await serve(reply(200, {}))
    now = [100.0]
    transport = SlotTransport(idle_seconds=30, clock=lambda: now[0])
    async with httpx.AsyncClient(transport=transport) as client:
        await asyncio.gather(*(client.get(url) for _ in range(4)))
        many = connections(transport)
        now[0] += 60
        await client.get(url)
        assert connections(transport) == 1 < many


async def test_an_answer_that_is_dropped_halfway_frees_its_slot_once(serve: Serve, reply: Any) -> None:
    url, _ = await serve(reply(200, b"x" * 200_000))
    transport = SlotTransport()
    async with httpx.AsyncClient(transport=transport) as client:
        async with client.stream("GET", url) as answer:
            assert transport.busy == 1
            async for _ in answer.aiter_raw():
                break
        await answer.stream.aclose()  # type: ignore[union-attr]
        assert transport.busy == 0
        assert (await client.get(url)).status_code == 200


async def test_the_client_keeps_no_cookie_of_anybody(serve: Serve, reply: Any) -> None:
    url, requests = await serve(reply(200, {}, set_cookie="session=of-another-tenant"))
    async with Client(direct=SlotTransport()) as client:
        assert (await client.get(url)).headers["set-cookie"]
        await client.get(url)
        assert len(client.cookies) == 0
        with pytest.raises(TypeError, match="no cookies"):
            client.cookies = {"session": "x"}
    assert not any(b"cookie" in request.lower() for request in requests)
