"""One OpenAPI operation as a plan: its arguments, its request, its result."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from clew.core.connector import Effect
from clew.core.fields import as_object
from clew.core.once import Once, ProviderKey
from clew.core.values import dataclass
from clew.servers.descriptions.documents import Node, UnsupportedError, objects
from clew.servers.descriptions.hints import is_version, schema_of
from clew.servers.descriptions.names import parameter_name
from clew.servers.descriptions.paging import Paging, items_of, recognised
from clew.servers.descriptions.plans import Argument, Plan
from clew.servers.descriptions.shapes import Shape, Shapes, shape_help

MOST_QUERY, MOST_BODY = 10, 12
"""Optional parameters of a query, and optional fields of a body, that a tool offers."""
_HOLE = re.compile(r"\{([^{}/]{1,100})\}")
_JSON = re.compile(r"[/+]json\b|^\*/\*")
_FORM = "application/x-www-form-urlencoded"
_OURS = frozenset({"accept", "content-type", "authorization", "user-agent", "idempotency-key"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation with its name and effect, before anybody knows whether it will be a tool."""

    name: str
    method: str
    path: str
    operation: Node
    shared: Any
    tag: str
    effect: Effect

    @property
    def operation_id(self) -> str:
        """The description's own name for it, or nothing."""
        found = self.operation.get("operationId")
        return found if isinstance(found, str) else ""

    @property
    def label(self) -> str:
        """All that it can be named by."""
        return f"{self.operation_id} {self.method} {self.path}".strip()


def planned(shapes: Shapes, entry: Entry, *, bare: bool, fixed: frozenset[str], scopes: tuple[str, ...]) -> Plan:
    """The plan of an operation. A `bare` one has only the arguments of its path: a deletion, and what shows its object.

    Raises `UnsupportedError`.
    """
    method, path, operation, name = entry.method, entry.path, entry.operation, entry.name
    parameters = list(parameters_of(shapes, operation, entry.shared))
    response, headers = _answer(shapes, operation)
    query = [each for each in parameters if each.get("in") == "query"]
    noun = name.partition("_")[2] or name
    paging = (
        recognised(shapes, query, response, headers) if method == "GET" and response is not None and not bare else None
    )
    arguments = _path_arguments(shapes, path, noun, parameters)
    taken = {each.name for each in arguments}
    if not bare:
        own = paging.parameters if paging else frozenset[str]()
        arguments += _query_arguments(shapes, query, noun, own | fixed, taken)
    arguments += _header_arguments(shapes, parameters, taken, fixed)
    form = False
    if method not in ("GET", "DELETE") and not bare:
        body, form = _body_arguments(shapes, operation, noun, taken)
        arguments += body
    result, at = _result(shapes, response, paging, noun, method)
    once = _once(parameters) if method == "POST" else None
    return Plan(
        method=method,
        path=_HOLE.sub("{}", path),
        arguments=tuple(sorted(arguments, key=lambda each: not each.required)),
        result=result,
        at=at,
        pages=paging.paginator if paging else None,
        form=form,
        scopes=scopes,
        once=once,
    )


def parameters_of(shapes: Shapes, operation: Node, shared: Any) -> Iterator[Node]:
    """The parameters of an operation and of its path, the operation's own winning. Raises `UnsupportedError`."""
    found: dict[tuple[str, str], Node] = {}
    for raw in [*objects(shared), *objects(operation.get("parameters"))]:
        each = shapes.document.follow(raw)
        name, place = each.get("name"), each.get("in")
        if isinstance(name, str) and name and isinstance(place, str):
            found[name, place] = each
    yield from found.values()


def _path_arguments(shapes: Shapes, path: str, noun: str, parameters: Sequence[Node]) -> list[Argument]:
    declared = {str(each["name"]): each for each in parameters if each.get("in") == "path"}
    arguments: list[Argument] = []
    for hole in _HOLE.findall(path):
        schema = _schema(declared.get(hole, {}))
        shape = shapes.sent(schema, f"{noun} {hole}")
        shape = shape if shape.kind in ("text", "integer", "choice") else Shape("text")
        name = parameter_name(hole, {each.name for each in arguments})
        arguments.append(Argument(name, hole, "path", shape, True, shape_help(declared.get(hole, {}), hole)))
    return arguments


def _query_arguments(
    shapes: Shapes, query: Sequence[Node], noun: str, skipped: frozenset[str], taken: set[str]
) -> list[Argument]:
    arguments: list[Argument] = []
    room = MOST_QUERY
    for each in query:
        wire, required = str(each["name"]), each.get("required") is True
        if wire in skipped or (not required and (room == 0 or each.get("deprecated") is True)):
            continue
        shape = shapes.sent(_schema(each), f"{noun} {wire}")
        if not _fits_a_query(shape):
            if required:
                raise UnsupportedError(f"it needs a query parameter that is an object ({wire[:40]})")
            continue
        room -= not required
        name = parameter_name(wire, taken)
        taken.add(name)
        joined = shape.kind == "list" and _is_joined(each)
        arguments.append(Argument(name, wire, "query", shape, required, shape_help(each, wire), joined))
    return arguments


def _fits_a_query(shape: Shape) -> bool:
    inner = shape.item if shape.kind == "list" and shape.item else shape
    return inner.kind in ("text", "integer", "number", "boolean", "choice")


