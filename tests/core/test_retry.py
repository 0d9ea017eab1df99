"""Trying again: when, how often, how long between."""

import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.deadline import Deadline
from clew.core.errors import (
    CallError,
    InternalError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    ProviderDownError,
    RateLimitError,
    TransientError,
)
from clew.core.retry import RetryBudget, RetryPolicy, Spending, retrying, worth

pytestmark = pytest.mark.anyio


class Sleeps(list[float]):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def failing(*errors: BaseException) -> tuple[Callable[[int], Awaitable[str]], list[int]]:
    """An attempt that raises each error in turn and then succeeds; and the numbers it was called with."""
    numbers: list[int] = []

    async def attempt(number: int) -> str:
        numbers.append(number)
        if number <= len(errors):
            raise errors[number - 1]
        return "done"

    return attempt, numbers


async def test_a_success_is_returned_at_once() -> None:
    attempt, numbers = failing()
    sleeps = Sleeps()
    assert await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=sleeps) == "done"
    assert (numbers, sleeps) == ([1], [])


async def test_passing_faults_are_tried_again_until_one_succeeds() -> None:
    attempt, numbers = failing(TransientError("a."), RateLimitError("b."), TransientError("c."))
    sleeps = Sleeps()
    done = await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=sleeps, spread=lambda: 1.0)
    assert done == "done"
    assert numbers == [1, 2, 3, 4]
    assert sleeps == [0.5, 1.0, 2.0]


async def test_after_the_last_attempt_the_last_error_comes_out_as_it_was() -> None:
    last = TransientError("fourth.")
    attempt, numbers = failing(*[TransientError("x.")] * 3, last)
    with pytest.raises(TransientError) as caught:
        await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=Sleeps())
    assert caught.value is last
    assert numbers == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("x."),
        OutcomeUnknownError("x."),
        ProviderDownError("x."),
        InternalError("x."),
        TransientError("x.", outcome=Outcome.UNKNOWN),
        RateLimitError("x.", outcome=Outcome.APPLIED),
        ValueError("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_nothing_else_is_tried_again(error: BaseException) -> None:
    attempt, numbers = failing(error)
    with pytest.raises(type(error)):
        await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=Sleeps())
    assert numbers == [1]
    assert not worth(error)


async def test_the_wait_the_provider_asks_for_is_kept_with_a_little_jitter_on_top() -> None:
    for asked, most in ((3.0, 3.3), (30.0, 31.0)):
        attempt, _ = failing(RateLimitError("x.", retry_after=asked))
        sleeps = Sleeps()
        await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(100), sleep=sleeps)
        assert asked <= sleeps[0] <= most


async def test_zero_seconds_is_no_advice_and_does_not_hammer() -> None:
    attempt, _ = failing(*[RateLimitError("x.", retry_after=0.0)] * 3)
    sleeps = Sleeps()
    await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=sleeps, spread=lambda: 1.0)
    assert sleeps == [0.5, 1.0, 2.0]


async def test_a_wait_beyond_the_deadline_is_returned_and_never_slept() -> None:
    attempt, numbers = failing(RateLimitError("x.", retry_after=42))
    sleeps = Sleeps()
    with pytest.raises(RateLimitError) as caught:
        await retrying(attempt, policy=RetryPolicy(), deadline=Deadline.after(10), sleep=sleeps)
    assert caught.value.retry_after == 42
    assert (numbers, sleeps) == ([1], [])


async def test_no_backoff_is_longer_than_the_longest() -> None:
    attempt, _ = failing(*[TransientError("x.")] * 9)
    sleeps = Sleeps()
    policy = RetryPolicy(attempts=10, base=1, longest=5)
    await retrying(attempt, policy=policy, deadline=Deadline.after(60), sleep=sleeps, spread=lambda: 1.0)
    assert sleeps == [1, 2, 4, 5, 5, 5, 5, 5, 5]


@given(seed=st.integers(), attempts=st.integers(1, 6))
async def test_full_jitter_stays_between_zero_and_the_doubling_bound(seed: int, attempts: int) -> None:
    attempt, _ = failing(*[TransientError("x.")] * (attempts - 1))
    sleeps = Sleeps()
    policy = RetryPolicy(attempts=attempts)
    spread = random.Random(seed).random
    await retrying(attempt, policy=policy, deadline=Deadline.after(600), sleep=sleeps, spread=spread)
    assert len(sleeps) == attempts - 1
    assert all(0 <= wait < 0.5 * 2**number for number, wait in enumerate(sleeps))


def test_only_what_surely_did_nothing_is_worth_repeating() -> None:
    assert worth(TransientError("x."))
    assert worth(RateLimitError("x."))
    assert not worth(CallError("x."))


async def test_an_outage_does_not_multiply_the_traffic() -> None:
    clock = [0.0]
    budget = RetryBudget(lambda: clock[0])
    attempts = 0

    async def down(number: int) -> None:
        nonlocal attempts
        attempts += 1
        raise TransientError("down")

    async def no_wait(seconds: float) -> None:
        """Stand in for a sleep."""

    for _ in range(500):
        with pytest.raises(TransientError):
            await retrying(
                down, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=no_wait, spend=budget.of("acme")
            )
    assert attempts <= 1.12 * 500
    clock[0] += 61
    assert budget.of("acme").spend()


async def test_waits_for_a_rate_limit_are_no_retries_and_a_success_costs_none() -> None:
    spending = RetryBudget().of("acme")
    answers: list[BaseException | None] = [RateLimitError("full", retry_after=1), None]

    async def ask(number: int) -> int:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return number

    async def no_wait(seconds: float) -> None:
        """Stand in for a sleep."""

    assert await retrying(ask, policy=RetryPolicy(), deadline=Deadline.after(60), sleep=no_wait, spend=spending) == 2
    assert len(spending.retries) == 0


def test_however_many_calls_there_are_a_minute_of_them_takes_no_more_room() -> None:
    clock = [1000.0]
    spending = Spending(lambda: clock[0])
    for _ in range(200):
        for _ in range(1000):
            spending.called()
        clock[0] += 1
    assert len(spending.calls) <= 62
    assert sum(spending.spend() for _ in range(10_000)) == 6003, "a tenth of the last minute's, and three"
