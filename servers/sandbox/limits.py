"""Quotas that are real: a window per grant, a burst limit in disguise, a limit on concurrency."""

import math
from collections import Counter, deque
from dataclasses import dataclass, field

from .refusals import RefusalError
from .settings import Settings

_KEPT = 100_000


@dataclass(slots=True)
class _Meter:
    """What is known of one grant; only the fields of the chosen algorithm are used."""

    started_at: float = -math.inf
    used: int = 0
    tokens: float = 0.0
    recent: deque[float] = field(default_factory=deque[float])
    burst: deque[float] = field(default_factory=deque[float])


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the window says: `wait` seconds before the next call (0: admitted), calls left, and when it is new again."""

    wait: float
    remaining: int
    reset_at: float


class Limits:
    """Admits or refuses calls per grant; `admitted` and `refused` hold (UTC epoch seconds, grant id) of each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._meters: dict[str, _Meter] = {}
        self._running: Counter[str] = Counter()
        self.admitted: deque[tuple[float, str]] = deque(maxlen=_KEPT)
        self.refused: deque[tuple[float, str]] = deque(maxlen=_KEPT)
        self.peak_concurrent = 0

    def admit(self, key: str, now: float) -> dict[str, str]:
        """Count a call of this grant and return the quota headers; raises `RefusalError` 429, or 403 for a burst.

        Every admitted call must be followed by `leave`.
        """
        meter = self._meters.setdefault(key, _Meter(tokens=self._settings.rate_limit))
        self._check_concurrent(key, now)
        self._check_burst(meter, key, now)
        verdict = self._meter_window(meter, now)
        headers = {
            "X-RateLimit-Limit": str(self._settings.rate_limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(math.ceil(verdict.reset_at)),
        }
        if verdict.wait > 0 and self._settings.rate_enforced:
            self.refused.append((now, key))
            headers["Retry-After"] = str(max(1, math.ceil(verdict.wait)))
            raise RefusalError(429, "rate_limited", "Too many requests. Wait for Retry-After.", headers=headers)
        self.admitted.append((now, key))
        self._running[key] += 1
        self.peak_concurrent = max(self.peak_concurrent, self._running[key])
        return headers

    def leave(self, key: str) -> None:
        """Say that an admitted call has ended."""
        self._running[key] -= 1

    def most_in_window(self, key: str | None = None) -> int:
        """Return the most calls admitted within any `rate_window_seconds`, of one grant or of all together."""
        times = [at for at, admitted_key in self.admitted if key in (None, admitted_key)]
        most, start = 0, 0
        for end, at in enumerate(times):
            while times[start] <= at - self._settings.rate_window_seconds:
                start += 1
            most = max(most, end - start + 1)
        return most

    def _check_concurrent(self, key: str, now: float) -> None:
        limit = self._settings.max_concurrent
        if limit is not None and self._running[key] >= limit:
            self.refused.append((now, key))
            message = f"At most {limit} requests at the same time."
            raise RefusalError(429, "too_many_concurrent", message, headers={"Retry-After": "1"})

    def _check_burst(self, meter: _Meter, key: str, now: float) -> None:
        limit, seconds = self._settings.burst_limit, self._settings.burst_seconds
        if limit is None:
            return
        _forget(meter.burst, now - seconds)
        if len(meter.burst) >= limit:
            self.refused.append((now, key))
            raise refuse_quota(max(1, math.ceil(meter.burst[0] + seconds - now)))
        meter.burst.append(now)

    def _meter_window(self, meter: _Meter, now: float) -> _Verdict:
        if self._settings.rate_algorithm == "bucket":
            return self._meter_bucket(meter, now)
        if self._settings.rate_algorithm == "sliding":
            return self._meter_sliding(meter, now)
        return self._meter_fixed(meter, now)

    def _meter_fixed(self, meter: _Meter, now: float) -> _Verdict:
        """A window opens with the first call; when refused calls count, each one opens the full window anew."""
        limit, window = self._settings.rate_limit, self._settings.rate_window_seconds
        if now >= meter.started_at + window:
            meter.started_at, meter.used = now, 0
        if meter.used >= limit:
            if self._settings.count_refused:
                meter.started_at = now
            return _Verdict(meter.started_at + window - now, 0, meter.started_at + window)
        meter.used += 1
        return _Verdict(0, limit - meter.used, meter.started_at + window)

    def _meter_bucket(self, meter: _Meter, now: float) -> _Verdict:
        """A bucket holds `rate_limit` tokens and refills evenly; counted refusals take it below zero."""
        limit, per_second = self._settings.rate_limit, self._settings.rate_limit / self._settings.rate_window_seconds
        if meter.started_at > -math.inf:
            meter.tokens = min(limit, meter.tokens + (now - meter.started_at) * per_second)
        meter.started_at = now
        admitted = meter.tokens >= 1
        if admitted or self._settings.count_refused:
            meter.tokens = max(-limit, meter.tokens - 1)
        full_at = now + (limit - meter.tokens) / per_second
        wait = 0 if admitted else (1 - meter.tokens) / per_second
        return _Verdict(wait, max(0, int(meter.tokens)), full_at)

    def _meter_sliding(self, meter: _Meter, now: float) -> _Verdict:
        """No stretch of `rate_window_seconds`, wherever it begins, holds more than `rate_limit` calls."""
        limit, window = self._settings.rate_limit, self._settings.rate_window_seconds
        _forget(meter.recent, now - window)
        admitted = len(meter.recent) < limit
        if admitted or self._settings.count_refused:
            meter.recent.append(now)
        wait = 0 if admitted else meter.recent[-limit] + window - now
        return _Verdict(wait, max(0, limit - len(meter.recent)), meter.recent[0] + window)


def refuse_quota(seconds: int) -> RefusalError:
    """Return the burst limit's answer: 403, as if a right were missing. GitHub's secondary limits answer so."""
    message = "You have exceeded a quota. Slow down."
    return RefusalError(403, "quota", message, headers={"Retry-After": str(seconds)})


def _forget(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()
