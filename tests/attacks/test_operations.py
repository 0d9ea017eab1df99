"""A workflow that was accepted is finished, once, whatever happens to the process that accepted it."""

import json
import random
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.raw_host import RawHost, clew

from clew.servers.sandbox import Sandbox

IN_ALL = [("payment", "create"), ("refund", "create"), ("message", "create"), ("comment", "create")]


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox) -> Path:
    (tmp_path / "clew.toml").write_text(f'deadline = 2\n[connectors.acme]\nbase_url = "{sandbox.url}"\n')
    home = tmp_path / "home"
    assert clew(home, "auth", "set", "acme", text=sandbox.pat).returncode == 0
    return home


def pay(sandbox: Sandbox, number: int = 0) -> dict[str, Any]:
    """The arguments of the refund of a new payment."""
    request = urllib.request.Request(
        f"{sandbox.url}/api/payments",
        json.dumps({"amount": 500, "currency": "EUR", "card": "4242"}).encode(),
        {
            "authorization": f"Bearer {sandbox.pat}",
            "acme-version": "2026-07-01",
            "content-type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        payment = json.load(answer)["id"]
    return {"payment_id": payment, "ticket_id": "tic_000001", "to": "ada@acme.example", "request_id": f"r{number}"}


def until(condition: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def end(host: RawHost, handle: str) -> dict[str, Any]:
    while True:
        said = host.call("get_operation", {"operation": handle})
        if said["state"] != "running":
            return said


def commits(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(each.resource, each.action) for each in sandbox.state.commits]


def test_killed_after_accepted_two_other_processes_finish_it_once(home: Path, sandbox: Sandbox) -> None:
    given = pay(sandbox)
    sandbox.fault("slow", seconds=None, method="POST", path="/api/tickets", when="before")
    with RawHost(home) as first:
        handle = first.greet().call("refund_and_notify", given)["accepted"]["operation"]
        first.kill()
    sandbox.clear_faults()
    with RawHost(home) as second, RawHost(home) as third:
        said = [end(host.greet(), handle) for host in (second, third)]
    assert said[0] == said[1]
    assert said[0]["state"] == "applied"
    assert commits(sandbox) == IN_ALL


@pytest.mark.slow
def test_killed_at_any_moment_after_accepted_nothing_is_done_twice(home: Path, sandbox: Sandbox) -> None:
    chance = random.Random(7)
    for number in range(20):
        sandbox.reset(keep_tokens=True)
        given = pay(sandbox, number)
        # The first process has accepted it and is held up; then it goes on, and is killed on the way.
        sandbox.fault("slow", seconds=None, method="POST", path="/api/payments", when="before")
        with RawHost(home) as host:
            handle = host.greet().call("refund_and_notify", given)["accepted"]["operation"]
            sandbox.clear_faults()
            time.sleep(chance.uniform(0.0, 0.06))  # the moment of death
            host.kill()
        with RawHost(home) as second, RawHost(home) as third:
            said = [end(host.greet(), handle) for host in (second, third)]
        done = commits(sandbox)
        assert max(done.count(each) for each in IN_ALL) == 1, (number, done)
        assert all(each["state"] == ("applied" if done == IN_ALL else "unknown") for each in said), (number, said, done)
