"""Rates of the policy's rules: one count for all who share a database."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from clew.core.database import Database, open_database
from clew.core.rates import OwnRates, Rates, SharedRates, open_rates

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
NOW = 1_700_000_000.0


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture(params=["own", "shared"])
async def rates(request: pytest.FixtureRequest, database: Database) -> Rates:
    return OwnRates() if request.param == "own" else await open_rates(database)


async def test_a_rate_is_counted_by_rule_and_owner_and_forgotten(rates: Rates) -> None:
    async def meet(rule: str, whose: str, after: float) -> int:
        return await rates.meet(rule, whose, seconds=60, now=NOW + after)

    assert [await meet("often", "a", each) for each in (0, 10, 20)] == [1, 2, 3]
    assert await meet("often", "b", 20) == 1
    assert await meet("rare", "a", 20) == 1
    assert await meet("often", "a", 65) == 3, "the first is too old by now"
    assert await meet("often", "a", 200) == 1


async def test_what_a_clock_that_was_set_back_left_is_not_counted(database: Database) -> None:
    rates = await open_rates(database)
    await rates.meet("often", "a", seconds=60, now=NOW + 86400)
    assert await rates.meet("often", "a", seconds=60, now=NOW) == 1


async def test_callers_at_once_each_see_another_number(database: Database, address: str) -> None:
    other = await open_database(address)
    both = [await open_rates(database), await open_rates(other)]
    counts = await asyncio.gather(*(both[n % 2].meet("often", "a", seconds=60, now=NOW) for n in range(20)))
    await other.close()
    assert sorted(counts) == list(range(1, 21))


WORKER = """
import asyncio, sys
from clew.core.database import open_database
from clew.core.rates import open_rates

async def main(address):
    database = await open_database(address)
    rates = await open_rates(database)
    print(*[await rates.meet("often", "a", seconds=60, now=1_700_000_000.0) for _ in range(10)])
    await database.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_processes_share_the_count(database: Database, address: str) -> None:
    await open_rates(database)
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, address, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    counts = [int(each) for worker in workers for each in (await worker.communicate())[0].split()]
    assert sorted(counts) == list(range(1, 21))


async def test_a_rate_that_cannot_be_counted_lets_nothing_through(database: Database) -> None:
    await open_rates(database)
    await database.execute("DROP TABLE policy_met")
    with pytest.raises(Exception, match="policy_met"):
        await SharedRates(database).meet("often", "a", seconds=60, now=NOW)
