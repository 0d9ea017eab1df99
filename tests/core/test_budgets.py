"""The arithmetic of budgets, against brute force: whatever is asked for, no quota is exceeded."""

import heapq
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.budget_news import adjust, drain, empty, learn, refuse
from clew.core.budgets import (
    CIRCUIT,
    LEARNED,
    NEVER,
    PROBE_SECONDS,
    TRIPS,
    Level,
    Terms,
    begun,
    commit,
    earliest,
    sized,
    standing,
)
from clew.core.limits import LONGEST_WAIT, Limit, News

BUCKET = Terms.of(Limit(amount=50, per=1, kind="bucket"))
SLOW = Terms.of(Limit(amount=10, per=1, kind="sliding"))
MINUTE = Terms.of(Limit(amount=60, per=60, kind="sliding"))


def book(terms: Terms, level: Level, now: float, cost: float = 1.0, margin: float = 0.0, cold: float = 0.0) -> float:
    at = earliest(terms, level, cost, now, margin)
    commit(terms, level, cost, at=at, now=now, margin=margin, cold=cold)
    return at


def crowded(moments: list[tuple[float, float]], per: float) -> float:
    """The most units in any half-open stretch of `per` seconds."""
    return max(sum(units for at, units in moments if start <= at < start + per - 1e-6) for start, _ in moments)


steps = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 12)), min_size=1, max_size=25)


@given(steps, st.sampled_from([1, 3, 10, 25]), st.sampled_from([1.0, 5.0, 12.0, 60.0]), st.sampled_from([0.0, 0.02]))
def test_no_stretch_of_a_sliding_window_holds_more_than_its_amount(
    plan: list[tuple[float, int]], amount: int, per: float, margin: float
) -> None:
    terms, level, now = Terms.of(Limit(amount=amount, per=per)), Level(), 1000.0
    moments: list[tuple[float, float]] = []
    for pause, asks in plan:
        now += pause
        moments += [(book(terms, level, now, margin=margin), 1.0) for _ in range(asks)]
    assert crowded(moments, per) <= amount


@given(steps, st.lists(st.floats(0.5, 7), min_size=1, max_size=5))
def test_costs_of_different_sizes_fit_into_a_window_together(plan: list[tuple[float, int]], costs: list[float]) -> None:
    terms, level, now = Terms.of(Limit(amount=20, per=10, cost=lambda request: 2)), Level(), 1000.0
    moments: list[tuple[float, float]] = []
    for pause, asks in plan:
        now += pause
        for number in range(asks):
            cost = costs[number % len(costs)]
            moments.append((book(terms, level, now, cost), cost))
    assert crowded(moments, 10) <= 20


@given(steps, st.sampled_from([1.0, 3.0, 50.0]), st.floats(0.2, 20))
def test_a_bucket_never_gives_more_than_it_holds_and_gets_back(
    plan: list[tuple[float, int]], burst: float, rate: float
) -> None:
    terms = Terms.of(Limit(amount=rate, per=1, kind="bucket", burst=burst))
    level, now, moments = Level(), 1000.0, list[float]()
    for pause, asks in plan:
        now += pause
        moments += [book(terms, level, now) for _ in range(asks)]
    tokens, before = burst, 0.0
    for at in sorted(moments):
        tokens = min(burst, tokens + (at - before) * rate) - 1
        before = at
        assert tokens > -1e-6


def test_a_saturated_window_gives_all_it_has_evenly() -> None:
    terms, level = Terms.of(Limit(amount=500, per=10)), Level()
    moments = [book(terms, level, 1000.0) for _ in range(1500)]
    assert sum(at < 1030 for at in moments) == 1500
    gaps = [later - earlier for earlier, later in zip(sorted(moments), sorted(moments)[1:], strict=False)]
    assert max(gaps) < 0.05


def test_a_minute_window_lets_most_of_it_go_at_once() -> None:
    level = Level()
    assert [book(MINUTE, level, 1000.0) for _ in range(50)] == [1000.0] * 50


