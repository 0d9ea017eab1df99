"""Headers that lie or are misread: no wait above the clamp, no admission without budget."""

import email.utils
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from clew.core.budget_news import learn, refuse
from clew.core.budgets import LEARNED, Level, Terms, commit, earliest
from clew.core.limits import LONGEST_WAIT, Limit, News, RateLimitHeaders, Unit, retry_after

NOW = 1_800_000_000.0
UNITS: list[Unit] = ["epoch_s", "epoch_ms", "delta_s", "delta_ms", "http_date", "iso"]

delays = st.floats(-1e5, 1e7)


def spelled(unit: Unit, delay: float) -> str:
    """A moment as a provider would write it in this unit."""
    moment = datetime.fromtimestamp(NOW + delay, UTC)
    return {
        "epoch_s": str(int(NOW + delay)),
        "epoch_ms": str(int((NOW + delay) * 1000)),
        "delta_s": f"{delay:.3f}",
        "delta_ms": str(int(delay * 1000)),
        "http_date": email.utils.format_datetime(moment, usegmt=True),
        "iso": moment.isoformat(),
    }[unit]


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), delays, st.integers(-5, 10**9))
def test_whatever_unit_is_meant_and_whatever_is_declared_no_wait_is_above_the_clamp(
    declared: Unit, meant: Unit, delay: float, left: int
) -> None:
    headers = RateLimitHeaders(remaining="left", reset="reset", unit=declared)
    news = headers.read({"left": str(left), "reset": spelled(meant, delay)}, NOW)
    if news is None:
        return
    level = Level()
    learn(LEARNED, level, news, 0.0, 50.0)
    assert 0 <= news.reset <= LONGEST_WAIT
    assert earliest(LEARNED, level, 1.0, 50.0, 0.1) <= 50.0 + LONGEST_WAIT + 0.1


@given(st.sampled_from(["epoch_s", "epoch_ms", "iso", "http_date"]), st.floats(5, 3000))
def test_seconds_and_milliseconds_are_told_apart_by_their_size(meant: Unit, delay: float) -> None:
    declared: Unit = {"epoch_s": "epoch_ms", "epoch_ms": "epoch_s"}.get(meant, meant)  # type: ignore[assignment]
    news = RateLimitHeaders(remaining="left", reset="reset", unit=declared).read(
        {"left": "0", "reset": spelled(meant, delay)}, NOW
    )
    assert news is not None
    assert delay - 1.1 <= news.reset <= delay + 1.1


@given(
    st.one_of(
        st.text(max_size=40),
        delays.map(str),
        st.sampled_from(UNITS).flatmap(lambda unit: delays.map(lambda delay: spelled(unit, delay))),
    )
)
def test_no_retry_after_makes_anybody_wait_longer_than_the_clamp(value: str) -> None:
    seconds = retry_after({"retry-after": value}, lambda: NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


story = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0, 2)),
        st.tuples(st.just("news"), st.integers(0, 30), st.floats(0, 100)),
        st.tuples(st.just("refused"), st.floats(0, 5000)),
    ),
    max_size=60,
)


@given(story)
def test_within_a_window_nothing_is_admitted_beyond_what_the_provider_said_was_left(
    events: list[tuple[object, ...]],
) -> None:
    level, now = Level(), 1000.0
    left, ends = float("inf"), 0.0
    for event in events:
        match event:
            case ("news", int(remaining), float(reset)):
                learn(LEARNED, level, News("", remaining, reset), level.total, now)
                if reset > 0:
                    left, ends = (
                        (min(left, remaining), min(ends, now + reset)) if ends > now else (remaining, now + reset)
                    )
            case ("refused", float(seconds)):
                refuse(LEARNED, level, seconds, level.epoch, now)
                left, ends = float("inf"), 0.0
            case (_, float(pause)):
                now += pause
                at = earliest(LEARNED, level, 1.0, now, 0.0)
                if at > now:
                    continue  # the caller would wait; another one comes
                commit(LEARNED, level, 1.0, at=at, now=now, margin=0.0)
                if now < ends:
                    left -= 1
                    assert left >= 0
            case _:
                raise AssertionError


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 7200), st.floats(0, 1)), max_size=40))
def test_no_lie_lets_a_declared_quota_be_exceeded(lies: list[tuple[int, float, float]]) -> None:
    terms, level, now = Terms.of(Limit(amount=10, per=10)), Level(), 1000.0
    moments: list[float] = []
    for remaining, reset, pause in lies:
        now += pause
        learn(terms, level, News("", remaining, reset), level.total, now)
        at = earliest(terms, level, 1.0, now, 0.0)
        commit(terms, level, 1.0, at=at, now=now, margin=0.0)
        moments.append(at)
    assert all(sum(start <= at < start + 10 - 1e-6 for at in moments) <= 10 for start in moments)
