"""How long a refusal says to wait, where it does not say so with `Retry-After`.

Units are declared: the same name means a delay at one provider and a moment at another. Whatever is declared, a number
is looked at for sense, because mix-ups of units happen even in official clients: above 10^12 it is epoch milliseconds,
above 10^9 epoch seconds.
"""

import email.utils
import re
from datetime import UTC, datetime
from typing import Literal

from clew.core.limits import LONGEST_WAIT
from clew.core.response import Response
from clew.core.values import dataclass

Unit = Literal["epoch_s", "epoch_ms", "delta_s", "delta_ms", "http_date", "iso"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """One place where a refusal says when the budget is new: a header, or a path in the body, and its unit.

    `remaining` names the header that must not be above zero for that: another budget may have run out. `pattern` takes
    the value out of a packed text (`resets=(\\d+)`).
    """

    header: str | None = None
    body: str | None = None
    unit: Unit = "delta_s"
    remaining: str | None = None
    pattern: str | None = None


def wait_of(response: Response, resets: tuple[Reset, ...], now: float) -> float | None:
    """The longest wait the declared places ask for, in seconds, within bounds; `None` when they say nothing."""
    waits = [wait for reset in resets if (wait := _wait(response, reset, now)) is not None]
    return max(waits, default=None)


def _wait(response: Response, reset: Reset, now: float) -> float | None:
    value = response.headers.get(reset.header) if reset.header else response.field(reset.body or "retry_after")
    if value is None or (reset.remaining and _positive(response.headers.get(reset.remaining, ""))):
        return None
    if reset.pattern:
        found = re.search(reset.pattern, value)
        value = found[1] if found else ""
    return seconds(value, reset.unit, now)


def _positive(value: str) -> bool:
    number = re.match(r"\s*(\d{1,18}(?:\.\d{1,9})?)", value)
    return number is not None and float(number[1]) > 0


def seconds(value: str, unit: Unit, now: float) -> float | None:
    """Seconds from `now` that `value` stands for; `None` for nonsense and for more than two hours."""
    value = value.strip()
    number = re.fullmatch(r"\d{1,18}(?:\.\d{1,9})?", value)
    delay = _from_number(float(value), unit, now) if number else _from_date(value, now)
    if delay is None or not -60.0 <= delay <= 2 * LONGEST_WAIT:
        return None
    return min(max(delay, 0.0), LONGEST_WAIT)


def _from_number(number: float, unit: Unit, now: float) -> float:
    if number > 1e12:
        return number / 1000 - now
    if number > 1e9:
        return number - now + 1.0  # the window ends within that second
    return number / 1000 if unit.endswith("_ms") else number


def _from_date(value: str, now: float) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
