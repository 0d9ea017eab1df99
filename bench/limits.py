"""What the rate limits cost and give: `python bench/limits.py [overhead] [acquire] [pool] [strategies] [seconds]`.

overhead    CPU of one call that needs no wait: bare httpx against the wire with local limits, the same transport
acquire     milliseconds for one acquire with four processes at once, SQLite and Redis
pool        CPU of one call at 1, 32 and 256 in flight: httpx's own pool against one transport for every slot
strategies  goodput and refusals of other ways to share 50/s between 4 processes (those that are installed);
            with --write the table goes into docs/rate-limits.md
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
ATTACKS = ROOT / "tests" / "attacks"
REDIS = os.environ.get("CLEW_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def start_provider(**plan: Any) -> tuple["subprocess.Popen[str]", str]:
    command = [sys.executable, str(ATTACKS / "provider.py"), json.dumps(plan)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


async def overhead() -> None:
    from clew import Connector, Limit
    from clew.core.api import Api
    from clew.core.connection import Connection
    from clew.core.connector import Effect
    from clew.core.deadline import Deadline
    from clew.core.exchange import Trail
    from clew.core.host import SilentHost
    from clew.core.limiter import Limiter, Sending
    from clew.core.pool import Client, SlotTransport
    from clew.core.wire import Wire

    provider, url = start_provider(limit=10**9)
    try:
        async with httpx.AsyncClient(transport=SlotTransport()) as client, Client(direct=SlotTransport()) as ours:
            connector = Connector("stub", url, rate_limits=Limit(amount=1e6, per=1, kind="bucket"))
            wire = Wire(connector, Connection("local", "stub", "work"), None, ours)
            api = Api(wire, Deadline.after(600), Trail(), Effect.READ, SilentHost())
            limiter, deadline = Limiter(), Deadline.after(600)
            sending = Sending("local/work", "/calls", httpx.Request("GET", url + "/calls"))

            async def tell(message: str) -> None:
                raise AssertionError(message)

            async def bare() -> None:
                json.loads((await client.get(url + "/calls")).content)

            async def whole() -> None:
                await api.get("/calls")

            async def stage() -> None:
                room, _ = await limiter.enter(
                    connector.declared, sending, deadline=deadline, sleep=asyncio.sleep, tell=tell
                )
                await limiter.answered(connector.declared, sending, room, {}, None)
                await limiter.leave(room)

            costs: dict[str, list[float]] = {"bare httpx": [], "the wire": [], "the limit stages alone": []}
            for _ in range(7):
                for name, call in zip(costs, (bare, whole, stage), strict=True):
                    began = time.process_time()
                    for _ in range(300):
                        await call()
                    costs[name].append((time.process_time() - began) / 300 * 1e6)
            best = {name: min(values) for name, values in costs.items()}
            for name, value in best.items():
                print(f"{name:26s} {value:8.0f} µs CPU a call")
            print(f"{'the wire over bare httpx':26s} {best['the wire'] - best['bare httpx']:8.0f} µs CPU a call")
    finally:
        provider.kill()
        provider.communicate()


_ACQUIRE = """
import asyncio, json, sys, time
from pathlib import Path
from clew.core.budgets import CIRCUIT, Terms
from clew.core.limit_store import Ask, Wish
async def main():
    if sys.argv[1].startswith("redis"):
        from clew.core.limit_redis import RedisStore
        store = RedisStore.open(sys.argv[1], prefix="clew-bench:")
    else:
        from clew.core.limit_sqlite import SqliteStore
        store = SqliteStore.open(Path(sys.argv[1]))
    asks = [Ask("host", CIRCUIT), Ask("a", Terms("bucket", 1e9, 1.0, 1e9))]
    took = []
    end = time.monotonic() + 3
    while time.monotonic() < end:
        began = time.perf_counter()
        await store.take(asks, Wish(60.0, 0.0))
        took.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.005)
    print(json.dumps(took))
