"""Arguments for a tool that nobody has given any: made from its schema, or taken from `arguments.json`."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clew.core.connector import Tool
from clew.core.errors import ConfigurationError, InvalidInputError
from clew.core.fields import as_list, as_object
from clew.testing.places import shown

FILE = "arguments.json"
_TEXTS = (
    "sample", "1", "usd", "USD", "a@example.com", "2026-11-22", "2026-11-22T09:00:00Z", "2026-11-22T09:00:00+01:00",
    "https://example.com/a", "0f8fad5b-d9cb-469f-a165-70867728950e", "0123456789abcdef", "Europe/Berlin", "C0123456789",
    "1720000000.000100", "+4915112345678", "a/b", "id_123", "PROJ-1", "A1:B2", "main", "aGVsbG8=",
)  # fmt: skip
"""Texts of the forms that arguments usually want; the first that the tool takes is used."""
_SOON = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
_GUESSES = (
    (r"(^|_)(email|mail|sender|from|to|cc|bcc|recipients?|address)$", "a@example.com"),
    (r"(^|_)(end|until|before|to_time)$", f"{_SOON}T10:00:00+01:00"),
    (r"(^|_)(start|since|after|at|time|when|from_time)$", f"{_SOON}T09:00:00+01:00"),
    (r"(^|_)(date|day|due)$", _SOON),
    (r"(^|_)(url|uri|link|webhook)$", "https://example.com/a"),
    (r"(^|_)(time_?zone|tz)$", "Europe/Berlin"),
    (r"(^|_)currency$", "usd"),
    (r"^sql$", "SELECT 1 AS name"),
    (r"(^|_)sha$", "0123456789abcdef0123456789abcdef01234567"),
)
"""What an argument of such a name usually wants."""
_PREFIX = re.compile(r"\^(?:\(\?:|\()?([A-Za-z]+)(?:[A-Za-z|]*\))?_")
"""What an identifier begins with: `^cus_[A-Za-z0-9]+$`, `^(?:pi|ch)_…`."""


def read_arguments(folder: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """An author's sample arguments by tool. Raises `ConfigurationError` when the file is damaged."""
    file = folder / FILE if folder is not None else None
    if file is None or not file.is_file():
        return {}
    try:
        found = as_object(json.loads(file.read_text(encoding="utf-8")))
    except ValueError:
        found = None
    if found is None or not all(isinstance(each, dict) for each in found.values()):
        raise ConfigurationError(f"{shown(file)} must hold one JSON object with the arguments of each tool.")
    return found


def arguments_for(
    tool: Tool, own: Mapping[str, Mapping[str, Any]], *, more: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Arguments that the tool accepts, with `more` among them; None when none could be made up."""
    given = dict(own.get(tool.name, {}))
    for candidate in [given] if given else _candidates(tool):
        try:
            tool.signature.check({**candidate, **(more or {})})
        except InvalidInputError:
            continue
        return {**candidate, **(more or {})}
    return None


def _candidates(tool: Tool) -> Iterator[dict[str, Any]]:
    """Attempts, each with other texts in the places that the tool complained about."""
    schema = tool.signature.input_schema
    needed: list[str] = list(schema.get("required", []))
    turns = dict.fromkeys(needed, 0)
    for _ in range(len(_TEXTS) * max(len(needed), 1)):
        attempt = {name: value_for(schema["properties"][name], turns[name], name) for name in needed}
        yield attempt
        wrong = _refused(tool, attempt) & turns.keys()
        if not wrong:
            return
        for name in wrong:
            turns[name] += 1


def _refused(tool: Tool, attempt: Mapping[str, Any]) -> set[str]:
    try:
        tool.signature.check(attempt)
    except InvalidInputError as error:
        return {place.replace(".", "/").partition("/")[0] for place in error.fields}
    return set()


def value_for(schema: Mapping[str, Any], turn: int = 0, name: str = "") -> Any:
    """A value of a schema, for an argument of this name; `turn` chooses another text."""
    choices = as_list(schema.get("enum"))
    if choices:
        return choices[0]
    options = as_list(schema.get("anyOf")) or as_list(schema.get("oneOf"))
    if options:
        return value_for(as_object(options[turn % len(options)]) or {}, turn // len(options), name)
    match schema.get("type"):
        case "integer" | "number":
            return max(int(schema.get("minimum", 1)), int(schema.get("exclusiveMinimum", 0)) + 1)
        case "boolean":
            return False
        case "array":
            items = as_object(schema.get("items")) or {}
            return [value_for(items, turn, name)] * max(int(schema.get("minItems", 1)), 1)
        case "object":
            inner = as_object(schema.get("properties")) or {}
            return {key: value_for(inner[key], turn, key) for key in schema.get("required", []) if key in inner}
        case _:
            return _text(schema, turn, name)


def _text(schema: Mapping[str, Any], turn: int, name: str) -> str:
    shortest, longest = int(schema.get("minLength", 0)), schema.get("maxLength")
    prefix = _PREFIX.match(str(schema.get("pattern", "")))
    guesses = [f"{prefix[1]}_1a"] if prefix else [text for names, text in _GUESSES if re.search(names, name)]
    texts = (*guesses, *_TEXTS)
    text = texts[turn % len(texts)]
    if len(text) < shortest:
        text = (text * shortest)[:shortest]
    return text if longest is None else text[: int(longest)]
