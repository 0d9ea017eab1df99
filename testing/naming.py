"""What a model reads of a tool: its name, its text, and what both cost."""

import json

from clew.core.audit import tokens
from clew.core.connector import Tool
from clew.testing.kit import Finding, Seen, Subject

LONGEST_NAME = 64
"""Characters of `mcp__CONNECTOR__TOOL`, as a host hands it to a model."""
SHORTEST_TEXT, LONGEST_TEXT = 12, 1024
BUDGET = 500
"""Tokens of one tool's definition. A server of twenty such tools is the size that hosts begin to hide."""


async def names_and_texts(subject: Subject) -> Seen:
    """`verb_noun`, short enough with every prefix; a sentence that says what the tool does."""
    seen = Seen()
    texts: dict[str, str] = {}
    for tool in subject.tools:
        seen.count += 1
        where, text = subject.at(tool), tool.description
        full = f"mcp__{subject.connector.name}__{tool.name}"
        if len(full) > LONGEST_NAME:
            seen.findings.append(Finding(f"{full} has {len(full)} characters.", f"Keep to {LONGEST_NAME}.", where))
        if "__" in tool.name or tool.name.endswith("_"):
            seen.findings.append(
                Finding(f"{tool.name}: hosts cut names at two underscores.", "Use single ones.", where)
            )
        if tool.name.startswith(f"{subject.connector.name}_"):
            finding = Finding(
                f"{tool.name} begins with the connector's name, which servers add.", "Leave it out.", where
            )
            seen.findings.append(finding)
        if not SHORTEST_TEXT <= len(text) <= LONGEST_TEXT:
            fix = f"Say what it does in {SHORTEST_TEXT} to {LONGEST_TEXT} characters."
            seen.findings.append(Finding(f"{tool.name}: its text has {len(text)} characters.", fix, where))
        elif text[-1] not in ".!?)`…":
            seen.findings.append(
                Finding(f"{tool.name}: its text is no whole sentence.", "End it with a period.", where)
            )
        if text in texts:
            fix = "A model could not choose between them; say what is different."
            seen.findings.append(Finding(f"{tool.name} and {texts[text]} have the same text.", fix, where))
        texts[text] = tool.name
    return seen


async def token_budget(subject: Subject) -> Seen:
    """No tool costs more than `BUDGET` tokens in every turn of a model that has it."""
    seen = Seen()
    for tool in subject.tools:
        seen.count += 1
        cost = cost_of(tool)
        if cost > BUDGET:
            fix = f"Keep to {BUDGET}: shorter texts, fewer optional arguments, two tools instead of one."
            seen.findings.append(Finding(f"{tool.name} costs {cost} tokens in every turn.", fix, subject.at(tool)))
    return seen


def cost_of(tool: Tool) -> int:
    """The estimated tokens of what a host passes on: name, text and input schema."""
    said = {"name": tool.name, "description": tool.description, "input_schema": tool.signature.input_schema}
    return tokens(len(json.dumps(said, ensure_ascii=False, separators=(",", ":"))))
