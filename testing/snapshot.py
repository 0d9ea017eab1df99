"""What agents rely on, written down: a change of a tool is a difference that somebody has read."""

import difflib
import json
from pathlib import Path
from typing import Any

from clew.core.connector import Tool
from clew.core.fields import as_list, as_object
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.places import shown

FILE = "tools.json"
_SHOWN = 12


async def same_as_written_down(subject: Subject) -> Seen:
    """Every tool is as in `tools.json`, and none is missing there."""
    if subject.is_bare:
        return Seen(skipped=["it is made of a description; name a folder with --examples to write its tools down"])
    seen, file = Seen(), subject.home / FILE if subject.tools else None
    if file is None:
        return seen
    update = f"Run: clew check {subject.named} --update"
    if not file.is_file():
        seen.findings.append(Finding(f"nobody has written down what the tools look like ({FILE}).", update))
        return seen
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    now = picture(subject)
    for name in sorted({*written, *now}):
        seen.count += 1
        if _ordered(written.get(name)) == _ordered(now.get(name)):
            continue
        where = subject.at(subject.connector.tools[name]) if name in now else shown(file)
        if name not in now:
            what = f"the tool {name} is gone; agents may still call it."
        elif name not in written:
            what = f"the tool {name} is new."
        else:
            what = f"the tool {name} has changed:\n{_difference(written[name], now[name])}\n "
        seen.findings.append(Finding(what, f"If that is wanted, {update[0].lower()}{update[1:]}", where))
    return seen


def picture(subject: Subject) -> dict[str, Any]:
    """What agents see of each tool. The hints of MCP follow from the effect."""
    return {tool.name: _facts(tool) for tool in subject.tools}


def _facts(tool: Tool) -> dict[str, Any]:
    facts = {
        "effect": tool.effect.value,
        "description": tool.description,
        "input_schema": tool.signature.input_schema,
        "output_schema": tool.signature.output_schema,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def _ordered(data: Any) -> Any:
    """The same with its choices in order: `Literal["a", "b"] | None` and `Literal["b", "a"] | None` are one type to
    Python, which keeps the order of whichever came first in this process."""
    table, listed = as_object(data), as_list(data)
    if table is None:
        return data if listed is None else [_ordered(each) for each in listed]
    facts = {key: _ordered(value) for key, value in table.items()}
    choices = as_list(facts.get("enum"))
    return facts if choices is None else {**facts, "enum": sorted(choices, key=str)}


def write_down(subject: Subject) -> Path | None:
    """Write `tools.json` anew; the file, or None when there are no tools."""
    if not subject.tools:
        return None
    subject.home.mkdir(parents=True, exist_ok=True)
    file = subject.home / FILE
    file.write_text(_text(picture(subject)) + "\n", encoding="utf-8")
    return file


def _text(data: Any) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)


def _difference(before: Any, after: Any) -> str:
    lines = list(difflib.unified_diff(_text(before).splitlines(), _text(after).splitlines(), lineterm="", n=1))[2:]
    kept = [line for line in lines if not line.startswith("@@")]
    return "\n".join(f"    {line}" for line in (kept if len(kept) <= _SHOWN else [*kept[:_SHOWN], "…"]))
