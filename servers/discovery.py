"""Three tools in place of a large catalogue: search it, describe one tool, call it. The call takes the same walk."""

import re
from collections.abc import Mapping
from typing import Any

from mcp import types

from clew.core.connector import Effect
from clew.core.errors import InvalidInputError, NotFoundError
from clew.core.fields import as_object
from clew.servers.offering import Bound

SEARCH, DESCRIBE, CALL = "search_tools", "describe_tool", "call_tool"
_MOST = 10


def listed() -> list[types.Tool]:
    """The three tools."""
    name = {"name": {"type": "string", "description": "The tool's name, from search_tools."}}
    query = {"query": {"type": "string", "description": "What the tool should do, in a few words."}}
    arguments = {"arguments": {"type": "object", "description": "Its arguments, as describe_tool says."}}
    return [
        _tool(CALL, "Call a tool.", {**name, **arguments}, Effect.DESTRUCTIVE),
        _tool(DESCRIBE, "What a tool does and which arguments it takes.", name, Effect.READ),
        _tool(SEARCH, "Find tools by what they do.", query, Effect.READ),
    ]


def _tool(name: str, description: str, properties: dict[str, Any], effect: Effect) -> types.Tool:
    reads = effect is Effect.READ
    return types.Tool(
        name=name,
        description=description,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": [each for each in properties if each != "arguments"],
        },
        annotations=types.ToolAnnotations(
            read_only_hint=reads, destructive_hint=not reads, idempotent_hint=reads, open_world_hint=not reads
        ),
    )  # fmt: skip


def answer(name: str, arguments: Mapping[str, Any], tools: Mapping[str, Bound]) -> dict[str, Any]:
    """The result of `search_tools` or `describe_tool`. Raises `CallError`."""
    if name == SEARCH:
        return {"tools": search(str(arguments.get("query", "")), tools)}
    bound = chosen(arguments, tools)
    tool = bound.tool
    return {
        "name": bound.name,
        "effect": tool.effect.value,
        "description": tool.description,
        "input_schema": tool.signature.input_schema,
    }


def search(query: str, tools: Mapping[str, Bound]) -> list[dict[str, str]]:
    """The tools that fit best: words in the name count more than words in the description."""
    wanted = _words(query)
    scored = [(_score(wanted, bound), bound) for bound in tools.values()]
    best = sorted((each for each in scored if each[0] > 0 or not wanted), key=lambda each: (-each[0], each[1].name))
    return [
        {"name": bound.name, "effect": bound.tool.effect.value, "description": bound.tool.description.split("\n")[0]}
        for _, bound in best[:_MOST]
    ]


def chosen(arguments: Mapping[str, Any], tools: Mapping[str, Bound]) -> Bound:
    """The tool that `name` names. Raises `NotFoundError`."""
    name = arguments.get("name")
    if not isinstance(name, str) or name not in tools:
        raise NotFoundError("there is no tool of this name.", next_step=f"Find the name with {SEARCH}.")
    return tools[name]


def unpacked(arguments: Mapping[str, Any], tools: Mapping[str, Bound]) -> tuple[str, dict[str, Any]]:
    """The tool and the arguments of `call_tool`. Raises `CallError`."""
    bound = chosen(arguments, tools)
    given = as_object(arguments.get("arguments", {}))
    if given is None:
        raise InvalidInputError("arguments must be an object.", fields={"arguments": "not an object"})
    return bound.name, given


def _score(wanted: set[str], bound: Bound) -> int:
    name, said = _words(bound.name), _words(bound.tool.description)
    return sum(3 * _near(word, name) + _near(word, said) for word in wanted)


def _near(word: str, words: set[str]) -> bool:
    return any(each.startswith(word) or word.startswith(each) for each in words)


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"[a-z0-9]{2,}", text.lower().replace("_", " "))}
