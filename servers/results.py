"""What a model gets to read: a result within a budget, and the way to the rest.

10 kB is the only size that every known host shows whole. A larger result is cut at its longest list or its longest
texts, says so under `partial`, and the rest is a resource (`clew://results/…`) that is read part by part. It waits
in memory, for half an hour, behind an address that cannot be guessed: it is the provider's data, not for our disk.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from clew.core.audit import as_line
from clew.core.call import Call, Structured
from clew.core.connection import LOCAL_TENANT
from clew.core.errors import InvalidInputError
from clew.core.fields import as_list, as_object
from clew.core.values import dataclass

BUDGET_BYTES = 10_000
KEPT_SECONDS = 1800.0
_PREFIX = "clew://results/"
_HEAD_BYTES = 500
"""Room for what `partial` says."""
_KEPT_BYTES = 32_000_000


@dataclass(slots=True)
class Spill:
    """The rest of results that were too large. One for each server."""

    budget: int = BUDGET_BYTES
    clock: Callable[[], float] = time.monotonic
    _parts: dict[str, tuple[float, list[str], str]] = field(default_factory=dict[str, tuple[float, list[str], str]])

    def fit(self, call: Call, result: Structured) -> Structured:
        """`cut`, as the walk calls it."""
        return self.cut(result, call.connection.tenant)

    def cut(self, result: Structured, tenant: str = LOCAL_TENANT) -> Structured:
        """`result` when it is within the budget, else what fits of it and where the rest is, for `tenant` alone."""
        if _bytes(result) <= self.budget:
            return result
        name, items = _longest_list(result)
        token = secrets.token_urlsafe(18)
        room, says = self.budget - _HEAD_BYTES, ""
        if name is not None:
            shown = _that_fit(items, room - _bytes({**result, name: []}))
            cut = {**result, name: items[:shown]}
            parts = _item_parts(items[shown:], room)
            says = f"{shown} of {len(items)} {name} are shown"
        else:
            cut, parts = {}, []
        if not cut or not cut[name or ""] or _bytes(cut) > room:
            cut, parts = _shortened(result, room), _text_parts(result, room)
            says = "long texts are cut"
        self._keep(token, parts, tenant)
        next_step = f"Read the resource {_PREFIX}{token} for the rest, part by part; or ask for less."
        return {
            **cut,
            "partial": {"says": says, "bytes": _bytes(result), "rest": f"{_PREFIX}{token}", "next": next_step},
        }

    def read(self, uri: str, tenant: str = LOCAL_TENANT) -> str | None:
        """One part of what was left out, as JSON that names the next one; None when there is none (any more)."""
        token, _, query = uri.removeprefix(_PREFIX).partition("?cursor=")
        known = self._parts.get(token) if uri.startswith(_PREFIX) else None
        number = int(query) if query.isdecimal() and len(query) < 8 else 0 if not query else -1
        if known is None or known[2] != tenant or known[0] <= self.clock() or not 0 <= number < len(known[1]):
            return None
        parts = known[1]
        following = f"{_PREFIX}{token}?cursor={number + 1}" if number + 1 < len(parts) else None
        return f'{{"part":{number + 1},"of":{len(parts)},"next":{json.dumps(following)},{parts[number]}}}'

    def _keep(self, token: str, parts: list[str], tenant: str) -> None:
        """The oldest go when they are too old, or when all are too much."""
        now = self.clock()
        self._parts[token] = (now + KEPT_SECONDS, parts, tenant)
        held = sum(len(part) for _, each, _ in self._parts.values() for part in each)
        for old, (end, each, _) in list(self._parts.items()):
            if old != token and (end <= now or held > _KEPT_BYTES):
                held -= sum(map(len, each))
                del self._parts[old]


def project(result: Structured, names: Sequence[str]) -> Structured:
    """Only these fields of each item. Raises `InvalidInputError` for a name that no item has."""
    rows = [row for row in (as_object(item) for item in result.get("items", ())) if row is not None]
    known = {name for row in rows for name in row}
    unknown = set(names) - known
    if rows and unknown:
        raise InvalidInputError(
            "some of the wanted fields do not exist.",
            fields={"fields": f"there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"},
        )
    items = [{name: row[name] for name in names if name in row} for row in rows]
    return {**result, "items": items, "partial": {"fields": list(names)}}


def _longest_list(result: Mapping[str, Any]) -> tuple[str | None, list[Any]]:
    lists = [(name, items) for name, value in result.items() if (items := as_list(value))]
    return max(lists, key=lambda each: _bytes(each[1])) if lists else (None, list[Any]())


def _that_fit(items: Sequence[Any], room: int) -> int:
    for count, item in enumerate(items):
        room -= _bytes(item) + 1
        if room < 0:
            return count
    return len(items)


def _item_parts(items: Sequence[Any], room: int) -> list[str]:
    parts: list[str] = []
    rest = list(items)
    while rest:
        count = max(_that_fit(rest, room), 1)
        parts.append(f'"items":{_text(rest[:count])}')
        rest = rest[count:]
    return parts


def _text_parts(result: Structured, room: int) -> list[str]:
    """The whole result as text. Every character may take several bytes, or be escaped once more."""
    text, size = _text(result), max(room // 2, 1)
    return [f'"text":{json.dumps(text[at : at + size], ensure_ascii=False)}' for at in range(0, len(text), size)]


def _shortened(result: Structured, room: int) -> Structured:
    for longest, most in ((2000, 50), (500, 20), (100, 5)):
        cut = as_object(_cut(result, longest, most)) or {}
        if _bytes(cut) <= room:
            return cut
    return {}


def _cut(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}… [{len(value)} characters in all]"
    table, items = as_object(value), as_list(value)
    if table is not None:
        return {name: _cut(each, longest, most) for name, each in table.items()}
    return value if items is None else [_cut(each, longest, most) for each in items[:most]]


def _text(data: Any) -> str:
    return as_line(data)


def _bytes(data: Any) -> int:
    return len(_text(data).encode())
