"""GitHub's OpenAPI description, asked a second time: Prism skips some bodies and all unknown names."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

_NAME = "urn:description"


class Description:
    """An OpenAPI 3.0 document with JSON bodies."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._routes = [(_pattern(route), route) for route in self.document["paths"]]
        self._routes.sort(key=lambda each: each[1].count("{"))  # a literal path goes before a template

    def route(self, method: str, path: str) -> str | None:
        """The path template that a request belongs to."""
        paths: Mapping[str, Any] = self.document["paths"]
        fitting = (route for pattern, route in self._routes if pattern.fullmatch(path))
        return next((route for route in fitting if method.lower() in paths[route]), None)

    def faults(self, method: str, path: str, query: str, body: bytes) -> list[str]:
        """What of a request the description does not know or does not allow."""
        route = self.route(method, path)
        if route is None:
            return [f"there is no {method} {path}"]
        operation = self.document["paths"][route][method.lower()]
        shared = self.document["paths"][route].get("parameters", [])
        parameters = [self._followed(each) for each in [*shared, *operation.get("parameters", [])]]
        known = {each["name"]: each for each in parameters if each["in"] == "query"}
        given = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        faults = [f"query parameter {name} is unknown" for name in given if name not in known]
        faults += [f"query parameter {name} is missing" for name in known if _missing(known[name], name, given)]
        return faults + self._body_faults(route, method, operation.get("requestBody"), body)

    def _body_faults(self, route: str, method: str, declared: Any, body: bytes) -> list[str]:
        if declared is None:
            return ["a body where none is declared"] if body else []
        if not body:
            return ["the body is missing"] if self._followed(declared).get("required") else []
        place = [part.replace("~", "~0").replace("/", "~1") for part in ("paths", route, method.lower(), "requestBody")]
        body_at = declared.get("$ref", "#/" + "/".join(place))
        declared = self._followed(declared)
        reference = f"{_NAME}{body_at}/content/application~1json/schema"
        data = json.loads(body)
        validator: Any = Draft4Validator({"$ref": reference}, registry=self._registry)
        faults = [
            f"body {'.'.join(map(str, each.path)) or '.'}: {each.message}" for each in validator.iter_errors(data)
        ]
        schema = self._followed(declared["content"]["application/json"]["schema"])
        known = self._names(schema)
        return faults + [f"body field {name} is unknown" for name in data if name not in known]

    def _names(self, schema: Any) -> set[str]:
        """The fields of an object, with those of what it is made of."""
        parts = (self._names(self._followed(each)) for each in schema.get("allOf", ()))
        return set(schema.get("properties", {})).union(*parts)

    @cached_property
    def _registry(self) -> Any:
        make: Any = Registry
        return make().with_resource(_NAME, DRAFT4.create_resource(self.document))

    def _followed(self, node: Any) -> Any:
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]+\}", route)))


def _missing(parameter: Mapping[str, Any], name: str, given: Sequence[str]) -> bool:
    return bool(parameter.get("required")) and name not in given
