# pyright: reportPrivateUsage=false
"""Writes happen once: killed callers, lost answers, many processes with one key, a store that goes away or is full."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.attacks.writes_attack import acme_process, attack, control
from tests.attacks.writing import CONNECTION, STRATEGIES, Token, acme, fork_call, open_store

from clew.core.errors import CallError, Outcome, OutcomeUnknownError, TransientError
from clew.core.journal import State

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with acme_process() as address:
        yield address


@pytest.fixture(autouse=True)
def fresh(url: str) -> None:
    control(url, "/reset", {"keep_tokens": True})


def done(url: str, resource: str, action: str = "create") -> int:
    commits = control(url, "/state", method="GET")["commits"]
    return sum((each["resource"], each["action"]) == (resource, action) for each in commits)


def check(tallies: list[Any]) -> None:
    for tally in tallies:
        assert (tally.duplicates, tally.lost, tally.strange) == (0, 0, []), tally
    assert sum(tally.ends["applied"] for tally in tallies) > 0


def test_killed_callers_and_lost_answers_never_write_twice() -> None:
    check(attack(2, 1, [each.name for each in STRATEGIES if each.name != "look"], seed=2))


@pytest.mark.slow
def test_killed_callers_and_lost_answers_never_write_twice_in_many_runs() -> None:
    check(attack(100, 2, [each.name for each in STRATEGIES], seed=40))


def test_sixteen_processes_with_one_key_make_one_write(url: str, tmp_path: Path) -> None:
    control(url, "/faults", {"fault": "slow", "seconds": 0.3, "method": "POST", "path": "/api/messages"})
    given = {"subject": "once", "request_id": "one"}
    callers = [fork_call(url, str(tmp_path / "clew.db"), tmp_path, "send", given) for _ in range(16)]
    answers = [caller.wait() for caller in callers]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0] is not None
    assert answers[0]["ok"]["status"] == "accepted"
    assert done(url, "message") == 1


async def test_a_full_disk_refuses_the_write_before_it_is_sent(url: str, tmp_path: Path) -> None:
    database, journal = await open_store(str(tmp_path / "clew.db"), tmp_path)
    await _send(url, journal, subject="first")
    async with database.transaction() as tx:
        await tx.fetch_one("PRAGMA max_page_count = 1")
    before = control(url, "/state", method="GET")["requests"]
    error = await _failed(url, journal, subject="x" * 9000)
    assert (error.code, error.outcome) == ("internal", Outcome.NOT_APPLIED)
    assert "is full; nothing was written" in error.message
    assert control(url, "/state", method="GET")["requests"] == before
    await database.close()


async def test_a_process_that_slept_past_its_lease_does_not_send(url: str, tmp_path: Path) -> None:
    """Its lease runs out while it waits; somebody else takes the row, and the late request stays at home."""
    database, journal = await open_store(str(tmp_path / "clew.db"), tmp_path)
    from clew.core.deadline import Deadline
    from clew.core.journal import Wanted
    from clew.core.writing import Writing

    wanted = Wanted(CONNECTION, "send", {"subject": "late"}, "one", 600.0)
    writing = Writing(journal=journal, wanted=wanted, deadline=Deadline.after(5))
    await writing.depart(safe=True)
    await database.execute("UPDATE writes SET lease_ends = 0")
    with pytest.raises(TransientError, match="nothing was sent"):
        await writing.depart(safe=False)
    writing._ends = (time.monotonic() - 1, time.time() - 1)
    with pytest.raises(TransientError, match="nothing was sent"):
        writing.guard()
    writing._let_go()
    await database.close()


def test_a_killed_process_leaves_what_is_known_and_its_row_is_free_at_once(url: str, tmp_path: Path) -> None:
    store = str(tmp_path / "clew.db")
    control(url, "/faults", {"fault": "slow", "seconds": 5, "method": "POST", "path": "/api/messages"})
    arguments = {"subject": "killed", "request_id": "one"}
    caller = fork_call(url, store, tmp_path, "send", arguments)
    _until(lambda: done(url, "message") == 1)
    assert caller.kill_after(0)
    caller.wait()
    control(url, "/faults", method="DELETE")
    started = time.monotonic()
    said = fork_call(url, store, tmp_path, "send", arguments).wait()
    assert said is not None
    assert said["error"]["code"] == "outcome_unknown"
    assert time.monotonic() - started < 5
    assert done(url, "message") == 1


def test_a_cancelled_call_is_written_down(url: str, tmp_path: Path) -> None:
    import asyncio

    def arrived() -> int:
        """Only then has it left for certain."""
        requests: dict[str, int] = control(url, "/state", method="GET")["requests"]
        return requests.get("POST /api/messages", 0)

    async def cut_off() -> State:
        database, journal = await open_store(str(tmp_path / "clew.db"), tmp_path)
        task = asyncio.ensure_future(_send(url, journal, subject="cut"))
        while not await asyncio.to_thread(arrived):
            pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (row,) = await journal.rows()
        await database.close()
        return row.state

    control(url, "/faults", {"fault": "slow", "seconds": 2, "method": "POST", "path": "/api/messages"})
    assert asyncio.run(cut_off()) is State.UNKNOWN


async def test_the_providers_key_is_honoured_as_stripe_does(url: str, tmp_path: Path) -> None:
    """An answer under the key is given again, also a refusal; a key that is too old is not used."""
    database, journal = await open_store(str(tmp_path / "clew.db"), tmp_path)
    control(url, "/faults", {"fault": "drop_after_commit", "method": "POST", "path": "/api/payments", "times": 3})
    with pytest.raises(OutcomeUnknownError, match="may or may not"):
        await _call(url, journal, "pay", reference="a", request_id="one")
    assert done(url, "payment") == 1
    await database.execute("UPDATE writes SET sent_at = sent_at - 86400")
    with pytest.raises(OutcomeUnknownError, match="forgotten its key"):
        await _call(url, journal, "pay", reference="a", request_id="one")
    await database.execute("UPDATE writes SET sent_at = sent_at + 86400")
    paid = await _call(url, journal, "pay", reference="a", request_id="one")
    assert paid["status"] == "succeeded"
    assert done(url, "payment") == 1
    await database.close()


async def _call(url: str, journal: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    from clew.core.call import Call, Walk
    from clew.core.deadline import Deadline
    from clew.core.wire import Wire

    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        wire = Wire(acme, CONNECTION, Token(), client, base_url=url)
        made = Call(acme.tools[tool], arguments, CONNECTION, wire, Deadline.after(20))
        return await Walk(sink=lambda record: None, journal=journal)(made)


async def _send(url: str, journal: Any, subject: str) -> dict[str, Any]:
    return await _call(url, journal, "send", subject=subject)


async def _failed(url: str, journal: Any, subject: str) -> CallError:
    with pytest.raises(CallError) as caught:
        await _send(url, journal, subject)
    return caught.value


def _until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
