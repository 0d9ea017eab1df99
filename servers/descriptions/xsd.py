"""The types of a WSDL as shapes: what a tool takes and shows of them, and how an answer is read.

A type is known by what zeep has made of its schema. Shapes are small, as everywhere here (`shapes`): a few fields,
nothing that nests too deep, no files.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clew.core.values import dataclass
from clew.servers.descriptions import names
from clew.servers.descriptions.documents import UnsupportedError
from clew.servers.descriptions.envelopes import Part
from clew.servers.descriptions.shapes import MOST, MOST_INPUT, MOST_NESTED, Field, Kind, Shape

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
DEEPEST = 3
_NOTHING = (None, Part("text"))


@dataclass(frozen=True, slots=True)
class Types:
    """The types of one WSDL. `choices` are the values of its enumerations, which zeep does not keep."""

    choices: Mapping[tuple[str, str], tuple[str, ...]]

    def sent_fields(self, kind: Any, depth: int) -> Iterator[Field]:
        room = MOST_INPUT
        for name, element, required in elements(kind):
            if not required and room == 0:
                continue
            try:
                shape = self._sent(element.type, name, depth)
            except UnsupportedError:
                if required:
                    raise
                continue
            room -= not required
            many = element.accepts_multiple
            yield Field(name, name, Shape("list", shape) if many else shape, required)

    def _sent(self, kind: Any, name: str, depth: int) -> Shape:
        from zeep.xsd import ComplexType

        if isinstance(kind, ComplexType):
            if depth >= DEEPEST:
                raise UnsupportedError("what it takes nests too deep")
            fields = tuple(self.sent_fields(kind, depth + 1))
            if not fields:
                raise UnsupportedError(f"it takes {names.sentence(name, 60)}, of a type that is empty or anything")
            return Shape("typed", name=names.class_name(name), fields=fields)
        return self._plain(kind, number="number")

    def _plain(self, kind: Any, *, number: Kind) -> Shape:
        from zeep.xsd.types import builtins

        qname = getattr(kind, "qname", None)
        choices = self.choices.get((qname.namespace or "", qname.localname)) if qname is not None else None
        if choices:
            return Shape("choice", values=choices)
        if isinstance(kind, builtins.Base64Binary | builtins.HexBinary):
            raise UnsupportedError("it takes a file")
        if isinstance(kind, builtins.Boolean):
            return Shape("boolean")
        if isinstance(kind, builtins.Integer):
            return Shape("integer")
        if isinstance(kind, builtins.Float | builtins.Double):
            return Shape("number")
        return Shape(number if isinstance(kind, builtins.Decimal) else "text")

    def result(self, operation: Any) -> tuple[Shape | None, Part]:
        """What comes back; an answer that holds one thing is that thing."""
        kind = body_of(operation.output)
        fields = list(elements(kind))
        whole = self._received(kind, str(operation.name), 0) if fields else None
        if whole is None:
            return _NOTHING
        if len(fields) > 1:
            return whole
        shape, part = whole
        inner, name = shape.fields[0].shape if shape.fields else None, fields[0][0]
        if inner is None:
            return whole
        return replace(inner, nullable=True), Part("only", children={name: part.children[name]})

    def _received(self, kind: Any, name: str, depth: int) -> tuple[Shape, Part] | None:
        """A type as it comes, and how it is read; None for what is left out: files, and what nests too deep."""
        from zeep.xsd import ComplexType

        if not isinstance(kind, ComplexType):
            return self._received_plain(kind)
        children = list(elements(kind))
        if depth > DEEPEST or not children:
            return None
        name_of, only, _ = children[0]
        if len(children) == 1 and only.accepts_multiple and depth:
            inside = self._received(only.type, name_of, depth)
            read = Part("items", children={str(only.name): inside[1]}) if inside else None
            return (Shape("list", inside[0]), read) if inside and read else None
        return self._object(children, name, depth)

    def _received_plain(self, kind: Any) -> tuple[Shape, Part] | None:
        try:
            shape = self._plain(kind, number="text")  # a decimal keeps its digits
        except UnsupportedError:
            return None
        shape = Shape("text") if shape.kind == "choice" else shape  # the provider may add values
        return shape, Part(shape.kind)

    def _object(self, children: list[tuple[str, Any, bool]], name: str, depth: int) -> tuple[Shape, Part] | None:
        fields: list[Field] = []
        parts: dict[str, Part] = {}
        taken: set[str] = set()
        for child, element, required in children[: MOST if depth < 2 else MOST_NESTED]:
            inside = self._received(element.type, child, depth + 1)
            path = names.field_path(str(element.name))
            if inside is None or not path:
                continue
            shape, part = inside
            if element.accepts_multiple:
                shape, part = Shape("list", shape), replace(part, many=True)
            own = names.field_name(child, taken)
            taken.add(own)
            must = required and not element.nillable and not element.accepts_multiple
            fields.append(Field(own, path, shape, must))
            parts[str(element.name)] = part
        if not fields:
            return None
        return Shape("model", name=names.class_name(name), fields=tuple(fields)), Part("object", children=parts)


def elements(kind: Any) -> Iterator[tuple[str, Any, bool]]:
    """The elements of a type by the name zeep knows them under, and whether each must be there."""
    from zeep.xsd.elements.any import Any as XsdAny
    from zeep.xsd.elements.indicators import Choice, Indicator

    if not hasattr(kind, "elements_nested"):
        return

    def walk(pairs: Any, optional: bool) -> Iterator[tuple[str, Any, bool]]:
        for name, element in pairs:
            if isinstance(element, Indicator):
                if element.accepts_multiple:
                    continue  # a group that repeats: zeep would want lists of it
                free = optional or isinstance(element, Choice) or element.min_occurs == 0
                inside: Any = element
                yield from walk(
                    inside.elements_nested if hasattr(inside, "elements_nested") else list(inside.items()), free
                )
            elif not isinstance(element, XsdAny) and element.type is not None and NAME.fullmatch(str(element.name)):
                yield str(name), element, not (optional or element.min_occurs == 0)

    seen = set[str]()
    for name, element, required in walk(kind.elements_nested, False):
        own = element.attr_name or name
        if own not in seen:
            seen.add(own)
            yield own, element, required


def body_of(message: Any) -> Any:
    """The type of a message's body; None where it has none."""
    return None if message is None or message.body is None else message.body.type
