"""Whatever somebody does to the chain in the database, `verify` says what is wrong and where."""

from collections.abc import AsyncIterator

import pytest

from clew.core.audit import Record
from clew.core.audit_chain import STEPS, Link, append, verify
from clew.core.database import Database, open_database

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

DROP = "DELETE FROM audit_records WHERE number "
HEAD = "UPDATE audit_head SET "


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    """A chain of three records."""
    opened = await open_database(address)
    await opened.migrate("audit", STEPS)
    async with opened.transaction() as tx:
        made = [Record(name, "acme", "get_note", "read", "work", "local", 1000.0) for name in "abc"]
        await append(tx, [each.as_json() for each in made])
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ([f"{DROP}= 2"], ["1 records before number 3 are missing"]),
        ([f"{DROP}= 3"], ["the chain ends at record 2, and its head says 3"]),
        (
            ["UPDATE audit_records SET body = REPLACE(body, 'work', 'home') WHERE number = 2"],
            ["record 2 was changed, or is not the one that stood here"],
        ),
        (["UPDATE audit_records SET tool = 'other' WHERE number = 2"], ["record 2 does not say what its index says"]),
        (
            ["UPDATE audit_records SET body = 'no record' WHERE number = 2"],
            ["record 2 was changed, or is not the one that stood here", "record 2 does not say what its index says"],
        ),
        (
            [f"{HEAD}number = 2, hash = (SELECT hash FROM audit_records WHERE number = 2)"],
            ["there is a record 3 behind the head of the chain, which is 2"],
        ),
        (
            [f"{HEAD}floor = 1, floor_hash = (SELECT hash FROM audit_records WHERE number = 1)", f"{DROP}= 1"],
            ["records up to 1 are gone, and no record of retention says so"],
        ),
        (["DELETE FROM audit_head"], ["the head of the chain is missing"]),
    ],
)
async def test_every_change_is_found_and_named(database: Database, changes: list[str], faults: list[str]) -> None:
    assert (await verify(database)).faults == ()
    for each in changes:
        await database.execute(each)
    assert list((await verify(database)).faults) == faults


async def test_a_chain_written_anew_is_not_the_one_that_this_machine_remembers(database: Database) -> None:
    whole = await verify(database)
    assert (await verify(database, [whole.head])).faults == ()
    other = await verify(database, [Link(2, "0" * 64)])
    assert other.faults == ("record 2 is not the one that this machine wrote",)
    cut = await verify(database, [Link(9, "0" * 64)])
    assert cut.faults == ("this machine wrote up to record 9, and the chain ends at 3",)


async def test_a_database_that_was_emptied_is_not_taken_for_a_new_one(database: Database) -> None:
    whole = await verify(database)
    await database.execute("DELETE FROM audit_records")
    await database.execute("DELETE FROM audit_head")
    assert (await verify(database)).faults == ()
    assert (await verify(database, [whole.head])).faults == ("the head of the chain is missing",)
