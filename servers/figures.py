"""Figures as people read them; nothing where nothing is known."""

from collections.abc import Mapping
from typing import Any


def span(seconds: float | None) -> str:
    """`40 ms`, `1.2 s`, `4 min`, `2.5 h`, `3 d`."""
    if seconds is None:
        return ""
    for limit, size, unit in ((1, 0.001, "ms"), (100, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            amount = seconds / size
            return f"{amount:.1f} {unit}" if amount < 10 and unit != "ms" else f"{amount:.0f} {unit}"
    return f"{seconds / 86400:.1f} d"


def percent(rate: float | None) -> str:
    """`98.5 %`; a share that is nearly all or nearly nothing is never shown as all or nothing."""
    if rate is None:
        return ""
    if rate in (0, 1):
        return f"{rate * 100:.0f} %"
    return f"{min(max(rate * 100, 0.1), 99.9):.1f} %"


def count(number: float | None) -> str:
    """`950`, `12 300`, `1.25 M`."""
    if number is None:
        return ""
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:,.0f}".replace(",", "\u202f")


def price(amount: float | None, found: Mapping[str, Any]) -> str:
    """An amount of money, when there are prices."""
    if amount is None or not found["priced"]:
        return ""
    digits = 2 if amount >= 0.1 or not amount else 4
    return f"{amount:.{digits}f} {found['currency']}".rstrip()
