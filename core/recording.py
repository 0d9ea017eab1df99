"""What the walk writes into a record: what is known when a call begins, its timeline, how much a model reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from clew.core import audit
from clew.core.connection import Connection
from clew.core.connector import Tool
from clew.core.redaction import Names, redact


def opened(
    reference: str, tool: Tool, where: Connection, arguments: Mapping[str, Any], names: Names | None
) -> audit.Record:
    """The record of a call that begins, with its arguments as they may be kept."""
    record = audit.Record(reference, tool.connector, tool.name, tool.effect, where.account, where.tenant, audit.now())
    try:
        record.arguments = redact(arguments, tool.signature.input_schema, names)
        record.tokens_in = audit.tokens(size(arguments))
    except Exception:  # whatever a caller passes: the check says what is wrong with it
        record.note = "The arguments could not be read."
    return record


def size(data: Any) -> int:
    """How many characters of JSON data is, as it goes to a model."""
    return len(audit.as_line(data))


def timeline(marks: Sequence[tuple[str, float, float]], started: float) -> list[tuple[str, float, float]]:
    """The stages in the order in which they began: name, seconds after the start of the call, seconds."""
    ordered = sorted(marks, key=lambda mark: mark[1])
    return [(name, round(max(at - started, 0.0), 4), round(took, 4)) for name, at, took in ordered]
