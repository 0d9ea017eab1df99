"""What of a description's types a tool shows. A shape is small and never recursive: it is paid for by token.

Results keep what says something: plain fields, the name of a nested object instead of the object, no links, no
deprecated fields, at most `MOST` fields and `MOST_NESTED` in a nested object. Arguments keep what is required and the
first optional ones. What is left out is left out for good; whoever needs more owns the module and adds a line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from clew.core.fields import as_list, as_object
from clew.core.values import dataclass
from clew.servers.descriptions.documents import Document, Node, UnsupportedError, objects, texts
from clew.servers.descriptions.names import class_name, field_name, field_path, note

MOST, MOST_NESTED, MOST_INPUT = 20, 8, 12
"""Fields of a result, of an object inside a result, and optional ones of what is sent."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names of fields that every model provider takes."""
_CHOICES, _CHOICE_LENGTH = 20, 60
_DEEPEST = 2
_INSIDE = 20

Kind = Literal["text", "integer", "number", "boolean", "any", "value", "choice", "list", "map", "model", "typed"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A type: a plain one, a choice of `values`, a list of `item`, or an object with `fields`.

    A `model` is what comes back, a `typed` one what is sent. `nullable` says that null may stand in its place. Of a
    type that nobody says are `any`, which comes back, and `value`, which is sent: a text, a number, a boolean or an
    object, for hosts refuse arguments of no type.
    """

    kind: Kind
    item: "Shape | None" = None
    values: tuple[str, ...] = ()
    name: str = ""
    fields: tuple["Field", ...] = ()
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object: our name, and `path`, where it stands in what is received, or its name in what is sent."""

    name: str
    path: str
    shape: Shape
    required: bool
    help: str = ""


ANY, VALUE = Shape("any"), Shape("value")
_PREFERRED = ("object", "array", "string", "number", "integer", "boolean", "")
"""Which of several types an argument has: the one that can say most. Without any, its own choices are looked at."""
_PLAIN: Mapping[str, Kind] = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
_HANDLES = ("login", "name", "displayName", "display_name", "title", "key", "slug", "email", "id")
_NOISE = frozenset(
    {"node_id", "gravatar_id", "_links", "links", "self", "expand", "avatarUrls", "avatar_url", "object", "livemode"}
)


class Shapes:
    """The schemas of one document as shapes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._flat: dict[str, Node] = {}

    def sent(self, schema: Any, name: str, depth: int = 0, lists: int = 0, inside: int = 0) -> Shape:
        """What an argument may be. Raises `UnsupportedError` for files."""
        flat = self.flat(schema)
        kind = _type_of(flat)
        if flat.get("format") in ("binary", "base64") and kind == "string":
            raise UnsupportedError("it takes a file")
        choices = _choices(flat)
        if choices:
            return Shape("choice", values=choices, name=class_name(name))
        if not kind:
            chosen = self._one_of(schema, inside)
            return self.sent(chosen, name, depth, lists, inside + 1) if chosen else VALUE
        if kind == "array":
            return Shape("list", self.sent(flat.get("items"), name, depth, lists + 1) if lists < _DEEPEST else VALUE)
        if kind == "object":
            named = as_object(flat.get("properties"))
            fields = tuple(self._sent_fields(flat, name, depth)) if named and depth < _DEEPEST else ()
            plain = fields and all(_NAME.fullmatch(each.path) for each in fields)
            return Shape("typed", name=class_name(name), fields=fields) if plain else Shape("map")
        return Shape(_PLAIN.get(kind, "value"))

    def _one_of(self, schema: Any, inside: int) -> Node | None:
        """The choice to offer where an argument may be of several types; an empty text, for nothing, is none."""
        node, _ = self.document.named(schema)
        among = [*objects(node.get("oneOf")), *objects(node.get("anyOf"))] if inside < _INSIDE else []
        among = among[:50] or [{**node, "type": each} for each in texts(node.get("type")) if each != "null"]
        flat = [(each, self.flat(each)) for each in among]
        known = {_type_of(found): each for each, found in reversed(flat) if as_list(found.get("enum")) != [""]}
        return next((known[each] for each in _PREFERRED if each in known), None)

    def _sent_fields(self, flat: Node, name: str, depth: int) -> Iterator[Field]:
        for field, schema, required in self.sent_properties(flat, MOST_INPUT):
            shape = self.sent(schema, f"{name} {field}", depth + 1)
            yield Field(field, field, shape, required)

    def sent_properties(self, flat: Node, most: int) -> list[tuple[str, Node, bool]]:
        """The fields to send: those required, and the first optional ones that are neither read-only nor deprecated."""
        named = as_object(flat.get("properties")) or {}
        needed = set(texts(flat.get("required")))
        chosen: list[tuple[str, Node, bool]] = []
        for field, raw in named.items():
            schema = self.flat(raw)
            if schema.get("readOnly") is True and field not in needed:
                continue
            if field in needed:
                chosen.append((field, schema, True))
            elif most > 0 and schema.get("deprecated") is not True and not _is_file(schema):
                chosen.append((field, schema, False))
                most -= 1
        return [(field, as_object(named[field]) or {}, required) for field, _, required in chosen]

    def received(self, schema: Any, name: str, depth: int = 0, lists: int = 0) -> Shape:
        """What comes back."""
        node, reference = self.document.named(schema)
        flat = self.flat(schema)
        kind, nullable = _type_of(flat), flat.get("nullable") is True
        if kind == "array":
            item = self.received(flat.get("items"), name, depth, lists + 1) if lists < _DEEPEST else ANY
            return Shape("list", replace(item, nullable=False) if item.kind != "any" else item, nullable=nullable)
        if kind != "object":
            return Shape(_PLAIN.get(kind, "any"), nullable=nullable)
        called = class_name(reference.rpartition("/")[2] or str(node.get("title") or "") or name)
        fields = tuple(self._received_fields(flat, called, depth))
        if not fields:
            return Shape("map", nullable=nullable)
        return Shape("model", name=called, fields=fields, nullable=nullable)

    def _received_fields(self, flat: Node, name: str, depth: int) -> Iterator[Field]:
        named = as_object(flat.get("properties")) or {}
        needed = set(texts(flat.get("required")))
        taken: set[str] = set()
        for field, raw in named.items():
            if len(taken) >= (MOST_NESTED if depth else MOST):
                return
            found = None if _is_noise(field, named) else self._received_field(field, raw, field in needed, name, depth)
            if found is not None:
                found = replace(found, name=field_name(found.name, taken))
                taken.add(found.name)
                yield found

    def _received_field(self, field: str, raw: Any, required: bool, name: str, depth: int) -> Field | None:
        schema, path = self.flat(raw), field_path(field)
        if not path or schema.get("deprecated") is True or schema.get("writeOnly") is True:
            return None
        kind = _type_of(schema)
        items: Node = self.flat(schema.get("items")) if kind == "array" else {}
        nested = kind == "object" or (kind == "array" and _type_of(items) not in _PLAIN)
        if not nested:
            return Field(field, path, self.received(raw, field, _DEEPEST), required)
        named = self._by_name(field, schema, items, required, depth)
        if named is not None or depth + 1 >= _DEEPEST:
            return named
        shape = self.received(raw, f"{name} {field}", depth + 1)
        inner = shape.item or shape
        return None if inner.kind in ("map", "any", "list") else Field(field, path, shape, required)

    def _by_name(self, field: str, schema: Node, items: Node, required: bool, depth: int) -> Field | None:
        """The name of a nested object in its place, or deep inside, of a list of them; None when they have no name."""
        path, several = field_path(field), bool(items)
        handle = self._handle(items if several else schema)
        if handle is None or not field_path(handle[0]):
            return None
        inner, certain = handle
        shape = self.received((as_object((items or schema).get("properties")) or {})[inner], "", _DEEPEST)
        if not several:
            surely = certain and schema.get("nullable") is not True
            return Field(field, f"{path}.{field_path(inner)}", shape, required and surely)
        if not certain or not depth or schema.get("nullable") is True:
            return None
        return Field(field, f"{path}[*].{field_path(inner)}", Shape("list", shape), required)

    def _handle(self, flat: Node) -> tuple[str, bool] | None:
        """The field that names a nested object to a reader, and whether it is surely there; None when it has no name
        or holds more than that."""
        named = as_object(flat.get("properties")) or {}
        found = next((each for each in _HANDLES if each in named), None)
        if found is None or _type_of(self.flat(named[found])) not in ("string", "integer"):
            return None
        sure = found in texts(flat.get("required")) and self.flat(named[found]).get("nullable") is not True
        return found, sure

    def flat(self, schema: Any, *, inside: tuple[str, ...] = ()) -> Node:
        """A schema with its references followed and `allOf` merged, and `nullable` wherever null is allowed.

        Of `oneOf` and `anyOf` only what all choices share is known; objects among themselves lend all their fields.
        What is named is read once, so however it branches, the work is bounded by the size of the document.
        """
        node, name = self.document.named(schema)
        if name in self._flat:
            return self._flat[name]
        if (name and name in inside) or len(inside) > _INSIDE:
            return {}
        merged = self._merge(node, (*inside, name))
        if name:
            self._flat[name] = merged
        return merged

    def _merge(self, node: Node, inside: tuple[str, ...]) -> Node:
        parts = [self.flat(each, inside=inside) for each in objects(node.get("allOf"))[:50]]
        choices = [*objects(node.get("oneOf")), *objects(node.get("anyOf"))][:50]
        null = [each for each in choices if each.get("type") == "null"]
        if choices and "properties" not in node:
            known = [self.flat(each, inside=inside) for each in choices if each.get("type") != "null"]
            parts.append(_common(known))
        merged: dict[str, Any] = {}
        for part in [*parts, node]:
            merged = _merged(merged, part)
        kinds = texts(node.get("type"))
        if null or "null" in kinds or node.get("x-nullable") is True or None in (as_list(node.get("enum")) or ()):
            merged["nullable"] = True
        if kinds:
            rest = [each for each in kinds if each != "null"]
            merged["type"] = rest[0] if len(rest) == 1 else ""
        return merged


def _merged(one: Mapping[str, Any], other: Node) -> dict[str, Any]:
    both = {**one, **{key: value for key, value in other.items() if key not in ("allOf", "oneOf", "anyOf", "$ref")}}
    if as_object(one.get("properties")) and as_object(other.get("properties")):
        both["properties"] = {**one["properties"], **other["properties"]}
    if as_list(one.get("required")) and as_list(other.get("required")):
        both["required"] = [*one["required"], *other["required"]]
    return both


def _common(choices: Sequence[Node]) -> dict[str, Any]:
    if len(choices) == 1:
        return dict(choices[0])
    kinds = {_type_of(each) for each in choices}
    nullable = {"nullable": True} if any(each.get("nullable") is True for each in choices) else {}
    if len(kinds) != 1 or not kinds - {""}:
        return {"type": "", **nullable}
    kind = kinds.pop()
    if kind != "object":
        return {"type": kind, **nullable}
    named: dict[str, Any] = {}
    for each in choices:
        named = {**(as_object(each.get("properties")) or {}), **named}
    needed = [texts(each.get("required")) for each in choices]
    shared = sorted(name for name in needed[0] if all(name in each for each in needed))
    return {"type": "object", "properties": named, "required": shared, **nullable}


def _type_of(flat: Node) -> str:
    kind = flat.get("type")
    if isinstance(kind, str):
        return kind
    if as_object(flat.get("properties")) is not None or as_object(flat.get("additionalProperties")) is not None:
        return "object"
    if "items" in flat:
        return "array"
    values = [each for each in as_list(flat.get("enum")) or () if each is not None]
    return "string" if values and all(isinstance(each, str) for each in values) else ""


def _choices(flat: Node) -> tuple[str, ...]:
    """The values of an enumeration of texts that is worth telling; none where it is too long. Neither null nor an empty
    text is one: an argument that says nothing is left out."""
    given = [flat["const"]] if "const" in flat else as_list(flat.get("enum")) or []
    values = [each for each in given if each not in (None, "")]
    told = [each for each in values if isinstance(each, str) and each.isprintable() and len(each) <= _CHOICE_LENGTH]
    return tuple(dict.fromkeys(told)) if values and len(told) == len(values) <= _CHOICES else ()


def _is_file(flat: Node) -> bool:
    return _type_of(flat) in ("string", "file") and (flat.get("format") == "binary" or flat.get("type") == "file")


def _is_noise(field: str, siblings: Mapping[str, Any]) -> bool:
    if field in _NOISE or field.startswith("_"):
        return True
    lower = field.lower()
    if lower in ("html_url", "htmlurl", "web_url", "permalink"):
        return False
    if lower in ("url", "href", "uri"):
        return "html_url" in siblings or "self" in siblings
    return lower.endswith(("_url", "_urls", "_href")) or field.endswith(("Url", "Urls", "Href"))


def shape_help(schema: Node, name: str) -> str:
    """A short description of an argument that says more than its name."""
    return note(schema.get("description"), name)
