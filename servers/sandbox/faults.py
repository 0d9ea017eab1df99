"""The switches that make Acme fail: what they are called, what they match, and how often they act."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

REQUEST_FAULTS = frozenset(
    {
        "slow", "drip", "drop_before_commit", "drop_after_commit", "rate_limit", "quota", "server_error", "truncate",
        "rename_field", "remove_field", "set_field", "reject_token", "html", "bad_utf8", "huge", "redirect_loop",
        "cursor_loop", "wrong_content_type",
    }
)  # fmt: skip
"""Faults that wait for a matching request."""

WEBHOOK_FAULTS = frozenset({"webhook_duplicate", "webhook_reorder", "webhook_lost", "webhook_forged", "webhook_stale"})
"""Faults that wait for a matching event."""

IMMEDIATE_FAULTS = frozenset({"expire_token", "revoke_grant"})
"""Faults that happen when they are set and wait for nothing."""

_SECONDS: dict[str, float] = {"slow": 1, "drip": 0.05, "rate_limit": 1, "quota": 1}


def is_number(value: Any) -> bool:
    """Say whether the value is a number, not below zero."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "method": lambda value: value is None or isinstance(value, str),
    "times": lambda value: value is None or _is_count(value),
    "seconds": lambda value: value is None or is_number(value),
    "when": lambda value: value in ("before", "during", "after"),
    "how": lambda value: value in ("reset", "eof"),
    "status": lambda value: _is_count(value) and 400 <= value <= 599,
    "bytes": _is_count,
    "html": _is_switch,
    "as_date": _is_switch,
    **dict.fromkeys(("path", "field", "to", "content_type", "event"), _is_text),
}


@dataclass(slots=True, kw_only=True)
class Fault:
    """One switch. `times` is how often it still acts (None: until cleared), `hits` how often it did."""

    fault: str
    method: str | None = None
    path: str = "/api"
    times: int | None = 1
    seconds: float | None = None
    when: str = "after"
    how: str = "reset"
    status: int = 500
    html: bool = False
    as_date: bool = False
    field: str = "id"
    to: str = "identifier"
    value: Any = None
    bytes: int = 2 * 1024**3
    content_type: str = "text/plain"
    event: str = ""
    hits: int = 0
    cleared: bool = False

    def __post_init__(self) -> None:
        problem = next((name for name, is_right in _CHECKS.items() if not is_right(getattr(self, name))), None)
        if problem is not None:
            raise ValueError(f"{problem} of the fault {self.fault!r} is not valid")

    def matches(self, method: str, path: str) -> bool:
        """Say whether this fault wants the request."""
        return self.is_armed() and self.method in (None, method) and path.startswith(self.path)

    def is_armed(self) -> bool:
        """Say whether the fault will act again."""
        return not self.cleared and (self.times is None or self.times > 0)

    def show(self) -> dict[str, Any]:
        """Return the fault as JSON data."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


class Faults:
    """The switches that are set, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def set(self, fault: str, options: Mapping[str, Any]) -> Fault:
        """Arm a fault; raises `ValueError` that names what is wrong with it."""
        known = REQUEST_FAULTS | WEBHOOK_FAULTS | IMMEDIATE_FAULTS
        if fault not in known:
            raise ValueError(f"unknown fault {fault!r}; one of: {', '.join(sorted(known))}")
        allowed = {item.name for item in fields(Fault)} - {"fault", "hits", "cleared"}
        if unknown := sorted(options.keys() - allowed):
            raise ValueError(f"unknown option {unknown[0]!r}; one of: {', '.join(sorted(allowed))}")
        chosen: dict[str, Any] = {"seconds": _SECONDS.get(fault), **options}
        if fault == "server_error":
            chosen.setdefault("when", "before")
        made = Fault(fault=fault, **chosen)
        if made.method is not None:
            made.method = made.method.upper()
        self._faults.append(made)
        return made

    def take(self, method: str, path: str) -> Fault | None:
        """Use up one action of the oldest fault that wants this request."""
        return self._use(next((f for f in self._faults if f.fault in REQUEST_FAULTS and f.matches(method, path)), None))

    def take_webhook(self, event_type: str) -> Fault | None:
        """Use up one action of the oldest webhook fault that wants this event."""
        wanted = (f for f in self._faults if f.fault in WEBHOOK_FAULTS and event_type.startswith(f.event))
        return self._use(next((f for f in wanted if f.is_armed()), None))

    def clear(self) -> None:
        """Drop every fault; answers held back by one go on."""
        for fault in self._faults:
            fault.cleared = True
        self._faults.clear()

    def show(self) -> list[dict[str, Any]]:
        """Return all faults, spent ones too, as JSON data."""
        return [fault.show() for fault in self._faults]

    @staticmethod
    def _use(fault: Fault | None) -> Fault | None:
        if fault is not None:
            fault.hits += 1
            if fault.times is not None:
                fault.times -= 1
        return fault
