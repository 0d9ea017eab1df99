"""Connecting an account during a call: a link for exactly this caller, and a call that goes on when it was followed.

A link is no secret: whoever opens it has to log in where the caller's token came from, as the caller. It is kept in the
database, so that any worker knows it, and leads to `/connect` (`servers.connect_pages`).
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clew.auth.clients import login_client
from clew.auth.connections import granted
from clew.auth.schemes import ApiKey, AwsKeys, Basic, Bearer, OAuth1, OAuth2, Typed, UsernameToken
from clew.auth.vault import Summary
from clew.core.call import Structured, Suspend
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.database import Database
from clew.core.errors import AuthRevokedError, CallError, ConfigurationError, Outcome, PermissionDeniedError
from clew.servers.offering import Bound
from clew.servers.principals import Principal
from clew.servers.runtime import Runtime

STEPS = (
    """CREATE TABLE connect_links (
        id TEXT PRIMARY KEY, issuer TEXT NOT NULL, person TEXT NOT NULL, tenant TEXT NOT NULL, connector TEXT NOT NULL,
        account TEXT NOT NULL, scopes TEXT NOT NULL, program TEXT NOT NULL, made DOUBLE PRECISION NOT NULL,
        ends DOUBLE PRECISION NOT NULL)""",
)
BASE = "/connect"
LINK_SECONDS = 900.0
"""For how long a link is good."""
_ROOM = 120.0
"""A link that ends sooner is not given out again."""
_LOOK, _TELL = 0.25, 5.0
_COLUMNS = "id, issuer, person, tenant, connector, account, scopes, program, made, ends"


@dataclass(frozen=True, slots=True)
class Link:
    """Who may connect which account: `person` of `issuer`, asked for by `program`. `made` is epoch seconds; without
    `scopes` the login asks for those that the connector and the offered tools want."""

    id: str
    issuer: str
    person: str
    connection: Connection
    scopes: tuple[str, ...]
    program: str
    made: float


class Asking(Protocol):
    """The host of a call, that can bring a person to a page. `program` is what it calls itself."""

    @property
    def program(self) -> str: ...

    async def visit(self, url: str, message: str) -> bool:
        """Offer the link; False when nobody opens it."""
        ...

    async def progress(self, message: str) -> None:
        """Tell that the call waits."""
        ...


class Links:
    """The links of one database. Made by `open_links`."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def link(self, who: Principal, connection: Connection, scopes: Sequence[str], program: str) -> Link:
        """The live link for exactly this, else a new one: the host must see the same one in each round of a call."""
        now, wanted = self._clock(), json.dumps(sorted(scopes))
        fresh = secrets.token_urlsafe(18)
        given = who.issuer, who.name, connection.tenant, connection.connector, connection.account, wanted, program
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM connect_links WHERE ends < ?", now)
            row = await tx.fetch_one(
                f"SELECT {_COLUMNS} FROM connect_links WHERE issuer = ? AND person = ? AND tenant = ? "  # noqa: S608
                "AND connector = ? AND account = ? AND scopes = ? AND program = ? AND ends > ?",
                *given, now + _ROOM,
            )  # fmt: skip
            if row is None:
                row = (fresh, *given, now, now + LINK_SECONDS)
                marks = ", ".join("?" for _ in row)
                await tx.execute(f"INSERT INTO connect_links ({_COLUMNS}) VALUES ({marks})", *row)  # noqa: S608
        return _link(row)

    async def get(self, id: str) -> Link | None:
        """A link that is good still."""
        sql = f"SELECT {_COLUMNS} FROM connect_links WHERE id = ? AND ends > ?"  # noqa: S608
        row = await self._database.fetch_one(sql, id, self._clock())
        return None if row is None else _link(row)

    async def spend(self, link: Link) -> bool:
        """Use a link up; False when it was used or has ended."""
        return bool(
            await self._database.execute("DELETE FROM connect_links WHERE id = ? AND ends > ?", link.id, self._clock())
        )


def _link(row: tuple[Any, ...]) -> Link:
    id, issuer, person, tenant, connector, account, scopes, program, made, _ = row
    return Link(id, issuer, person, Connection(tenant, connector, account), tuple(json.loads(scopes)), program, made)


