"""PostgreSQL is restarted, or crashes, while sixteen processes write: one write, sixteen equal answers."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.own_postgres import OwnPostgres, own_postgres, programs
from tests.attacks.writes_attack import acme_process, control
from tests.attacks.writing import fork_call

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[OwnPostgres]:
    found = programs()
    if found is None:
        pytest.skip("no initdb on this machine")
    with own_postgres(found) as running:
        yield running


@pytest.fixture
def url() -> Iterator[str]:
    with acme_process() as address:
        yield address


def done(url: str, resource: str) -> int:
    return sum(each["resource"] == resource for each in control(url, "/state", method="GET")["commits"])


def until(condition: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_sixteen_processes_with_one_key_through_a_restart(
    url: str, server: OwnPostgres, tmp_path: Path, mode: str
) -> None:
    """The write is at the provider when the journal goes away: nobody can look at it, or write its end."""
    fork_call(url, server.address, tmp_path, "send", {"subject": "first", "request_id": "zero"}).wait()
    control(url, "/faults", {"fault": "slow", "seconds": None, "method": "POST", "path": "/api/messages"})
    given = {"subject": "once", "request_id": "one"}
    callers = [fork_call(url, server.address, tmp_path, "send", given, seconds=60) for _ in range(16)]
    until(lambda: done(url, "message") == 2)
    server.restart(mode)
    control(url, "/faults", method="DELETE")
    answers = [caller.wait() for caller in callers]
    assert all(answer == answers[0] for answer in answers), answers
    assert answers[0] is not None
    assert answers[0]["ok"]["status"] == "accepted"
    assert done(url, "message") == 2


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_sixteen_processes_with_their_own_keys_through_restarts(
    url: str, server: OwnPostgres, tmp_path: Path, mode: str
) -> None:
    """Wave after wave while the server goes away again and again; who was refused calls again with its key."""
    fork_call(url, server.address, tmp_path, "pay", {"reference": "first", "request_id": "zero"}).wait()
    for wave in range(3):
        given = [{"reference": f"{wave}-{number}", "request_id": f"{wave}-{number}"} for number in range(16)]
        callers = [fork_call(url, server.address, tmp_path, "pay", each, seconds=60) for each in given]
        server.restart(mode)
        said = [caller.wait() for caller in callers]
        for number, each in enumerate(given):
            for _ in range(5):
                answer = said[number]
                if answer is not None and "ok" in answer:
                    break
                said[number] = fork_call(url, server.address, tmp_path, "pay", each, seconds=60).wait()
        assert all(answer is not None and "ok" in answer for answer in said), said
    assert done(url, "payment") == 1 + 3 * 16
