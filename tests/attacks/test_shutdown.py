"""A server that is told to end, a host that goes away or takes a call back: the row of each write tells the truth.

Real processes. The payment is held up at Acme, before or after it is made; afterwards the same call is made again, with
the same `request_id`, in a fresh process.
"""

import json
import signal
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, MCPError
from tests.attacks.raw_host import RawHost, clew

from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
GIVEN = {"amount": 700, "currency": "EUR", "card": "4242", "request_id": "one"}
MOST_SECONDS = 10.0


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox) -> Path:
    (tmp_path / "clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
    home = tmp_path / "home"
    assert clew(home, "auth", "set", "acme", text=sandbox.pat).returncode == 0
    return home


def hold_up(sandbox: Sandbox, when: str = "after", seconds: float | None = None) -> None:
    sandbox.fault("slow", seconds=seconds, method="POST", path="/api/payments", when=when)


def arrived(sandbox: Sandbox) -> None:
    """Wait until the payment is held up."""
    give_up_at = time.monotonic() + 20
    while not sandbox.state.faults.show()[0]["hits"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def state(home: Path) -> str:
    (row,) = json.loads(clew(home, "writes", "--json").stdout)
    return str(row["state"])


def told_again(home: Path) -> dict[str, Any]:
    """What the same call says in a fresh process."""
    with RawHost(home) as host:
        return host.greet().call("create_payment", GIVEN)


def ends(host: RawHost) -> None:
    """It ends by itself, in time, with nothing on standard error."""
    started = time.monotonic()
    code = host.process.wait(MOST_SECONDS)
    assert time.monotonic() - started < MOST_SECONDS
    assert code == 0


def test_sigterm_lets_a_write_finish_and_takes_no_new_one(home: Path, sandbox: Sandbox) -> None:
    hold_up(sandbox, when="before")
    with RawHost(home) as host:
        number = host.greet().begin("create_payment", GIVEN)
        arrived(sandbox)
        host.process.send_signal(signal.SIGTERM)
        refused = RawHost.structured(host.wait(_after_the_signal(host)))
        assert refused["error"]["code"] == "transient"
        assert "shutting down" in refused["error"]["message"]
        sandbox.clear_faults()
        made = RawHost.structured(host.wait(number))
        ends(host)
    assert state(home) == "applied"
    assert told_again(home) == made
    assert sandbox.state.committed("payment") == 1


def _after_the_signal(host: RawHost) -> int:
    """A new call; the signal may need a moment to arrive, so one is made until it is refused."""
    while True:
        number = host.begin("get_contact", {"contact_id": "con_000001"})
        answer = host.wait(number)
        if answer["result"].get("isError"):
            host._said[number] = answer  # pyright: ignore[reportPrivateUsage]
            return number


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_sigterm_records_a_write_that_does_not_end(home: Path, sandbox: Sandbox, when: str) -> None:
    hold_up(sandbox, when=when)
    with RawHost(home) as host:
        host.greet().begin("create_payment", GIVEN)
        arrived(sandbox)
        host.process.send_signal(signal.SIGTERM)
        ends(host)
    assert state(home) == "unknown"
    sandbox.clear_faults()
    assert told_again(home)["amount"] == 700
    assert state(home) == "applied"
    assert sandbox.state.committed("payment") == 1


def test_a_host_that_goes_away_leaves_a_row_that_is_right(home: Path, sandbox: Sandbox) -> None:
    hold_up(sandbox)
    with RawHost(home) as host:
        host.greet().begin("create_payment", GIVEN)
        arrived(sandbox)
        assert host.process.stdin is not None
        host.process.stdin.close()
        ends(host)
    assert state(home) in {"unknown", "applied"}
    sandbox.clear_faults()
    assert told_again(home)["amount"] == 700
    assert sandbox.state.committed("payment") == 1


def test_a_host_that_takes_a_call_back_leaves_a_row_that_is_right(home: Path, sandbox: Sandbox) -> None:
    hold_up(sandbox)
    with RawHost(home) as host:
        number = host.greet().begin("create_payment", GIVEN)
        arrived(sandbox)
        host.cancel(number)
        give_up_at = time.monotonic() + 10
        while state(home) == "sent":
            assert time.monotonic() < give_up_at
        assert state(home) == "unknown"
        sandbox.clear_faults()
        assert host.call("create_payment", GIVEN)["amount"] == 700
    assert state(home) == "applied"
    assert sandbox.state.committed("payment") == 1


@asynccontextmanager
async def over_http(home: Path) -> AsyncGenerator[tuple[RawHost, str]]:
    with RawHost(home, "--http", "127.0.0.1:0") as host:
        assert host.process.stderr is not None
        line = await anyio.to_thread.run_sync(host.process.stderr.readline)
        yield host, next(word for word in line.split() if word.startswith("http://127.0.0.1:"))


async def _pay(url: str, era: str, said: list[Any], gone: Callable[[], None] = lambda: None) -> None:
    """A payment; what became of it is in `said`."""
    try:
        async with Client(url, mode=era) as client:
            said.append((await client.call_tool("create_payment", GIVEN)).structured_content)
    except (MCPError, OSError, ExceptionGroup) as error:
        said.append(error)
    gone()


@pytest.mark.parametrize("era", [pytest.param("legacy", marks=pytest.mark.slow), "auto"])
async def test_sigterm_over_http_lets_a_write_finish_and_takes_no_new_one(
    home: Path, sandbox: Sandbox, era: str
) -> None:
    hold_up(sandbox, when="before")
    said: list[Any] = []
    async with over_http(home) as (host, url), anyio.create_task_group() as group:
        group.start_soon(_pay, url, era, said)
        await anyio.to_thread.run_sync(arrived, sandbox)
        host.process.send_signal(signal.SIGTERM)
        await _refused(url, era)
        sandbox.clear_faults()
        await anyio.to_thread.run_sync(ends, host)
    assert said[0]["amount"] == 700
    assert state(home) == "applied"
    assert sandbox.state.committed("payment") == 1


async def _refused(url: str, era: str) -> None:
    """A new call is refused, in words or, where nobody is connected yet, by 503; the signal may need a moment."""
    while True:
        try:
            async with Client(url, mode=era) as client:
                answer = await client.call_tool("get_contact", {"contact_id": "con_000001"})
        except (MCPError, ExceptionGroup):
            async with httpx.AsyncClient() as http:
                assert (await http.post(url, json={})).status_code == 503
            return
        if answer.is_error:
            assert "shutting down" in str(answer.structured_content)
            return


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_sigterm_over_http_records_a_write_that_does_not_end(home: Path, sandbox: Sandbox, era: str) -> None:
    hold_up(sandbox)
    said: list[Any] = []
    async with over_http(home) as (host, url), anyio.create_task_group() as group:
        group.start_soon(_pay, url, era, said)
        await anyio.to_thread.run_sync(arrived, sandbox)
        host.process.send_signal(signal.SIGTERM)
        await anyio.to_thread.run_sync(ends, host)
        group.cancel_scope.cancel()
    assert state(home) == "unknown"
    sandbox.clear_faults()
    assert told_again(home)["amount"] == 700
    assert sandbox.state.committed("payment") == 1


async def test_a_client_that_disconnects_leaves_a_row_that_is_right(home: Path, sandbox: Sandbox) -> None:
    hold_up(sandbox)
    said: list[Any] = []
    async with over_http(home) as (_, url):
        async with anyio.create_task_group() as group:
            group.start_soon(_pay, url, "auto", said)
            await anyio.to_thread.run_sync(arrived, sandbox)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            while await anyio.to_thread.run_sync(state, home) == "sent":
                pass
        assert state(home) == "unknown"
        sandbox.clear_faults()
        async with Client(url) as client:
            assert (await client.call_tool("create_payment", GIVEN)).structured_content["amount"] == 700
    assert sandbox.state.committed("payment") == 1
