"""Trying again, and only when that cannot do harm. The one module that knows tenacity.

Reads are tried again on `transient` and `rate_limited`. A write is tried again only when the provider certainly did
not act: the request never left, or the provider refused it as over the limit.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import TYPE_CHECKING, TypeVar

from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.values import dataclass

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

AGAIN = frozenset({Code.TRANSIENT, Code.RATE_LIMITED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `attempts` tries. Waits are what the provider asks for; where it asks for none, or for 0 seconds, full
    jitter: a random time between 0 and `base` · 2^(tries so far), at most `longest` seconds."""

    attempts: int = 4
    base: float = 0.5
    longest: float = 20.0


@dataclass(slots=True)
class Spending:
    """The retries of one provider in the last minute: at most `few`, and `share` of the calls made meanwhile.

    So an outage does not multiply the traffic. Waits for a rate limit are not retries: the budget orders those.
    """

    clock: Callable[[], float] = time.monotonic
    few: int = 3
    share: float = 0.1
    calls: deque[list[int]] = field(default_factory=deque[list[int]])
    retries: deque[float] = field(default_factory=deque[float])

    def called(self) -> None:
        """Count a call. Seconds are kept with how many calls each had, however many those are."""
        second = int(self.clock())
        if self.calls and self.calls[-1][0] == second:
            self.calls[-1][1] += 1
            return
        self.calls.append([second, 1])
        while self.calls[0][0] < second - 60:
            self.calls.popleft()

    def spend(self) -> bool:
        """Count a retry; False, and nothing counted, when there were enough."""
        now = self.clock()
        while self.retries and self.retries[0] < now - 60.0:
            self.retries.popleft()
        calls = sum(count for second, count in self.calls if second >= now - 60.0)
        if len(self.retries) >= self.few + self.share * calls:
            return False
        self.retries.append(now)
        return True


@dataclass(slots=True)
class RetryBudget:
    """The spending of every provider."""

    clock: Callable[[], float] = time.monotonic
    providers: dict[str, Spending] = field(default_factory=dict[str, Spending])

    def of(self, provider: str) -> Spending:
        """The spending of one provider."""
        return self.providers.setdefault(provider, Spending(self.clock))


def worth(error: BaseException) -> bool:
    """May the same request be sent again after `error`?"""
    return (
        isinstance(error, CallError)
        and error.code in AGAIN
        and error.outcome is Outcome.NOT_APPLIED
        and error.retry is not Retry.NO  # the provider's own advice
    )


async def retrying(
    attempt: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    deadline: Deadline,
    sleep: Sleep = asyncio.sleep,
    spread: Callable[[], float] = random.random,
    spend: Spending | None = None,
) -> T:
    """Run `attempt(number)` until it succeeds, is not worth repeating, the next wait would not fit the deadline, or the
    retries of `spend` are used up.

    The last error is raised as it came, so a wait that does not fit reaches the agent as `retry_after`.
    """

    def wait(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, CallError) else None
        if asked:
            return asked + spread() * min(1.0, 0.1 * asked)
        backoff: float = spread() * min(policy.longest, policy.base * 2.0 ** (state.attempt_number - 1))
        return backoff

    def stop(state: "RetryCallState") -> bool:
        return state.attempt_number >= policy.attempts or not deadline.fits(state.upcoming_sleep)

    def again(state: "RetryCallState") -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is None or not worth(error):
            return False
        counts = spend is not None and isinstance(error, CallError) and error.code is Code.TRANSIENT
        return not counts or state.attempt_number >= policy.attempts or spend is None or spend.spend()

    if spend is not None:
        spend.called()
    try:
        return await attempt(1)
    except CallError as error:
        if not worth(error):
            raise
        first = error
    from tenacity import AsyncRetrying  # only calls that need it pay for it

    number = 0

    async def numbered() -> T:  # begins with what has happened
        nonlocal number
        number += 1
        if number == 1:
            raise first
        return await attempt(number)

    return await AsyncRetrying(stop=stop, wait=wait, retry=again, sleep=sleep, reraise=True)(numbered)
