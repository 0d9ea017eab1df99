"""When a delivery was signed, in the units that providers use."""

import re
from dataclasses import field
from datetime import UTC, datetime
from typing import Literal

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.delivery import Delivery, Reader, Refused, RefusedError, reader

Unit = Literal["s", "ms", "us", "ns", "iso", "rfc"]
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,13}\.[0-9]{1,9}", re.ASCII)
_PARTS: dict[str, float] = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
TOLERANCE = 300.0
"""Seconds that a timestamp may differ from our clock, either way, when the provider names no other number."""


def items(text: str, separator: str, prefix: str) -> list[str]:
    """The items of a list that begin with `prefix`, without it; without a separator the text is the only item."""
    if not separator:
        return [text[len(prefix) :]] if text.startswith(prefix) else []
    size = len(prefix)
    return [each[size:] for each in text.split(separator) if each.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Where a delivery says when it was signed, and how far from our clock that may be.

    `place` is one place or several, of which the first that is there counts; in a packed header (`t=1,v1=…`) the item
    that begins with `prefix` of those between `separator`s, or the one at position `item` (0 is the first). `unit` is
    seconds, `ms`, `us` or `ns` since 1970, `iso` (ISO 8601) or `rfc` (the date of HTTP and mail). `tolerance` is in
    seconds, to the past and, up to 300, to the future; `None` where the provider repeats old signatures for days.
    `optional` deliveries have none.
    """

    place: str | tuple[str, ...]
    prefix: str = ""
    separator: str = ""
    item: int | None = None
    unit: Unit = "s"
    tolerance: float | None = TOLERANCE
    optional: bool = False
    _readers: tuple[Reader, ...] = field(default=(), init=False, repr=False, compare=False)
    _numbers: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.unit not in ("s", "ms", "us", "ns", "iso", "rfc"):
            raise ConfigurationError(f"a timestamp has no unit {self.unit!r}; use s, ms, us, ns, iso or rfc.")
        if self.tolerance is not None and not 0 <= self.tolerance < 1e9:
            raise ConfigurationError("a timestamp's tolerance must be seconds, 0 or more.")
        if self.item is not None and (self.item < 0 or not self.separator):
            raise ConfigurationError("the item of a timestamp is its position between separators, 0 or more.")
        places = (self.place,) if isinstance(self.place, str) else self.place
        object.__setattr__(self, "_readers", tuple(map(reader, places)))
        # A number of JSON may have a fraction; nobody writes one into a header.
        object.__setattr__(self, "_numbers", any(each.startswith("json:") for each in places))

    def read(self, delivery: Delivery) -> str:
        """The text of the timestamp; empty when there is none and that may be. Raises `RefusedError`."""
        for read in self._readers:
            text = read(delivery)
            if text is None:
                continue
            if not self.prefix and not self.separator:
                return text
            found = items(text, self.separator, self.prefix)
            if self.item is not None:
                found = found[self.item : self.item + 1]
            if len(found) > 1:
                raise RefusedError(Refused.AMBIGUOUS, "there is more than one timestamp")
            if found:
                return found[0]
        if self.optional:
            return ""
        raise RefusedError(Refused.MALFORMED, "there is no timestamp")

    def check(self, text: str, now: float, tolerance: float | None) -> float | None:
        """The time in seconds since 1970. Raises `RefusedError` when it is none, or too far from `now`."""
        if not text and self.optional:
            return None
        moment = _moment(text, self.unit, fraction=self._numbers)
        window = self.tolerance if tolerance is None else tolerance
        if window is not None and now - moment > window:
            raise RefusedError(Refused.TOO_OLD, f"it was signed {now - moment:.0f} s ago, more than {window:.0f} s")
        ahead = TOLERANCE if window is None else window if tolerance is not None else min(window, TOLERANCE)
        if moment - now > ahead:
            raise RefusedError(Refused.IN_FUTURE, f"it was signed {moment - now:.0f} s in the future")
        return moment


def _moment(text: str, unit: Unit, *, fraction: bool = False) -> float:
    try:
        if unit == "s" and text.isdecimal() and text.isascii() and len(text) <= 13:
            return float(text)
        if unit in _PARTS and (_DIGITS.fullmatch(text) or (fraction and _FRACTION.fullmatch(text))):
            return float(text) / _PARTS[unit]
        if unit == "iso":
            found = datetime.fromisoformat(text)
        elif unit == "rfc":
            from email.utils import parsedate_to_datetime

            found = parsedate_to_datetime(text)
        else:
            raise ValueError
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        raise RefusedError(Refused.MALFORMED, "the timestamp cannot be read") from None