def test_a_window_with_room_waits_for_nobody() -> None:
    level = Level()
    assert book(SLOW, level, 1000.0) == 1000.0
    assert book(SLOW, level, 1005.0) == 1005.0


def test_a_long_log_is_kept_short_and_errs_to_the_safe_side() -> None:
    terms, level = Terms.of(Limit(amount=5000, per=3600)), Level()
    moments = [(book(terms, level, 1000.0 + number * 0.5), 1.0) for number in range(3000)]
    assert len(level.log) <= 201
    assert crowded(moments, 3600) <= 5000


def test_the_margin_delays_every_moment_of_a_used_bucket_and_not_its_rate() -> None:
    level = Level()
    moments = [book(BUCKET, level, 1000.0, margin=0.1) for _ in range(100)]
    assert moments[44] == 1000.0
    assert moments[99] == pytest.approx(1000.0 + 50 * 0.02 + 0.1)


def test_a_cold_beginning_counts_on_little_until_the_answer_says_when_it_arrived() -> None:
    level = Level()
    for _ in range(50):
        book(BUCKET, level, 1000.0, cold=0.5)
    assert earliest(BUCKET, level, 1.0, 1000.0, 0.0) == pytest.approx(1000.52)
    begun(BUCKET, level, 0.1, 0.5)
    assert earliest(BUCKET, level, 1.0, 1000.0, 0.0) == pytest.approx(1000.12)


def test_a_window_begins_when_its_first_request_arrives() -> None:
    terms, level = Terms.of(Limit(amount=2, per=1)), Level()
    assert [book(terms, level, 1000.0), book(terms, level, 1000.0)] == [1000.0, 1000.5]
    begun(terms, level, 0.3, 0.0)
    assert book(terms, level, 1000.4) == pytest.approx(1001.3)
    level.log = [[1000.0, 1.0]]
    begun(terms, level, 0.3, 0.0)
    assert level.log == [[1000.3, 1.0]]


def test_background_work_leaves_a_reserve() -> None:
    level = Level()
    for _ in range(45):
        book(BUCKET, level, 1000.0)
    assert earliest(BUCKET, level, 1.0, 1000.0, 0.0) == 1000.0
    assert earliest(BUCKET, level, 1.0, 1000.0, 0.0, background=True) > 1000.0
    slots, full = Terms("concurrency", 10, reserve=0.2), Level(leases=dict.fromkeys("abcdefgh", 2000.0))
    assert earliest(slots, full, 1.0, 1000.0, 0.0) == 1000.0
    assert earliest(slots, full, 1.0, 1000.0, 0.0, background=True) == NEVER
    told = Level(left=5, ends=1010.0, peak=100)
    assert earliest(LEARNED, told, 1.0, 1000.0, 0.0) == 1000.0
    assert earliest(LEARNED, told, 1.0, 1000.0, 0.0, background=True) == 1010.0


def test_concurrency_slots_free_themselves_when_their_holder_died() -> None:
    slots, level = Terms("concurrency", 1), Level(leases={"a": 1010.0})
    assert earliest(slots, level, 1.0, 1000.0, 0.0) == NEVER
    assert earliest(slots, level, 1.0, 1010.0, 0.0) == 1010.0


def test_a_request_that_costs_more_than_the_budget_takes_all_of_it() -> None:
    level = Level()
    assert book(BUCKET, level, 1000.0, cost=500) == 1000.0
    assert book(BUCKET, level, 1000.0, cost=500) == pytest.approx(1001.0)
    weighted, level = Terms.of(Limit(amount=10, per=5, cost=3)), Level()
    assert [book(weighted, level, 1000.0, 50), book(weighted, level, 1000.0, 50)] == [1000.0, 1005.0]


def test_what_a_learned_window_has_left_only_goes_down_until_it_ends() -> None:
    level = Level()
    assert learn(LEARNED, level, News("", 10, 60.0), 0.0, 1000.0)
    learn(LEARNED, level, News("", 400, 60.0), 0.0, 1001.0)
    assert level.left == 10
    learn(LEARNED, level, News("", 3, 50.0), 0.0, 1002.0)
    assert (level.left, level.ends) == (3, 1052.0)
    learn(LEARNED, level, News("", 400, 60.0), 0.0, 1053.0)
    assert level.left == 400


