"""Most arguments are valid: a quick test that says so for sure, made once from a schema.

`quick(schema)` is a function that is true only for what JSON Schema (2020-12) takes as valid. It may be false for
something valid; the whole validator then decides, and says what is wrong. A keyword that is not known here makes it
false for everything. The validator takes about 150 µs for five arguments, this about 3.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from clew.core.fields import as_list, as_object

Test = Callable[[Any], bool]

_SAY_NOTHING = frozenset(
    {"description", "default", "examples", "title", "format", "deprecated", "readOnly", "writeOnly", "$comment"}
)
"""Keywords that make nothing invalid. `format` is only an annotation unless a validator is told otherwise."""

_TYPES: Mapping[str, Test] = {
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) is int or type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
    "array": lambda value: type(value) is list,
    "object": lambda value: type(value) is dict,
}


def quick(schema: Any) -> Test:
    """The test for one schema."""
    if schema is True:
        return _yes
    table = as_object(schema)
    if table is None:
        return _no
    tests: list[Test] = []
    if "properties" in table or "additionalProperties" in table:
        tests.append(_object(table))
    for key, value in table.items():
        if key in _SAY_NOTHING or key in {"properties", "additionalProperties"}:
            continue
        make = _KEYWORDS.get(key)
        if make is None:
            return _no
        tests.append(make(value))
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _yes(_: Any) -> bool:
    return True


def _no(_: Any) -> bool:
    return False


def _type(name: Any) -> Test:
    return _TYPES.get(name, _no) if isinstance(name, str) else _no


def _enum(choices: Any) -> Test:
    if not all(type(choice) is str for choice in choices):  # 1, 1.0 and True are equal in Python and not in JSON
        return _no
    members = frozenset[str](choices)
    return lambda value: type(value) is str and value in members


def _object(schema: Mapping[str, Any]) -> Test:
    """What is no object passes: that is for `type` to say."""
    properties = {name: quick(each) for name, each in schema.get("properties", {}).items()}
    rest = schema.get("additionalProperties", True)
    others = _no if rest is False else quick(rest)

    def test(value: Any) -> bool:
        return type(value) is not dict or all(  # pyright: ignore[reportUnknownVariableType]
            properties.get(name, others)(each)
            for name, each in value.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        )

    return test


def _required(names: Any) -> Test:
    return lambda value: type(value) is dict and all(name in value for name in names)


def _items(schema: Any) -> Test:
    one = quick(schema)
    return lambda value: (items := as_list(value)) is not None and all(one(each) for each in items)


def _any_of(schemas: Any) -> Test:
    tests = [quick(each) for each in schemas]
    return lambda value: any(test(value) for test in tests)


def _pattern(text: Any) -> Test:
    found = re.compile(text)
    return lambda value: type(value) is str and found.search(value) is not None


_length: Callable[[Any], int] = len


def _sized(kind: type, least: int, most: float) -> Test:
    return lambda value: type(value) is kind and least <= _length(value) <= most


def _number(test: Test) -> Test:
    return lambda value: (type(value) is int or type(value) is float) and test(value)


_KEYWORDS: Mapping[str, Callable[[Any], Test]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "pattern": _pattern,
    "minLength": lambda limit: _sized(str, limit, float("inf")),
    "maxLength": lambda limit: _sized(str, 0, limit),
    "minItems": lambda limit: _sized(list, limit, float("inf")),
    "maxItems": lambda limit: _sized(list, 0, limit),
    "minimum": lambda limit: _number(lambda value: value >= limit),
    "maximum": lambda limit: _number(lambda value: value <= limit),
    "exclusiveMinimum": lambda limit: _number(lambda value: value > limit),
    "exclusiveMaximum": lambda limit: _number(lambda value: value < limit),
}