async def open_links(database: Database, clock: Callable[[], float] = time.time) -> Links:
    """Make the table when it is missing."""
    await database.migrate("connect", STEPS)
    return Links(database, clock)


@dataclass(frozen=True, slots=True)
class Connecting:
    """Brings people to the page that connects an account. `url` is where this server is found."""

    runtime: Runtime
    links: Links
    url: str

    async def __call__(
        self, bound: Bound, host: Asking, who: Principal | None, run: Callable[[], Awaitable[Structured]]
    ) -> Structured:
        """Run a call; where it fails for want of an account or of its scopes, offer the link and run it again."""
        try:
            return await run()
        except (AuthRevokedError, PermissionDeniedError) as error:
            if who is None or error.outcome is not Outcome.NOT_APPLIED:
                raise
            link = await self._link(bound, who, host.program, error)
            if link is None:
                raise
            title = bound.connector.title or bound.connector.name
            url = f"{self.url}{BASE}?link={link.id}"
            try:
                opened = await host.visit(url, f"Connect your {title} account, so that {host.program} can use it.")
            except Suspend as suspended:
                suspended.reference = error.reference or ""
                raise
            if not opened or not await self._came(link, host):
                raise _told(error, url) from None
        try:
            return await run()
        except (AuthRevokedError, PermissionDeniedError) as error:
            raise _told(error, url) from None

    async def _link(self, bound: Bound, who: Principal, program: str, error: CallError) -> Link | None:
        """The link that helps; None when none does."""
        connector, vault = bound.connector, self.runtime.vault
        if await way_of(self.runtime, connector) is None:
            return None
        stored = await vault.list(tenant=who.tenant, connector=connector.name)
        account = self.runtime.chosen(connector) or (stored[0].connection.account if len(stored) == 1 else "main")
        scopes: list[str] = []
        if isinstance(error, PermissionDeniedError):
            known = next((granted(each.facts) for each in stored if each.connection.account == account), None)
            missing = bound.tool.lacks(known)
            if not missing:
                return None
            scopes = [*sorted(known or ()), *missing]
        return await self.links.link(who, Connection(who.tenant, connector.name, account), scopes, program)

    async def _came(self, link: Link, host: Asking) -> bool:
        """Wait until the account is connected, for as long as a call may take."""
        until, told = time.monotonic() + self.runtime.settings.deadline, 0.0
        while True:
            if await self._is_there(link):
                return True
            now = time.monotonic()
            if now > until:
                return False
            if now - told > _TELL:
                told = now
                await host.progress("waiting for the person to connect the account")
            await asyncio.sleep(_LOOK)

    async def _is_there(self, link: Link) -> bool:
        where = link.connection
        stored: list[Summary] = await self.runtime.vault.list(tenant=where.tenant, connector=where.connector)
        return any(each.connection == where and each.facts.obtained_at > link.made for each in stored)


def _told(error: CallError, url: str) -> CallError:
    """The error with the link, for hosts that cannot open one themselves."""
    error.url = url
    error.next_step = "Give this link to the person, who connects the account there. Then make the same call again."
    return error


async def way_of(runtime: Runtime, connector: Connector) -> OAuth2 | Typed | None:
    """How a person connects an account of this connector on a page: by a login, where the operator has a client for
    it, else by what is typed in."""
    typed = next((each for each in connector.schemes if isinstance(each, _TYPED)), None)
    for scheme in connector.schemes:
        if isinstance(scheme, OAuth2):
            try:
                await login_client(runtime.vault, operator_place(runtime, connector), scheme)
            except ConfigurationError:
                continue
            return scheme
    return typed


_TYPED = (Bearer, ApiKey, Basic, OAuth1, AwsKeys, UsernameToken)


def operator_place(runtime: Runtime, connector: Connector) -> Connection:
    """Where the operator keeps the OAuth client of a connector: with the tenant of the server itself."""
    return Connection(runtime.settings.tenant or LOCAL_TENANT, connector.name, "client")