def test_requests_admitted_after_the_answered_one_are_not_left_any_more() -> None:
    level = Level(total=12)
    learn(LEARNED, level, News("", 10, 60.0), 5.0, 1000.0)
    assert level.left == 3


def test_an_empty_learned_window_is_followed_by_one_of_the_same_size() -> None:
    level = Level()
    learn(LEARNED, level, News("", 2, 10.0, limit=5), 0.0, 1000.0)
    assert [book(LEARNED, level, 1000.0) for _ in range(9)] == [1000.0] * 2 + [1010.0] * 5 + [1020.0] * 2
    assert learn(LEARNED, level, News("", 0, 5.0), 0.0, 1001.0) is False
    assert book(LEARNED, level, 1050.0) == 1050.0


def test_a_learned_window_that_is_over_begins_anew() -> None:
    level = Level()
    learn(LEARNED, level, News("", 1, 10.0, limit=3), 0.0, 1000.0)
    assert [book(LEARNED, level, 1030.0) for _ in range(4)] == [1030.0] * 3 + [1040.0]


def test_a_moment_that_another_budget_delays_is_charged_to_the_window_that_is_known() -> None:
    level = Level()
    learn(LEARNED, level, News("", 5, 10.0), 0.0, 1000.0)
    commit(LEARNED, level, 1.0, at=1012.0, now=1000.0, margin=0.0)
    assert (level.left, level.ends) == (4, 1010.0)


def test_a_fixed_window_is_new_when_the_provider_says_so() -> None:
    terms, level = Terms.of(Limit(amount=100, per=60, kind="fixed")), Level()
    for _ in range(84):
        assert book(terms, level, 1000.0) == 1000.0
    learn(terms, level, News("", 15, 5.0), 85.0, 1000.0)
    moments = [book(terms, level, 1000.0) for _ in range(17)]
    assert moments[0] == pytest.approx(1000 + 60 / 17)  # the even stream's turn
    assert moments[1] == pytest.approx(1005.0)
    assert moments[-1] == pytest.approx(1005.0)
    later = [book(terms, level, 1006.0) for _ in range(3)]
    assert later == [1006.0] * 3
    assert level.ends == 0.0


def test_a_sliding_window_obeys_what_is_left_as_well() -> None:
    level = Level()
    learn(MINUTE, level, News("", 1, 20.0), 0.0, 1000.0)
    assert book(MINUTE, level, 1000.0) == 1000.0
    assert book(MINUTE, level, 1000.0) == 1020.0


def test_a_bucket_is_lowered_by_news_and_never_raised() -> None:
    level = Level()
    assert learn(BUCKET, level, News("", 0, 0.0), 0.0, 1000.0)
    assert book(BUCKET, level, 1000.0) == pytest.approx(1000.02)
    before = level.even
    assert learn(BUCKET, level, News("", 50, 0.0), 0.0, 1000.0) is False
    assert level.even == before


def test_the_provider_says_how_large_its_budget_is() -> None:
    level = Level()
    learn(BUCKET, level, News("", 4000, 0.0, limit=4000, restore=200), 0.0, 1000.0)
    size = sized(BUCKET, level)
    assert (size.amount, size.per, size.burst) == (4000, 20.0, 4000)
    window = Level()
    learn(MINUTE, window, News("", 600, 60.0, limit=600, span=30.0), 0.0, 1000.0)
    assert (sized(MINUTE, window).amount, sized(MINUTE, window).per) == (600, 30.0)
    lie = Level()
    learn(MINUTE, lie, News("", 10**9, 60.0, limit=1e12), 0.0, 1000.0)
    assert sized(MINUTE, lie).amount == 60
    learned = Level()
    learn(LEARNED, learned, News("", 5, 60.0, span=30.0), 0.0, 1000.0)
    assert learned.span == 30.0


