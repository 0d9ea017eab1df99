"""One process of callers that share a quota in another library's way; same interface as `tests/attacks/caller.py`.

`python limit_peers.py NAME PLAN`. Needs the library NAME and httpx, nothing of clew.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

sys.path.pop(0)  # this folder: its limits.py would stand before the library of that name
REDIS = "redis://127.0.0.1:6379/0"
Send = Callable[[], Awaitable[httpx.Response]]


class RefusedError(Exception):
    """A 429; holds the seconds the provider asks for."""


def strategy(name: str, plan: dict[str, Any]) -> Callable[[Send], Awaitable[httpx.Response]]:
    """The function that sends one request in this library's way."""
    amount, per = plan["limits"][0]["amount"], plan["limits"][0]["per"]
    key = f"clew-bench-{plan['url'].rpartition(':')[2]}"

    async def checked(send: Send) -> httpx.Response:
        answer = await send()
        if answer.status_code == 429:
            raise RefusedError(float(answer.headers.get("retry-after", "1")))
        return answer

    if name.startswith("tenacity"):
        import tenacity

        wait: Any = tenacity.wait_random_exponential(multiplier=0.5, max=20)
        if name.endswith("retry-after"):

            def wait(state: Any) -> float:
                return float(state.outcome.exception().args[0])

        async def by_tenacity(send: Send) -> httpx.Response:
            again = tenacity.AsyncRetrying(wait=wait, retry=tenacity.retry_if_exception_type(RefusedError))
            return await again(checked, send)

        return by_tenacity

    async def until_admitted(send: Send) -> httpx.Response:
        while True:
            try:
                return await checked(send)
            except RefusedError as refused:
                await asyncio.sleep(refused.args[0])

    if name == "aiolimiter":
        from aiolimiter import AsyncLimiter

        limiter = AsyncLimiter(amount, per)

        async def by_aiolimiter(send: Send) -> httpx.Response:
            async with limiter:
                return await until_admitted(send)

        return by_aiolimiter
    if name == "limits redis":
        import limits
        import limits.aio

        storage = limits.aio.storage.RedisStorage("async+" + REDIS, implementation="redispy")
        window = limits.aio.strategies.MovingWindowRateLimiter(storage)
        item = limits.RateLimitItemPerSecond(amount, per)

        async def by_limits(send: Send) -> httpx.Response:
            while not await window.hit(item, key):  # noqa: ASYNC110 - this is how it is used
                await asyncio.sleep(random.uniform(0.01, 0.05))
            return await until_admitted(send)

        return by_limits
    if name == "pyrate-limiter redis":
        from pyrate_limiter import BucketFullException, Duration, Limiter, Rate, RedisBucket
        from redis import Redis

        bucket = RedisBucket.init([Rate(int(amount), int(Duration.SECOND * per))], Redis.from_url(REDIS), key)
        pyrate = Limiter(bucket)

        async def by_pyrate(send: Send) -> httpx.Response:
            while True:
                try:
                    pyrate.try_acquire(key)
                    break
                except BucketFullException:
                    await asyncio.sleep(random.uniform(0.01, 0.05))
            return await until_admitted(send)

        return by_pyrate
    from datetime import timedelta

    from airbyte_cdk.sources.streams.call_rate import (
        CallRateLimitHit,
        HttpAPIBudget,
        HttpRequestMatcher,
        MovingWindowCallRatePolicy,
    )
    from airbyte_cdk.sources.streams.call_rate import Rate as CallRate

    policy = MovingWindowCallRatePolicy(
        rates=[CallRate(int(amount), timedelta(seconds=per))], matchers=[HttpRequestMatcher()]
    )
    budget = HttpAPIBudget(policies=[policy])
    import requests

    request = requests.Request("GET", plan["url"]).prepare()

    async def by_airbyte(send: Send) -> httpx.Response:
        while True:
            try:
                budget.acquire_call(request, block=False)
                break
            except CallRateLimitHit as full:
                await asyncio.sleep(max(full.time_to_wait.total_seconds(), 0.001))
        return await until_admitted(send)

    return by_airbyte


async def main() -> None:
    """Call until the end and print what became of every call."""
    name, plan = sys.argv[1], json.loads(sys.argv[2])
    calls: list[tuple[float, float, str]] = []
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=100)) as client:
        admit = strategy(name, plan)
        print("ready", flush=True)
        start, end = map(float, sys.stdin.readline().split())
        await asyncio.sleep(max(0.0, start - time.time()))

        async def call() -> None:
            while time.time() < end:
                began = time.time()
                await admit(lambda: client.get(plan["url"] + "/calls", params={"who": plan["who"]}))
                calls.append((began, time.time() - began, "ok"))

        tasks = [asyncio.ensure_future(call()) for _ in range(plan["callers"])]
        await asyncio.wait(tasks, timeout=max(end - time.time(), 0))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({"who": plan["who"], "calls": calls}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
