"""An OpenAPI description, asked about requests: what it does not know of one, and what it does not allow.

Beside the schemas (by `jsonschema`) it looks at what they let pass: names that nobody described, in the query and at
every depth of a body, and what arrives as text in a URL, a header or a form.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from jsonschema import Draft4Validator, Draft202012Validator, validators
from referencing import Registry
from referencing.jsonschema import DRAFT4, DRAFT202012

from clew.core.fields import as_list

_NAME = "urn:description"
_FORM = "application/x-www-form-urlencoded"
_OBJECT = ("properties", "additionalProperties", "patternProperties")

Node = Any


class Description:
    """An OpenAPI document of version 3.0 or 3.1, with bodies in JSON or as forms."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = dict(document)
        self._routes = [(_pattern(route), route) for route in self.document["paths"]]
        # A literal path goes before a template, and what reaches further before what stands for any rest.
        self._routes.sort(key=lambda each: (each[1].count("{+"), each[1].count("{")))

    @classmethod
    def read(cls, path: Path) -> "Description":
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def route(self, method: str, path: str) -> str | None:
        """The path template that a request belongs to."""
        paths: Mapping[str, Any] = self.document["paths"]
        fitting = (route for pattern, route in self._routes if pattern.fullmatch(path))
        return next((route for route in fitting if method.lower() in paths[route]), None)

    def faults(
        self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> list[str]:
        """What of a request the description does not know or does not allow. `path` is quoted as it was sent.

        Without `headers` they are not judged, and the body is taken for JSON.
        """
        route = self.route(method, path)
        if route is None:
            return [f"there is no {method} {path}"]
        operation = self.document["paths"][route][method.lower()]
        shared = self.document["paths"][route].get("parameters", [])
        every = [self._followed(each) for each in [*shared, *operation.get("parameters", [])]]
        parts = {"path": _captured(route, path), "query": parse_qsl(query, keep_blank_values=True)}
        if headers is not None:
            parts["header"] = [(name.lower(), value) for name, value in headers.items()]
        faults = [fault for place, given in parts.items() for fault in self._given(place, every, given)]
        kind = (headers or {}).get("content-type", "application/json").split(";")[0].lower()
        return faults + self._body_faults(route, method, operation.get("requestBody"), body, kind)

    def _given(self, place: str, every: Iterable[Node], given: Sequence[tuple[str, str]]) -> Iterator[str]:
        """What is wrong with the parameters in one place of a request."""
        named = {each["name"] if place != "header" else each["name"].lower(): each for each in every}
        known = {name: each for name, each in named.items() if each["in"] == place}
        values: dict[str, list[str]] = {}
        for name, value in given:
            values.setdefault(name, []).append(value)
        for name in values:
            if name not in known and place == "query":
                yield f"query parameter {name} is unknown"
        for name, parameter in known.items():
            if name not in values:
                if parameter.get("required"):
                    yield f"{place} parameter {name} is missing"
                continue
            schema = self._followed(parameter.get("schema", {}))
            data = self._read(schema, values[name], explode=parameter.get("explode", place == "query"))
            for error in self._errors(schema, data):
                yield f"{place} parameter {name}: {error}"

    def _read(self, schema: Node, texts: Sequence[str], *, explode: bool) -> Any:
        """What texts of a URL, a header or a form say, by their schema: a text stays one where it fits nothing else."""
        if texts[-1][:1] in "[{" and schema.get("type") in ("array", "object"):
            return _told(texts[-1])  # Slack takes what has a structure as JSON in a field of a form
        if schema.get("type") == "array":
            items = self._followed(schema.get("items", {}))
            each = texts if explode else [part for text in texts for part in text.split(",")]
            return [self._read(items, [text], explode=False) for text in each]
        kinds = {kind for part in self._alternatives(schema) for kind in _kinds(part)}
        if kinds & {"integer", "number", "boolean", "object"} and "string" not in kinds:
            return _told(texts[-1])
        return texts[-1]

    def _body_faults(self, route: str, method: str, declared: Node, body: bytes, kind: str) -> list[str]:
        if declared is None:
            return ["a body where none is declared"] if body else []
        declared = self._followed(declared)
        if not body:
            return ["the body is missing"] if declared.get("required") else []
        content = next((value for name, value in declared["content"].items() if name.split(";")[0] == kind), None)
        if content is None:
            allowed = set(declared["content"])
            return [] if "*/*" in allowed else [f"a body of {kind}, which is none of {sorted(allowed)}"]
        schema = self._followed(content.get("schema", {}))
        if kind == _FORM:
            fields = self._fields(schema)
            data = {
                name: self._read(self._followed(fields.get(name, {})), [text], explode=True)
                for name, text in parse_qsl(body.decode(), keep_blank_values=True)
            }
        elif kind.endswith("json"):
            data = json.loads(body)
        else:
            return []
        faults = [f"body {error}" for error in self._errors(schema, data)]
        return faults + [f"body field {name} is unknown" for name in self._unknown(schema, data)]

    def _unknown(self, schema: Node, data: Any, at: str = "") -> Iterator[str]:
        """The fields of a body that nothing in its schema names, however deep."""
        schema = self._followed(schema)
        if as_list(data) is not None:
            items = [each["items"] for each in self._alternatives(schema) if "items" in each]
            for each in (as_list(data) or ()) if items else ():
                yield from min((list(self._unknown(item, each, at)) for item in items), key=len)
        if not isinstance(data, dict):
            return
        found = cast(dict[str, Any], data)
        described = [each for each in self._alternatives(schema) if any(word in each for word in _OBJECT)]
        if not described or any(each.get("additionalProperties", False) is not False for each in described):
            return
        for name, value in found.items():
            fitting = [each["properties"][name] for each in described if name in each.get("properties", {})]
            if not fitting:
                yield f"{at}{name}"
                continue
            yield from min((list(self._unknown(each, value, f"{at}{name}.")) for each in fitting), key=len)

    def _alternatives(self, schema: Node) -> Iterator[Node]:
        """A schema and all that it is made of or may be."""
        schema = self._followed(schema)
        yield schema
        for part in _parts_of(schema):
            yield from self._alternatives(part)

    def _fields(self, schema: Node) -> dict[str, Node]:
        """The fields of an object, with those of what it is made of."""
        return {name: each for part in self._alternatives(schema) for name, each in part.get("properties", {}).items()}

    def _errors(self, schema: Node, data: Any) -> list[str]:
        validator: Any = self._validator(_absolute(schema), registry=self._registry)
        return [f"{'.'.join(map(str, each.path)) or '.'}: {each.message}" for each in validator.iter_errors(data)]

    @cached_property
    def _validator(self) -> Any:
        if str(self.document.get("openapi", "")).startswith("3.1"):
            return Draft202012Validator
        make = cast(Any, validators).extend
        return make(Draft4Validator, {"type": _type, "enum": _enum})

    @cached_property
    def _registry(self) -> Any:
        make: Any = Registry
        draft: Any = DRAFT202012 if self._validator is Draft202012Validator else DRAFT4
        return make().with_resource(_NAME, draft.create_resource(self.document))

    def _followed(self, node: Node) -> Node:
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix(_NAME).removeprefix("#/").split("/"):
                name = unquote(part).replace("~1", "/").replace("~0", "~")
                found = found[int(name) if as_list(found) is not None else name]
            node = found
        return node


def _told(text: str) -> Any:
    """What a text says as JSON; one that is none stays a text, which then does not fit."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Any:
    """OpenAPI 3.0 says beside the type that null is allowed too."""
    if instance is None and schema.get("nullable"):
        return ()
    return Draft4Validator.VALIDATORS["type"](validator, types, instance, schema)


def _enum(validator: Any, values: Any, instance: Any, schema: Any) -> Any:
    if instance is None and schema.get("nullable"):
        return ()
    return Draft4Validator.VALIDATORS["enum"](validator, values, instance, schema)


def _absolute(node: Any) -> Any:
    """A schema whose references begin at the document, wherever it is validated from."""
    if isinstance(node, dict):
        found = cast(dict[str, Any], node)
        named = found.get("$ref")
        if isinstance(named, str) and named.startswith("#"):
            return {**found, "$ref": _NAME + named}
        return {name: _absolute(each) for name, each in found.items()}
    several = as_list(node)
    return node if several is None else [_absolute(each) for each in several]


def _parts_of(schema: Node) -> list[Node]:
    return [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, ())]


def _kinds(schema: Node) -> list[str]:
    """The types that a schema allows: OpenAPI 3.1 has lists of them."""
    kind = schema.get("type", [])
    return as_list(kind) or ([kind] if isinstance(kind, str) else [])


def _pattern(route: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{[^}]+\})", route)
    return re.compile("".join(_piece(each) for each in pieces))


def _piece(text: str) -> str:
    """`{name}` stands for what has no slash in it, `{+name}` for anything."""
    if not text.startswith("{"):
        return re.escape(text)
    return "(.+)" if text.startswith("{+") else "([^/]+)"


def _captured(route: str, path: str) -> list[tuple[str, str]]:
    """The values of a path's parameters."""
    names = [each.lstrip("+") for each in re.findall(r"\{([^}]+)\}", route)]
    found = _pattern(route).fullmatch(path)
    return [(name, unquote(value)) for name, value in zip(names, found.groups() if found else (), strict=True)]