def test_after_a_refusal_the_whole_budget_steps_back_once() -> None:
    level = Level()
    for _ in range(60):
        book(BUCKET, level, 1000.0)
    refuse(BUCKET, level, 2.0, 0, 1000.5)
    assert (level.epoch, level.stop) == (1, 1002.5)
    even = level.even
    refuse(BUCKET, level, 1.0, 0, 1000.6)
    assert level.epoch == 1
    assert level.even == pytest.approx(even + 0.02)
    assert earliest(BUCKET, level, 1.0, 1000.6, 0.0) == 1002.5


def test_a_window_that_was_refused_is_empty() -> None:
    level = Level()
    refuse(SLOW, level, 0.5, 0, 1000.0)
    assert book(SLOW, level, 1000.0) == 1000.5
    assert book(SLOW, level, 1000.0) == pytest.approx(1000.6)


def test_repeated_refusals_teach_the_pace_and_peace_unlearns_it() -> None:
    level = Level()
    for start in (1000.0, 1060.0):
        book(LEARNED, level, start)
        refuse(LEARNED, level, 60.0, level.epoch, start, told=True)
    assert level.pace == 60.0
    assert book(LEARNED, level, 1121.0) == 1121.0
    assert book(LEARNED, level, 1121.0) == pytest.approx(1121.0 + 60, abs=0.5)
    spaced = [book(LEARNED, level, 1121.0) for _ in range(400)]
    assert spaced[-1] - spaced[-2] < spaced[1] - spaced[0]
    book(LEARNED, level, level.last + 400.0)
    assert level.pace == 0.0


def test_a_first_refusal_is_taken_to_be_of_as_many_as_were_admitted() -> None:
    level = Level()
    for _ in range(50):
        book(LEARNED, level, 1000.0)
    refuse(LEARNED, level, 1.0, 0, 1000.1)
    assert level.pace == pytest.approx(1 / 50)
    assert [book(LEARNED, level, 1000.1) for _ in range(3)] == pytest.approx([1001.1, 1001.12, 1001.14], abs=0.001)


def test_the_rate_between_two_refusals_counts_what_left_and_not_what_was_handed_out() -> None:
    level = Level()
    book(LEARNED, level, 1000.0)
    refuse(LEARNED, level, 1.0, 0, 1000.0)
    level.pace = 0.1
    for _ in range(100):
        book(LEARNED, level, 1001.0)  # until 1011, of which 50 have left when the next refusal comes
    refuse(LEARNED, level, 1.0, 1, 1006.0)
    assert level.pace == pytest.approx(1.02 * 6 / 50, rel=0.05)


def test_a_window_that_is_still_closed_is_looked_at_less_and_less_often() -> None:
    level, at = Level(), 1000.0
    book(LEARNED, level, at)
    refuse(LEARNED, level, 1.0, 0, at)
    pace = level.pace
    stops = list[float]()
    for _ in range(12):
        at = book(LEARNED, level, level.stop)
        refuse(LEARNED, level, 1.0, level.epoch, at)
        stops.append(level.stop - at)
    assert stops[0] == 1.0
    assert stops[-1] == pytest.approx(5.9, abs=0.5)
    assert level.pace <= pace


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    level = Level(left=TRIPS - 1)
    assert earliest(CIRCUIT, level, 1.0, 1000.0, 0.0) == 1000.0
    assert commit(CIRCUIT, level, 1.0, at=1000.0, now=1000.0, margin=0.0) is False
    level.left = TRIPS
    commit(CIRCUIT, level, 1.0, at=1000.0, now=1000.0, margin=0.0)
    assert earliest(CIRCUIT, level, 1.0, 1000.0, 0.0) == 1000.0 + PROBE_SECONDS


