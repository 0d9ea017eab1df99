"""The lines to mail servers: encrypted or not at all, bounded in time and size, credentials where they belong."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from clew.core.errors import Code, ConfigurationError, Outcome
from clew.core.mail.servers import Server, server_of, servers_of

from .conftest import Keys, Office, opened
from .servers import PASSWORD, USER, Reader, Writer, make_certificate

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {"to": ["ann@away.example"], "subject": "x", "text": "y"}


@pytest.mark.parametrize(
    ("protocol", "text", "server"),
    [
        ("imap", "imap.example.com", Server("imap.example.com", 993, "tls")),
        ("smtp", "SMTP.example.com", Server("smtp.example.com", 465, "tls")),
        ("smtp", "smtp.example.com:587", Server("smtp.example.com", 587, "starttls")),
        ("imap", "imap.example.com:143", Server("imap.example.com", 143, "starttls")),
        ("imap", "imap.example.com:1993", Server("imap.example.com", 1993, "tls")),
        ("imap", "localhost:1143;plain", Server("localhost", 1143, "plain")),
    ],
)
def test_an_address_says_how_the_way_is_encrypted(protocol: Any, text: str, server: Server) -> None:
    assert server_of(protocol, text) == server


@pytest.mark.parametrize("text", ["", "a b", "host:99999", "host;none", "user@host", "host/path", "-host", "host:0"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        server_of("imap", text)


def test_a_server_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="smtp"):
        servers_of({"imap": "imap.example.com"})


async def test_an_account_without_servers_says_what_to_do(office: Office) -> None:
    office.variables.clear()
    assert (await office.failed("search_messages")).code is Code.INTERNAL


Talk = Callable[[Reader, Writer], Awaitable[None]]


async def at(office: Office, protocol: str, talk: Talk, context: ssl.SSLContext | None, mode: str = "tls") -> Any:
    """Put a server of the test's own in the place of one."""

    async def safely(reader: Reader, writer: Writer) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(safely, "127.0.0.1", 0, ssl=context)
    office.variables[protocol] = f"127.0.0.1:{server.sockets[0].getsockname()[1]};{mode}"
    return server


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(office: Office, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    heard: list[bytes] = []

    async def listen(reader: Reader, writer: Writer) -> None:
        heard.append(await reader.read(100))

    for protocol, tool, arguments in (("imap", "search_messages", {}), ("smtp", "send_message", LETTER)):
        server = await at(office, protocol, listen, make_certificate(tmp_path / "other"))
        error = await office.failed(tool, **arguments)
        assert (error.code, error.outcome, heard) == (Code.INTERNAL, Outcome.NOT_APPLIED, [])
        assert "certificate" in error.message
        server.close()


async def test_a_certificate_for_another_host_is_not_accepted(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    context = make_certificate(tmp_path / "other", "127.0.0.9")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other" / "ca.pem"))

    async def listen(reader: Reader, writer: Writer) -> None:
        await reader.read(100)

    server = await at(office, "imap", listen, context)
    assert "certificate" in (await office.failed("search_messages")).message
    server.close()


@pytest.mark.parametrize(
    ("protocol", "lines"),
    [
        ("imap", [b"* OK ready\r\n", b"* BAD what\r\ns1 NO not here\r\n"]),
        ("imap", [b"* PREAUTH you are in\r\n"]),
        ("smtp", [b"220 ready\r\n", b"250-mail\r\n250 AUTH PLAIN\r\n"]),
    ],
)
async def test_a_stripped_starttls_is_noticed_before_a_password_leaves(
    office: Office, protocol: str, lines: list[bytes]
) -> None:
    heard: list[bytes] = []

    async def strip(reader: Reader, writer: Writer) -> None:
        for line in lines:
            writer.write(line)
            heard.append(await reader.read(1000))

    server = await at(office, protocol, strip, None, "starttls")
    tool, arguments = ("search_messages", {}) if protocol == "imap" else ("send_message", LETTER)
    error = await office.failed(tool, **arguments)
    assert (error.code, error.outcome) == (Code.INTERNAL, Outcome.NOT_APPLIED)
    assert not any(word in b"".join(heard).upper() for word in (b"AUTH", b"LOGIN", b"MAIL"))
    server.close()


async def test_what_comes_before_the_encryption_is_thrown_away(context: ssl.SSLContext) -> None:
    async with opened(context, "starttls") as office:

        async def inject(writer: Writer, tag: str) -> bool:
            writer.write(b"s1 OK begin\r\n* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na1 NO forged\r\n")
            await writer.drain()
            await writer.start_tls(context)
            return True

        office.imap.on["STARTTLS"] = inject
        assert await office("search_messages") == {"items": []}
        assert any(each.startswith("AUTHENTICATE") for each in office.imap.commands)


async def test_without_encryption_only_this_machine_is_spoken_to(office: Office, monkeypatch: Any) -> None:
    plain = Office(office.imap, office.post, dict(office.variables), office.client)
    listening = await asyncio.start_server(office.imap.talk, "127.0.0.1", 0)
    plain.variables["imap"] = f"127.0.0.1:{listening.sockets[0].getsockname()[1]};plain"
    assert await plain("search_messages") == {"items": []}

    def elsewhere(sock: socket.socket) -> bool:
        return False

    monkeypatch.setattr("clew.core.mail.line._is_here", elsewhere)
    error = await plain.failed("search_messages")
    assert (error.code, "not safe" in error.message) == (Code.INTERNAL, True)
    listening.close()


async def test_a_server_that_never_stops_talking_is_cut_off(office: Office, context: ssl.SSLContext) -> None:
    async def flood(reader: Reader, writer: Writer) -> None:
        while not writer.is_closing():
            writer.write(b"* OK " + b"x" * 60_000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)  # drain alone does not let the loop see that the other end is gone

    async def literal(reader: Reader, writer: Writer) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.readline()
        writer.write(b"* LIST () {4000000000}\r\n")
        await reader.read()

    async def reply(reader: Reader, writer: Writer) -> None:
        while not writer.is_closing():
            writer.write(b"220-" + b"x" * 1500 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    for protocol, talk, tool, arguments in (
        ("imap", flood, "search_messages", {}),
        ("imap", literal, "search_messages", {}),
        ("smtp", reply, "send_message", LETTER),
    ):
        server = await at(office, protocol, talk, context)
        error = await office.failed(tool, **arguments)
        assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
        server.close()


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
async def test_a_server_that_dribbles_is_cut_off_at_the_deadline(
    office: Office, context: ssl.SSLContext, protocol: str
) -> None:
    gone = asyncio.Event()

    async def dribble(reader: Reader, writer: Writer) -> None:
        try:
            for _ in range(1000):
                writer.write(b"*")
                await writer.drain()
                await asyncio.sleep(0.02)
        finally:
            gone.set()

    server = await at(office, protocol, dribble, context)
    tool, arguments = ("search_messages", {}) if protocol == "imap" else ("send_message", LETTER)
    started = time.monotonic()
    error = await office.failed(tool, seconds=0.7, **arguments)
    assert time.monotonic() - started < 2
    assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    await asyncio.wait_for(gone.wait(), 5)  # the line was cut: no thread waits for more
    server.close()


async def test_the_deadline_after_the_last_dot_leaves_the_outcome_unknown(office: Office) -> None:
    async def sleep(server: Any) -> str:
        await asyncio.sleep(30)
        return "250 late"

    office.post.at_end = sleep
    error = await office.failed("send_message", seconds=1.0, **LETTER)
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)


async def test_a_host_that_is_not_there_was_told_nothing(office: Office) -> None:
    office.variables |= {"smtp": "127.0.0.1:9;tls", "imap": "no-such-host.invalid"}
    for tool, arguments in (("send_message", LETTER), ("search_messages", {})):
        error = await office.failed(tool, **arguments)
        assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)


async def test_a_password_goes_by_login_where_there_is_no_plain(office: Office) -> None:
    office.imap.capabilities = "IMAP4rev1"
    assert await office("search_messages") == {"items": []}
    assert f'LOGIN "{USER}" "{PASSWORD}"' in office.imap.commands


async def test_a_server_that_takes_no_such_login_is_named_as_the_reason(office: Office) -> None:
    office.imap.capabilities = "IMAP4rev1 LOGINDISABLED AUTH=GSSAPI"
    error = await office.failed("search_messages")
    assert (error.code, error.provider_message) == (Code.PERMISSION, "offered: GSSAPI")
    office.keys = Keys("oauth2")
    office.imap.capabilities = "IMAP4rev1 AUTH=PLAIN"
    assert (await office.failed("search_messages")).code is Code.PERMISSION


async def test_no_secret_is_in_a_record_or_an_error(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    async def repeat(writer: Writer, tag: str) -> bool:
        writer.write(f"{tag} NO your password {PASSWORD} is wrong\r\n".encode())
        return True

    office.imap.on["EXAMINE"] = repeat
    error = await office.failed("search_messages")
    assert PASSWORD not in f"{error.as_dict()}{error!r}{office.records}{caplog.text}"
    assert "[secret]" in (error.provider_message or "")
