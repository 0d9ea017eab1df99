"""One process of callers: `python caller.py '{"url": …, "store": "sqlite:/path", "callers": 8, "seconds": 10}'`.

The calls take the real way: connector, wire, limiter, httpx. Prints `ready`, reads when to
start and to end (epoch seconds), and prints one JSON object with what became of every call and the seconds it took.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from clew import Connector, Limit, RateLimitHeaders
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.limit_fallback import FallbackStore
from clew.core.limit_store import LimitStore, MemoryStore
from clew.core.limiter import Limiter
from clew.core.pool import SlotTransport
from clew.core.wire import Wire

LINEAR = RateLimitHeaders(
    remaining="x-ratelimit-requests-remaining",
    reset="x-ratelimit-requests-reset",
    limit="x-ratelimit-requests-limit",
    unit="epoch_ms",
)
STATUS = "extensions.cost.throttleStatus"
SHOPIFY = RateLimitHeaders(
    remaining=f"{STATUS}.currentlyAvailable",
    limit=f"{STATUS}.maximumAvailable",
    restore=f"{STATUS}.restoreRate",
    body=True,
)
SIGNALS = {"none": (), "silent": (), "linear": (LINEAR,), "shopify": (SHOPIFY,)}


def open_store(name: str, url: str = "") -> LimitStore:
    kind, _, rest = name.partition(":")
    if kind == "memory":
        return MemoryStore()
    from clew.core.limit_sqlite import SqliteStore

    if kind == "sqlite":
        return FallbackStore(SqliteStore.open(Path(rest)), MemoryStore(), "the file of the rate limits")
    from clew.core.limit_redis import RedisStore

    address, _, path = rest.partition("#")
    prefix = f"clew-test:{Path(path).parent.name}:"
    return FallbackStore(RedisStore.open(address, prefix=prefix), SqliteStore.open(Path(path)), "Redis")


def price(request: httpx.Request) -> float:
    return float(request.headers["x-cost"])


def connector_of(plan: dict[str, Any]) -> Connector:
    cost = price if plan.get("style") == "shopify" else 1.0
    limits = [Limit(**limit, cost=cost) for limit in plan.get("limits", [])]
    return Connector("stub", plan["url"], rate_limits=(*limits, *SIGNALS[plan.get("style", "none")]))


async def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    plan = json.loads(sys.argv[1])
    store = open_store(plan["store"])
    calls: list[tuple[float, float, str]] = []
    who, cost = plan["who"], str(plan.get("cost", 1))
    async with httpx.AsyncClient(transport=SlotTransport()) as client:
        connector = connector_of(plan)
        wire = Wire(connector, Connection("local", "stub", "work"), None, client, limiter=Limiter(store))
        print("ready", flush=True)
        start, end = map(float, sys.stdin.readline().split())
        await asyncio.sleep(max(0.0, start - time.time()))

        async def call() -> None:
            while time.time() < end:
                began = time.time()
                api = Api(wire, Deadline.after(plan.get("deadline", 60)), Trail(), Effect.READ, SilentHost())
                code = "ok"
                try:
                    await api.get("/calls", query={"who": who}, headers={"X-Cost": cost})
                except CallError as error:
                    code = error.code.value
                    await asyncio.sleep(plan.get("pause", 0.2))
                calls.append((began, time.time() - began, code))

        tasks = [asyncio.ensure_future(call()) for _ in range(plan["callers"])]
        await asyncio.wait(tasks, timeout=max(end - time.time(), 0) + 0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and task.exception():
                raise task.exception()  # type: ignore[misc]
    print(json.dumps({"who": who, "calls": calls}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
