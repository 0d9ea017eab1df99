"""What a model pays for having tools in its context, estimated as a quarter of the characters of their definitions."""

import json
from collections.abc import Iterable

from clew.core.audit import tokens
from clew.core.connector import Tool

BUDGET_TOKENS = 10_000
"""From here on the definitions of a server's tools are worth a warning: the size of a large server of today."""


def tool_tokens(tool: Tool) -> int:
    """The tokens of what hosts pass on: name, description and input schema."""
    from clew.servers.fields import input_schema

    seen = {"name": tool.name, "description": tool.description, "input_schema": input_schema(tool)}
    return tokens(len(json.dumps(seen, ensure_ascii=False, separators=(",", ":"))))


def warning(tools: Iterable[Tool]) -> str:
    """A sentence when all of them together are too much; empty otherwise."""
    total = sum(map(tool_tokens, tools))
    if total <= BUDGET_TOKENS:
        return ""
    return (
        f"the tools cost a model about {total} tokens in every turn, more than {BUDGET_TOKENS}. "
        "Offer fewer with --tools, or use --discover."
    )
