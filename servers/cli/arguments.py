"""`key=value` words as a tool's arguments, converted by the tool's own schema."""

import difflib
import json
import math
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clew.core.connector import Tool
from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
_LARGEST = 10_000_000


def read_arguments(
    tool: Tool, pairs: Sequence[str], source: str | None, *, base: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments of `base`, from the file `source` (`-`: standard input) and from `pairs`; the later wins.

    Raises `ConfigurationError` naming the argument that is unknown, missing or of the wrong type.
    """
    properties: Mapping[str, Any] = tool.signature.input_schema["properties"]
    given: dict[str, Any] = {**(base or {}), **(_read_file(source) if source else {})}
    for name in given:
        _check(name, tool, properties)
    seen: set[str] = set()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ConfigurationError(f"{_short(pair)!r} is not key=value. {_example(tool)}")
        _check(name, tool, properties)
        if name in seen:
            raise ConfigurationError(f'{name} is given twice; a list is written as JSON: {name}=\'["a", "b"]\'.')
        seen.add(name)
        given[name] = convert(name, text, properties[name])
    missing = [name for name in tool.signature.input_schema.get("required", []) if given.get(name) is None]
    if missing:
        raise ConfigurationError(f"{tool.name} needs {' and '.join(missing)}. {_example(tool)}")
    return given


def convert(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    """One value as its schema wants it. Raises `ConfigurationError` saying what was expected."""
    kind = str(schema.get("type", ""))
    if kind == "string":
        return text
    if kind not in _EXPECTED:
        return _converted_by_choice(name, text, schema)
    read, expected = _EXPECTED[kind]
    value = read(text)
    if value is None:
        raise _wrong(name, expected, text)
    return value


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d{1,100}", text) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_EXPECTED: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "integer": (_integer, "a whole number"),
    "number": (_number, "a number"),
    "boolean": (lambda text: _BOOLEANS.get(text.lower()), "true or false"),
    "array": (lambda text: as_list(_parsed(text)), 'a JSON list such as ["a", "b"]'),
    "object": (lambda text: as_object(_parsed(text)), 'a JSON object such as {"a": 1}'),
}


def _converted_by_choice(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    """The first of several possible types that fits, text last; without any, JSON or else the text itself."""
    choices: list[Mapping[str, Any]] = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
    for choice in sorted(choices, key=lambda choice: choice.get("type") == "string"):
        try:
            return convert(name, text, choice)
        except ConfigurationError:
            continue
    if choices:
        raise _wrong(name, "one of the types that 'clew show' lists", text)
    parsed = _parsed(text)
    return text if text in schema.get("enum", ()) or parsed is None else parsed


def _check(name: str, tool: Tool, properties: Mapping[str, Any]) -> None:
    if name not in properties:
        near = difflib.get_close_matches(name, properties, n=1)
        known = f"Did you mean {near[0]}?" if near else f"It takes: {', '.join(properties) or 'nothing'}."
        raise ConfigurationError(f"{tool.name} takes no argument {_short(name)!r}. {known}")


def _example(tool: Tool) -> str:
    names = tool.signature.input_schema.get("required") or list(tool.signature.input_schema["properties"])[:1]
    words = " ".join(f"{name}=…" for name in names)
    return f"Example: clew call {shlex.quote(tool.connector)} {tool.name} {words}".rstrip()


def _read_file(source: str) -> dict[str, Any]:
    where = "standard input" if source == "-" else source
    try:
        if source != "-":
            text = Path(source).read_text(encoding="utf-8")
        elif sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - None when it was closed
            raise ConfigurationError("--arguments -: standard input is closed.")
        else:
            text = sys.stdin.read(_LARGEST)
    except UnicodeDecodeError:
        raise ConfigurationError(f"--arguments: {where} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigurationError(f"--arguments: {where} cannot be read: {error.strerror}.") from None
    try:
        found = as_object(json.loads(text))
    except (ValueError, RecursionError) as error:
        why = error if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise ConfigurationError(f"--arguments: {where} is not JSON: {why}.") from None
    if found is None:
        raise ConfigurationError(f"--arguments: {where} must hold one JSON object.")
    return found


def _wrong(name: str, expected: str, text: str) -> ConfigurationError:
    return ConfigurationError(f"{name} must be {expected}, not {_short(text)!r}.")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
