"""PostgreSQL ends every connection again and again, as at a restart, while writes go on: none is lost or done twice."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from tests.core.writes import PaddedSealer, Writer, make_connector
from tests.loopback import Serve

from clew.core.database import open_database
from clew.core.errors import CallError, Outcome
from clew.core.journal import State, open_journal

pytestmark = pytest.mark.anyio

CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'clew' AND datname = "


async def test_writes_go_on_through_lost_connections(
    postgres_address: str, postgres_database: str, serve: Serve, reply: Callable[..., bytes]
) -> None:
    url, requests = await serve(reply(201, {"id": 7}))
    database = await open_database(postgres_address)
    journal = await open_journal(database, PaddedSealer())
    ending = asyncio.Event()

    async def cut() -> int:
        cuts = 0
        async with await psycopg.AsyncConnection.connect(postgres_database, autocommit=True) as admin:
            while not ending.is_set():
                cursor = await admin.execute(f"{CUT}current_database()".encode())
                cuts += (await cursor.fetchone() or (0,))[0]
                await asyncio.sleep(0.3)  # how often the server goes away
        return cuts

    async with httpx.AsyncClient(trust_env=False) as client:
        writer = Writer(client, journal, make_connector())

        async def write(number: int) -> None:
            for _ in range(20):
                try:
                    await writer.call(url, "add_plain", {"text": f"n{number};", "request_id": f"{number}"})
                    return
                except CallError as error:
                    if error.outcome is not Outcome.NOT_APPLIED:
                        raise
            raise AssertionError(f"write {number} never came through")

        async def some(first: int) -> None:
            for number in range(first, 40, 4):
                await write(number)

        cutting = asyncio.ensure_future(cut())
        await asyncio.gather(*(some(first) for first in range(4)))
        ending.set()
        assert await cutting > 0
    sent: Counter[Any] = Counter(request.rpartition(b'"text":"')[2].split(b";")[0] for request in requests)
    assert sorted(sent.values()) == [1] * 40
    rows = await journal.rows()
    assert len(rows) == 40
    assert {row.state for row in rows} <= {State.APPLIED, State.SENT}
    journal.presence.leave()
    await database.close()
