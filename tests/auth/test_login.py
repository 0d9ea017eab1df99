"""A login ends with a stored grant, or with a sentence and nothing stored; strangers cannot end it."""

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import respx

from clew.auth.authorizer import VaultAuthorizer
from clew.auth.login import LoginError, login
from clew.auth.loopback import Loopback
from clew.auth.oauth import Client
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.servers.sandbox import Sandbox

from .conftest import BASE_URL, SCHEME, WORK, revealed

pytestmark = pytest.mark.anyio

ISSUER = "https://acme.example"
PAIR = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 60, "scope": "read"}


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        router.route(host="127.0.0.1").pass_through()
        yield router.post("https://acme.example/token").respond(json=PAIR)


class Browser:
    """The person's browser: opens what it is shown and comes back with what `answer` says."""

    def __init__(self, **answer: str | None) -> None:
        self.answer = answer
        self.asked: dict[str, str] = {}
        self.pages: list[httpx.Response] = []

    async def open(self, url: str) -> None:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        await self.come_back(**self.answer)

    async def come_back(self, **answer: str | None) -> None:
        async with httpx.AsyncClient(verify=False) as http:
            self.pages.append(await http.get(self.address(**answer)))

    def address(self, **answer: str | None) -> str:
        filled = {"code": "the-code", "state": self.asked["state"], **answer}
        query = urlencode({name: value for name, value in filled.items() if value is not None})
        return f"{self.asked['redirect_uri']}?{query}"


async def test_a_login_stores_the_grant_and_what_was_granted(vault: Vault, endpoint: respx.Route) -> None:
    browser = Browser()
    facts = await login(vault, WORK, SCHEME, base_url=BASE_URL, show=browser.open)
    assert (await revealed(vault, "access_token"), await revealed(vault, "refresh_token")) == ("access-1", "refresh-1")
    assert (facts.kind, facts.scopes, facts.client_id, facts.renewable) == ("oauth2", ("read",), "clew", True)
    assert browser.asked["scope"] == "read write"
    assert browser.pages[0].status_code == 200
    assert "close this window" in browser.pages[0].text
    sent = parse_qs(endpoint.calls.last.request.content.decode())
    assert sent["code"] == ["the-code"]
    assert sent["redirect_uri"] == [browser.asked["redirect_uri"]]
    assert len(sent["code_verifier"][0]) >= 43


async def test_a_confidential_clients_secret_is_kept_for_refreshes(vault: Vault, endpoint: respx.Route) -> None:
    client = Client("own", Secret("s3cret"))
    await login(vault, WORK, SCHEME, base_url=BASE_URL, show=Browser().open, client=client, scopes=["read"])
    assert await revealed(vault, "client_secret") == "s3cret"
    assert b"client_secret=s3cret" in endpoint.calls.last.request.content


async def test_the_address_of_the_last_page_can_be_pasted(vault: Vault, endpoint: respx.Route) -> None:
    browser = Browser()

    async def remember(url: str) -> None:
        browser.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def pasted() -> str:
        return f"  {browser.address()}\n"

    await login(vault, WORK, SCHEME, base_url=BASE_URL, show=remember, pasted=pasted)
    assert await revealed(vault, "access_token") == "access-1"


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("https://evil.example/?code=c&state=forged", "does not belong"),
        ("nonsense", "does not belong"),
        ("", "does not belong"),
    ],
)
async def test_a_foreign_address_pasted_is_refused(
    vault: Vault, endpoint: respx.Route, pasted: str, sentence: str
) -> None:
    async def show(url: str) -> None: ...

    async def paste() -> str:
        return pasted

    with pytest.raises(LoginError, match=sentence):
        await login(vault, WORK, SCHEME, base_url=BASE_URL, show=show, pasted=paste)
    assert endpoint.call_count == 0


async def test_a_forged_state_neither_ends_nor_spoils_the_login(vault: Vault, endpoint: respx.Route) -> None:
    browser = Browser()

    async def attacked(url: str) -> None:
        browser.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        await browser.come_back(code="stolen", state="forged")
        await browser.come_back(code="stolen", state=None)
        await browser.come_back()

    await login(vault, WORK, SCHEME, base_url=BASE_URL, show=attacked)
    assert [page.status_code for page in browser.pages] == [400, 400, 200]
    assert b"code=the-code" in endpoint.calls.last.request.content


async def test_two_browsers_that_finish_exchange_one_code(vault: Vault, endpoint: respx.Route) -> None:
    browser = Browser()

    async def twice(url: str) -> None:
        await browser.open(url)
        await browser.come_back(code="another")

    await login(vault, WORK, SCHEME, base_url=BASE_URL, show=twice)
    assert endpoint.call_count == 1
    assert b"code=the-code" in endpoint.calls.last.request.content


async def test_a_code_from_another_issuer_is_not_sent_anywhere(vault: Vault, endpoint: respx.Route) -> None:
    scheme = OAuth2(SCHEME.authorize_url, SCHEME.token_url, client_id="clew", issuer=ISSUER)
    with pytest.raises(LoginError, match="another authorization server"):
        await login(vault, WORK, scheme, base_url=BASE_URL, show=Browser(iss="https://evil.example").open)
    assert endpoint.call_count == 0
    await login(vault, WORK, scheme, base_url=BASE_URL, show=Browser(iss=ISSUER).open)
    assert endpoint.call_count == 1


