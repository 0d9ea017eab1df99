"""One holder at a time, told apart by fencing numbers."""

import asyncio

import pytest

from clew.auth.leases import Leases, lease_name, open_leases
from clew.core.connection import Connection
from clew.core.database import Database, open_database

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


async def test_only_one_of_many_gets_the_lease(leases: Leases) -> None:
    got = await asyncio.gather(*(leases.acquire("x", seconds=60) for _ in range(20)))
    assert sum(lease is not None for lease in got) == 1


async def test_two_openers_of_one_store_exclude_each_other(address: str, leases: Leases) -> None:
    database = await open_database(address)
    others = await open_leases(database)
    mine = await leases.acquire("x", seconds=60)
    assert mine is not None
    assert await others.acquire("x", seconds=60) is None
    await leases.release(mine)
    theirs = await others.acquire("x", seconds=60)
    assert theirs is not None
    assert theirs.fence > mine.fence
    await database.close()


async def test_an_ended_lease_is_taken_over_with_a_higher_fence_and_cannot_be_given_back(leases: Leases) -> None:
    late = await leases.acquire("x", seconds=0)
    assert late is not None
    assert await leases.left(late) == 0
    taken = await leases.acquire("x", seconds=60)
    assert taken is not None
    assert taken.fence == late.fence + 1
    assert 59 < await leases.left(taken) <= 60
    await leases.release(late)
    assert await leases.acquire("x", seconds=60) is None


async def test_an_end_from_before_a_restart_of_the_machine_does_not_count(leases: Leases, database: Database) -> None:
    await leases.acquire("x", seconds=60)
    await database.execute("UPDATE leases SET ends = ends + 86400")
    assert await leases.acquire("x", seconds=60) is not None


def test_names_of_different_connections_differ() -> None:
    assert lease_name("refresh", Connection("a", "b,c", "d")) != lease_name("refresh", Connection("a,b", "c", "d"))


async def test_a_lease_is_not_taken_by_who_had_to_wait_for_the_lock(
    address: str, leases: Leases, database: Database
) -> None:
    """What they saw before they waited is older than the lease that was taken meanwhile."""
    other = await open_database(address)
    for _ in range(20):
        got = await asyncio.gather(*(Leases(each).acquire("x", seconds=60) for each in (database, other) * 5))
        (mine,) = [lease for lease in got if lease is not None]
        await leases.release(mine)
    await other.close()
