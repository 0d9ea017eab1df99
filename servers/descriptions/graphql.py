"""GraphQL: the queries and mutations of a schema as tools, each with one selection that is bounded when it is made.

The schema is an SDL file, the JSON of an introspection, or asked of the endpoint. A selection holds the plain fields of
a type and of the objects in it the field that names them; connections are paged. Nothing of a schema is pasted into an
operation but names, and those are GraphQL's: letters, digits and `_`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from clew.core.connector import Effect
from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.core.pages import GraphQLPages
from clew.core.values import dataclass
from clew.servers.descriptions import names, security
from clew.servers.descriptions.documents import Node, objects, texts
from clew.servers.descriptions.plans import Argument, Described, Offer, Plan
from clew.servers.descriptions.shapes import ANY, VALUE, Field, Shape
from clew.servers.descriptions.sources import Source, check_address, content_of

OPTIONS = ("name", "auth", "url")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SCALARS: Mapping[str, Shape] = {
    "String": Shape("text"), "ID": Shape("text"), "Int": Shape("integer"), "Float": Shape("number"),
    "Boolean": Shape("boolean"),
}  # fmt: skip
_HANDLES = ("name", "login", "title", "displayName", "key", "identifier", "slug", "email", "id")
_MOST, _MOST_INPUT, _DEEPEST = 15, 12, 3
_PAGED = frozenset({"first", "after", "last", "before"})
_QUERY = (
    "query{__schema{queryType{name}mutationType{name}types{kind name fields(includeDeprecated:false)"
    "{name description args{name description defaultValue type{...T}}type{...T}}"
    "inputFields{name description defaultValue type{...T}}enumValues(includeDeprecated:false){name}}}}"
    "fragment T on __Type{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name}}}}}"
)


@dataclass(frozen=True, slots=True)
class Type:
    """A type as it stands at a field: its name and kind, whether it is a list, and whether null may be there."""

    name: str
    kind: str
    many: bool
    required: bool


def described_graphql(source: Source) -> Described:
    """What a GraphQL schema offers. Raises `ConfigurationError`."""
    address = source.options.get("url") or (source.place if source.is_remote else "")
    if not address:
        raise ConfigurationError("say where the endpoint is: graphql:schema.graphql#url=https://…")
    check_address(address, "a GraphQL endpoint")
    schema = _Schema(_asked(source.place) if source.is_remote else _stored(source))
    parts = urlsplit(address)
    offers, left_out = schema.offers()
    return Described(
        name=source.options.get("name") or names.snake(_site(parts.hostname or ""), empty="graphql"),
        title=parts.hostname or "GraphQL",
        base_url=f"{parts.scheme}://{parts.netloc}",
        schemes=security.of_option(source.options.get("auth", "none")),
        graphql=parts.path or "/graphql",
        offers=offers,
        left_out=left_out,
    )


def _site(host: str) -> str:
    labels = [each for each in host.split(".") if each not in ("api", "www", "graphql")]
    return labels[0] if labels else ""


def _asked(address: str) -> Node:
    """The schema by introspection, without credentials. Raises `ConfigurationError` when that is not answered."""
    import httpx

    advice = (
        "Its owner may allow it only with a credential, or not at all: save the schema to a file (SDL, or the JSON of "
        f"an introspection) and use graphql:FILE#url={address}"
    )
    try:
        answer = httpx.post(address, json={"query": _QUERY}, timeout=60.0, follow_redirects=False)
        schema = _of_answer(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise ConfigurationError(f"{address} cannot be introspected ({type(error).__name__}). {advice}") from None
    if schema is None:
        raise ConfigurationError(f"{address} does not tell its schema: introspection is disabled. {advice}")
    return schema


def _of_answer(data: Any) -> Node | None:
    found = as_object(data) or {}
    return as_object((as_object(found.get("data")) or found).get("__schema"))


def _stored(source: Source) -> Node:
    text = content_of(source).decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        try:
            found = _of_answer(json.loads(text))
        except (ValueError, RecursionError):
            found = None
        if found is None:
            raise ConfigurationError(f"{source.place} is no answer to an introspection.")
        return found
    return _of_sdl(text, source.place)


def _of_sdl(text: str, place: str) -> Node:
    try:
        from graphql import build_schema, introspection_from_schema
        from graphql.error import GraphQLError
    except ImportError:
        raise ConfigurationError("reading SDL needs graphql-core: pip install 'clew[graphql]'") from None
    try:
        made: Any = introspection_from_schema(build_schema(text, assume_valid_sdl=False))
    except (GraphQLError, TypeError, RecursionError) as error:
        why = names.sentence(str(error), 150)
        raise ConfigurationError(f"{place} is no GraphQL schema that we read: {why}") from None
    return _of_answer(made) or {}


class _Schema:
    def __init__(self, root: Node) -> None:
        self.root = root
        self.types = {name: each for each in objects(root.get("types")) if isinstance(name := each.get("name"), str)}

    def offers(self) -> tuple[dict[str, Offer], dict[str, str]]:
        found: dict[str, Offer] = {}
        left_out: dict[str, str] = {}
        for part, effect in (("queryType", Effect.READ), ("mutationType", Effect.WRITE)):
            top = self.types.get(str((as_object(self.root.get(part)) or {}).get("name")), {})
            for field in objects(top.get("fields"))[:2000]:
                self._offer(field, part[:-4], effect, found, left_out)
        return found, left_out

    def _offer(
        self, field: Node, operation: str, effect: Effect, found: dict[str, Offer], left_out: dict[str, str]
    ) -> None:  # fmt: skip
        wire = str(field.get("name"))
        if not _NAME.fullmatch(wire):
            return
        name = _tool_name(wire, operation, self.type_of(field))
        name = names.unique(name, operation, {*found, *names.RESERVED})
        preview = ""
        plan = self._plan(field, wire, operation)
        if effect is Effect.WRITE and set(names.words(wire)) & names.DESTROYING:
            shown = _shows(wire, plan, found)
            if shown is None:
                left_out[f"{operation} {wire}"] = "no query with the same arguments shows what it would hit"
                return
            effect, preview = Effect.DESTRUCTIVE, shown.name
        found[name] = Offer(
            name=name,
            operation=wire,
            method=operation,
            path=wire,
            effect=effect,
            doc=names.saying(field.get("description"), name.replace("_", " ").capitalize()),
            toolset="",
            plan=plan,
            preview=preview,
        )

    def _plan(self, field: Node, wire: str, operation: str) -> Plan:
        kind = self.type_of(field)
        nodes = self._nodes(kind)
        taken: set[str] = set()
        arguments: list[Argument] = []
        variables: dict[str, str] = {}
        room = _MOST_INPUT
        for each in objects(field.get("args")):
            given, name = self.type_of(each), str(each.get("name"))
            required = given.required and each.get("defaultValue") is None
            paging = nodes is not None and name in _PAGED
            if not _NAME.fullmatch(name) or (not required and (paging or room == 0)):
                continue
            room -= not required
            own = names.parameter_name(name, taken)
            taken.add(own)
            shape = self._sent(given, 0)
            arguments.append(Argument(own, name, "body", shape, required, names.note(each.get("description"), name)))
            variables[name] = _spelled(each.get("type"))
        if nodes is not None:
            variables |= {"first": "Int", "after": "String"}
            selection, shape = self._selected(nodes, 0)
            selection = f"{{nodes{selection}pageInfo{{hasNextPage endCursor}}}}"
        else:
            selection, shape = self._selected(replace(kind, many=False), 0)
            shape = Shape("list", shape) if kind.many else shape
        head = ",".join(f"${name}:{spelled}" for name, spelled in variables.items())
        passed = ",".join(f"{name}:${name}" for name in variables)
        document = f"{operation}{f'({head})' if head else ''}{{{wire}{f'({passed})' if passed else ''}{selection}}}"
        return Plan(
            method="GRAPHQL",
            path=document,
            at=wire,
            arguments=tuple(sorted(arguments, key=lambda each: not each.required)),
            result=replace(shape, nullable=nodes is None and not kind.required),
            pages=GraphQLPages(wire) if nodes is not None else None,
        )

    def type_of(self, node: Node) -> Type:
        """The type at a field or an argument."""
        found = as_object(node.get("type")) or {}
        required, many = found.get("kind") == "NON_NULL", False
        for _ in range(6):
            if found.get("kind") not in ("NON_NULL", "LIST"):
                break
            many = many or found.get("kind") == "LIST"
            found = as_object(found.get("ofType")) or {}
        return Type(str(found.get("name")), str(found.get("kind")), many, required)

    def _fields(self, name: str) -> Iterator[tuple[str, Type]]:
        """The fields of a type that can be asked for without arguments."""
        for each in objects(self.types.get(name, {}).get("fields")):
            field = str(each.get("name"))
            needs = any(
                self.type_of(arg).required and arg.get("defaultValue") is None for arg in objects(each.get("args"))
            )
            if _NAME.fullmatch(field) and not needs:
                yield field, self.type_of(each)

    def _nodes(self, kind: Type) -> Type | None:
        """The nodes of a connection as Relay has them; None for every other type."""
        inside = dict(self._fields(kind.name))
        nodes, info = inside.get("nodes"), inside.get("pageInfo")
        if nodes is None or not nodes.many or info is None or not _NAME.fullmatch(nodes.name):
            return None
        known = dict(self._fields(info.name))
        return replace(nodes, many=False) if {"hasNextPage", "endCursor"} <= set(known) else None

    def _selected(self, kind: Type, depth: int) -> tuple[str, Shape]:
        """What is asked of a type, and what that looks like when it comes."""
        if kind.kind in ("SCALAR", "ENUM"):
            return "", Shape("text") if kind.kind == "ENUM" else _SCALARS.get(kind.name, ANY)
        asked: list[str] = []
        fields: list[Field] = []
        taken: set[str] = set()
        for name, inner in self._fields(kind.name) if kind.kind != "UNION" else ():
            if len(fields) >= (_MOST if depth == 0 else 4):
                break
            plain = inner.kind in ("SCALAR", "ENUM")
            handle = None if plain else self._handle(inner)
            if not plain and (depth or inner.many or handle is None):
                continue
            asked.append(name if handle is None else f"{name}{{{handle}}}")
            shape = _SCALARS.get(inner.name, Shape("text") if inner.kind == "ENUM" else ANY)
            shape = Shape("list", shape) if inner.many else shape if handle is None else Shape("text")
            own = names.field_name(name, taken)
            taken.add(own)
            path = name if handle is None else f"{name}.{handle}"
            fields.append(
                Field(own, path, replace(shape, nullable=not inner.required), inner.required and handle is None)
            )
        if not fields:
            return "{__typename}", Shape(
                "model", name="Named", fields=(Field("type_", "__typename", Shape("text"), True),)
            )
        return f"{{{' '.join(asked)}}}", Shape("model", name=names.class_name(kind.name), fields=tuple(fields))

    def _handle(self, kind: Type) -> str | None:
        inside = dict(self._fields(kind.name)) if kind.kind in ("OBJECT", "INTERFACE") else {}
        text = (name for name in _HANDLES if name in inside and inside[name].name in ("String", "ID"))
        return next((name for name in text if not inside[name].many), None)

    def _sent(self, kind: Type, depth: int) -> Shape:
        shape = self._sent_one(kind, depth)
        return Shape("list", shape) if kind.many else shape

    def _sent_one(self, kind: Type, depth: int) -> Shape:
        node = self.types.get(kind.name, {})
        if kind.kind == "ENUM":
            values = tuple(texts([each.get("name") for each in objects(node.get("enumValues"))]))
            return (
                Shape("choice", values=values, name=names.class_name(kind.name)) if len(values) <= 20 else Shape("text")
            )
        if kind.kind != "INPUT_OBJECT":
            return _SCALARS.get(kind.name, VALUE)
        if depth >= _DEEPEST:
            return Shape("map")
        fields: list[Field] = []
        room = _MOST_INPUT
        for each in objects(node.get("inputFields")):
            inner, name = self.type_of(each), str(each.get("name"))
            required = inner.required and each.get("defaultValue") is None
            if not _NAME.fullmatch(name) or (not required and room == 0):
                continue
            room -= not required
            fields.append(Field(name, name, self._sent(inner, depth + 1), required))
        return Shape("typed", name=names.class_name(kind.name), fields=tuple(fields)) if fields else Shape("map")


def _spelled(node: Any, depth: int = 0) -> str:
    """A type as an operation spells it."""
    found = as_object(node) or {}
    if depth < 8 and found.get("kind") == "NON_NULL":
        return f"{_spelled(found.get('ofType'), depth + 1)}!"
    if depth < 8 and found.get("kind") == "LIST":
        return f"[{_spelled(found.get('ofType'), depth + 1)}]"
    name = str(found.get("name"))
    return name if _NAME.fullmatch(name) else "String"


def _tool_name(wire: str, operation: str, kind: Type) -> str:
    words = names.words(wire)
    if operation == "query":
        many = kind.many or kind.name.endswith("Connection")
        return names.fitted(words if words[0] in names.VERBS else ["list" if many else "get", *words])
    position = next((at for at in (0, len(words) - 1) if words[at] in names.VERBS), None)
    if position is None:
        return names.fitted(["run", *words])
    return names.fitted([words[position], *words[:position], *words[position + 1 :]])


def _shows(wire: str, plan: Plan, found: Mapping[str, Offer]) -> Offer | None:
    """The query of the same noun with the same arguments."""
    nouns = [each for each in names.words(wire) if each not in names.DESTROYING]
    for offer in found.values():
        other = offer.plan
        if offer.method != "query" or other.pages is not None or names.words(offer.operation) != nouns:
            continue
        if {(each.wire, each.required) for each in other.arguments} == {
            (each.wire, each.required) for each in plan.arguments
        }:
            return offer
    return None
