"""Certificate-bound tokens: the API is shown the certificate, by these calls alone, for one connection each."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest

from clew.auth.authorizer import VaultAuthorizer
from clew.auth.facts import Facts
from clew.auth.minting import MINTERS
from clew.auth.mutual import CertificateTransport, refuse_certificate
from clew.auth.refresh import Refresher
from clew.auth.schemes import ClientCredentials
from clew.auth.vault import Vault
from clew.core.errors import InternalError
from clew.core.http1 import tls
from clew.core.pool import SlotTransport
from clew.core.secret import Secret

from .conftest import WORK
from .material import certificate, ec_key

pytestmark = pytest.mark.anyio

BOUND = ClientCredentials(token_url="{base_url}/token", client_auth="mtls", certificate_bound=True)


@cache
def issued(name: str) -> str:
    """The one certificate of this name: each that is made is another."""
    return certificate(ec_key(name))


class Provider:
    """Speaks TLS to everybody, asks for a certificate, and serves only the one that the token is bound to."""

    def __init__(self, client: str) -> None:
        self.bound_to = hashlib.sha256(ssl.PEM_cert_to_DER_cert(client)).digest()
        self.heard: list[str] = []
        self.open = 0
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        good = shown is not None and hashlib.sha256(shown).digest() == self.bound_to
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heard.append(f"{head.decode().split()[1]} {'bound' if good else 'other' if shown else 'none'}")
                body = b'{"id": 1}' if good else b'{"error": "invalid_token"}'
                status = "200 OK" if good else "401 Unauthorized"
                answer = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(answer.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.open -= 1


@asynccontextmanager
async def provider(folder: Path, client: str) -> AsyncGenerator[Provider]:
    (folder / "server.pem").write_text(certificate(ec_key("server")) + ec_key("server"), encoding="utf-8")
    (folder / "client.pem").write_text(client, encoding="utf-8")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(folder / "client.pem")
    made = Provider(client)
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0, ssl=tls)
    made.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


@pytest.fixture
async def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    tls.cache_clear()  # another test's trusted certificates
    async with httpx.AsyncClient(transport=CertificateTransport(SlotTransport())) as client:
        yield client
    tls.cache_clear()


@pytest.fixture
async def minter(vault: Vault, refresher: Refresher) -> AsyncIterator[Refresher]:
    opened = Refresher(vault, refresher.leases, minters=MINTERS)
    yield opened
    await opened.close()


async def plant(vault: Vault, *, certificate_of: str | None, variables: dict[str, str] | None = None) -> None:
    fields = {"access_token": Secret("bound-token")}
    if certificate_of is not None:
        key = ec_key(certificate_of)
        fields |= {"certificate": Secret(issued(certificate_of)), "private_key": Secret(key)}
    facts = Facts("client_credentials", client_id="c", expires_at=2e10, renewable=True, variables=variables or {})
    await vault.put(WORK, fields, facts)


async def call(http: httpx.AsyncClient, authorizer: VaultAuthorizer | None, url: str) -> httpx.Response:
    request = http.build_request("GET", url)
    if authorizer is not None:
        await authorizer.apply(request)
    return await http.send(request)


async def test_a_bound_token_is_used_with_its_certificate_and_nothing_else_is(
    vault: Vault, minter: Refresher, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with provider(tmp_path, issued("client")) as api:
        await plant(vault, certificate_of="client")
        authorizer = VaultAuthorizer(WORK, [BOUND], vault, minter, base_url=api.url)
        assert (await call(http, authorizer, f"{api.url}/mine")).json() == {"id": 1}
        assert (await call(http, None, f"{api.url}/open")).status_code == 401
        assert (await call(http, authorizer, f"{api.url}/again")).json() == {"id": 1}
        assert api.heard == ["/mine bound", "/open none", "/again bound"]
        async with asyncio.timeout(5):
            while api.open > 1:  # noqa: ASYNC110  # the server hears of an end a moment later
                await asyncio.sleep(0.005)


async def test_a_certificate_file_that_changes_counts_from_the_next_call_on(
    vault: Vault, minter: Refresher, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with provider(tmp_path, issued("client")) as api:
        files = {"certificate_file": str(tmp_path / "tls.crt"), "key_file": str(tmp_path / "tls.key")}
        await plant(vault, certificate_of=None, variables=files)
        authorizer = VaultAuthorizer(WORK, [BOUND], vault, minter, base_url=api.url)
        for name in ("stranger", "client"):
            (tmp_path / "tls.crt").write_text(issued(name), encoding="utf-8")
            (tmp_path / "tls.key").write_text(ec_key(name), encoding="utf-8")
            with contextlib.nullcontext() if name == "client" else pytest.raises(httpx.NetworkError):
                await call(http, authorizer, f"{api.url}/{name}")
        assert api.heard == ["/client bound"]


async def test_without_its_certificate_a_bound_token_is_not_sent(
    vault: Vault, minter: Refresher, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with provider(tmp_path, issued("client")) as api:
        await plant(vault, certificate_of=None)
        authorizer = VaultAuthorizer(WORK, [BOUND], vault, minter, base_url=api.url)
        with pytest.raises(InternalError, match="proves itself with a certificate, and none is stored"):
            await call(http, authorizer, f"{api.url}/mine")
        await plant(vault, certificate_of="client")
        async with httpx.AsyncClient(event_hooks={"request": [refuse_certificate]}) as proxied:
            with pytest.raises(httpx.UnsupportedProtocol, match="through a proxy"):
                await call(proxied, authorizer, f"{api.url}/mine")
        assert api.heard == []
