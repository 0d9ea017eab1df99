"""Writes to a Stripe that keeps state, through a network that loses, cuts, doubles and delays: each happens once.

`pytest -m testbed` runs these; they are skipped when the mock is not installed. The proxy's own test needs nothing.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.attacks.fault_proxy import Fault, proxying
from tests.attacks.stripe_world import World, missing, world

pytestmark = pytest.mark.anyio
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
TRIES = 20


class Weather:
    """The fault of each request: `fault` for a share of those that write, the others pass."""

    def __init__(self, faults: Sequence[Fault], share: float, seed: int) -> None:
        self.faults, self.share, self.random = faults, share, random.Random(seed)

    def __call__(self, request: bytes) -> Fault:
        if not request.startswith(b"POST") or self.random.random() > self.share:
            return Fault.NONE
        return self.random.choice(self.faults)


async def settled(at: World, tool: str, arguments: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Call as an agent does: the same call with the same request_id while its outcome is unknown."""
    said: dict[str, Any] = {}
    for _ in range(TRIES):
        said = await at.write(tool, arguments, seconds=seconds)
        if said.get("error", {}).get("outcome") != "unknown" and said.get("error", {}).get("retry") != "same_call":
            return said
    return said


async def all_of(at: World, path: str) -> list[dict[str, Any]]:
    """Every object of a list, page after page."""
    found: list[dict[str, Any]] = []
    while True:
        after = f"&starting_after={found[-1]['id']}" if found else ""
        page = await at.ask("GET", f"{path}{after}")
        found += page["data"]
        if not page["has_more"]:
            return found


async def attack(folder: Path, faults: Sequence[Fault], runs: int, seed: int) -> None:
    weather = Weather(faults, share=0.5, seed=seed)
    seconds = 0.5 if Fault.DELAYED in faults else 5.0
    async with world(folder, weather) as at:
        paid = await at.ask("POST", "/v1/charges", {"amount": 99_000, "currency": "usd", "source": "tok_visa"})
        for number in range(runs):
            name = f"run-{number}"
            ends = [
                await settled(at, "charge", {"description": name, "request_id": name}, seconds=seconds),
                await settled(at, "refund", {"payment": paid["id"], "run": name, "request_id": name}, seconds=seconds),
            ]
            assert [end.get("error") for end in ends] == [None, None], (name, ends)
        rows = await at.journal.rows(limit=10_000)
        assert {row.state for row in rows} == {"applied"}
        charges = [each["metadata"].get("run") for each in await all_of(at, "/v1/charges?limit=100")]
        assert sorted(str(run) for run in charges if run) == sorted(f"run-{number}" for number in range(runs))
        refunds = [each["metadata"]["run"] for each in await all_of(at, f"/v1/refunds?limit=100&charge={paid['id']}")]
        assert sorted(refunds) == sorted(f"run-{number}" for number in range(runs))
        assert {fault for fault in at.proxy.seen if fault is not Fault.NONE} == set(faults)


@pytest.mark.testbed
@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
async def test_each_write_happens_once_under_every_fault(tmp_path: Path, fault: Fault) -> None:
    await attack(tmp_path, [fault], runs=12, seed=7)


@pytest.mark.testbed
@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
async def test_each_of_a_thousand_writes_happens_once_under_all_faults_mixed(tmp_path: Path) -> None:
    await attack(tmp_path, FAULTS, runs=500, seed=11)


@pytest.mark.testbed
@pytest.mark.skipif(bool(missing()), reason=missing())
async def test_the_mock_refuses_as_stripe_does(tmp_path: Path) -> None:
    async with world(tmp_path, lambda request: Fault.NONE) as at:
        paid = await at.ask("POST", "/v1/charges", {"amount": 1, "currency": "usd", "source": "tok_visa"})
        assert "error" in paid  # below the least amount
        paid = await at.ask("POST", "/v1/charges", {"amount": 100, "currency": "usd", "source": "tok_visa"})
        for number in range(100):
            await at.ask("POST", "/v1/refunds", {"charge": paid["id"], "amount": 1, "metadata[run]": str(number)})
        over = await at.write("refund", {"payment": paid["id"], "run": "over"})
        assert (over["error"]["code"], over["error"]["outcome"]) == ("already_done", "applied")
        gone = await at.write("refund", {"payment": "ch_0", "run": "none"})
        assert (gone["error"]["code"], gone["error"]["outcome"]) == ("not_found", "not_applied")


async def test_the_proxy_does_what_it_says() -> None:
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\nconnection: close\r\n\r\n" + b"x" * 40)
        await writer.drain()
        writer.close()

    plan = iter([Fault.NONE, Fault.DROPPED, Fault.LOST, Fault.CUT, Fault.DOUBLED, Fault.DELAYED])
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, proxying(server.sockets[0].getsockname()[1], lambda request: next(plan)) as proxy:
        ends: list[str] = []
        for _ in range(6):
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=0.5) as client:
                try:
                    ends.append(str((await client.get(f"http://127.0.0.1:{proxy.port}/")).status_code))
                except httpx.TransportError as error:
                    ends.append(type(error).__name__)
    assert (ends[0], ends[4], ends[5]) == ("200", "200", "ReadTimeout")
    assert all(end in {"ReadError", "RemoteProtocolError"} for end in ends[1:4])
    assert len(received) == 6  # none of the dropped one, two of the doubled one
    assert all(count == 1 for count in proxy.seen.values())
