"""Each figure of the statistics, from records made for it."""

from typing import Any

from clew.servers.prices import money
from clew.servers.stats import Statistics
from clew.servers.stats_page import render

PRICES = {"currency": "EUR", "tokens_in": 2.0, "tokens_out": 10.0, "units": {"acme": 0.5, "acme.points": 0.1}}


def record(started: float, code: str = "ok", **facts: Any) -> dict[str, Any]:
    made = {"connector": "acme", "tool": "send", "account": "work", "tenant": "local", "effect": "write"}
    return {**made, "started": 1.7e9 + started, "seconds": 1.0, "code": code, "outcome": "applied", **facts}


def stats(*records: dict[str, Any], by: str = "tool") -> dict[str, Any]:
    statistics = Statistics(by, PRICES)
    for each in records:
        statistics.add(each)
    return statistics.as_dict()


def test_rates_are_shares_of_the_calls() -> None:
    again = [{"method": "GET", "route": "/", "code": "transient"}, {"method": "GET", "route": "/"}]
    two = [{"method": "GET", "route": "/"}, {"method": "GET", "route": "/"}]
    found = stats(
        record(0, attempts=again),
        record(1, attempts=two),
        record(2, "outcome_unknown", outcome="unknown"),
        record(3, "auth_revoked"),
        record(4, "already_done"),
    )["total"]
    assert (found["calls"], found["success_rate"], found["retry_rate"]) == (5, 0.6, 0.2)
    assert (found["unknown_rate"], found["reconnect_rate"], found["intervention_rate"]) == (0.2, 0.2, 0.2)


def test_a_question_answered_in_another_round_is_one_call_and_its_wait_is_the_person_s() -> None:
    found = stats(record(0, "asked", task="t"), record(40, answer="agreed", task="t"), record(50, answer="declined",
                  code="denied", answered_after=20.0, task="t"), record(60, "asked", tool="other"))  # fmt: skip
    assert found["total"]["calls"] == 2
    assert found["people"] == {
        "calls": 2, "answers": 2, "unanswered": 1, "answer_seconds_mean": 30.0, "tasks": 1,
        "seconds_to_intervention_mean": 0.0,
    }  # fmt: skip


def test_tasks_are_traces_or_labels_and_succeed_by_their_last_call() -> None:
    found = stats(
        record(0, task="a"),
        record(1, "transient", trace_id="b"),
        record(2, trace_id="b", tokens_in=10, tokens_out=30),
        record(3, "outcome_unknown", outcome="unknown", task="c"),
        record(4, task="c"),
        record(5),
    )["tasks"]
    assert (found["tasks"], found["succeeded"], found["calls_outside"], found["tokens_per_success"]) == (3, 2, 1, 20)
    assert found["by_steps"] == [
        {"steps": "1", "tasks": 1, "success_rate": 1.0},
        {"steps": "2-3", "tasks": 2, "success_rate": 0.5},
    ]


def test_resolution_is_from_the_first_failure_to_the_next_success() -> None:
    found = stats(record(0, "transient"), record(10, "transient"), record(29), record(40, "denied", tool="other"))
    assert found["resolution"] == {"resolved": 1, "open": 1, "seconds_mean": 30.0, "seconds_median": 30.0}


def test_money_is_tokens_and_units_at_their_prices() -> None:
    one = record(0, tokens_in=100_000, tokens_out=500_000, units={"requests": 2.0, "points": 5.0})
    assert money(one, PRICES) == 1.0 + 1.0 + 1.0 + 0.5
    assert money(one, {}) == 0.0


def test_our_own_housekeeping_is_no_call_and_nothing_makes_an_empty_page() -> None:
    found = stats({**record(0), "connector": "clew", "tool": "retention"})
    assert found["total"]["calls"] == 0
    assert "No calls in this time" in render(found)


def test_names_from_outside_cannot_break_the_page() -> None:
    page = render(stats(record(0, caller="<script>alert(1)</script>"), by="caller"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_every_figure_of_an_example_computed_by_hand() -> None:
    """Two tasks and a call outside, eight calls and two questions; what must come out stands beside each figure."""
    ones: dict[str, Any] = {"tokens_in": 100_000, "tokens_out": 200_000, "units": {"requests": 1.0}}
    found = stats(
        # Task a: three calls, of which the second is asked about and answered 30 s later; it succeeds.
        record(0, task="a", tool="read", effect="read", outcome="not_applied", **ones),
        record(10, "asked", task="a"),
        record(40, task="a", answer="agreed", **ones),
        record(60, task="a", attempts=[{"method": "POST", "route": "/x", "code": "rate_limited"},
                                       {"method": "POST", "route": "/x"}], **ones),
        # Task b: fails, is repeated 90 s later and succeeds, and ends in doubt.
        record(100, "transient", task="b", outcome="not_applied", **ones),
        record(190, task="b", **ones),
        record(200, "outcome_unknown", task="b", outcome="unknown", **ones),
        # Outside of tasks: a login is needed; a question that nobody answers.
        record(300, "auth_revoked", tool="read", outcome="not_applied"),
        record(310, "asked", tool="other"),
    )  # fmt: skip
    total, tasks, people, resolution = (found[name] for name in ("total", "tasks", "people", "resolution"))
    assert total["calls"] == 7  # nine records, two of them questions
    assert total["success_rate"] == round(4 / 7, 4)  # read, agreed, sent again, repeated
    assert total["retry_rate"] == round(1 / 7, 4)  # the one whose first request was refused
    assert total["intervention_rate"] == round(2 / 7, 4)  # agreed, login
    assert total["unknown_rate"] == round(1 / 7, 4)
    assert total["reconnect_rate"] == round(1 / 7, 4)
    assert {each["name"]: (each["calls"], each["success_rate"]) for each in found["rows"]} == {
        "acme.send": (5, 0.6), "acme.read": (2, 0.5),
    }  # fmt: skip
    assert found["failures"] == {"transient": 1, "outcome_unknown": 1, "auth_revoked": 1}
    assert (tasks["tasks"], tasks["succeeded"], tasks["success_rate"], tasks["calls_outside"]) == (2, 1, 0.5, 1)
    assert tasks["by_steps"] == [{"steps": "2-3", "tasks": 2, "success_rate": 0.5}]
    assert tasks["tokens_per_success"] == 6 * 300_000  # both tasks' six calls, for the one that succeeded
    # A call: 0.2 M read at 2 EUR, 0.1 M written at 10 EUR, one request at 0.5 EUR.
    assert tasks["cost_per_success"] == round(6 * (0.4 + 1.0 + 0.5), 6)
    assert (people["answers"], people["answer_seconds_mean"], people["unanswered"]) == (1, 30.0, 1)
    assert (people["tasks"], people["seconds_to_intervention_mean"]) == (1, 10.0)  # in task a, after 10 s
    assert (resolution["resolved"], resolution["seconds_mean"]) == (1, 91.0)  # from 100 to the end of the one at 190
    assert resolution["open"] == 2  # the doubt in task b, the login
