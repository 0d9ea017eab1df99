"""How results and errors look to a model. Hosts show it different halves, so each half says everything.

What hosts do was seen with Claude Code 2.1.330, Codex 0.169.0, Gemini CLI 0.61.0, Copilot CLI 1.0.102: of a success
Claude Code and Codex show the structured half, Gemini the text, Copilot both; of an error Claude Code shows the text,
Codex the structured half, Gemini and Copilot both. Whoever shows both pays twice, and gets one half only.
"""

from collections.abc import Mapping
from typing import Any

from mcp import types

from clew.core.audit import as_line
from clew.core.errors import CallError

_BOTH_OF_SUCCESS = ("copilot",)
_BOTH_OF_ERRORS = ("copilot", "gemini")
_ELSEWHERE = "The result is in the structured content."


def succeed(structured: Mapping[str, Any], caller: str = "") -> types.CallToolResult:
    """A result whose text and structured halves each say everything, but for a host known to show both.

    Its structured half stays, because a client may check it against the output schema.
    """
    if _is(caller, _BOTH_OF_SUCCESS):
        return types.CallToolResult(content=text(_ELSEWHERE), structured_content=dict(structured))
    return types.CallToolResult(content=text(as_line(structured)), structured_content=dict(structured))


def fail(error: CallError, caller: str = "") -> types.CallToolResult:
    """An error whose message, code and next step stand in both halves, or in the text alone for a host showing both."""
    structured = None if _is(caller, _BOTH_OF_ERRORS) else {"error": error.as_dict()}
    return types.CallToolResult(content=text(error.as_text()), structured_content=structured, is_error=True)


def text(content: str) -> list[types.ContentBlock]:
    """One block of text."""
    return [types.TextContent(type="text", text=content)]


def _is(caller: str, hosts: tuple[str, ...]) -> bool:
    return any(host in caller.lower() for host in hosts)
