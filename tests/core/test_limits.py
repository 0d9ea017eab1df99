"""What a provider says about its limit, and what is believed of it."""

import time
from collections.abc import Generator, Mapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import ConfigurationError
from clew.core.limits import LONGEST_WAIT, Limit, News, RateLimitHeaders, Unit, retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setenv("TZ", "XYZ+11")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("2.128", 2.128),
        ("0", 0.0),
        ("3,3", 3.0),
        ("3, 7", 3.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30.0),
        ("Fri Jan 15 08:00:30 2027", 30.0),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
        ("Fri, 15 Jan 2027 09:00:30 +0100", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2065 07:28:00 GMT", LONGEST_WAIT),
        ("999999999999999", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("nan", None),
        ("inf", None),
        ("9" * 400, None),
        ("Wed, 99 Oct 99999 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_spelling_and_clamped(
    value: str, seconds: float | None, far_from_utc: None
) -> None:
    assert retry_after({"retry-after": value}, lambda: NOW) == seconds


def test_no_header_says_nothing() -> None:
    assert retry_after({}) is None


@given(st.text(max_size=60))
def test_no_header_text_breaks_the_reader_or_makes_an_endless_wait(value: str) -> None:
    seconds = retry_after({"retry-after": value}, lambda: NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


def declared(unit: Unit, bucket: str | None = None) -> RateLimitHeaders:
    return RateLimitHeaders(remaining="left", reset="reset", unit=unit, bucket=bucket)


@pytest.mark.parametrize(
    ("unit", "reset", "seconds"),
    [
        ("epoch_s", "1800000030", 31.0),
        ("epoch_s", "1800000030.5", 31.5),
        ("epoch_ms", "1800000030500", 30.5),
        ("delta_s", "30", 30.0),
        ("delta_s", "0.25", 0.25),
        ("delta_ms", "1500", 1.5),
        ("http_date", "Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("iso", "2027-01-15T08:00:30Z", 30.0),
        ("iso", "2027-01-15T09:00:30+01:00", 30.0),
        ("iso", "2027-01-15T08:00:30", 30.0),
        ("epoch_s", "1800000000", 1.0),
        ("epoch_s", "1799999998.5", 0.0),
        ("delta_s", "3601", 3600.0),
        ("delta_s", "1800000030", 31.0),
        ("epoch_s", "30", 30.0),
        ("epoch_s", "1800000030000", 30.0),
        ("epoch_ms", "1800000030", 31.0),
        ("http_date", "Fri, 15 Jan 2027 09:30:00 GMT", 3600.0),
    ],
)
def test_a_reset_is_read_in_its_declared_unit_or_by_its_size(
    unit: Unit, reset: str, seconds: float, far_from_utc: None
) -> None:
    news = declared(unit).read({"left": "7", "reset": reset}, NOW)
    assert news is not None
    assert (news.remaining, news.bucket) == (7, "")
    assert news.reset == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("unit", "headers"),
    [
        ("delta_s", {}),
        ("delta_s", {"left": "1"}),
        ("delta_s", {"reset": "1"}),
        ("delta_s", {"left": "many", "reset": "1"}),
        ("delta_s", {"left": "inf", "reset": "1"}),
        ("delta_s", {"left": "nan", "reset": "1"}),
        ("delta_s", {"left": "1", "reset": "soon"}),
        ("delta_s", {"left": "1", "reset": "nan"}),
        ("delta_s", {"left": "1", "reset": "-30"}),
        ("epoch_s", {"left": "1", "reset": "1900000030"}),
        ("delta_s", {"left": "1", "reset": "90000"}),
        ("delta_ms", {"left": "1", "reset": "9" * 400}),
        ("http_date", {"left": "1", "reset": "tomorrow"}),
        ("http_date", {"left": "1", "reset": "Wed, 21 Oct 2065 07:28:00 GMT"}),
        ("iso", {"left": "1", "reset": "2027-13-45"}),
    ],
)
def test_a_value_that_cannot_be_right_is_not_believed(unit: Unit, headers: Mapping[str, str]) -> None:
    assert declared(unit).read(headers, NOW) is None


def test_less_than_nothing_left_is_nothing_and_the_bucket_is_named() -> None:
    headers = {"left": "-3", "reset": "10", "kind": "search"}
    assert declared("delta_s", bucket="kind").read(headers, NOW) == News("search", 0, 10.0)
    assert declared("delta_s", bucket="other").read(headers, NOW) == News("", 0, 10.0)


@given(st.sampled_from(["epoch_s", "epoch_ms", "delta_s", "delta_ms", "http_date", "iso"]), st.text(), st.text())
def test_no_header_text_breaks_the_budget(unit: Unit, left: str, reset: str) -> None:
    news = declared(unit).read({"left": left, "reset": reset}, NOW)
    assert news is None or (news.remaining >= 0 and 0 <= news.reset <= LONGEST_WAIT)


def test_used_and_limit_say_what_is_left() -> None:
    packed = RateLimitHeaders(packed="sforce-limit-info", pattern=r"api-usage=(?P<used>\d+)/(?P<limit>\d+)")
    assert packed.read({"sforce-limit-info": "api-usage=18/5000"}, NOW) == News("", 4982, 0.0, 5000.0)
    assert packed.read({}, NOW) is None
    zendesk = RateLimitHeaders(
        packed="z", pattern=r"total=(?P<limit>\d+); remaining=(?P<remaining>\d+); resets=(?P<reset>\d+)"
    )
    assert zendesk.read({"z": "total=100; remaining=99; resets=41"}, NOW) == News("", 99, 41.0, 100.0)
    shopify = RateLimitHeaders(used="u", limit="l")
    assert shopify.read({"u": "10", "l": "40"}, NOW) == News("", 30, 0.0, 40.0)


def test_a_window_length_stands_for_a_reset() -> None:
    hubspot = RateLimitHeaders(remaining="left", limit="max", window="interval", window_unit="ms")
    assert hubspot.read({"left": "9", "max": "100", "interval": "10000"}, NOW) == News("", 9, 10.0, 100.0, 10.0)
    seconds = RateLimitHeaders(remaining="left", window="interval")
    assert seconds.read({"left": "9", "interval": "99999"}, NOW) is None


def test_a_body_says_what_is_left_and_what_comes_back() -> None:
    cost = RateLimitHeaders(remaining="c.now", limit="c.max", restore="c.rate", body=True)
    data = {"c": {"now": 974, "max": 2000.0, "rate": 100}}
    assert cost.read({}, NOW, data) == News("", 974, 0.0, 2000.0, 0.0, 100.0)
    assert cost.read({}, NOW, {"c": []}) is None


def test_a_provider_whose_clock_is_off_is_read_by_its_own_date() -> None:
    headers = {"left": "1", "reset": "1800003630", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}
    news = declared("epoch_s").read(headers, NOW)
    assert news is not None
    assert news.reset == pytest.approx(31)
    near = declared("epoch_s").read({**headers, "reset": "1800000030", "date": "Fri, 15 Jan 2027 08:00:01 GMT"}, NOW)
    assert near is not None
    assert near.reset == pytest.approx(31)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reset": "r"},
        {"remaining": "a..b", "body": True},
        {"packed": "h"},
        {"packed": "h", "pattern": "("},
        {"packed": "h", "pattern": "(?P<rest>1)"},
        {"packed": "h", "pattern": "(?P<limit>1)"},
    ],
)
def test_declarations_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        RateLimitHeaders(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": 1, "per": 0},
        {"amount": 1, "reserve": 1},
        {"amount": 5, "burst": 2},
        {"amount": 5, "spent": "a..b"},
    ],
)
def test_limits_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Limit(**wrong)  # type: ignore[arg-type]


def test_a_limit_covers_what_its_templates_say() -> None:
    limit = Limit(amount=1, methods=("GET",), paths=("/repos/{}/{}", "/search*"))
    assert limit.covers("GET", "/repos/{}/{}")
    assert limit.covers("GET", "/search/code")
    assert not limit.covers("POST", "/search/code")
    assert not limit.covers("GET", "/repos/{}/{}/issues")
    assert Limit(amount=1, cost=-3).charge(httpx.Request("GET", "https://x")) == 0
