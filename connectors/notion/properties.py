"""The properties of pages: Notion's typed values as plain ones, and plain ones as Notion wants them.

developers.notion.com/reference/page-property-values, /reference/property-object; @notionhq/client 5.26.0 (`pages`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from clew import errors

from .ids import id_of
from .texts import Object, object_of, objects, plain, rich

LONGEST = 500
"""Characters of one text among the properties. The page itself is where long texts belong."""

Value = str | int | float | bool | list[str] | None
"""A property as agents read and write it. A date is `2026-12-01`, a span of time `2026-12-01/2026-12-05`."""


def flat(properties: Any) -> Any:
    """Properties by name with plain values; those that are empty are left out."""
    if not isinstance(properties, dict):
        return properties
    values = {name: value_of(object_of(each)) for name, each in object_of(properties).items()}
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def title_of(value: Any) -> Any:
    """The title of a page (among its properties), or of a data source or database (a text)."""
    if isinstance(value, list):
        return plain(value)
    held = [object_of(each) for each in object_of(value).values()]
    titles = [each for each in held if each.get("type") == "title"]
    return plain(titles[0].get("title")) if titles else None if isinstance(value, dict) else value


def value_of(given: Object) -> Any:
    """The plain value of one property, of a formula or of a rollup's entry."""
    kind = str(given.get("type"))
    held = given.get(kind)
    if kind in _PLAIN:
        return held
    if kind in _LISTED:
        return _LISTED[kind](held)
    return _READ[kind](object_of(held)) if kind in _READ and isinstance(held, dict) else None


_PLAIN = frozenset(
    ("number", "checkbox", "url", "email", "phone_number", "created_time", "last_edited_time", "string", "boolean")
)


def _shortened(held: Any) -> str:
    text = plain(held)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _name(held: Object) -> Any:
    return held.get("name") or held.get("id")


def _names(held: Any) -> list[Any]:
    return [_name(each) for each in objects(held)]


def _span(held: Object) -> str | None:
    return "/".join(str(held[each]) for each in ("start", "end") if held.get(each)) or None


def _unique(held: Object) -> str:
    return "-".join(str(held[each]) for each in ("prefix", "number") if held.get(each) is not None)


def _rollup(held: Object) -> Any:
    if held.get("type") in ("incomplete", "unsupported"):
        return f"({held['type']})"
    return [value_of(each) for each in objects(held.get("array"))] if held.get("type") == "array" else value_of(held)


_LISTED: Mapping[str, Callable[[Any], Any]] = {
    "title": _shortened,
    "rich_text": _shortened,
    "multi_select": _names,
    "people": _names,
    "files": _names,
    "relation": lambda held: [each.get("id") for each in objects(held)],
}
_READ: Mapping[str, Callable[[Object], Any]] = {
    "select": _name,
    "status": _name,
    "created_by": _name,
    "last_edited_by": _name,
    "date": _span,
    "formula": value_of,
    "rollup": _rollup,
    "unique_id": _unique,
    "verification": lambda held: held.get("state"),
    "place": lambda held: held.get("name") or held.get("address"),
}


def options_of(schema: Object) -> list[str] | None:
    """The choices of a select, multi-select or status property."""
    kind = str(schema.get("type"))
    return _names(object_of(schema.get(kind)).get("options")) if kind in CHOICES and kind in schema else None


CHOICES = frozenset({"select", "multi_select", "status"})


def compose(given: Mapping[str, Value], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as Notion wants them, by the types in `schema` (a data source's properties, or a page's).

    Raises `InvalidInputError` with a reason for each name or value that does not fit: Notion would add a choice that
    nobody has made before without a word.
    """
    made: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in given.items():
        facts = object_of(schema.get(name))
        if not facts:
            near = [each for each in schema if each.casefold() == name.casefold()]
            known = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(schema)}"
            wrong[name] = f"is no property here; {known}"
            continue
        try:
            made[name] = _made(facts, value)
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise errors.InvalidInputError(
            "properties do not fit the page.",
            fields={f"properties.{name}": why for name, why in wrong.items()},
            next_step="Change them and call again; get_data_source lists names, types and choices.",
        )
    return made


def _made(facts: Object, value: Value) -> dict[str, Any]:
    kind = str(facts.get("type"))
    write = _WRITE.get(kind)
    if write is None:
        raise ValueError(f"is a {kind}, which Notion computes or the API cannot set")
    if value is None:
        return {kind: [] if kind in _LISTS else None if kind != "checkbox" else False}
    choices = options_of(facts)
    named = value if isinstance(value, list) else [value]
    if choices is not None and (unknown := [each for each in named if each not in choices]):
        raise ValueError(f"has no choice {unknown[0]!r}; there are: {', '.join(choices)}")
    return {kind: write(value)}


def _text(value: Value) -> list[dict[str, Any]]:
    return rich(_string(value))


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


def _truth(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _listed(value: Value) -> list[str]:
    return value if isinstance(value, list) else [_string(value)]


def _date(value: Value) -> dict[str, Any]:
    parts = _string(value).split("/")
    if len(parts) > 2:
        raise ValueError("must be one date, or two with a / between them")
    moments = [_moment(each) for each in parts]
    if len(parts) == 2 and (moments[0].isoformat() > moments[1].isoformat()):
        raise ValueError("ends before it begins")
    return dict(zip(("start", "end"), parts, strict=False))


def _moment(text: str) -> date:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r:.40} is no ISO date: 2026-12-01 or 2026-12-01T09:00:00+01:00") from None


_LISTS = frozenset({"title", "rich_text", "multi_select", "people", "relation", "files"})
_WRITE: Mapping[str, Callable[[Value], Any]] = {
    "title": _text,
    "rich_text": _text,
    "number": _number,
    "checkbox": _truth,
    "url": _string,
    "email": _string,
    "phone_number": _string,
    "date": _date,
    "select": lambda value: {"name": _string(value)},
    "status": lambda value: {"name": _string(value)},
    "multi_select": lambda value: [{"name": each} for each in _listed(value)],
    "people": lambda value: [{"object": "user", "id": id_of(each)} for each in _listed(value)],
    "relation": lambda value: [{"id": id_of(each)} for each in _listed(value)],
    "files": lambda value: [
        {"type": "external", "name": each[:100], "external": {"url": each}} for each in _listed(value)
    ],
}
