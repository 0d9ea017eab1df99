"""Budgets shared by many machines through Redis or Valkey: one script for one acquire, on the server's clock.

Everything else (news, refusals, corrections) is rare or small: read, edit here, and written back only when nobody else
was faster.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from clew.core.budgets import Level, Terms
from clew.core.errors import ConfigurationError
from clew.core.limit_store import IDLE_SECONDS, Ask, Edit, StoreError, Taken, Wish, parse, row

ORIGIN = 1_700_000_000
"""Subtracted from the server's clock, so that its JSON keeps microseconds."""

_SWAP = """
local now = redis.call('GET', KEYS[1])
if (now or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
_TRIES = 50


class RedisStore:
    """Budgets in a Redis or Valkey server, below `prefix`."""

    def __init__(self, client: Any, prefix: str, patience_seconds: float = 1.0) -> None:
        self._client = client
        self._prefix = prefix
        self._patience = patience_seconds
        self._take = client.register_script(Path(__file__).with_name("limit_redis.lua").read_text(encoding="utf-8"))
        self._swap = client.register_script(_SWAP)

    @classmethod
    def open(cls, url: str, *, prefix: str = "clew:limits:", patience_seconds: float = 1.0) -> Self:
        """A store at a `redis://` or `rediss://` address; nothing is connected before the first use.

        An answer that takes longer than `patience_seconds` counts as none: one timer for a whole acquire, because the
        client's own timeout starts a task for each command, and that is a third of what an acquire costs.
        """
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            raise ConfigurationError("limits are to be kept in Redis: pip install 'clew[redis]'.") from error
        try:
            client: Any = cast("Any", Redis).from_url(
                url,
                decode_responses=True,
                socket_timeout=None,
                socket_connect_timeout=None,
                retry=None,
            )
        except ValueError as error:
            raise ConfigurationError("the address of the limits must look like redis://HOST:6379/0.") from error
        return cls(client, prefix, patience_seconds)

    async def take(self, asks: Sequence[Ask], wish: Wish) -> Taken:
        """Take units; one script, one round trip."""
        async with self._asking():
            head = (wish.longest, wish.margin, int(wish.background), wish.token or "-", wish.lease, ORIGIN, wish.cold)
            body = (part for ask in asks for part in (ask.terms.dump(), ask.cost))
            words = " ".join(map(str, (*head, *body)))  # one argument: the client looks at each of them
            line: str = await self._take(keys=[self._prefix + ask.key for ask in asks], args=[words])
            answer = line.split()
            numbers = [float(each) for each in answer[3:]]
            marks = tuple(
                (numbers[at], int(numbers[at + 1]), numbers[at + 2], int(numbers[at + 3]))
                for at in range(0, len(numbers), 4)
            )
            return Taken(bool(int(answer[0])), float(answer[1]), int(answer[2]), marks)

    @contextlib.asynccontextmanager
    async def _asking(self, rounds: int = 1) -> AsyncGenerator[None]:
        """Faults of the server and of the way to it are `StoreError`, without its address: a password may be in it."""
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._patience * rounds):
                yield
        except (TimeoutError, RedisError, OSError) as error:
            raise StoreError(type(error).__name__) from error

    async def change(self, key: str, terms: Terms, edit: Edit) -> None:
        """Edit a budget; again when somebody else was faster."""
        async with self._asking():
            for _ in range(_TRIES):
                now, text = await self._read(key)
                level = parse(text, now)[1] if text else Level()
                if not edit(level, now):
                    return
                keep = math.ceil(max(IDLE_SECONDS, terms.per)) + 1
                if await self._swap(keys=[self._prefix + key], args=[text or "", row(terms, level), keep]):
                    return
            raise StoreError("too many at once")

    async def read(self, keys: Sequence[str]) -> tuple[float, list[Level]]:
        """One round trip."""
        async with self._asking():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.mget([self._prefix + key for key in keys])
                time, texts = await pipe.execute()
            now = _clock(time)
            return now, [parse(text, now)[1] if text else Level() for text in texts]

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        """All budgets below the prefix."""
        async with self._asking(10):
            now = _clock(await self._client.time())
            names = [name async for name in self._client.scan_iter(match=f"{self._prefix}*", count=500)]
            texts = [await self._client.get(name) for name in names]
            found = {name.removeprefix(self._prefix): text for name, text in zip(names, texts, strict=True) if text}
            return now, {key: parse(text, now) for key, text in found.items()}

    async def close(self) -> None:
        """Close the connections."""
        async with self._asking():
            await self._client.aclose()

    async def _read(self, key: str) -> tuple[float, str | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.get(self._prefix + key)
            time, text = await pipe.execute()
        return _clock(time), text


def _clock(time: Sequence[Any] | Mapping[Any, Any]) -> float:
    seconds, micros = time
    return int(seconds) - ORIGIN + int(micros) / 1e6
