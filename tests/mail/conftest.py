"""The e-mail connector against servers on loopback, through the whole walk."""

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from jsonschema import Draft202012Validator
from tests.people import Person

from clew.connectors.email import email
from clew.core.audit import Record
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.journal import Journal
from clew.core.limiter import Limiter
from clew.core.retry import RetryPolicy
from clew.core.secret import Secret
from clew.core.wire import Wire

from .servers import PASSWORD, TOKEN, USER, ImapServer, Post, make_certificate


@dataclass
class Keys:
    """An authorizer with a password, or with a token that `renew` makes fresh."""

    kind: str = "basic"
    token: str = TOKEN
    password: str = PASSWORD
    renewed: int = 0

    async def apply(self, request: httpx.Request) -> str:
        raise AssertionError("mail has no requests")

    async def credential(self) -> Credential:
        if self.kind == "oauth2":
            return Credential(str(self.renewed), self.kind, {"access_token": Secret(self.token)})
        return Credential("1", self.kind, {"username": Secret(USER), "password": Secret(self.password)})

    async def renew(self, generation: str) -> None:
        self.renewed += 1
        self.token = TOKEN


async def no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


@dataclass
class Office:
    """A connection of the e-mail connector to servers on loopback."""

    imap: ImapServer
    post: Post
    variables: dict[str, str]
    client: httpx.AsyncClient
    keys: Any = field(default_factory=Keys)
    records: list[Record] = field(default_factory=list[Record])
    person: Person = field(default_factory=Person)
    limiter: Limiter = field(default_factory=Limiter)
    journal: Journal | None = None

    @property
    def wire(self) -> Wire:
        return Wire(
            email,
            Connection("local", "email", "work"),
            self.keys,
            self.client,
            limiter=self.limiter,
            retry=RetryPolicy(attempts=2),
            sleep=no_wait,
            variables=self.variables,
        )

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        seconds = arguments.pop("seconds", 10)
        chosen, wire = email.tools[tool], self.wire
        call = Call(chosen, arguments, wire.connection, wire, Deadline.after(seconds), self.person)
        result = await Walk(sink=self.records.append, journal=self.journal)(call)
        validator: Any = Draft202012Validator(chosen.signature.output_schema)
        validator.validate(result)
        return result.get("result", result)

    async def failed(self, tool: str, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self(tool, **arguments)
        return caught.value

    @property
    def attempts(self) -> list[tuple[str, str, int | None]]:
        """What the last call did."""
        return [(each.method, each.route, each.status) for each in self.records[-1].attempts]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate that this process trusts."""
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return made


def authenticated(post: Post) -> Any:
    """Who is let in."""

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        post.login = mechanism
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)

    return check


class Submissions(SMTP):
    """aiosmtpd that also takes XOAUTH2."""

    post: Post
    transports: list[Any]

    def connection_made(self, transport: Any) -> None:
        self.transports.append(transport)
        super().connection_made(transport)

    async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:
        import base64

        said = base64.b64decode(args[1]).decode()
        self.post.login = "XOAUTH2"
        if said == f"user={USER}\x01auth=Bearer {self.post.token}\x01\x01":
            return AuthResult(success=True)
        await self.challenge_auth(b'{"status":"401"}')
        return AuthResult(success=False, handled=False)


@contextlib.asynccontextmanager
async def submission(post: Post, context: ssl.SSLContext, mode: str) -> AsyncGenerator[int]:
    """aiosmtpd on a free port."""

    def make() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it does not know that this port is encrypted from the beginning
            server = Submissions(
                post,
                hostname="mail.home.example",
                data_size_limit=5_000_000,
                tls_context=context if mode == "starttls" else None,
                require_starttls=mode == "starttls",
                auth_require_tls=mode == "starttls",
                auth_required=True,
                authenticator=authenticated(post),
            )
        server.post, server.transports = post, transports
        return server

    transports: list[Any] = []
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(make, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await hang_up(transports)


async def hang_up(transports: list[Any]) -> None:
    """End what is still open, so that no socket outlives its test."""
    for transport in transports:
        transport.abort()
    for _ in range(3):  # the loop's rounds until the sockets are closed
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def opened(context: ssl.SSLContext, mode: str = "tls") -> AsyncGenerator[Office]:
    """Both servers and a connection to them."""
    imap, post = ImapServer(context), Post()
    box = await asyncio.start_server(imap.talk, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    imap.port = box.sockets[0].getsockname()[1]
    async with submission(post, context, mode) as port, httpx.AsyncClient(verify=False) as client:
        variables: Mapping[str, str] = {
            "imap": f"127.0.0.1:{imap.port};{mode}",
            "smtp": f"127.0.0.1:{port};{mode}",
            "address": USER,
        }
        yield Office(imap, post, dict(variables), client)
    box.close()
    await hang_up(imap.transports)


@pytest.fixture
async def office(context: ssl.SSLContext) -> AsyncIterator[Office]:
    async with opened(context) as found:
        yield found
