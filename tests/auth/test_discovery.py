"""A server's own description is read with care, because it decides where secrets go."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from clew.auth.discovery import Metadata, discover, recalled, remembered, settled
from clew.auth.schemes import OAuth2
from clew.core.errors import ConfigurationError

pytestmark = pytest.mark.anyio

ISSUER = "https://id.acme.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "device_authorization_endpoint": f"{ISSUER}/device",
    "authorization_response_iss_parameter_supported": True,
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
}
OPENID = f"{ISSUER}/.well-known/openid-configuration"
NAMES = {
    "localhost": "127.0.0.1",
    "id.acme.example": "93.184.216.34",
    "inside.acme.example": "10.0.0.5",
    "metadata.example": "169.254.169.254",
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names lead where the test says; no name server is asked."""

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        address = NAMES.get(host, host)
        if not address[0].isdigit():
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as mocked:
        mocked.get(OPENID, name="openid").respond(json=DOCUMENT)
        mocked.route().respond(404)
        yield mocked


async def found(issuer: str = ISSUER) -> Metadata:
    async with httpx.AsyncClient(verify=False) as http:
        return await discover(http, issuer)


async def test_the_addresses_are_read_and_fill_what_the_scheme_left_open(router: respx.MockRouter) -> None:
    scheme = settled(OAuth2(discovery_url=ISSUER, revoke_url="https://own.example/revoke"), await found(f"{ISSUER}/"))
    assert (scheme.authorize_url, scheme.token_url) == (f"{ISSUER}/auth", f"{ISSUER}/token")
    assert scheme.revoke_url == "https://own.example/revoke"
    assert (scheme.issuer, scheme.issuer_required, scheme.client_auth) == (ISSUER, True, "basic")


async def test_what_was_found_is_remembered_for_refreshes(router: respx.MockRouter) -> None:
    declared = OAuth2(discovery_url=ISSUER)
    scheme = settled(declared, await found())
    again = recalled(declared, remembered(scheme))
    assert (again.token_url, again.issuer, again.client_auth) == (scheme.token_url, ISSUER, "basic")
    assert recalled(declared, {}) is declared


async def test_the_form_of_rfc_8414_with_a_path_is_found_too() -> None:
    issuer = f"{ISSUER}/tenant"
    with respx.mock(assert_all_called=False) as only:
        only.get(f"{ISSUER}/.well-known/oauth-authorization-server/tenant").respond(json={**DOCUMENT, "issuer": issuer})
        only.route().respond(404)
        assert (await found(issuer)).issuer == issuer


@pytest.mark.parametrize("issuer", ["https://evil.example", f"{ISSUER}/other", f"{ISSUER}.evil.example", None, 5])
async def test_a_server_that_calls_itself_otherwise_is_refused(router: respx.MockRouter, issuer: object) -> None:
    router["openid"].respond(json={**DOCUMENT, "issuer": issuer})
    with pytest.raises(ConfigurationError, match="another issuer"):
        await found()


@pytest.mark.parametrize(
    "address",
    [
        "https://inside.acme.example/token",
        "https://metadata.example/token",
        "https://10.1.2.3/token",
        "http://127.0.0.1/token",
        "https://localhost/token",
    ],
)
async def test_an_address_inside_a_network_is_refused_from_outside(router: respx.MockRouter, address: str) -> None:
    router["openid"].respond(json={**DOCUMENT, "token_endpoint": address})
    with pytest.raises(ConfigurationError, match="internal address"):
        await found()


@pytest.mark.parametrize(
    "address",
    ["http://id.acme.example/token", "ftp://x/", "javascript:1", "https://u:p@id.acme.example/t", "https:///t"],
)
async def test_an_address_that_is_no_plain_https_is_refused(router: respx.MockRouter, address: str) -> None:
    router["openid"].respond(json={**DOCUMENT, "token_endpoint": address})
    with pytest.raises(ConfigurationError):
        await found()


async def test_a_redirect_is_not_followed(router: respx.MockRouter) -> None:
    router["openid"].respond(302, headers={"location": "https://inside.acme.example/"})
    with pytest.raises(ConfigurationError, match="answered 302"):
        await found()


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"token_endpoint": 5}', b"{" * 100_000, b"x" * 100_000])
async def test_an_answer_that_describes_nothing_is_refused(router: respx.MockRouter, content: bytes) -> None:
    router["openid"].respond(content=content)
    with pytest.raises(ConfigurationError, match="No authorization server"):
        await found()


async def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(ConfigurationError, match="not an https address"):
        await found("http://id.acme.example")
