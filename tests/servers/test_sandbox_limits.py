"""Acme's quotas: the arithmetic with a clock in hand, then by real HTTP."""

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from clew.servers.sandbox import Sandbox, Settings
from clew.servers.sandbox.limits import Limits
from clew.servers.sandbox.refusals import RefusalError

NOW = 1_800_000_000.0


def admit(limits: Limits, now: float, key: str = "grant") -> int:
    """Return 0 for an admitted call, else the Retry-After of the refusal."""
    try:
        limits.admit(key, now)
    except RefusalError as refusal:
        return int(refusal.headers["Retry-After"])
    limits.leave(key)
    return 0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def test_a_fixed_window_opens_with_the_first_call_and_closes_whole() -> None:
    limits = Limits(Settings(rate_limit=2, rate_window_seconds=10))
    assert [admit(limits, NOW), admit(limits, NOW + 4), admit(limits, NOW + 5)] == [0, 0, 5]
    assert admit(limits, NOW + 9.9) == 1
    assert admit(limits, NOW + 10) == 0


def test_refused_calls_extend_a_fixed_window_when_they_count() -> None:
    limits = Limits(Settings(rate_limit=1, rate_window_seconds=10, count_refused=True))
    assert [admit(limits, NOW), admit(limits, NOW + 9), admit(limits, NOW + 18)] == [0, 10, 10]
    assert admit(limits, NOW + 28) == 0


def test_a_bucket_refills_evenly() -> None:
    limits = Limits(Settings(rate_limit=2, rate_window_seconds=10, rate_algorithm="bucket"))
    assert [admit(limits, NOW), admit(limits, NOW), admit(limits, NOW)] == [0, 0, 5]
    assert [admit(limits, NOW + 5), admit(limits, NOW + 5)] == [0, 5]


def test_refused_calls_take_a_bucket_below_zero_when_they_count() -> None:
    limits = Limits(Settings(rate_limit=1, rate_window_seconds=10, rate_algorithm="bucket", count_refused=True))
    assert [admit(limits, NOW), admit(limits, NOW), admit(limits, NOW + 10)] == [0, 20, 20]


def test_a_sliding_window_holds_for_every_stretch_of_time() -> None:
    limits = Limits(Settings(rate_limit=2, rate_window_seconds=10, rate_algorithm="sliding"))
    assert [admit(limits, NOW), admit(limits, NOW + 9), admit(limits, NOW + 9.5)] == [0, 0, 1]
    assert [admit(limits, NOW + 10), admit(limits, NOW + 11)] == [0, 8]
    assert limits.most_in_window() == 2


def test_refused_calls_fill_a_sliding_window_when_they_count() -> None:
    limits = Limits(Settings(rate_limit=1, rate_window_seconds=10, rate_algorithm="sliding", count_refused=True))
    assert [admit(limits, NOW), admit(limits, NOW + 5), admit(limits, NOW + 11)] == [0, 10, 10]
    assert admit(limits, NOW + 21) == 0


def test_without_enforcement_calls_are_admitted_and_counted() -> None:
    limits = Limits(Settings(rate_limit=1, rate_window_seconds=10, rate_enforced=False))
    assert [admit(limits, NOW + second) for second in (0, 1, 2, 30)] == [0, 0, 0, 0]
    assert limits.most_in_window() == 3
    assert limits.most_in_window("other") == 0
    assert len(limits.refused) == 0


def test_a_burst_is_refused_in_disguise_and_passes() -> None:
    limits = Limits(Settings(burst_limit=2, burst_seconds=3))
    assert [admit(limits, NOW), admit(limits, NOW + 1), admit(limits, NOW + 2)] == [0, 0, 1]
    assert admit(limits, NOW + 3) == 0


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="rate_algorithm"):
        Settings(rate_algorithm="leaky")
    with pytest.raises(ValueError, match="positive"):
        Settings(rate_limit=0)


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(rate_limit=3, rate_window_seconds=60, burst_limit=50, max_concurrent=2) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


def get_me(sandbox: Sandbox, token: str) -> httpx.Response:
    return httpx.get(f"{sandbox.url}/api/me", headers={"Authorization": f"Bearer {token}"})


def test_headers_count_down_and_the_fourth_call_is_429(sandbox: Sandbox) -> None:
    answers = [get_me(sandbox, sandbox.pat) for _ in range(4)]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
    refused = answers[3]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert abs(int(refused.headers["x-ratelimit-reset"]) - sandbox.state.now() - 60) < 5
    assert (len(sandbox.state.limits.admitted), len(sandbox.state.limits.refused)) == (3, 1)


def test_after_the_window_calls_are_admitted_again(sandbox: Sandbox) -> None:
    for _ in range(3):
        get_me(sandbox, sandbox.pat)
    assert get_me(sandbox, sandbox.pat).status_code == 429
    sandbox.advance(60)
    assert get_me(sandbox, sandbox.pat).status_code == 200


def test_a_refreshed_token_shares_the_quota_of_its_grant_and_another_grant_does_not(sandbox: Sandbox) -> None:
    first = sandbox.log_in()
    for _ in range(3):
        get_me(sandbox, str(first["access_token"]))
    fields = {
        "grant_type": "refresh_token",
        "client_id": "clew-demo",
        "refresh_token": str(first["refresh_token"]),
    }
    second = httpx.post(f"{sandbox.url}/oauth/token", data=fields).json()
    assert get_me(sandbox, second["access_token"]).status_code == 429
    assert get_me(sandbox, str(sandbox.log_in()["access_token"])).status_code == 200
    assert get_me(sandbox, sandbox.mint_pat()).status_code == 200


def test_a_missing_scope_costs_a_call_and_a_wrong_token_does_not(sandbox: Sandbox) -> None:
    token = sandbox.mint_pat(scopes=[])
    refused = httpx.get(f"{sandbox.url}/api/contacts", headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "2")
    assert "x-ratelimit-remaining" not in get_me(sandbox, "wrong").headers


def test_too_many_at_once_are_429(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.pat}"}
    body = {"amount": 1, "currency": "eur", "card": "4242"}
    sandbox.fault("slow", method="POST", times=None, seconds=None, when="during")

    def pay() -> None:
        httpx.post(f"{sandbox.url}/api/payments", headers=headers, json=body)

    threads = [threading.Thread(target=pay) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: sandbox.state.limits.peak_concurrent == 2)
    third = get_me(sandbox, sandbox.pat)
    assert (third.status_code, third.json()["error"]["code"]) == (429, "too_many_concurrent")
    sandbox.clear_faults()
    for thread in threads:
        thread.join(5)
    assert get_me(sandbox, sandbox.pat).status_code == 200


def test_a_burst_answers_403_with_code_quota() -> None:
    with Sandbox(burst_limit=1, burst_seconds=60) as sandbox:
        get_me(sandbox, sandbox.pat)
        refused = get_me(sandbox, sandbox.pat)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "quota")
        assert int(refused.headers["retry-after"]) > 0
