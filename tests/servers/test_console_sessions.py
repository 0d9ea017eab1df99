"""Links and sessions of the console on each engine: good once, for a time, and kept as hashes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from clew.core.database import Database, open_database
from clew.core.secret import Secret
from clew.servers.console.sessions import IDLE_SECONDS, TICKET_SECONDS, Sessions, open_sessions

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
async def sessions(database: Database, clock: Clock) -> Sessions:
    return await open_sessions(database, 8 * 3600.0, clock)


async def test_a_ticket_lets_one_of_many_in(sessions: Sessions) -> None:
    ticket = await sessions.ticket("ada")
    people = await asyncio.gather(*(sessions.spend(ticket) for _ in range(5)))
    assert sorted(people, key=str) == [None, None, None, None, "ada"]


async def test_a_ticket_grows_old_and_is_forgotten(sessions: Sessions, clock: Clock, database: Database) -> None:
    old = await sessions.ticket("ada")
    clock.now += TICKET_SECONDS + 1
    assert await sessions.spend(old) is None
    await sessions.ticket("bob")
    await sessions.ticket("bob")
    clock.now += TICKET_SECONDS + 1
    await sessions.ticket("bob")
    assert await database.fetch_one("SELECT COUNT(*) FROM console_tickets") == (1,)


async def test_a_session_is_of_one_person_and_one_way_and_ends(sessions: Sessions, clock: Clock) -> None:
    token = await sessions.open("ada", ("ops",), "https://id.example")
    found = await sessions.visitor(token, "https://id.example")
    assert found is not None
    assert (found.person, found.groups) == ("ada", ("ops",))
    assert token.reveal() not in repr(found)
    assert await sessions.visitor(token, "link") is None
    assert await sessions.visitor(Secret("of nobody"), "link") is None
    clock.now += IDLE_SECONDS - 1
    assert await sessions.visitor(token, "https://id.example") is not None
    clock.now += IDLE_SECONDS - 1
    assert await sessions.visitor(token, "https://id.example") is not None, "it was used meanwhile"
    await sessions.close(token)
    assert await sessions.visitor(token, "https://id.example") is None


async def test_the_database_knows_neither(sessions: Sessions, database: Database) -> None:
    secrets = [await sessions.ticket("ada"), await sessions.open("ada", (), "link")]
    rows = [await database.fetch_all(f"SELECT * FROM console_{table}") for table in ("tickets", "sessions")]
    assert not [each for each in secrets if each.reveal() in str(rows)]
