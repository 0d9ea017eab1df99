"""What a test needs of a provider's own description: the operations that clew calls, as facts, without its prose.

Google describes its APIs in a form of its own, discovery documents, which are put into OpenAPI's words here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

from clew.core.fields import as_list

_PROSE = frozenset(
    {
        *("description", "summary", "title", "example", "examples", "externalDocs", "tags", "operationId"),
        *("security", "callbacks", "xml", "default", "deprecated", "readOnly", "writeOnly", "responses"),
        *("annotations", "enumDescriptions", "enumDeprecated"),
    }
)
_NAMED = frozenset({"properties", "patternProperties", "schemas", "parameters", "requestBodies", "paths", "content"})
"""Keys under which every name is somebody's own, even one that looks like prose."""

METHODS = ("get", "post", "put", "patch", "delete")

Node = Any


def cut(document: Mapping[str, Any], kept_only: Iterable[str] | None = None) -> dict[str, Any]:
    """`document` with these operations ("GET /a/{b}") and what they refer to; with `None`, all of them."""
    wanted = None if kept_only is None else set(kept_only)
    paths: dict[str, Any] = {}
    for path, item in document["paths"].items():
        kept = {name: item[name] for name in METHODS if name in item}
        if wanted is not None:
            kept = {name: each for name, each in kept.items() if f"{name.upper()} {path}" in wanted}
        if kept:
            shared = {"parameters": item["parameters"]} if "parameters" in item else {}
            paths[_reaching(path, kept)] = _plain({**shared, **kept})
    components: dict[str, dict[str, Any]] = {}
    todo = list(_references(paths))
    while todo:
        # A reference may reach into a component: `#/components/schemas/Tag/allOf/0`.
        kind, name = unquote(todo.pop()).removeprefix("#/components/").split("/")[:2]
        if name not in components.setdefault(kind, {}):
            components[kind][name] = _plain(document["components"][kind][name])
            todo += _references(components[kind][name])
    ordered = {kind: dict(sorted(names.items())) for kind, names in sorted(components.items())}
    return {"openapi": document["openapi"], "paths": dict(sorted(paths.items())), "components": ordered}


def operations(document: Mapping[str, Any]) -> set[str]:
    """The operations that a document describes."""
    return {f"{name.upper()} {path}" for path, item in document["paths"].items() for name in METHODS if name in item}


def joined(cuts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Descriptions of one provider as one. Raises `ValueError` where two mean different things by one name."""
    made: dict[str, Any] = {"openapi": cuts[0]["openapi"], "paths": {}, "components": {}}
    for each in cuts:
        for kind, named in {"": each["paths"], **each["components"]}.items():
            place = made["components"].setdefault(kind, {}) if kind else made["paths"]
            if twice := [name for name in named if place.get(name, named[name]) != named[name]]:
                raise ValueError(f"described in two ways: {twice}")
            place.update(named)
    return made


def of_graph(document: Mapping[str, Any]) -> dict[str, Any]:
    """Graph's description without two marks of its generator, which no example in its documentation follows.

    It asks for the name of its type in everything, and lets any object stand for one that may be null, so that nothing
    within would be looked at.
    """
    return {**document, "paths": _mended(document["paths"]), "components": _mended(document["components"])}


def _mended(node: Node) -> Node:
    several = as_list(node)
    if several is not None:
        return [_mended(each) for each in several if each != {"nullable": True, "type": "object"}]
    if not isinstance(node, dict):
        return node
    found = {name: _mended(each) for name, each in cast(dict[str, Any], node).items()}
    if as_list(found.get("required")) is not None:
        found["required"] = [each for each in found["required"] if each != "@odata.type"]
    return found


def _reaching(path: str, operations: Mapping[str, Any]) -> str:
    """GitHub marks the parameters that reach over slashes in words of its own; `{+name}` says it in the path."""
    for operation in operations.values():
        for each in operation.get("parameters", ()):
            if each.get("x-multi-segment"):
                path = path.replace(f"{{{each['name']}}}", f"{{+{each['name']}}}")
    return path


def _plain(node: Node, *, named: bool = False) -> Node:
    """A part of a description without its prose. `named`: its keys are names, not words of OpenAPI."""
    several = as_list(node)
    if several is not None:
        return [_plain(each) for each in several]
    if not isinstance(node, dict):
        return node
    found = cast(dict[str, Any], node)
    return {
        name: _plain(each, named=name in _NAMED and not named and isinstance(each, dict))
        for name, each in found.items()
        if named or not (name in _PROSE or name.startswith("x-"))
    }


def _references(node: Node) -> Iterator[str]:
    if isinstance(node, dict):
        found = cast(dict[str, Any], node)
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        node = list(found.values())
    for each in as_list(node) or ():
        yield from _references(each)


def of_discovery(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """Google's discovery documents as one OpenAPI 3.0 document."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for document in documents:
        schemas |= {name: _schema(each) for name, each in document.get("schemas", {}).items()}
        common = [_parameter(name, each) for name, each in document["parameters"].items()]
        for method in _methods(document):
            operation = {"parameters": [*common, *(_parameter(*each) for each in method.get("parameters", {}).items())]}
            place = "/" + document["servicePath"] + method["path"]
            paths.setdefault(place, {})[method["httpMethod"].lower()] = operation | _body(document, method)
            for upload in method.get("mediaUpload", {}).get("protocols", {}).values():
                kind = _query("uploadType", {"type": "string"})
                anything: dict[str, Any] = {"*/*": {}}
                sent = {"parameters": [*operation["parameters"], kind], "requestBody": {"content": anything}}
                paths.setdefault(upload["path"], {})[method["httpMethod"].lower()] = sent
    return {"openapi": "3.0.3", "paths": paths, "components": {"schemas": schemas}}


def _methods(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("methods", {}).values()
    for each in node.get("resources", {}).values():
        yield from _methods(each)


def _body(document: Mapping[str, Any], method: Mapping[str, Any]) -> dict[str, Any]:
    """What a method takes: its schema, with the fields that Google marks as required for this very method."""
    name = method.get("request", {}).get("$ref")
    if name is None:
        return {}
    fields = document["schemas"][name].get("properties", {}).items()
    needed = [field for field, each in fields if method["id"] in each.get("annotations", {}).get("required", ())]
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{name}"}
    if needed:
        schema = {"allOf": [schema, {"type": "object", "required": needed}]}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def _parameter(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers' bounds are texts in a discovery document."""
    schema = _schema({each: told[each] for each in ("type", "format", "enum", "pattern") if each in told})
    schema |= {each: int(told[each]) for each in ("minimum", "maximum") if re.fullmatch(r"-?\d+", told.get(each, ""))}
    if told.get("repeated"):
        schema = {"type": "array", "items": schema}
    return {**_query(name, schema), "in": told["location"], "required": bool(told.get("required"))}


def _query(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": dict(schema)}


def _schema(node: Node, *, named: bool = False) -> Node:
    several = as_list(node)
    if several is not None:
        return [_schema(each) for each in several]
    if not isinstance(node, dict):
        return node
    found = {name: _schema(each, named=name == "properties") for name, each in cast(dict[str, Any], node).items()}
    if named:
        return found
    if isinstance(found.get("$ref"), str):
        found["$ref"] = f"#/components/schemas/{found['$ref']}"
    if found.get("type") == "any":
        del found["type"]
    return {name: each for name, each in found.items() if name not in ("required", "id", "minimum", "maximum")}
