"""Schemas that every host understands. What trips hosts was seen in real ones: lists of types, references, nulls."""

import re
from collections.abc import Iterator
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.testing.kit import Finding, Seen, Subject

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DEEPEST = 8


async def portable_schemas(subject: Subject) -> Seen:
    """Lint what goes over the wire for each tool: input and output."""
    seen = Seen()
    for tool in subject.tools:
        seen.count += 1
        try:
            schemas = (("input", tool.signature.input_schema), ("output", tool.signature.output_schema))
        except ConfigurationError as error:
            seen.findings.append(Finding(f"{tool.name}: {error}", where=subject.at(tool)))
            continue
        for which, schema in schemas:
            for place, why, fix in faults(schema, strict=which == "input"):
                seen.findings.append(Finding(f"{tool.name}, {which}{place}: {why}.", fix, subject.at(tool)))
    return seen


def faults(schema: dict[str, Any], *, strict: bool) -> Iterator[tuple[str, str, str]]:
    """Place, fault and advice. `strict` is for arguments, where a value of no type cannot be offered to a model."""
    if schema.get("type") != "object":
        yield "", "the root is no object", "Return a model."
    for combined in ("anyOf", "oneOf", "allOf"):
        if combined in schema:
            yield "", f"the root has {combined}", "Make it one object; several model providers refuse the tool."
    yield from _inside(schema, "", 0, strict=strict, inner=False)


def _inside(
    schema: dict[str, Any], place: str, depth: int, *, strict: bool, inner: bool
) -> Iterator[tuple[str, str, str]]:
    if depth > _DEEPEST:
        yield place, f"nested deeper than {_DEEPEST} levels", "Flatten it."
        return
    for key in ("$ref", "$defs", "definitions", "const", "title", "discriminator", "not", "if", "patternProperties"):
        if key in schema:
            yield place, f"{key} is not understood everywhere", "Write the type out."
    kind = schema.get("type")
    if as_list(kind) is not None:
        yield place, "a list of types", "Choose one type."
    elif kind is None and inner and strict and not ({"anyOf", "oneOf", "enum"} & schema.keys()):
        yield place, "a value of no type", "Annotate it with a type."
    if kind == "null" or any(each.get("type") == "null" for each in _choices(schema)):
        yield place, "null is a choice", "Leave the argument out instead: give it the default None."
    if kind == "array" and strict and as_object(schema.get("items")) is None:
        yield place, "a list of nobody knows what", "Annotate its items: list[str]."
    values = as_list(schema.get("enum")) or []
    if any(each == "" for each in values):
        yield place, "an empty text is a choice", "Name the choice; some model providers refuse empty ones."
    for name, each in (as_object(schema.get("properties")) or {}).items():
        if not _NAME.fullmatch(name):
            yield (
                f"{place}.{name}",
                "a name that model providers refuse",
                "Use letters, digits, _, . and -, at most 64.",
            )
        yield from _inside(each, f"{place}.{name}", depth + 1, strict=strict, inner=True)
    for name in ("items", "additionalProperties"):
        each = as_object(schema.get(name))
        if each:
            yield from _inside(each, f"{place}.{name}", depth + 1, strict=strict, inner=True)
    for each in _choices(schema):
        yield from _inside(each, place, depth + 1, strict=strict, inner=True)


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [as_list(schema.get(key)) or [] for key in ("anyOf", "oneOf", "allOf")]
    return [found for several in listed for each in several if (found := as_object(each)) is not None]
