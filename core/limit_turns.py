"""How the calls of one process behave towards the others: how unevenly they arrive, and in which order they ask."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import field

from clew.core.limit_store import Ask, Taken
from clew.core.values import dataclass

TURN_SECONDS = 0.2
"""From this wait on the processes take turns: each asks for one moment, and pauses before it asks for the next."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Jitter:
    """How unevenly our requests reach one provider: the caution that its budgets need, in seconds.

    Bounded, because an answer's time holds the provider's work too.
    """

    margin: float = 0.05
    lowest: float = math.inf
    seen: float = -math.inf

    def observe(self, late: float, now: float) -> None:
        """Take in how long after its moment a request was answered."""
        self.seen = now
        self.lowest = min(late, self.lowest + 0.0005)
        self.margin = min(max(late - self.lowest, self.margin * 0.995, 0.005), 0.1)


@dataclass(slots=True)
class Turn:
    """The order in which the calls of this process ask, while there is a queue.

    A moment is handed to whoever asks first, so a process that asks for all its callers at once would be served before
    the others for a whole round: with 3 requests a second that is many seconds. Pausing is free for whoever waits
    anyway: a process still asks twice as fast as the budget gives, and a long line within it pauses less, so that its
    end soon knows how long it will be.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    queued: bool = False
    free_at: float = -math.inf
    waiting: int = 0

    @contextlib.asynccontextmanager
    async def mine(self, clock: Callable[[], float], sleep: Sleep) -> AsyncGenerator[None]:
        """Wait until it is our turn, where there are turns: in a queue, and for those who come after a pause."""
        if not self.queued and clock() - self.free_at < 1.0:
            yield
            return
        self.waiting += 1
        try:
            async with self.lock:
                if self.free_at > clock():
                    await sleep(self.free_at - clock())
                yield
        finally:
            self.waiting -= 1

    def took(self, taken: Taken, ask: Ask, now: float) -> None:
        """What the one whose turn it was came to; `ask` is the one that decided."""
        self.queued = taken.ok and taken.wait >= TURN_SECONDS
        unit = ask.cost * ask.terms.per / ask.terms.amount if ask.terms.amount else 0.04
        self.free_at = now + (min(unit / 2, 1 / (1 + self.waiting)) if self.queued else 0.0)
