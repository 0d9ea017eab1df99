"""The quick test may be wrong in one direction only: what it passes is valid by the whole validator."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from clew.core.schema_quick import quick

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3, allow_nan=False),
    st.sampled_from(["", "a", "ab", "b1", "\n"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TYPE = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A schema of some keywords, known and not known to the quick test."""
    few = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPE | st.lists(TYPE, min_size=1, max_size=2, unique=True),
            "enum": st.lists(LEAVES, min_size=1, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "anyOf": few,
            "not": inner,
            "prefixItems": few,
            "pattern": st.sampled_from(["^a", "b$", "^[a-b]+$"]),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 2),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "minimum": st.integers(-2, 2),
            "maximum": st.floats(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "uniqueItems": st.just(True),
            "description": st.just("words"),
        },
    )


SCHEMAS = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=6)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_passes_quickly_is_valid(schema: Any, value: Any) -> None:
    if quick(schema)(value):
        validator: Any = Draft202012Validator(schema)
        assert validator.is_valid(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "description": "x", "pattern": "^a"}, "ab", "b"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 2, True),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3}, 2.5, 3),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2}, [True], [1]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, "ab", "abc"),
        ({"enum": ["a", "b"]}, "a", "c"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        (
            {"type": "object", "properties": {"a": True}, "required": ["a"], "additionalProperties": False},
            {"a": 1},
            {"b": 1},
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": ""}),
    ],
)
def test_the_usual_is_decided_quickly(schema: Any, good: Any, bad: Any) -> None:
    assert quick(schema)(good)
    assert not quick(schema)(bad)


def test_what_is_not_known_is_left_to_the_whole_validator() -> None:
    assert not quick({"type": "string", "contentEncoding": "base64"})("QQ==")
    assert not quick({"type": ["string", "null"]})("a")
    assert not quick({"enum": [1]})(1)
    assert not quick(3)(3)
    assert quick(True)(3)
