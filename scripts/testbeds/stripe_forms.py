"""Stripe's OpenAPI description as a judge of requests: forms and queries in brackets, read back into what they mean.

The mock servers that can read this description let every request pass, so each is judged here: path, names, types,
enumerations, lengths, what is required. The description is older than the version our connector is pinned to; `NEWER`
holds what it does not know yet, with its source.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator

FORM = "application/x-www-form-urlencoded"
_PART = re.compile(r"[^\[\]]+")

_PRICE_DATA: Mapping[str, Any] = {
    "type": "object",
    "required": ["currency"],
    "properties": {
        "currency": {"type": "string"},
        "product": {"type": "string"},
        "product_data": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "maxLength": 5000}, "description": {"type": "string"}},
        },
        "unit_amount": {"type": "integer"},
    },
}
NEWER = {
    # docs.stripe.com/changelog/basil/2025-07-30/ad-hoc-prices-for-payment-links
    ("POST", "/v1/payment_links"): {"line_items": {"price_data": _PRICE_DATA}},
}
"""Fields of a list's items that came after the description, by operation. They take the place of `price`."""


class StripeDescription:
    """The description, asked about one request at a time."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        routes: Sequence[str] = sorted(self._document["paths"], key=lambda route: route.count("{"))
        self._routes = [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", route)), route) for route in routes]

    @classmethod
    def read(cls, path: Path) -> "StripeDescription":
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def route(self, method: str, path: str) -> str | None:
        """The path template that a request belongs to; a literal path goes before one with values."""
        fitting = (route for pattern, route in self._routes if pattern.fullmatch(path))
        return next((route for route in fitting if method.lower() in self._document["paths"][route]), None)

    def faults(
        self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> list[str]:
        """What of a request the description does not know or does not allow; of `headers` only what a body is."""
        route = self.route(method, path)
        if route is None:
            return [f"there is no {method} {path}"]
        operation = self._document["paths"][route][method.lower()]
        declared = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
        parameters = [each for each in operation.get("parameters", []) if each["in"] == "query"]
        known = {
            "type": "object",
            "properties": {each["name"]: each.get("schema", {}) for each in parameters},
            "required": [each["name"] for each in parameters if each.get("required")],
        }
        body_schema = _newer(declared, NEWER.get((method, route), {}))
        kind = (headers or {}).get("content-type", FORM)
        other = [f"a body of {kind}"] if body and kind != FORM else []
        return other + _faults("query", known, query) + _faults("form", body_schema, body.decode())


def _faults(where: str, schema: Mapping[str, Any], text: str) -> list[str]:
    meant = typed(nested(parse_qsl(text, keep_blank_values=True)), schema)
    validator: Any = Draft4Validator(_strict(schema))
    return [
        f"{where} {'.'.join(map(str, each.absolute_path)) or '.'}: {each.message[:200]}"
        for each in validator.iter_errors(meant)
    ]


def nested(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Pairs in brackets as an object: `a[0][b]=c` and `a[]=c` are lists."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = _PART.findall(name)
        steps = [head, *rest, *([""] if name.endswith("[]") else [])]
        place = found
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        last = steps[-1] or str(len(place))
        if last in place:
            raise ValueError(f"{name} is there twice")
        place[last] = value
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner: dict[str, Any] = {name: _listed(each) for name, each in value.items()}
    counted = [str(number) for number in range(len(inner))]
    return list(inner.values()) if inner and list(inner) == counted else inner


def typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """Texts as the numbers and booleans the schema says they are; what is neither stays a text, and is found wrong."""
    if "anyOf" in schema:
        choices = [typed(value, each) for each in schema["anyOf"]]
        valid = (
            choice
            for choice, each in zip(choices, schema["anyOf"], strict=True)
            if Draft4Validator(dict(each)).is_valid(choice)
        )
        return next(valid, value)
    kind = schema.get("type")
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        spare = others if isinstance(others, Mapping) else {}
        return {name: typed(each, properties.get(name, spare)) for name, each in value.items()}
    if isinstance(value, list):
        return [typed(each, schema.get("items", {})) for each in value]
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    if kind == "boolean" and value in {"true", "false"}:
        return value == "true"
    return value


def _strict(schema: Any) -> Any:
    """The same schema, with unknown names forbidden where names are listed."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain: dict[str, Any] = {
        key: {name: _strict(each) for name, each in value.items()}
        if key == "properties"
        else _strict(value)
        if key in {"items", "anyOf", "additionalProperties"}
        else value
        for key, value in schema.items()
        if key not in {"nullable", "description", "title"}
    }
    if plain.get("required") == []:
        del plain["required"]
    if "properties" in plain and (plain["properties"] or plain.get("type") == "object"):
        plain.setdefault("additionalProperties", False)
    return plain


def _newer(schema: Mapping[str, Any], added: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if not added:
        return schema
    properties = dict(schema["properties"])
    for name, fields in added.items():
        items = properties[name]["items"]
        required = [each for each in items["required"] if each != "price"]
        properties[name] = {
            **properties[name],
            "items": {**items, "properties": {**items["properties"], **fields}, "required": required},
        }
    return {**schema, "properties": properties}
