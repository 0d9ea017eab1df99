"""A provider's rate limits as an author declares them, and what answers say about them.

Units are declared, never guessed from a name: the same name means an epoch at one provider and a delay at another. A
number that cannot be of its unit is read by its size: above 10^12 it is an epoch in milliseconds, above 10^9 one in
seconds. Nothing an answer says makes anybody wait longer than `LONGEST_WAIT`.
"""

import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_text, look_all, steps
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

Unit = Literal["epoch_s", "epoch_ms", "delta_s", "delta_ms", "http_date", "iso"]
Kind = Literal["bucket", "sliding", "fixed", "concurrency"]

LONGEST_WAIT = 3600.0
"""No answer makes us, or an agent, wait longer than this many seconds; a reset further away is not believed."""

_AMOUNT = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """`Retry-After` in seconds: an integer, a decimal, a repeated header (`3,3`) or an HTTP date; clamped."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    number = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)(?:\s*,\s*\d.*)?", value)
    if number:
        seconds = float(number[1])
        return _clamp(_by_size(seconds, now(), seconds))
    delay = _date_delay(value, now())
    return None if delay is None else _clamp(delay)


def _by_size(number: float, now: float, otherwise: float) -> float:
    """Seconds until the moment that `number` can only mean by its size; `otherwise` when it is small enough."""
    if number > 1e12:
        return number / 1000 - now
    return number - now + 1.0 if number > 1e9 else otherwise  # the window ends within that second


def _date_delay(value: str, now: float) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return _seconds_until(moment, now)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _seconds_until(moment: datetime, now: float) -> float:
    """A moment without a zone is UTC, whatever the zone of this machine."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _clamp(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitHeaders:
    """Where a provider says what is left: header names, or field paths with `body=True`, and the unit of `reset`.

    Either `remaining` or `used` (with `limit`) must be there. `window` names the length of the window and
    `window_unit` its unit, for providers that send no reset. `restore` names the units that come back per second.
    `pattern` is a regular expression for one header that holds several facts (`total=100; remaining=99; resets=41`):
    its groups `remaining`, `used`, `limit` and `reset` are read from the header `packed`. `bucket` names the header
    that says which budget was charged (GitHub: `x-ratelimit-resource`); `budget` ties the news to the `Limit` of that
    name.
    """

    remaining: str = ""
    reset: str = ""
    unit: Unit = "delta_s"
    limit: str | None = None
    bucket: str | None = None
    used: str = ""
    window: str = ""
    window_unit: Literal["s", "ms"] = "s"
    restore: str = ""
    packed: str = ""
    pattern: str = ""
    body: bool = False
    budget: str = ""

    def __post_init__(self) -> None:
        names = [self.remaining, self.reset, self.limit or "", self.used, self.window, self.restore]
        if self.body:
            for path in filter(None, names):
                steps(path)
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise ConfigurationError(f"the rate limit pattern {self.pattern!r} does not compile: {error}.") from error
        if bool(self.packed) != bool(self.pattern) or groups - {"remaining", "used", "limit", "reset"}:
            raise ConfigurationError(
                "a packed rate limit header needs packed= and pattern= with the groups remaining, used, limit or reset."
            )
        if not (self.remaining or "remaining" in groups or self.used or "used" in groups):
            raise ConfigurationError("rate limit headers need remaining=, or used= with limit=.")

    def read(self, headers: Mapping[str, str], now: float, data: Any = None) -> "News | None":
        """What one answer says; `None` when it says nothing usable. `now` is epoch seconds here."""
        found = self._values(headers, data)
        limit = _number(found["limit"])
        remaining = _number(found["remaining"])
        used = _number(found["used"])
        if remaining is None and used is not None and limit is not None:
            remaining = limit - used
        if remaining is None:
            return None
        span = _number(found["window"])
        if span is not None and self.window_unit == "ms":
            span /= 1000
        if found["reset"]:
            delay = self._delay(found["reset"], _their_clock(headers, now))
        else:
            delay = span or (None if self.reset else 0.0)
        if delay is None or not -1.0 <= delay <= 2 * LONGEST_WAIT:
            return None
        restore = _number(found["restore"])
        return News(
            headers.get(self.bucket, "")[:100] if self.bucket else "",
            max(math.floor(remaining), 0),
            _clamp(delay),
            limit if limit is not None and limit > 0 else 0.0,
            span if span is not None and 0 < span <= LONGEST_WAIT else 0.0,
            restore if restore is not None and restore > 0 else 0.0,
        )

    def _values(self, headers: Mapping[str, str], data: Any) -> dict[str, str]:
        names = ("remaining", "reset", "limit", "used", "window", "restore")
        match = re.search(self.pattern, headers.get(self.packed, "")[:1000]) if self.packed else None
        packed = match.groupdict() if match else {}
        return {name: packed.get(name) or self._value(getattr(self, name), headers, data) for name in names}

    def _value(self, name: str | None, headers: Mapping[str, str], data: Any) -> str:
        if not name:
            return ""
        return next(map(as_text, look_all(data, name)), "") if self.body else headers.get(name, "")

    def _delay(self, value: str, now: float) -> float | None:
        if self.unit == "http_date":
            return _date_delay(value, now)
        number = _number(value)
        if number is not None:
            return _by_size(number, now, number / 1000 if self.unit in {"delta_ms", "epoch_ms"} else number)
        try:
            return _seconds_until(datetime.fromisoformat(value.strip()), now) if self.unit == "iso" else None
        except (ValueError, OverflowError):
            return None


