"""Deliveries with duplicates, receivers that are killed, a database that restarts: once by effect, and none lost."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from tests.attacks.delivering import Fleet, OwnPostgres, Sender, percentile, prepare

from clew.core.database import Database, open_database

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


async def attack(home: Path, database: str, *, events: int, processes: int, restarts: OwnPostgres | None = None) -> str:
    """Send so many deliveries, 30 % of them duplicates, while one process is killed every second."""
    secret = await prepare(home, database)
    unique = round(events * 0.7)
    numbers = [*range(unique), *random.choices(range(unique), k=events - unique)]
    random.shuffle(numbers)
    with Fleet(home, database, processes) as fleet:
        sender, started = Sender(fleet.port, secret), time.monotonic()
        sending = asyncio.create_task(sender.send(numbers))
        while not sending.done():
            await asyncio.wait([sending], timeout=1.0)
            if not sending.done():
                await asyncio.to_thread(fleet.kill_one)
            if restarts is not None and len(sender.acknowledged) > events / 2:
                await asyncio.to_thread(restarts.restart)
                restarts = None
        await sending
        seconds = time.monotonic() - started
        assert restarts is None
        store = await open_database(database)
        try:
            await processed(store, unique)
            await judge(store, sender, unique, events)
        finally:
            await store.close()
    return (
        f"{events} deliveries of {unique} events in {seconds:.0f} s ({events / seconds:.0f}/s), "
        f"{fleet.killed} processes killed, {sender.repeats} sent again after no answer or 5xx, "
        f"ack p50 {percentile(sender.seconds, 0.5) * 1e3:.0f} ms, p99 {percentile(sender.seconds, 0.99) * 1e3:.0f} ms"
    )


async def processed(store: Database, unique: int) -> None:
    """Wait until nothing is pending."""
    async with asyncio.timeout(60):
        while await store.fetch_one("SELECT 1 FROM inbox_events WHERE status = 'pending'"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def judge(store: Database, sender: Sender, unique: int, events: int) -> None:
    assert len(sender.acknowledged) == events
    effects = {str(event): times for event, times in await store.fetch_all("SELECT event, times FROM effects")}
    lost = [number for number in set(sender.acknowledged) if str(number) not in effects]
    twice = {event: times for event, times in effects.items() if times != 1}
    dead = await store.fetch_all("SELECT seq, trouble FROM inbox_events WHERE status = 'dead'")
    broken = await store.fetch_one("SELECT SUM(broken) FROM turns")
    assert (lost, twice, dead, broken, len(effects)) == ([], {}, [], (0,), unique)


async def test_every_event_has_its_effect_once_while_receivers_are_killed(tmp_path: Path, address: str) -> None:
    print(await attack(tmp_path / "home", address, events=1500, processes=2))


@pytest.mark.slow
async def test_twenty_thousand_deliveries_on_sqlite(tmp_path: Path) -> None:
    print(await attack(tmp_path / "home", str(tmp_path / "home" / "clew.db"), events=20_000, processes=4))


@pytest.mark.slow
async def test_twenty_thousand_deliveries_on_a_postgresql_that_restarts(tmp_path: Path) -> None:
    programs = OwnPostgres.programs()
    if programs is None:
        pytest.skip("no PostgreSQL programs on this machine")
    with OwnPostgres(programs) as server:
        print(await attack(tmp_path / "home", server.address, events=20_000, processes=4, restarts=server))