asyncio.run(main())
"""


def acquire() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, place in (("SQLite", f"{folder}/limits.db"), ("Redis", REDIS)):
            command = [sys.executable, "-c", _ACQUIRE, place]
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
            took = sorted(each for process in running for each in json.loads(process.communicate()[0] or "[]"))
            if took:
                p99 = took[int(0.99 * len(took))]
                print(f"{name:8s} p50 {statistics.median(took):6.3f} ms   p99 {p99:6.3f} ms   {len(took)} acquires")


async def pool() -> None:
    from clew.core.pool import SlotTransport

    provider, url = start_provider(limit=10**9, work=0.02)
    try:
        for in_flight in (1, 32, 256):
            shown: list[str] = []
            for name in ("httpx's pool", "slots"):
                limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
                transport = SlotTransport() if name == "slots" else httpx.AsyncHTTPTransport(limits=limits)
                async with httpx.AsyncClient(transport=transport, timeout=120) as client:
                    total = max(600, in_flight * 8)

                    async def work(share: int, client: httpx.AsyncClient = client) -> None:
                        for _ in range(share):
                            await client.get(url + "/calls")

                    await asyncio.gather(*(work(1) for _ in range(in_flight)))
                    began = time.process_time()
                    await asyncio.gather(*(work(total // in_flight) for _ in range(in_flight)))
                    cost = (time.process_time() - began) / (total // in_flight * in_flight) * 1e6
                shown.append(f"{name} {cost:6.0f} µs")
            print(f"{in_flight:4d} in flight: {'   '.join(shown)}")
    finally:
        provider.kill()
        provider.communicate()


def strategies(seconds: float) -> None:
    """The peers run `bench/limit_peers.py` in four processes against the same provider."""
    sys.path.insert(0, str(ROOT))
    lines: list[list[str]] = []
    from tests.attacks.quota import BY_BENCH, run

    peers = (
        "tenacity jitter",
        "tenacity retry-after",
        "aiolimiter",
        "pyrate-limiter redis",
        "limits redis",
        "airbyte-cdk",
    )
    python = os.environ.get("CLEW_BENCH_PYTHON", sys.executable)
    for row in BY_BENCH:
        print(f"\n{row.name}, 4 processes of 8 callers, {seconds:.0f} s")
        print(f"{'strategy':24s} {'goodput':>8s} {'429/answer':>11s} {'fairness':>9s} {'p99 s':>7s}")
        for store in ("sqlite", "redis"):
            seen = run(row, store, seconds)
            print(
                f"{'clew, ' + store:24s} {seen.goodput:8.3f} {seen.refused:11.4f} {seen.fairness:9.3f} {seen.p99:7.2f}",
                flush=True,
            )
            lines.append([row.name, f"clew, {store}", *seen.cells()])
        for name in peers:
            try:
                seen = run(row, "sqlite", seconds, program=[python, str(ROOT / "bench" / "limit_peers.py"), name])
            except (AssertionError, ValueError):
                print(f"{name:24s} does not run here", flush=True)
                continue
            print(
                f"{name:24s} {seen.goodput:8.3f} {seen.refused:11.4f} {seen.fairness:9.3f} {seen.p99:7.2f}", flush=True
            )
            lines.append([row.name, name, *seen.cells()])
    if "--write" in sys.argv:
        from tests.attacks.pages import put

        put("strategies", ("provider", "strategy", "goodput", "429 per answer", "fairness", "wait p99"), lines)


def main() -> None:
    """Run what is named, or everything."""
    words = sys.argv[1:]
    numbers = [float(word) for word in words if word.replace(".", "").isdigit()]
    chosen = [word for word in words if word.isalpha()] or ["overhead", "acquire", "pool", "strategies"]
    for word in chosen:
        print(f"\n== {word}")
        if word == "overhead":
            asyncio.run(overhead())
        elif word == "acquire":
            acquire()
        elif word == "pool":
            asyncio.run(pool())
        else:
            strategies(numbers[0] if numbers else 15.0)


if __name__ == "__main__":
    main()
