# ruff: noqa: ASYNC110, ASYNC240
"""Records are durable, in one chain, whoever writes and whoever dies."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clew.core import audit_log, audit_spool
from clew.core.audit import Record
from clew.core.audit_chain import ORIGIN, STEPS, Link, append, link, prune, rows, verify
from clew.core.audit_log import ANCHOR, AuditLog, read_anchor, take_in
from clew.core.audit_reading import Filter, after, find, last
from clew.core.database import Database, open_database

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


def record(reference: str, started: float = 1000.0, **facts: Any) -> Record:
    made = Record(
        reference, "acme", facts.pop("tool", "get_note"), facts.pop("effect", "read"), "work", "local", started
    )
    for name, value in facts.items():
        setattr(made, name, value)
    return made


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    await opened.migrate("audit", STEPS)
    yield opened
    await opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


async def references(database: Database) -> list[str]:
    return [str(row[1]) async for row in rows(database, 0)]


async def put(database: Database, *made: Record, again: bool = False) -> Link:
    async with database.transaction() as tx:
        return await append(tx, [each.as_json() for each in made], again=again)


async def test_records_are_linked_in_order_and_the_chain_holds(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        for name in "abc":
            kept.begin(record(name))
            kept(record(name))
        assert await kept.flush()
    assert await references(database) == ["a", "b", "c"]
    verdict = await verify(database, read_anchor(folder))
    assert (verdict.records, verdict.head.number, verdict.faults) == (3, 3, ())
    body = await find(database, "a") or {}
    assert body["hash"] == link(ORIGIN, 1, record("a").as_json())
    assert list(folder.glob("*.spool")) == []


async def test_the_writer_links_what_comes_in_by_itself(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept(record("a"))
        async with asyncio.timeout(10):
            while await find(database, "a") is None:
                await asyncio.sleep(0.01)


async def test_two_writers_make_one_chain(database: Database, address: str, folder: Path) -> None:
    other = await open_database(address)
    async with AuditLog.open(database, folder) as first, AuditLog.open(other, folder) as second:
        for number in range(40):
            first(record(f"a{number}"))
            second(record(f"b{number}"))
            await asyncio.gather(first.flush(), second.flush())
    verdict = await verify(database, read_anchor(folder))
    assert (verdict.records, verdict.faults) == (80, ())
    await other.close()


async def test_a_call_that_never_ended_is_on_record_when_its_process_is_gone(database: Database, folder: Path) -> None:
    dead = audit_spool.Spool.open(folder)
    dead.begin(record("r").as_json())
    dead.begin(record("w", effect="write").as_json())
    dead.begin(record("done").as_json())
    dead.end(record("done").as_json())
    os.write(dead._file, b'{"reference":"torn","conn')  # pyright: ignore[reportPrivateUsage]
    dead.close(keep=True)
    assert await take_in(database, folder) == 3
    assert await references(database) == ["done", "r", "w"]
    cut = {name: await find(database, name) or {} for name in "rw"}
    assert {name: (each["code"], each["outcome"]) for name, each in cut.items()} == {
        "r": ("crashed", "not_applied"), "w": ("crashed", "unknown"),
    }  # fmt: skip
    assert await take_in(database, folder) == 0


async def test_the_spool_of_a_living_process_is_left_alone(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("a"))
        assert await take_in(database, folder) == 0
        kept(record("a"))
    assert await references(database) == ["a"]


async def test_one_process_adopts_at_a_time(folder: Path) -> None:
    folder.mkdir()
    with audit_spool.left_behind(folder) as mine, audit_spool.left_behind(folder) as theirs:
        assert (mine, theirs) == ([], [])


async def test_a_record_that_was_linked_before_the_crash_is_not_linked_twice(database: Database, folder: Path) -> None:
    dead = audit_spool.Spool.open(folder)
    dead.end(record("a").as_json())
    await put(database, record("a"))
    dead.close(keep=True)
    assert await take_in(database, folder) == 1
    assert await references(database) == ["a"]


async def test_without_a_folder_there_is_nothing_to_take_in(database: Database, tmp_path: Path) -> None:
    assert await take_in(database, tmp_path / "none") == 0
    assert read_anchor(tmp_path / "none") == []


async def test_what_the_database_does_not_take_waits_in_the_spool(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AuditLog.open(database, folder) as kept:
        await database.execute("ALTER TABLE audit_records RENAME TO elsewhere")
        kept(record("a"))
        assert not await kept.flush()
        assert not await kept.flush()
    assert caplog.text.count("the database does not take them") == 1
    assert len(list(folder.glob("*.spool"))) == 1
    await database.execute("ALTER TABLE elsewhere RENAME TO audit_records")
    assert await take_in(database, folder) == 1
    assert await references(database) == ["a"]


async def test_the_writer_tries_again(database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "AGAIN_SECONDS", 0.01)
    async with AuditLog.open(database, folder) as kept:
        await database.execute("ALTER TABLE audit_records RENAME TO elsewhere")
        kept(record("a"))
        async with asyncio.timeout(10):
            while not kept.failing:
                await asyncio.sleep(0.01)
            await database.execute("ALTER TABLE elsewhere RENAME TO audit_records")
            while await find(database, "a") is None:
                await asyncio.sleep(0.01)


async def test_adoption_that_fails_leaves_the_spool(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = audit_spool.Spool.open(folder)
    dead.end(record("a").as_json())
    dead.close(keep=True)
    kept = AuditLog(database, folder)
    await database.execute("ALTER TABLE audit_records RENAME TO elsewhere")
    assert await kept.adopt() == 0
    assert "cannot be taken over" in caplog.text
    assert len(list(folder.glob("*.spool"))) == 1
    await database.execute("ALTER TABLE elsewhere RENAME TO audit_records")


async def test_what_does_not_fit_into_memory_is_linked_from_the_spool(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_WAITING", 2)
    async with AuditLog.open(database, folder) as kept:
        for name in "abcd":
            kept(record(name))
        assert await kept.flush()
        assert await references(database) == ["a", "b", "c", "d"]
        for name in "efgh":
            kept(record(name))
        next(folder.glob("*.spool")).unlink()
        assert not await kept.flush()
    assert (await verify(database)).faults == ()


async def test_a_catch_up_that_fails_is_tried_again(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_WAITING", 0)
    async with AuditLog.open(database, folder) as kept:
        kept(record("a"))
        await database.execute("ALTER TABLE audit_records RENAME TO elsewhere")
        assert not await kept.flush()
        await database.execute("ALTER TABLE elsewhere RENAME TO audit_records")
    assert await references(database) == ["a"]


async def test_a_write_that_begins_and_ends_after_the_log_was_closed_breaks_no_call(
    database: Database, folder: Path
) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept(record("a"))
    kept.begin(record("late", effect="write"))
    kept(record("late", effect="write"))
    assert await references(database) == ["a"]


async def test_a_spool_that_has_grown_is_started_anew_with_the_calls_under_way(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_ROTATE_BYTES", 0)
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("long", effect="write"))
        kept(record("short"))
        (first,) = folder.glob("*.spool")
        await kept.flush()
        (second,) = folder.glob("*.spool")
        assert first != second
        assert second.read_text() == f'{{"begun":{record("long", effect="write").as_json()}}}\n'
    assert await take_in(database, folder) == 1
    assert (await find(database, "long") or {})["code"] == "crashed"


async def test_records_that_come_while_the_batch_is_written_stay_in_the_spool(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("under way", effect="write"))
        kept(record("a"))
        await kept.flush()
        assert next(folder.glob("*.spool")).stat().st_size > 0
        kept(record("under way"))
    assert await references(database) == ["a", "under way"]


async def test_a_read_says_that_it_began_only_when_it_takes_long(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("short"))
        kept.begin(record("long"))
        kept(record("short"))
        spool = next(folder.glob("*.spool"))
        assert "begun" not in spool.read_text()
        async with asyncio.timeout(10):
            while "begun" not in spool.read_text():
                await asyncio.sleep(0.01)
        assert json.loads(spool.read_text().splitlines()[-1])["begun"]["reference"] == "long"
    await take_in(database, folder)
    crashed = await find(database, "long") or {}
    assert (crashed["code"], crashed["outcome"]) == ("crashed", "not_applied")


async def test_a_write_says_that_it_began_before_anything_else_happens(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("w", effect="write"))
        assert json.loads(next(folder.glob("*.spool")).read_text())["begun"]["reference"] == "w"
        kept(record("w", effect="write"))


async def test_two_that_flush_at_once_link_each_record_once(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        for number in range(250):
            kept(record(f"r{number}"))
        assert await asyncio.gather(*(kept.flush() for _ in range(5))) == [True] * 5
        assert not kept.failing
    assert len(await references(database)) == 250
    assert (await verify(database, read_anchor(folder))).faults == ()


async def test_a_record_that_is_taken_over_twice_is_linked_once(database: Database) -> None:
    await put(database, record("a"))
    await put(database, record("a"), record("b"), record("b", 2000.0), again=True)
    assert await references(database) == ["a", "b"]
    assert (await verify(database)).faults == ()


async def test_without_a_place_for_the_spool_records_still_reach_the_chain(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    async with AuditLog.open(database, tmp_path / "audit") as kept:
        kept.begin(record("a"))
        kept(record("a"))
        monkeypatch.setattr(audit_log, "_WAITING", 0)
        kept(record("b"))
    assert await references(database) == ["a"]
    assert "cannot be spooled" in caplog.text


async def test_a_spool_that_cannot_be_written_fails_no_call(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AuditLog.open(database, folder) as kept:
        spool = kept.spool
        assert spool is not None
        mine, full = spool._file, os.open("/dev/full", os.O_WRONLY)  # pyright: ignore[reportPrivateUsage]
        spool._file = full  # pyright: ignore[reportPrivateUsage]
        kept(record("a"))
        spool._file = mine  # pyright: ignore[reportPrivateUsage]
        os.close(full)
    assert "cannot be spooled" in caplog.text
    assert await references(database) == ["a"]


async def test_an_anchor_that_cannot_be_kept_is_said(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / ANCHOR).mkdir(parents=True)
    async with AuditLog.open(database, folder) as kept:
        kept(record("a"))
    assert "the anchor of the chain cannot be kept" in caplog.text


async def test_retention_removes_the_old_and_says_so_in_the_chain(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        assert await kept.retain(100) == 0
        kept(record("old", 1.0))
        kept(record("older", 0.5))
        await kept.flush()
        assert await kept.retain(100) == 2
        assert await kept.retain(100) == 0
        kept(record("new", 1e12))
    assert [each for each in await references(database) if len(each) < 9] == ["new"]
    verdict = await verify(database, read_anchor(folder))
    assert (verdict.faults, verdict.head.number) == ((), 4)
    assert await prune(database, 2e12, record("p", 3e12).as_dict() | {"tool": "retention", "connector": "clew"}) == 2
    assert (await verify(database)).faults == ()


async def test_records_are_found_by_time_tool_and_fate(database: Database) -> None:
    await put(
        database,
        record("a", 1.0),
        record("b", 2.0, tool="send", code="denied"),
        record("c", 3.0, code="asked"),
        record("d", 4.0, code="transient"),
    )
    assert [each["reference"] for each in await last(database, Filter(), 3)] == ["b", "c", "d"]
    assert [each["reference"] for each in await last(database, Filter(since=2.0, failed=True), 9)] == ["b", "d"]
    assert [each["reference"] for each in await last(database, Filter(connector="acme", tool="send"), 9)] == ["b"]
    assert [each["reference"] async for each in after(database, Filter(), 2)] == ["c", "d"]
    assert await find(database, "none") is None


async def test_many_records_are_read_page_by_page(database: Database, folder: Path) -> None:
    async with AuditLog.open(database, folder) as kept:
        for number in range(1001):
            kept(record(str(number)))
    assert len([each async for each in after(database, Filter())]) == 1001
    assert (await verify(database, read_anchor(folder))).records == 1001


async def test_a_record_that_somebody_made_unreadable_says_so(database: Database) -> None:
    await put(database, record("a"))
    await database.execute("UPDATE audit_records SET body = 'x'")
    assert (await find(database, "a") or {})["code"] == "damaged"


async def test_an_empty_audit_holds(database: Database) -> None:
    assert (await verify(database)).faults == ()


async def test_every_break_is_counted_but_not_without_end(database: Database) -> None:
    await put(database, *(record(str(number)) for number in range(60)))
    await database.execute("UPDATE audit_records SET hash = 'x'")
    assert 20 <= len((await verify(database)).faults) <= 22


async def test_a_log_line_is_written_for_every_record(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "clew.audit"):
        async with AuditLog.open(database, folder) as kept:
            kept(record("a"))
    assert json.loads(caplog.messages[0])["reference"] == "a"


async def test_a_spool_that_cannot_be_started_anew_is_kept_in_use(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_log, "_ROTATE_BYTES", 0)
    async with AuditLog.open(database, folder) as kept:
        kept.begin(record("long", effect="write"))
        kept(record("short"))
        former = kept.spool
        folder.rename(folder.with_name("away"))
        folder.write_text("a file where the folder was")
        assert await kept.flush()
        assert kept.spool is former
        assert "cannot be spooled" in caplog.text
        folder.unlink()
        folder.with_name("away").rename(folder)
        kept(record("long"))
    assert await references(database) == ["short", "long"]
    assert list(folder.glob("*.spool")) == []


async def test_a_spool_that_goes_while_it_is_looked_for_is_no_fault(folder: Path) -> None:
    folder.mkdir()
    (folder / "1-gone.spool").symlink_to(folder / "nothing")  # listed, and not there any more when it is opened
    dead = audit_spool.Spool.open(folder)
    dead.end(record("a").as_json())
    dead.close(keep=True)
    with audit_spool.left_behind(folder) as bodies:
        assert [json.loads(each)["reference"] for each in bodies] == ["a"]
