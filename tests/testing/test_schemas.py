"""The lint for schemas that trip hosts."""

from typing import Any

import pytest

from clew.testing.schemas import faults

CASES: list[tuple[dict[str, Any], str]] = [
    ({"type": "array"}, "no object"),
    ({"type": "object", "anyOf": []}, "the root has anyOf"),
    ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "a list of types"),
    ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}, "$ref"),
    ({"type": "object", "properties": {"a": {}}}, "no type"),
    ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, "null is a choice"),
    ({"type": "object", "properties": {"a": {"type": "array"}}}, "nobody knows what"),
    ({"type": "object", "properties": {"a": {"enum": [""], "type": "string"}}}, "an empty text"),
    ({"type": "object", "properties": {"a b": {"type": "string"}}}, "model providers refuse"),
    ({"type": "object", "properties": {"a": {"type": "string", "const": "x"}}}, "const"),
]


@pytest.mark.parametrize("case", CASES, ids=[words for _, words in CASES])
def test_what_trips_hosts_is_found(case: tuple[dict[str, Any], str]) -> None:
    schema, words = case
    assert any(words in why for _, why, _ in faults(schema, strict=True))


def test_a_plain_schema_is_fine() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": inner}}, "required": ["a"]}
    assert list(faults(schema, strict=True)) == []


def test_too_deep_is_said_once() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(12):
        schema = {"type": "object", "properties": {"a": schema}}
    assert [why for _, why, _ in faults(schema, strict=True)] == ["nested deeper than 8 levels"]
