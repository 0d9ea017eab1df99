"""Where a value stands in a payload: `user.login`, `items[0].id`, `errors[*].code`, `['@odata.nextLink']`."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, TypeGuard

from clew.core.errors import ConfigurationError

Step = str | int
_STEP = re.compile(r"(?:^|(?<!^)\.)([^.\[\]]+)|\['([^']+)'\]|\[(\d+|\*)\]")


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""No such place in the payload; `None` means the place is there and holds null."""


def as_object(value: Any) -> dict[str, Any] | None:
    """`value` when it is a JSON object."""
    return value if _is_object(value) else None


def as_list(value: Any) -> list[Any] | None:
    """`value` when it is a JSON list."""
    return value if _is_list(value) else None


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def word_for(value: Any) -> str:
    """What `value` is, in the words of JSON: `null`, `string`, `number`, `boolean`, `list`, `object`; or `missing`."""
    if value is None:
        return "null"
    kinds = ((bool, "boolean"), (int | float, "number"), (str, "string"), (dict, "object"), (list, "list"))
    found = next((word for kind, word in kinds if isinstance(value, kind)), "")
    return found or ("missing" if value is MISSING else "not JSON")


def as_text(value: Any) -> str:
    """A value as text: strings as they are, everything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


@lru_cache(maxsize=4096)
def steps(path: str) -> tuple[Step, ...]:
    """Split a path into keys, indices and `*`; a key with a dot or a bracket in it stands in `['…']`.

    Raises `ConfigurationError` when the path is malformed.
    """
    found: list[Step] = []
    end = 0
    for match in _STEP.finditer(path):
        if match.start() != end:
            break
        end = match.end()
        key, quoted, index = match.groups()
        found.append(key or quoted or (index if index == "*" else int(index)))
    if end != len(path) or not found:
        raise ConfigurationError(f"{path!r} is not a field path; write it like 'user.login' or 'items[0].id'.")
    return tuple(found)


def look(payload: Any, path: str) -> Any:
    """The first value at `path`, or `MISSING`."""
    return next(look_all(payload, path), MISSING)


def look_all(payload: Any, path: str) -> Iterator[Any]:
    """Every value at `path`; `[*]` branches over a list."""
    return _walk(payload, steps(path), 0)


def _walk(value: Any, way: tuple[Step, ...], position: int) -> Iterator[Any]:
    while position < len(way):
        step = way[position]
        position += 1
        keyed, listed = as_object(value), as_list(value)
        if keyed is not None and isinstance(step, str) and step in keyed:
            value = keyed[step]
        elif listed is not None and step == "*":
            for item in listed:
                yield from _walk(item, way, position)
            return
        elif listed is not None and isinstance(step, int) and step < len(listed):
            value = listed[step]
        else:
            return
    yield value
