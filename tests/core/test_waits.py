"""How long a refusal says to wait, in every unit that providers use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.limits import LONGEST_WAIT
from clew.core.response import Response
from clew.core.waits import Reset, Unit, seconds, wait_of

NOW = 1_767_225_600.0


def answer(data: object = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(429, named, b"", data, None, "GET", "https://acme.example/")


@pytest.mark.parametrize(
    ("value", "unit", "wait"),
    [
        ("30", "delta_s", 30),
        ("1.5", "delta_s", 1.5),
        ("1500", "delta_ms", 1.5),
        (f"{NOW + 60:.0f}", "epoch_s", 61),
        (f"{NOW * 1000 + 60_000:.0f}", "epoch_ms", 60),
        (f"{NOW * 1000 + 60_000:.0f}", "epoch_s", 60),
        (f"{NOW * 1000 + 60_000:.0f}", "delta_s", 60),
        (f"{NOW + 60:.0f}", "epoch_ms", 61),
        (f"{NOW + 60:.0f}", "delta_s", 61),
        ("2026-01-01T00:01Z", "iso", 60),
        ("2026-01-01T00:01:00", "iso", 60),
        ("Thu, 01 Jan 2026 00:01:00 GMT", "http_date", 60),
        ("Thu, 01 Jan 2026 00:01:00 GMT", "iso", 60),
        (f"{NOW - 10:.0f}", "epoch_s", 0),
        ("7000", "delta_s", 3600),
        ("7201", "delta_s", None),
        ("2065-10-21T07:28:00Z", "iso", None),
        ("Wed, 21 Oct 2065 07:28:00 GMT", "http_date", None),
        (f"{NOW - 3600:.0f}", "epoch_s", None),
        ("soon", "delta_s", None),
        ("", "delta_s", None),
        ("-5", "delta_s", None),
        ("1e9", "delta_s", None),
    ],
)
def test_a_value_is_read_in_its_unit_and_by_its_size(value: str, unit: Unit, wait: float | None) -> None:
    assert seconds(value, unit, NOW) == (None if wait is None else pytest.approx(wait, abs=0.01))


@given(
    value=st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.datetimes().map(str)),
    unit=st.sampled_from(["epoch_s", "epoch_ms", "delta_s", "delta_ms", "http_date", "iso"]),
)
def test_no_value_makes_anybody_wait_longer_than_the_clamp(value: str, unit: Unit) -> None:
    wait = seconds(value, unit, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


def test_the_longest_of_several_places_counts() -> None:
    resets = (Reset(header="x-a"), Reset(header="x-b"), Reset(body="retry_after"))
    assert wait_of(answer({"retry_after": 4}, x_a="2", x_b="nonsense"), resets, NOW) == 4
    assert wait_of(answer(), resets, NOW) is None
    assert wait_of(answer({"retry_after": 4}), (), NOW) is None


def test_a_budget_that_is_not_empty_says_nothing() -> None:
    reset = (Reset(header="x-reset", remaining="x-left"),)
    assert wait_of(answer(x_reset="9", x_left="3"), reset, NOW) is None
    assert wait_of(answer(x_reset="9", x_left="0"), reset, NOW) == 9
    assert wait_of(answer(x_reset="9"), reset, NOW) == 9


def test_a_value_is_taken_out_of_packed_text() -> None:
    reset = (Reset(header="x-packed", pattern=r"resets=(\d+)"),)
    assert wait_of(answer(x_packed="total=100; remaining=0; resets=41"), reset, NOW) == 41
    assert wait_of(answer(x_packed="total=100"), reset, NOW) is None
