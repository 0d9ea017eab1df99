"""The argument `fields`, which read tools that return a list take besides their own: less to read for the model."""

from collections.abc import Mapping
from typing import Any

from clew.core.call import Call, Fit, Structured
from clew.core.connector import Effect, Tool
from clew.core.errors import InvalidInputError
from clew.core.fields import as_list, as_object
from clew.servers.results import Spill, project

FIELDS = "fields"
_SCHEMA = {"type": "array", "items": {"type": "string"}, "description": "Only these fields of each item."}


def takes_fields(tool: Tool) -> bool:
    """Does the tool return objects in a list, and leave the name free?"""
    if tool.effect is not Effect.READ or FIELDS in tool.signature.parameters:
        return False
    items = as_object(tool.signature.output_schema.get("properties", {}).get("items"))
    each = as_object(items.get("items")) if items else None
    return each is not None and len(each.get("properties", {})) > 1


def input_schema(tool: Tool) -> dict[str, Any]:
    """The tool's own schema, and `fields` where it fits."""
    own = dict(tool.signature.input_schema)
    return {**own, "properties": {**own.get("properties", {}), FIELDS: _SCHEMA}} if takes_fields(tool) else own


def split(tool: Tool, arguments: Mapping[str, Any], spill: Spill) -> tuple[dict[str, Any], Fit]:
    """The tool's own arguments, and what makes its result as small as wanted. Raises `InvalidInputError`."""
    own = dict(arguments)
    if not takes_fields(tool) or own.get(FIELDS) in (None, []):
        return (
            {name: value for name, value in own.items() if name != FIELDS} if takes_fields(tool) else own
        ), spill.fit
    names = as_list(own.pop(FIELDS))
    if names is None or not all(isinstance(name, str) for name in names):
        raise InvalidInputError("fields must be a list of names.", fields={FIELDS: "not a list of texts"})

    def fit(call: Call, result: Structured) -> Structured:
        return spill.fit(call, project(result, [str(name) for name in names]))

    return own, fit
