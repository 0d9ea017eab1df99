"""A keeper of budgets that may fail, and the nearer one that takes over until it is back. Never no limit at all.

What the failed keeper knew is lost, and so is what it knew of others. So the new keeper begins empty, as if everything
had just been spent, and behind the moments that the old one has handed out: those requests are still on their way.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TypeVar

from clew.core.budget_news import empty
from clew.core.budgets import Level, Terms
from clew.core.limit_store import Ask, Edit, LimitStore, StoreError, Taken, Wish
from clew.core.values import dataclass

log = logging.getLogger(__name__)

T = TypeVar("T")

MOVED = Terms("circuit")
"""The terms of the mark in the near keeper that says when somebody found the far one again."""

UNSEEN_SECONDS = 2.0
"""By how much the queue may have grown since our last request, through requests of others."""


@dataclass(frozen=True, slots=True)
class Booked:
    """The last moment that we were handed from a budget: when we asked, and how far ahead it lay."""

    terms: Terms
    asked: float
    wait: float

    def ahead(self, now: float) -> float:
        """How far ahead the far keeper's queue ends by now, as far as we can know: about as far as it did then."""
        return max(min(self.wait, self.wait - (now - self.asked) + UNSEEN_SECONDS), 0.0)


@dataclass(slots=True)
class FallbackStore:
    """Asks `far`, and `near` while that does not answer; `pause` seconds lie between two looks at it."""

    far: LimitStore
    near: LimitStore
    name: str
    pause: float = 0.5
    clock: Callable[[], float] = time.monotonic
    again_at: float = 0.0
    away: bool = False
    left_at: float = 0.0
    known: dict[str, Booked] = field(default_factory=dict[str, Booked])
    turning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, asks: Sequence[Ask], wish: Wish) -> Taken:
        """Take from the far keeper, else from the near one."""
        taken = await self._kept(lambda store: store.take(asks, wish))
        if taken.ok:
            self._remember(asks, taken.wait)
        return taken

    async def change(self, key: str, terms: Terms, edit: Edit) -> None:
        """Change it where it is kept now."""
        await self._kept(lambda store: store.change(key, terms, edit))

    async def read(self, keys: Sequence[str]) -> tuple[float, list[Level]]:
        """Read it where it is kept now."""
        return await self._kept(lambda store: store.read(keys))

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        """All budgets of the keeper in use."""
        return await self._kept(lambda store: store.everything())

    async def close(self) -> None:
        """Close both."""
        await self.far.close()
        await self.near.close()

    async def _kept(self, call: Callable[[LimitStore], Awaitable[T]]) -> T:
        if not self.away or await self._back():
            try:
                return await call(self.far)
            except StoreError as error:
                await self.leave(error)
        return await call(self.near)

    def _remember(self, asks: Sequence[Ask], wait: float) -> None:
        now = self.clock()
        for ask in asks:
            if ask.terms.kind in {"bucket", "sliding", "fixed"}:
                if ask.key not in self.known and len(self.known) >= 1000:
                    self.known.pop(next(iter(self.known)))
                self.known[ask.key] = Booked(ask.terms, now, wait)

    async def leave(self, error: StoreError) -> None:
        """Turn to the near keeper; said once, however many calls find out."""
        async with self.turning:
            self.again_at = self.clock() + self.pause
            if self.away:
                return
            log.warning("%s does not answer (%s): rate limits are kept on this machine until it does", self.name, error)
            now = self.clock()
            await _begin_empty(self.near, self.known, {key: booked.ahead(now) for key, booked in self.known.items()})
            self.left_at, _ = await self.near.read([])
            self.away = True

    async def _back(self) -> bool:
        """Is the far keeper there again? All processes of a machine go back together: from two keepers at once they
        would get the quota twice."""
        if self.turning.locked():
            return False
        async with self.turning:
            mark = f"|moved|{self.name}|"  # four parts, like every key
            now, (moved,) = await self.near.read([mark])
            if moved.last <= self.left_at and self.clock() < self.again_at:
                return False
            try:
                await self.far.read([mark])
                if moved.last <= self.left_at:
                    await self.near.change(mark, MOVED, _marked)
                keys = list(self.known)
                now, levels = await self.near.read(keys)
                ahead = {key: level.last - now for key, level in zip(keys, levels, strict=True)}
                await _begin_empty(self.far, self.known, ahead)
            except StoreError:
                self.left_at = max(self.left_at, moved.last)
                self.again_at = self.clock() + self.pause
                return False
            self.away = False
            log.warning("rate limits are shared through %s again", self.name)
        return True


async def _begin_empty(store: LimitStore, known: Mapping[str, Booked], ahead: Mapping[str, float]) -> None:
    for key, booked in list(known.items()):
        await store.change(key, booked.terms, _emptied(booked.terms, max(ahead.get(key, 0.0), 0.0)))


def _emptied(terms: Terms, ahead: float) -> Edit:
    def edit(level: Level, now: float) -> bool:
        empty(terms, level, now + ahead)
        return True

    return edit


def _marked(level: Level, now: float) -> bool:
    level.last = now
    return True
