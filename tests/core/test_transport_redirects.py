"""Redirects: followed by plain reads, at home, a few times; never with anything that could change something."""

from typing import Any

import httpx
import pytest
from tests.loopback import Build, Serve

from clew.core.bounds import Bounds
from clew.core.deadline import Deadline
from clew.core.errors import ContractChangedError, TransientError
from clew.core.response import Response
from clew.core.transport import send

pytestmark = pytest.mark.anyio


async def go(url: str, method: str = "GET", *, safe: bool = True, **request: Any) -> Response:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        made = httpx.Request(method, url, **request)
        return await send(client, made, bounds=Bounds(), deadline=Deadline.after(5), safe=safe, provider="acme")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_read_follows_a_redirect_at_home_with_its_headers(serve: Serve, reply: Build, status: int) -> None:
    url, requests = await serve(reply(status, location="/new?a=1"), reply(200, {"id": 7}))
    answer = await go(f"{url}/old", headers={"authorization": "Bearer t"})
    assert (answer.data, answer.url) == ({"id": 7}, f"{url}/new?a=1")
    assert requests[1].startswith(b"GET /new?a=1 ")
    assert b"bearer t" in requests[1].lower()


async def test_a_redirect_to_another_origin_is_not_followed(serve: Serve, reply: Build) -> None:
    evil, stolen = await serve(reply())
    same_host = evil.replace("127.0.0.1", "localhost")
    for place in (
        f"{evil}/x",
        f"{same_host}/x",
        evil.replace("http", "https"),
        "//evil.example/",
        "file:///etc/passwd",
    ):
        url, requests = await serve(reply(302, location=place))
        with pytest.raises(ContractChangedError, match="redirects to another host; it was not followed"):
            await go(url, headers={"authorization": "Bearer t"})
        assert len(requests) == 1
    assert stolen == []


async def test_an_endless_redirect_is_given_up(serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(302, location="/again"))
    with pytest.raises(ContractChangedError, match="redirects in circles; gave up after 5 hops"):
        await go(url)
    assert len(requests) == 6


@pytest.mark.parametrize("safe", [True, False])
async def test_what_is_no_plain_read_never_follows_a_redirect(serve: Serve, reply: Build, safe: bool) -> None:
    url, requests = await serve(reply(307, location="/new"))
    assert (await go(url, "POST", safe=safe, content=b"{}")).status == 307
    assert len(requests) == 1


async def test_a_redirect_without_a_place_comes_back_as_it_is(serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(302))
    assert (await go(url)).status == 302


async def test_a_redirect_to_no_url_is_a_fault(serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(302, location="http://[bad"))
    with pytest.raises((TransientError, ContractChangedError)):
        await go(url)
