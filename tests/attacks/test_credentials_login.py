"""Attacks on the login: nobody but the person who began it ends it, and no answer, however hostile, does harm.

Each attack runs against the real listener, the real client and a real vault on a file; the authorization server and the
attacker speak HTTP on loopback.
"""

import asyncio
import base64
import dataclasses
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from clew.auth.consent import LoginError
from clew.auth.keys import LocalKeys
from clew.auth.login import login
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import open_database
from clew.core.errors import ConfigurationError

pytestmark = pytest.mark.anyio

HERE = Connection("local", "acme", "ada")
TOKEN = b'{"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 60}'
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[Vault]:
    database = await open_database(tmp_path / "clew.db")
    environ = {"CLEW_MASTER_KEY": base64.b64encode(b"k" * 32).decode()}
    yield await open_vault(database, LocalKeys(tmp_path / "key", environ=environ))
    await database.close()


@dataclasses.dataclass
class Endpoint:
    """A token endpoint that answers what it is told, and what it was sent."""

    url: str
    received: list[dict[str, str]] = dataclasses.field(default_factory=list[dict[str, str]])

    @property
    def scheme(self) -> OAuth2:
        return OAuth2(f"{self.url}/authorize", f"{self.url}/token", client_id="clew", scopes=("read",))


@asynccontextmanager
async def endpoint(reply: bytes | Reply = TOKEN, *, status: str = "200 OK", head: str = "") -> AsyncGenerator[Endpoint]:
    """Run one; `reply` is a body, or writes the whole answer itself."""
    made = Endpoint("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in asked.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            form = parse_qs((await reader.readexactly(length)).decode())
            made.received.append({name: values[0] for name, values in form.items()})
            if isinstance(reply, bytes):
                fixed = f"HTTP/1.1 {status}\r\nContent-Length: {len(reply)}\r\n{head}Connection: close\r\n\r\n"
                writer.write(fixed.encode() + reply)
            else:
                await reply(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made


class Browser:
    """A browser that was sent to the authorization server, and everything that may come back from it."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def open(self, url: str) -> None:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def end(self, **answer: str | None) -> httpx.Response:
        """Come back to the listener; without `answer` as the honest server sends it."""
        filled = {"code": "honest-code", "state": self.asked["state"], **answer}
        query = urlencode({name: value for name, value in filled.items() if value is not None})
        async with httpx.AsyncClient() as http:
            return await http.get(f"{self.asked['redirect_uri']}?{query}")


async def log_in(
    vault: Vault,
    server: Endpoint,
    act: Callable[[Browser], Awaitable[object]],
    *,
    scheme: OAuth2 | None = None,
    wait_seconds: float = 20,
) -> None:
    browser = Browser()

    async def show(url: str) -> None:
        browser.open(url)
        await act(browser)

    declared = scheme or server.scheme
    await login(vault, HERE, declared, base_url=server.url, show=show, wait_seconds=wait_seconds)


async def test_two_browsers_that_finish_at_once_exchange_one_code(vault: Vault) -> None:
    async with endpoint() as server:

        async def both(browser: Browser) -> None:
            pages = await asyncio.gather(*(browser.end(code=f"code-{number}") for number in range(20)))
            assert {page.status_code for page in pages} == {200}

        await log_in(vault, server, both)
        assert len(server.received) == 1


async def test_two_logins_at_once_do_not_take_each_others_answers(vault: Vault) -> None:
    async with endpoint() as first, endpoint() as second:
        browsers = [Browser(), Browser()]
        begun = asyncio.Barrier(2)

        async def one(number: int, server: Endpoint) -> None:
            async def show(url: str) -> None:
                mine, other = browsers[number], browsers[1 - number]
                mine.open(url)
                await begun.wait()
                # The answer to the other login, at my listener: refused there.
                crossed = {"state": other.asked["state"], "code": "crossed"}
                assert (await mine.end(**crossed)).status_code == 400
                await mine.end(code=f"code-{number}")

            connection = dataclasses.replace(HERE, account=f"a{number}")
            await login(vault, connection, server.scheme, base_url=server.url, show=show, wait_seconds=20)

        await asyncio.gather(one(0, first), one(1, second))
        assert [server.received[0]["code"] for server in (first, second)] == ["code-0", "code-1"]


@pytest.mark.parametrize("state", ["forged", "", None])
async def test_a_forged_state_injects_no_code(vault: Vault, state: str | None) -> None:
    async with endpoint() as server:

        async def attacked(browser: Browser) -> None:
            assert (await browser.end(code="the-attackers", state=state)).status_code == 400
            assert (await browser.end()).status_code == 200

        await log_in(vault, server, attacked)
        assert [each["code"] for each in server.received] == ["honest-code"]


async def test_a_state_given_twice_is_not_believed(vault: Vault) -> None:
    async with endpoint() as server:

        async def attacked(browser: Browser) -> None:
            query = urlencode([("code", "evil"), ("state", "forged"), ("state", browser.asked["state"])])
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{browser.asked['redirect_uri']}?{query}")).status_code == 400
            await browser.end()

        await log_in(vault, server, attacked)
        assert [each["code"] for each in server.received] == ["honest-code"]


@pytest.mark.parametrize("issuer", ["https://evil.example", "", None])
async def test_a_code_from_another_issuer_is_sent_nowhere(vault: Vault, issuer: str | None) -> None:
    async with endpoint() as server:
        scheme = dataclasses.replace(server.scheme, issuer="https://acme.example", issuer_required=True)
        with pytest.raises(LoginError, match="another authorization server"):
            await log_in(vault, server, lambda browser: browser.end(iss=issuer), scheme=scheme)
        assert server.received == []
        await log_in(vault, server, lambda browser: browser.end(iss="https://acme.example"), scheme=scheme)


async def test_every_login_has_secrets_of_its_own(vault: Vault) -> None:
    seen: dict[str, set[str]] = {"state": set(), "code_challenge": set(), "nonce": set()}

    async def look(browser: Browser) -> None:
        for name, values in seen.items():
            values.add(browser.asked[name])
        await browser.end()

    async with endpoint() as server:
        scheme = dataclasses.replace(server.scheme, scopes=("openid",))
        for _ in range(5):
            await log_in(vault, server, look, scheme=scheme)
        verifiers = {each["code_verifier"] for each in server.received}
    assert [len(values) for values in (*seen.values(), verifiers)] == [5, 5, 5, 5]


@pytest.mark.parametrize(
    "path",
    [
        "/callback/../evil?next=https://evil.example",
        "//evil.example/callback",
        "/?redirect=https://evil.example",
        "/callback@evil.example",
        "/callback\\@evil.example",
        "/callback%2f..%2f",
    ],
)
async def test_the_listener_sends_nobody_anywhere(vault: Vault, path: str) -> None:
    async with endpoint() as server:

        async def probe(browser: Browser) -> None:
            parts = urlsplit(browser.asked["redirect_uri"])
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 40")
            assert b"location" not in answer.lower()
            assert b"evil" not in answer
            page = await browser.end()
            assert "location" not in page.headers

        await log_in(vault, server, probe)


async def test_nothing_from_the_redirect_comes_back_in_the_page(vault: Vault) -> None:
    async with endpoint() as server:

        async def probe(browser: Browser) -> None:
            page = await browser.end(code="<script>alert(1)</script>", extra="<img src=x>")
            assert "<script" not in page.text
            assert "<img" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]

        await log_in(vault, server, probe)


async def test_a_port_that_somebody_else_holds_stops_the_login_before_the_browser_opens(vault: Vault) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        async with endpoint() as server:
            scheme = dataclasses.replace(server.scheme, loopback_port=thief.getsockname()[1])
            opened: list[Browser] = []

            async def show(browser: Browser) -> None:
                opened.append(browser)

            with pytest.raises(ConfigurationError, match="is taken"):
                await log_in(vault, server, show, scheme=scheme)
            assert opened == []


def listen(thief: socket.socket, port: int) -> None:
    thief.bind(("127.0.0.1", port))
    thief.listen()


async def test_the_port_cannot_be_taken_over_while_the_login_waits(vault: Vault) -> None:
    async with endpoint() as server:

        async def steal(browser: Browser) -> None:
            port = urlsplit(browser.asked["redirect_uri"]).port
            assert port is not None
            for option in (socket.SO_REUSEADDR, getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)):
                with socket.socket() as thief:
                    thief.setsockopt(socket.SOL_SOCKET, option, 1)
                    with pytest.raises(OSError, match="in use"):
                        listen(thief, port)
            await browser.end()

        await log_in(vault, server, steal)


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(vault: Vault) -> None:
    async with endpoint() as server:
        seen: list[str] = []

        async def watch(browser: Browser) -> None:
            seen.append(json.dumps(browser.asked))
            await browser.end()

        await log_in(vault, server, watch)
        assert server.received[0]["code_verifier"] not in seen[0]


HOSTILE: dict[str, tuple[bytes, str]] = {
    "HTML": (b"<html><form action=/token>access_token=1</form></html>", "200 OK"),
    "200 with an error": (b'{"error": "invalid_client", "access_token": "x"}', "200 OK"),
    "a token that is a number": (b'{"access_token": 5}', "200 OK"),
    "a token that is an object": (b'{"access_token": {"a": 1}}', "200 OK"),
    "a token with a line break": (b'{"access_token": "a\\r\\nX-Evil: 1"}', "200 OK"),
    "a token with a null": (b'{"access_token": "a\\u0000b"}', "200 OK"),
    "a token beyond ASCII": ('{"access_token": "aé"}'.encode(), "200 OK"),
    "an endless token": (b'{"access_token": "' + b"a" * 40_000 + b'"}', "200 OK"),
    "an empty token": (b'{"access_token": ""}', "200 OK"),
    "a list": (b"[1, 2]", "200 OK"),
    "nothing": (b"", "200 OK"),
    "half an answer": (b'{"access_token": "a', "200 OK"),
    "deep nesting": (b'{"access_token": ' + b"[" * 60_000, "200 OK"),
    "no text": (b"\xff\xfe\x00", "200 OK"),
    "204": (b"", "204 No Content"),
    "500 with a token": (b'{"access_token": "a"}', "500 Oops"),
    "an error that is a terminal's command": (b'{"error": "\\u001b[2J\\u0007"}', "400 Bad"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_token_answer_is_one_printable_sentence_and_nothing_is_stored(vault: Vault, name: str) -> None:
    body, status = HOSTILE[name]
    async with endpoint(body, status=status) as server:
        with pytest.raises(LoginError) as caught:
            await log_in(vault, server, lambda browser: browser.end())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert await vault.get(HERE) is None


async def test_an_endless_answer_is_cut(vault: Vault) -> None:
    written = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            await writer.drain()
            written += 0x4000

    async with endpoint(endless) as server:
        with pytest.raises(LoginError, match="answer_too_large"):
            await log_in(vault, server, lambda browser: browser.end())
    assert written < 32_000_000
    assert await vault.get(HERE) is None


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut(vault: Vault) -> None:
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(100)) + packer.flush()
    async with endpoint(bomb, head="Content-Encoding: gzip\r\n") as server:
        with pytest.raises(LoginError, match="answer_too_large"):
            await log_in(vault, server, lambda browser: browser.end())


async def test_an_answer_that_drips_is_given_up_in_time(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.auth.login.ENDPOINT_SECONDS", 0.5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with endpoint(drip) as server:
        async with asyncio.timeout(5):
            with pytest.raises(LoginError, match="no_answer"):
                await log_in(vault, server, lambda browser: browser.end())
    assert await vault.get(HERE) is None


async def test_a_redirect_of_the_token_endpoint_takes_no_secret_along(vault: Vault) -> None:
    async with endpoint() as thief:
        head = f"Location: {thief.url}/token\r\n"
        async with endpoint(b"", status="307 Temporary Redirect", head=head) as server:
            with pytest.raises(LoginError):
                await log_in(vault, server, lambda browser: browser.end())
        assert thief.received == []


def identity(**claims: object) -> str:
    parts = [{"alg": "none"}, {"iss": "https://acme.example", "aud": "clew", "exp": 2**33, "sub": "ada", **claims}, {}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": "another client"},
        {"aud": ["clew"], "azp": "another client"},
        {"exp": 1},
        {"exp": "never"},
    ],
)
async def test_an_identity_that_answers_another_login_is_not_believed(vault: Vault, claims: dict[str, object]) -> None:
    nonce = ""

    async def reply(writer: asyncio.StreamWriter) -> None:
        token = identity(**{"nonce": nonce, **claims})
        body = json.dumps({"access_token": "a", "id_token": token, "scope": "openid"}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    async with endpoint(reply) as server:
        scheme = dataclasses.replace(server.scheme, scopes=("openid",), issuer="https://acme.example")

        async def act(browser: Browser) -> None:
            nonlocal nonce
            nonce = browser.asked["nonce"]
            await browser.end(iss="https://acme.example")

        with pytest.raises(LoginError, match="not to be trusted"):
            await log_in(vault, server, act, scheme=scheme)
    assert await vault.get(HERE) is None


async def test_an_honest_identity_is_believed(vault: Vault) -> None:
    nonce = ""

    async def reply(writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"access_token": "a", "id_token": identity(nonce=nonce, email="ada@acme.example")}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    async with endpoint(reply) as server:
        scheme = dataclasses.replace(server.scheme, scopes=("openid",), issuer="https://acme.example")

        async def act(browser: Browser) -> None:
            nonlocal nonce
            nonce = browser.asked["nonce"]
            await browser.end()

        await log_in(vault, server, act, scheme=scheme)
    record = await vault.get(HERE)
    assert record is not None
    assert record.facts.identity == "ada@acme.example"
