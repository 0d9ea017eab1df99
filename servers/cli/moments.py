"""Moments as people write them on a command line."""

import re
import time
from datetime import datetime

from clew.core.errors import ConfigurationError

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def since(text: str) -> float:
    """Epoch seconds of `90m`, `24h`, `7d`, `2w` ago, or of a date in local time; 0 for no text.

    Raises `ConfigurationError`.
    """
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip().lower())
    if found:
        return time.time() - int(found[1]) * _UNITS[found[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--since {text[:40]}: give a time like 24h or 7d, or a date like 2026-11-01."
        ) from None


def clock(moment: float) -> str:
    """A moment in local time, to the second."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