def test_costs_are_corrected_and_given_back() -> None:
    bucket = Level(even=1000.0)
    adjust(BUCKET, bucket, 5, 1000.0, 1000.0)
    assert bucket.even == pytest.approx(1000.1)
    window = Level(left=10, ends=1010.0)
    adjust(SLOW, window, 3, 1000.0, 1000.0)
    adjust(SLOW, window, -3, 1000.0, 1000.0)
    assert (window.left, sum(units for _, units in window.log)) == (7, 0)
    over = Level(left=10, ends=900.0)
    adjust(LEARNED, over, 3, 1000.0, 1000.0)
    assert over.left == 10


def test_draining_leaves_learned_budgets_alone() -> None:
    level = Level()
    drain(LEARNED, level, 1000.0)
    assert level == Level()


def test_a_level_survives_being_written_and_one_from_another_clock_does_not() -> None:
    level = Level(even=1.5, stop=3.0, log=[[1.0, 2.0]], leases={"a": 4.0}, epoch=3)
    assert Level.load(level.dump(), 2.0) == level
    assert Level.load(replace(level, stop=1e6).dump(), 2.0) == Level()
    assert Terms.load(BUCKET.dump()) == BUCKET


@given(st.floats(0, 1e9), st.floats(0, 1e6))
def test_no_refusal_stops_longer_than_the_longest_wait(seconds: float, now: float) -> None:
    level = Level()
    refuse(LEARNED, level, seconds, 0, now)
    assert level.stop <= now + LONGEST_WAIT


def test_what_stands_can_be_told() -> None:
    level = Level()
    assert standing(BUCKET, level, 1000.0) == 50
    book(BUCKET, level, 1000.0)
    assert standing(BUCKET, level, 1000.0) == pytest.approx(49)
    assert standing(MINUTE, Level(log=[[999.0, 10.0]], even=2000.0), 1000.0) == 40
    assert standing(Terms("concurrency", 3), Level(leases={"a": 1001.0, "b": 999.0}), 1000.0) == 2
    assert standing(LEARNED, Level(), 1000.0) is None
    assert standing(LEARNED, Level(left=-4, ends=1010.0), 1000.0) == 0


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
@pytest.mark.parametrize("latency", [0.005, 0.06])
def test_answers_out_of_order_do_not_end_a_window_early(kind: Any, latency: float) -> None:
    """32 callers on 500 in 10 s; every answer says what is left, and overtakes others on its way."""
    chance = random.Random(7)
    terms, level = Terms.of(Limit(amount=500, per=10, kind=kind)), Level()
    events: list[tuple[float, int, float | None]] = [(1000.0 + number * 1e-4, number, None) for number in range(32)]
    began, used, sent, number = 0.0, 0, 0, 32
    while events[0][0] <= 1030.0:
        now, _, mark = heapq.heappop(events)
        number += 1
        if mark is None:
            at = book(terms, level, now, margin=0.06)
            heapq.heappush(events, (at + chance.uniform(0.001, latency), number, level.total))
            continue
        if now >= began + 10:
            began, used = now, 0
        used += 1
        sent += 1
        assert used <= 500
        learn(terms, level, News("", 500 - used, began + 10 - now, 500.0), mark, now)
        heapq.heappush(events, (now + chance.uniform(0.001, latency), number, None))
    assert sent >= 0.985 * 1500


@pytest.mark.parametrize("kind", ["sliding", "fixed"])
def test_a_window_is_empty_for_as_long_as_the_provider_says_and_no_longer(kind: Any) -> None:
    hour = Terms(kind=kind, amount=500, per=3600, burst=500)
    told, guessed = Level(), Level()
    refuse(hour, told, 2.0, 0, 1000.0, told=True)
    refuse(hour, guessed, 2.0, 0, 1000.0)
    assert earliest(hour, told, 1.0, 1000.0, 0.0) == pytest.approx(1002, abs=1)
    assert earliest(hour, guessed, 1.0, 1000.0, 0.0) > 1100


def test_a_breaker_begins_as_it_is_at_a_keeper_that_takes_over() -> None:
    level = Level(left=2)
    empty(CIRCUIT, level, 1000.0)
    assert level == Level(left=2)
