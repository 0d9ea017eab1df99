"""Shared by the tests of core: one connection to a provider on loopback, and calls over it, with time in our hands."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from tests.core.writes import PaddedSealer, Writer, make_connector

from clew.core.api import Api
from clew.core.audit import Attempt, Record
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector, Effect
from clew.core.credentials import Authorizer
from clew.core.database import Database, open_database
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.exchange import Exchange, Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, open_journal
from clew.core.limiter import Limiter
from clew.core.response import Response
from clew.core.wire import Wire


class Clock:
    """Monotonic time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Talkative(SilentHost):
    def __init__(self) -> None:
        self.told: list[str] = []

    async def progress(self, message: str) -> None:
        self.told.append(message)


class Line:
    """One connection to a provider on loopback, with time in our hands."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.clock = Clock()
        self.host = Talkative()
        self.trail = Trail()

    def wire(self, url: str, authorizer: Authorizer | None = None, **facts: Any) -> Wire:
        return Wire(
            Connector("acme", "https://api.acme.example", **facts),
            Connection(LOCAL_TENANT, "acme", "work"),
            authorizer,
            self.client,
            base_url=url,
            limiter=Limiter(clock=self.clock),
            sleep=self.clock.sleep,
        )

    async def ask(self, wire: Wire, method: str = "GET", *, seconds: float = 30, **request: Any) -> Response:
        made = httpx.Request(method, f"{wire.base_url}/notes", **request)
        record = Attempt(method, "/notes")
        deadline = Deadline.after(seconds)
        return await wire.exchange(Exchange(made, record, method == "GET", deadline, self.host, self.trail))


@pytest.fixture
async def line() -> AsyncGenerator[Line]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield Line(client)


@pytest.fixture
async def opened() -> AsyncGenerator[Callable[..., Api]]:
    """`opened(url, effect)` gives the `Api` of one call; `trail` may be passed to look at it afterwards."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:

        def build(url: str, effect: Effect = Effect.READ, trail: Trail | None = None, **facts: Any) -> Api:
            authorizer = facts.pop("authorizer", None)
            connector = Connector("acme", "https://api.acme.example", **facts)
            wire = Wire(connector, Connection(LOCAL_TENANT, "acme", "work"), authorizer, client, base_url=url)
            return Api(wire, Deadline.after(10), Trail() if trail is None else trail, effect, SilentHost())

        yield build


class Office:
    """Makes calls and keeps their records."""

    def __init__(self, client: httpx.AsyncClient, connector: Connector) -> None:
        self.client = client
        self.connector = connector
        self.records: list[Record] = []

    async def call(self, tool: str, url: str = "http://127.0.0.1:9", **facts: Any) -> dict[str, Any]:
        walk = Walk(facts.pop("policy", None), self.records.append, consenting=facts.pop("consenting", None))
        connection = Connection(LOCAL_TENANT, "acme", "work")
        wire = Wire(self.connector, connection, None, self.client, base_url=url)
        arguments, host = facts.pop("arguments", {}), facts.pop("host", SilentHost())
        call = Call(
            self.connector.tools[tool], arguments, connection, wire, Deadline.after(facts.pop("seconds", 10)), host
        )
        call.outside = facts.pop("outside", None)
        return await walk(call)

    async def failed(self, tool: str, url: str = "http://127.0.0.1:9", **facts: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.call(tool, url, **facts)
        assert caught.value.reference == self.record.reference
        assert (caught.value.code, caught.value.outcome) == (self.record.code, self.record.outcome)
        return caught.value

    @property
    def record(self) -> Record:
        return self.records[-1]


@pytest.fixture
async def office(connector: Connector) -> AsyncGenerator[Office]:
    """Calls of the tools of the module's own `connector` fixture."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield Office(client, connector)


@pytest.fixture
async def database(address: str) -> AsyncGenerator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
async def journal(database: Database) -> AsyncGenerator[Journal]:
    opened = await open_journal(database, PaddedSealer())
    yield opened
    opened.presence.leave()


@pytest.fixture
async def writer(journal: Journal) -> AsyncGenerator[Writer]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        yield Writer(client, journal, make_connector())
