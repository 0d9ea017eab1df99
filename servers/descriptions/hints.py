"""What else a description gives away: where errors say what is wrong, and which version of the API it describes."""

import re
from typing import Any

from clew.core.fields import as_list, as_object
from clew.core.outcomes import ErrorMap
from clew.core.versions import Version
from clew.servers.descriptions.documents import Document, Node, UnsupportedError, objects
from clew.servers.descriptions.shapes import Shapes

_MESSAGES = (
    "error.message", "message", "error_description", "detail", "errors[0].message", "errors[0].detail",
    "errorMessages[0]", "title", "description", "error", "reason", "msg",
)  # fmt: skip
_CODES = ("error.code", "errorCode", "error_code", "code", "errors[0].code", "error.type", "error", "type")
_LOOKED_AT = 200


def errors_of(shapes: Shapes) -> ErrorMap:
    """Where this API's errors have their sentence and their code; nothing where the description does not say: the
    shapes that many APIs share are known anyway."""
    for schema in _error_schemas(shapes.document):
        try:
            messages = tuple(path for path in _MESSAGES if _leads(shapes, schema, path))
            codes = tuple(path for path in _CODES if _leads(shapes, schema, path))
        except UnsupportedError:
            continue
        if messages:
            return ErrorMap(message=messages[:2], provider_code=codes[:2])
    return ErrorMap()


def _error_schemas(document: Document) -> list[Any]:
    found: list[Any] = []
    for _, operation in _some(document):
        for status, raw in (as_object(operation.get("responses")) or {}).items():
            if not re.match(r"4\d\d|4xx|default", str(status), re.IGNORECASE):
                continue
            try:
                schema = schema_of(document.follow(raw))
            except UnsupportedError:
                continue
            if schema is not None and schema not in found:
                found.append(schema)
        if len(found) > 5:
            break
    return found


def schema_of(response: Node) -> Any:
    """The schema of a JSON answer, in the old place or the new one; None when there is none."""
    if "schema" in response:
        return response["schema"]
    for media, raw in (as_object(response.get("content")) or {}).items():
        if re.search(r"[/+]json\b|^\*/\*", str(media)):
            return (as_object(raw) or {}).get("schema")
    return None


def _leads(shapes: Shapes, schema: Any, path: str) -> bool:
    node: Node = shapes.flat(schema)
    for step in path.replace("[0]", ".0").split("."):
        inner = node.get("items") if step == "0" else (as_object(node.get("properties")) or {}).get(step)
        if inner is None:
            return False
        node = shapes.flat(inner)
    return node.get("type") in ("string", "integer")


def _some(document: Document) -> list[tuple[str, Node]]:
    found: list[tuple[str, Node]] = []
    for raw in (as_object(document.root.get("paths")) or {}).values():
        item = as_object(raw) or {}
        found += [(name, each) for name in ("get", "post") if (each := as_object(item.get(name))) is not None]
        if len(found) > _LOOKED_AT:
            break
    return found


def version_of(document: Document) -> tuple[Version | None, frozenset[str]]:
    """A version that the document settles, sent with every request, and the names of such parameters."""
    components = as_object(document.root.get("components")) or {}
    shared = as_object(document.root.get("parameters") if document.is_old else components.get("parameters")) or {}
    parameters: list[Node] = [each for raw in shared.values() if (each := as_object(raw)) is not None]
    for _, operation in _some(document):
        parameters += objects(operation.get("parameters"))
    for parameter in parameters:
        name, place = parameter.get("name"), parameter.get("in")
        if not isinstance(name, str) or place not in ("header", "query") or not is_version(name):
            continue
        schema = as_object(parameter.get("schema")) or parameter
        values = [schema.get("default"), *(as_list(schema.get("enum")) or ())[:1], schema.get("const")]
        value = next((word for word in values if isinstance(word, str) and re.fullmatch(r"[\w.-]{1,40}", word)), None)
        if value is not None and re.fullmatch(r"[\w-]{1,60}", name):
            return (Version(value, header=name) if place == "header" else Version(value, parameter=name)), frozenset(
                {name}
            )
    return None, frozenset()


def is_version(name: str) -> bool:
    """Does a parameter of this name carry the version of the API?"""
    return re.fullmatch(r"(?:x-)?(?:\w+-)*(?:api-)?version", name.lower()) is not None and "-" in name
