"""SOAP answers as plain data, along the types that the WSDL has promised.

The tree is `core.markup`'s: no document types, no entities, bounded. Only what the WSDL names is read; a single child
and a list of one are told apart by the WSDL, not by what came.
"""

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from clew.core.errors import ContractChangedError, Outcome
from clew.core.markup import Element, MarkupError, parse
from clew.core.values import dataclass

_ENVELOPES = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_NIL = ("true", "1")


@dataclass(frozen=True, slots=True)
class Part:
    """How an element is read: as a plain value, an `object` of its `children` by name, the `items` of its one kind of
    child, or as the `only` child that it has. `many`: there may be several of it."""

    kind: str
    children: Mapping[str, "Part"] = field(default_factory=dict[str, "Part"])
    many: bool = False


def read_envelope(content: bytes, part: Part, *, outcome: Outcome) -> Any:
    """The data in the body of an answer. Raises `ContractChangedError` with `outcome` for what is no such answer."""
    try:
        root = parse(content)
    except MarkupError as error:
        raise ContractChangedError(f"the provider answered with {error} instead of SOAP.", outcome=outcome) from error
    body = root.child("body") if root.name == "Envelope" and root.space in _ENVELOPES else None
    if body is None:
        raise ContractChangedError("the provider's answer is no SOAP envelope.", outcome=outcome)
    return _read(body.children[0], part) if body.children else None


def _read(element: Element, part: Part) -> Any:
    if element.attributes.get("nil") in _NIL:
        return None
    if part.kind == "items":
        ((name, inside),) = part.children.items()
        return [_read(each, inside) for each in element.children if each.name == name]
    if part.kind == "only":
        ((name, inside),) = part.children.items()
        return _child(element, name, inside)
    if part.kind == "object":
        found = {name: _child(element, name, inside) for name, inside in part.children.items()}
        return {name: value for name, value in found.items() if value is not None}
    return _plain(element.text.strip() if part.kind != "text" else element.text, part.kind)


def _child(element: Element, name: str, part: Part) -> Any:
    listed = [each for each in element.children if each.name == name]
    if part.many:
        return [_read(each, part) for each in listed]
    return _read(listed[0], part) if listed else None


def _plain(text: str, kind: str) -> Any:
    """A value; what is not of its type stays text, so that the model refuses it by name."""
    try:
        if kind == "integer":
            return int(text) if len(text) < 100 else text
        if kind == "number":
            number = float(text)
            return number if math.isfinite(number) else text
    except ValueError:
        return text or None
    if kind == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text, text or None)
    return text
