"""Times of the week in a time zone: `Mon-Fri 08:00-18:00 Europe/Berlin`."""

import re
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(
    r"(?:(?P<days>[A-Za-z]{3}(?:-[A-Za-z]{3})?(?:,[A-Za-z]{3}(?:-[A-Za-z]{3})?)*)\s+)?"
    r"(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?:\s+(?P<zone>[\w/+-]+))?"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """Days of the week (0 is Monday) from `start` to before `end`; an end before the start is on the next day."""

    text: str
    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Read `Mon-Fri 08:00-18:00 Europe/Berlin`; without days every day, without a zone UTC.

        Raises `ConfigurationError` for anything else.
        """
        found = _FORM.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError
            zone = ZoneInfo(found["zone"] or "UTC")
            start, end = time.fromisoformat(found["start"]), time.fromisoformat(found["end"])
            return cls(text.strip(), _days(found["days"]), start, end, zone)
        except (ValueError, ZoneInfoNotFoundError, OSError):
            raise ConfigurationError(
                f"{text!r} is no time of the week; write it like 'Mon-Fri 08:00-18:00 Europe/Berlin'."
            ) from None

    def __str__(self) -> str:
        return self.text

    def covers(self, moment: float) -> bool:
        """Does it cover this moment (epoch seconds)?"""
        local = datetime.fromtimestamp(moment, self.zone)
        at, today = local.time().replace(tzinfo=None), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= at < self.end
        return (today in self.days and at >= self.start) or ((today - 1) % 7 in self.days and at < self.end)


def _days(text: str | None) -> frozenset[int]:
    days: set[int] = set()
    for part in (text or "mon-sun").lower().split(","):
        first, _, last = part.partition("-")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(days)