def _number(value: str) -> float | None:
    text = value.strip()
    return float(text) if _AMOUNT.fullmatch(text) else None


def _their_clock(headers: Mapping[str, str], now: float) -> float:
    """The provider's clock when it differs from ours by more than the resolution of its `Date`."""
    ahead = _date_delay(headers.get("date", ""), now)
    return now if ahead is None or not 2.0 < abs(ahead) <= 2 * 86400 else now + ahead


@dataclass(frozen=True, slots=True)
class News:
    """What an answer says about its bucket: units left, seconds until its window ends (0: not said), and where told
    the units of a whole window, its length in seconds and the units that come back per second (0: not said)."""

    bucket: str
    remaining: int
    reset: float
    limit: float = 0.0
    span: float = 0.0
    restore: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One of a provider's budgets: `amount` units in `per` seconds, shared by every process that uses it.

    `kind` is what the provider counts: `sliding` (no stretch of `per` seconds holds more; right for fixed windows too
    whose beginning is unknown), `fixed` (everything is new at a moment that headers tell), `bucket` (holds `burst`,
    else `amount`, and refills evenly: token and leaky buckets) or `concurrency` (`amount` requests at once, `per` is
    not used). `methods` and `paths` (templates as in the tools, `/repos/{}/{}`; a trailing `*` matches every longer
    one) say which requests it counts; without them all. `each` is the position of the path value that has a budget of
    its own (an issue, a channel). `by="app"` shares it between all accounts. `cost` is what one request takes: a
    number, or a function of the `httpx.Request`; `spent` is the field path, or the header with `header:` before it, of
    the real cost in the answer. `reserve` is the share kept for calls that somebody waits for.
    """

    amount: float
    per: float = 1.0
    kind: Kind = "sliding"
    burst: float | None = None
    name: str = ""
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    each: int | None = None
    by: Literal["account", "app"] = "account"
    cost: "float | Callable[[httpx.Request], float]" = 1.0
    spent: str = ""
    reserve: float = 0.1
    patterns: tuple[re.Pattern[str], ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        if not (self.amount > 0 and 0 < self.per <= 32 * 86400 and 0 <= self.reserve < 1):
            raise ConfigurationError(f"limit {self.name!r}: amount and per must be above 0, reserve from 0 to below 1.")
        if self.burst is not None and (self.kind != "bucket" or self.burst < 1):
            raise ConfigurationError(f"limit {self.name!r}: burst is the size of a bucket, at least 1.")
        if self.spent and not self.spent.startswith("header:"):
            steps(self.spent)
        object.__setattr__(self, "patterns", tuple(map(_pattern, self.paths)))

    def covers(self, method: str, route: str) -> bool:
        """Does this budget count a request of this method and path template?"""
        return (not self.methods or method in self.methods) and (
            not self.patterns or any(pattern.fullmatch(route) for pattern in self.patterns)
        )

    def charge(self, request: "httpx.Request") -> float:
        """What `request` takes, as far as that is known before it is sent."""
        return max(float(self.cost(request) if callable(self.cost) else self.cost), 0.0)

    def paid(self, headers: Mapping[str, str], data: Any) -> float | None:
        """What the answer says the request took."""
        if not self.spent:
            return None
        name = self.spent.removeprefix("header:")
        value = headers.get(name, "") if name != self.spent else next(map(as_text, look_all(data, name)), "")
        number = _number(value)
        return None if number is None or number < 0 else number


def _pattern(path: str) -> re.Pattern[str]:
    whole, star = (path[:-1], ".*") if path.endswith("*") else (path, "")
    return re.compile(re.escape(whole).replace(r"\{\}", "[^/]*") + star)


def object_of(route: str, path: str, position: int) -> str:
    """The value at `position` (from 0) of the template `route` in the request's `path`; empty when it has none."""
    match = re.search(re.escape(route).replace(r"\{\}", "([^/]*)") + "$", path)
    values = match.groups() if match else ()
    return values[position] if position < len(values) else ""
