"""What an agent states about its own call when the policy wants it: how sure it is, and why it makes the call."""

from collections.abc import Mapping
from typing import Any

from clew.core.connector import Tool
from clew.core.errors import InvalidInputError, quote
from clew.core.fields import as_object

CONFIDENCE, REASON = "confidence", "reason"

PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    CONFIDENCE: {
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "How sure you are that the person wants exactly this, from 0 to 1.",
    },
    REASON: {"type": "string", "description": "Why, in one sentence. A person may read it."},
}  # fmt: skip


def stated(tool: Tool, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None, str]:
    """The tool's own arguments, the confidence and the reason. Raises `InvalidInputError` for what is neither.

    A tool that has such a parameter itself keeps it.
    """
    own = tool.signature.parameters
    rest = {name: value for name, value in arguments.items() if name in own or name not in PROPERTIES}
    confidence = None if CONFIDENCE in own else arguments.get(CONFIDENCE)
    reason = "" if REASON in own else arguments.get(REASON) or ""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float | None):
        raise InvalidInputError("confidence must be a number from 0 to 1.", fields={CONFIDENCE: "not a number"})
    if confidence is not None and not 0 <= confidence <= 1:
        raise InvalidInputError("confidence must be a number from 0 to 1.", fields={CONFIDENCE: "out of range"})
    return rest, confidence, quote(str(reason), 500)


def with_stated(tool: Tool, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The tool's input schema with what the policy wants stated."""
    properties = as_object(schema.get("properties")) or {}
    added = {name: dict(facts) for name, facts in PROPERTIES.items() if name not in tool.signature.parameters}
    required = [*schema.get("required", ()), *added]
    return {**schema, "properties": {**properties, **added}, "required": required}
