"""What the tests of connectors share; `calling` does the work."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.core.writes import PaddedSealer
from tests.people import Person

from clew.core.database import open_database
from clew.core.errors import CallError
from clew.core.journal import Journal, open_journal


@pytest.fixture
def person() -> Person:
    """Whoever is asked; says yes until told otherwise."""
    return Person()


@pytest.fixture
async def call() -> AsyncIterator[Calling]:
    async with httpx.AsyncClient(verify=False) as client:
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
def tool(call: Calling) -> Tool:
    """Call a tool of GitHub on one repository; `None` leaves an argument out."""
    from clew.connectors.github import github

    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        host = arguments.pop("host", None)
        return await call(github, name, {"owner": "octocat", "repo": "Hello-World", **arguments}, host=host)

    return run


@pytest.fixture
def refused(tool: Tool) -> Callable[..., Awaitable[CallError]]:
    """Call a tool of GitHub and return the error it must end with."""

    async def run(name: str, **arguments: Any) -> CallError:
        return await failed(tool, name, **arguments)

    return run


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """Google, mocked."""
    with respx.mock(base_url="https://www.googleapis.com", assert_all_called=False) as router:
        yield router


@pytest.fixture
def calendar(call: Calling) -> Tool:
    """Call a tool of Google Calendar."""
    from clew.connectors.google_calendar import google_calendar

    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        host = arguments.pop("host", None)
        return await call(google_calendar, name, arguments, host=host)

    return run


@pytest.fixture
def rejected(calendar: Tool) -> Callable[..., Awaitable[CallError]]:
    """Call a tool of Google Calendar and return the error it must end with."""

    async def run(name: str, **arguments: Any) -> CallError:
        return await failed(calendar, name, **arguments)

    return run