async def test_a_person_who_refuses_is_quoted_and_nothing_is_stored(vault: Vault, endpoint: respx.Route) -> None:
    browser = Browser(code=None, error="access_denied", error_description="Ada said\nno")
    with pytest.raises(LoginError, match='did not grant access: "Ada said no"'):
        await login(vault, WORK, SCHEME, base_url=BASE_URL, show=browser.open)
    assert await vault.get(WORK) is None


async def test_a_redirect_without_code_is_refused(vault: Vault, endpoint: respx.Route) -> None:
    with pytest.raises(LoginError, match="holds no authorization code"):
        await login(vault, WORK, SCHEME, base_url=BASE_URL, show=Browser(code=None).open)


@pytest.mark.parametrize(
    ("status", "content", "sentence"),
    [
        (200, {"error": "bad_verification_code"}, "check its id and secret"),
        (400, {"error": "invalid_grant"}, "did not accept the authorization code"),
        (503, {}, "cannot be reached or is out"),
    ],
)
async def test_a_refused_code_is_a_sentence_and_nothing_is_stored(
    vault: Vault, endpoint: respx.Route, status: int, content: dict[str, str], sentence: str
) -> None:
    endpoint.respond(status, json=content)
    with pytest.raises(LoginError, match=sentence):
        await login(vault, WORK, SCHEME, base_url=BASE_URL, show=Browser().open)
    assert await vault.get(WORK) is None


async def test_a_login_that_nobody_finishes_ends_in_time(vault: Vault) -> None:
    async def ignore(url: str) -> None: ...

    with pytest.raises(LoginError, match="Nobody finished the login within 0 s"):
        await login(vault, WORK, SCHEME, base_url=BASE_URL, show=ignore, wait_seconds=0.05)


async def test_a_login_without_client_says_so(vault: Vault) -> None:
    scheme = OAuth2(SCHEME.authorize_url, SCHEME.token_url)
    with pytest.raises(ConfigurationError, match="No OAuth client for acme"):
        await login(vault, WORK, scheme, base_url=BASE_URL, show=Browser().open)


async def ask(loopback: Loopback, request: bytes) -> bytes:
    host, port = urlsplit(loopback.redirect_uri).netloc.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = b""
    with contextlib.suppress(ConnectionResetError):  # the kernel's way to end a connection with unread bytes
        answer = await reader.read()
    await hang_up(writer)
    return answer


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()


async def test_the_listener_answers_nothing_but_its_path_on_its_own_name() -> None:
    async with Loopback(lambda address: True) as loopback:
        netloc = urlsplit(loopback.redirect_uri).netloc.encode()
        requests = [
            b"GET /callback?a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"GET /callback?a HTTP/1.1\r\n\r\n",
            b"GET /callback?a HTTP/1.1\r\nHost: " + netloc + b"\r\nHost: evil.example\r\n\r\n",
            b"POST /callback?a HTTP/1.1\r\nHost: " + netloc + b"\r\n\r\n",
            b"GET /other HTTP/1.1\r\nHost: " + netloc + b"\r\n\r\n",
            b"nonsense\r\n\r\n",
        ]
        for request in requests:
            assert (await ask(loopback, request)).startswith(b"HTTP/1.1 404"), request
        assert await ask(loopback, b"GET /callback?" + b"a" * 20_000) == b""
        answer = await ask(loopback, b"GET /callback?b HTTP/1.1\r\nHost: " + netloc + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Cache-Control: no-store" in answer
        assert await loopback.wait() == f"{loopback.redirect_uri}?b"


async def test_an_idle_connection_does_not_keep_the_listener_open() -> None:
    async with Loopback(lambda address: True) as loopback:
        host, port = urlsplit(loopback.redirect_uri).netloc.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /callback HTTP/1.1\r\n")
        await writer.drain()
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    await hang_up(writer)


async def test_a_login_and_a_refresh_work_against_a_real_authorization_server(
    vault: Vault, refresher: Refresher
) -> None:
    scheme = OAuth2(
        "{base_url}/oauth/authorize", "{base_url}/oauth/token", scopes=("contacts:read",), client_id="clew-demo"
    )

    async def consent(url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        async with httpx.AsyncClient(follow_redirects=True) as http:
            page = await http.post(url.partition("?")[0], data={**asked, "approve": "1"})
            assert page.status_code == 200
            assert "close this window" in page.text

    async with Sandbox() as sandbox:
        facts = await login(vault, WORK, scheme, base_url=sandbox.url, show=consent)
        assert facts.scopes == ("contacts:read",)
        authorizer = VaultAuthorizer(WORK, [scheme], vault, refresher, base_url=sandbox.url)
        async with httpx.AsyncClient(verify=False) as http:
            statuses: list[int] = []
            for _ in range(2):
                request = http.build_request("GET", f"{sandbox.url}/api/me")
                generation = await authorizer.apply(request)
                statuses.append((await http.send(request)).status_code)
                if len(statuses) == 1:
                    await authorizer.renew(generation)
        assert statuses == [200, 200]
        assert sandbox.state.tokens.refreshed == 1
