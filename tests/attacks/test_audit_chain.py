"""Whoever writes to the database cannot change what was recorded unseen, and no death of a process loses a call."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clew.core.audit import Record
from clew.core.audit_chain import STEPS, append, link, verify
from clew.core.audit_log import AuditLog, read_anchor, take_in
from clew.core.audit_reading import Filter, after
from clew.core.database import Database, open_database

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
async def chain(address: str, folder: Path) -> AsyncIterator[Database]:
    database = await open_database(address)
    async with AuditLog.open(database, folder) as kept:
        for number in range(6):
            kept(Record(f"ref{number}", "acme", "send", "write", "work", "local", 1000.0 + number))
    yield database
    await database.close()


async def faults(chain: Database, folder: Path) -> str:
    return "; ".join((await verify(chain, read_anchor(folder))).faults)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_records SET body = REPLACE(body, 'write', 'read') WHERE number = 3",
        "UPDATE audit_records SET tool = 'read' WHERE number = 3",
        "UPDATE audit_records SET number = 99 WHERE number = 3",
        "UPDATE audit_records SET hash = (SELECT h.hash FROM audit_head h) WHERE number = 3",
        "DELETE FROM audit_records WHERE number = 3",
        "DELETE FROM audit_records WHERE number = 1",
        "DELETE FROM audit_records WHERE number = 6",
        "DELETE FROM audit_records",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET number = 5, hash = (SELECT r.hash FROM audit_records r WHERE r.number = 5)",
        "UPDATE audit_head SET floor = 2, floor_hash = (SELECT r.hash FROM audit_records r WHERE r.number = 2)",
    ],
)
async def test_a_statement_that_changes_the_past_is_seen(chain: Database, folder: Path, attack: str) -> None:
    assert await faults(chain, folder) == ""
    assert await chain.execute(attack) >= 1
    assert await faults(chain, folder) != ""


async def test_two_records_that_change_places_are_seen(chain: Database, folder: Path) -> None:
    for old, new in ((2, 100), (3, 2), (100, 3)):
        await chain.execute("UPDATE audit_records SET number = ? WHERE number = ?", new, old)
    assert "record 2 was changed" in await faults(chain, folder)


async def test_a_chain_that_is_cut_at_its_end_is_seen_by_the_machine_that_wrote_it(
    chain: Database, folder: Path
) -> None:
    await chain.execute("DELETE FROM audit_records WHERE number > 4")
    await chain.execute("UPDATE audit_head SET number = 4, hash = (SELECT hash FROM audit_records WHERE number = 4)")
    assert (await verify(chain)).faults == (), "nothing in the database itself can tell"
    assert "this machine wrote up to record 6" in await faults(chain, folder)


async def test_a_chain_written_anew_from_the_start_is_seen_by_the_machine_that_wrote_it(
    chain: Database, folder: Path
) -> None:
    bodies = [str(row[0]) for row in await chain.fetch_all("SELECT body FROM audit_records ORDER BY number")]
    for table in ("audit_records", "audit_head"):
        await chain.execute(f"DELETE FROM {table}")
    async with chain.transaction() as tx:
        await append(tx, [body.replace("send", "read") for body in bodies])
    assert (await verify(chain)).faults == ()
    assert "record 6 is not the one that this machine wrote" in await faults(chain, folder)


async def test_a_record_slipped_in_is_seen(chain: Database, folder: Path) -> None:
    body = Record("forged", "acme", "send", "write", "work", "local", 1.0).as_json()
    await chain.execute(
        "INSERT INTO audit_records (number, reference, started, connector, tool, code, body, hash) "
        "VALUES (7, 'forged', 1.0, 'acme', 'send', 'ok', ?, ?)",
        body,
        link("not the head", 7, body),
    )
    async with AuditLog.open(chain, folder) as kept:
        kept(Record("honest", "acme", "send", "write", "work", "local", 2.0))
    assert await faults(chain, folder) != ""


WORKER = """
import asyncio, sys
from pathlib import Path
from clew.core.audit import Record
from clew.core.audit_log import AuditLog
from clew.core.database import open_database

async def main(address, folder, name):
    database = await open_database(address)
    async with AuditLog.open(database, Path(folder)) as kept:
        number = 0
        while True:
            record = Record(f"{name}-{number}", "acme", "send", "write", "work", "local", 1000.0 + number)
            kept.begin(record)
            kept(record)
            print(number, flush=True)   # the call is answered: from here on its record must not be lost
            number += 1
            await asyncio.sleep(0)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_calls_answered_before_kill_minus_nine_are_all_in_one_chain(address: str, folder: Path) -> None:
    database = await open_database(address)
    await database.migrate("audit", STEPS)
    answered: dict[str, int] = {}
    for wave in range(2):
        workers = {
            name: await asyncio.create_subprocess_exec(
                sys.executable, "-c", WORKER, address, str(folder), name, stdout=subprocess.PIPE
            )
            for name in (f"a{wave}", f"b{wave}")
        }
        for name, worker in workers.items():
            assert worker.stdout is not None
            for _ in range(150 + 80 * wave):
                answered[name] = int(await worker.stdout.readline())
            worker.send_signal(signal.SIGKILL)
            rest = (await worker.stdout.read()).split()
            answered[name] = max(answered[name], *(int(each) for each in rest[:-1] or [b"0"]))
            await worker.wait()
    await take_in(database, folder)
    seen = {record["reference"] async for record in after(database, Filter())}
    for name, count in answered.items():
        assert {f"{name}-{number}" for number in range(count + 1)} <= seen
    assert (await verify(database, read_anchor(folder))).faults == ()
    await database.close()
