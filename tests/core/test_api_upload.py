"""Bytes to an address that the provider has just named: where they go, and what goes with them."""

from collections.abc import Callable

import pytest
from tests.loopback import Build, Serve

from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.errors import ConflictError, ContractChangedError, Outcome

pytestmark = pytest.mark.anyio

Open = Callable[..., Api]

HOSTS = ("files.acme.example",)


async def test_the_bytes_go_to_the_apis_own_origin_without_our_headers(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, requests = await serve(reply(200, {}))
    await opened(url, Effect.WRITE, headers={"x-team": "t1"}).upload(f"{url}/up?ticket=1", b"\x00\x01", hosts=HOSTS)
    head, _, content = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /up?ticket=1 ")
    assert content == b"\x00\x01"
    assert b"x-team" not in head.lower()


async def test_an_upload_whose_answer_is_lost_is_sent_again(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(503), reply(200, {}))
    await opened(url, Effect.WRITE).upload(f"{url}/up", b"x", hosts=HOSTS)
    assert len(requests) == 2


async def test_a_refusal_is_about_the_address_and_not_about_our_credentials(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, _ = await serve(reply(401, {"error": "invalid_token"}))
    with pytest.raises(ConflictError) as caught:
        await opened(url, Effect.WRITE).upload(f"{url}/up", b"x", hosts=HOSTS)
    assert caught.value.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/up",
        "https://files.acme.example.evil.example/up",
        "https://evilfiles.acme.example/up",
        "http://files.acme.example/up",
        "https://files.acme.example:8443/up",
        "https://u@files.acme.example/up",
        "https://exa mple\x00/",
        "file:///etc/passwd",
    ],
)
async def test_an_address_elsewhere_gets_nothing(serve: Serve, reply: Build, opened: Open, address: str) -> None:
    url, requests = await serve(reply(200, {}))
    with pytest.raises(ContractChangedError, match="unknown host"):
        await opened(url, Effect.WRITE).upload(address, b"x", hosts=HOSTS)
    assert requests == []
