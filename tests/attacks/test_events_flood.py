"""Slow heads, huge bodies, header bombs, forgeries: good deliveries are still thanked in time, in little memory."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.delivering import Fleet, Sender, percentile, prepare

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


def memory(pid: int) -> int:
    """The most memory a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def attack(home: Path, *, deliveries: int, pause: float, **plan: Any) -> tuple[list[float], int, dict[str, int]]:
    """Good deliveries, one after the other, while the flood runs: their seconds, MB more than before, the flood."""
    secret = await prepare(home, str(home / "clew.db"))
    with Fleet(home, str(home / "clew.db"), 1) as fleet:
        sender = Sender(fleet.port, secret, patience=20)
        await sender.send(range(20), connections=4)
        sender.seconds.clear()
        before = memory(fleet.receivers[0].process.pid)
        words = [sys.executable, "-m", "tests.attacks.flooding", json.dumps({"port": fleet.port, **plan})]
        flood = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, cwd=ROOT)
        assert flood.stdout is not None
        assert await flood.stdout.readline() == b"started\n"
        until = time.monotonic() + plan["seconds"]
        number = 100
        while time.monotonic() < until and number < 100 + deliveries:
            await sender.send([number], connections=1)  # each on a connection of its own, as from another sender
            number += 1
            await asyncio.sleep(pause)
        counts = json.loads(await flood.stdout.readline())
        await flood.wait()
        grown = memory(fleet.receivers[0].process.pid) - before
        assert fleet.receivers[0].process.poll() is None
    return sender.seconds, grown, counts


async def check(tmp_path: Path, *, deliveries: int, **plan: Any) -> dict[str, int]:
    """The long form: print what was measured, hold it against the aims, and return what became of the flood."""
    seconds, grown, counts = await attack(tmp_path, deliveries=deliveries, pause=0.02, **plan)
    print(
        f"{len(seconds)} good deliveries: p50 {percentile(seconds, 0.5) * 1e3:.0f} ms, p99 "
        f"{percentile(seconds, 0.99) * 1e3:.0f} ms, at most {max(seconds) * 1e3:.0f} ms; {grown} MB more; {counts}"
    )
    assert len(seconds) > 100
    assert percentile(seconds, 0.99) < 1.0
    assert grown < 250
    return counts


async def test_a_flood_neither_fills_the_memory_nor_keeps_good_deliveries_waiting(tmp_path: Path) -> None:
    seconds, grown, counts = await attack(
        tmp_path, deliveries=60, pause=0.02, seconds=4, loris=200, bodies=2, heads=2, forgers=4
    )
    assert percentile(seconds, 0.9) < 1.0, sorted(seconds)[-5:]
    assert grown < 150
    assert counts.get("bad signatures answered 401", 0) > 100
    assert set(counts) & {"bad signatures answered 200", "bad signatures answered 500"} == set()
    assert counts["bytes of announced bodies"] + counts["bytes of chunked bodies"] > 1 << 20


@pytest.mark.slow
async def test_the_whole_flood(tmp_path: Path) -> None:
    counts = await check(tmp_path, deliveries=1000, seconds=40, loris=1000, bodies=6, heads=6, forgers=64)
    assert counts["bad signatures answered 401"] > 1000


@pytest.mark.slow
async def test_a_thousand_forgers_wait_for_each_other_and_nobody_for_them(tmp_path: Path) -> None:
    counts = await check(tmp_path, deliveries=500, seconds=20, forgers=1000)
    assert counts["bad signatures answered 401"] > 1000


@pytest.mark.slow
async def test_ten_thousand_forgeries_a_second_from_strangers(tmp_path: Path) -> None:
    counts = await check(tmp_path, deliveries=500, seconds=20, strangers=10_000)
    assert sum(counts.values()) > 20 * 9_000
