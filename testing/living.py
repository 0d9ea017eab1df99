"""Recorded answers held against what the provider answers today: places and types, never values.

Two answers of the same request differ in what they say; they should not differ in shape. A place is a path with `[]`
for the items of a list (`data[].id`).
"""

from collections.abc import Iterator
from typing import Any

from clew.core.fields import as_list, as_object, word_for
from clew.core.values import dataclass
from clew.testing.exchanges import Example

_MOST = 2000
_DEEPEST = 12
_NULL = frozenset({"null"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `path` in the answer of `request`, and whether a tool that reads it may break."""

    request: str
    path: str
    what: str
    breaking: bool

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.request}: {self.path or 'the answer'}: {self.what}"


def shape(data: Any) -> dict[str, frozenset[str]]:
    """Which types stand at each place."""
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting and len(found) < _MOST:
        path, value = waiting.pop()
        found.setdefault(path, set()).add(word_for(value))
        if path.count(".") + path.count("[") >= _DEEPEST:
            continue
        table, listed = as_object(value), as_list(value)
        if table is not None:
            waiting += [(f"{path}.{key}" if path else key, each) for key, each in table.items()]
        waiting += [(f"{path}[]", each) for each in listed or ()]
    return {path: frozenset(kinds) for path, kinds in found.items()}


def changes(before: Example, after: Example) -> Iterator[Change]:
    """What has changed between two recordings of one call."""
    asked, answered = len(before.exchanges), len(after.exchanges)
    if asked != answered:
        yield Change(before.tool, "", f"takes {answered} requests, and took {asked}", False)
    for old, new in zip(before.exchanges, after.exchanges, strict=False):
        request = f"{old['request']['method']} {old['request']['path']}"
        was, now = int(old["response"]["status"]), int(new["response"]["status"])
        if was != now:
            yield Change(request, "", f"status {now}, and was {was}", was < 400 <= now)
        else:
            yield from _compared(request, old["response"].get("body"), new["response"].get("body"))


def _compared(request: str, before: Any, after: Any) -> Iterator[Change]:
    was, now = shape(before), shape(after)
    empty = {path for path, kinds in now.items() if kinds <= {"list", "null"} and f"{path}[]" not in now}
    other = {path for path in {*was, *now} if was.get(path, _NULL) - _NULL != now.get(path, _NULL) - _NULL}
    for path in sorted({*was, *now}):
        old, new = was.get(path, _NULL) - _NULL, now.get(path, _NULL) - _NULL
        above = {"" if path else None, *(path[:at] for at, sign in enumerate(path) if sign in ".[")}
        if above & (empty | other):
            continue  # said of the place above, or nothing is known of it
        if path not in now:
            yield Change(request, path, f"is gone, and was {_words(was[path])}", True)
        elif path not in was:
            yield Change(request, path, f"is new: {_words(now[path])}", False)
        elif old and new and not new <= old:
            yield Change(request, path, f"is {_words(new)}, and was {_words(old)}", True)


def _words(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))
