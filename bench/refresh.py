"""What a refresh costs, and what a race for one does to other ways of doing it: `python bench/refresh.py`.

1. 200 calls in 4 processes meet an expired single-use refresh token whose second use ends the grant (the sandbox).
2. The unlucky first caller: how much longer its call takes than one with a good token, against one bare round trip to
   the same token endpoint.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx
from attacks.providers import AcmeProvider, Counts, acme
from attacks.refreshing import Crew, Ground, call, crew, on_ground

ROUND_TRIP = 0.05
"""Seconds that the token endpoint takes, as one on the internet would."""


async def race(staff: Crew, ground: Ground, provider: AcmeProvider, pattern: str) -> tuple[Counts, int]:
    """One trial: what the authorization server saw, and how many of 200 calls were good."""
    workers = await staff.at(ground, provider, 4, pattern=pattern)
    account = await ground.plant(provider)
    provider.slow(ROUND_TRIP)
    before = provider.counts()
    endings = await call(workers, account, 50)
    return provider.counts() - before, endings.ok


async def races(staff: Crew, ground: Ground, provider: AcmeProvider, trials: int) -> None:
    """Print the table of PERF.md."""
    print("| pattern | refresh requests | calls ok of 200 | families killed |\n| --- | --- | --- | --- |")
    for pattern in ("no lock", "lock and re-check in the process", "clew"):
        seen = [await race(staff, ground, provider, pattern) for _ in range(trials)]
        requests = [counts.requests for counts, _ in seen]
        good = [ok for _, ok in seen]
        killed = sum(counts.killed > 0 for counts, _ in seen)
        print(f"| {pattern} | {_range(requests)} | {_range(good)} | {killed} of {trials} |")


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


async def first_caller(staff: Crew, ground: Ground, provider: AcmeProvider, trials: int) -> None:
    """Print what a refresh adds to the call that needs it."""
    (worker,) = await staff.at(ground, provider, 1)
    took: Mapping[str, list[float]] = {"good": [], "expired": [], "bare": []}
    for _ in range(trials + 1):
        account = await ground.plant(provider)
        _slow_always(provider)
        took["expired"].append((await worker.tell(do="calls", account=account, tasks=1))["slowest"])
        took["good"].append((await worker.tell(do="calls", account=account, tasks=1))["slowest"])
        took["bare"].append(await _bare(provider))
    good, expired, bare = (statistics.median(took[name][1:]) * 1000 for name in ("good", "expired", "bare"))
    print(f"call with a good token           {good:6.1f} ms")
    print(f"call that refreshes first        {expired:6.1f} ms")
    print(f"bare request to the endpoint     {bare:6.1f} ms")
    print(f"added by the refresh             {expired - good:6.1f} ms = {(expired - good) / bare:.2f} round trips")


def _slow_always(provider: AcmeProvider) -> None:
    provider.sandbox.clear_faults()
    provider.sandbox.fault("slow", path="/oauth/token", seconds=ROUND_TRIP, times=None)


async def _bare(provider: AcmeProvider) -> float:
    _, refresh = provider.grant()
    form: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "clew-demo"}
    async with httpx.AsyncClient() as http:
        await http.get(f"{provider.url}/api/me")  # the connection is open, as ours is
        started = time.perf_counter()
        answer = await http.post(f"{provider.url}/oauth/token", data=form)
        took = time.perf_counter() - started
    assert answer.status_code == 200
    return took


async def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--database", help="an empty store, a path or postgresql://…; default: a new file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder, acme() as provider:
        async with on_ground(given.database or f"{folder}/clew.db") as ground, crew(4) as staff:
            await races(staff, ground, provider, given.trials)
            print()
            await first_caller(staff, ground, provider, 4 * given.trials)


if __name__ == "__main__":
    asyncio.run(main())
