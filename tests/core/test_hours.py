"""Times of the week."""

from datetime import UTC, datetime

import pytest

from clew.core.errors import ConfigurationError
from clew.core.hours import Hours


def at(day: int, clock: str) -> float:
    """`day` 0 is Monday, 2026-11-23."""
    hour, minute = clock.split(":")
    return datetime(2026, 11, 23 + day, int(hour), int(minute), tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "day", "clock", "expected"),
    [
        ("08:00-18:00", 6, "08:00", True),
        ("08:00-18:00", 6, "18:00", False),
        ("Mon-Fri 08:00-18:00", 4, "12:00", True),
        ("Mon-Fri 08:00-18:00", 5, "12:00", False),
        ("Sat,Sun 08:00-18:00", 5, "12:00", True),
        ("Fri-Mon 08:00-18:00", 0, "12:00", True),
        ("Fri-Mon 08:00-18:00", 1, "12:00", False),
        ("Mon 22:00-06:00", 1, "05:59", True),
        ("Mon 22:00-06:00", 0, "05:59", False),
        ("Mon 22:00-06:00", 0, "22:00", True),
        ("08:00-18:00 Europe/Berlin", 0, "07:00", True),
        ("08:00-18:00 Europe/Berlin", 0, "17:00", False),
    ],
)
def test_a_time_is_covered_or_not(text: str, day: int, clock: str, expected: bool) -> None:
    hours = Hours.parse(text)
    assert hours.covers(at(day, clock)) is expected
    assert str(hours) == text


@pytest.mark.parametrize("text", ["", "always", "25:00-26:00", "Xyz 08:00-18:00", "08:00-18:00 Nowhere/At_All", "8-18"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time of the week"):
        Hours.parse(text)
