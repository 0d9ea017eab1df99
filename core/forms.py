"""Query parameters and form fields as pairs: the one writing of values that URLs and forms share.

A list of plain values repeats its name: `tag=a&tag=b` (`tag[]` as the name, for providers that want it so). A mapping,
and whatever is inside one, goes into brackets, with lists counted from 0: `items[0][price]=p&items[0][quantity]=1`.
What is `None` is left out, an empty text is sent; true and false are written in lower case.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, TypeGuard
from urllib.parse import urlencode

from clew.core.errors import ConfigurationError

Scalar = str | int | float | bool
Query = Mapping[str, Scalar | Sequence[Scalar] | None]
Form = Mapping[str, Any]
"""Field names to plain values, lists and mappings, nested as deep as the provider wants them."""

Pair = tuple[str, str | int | float | bool | None]


def pairs(fields: Form | None) -> list[Pair]:
    """The pairs of a query or a form, in the order given. Raises `ConfigurationError` for a value of another type."""
    return [pair for name, value in (fields or {}).items() for pair in _top(name, value)]


def encoded(form: Form) -> bytes:
    """A form as the body of a request (`application/x-www-form-urlencoded`)."""
    return urlencode(pairs(form)).encode()


def _top(name: str, value: Any) -> Iterator[Pair]:
    if _is_list(value) and not any(_is_object(each) or _is_list(each) for each in value):
        for each in value:
            yield from _nested(name, each)
    else:
        yield from _nested(name, value)


def _nested(name: str, value: Any) -> Iterator[Pair]:
    if _is_object(value):
        for key, each in value.items():
            yield from _nested(f"{name}[{key}]", each)
    elif _is_list(value):
        for position, each in enumerate(each for each in value if each is not None):
            yield from _nested(f"{name}[{position}]", each)
    elif value is not None:
        yield name, _text(name, value)


def _is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _text(name: str, value: Any) -> str:
    plain = value.value if isinstance(value, Enum) else value
    if not isinstance(plain, Scalar):
        raise ConfigurationError(f"the field {name} holds a {type(plain).__name__}, which has no writing in a form.")
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