def _is_joined(parameter: Node) -> bool:
    """Is a list one value with commas?"""
    if "collectionFormat" in parameter or parameter.get("type") == "array":
        return str(parameter.get("collectionFormat", "csv")) != "multi"
    return parameter.get("explode") is False


def _header_arguments(
    shapes: Shapes, parameters: Sequence[Node], taken: set[str], fixed: frozenset[str]
) -> list[Argument]:
    """Only headers that must be there, and that are not the framework's to send."""
    arguments: list[Argument] = []
    for each in parameters:
        wire = str(each["name"])
        if each.get("in") != "header" or each.get("required") is not True or wire.lower() in _OURS or wire in fixed:
            continue
        if not re.fullmatch(r"[A-Za-z0-9-]{1,60}", wire) or is_version(wire):
            raise UnsupportedError(f"it needs the header {wire[:40]!r}, whose value the description does not settle")
        name = parameter_name(wire, taken)
        taken.add(name)
        arguments.append(Argument(name, wire, "header", Shape("text"), True, shape_help(each, wire)))
    return arguments


def _body_arguments(shapes: Shapes, operation: Node, noun: str, taken: set[str]) -> tuple[list[Argument], bool]:
    schema, form, required = _body(shapes, operation)
    if schema is None:
        return [], form
    flat = shapes.flat(schema)
    named = as_object(flat.get("properties"))
    if not named:
        shape = shapes.sent(schema, noun)
        if form:
            raise UnsupportedError("its form has no fields")
        empty = shape.kind in ("value", "map") and not required
        return ([] if empty else [Argument(parameter_name("body", taken), "", "whole", shape, required)]), form
    arguments: list[Argument] = []
    for wire, raw, needed in shapes.sent_properties(flat, MOST_BODY):
        try:
            shape = shapes.sent(raw, f"{noun} {wire}")
        except UnsupportedError:
            if needed:
                raise
            continue
        name = parameter_name(wire, taken)
        taken.add(name)
        help = shape_help(shapes.document.follow(raw), wire)
        arguments.append(Argument(name, wire, "body", shape, needed and required, help))
    return arguments, form


def _body(shapes: Shapes, operation: Node) -> tuple[Any, bool, bool]:
    """The schema of the body, whether it is a form, and whether it must be sent. Raises `UnsupportedError`."""
    if shapes.document.is_old:
        return _old_body(shapes, operation)
    body = shapes.document.follow(operation.get("requestBody"))
    content = as_object(body.get("content")) or {}
    required = body.get("required") is True
    for media, raw in content.items():
        if _JSON.search(str(media)):
            return (as_object(raw) or {}).get("schema"), False, required
    if _FORM in content:
        return (as_object(content[_FORM]) or {}).get("schema"), True, True
    if content and required:
        raise UnsupportedError(f"it takes {next(iter(content))!s:.60}")
    return None, False, False


def _old_body(shapes: Shapes, operation: Node) -> tuple[Any, bool, bool]:
    parameters = [shapes.document.follow(each) for each in objects(operation.get("parameters"))]
    for each in parameters:
        if each.get("in") == "body":
            return each.get("schema"), False, each.get("required") is True
    fields = {str(each.get("name")): each for each in parameters if each.get("in") == "formData"}
    if any(each.get("type") == "file" and each.get("required") is True for each in fields.values()):
        raise UnsupportedError("it takes a file")
    if not fields:
        return None, False, False
    needed = [name for name, each in fields.items() if each.get("required") is True]
    return {"type": "object", "properties": fields, "required": needed}, True, True


def _schema(parameter: Node) -> Any:
    if "schema" in parameter:
        return parameter["schema"]
    content = as_object(parameter.get("content"))
    if content:
        return (as_object(next(iter(content.values()))) or {}).get("schema")
    return parameter if "type" in parameter else {"type": "string"}


def _answer(shapes: Shapes, operation: Node) -> tuple[Any, Node]:
    """The schema of what comes back (None: nothing) and the headers. Raises `UnsupportedError` for files."""
    responses = as_object(operation.get("responses")) or {}
    good = sorted((str(status), raw) for status, raw in responses.items() if re.match(r"2\d\d|2xx", str(status), re.I))
    found = [shapes.document.follow(raw) for _, raw in good] or [shapes.document.follow(responses.get("default"))]
    for response in found:
        schema = schema_of(response)
        if schema is not None:
            return schema, as_object(response.get("headers")) or {}
    for response in found:
        media = [str(each) for each in as_object(response.get("content")) or {}]
        if any(each.startswith("text/") for each in media):
            return {"type": "string"}, {}
        if media and not any(_JSON.search(each) for each in media):
            raise UnsupportedError(f"it answers with {media[0]:.60}")
    return None, {}


def _result(shapes: Shapes, schema: Any, paging: Paging | None, noun: str, method: str) -> tuple[Shape | None, str]:
    if schema is None or method == "DELETE":
        return None, ""
    if paging is not None:
        return shapes.received(paging.item, noun), ""
    flat = shapes.flat(schema)
    named = as_object(flat.get("properties")) or {}
    path, item = items_of(shapes, flat)
    if item is not None and path and len(named) == 1:
        return Shape("list", shapes.received(item, noun)), path
    return shapes.received(schema, noun), ""


def _once(parameters: Sequence[Node]) -> Once | None:
    keyed = any(each.get("in") == "header" and str(each["name"]).lower() == "idempotency-key" for each in parameters)
    return ProviderKey(header="Idempotency-Key") if keyed else None
