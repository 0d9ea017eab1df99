"""Many processes on one quota: it is used up and not exceeded, whoever is killed, started or stopped meanwhile.

The short forms run always and ask for less, because a few seconds on a busy machine say less; `pytest -m slow` runs
every row for 30 s with the numbers that are promised, and `python tests/attacks/quota.py` prints them as a table.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attacks.own_redis import OwnRedis, answers
from tests.attacks.quota import REDIS, ROWS, Measured, Row, Stage, run

BY_NAME = {row.name: row for row in ROWS}
STRICT = BY_NAME["strict bucket 50/s"]
PROMISED = [row for row in ROWS if row.name != "strict sliding 50/s"]


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "redis" and not answers(REDIS):
        if os.environ.get("CLEW_CI"):
            pytest.fail("no Redis: set CLEW_TEST_REDIS_URL")
        pytest.skip("no Redis: set CLEW_TEST_REDIS_URL")
    return str(request.param)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.stop()


def check(row: Row, seen: Measured, *, goodput: float | None = None, strict: bool = True) -> None:
    print(f"{row.name}: {seen}")
    assert seen.refused <= row.refused
    assert seen.goodput >= (row.goodput if goodput is None else goodput)
    if strict:  # a run shorter than the provider's window may use more than the run's share of it
        assert seen.goodput <= 1.02
    if strict and row.name != "slow 3/s":
        assert seen.fairness >= 0.97
    if strict and row.wait is not None:
        assert seen.p99 <= row.wait


@pytest.mark.parametrize("name", ["strict bucket 50/s", "refusals count, fixed"])
def test_a_quota_is_shared_and_not_exceeded(name: str, store: str) -> None:
    check(BY_NAME[name], run(BY_NAME[name], store, 3.0), goodput=0.5, strict=False)


@pytest.mark.slow
@pytest.mark.parametrize("row", PROMISED, ids=lambda row: row.name)
def test_every_quota_is_used_up_evenly_and_not_exceeded(row: Row, store: str) -> None:
    check(row, run(row, store, 30.0))


@pytest.mark.slow
def test_a_killed_process_and_a_new_one_change_nothing(store: str) -> None:
    def disturb(stage: Stage) -> None:
        stage.sleep_until(8)
        stage.kill("p3")
        stage.prepare("late", 8)
        stage.await_ready("late")
        stage.sleep_until(14)
        stage.release("late", stage.start + 14)
        stage.weights.pop("late")
        stage.others.append("late")

    check(STRICT, run(STRICT, store, 30.0, disturb), goodput=0.98)


@pytest.mark.slow
def test_a_stopped_redis_is_replaced_by_limits_on_the_machine(own_redis: OwnRedis) -> None:
    def disturb(stage: Stage) -> None:
        stage.sleep_until(10)
        own_redis.stop()
        stage.sleep_until(15)
        own_redis.start()

    check(STRICT, run(STRICT, f"redis={own_redis.url}", 30.0, disturb))
