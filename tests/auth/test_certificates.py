"""Client certificates: shown in TLS for real, read again when their files change, and watched for their end."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from clew.auth.answers import Grant, Refusal
from clew.auth.certificates import WatchedIdentity, context, read_identity
from clew.auth.facts import Facts
from clew.auth.minting import mint
from clew.auth.schemes import ClientCredentials
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

from .material import Held, certificate, ec_key, rsa_key

pytestmark = pytest.mark.anyio

SCHEME = ClientCredentials(token_url="{base_url}/token", client_auth="mtls")


@asynccontextmanager
async def token_server(folder: Path, client: str) -> AsyncGenerator[str]:
    """A token endpoint that speaks TLS to those only who show the certificate `client`."""
    (folder / "server.pem").write_text(certificate(ec_key("server")) + ec_key("server"), encoding="utf-8")
    (folder / "client.pem").write_text(client, encoding="utf-8")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(folder / "client.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"access_token": "bound-1"}'
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))


async def ask(url: str, held: Held) -> Grant | Refusal:
    async with httpx.AsyncClient() as http:
        return await mint(http, held, SCHEME, base_url=url, seconds=10)


@pytest.mark.usefixtures("trust")
async def test_a_client_proves_itself_with_its_certificate(tmp_path: Path) -> None:
    pem = certificate(ec_key("client"))
    async with token_server(tmp_path, pem) as url:
        good = Held(
            Facts("client_credentials", client_id="c"),
            {"certificate": Secret(pem), "private_key": Secret(ec_key("client"))},
        )
        answer = await ask(url, good)
        assert isinstance(answer, Grant), answer
        assert answer.access_token == Secret("bound-1")
        stranger = certificate(ec_key("stranger"))
        bad = Held(good.facts, {"certificate": Secret(stranger), "private_key": Secret(ec_key("stranger"))})
        assert isinstance(await ask(url, bad), Refusal)


@pytest.mark.usefixtures("trust")
async def test_certificate_files_that_change_are_read_again(tmp_path: Path) -> None:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    variables = {"certificate_file": str(files[0]), "key_file": str(files[1])}
    held = Held(Facts("client_credentials", client_id="c", variables=variables))
    for name in ("first", "second"):
        pem = certificate(ec_key(name))
        files[0].write_text(pem, encoding="utf-8")
        files[1].write_text(ec_key(name), encoding="utf-8")
        async with token_server(tmp_path, pem) as url:
            assert isinstance(await ask(url, held), Grant), name


def test_while_a_replacement_is_half_written_the_one_before_it_serves(tmp_path: Path) -> None:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    first = certificate(ec_key("first"))
    files[0].write_text(first, encoding="utf-8")
    files[1].write_text(ec_key("first"), encoding="utf-8")
    watched = WatchedIdentity(*files)
    assert watched.current().certificate.reveal() == first
    second = certificate(ec_key("second"))
    files[0].write_text(second, encoding="utf-8")  # the key does not fit yet
    assert watched.current().certificate.reveal() == first
    files[1].write_text(ec_key("second"), encoding="utf-8")
    assert watched.current().certificate.reveal() == second
    files[0].unlink()
    assert watched.current().certificate.reveal() == second


def test_an_end_that_is_near_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    files[0].write_text(certificate(ec_key(), begins=-1000, ends=50), encoding="utf-8")
    files[1].write_text(ec_key(), encoding="utf-8")
    watched = WatchedIdentity(*files)
    with caplog.at_level(logging.WARNING, "clew.auth"):
        watched.current()
        watched.current()
    assert [record.getMessage() for record in caplog.records] == [
        f"the client certificate {files[0]} ends in 1 minutes"
    ]


def test_a_certificate_that_has_ended_is_not_shown(tmp_path: Path) -> None:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    files[0].write_text(certificate(ec_key(), begins=-100, ends=-1), encoding="utf-8")
    files[1].write_text(ec_key(), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has ended"):
        WatchedIdentity(*files).current()


@pytest.mark.parametrize(
    ("pem", "key"), [("x", ec_key()), (certificate(ec_key()), "x"), (certificate(ec_key()), rsa_key())]
)
def test_a_pair_that_does_not_fit_is_one_sentence(pem: str, key: str) -> None:
    with pytest.raises(ConfigurationError):
        read_identity(Secret(pem), Secret(key))


def test_the_key_is_never_written_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, certfile: str, keyfile: str | None = None, password: str | None = None) -> None:
        seen.append(Path(certfile).read_text(encoding="utf-8"))
        load(self, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    context(Secret(certificate(ec_key())), Secret(ec_key()))
    body = "".join(ec_key().splitlines()[1:-1])
    assert "BEGIN ENCRYPTED PRIVATE KEY" in seen[0]
    assert body not in seen[0].replace("\n", "")
    assert list(tmp_path.iterdir()) == []
