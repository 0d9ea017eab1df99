"""How the tests of a connector call its tools: through the whole walk, with real httpx, to a mocked provider."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from jsonschema import Draft202012Validator
from tests.connectors.described import faults
from tests.core.writes import PaddedSealer

from clew import Connector, Secret
from clew.auth.schemes import Bearer
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.database import open_database
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.host import Host, SilentHost
from clew.core.journal import Journal, open_journal
from clew.core.limiter import Limiter
from clew.core.retry import RetryPolicy
from clew.core.wire import Wire


class Token:
    """An authorizer with one fixed token that cannot be renewed into another. It sees each request as it leaves."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    async def apply(self, request: httpx.Request) -> str:
        Bearer().apply(request, lambda name: Secret("a-token"))
        self.seen.append(request)
        return "1"

    def taken(self) -> list[httpx.Request]:
        """The requests since it was asked last."""
        seen, self.seen = self.seen, []
        return seen

    async def renew(self, generation: str) -> None:
        """The same token is all there is."""


async def no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


@dataclass
class Calling:
    """Calls tools. Two tries for what may be tried again; results must be valid by the tool's output schema, requests
    by the provider's description where we have one."""

    client: httpx.AsyncClient
    journal: Journal | None = None
    seconds: float = 5
    wires: list[Wire] = field(default_factory=list[Wire])

    def wire(self, connector: Connector, base_url: str = "") -> Wire:
        connection = Connection("local", connector.name, "work")
        retry = RetryPolicy(attempts=2)
        made = Wire(connector, connection, Token(), self.client, base_url, Limiter(), retry, sleep=no_wait)
        self.wires.append(made)
        return made

    async def __call__(
        self,
        connector: Connector,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        host: Host | None = None,
        base_url: str = "",
        wire: Wire | None = None,
    ) -> dict[str, Any]:
        wire = wire or self.wire(connector, base_url)
        chosen = connector.tools[tool]
        call = Call(chosen, arguments, wire.connection, wire, Deadline.after(self.seconds), host or SilentHost())
        try:
            result = await Walk(sink=lambda record: None, journal=self.journal)(call)
        finally:
            self.look(wire, tool)
        validator: Any = Draft202012Validator(chosen.signature.output_schema)
        validator.validate(result)
        return result

    def look(self, wire: Wire, by: str) -> None:
        """Every request that left over this wire since the last look is one that its provider describes."""
        if isinstance(wire.authorizer, Token):
            assert faults(wire, by, wire.authorizer.taken()) == []


@pytest.fixture
async def call() -> AsyncIterator[Calling]:
    async with httpx.AsyncClient() as client:
        calling = Calling(client)
        yield calling
        for wire in calling.wires:
            calling.look(wire, "no tool")


@pytest.fixture
async def journal(call: Calling, tmp_path: Path) -> AsyncIterator[Journal]:
    """A journal of writes, which the calls of this test have."""
    database = await open_database(tmp_path / "clew.db")
    call.journal = await open_journal(database, PaddedSealer())
    yield call.journal
    call.journal.presence.leave()
    await database.close()


@pytest.fixture
def api_github() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.github.com", assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Call a tool of GitHub on one repository; `None` leaves an argument out."""
    from clew.connectors.github import github

    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        host = arguments.pop("host", None)
        return await call(github, name, {"owner": "octocat", "repo": "Hello-World", **arguments}, host=host)

    return run


@pytest.fixture
def refused(tool: Callable[..., Awaitable[dict[str, Any]]]) -> Callable[..., Awaitable[CallError]]:
    """Call a tool of GitHub and return the error it must end with."""

    async def run(name: str, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await tool(name, **arguments)
        return caught.value

    return run


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """Google, mocked."""
    with respx.mock(base_url="https://www.googleapis.com", assert_all_called=False) as router:
        yield router


@pytest.fixture
def calendar(call: Calling) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Call a tool of Google Calendar."""
    from clew.connectors.google_calendar import google_calendar

    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        host = arguments.pop("host", None)
        return await call(google_calendar, name, arguments, host=host)

    return run


@pytest.fixture
def rejected(calendar: Callable[..., Awaitable[dict[str, Any]]]) -> Callable[..., Awaitable[CallError]]:
    """Call a tool of Google Calendar and return the error it must end with."""

    async def run(name: str, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await calendar(name, **arguments)
        return caught.value

    return run
