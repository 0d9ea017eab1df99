"""`clew check --live`: the recorded reads made again at the provider, and what has changed since."""

import asyncio
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clew.core.connector import Effect, Tool
from clew.core.errors import CallError, ConfigurationError
from clew.core.values import dataclass
from clew.servers.cli.example_recording import recorded
from clew.servers.cli.output import emit, emit_json, paint, talk
from clew.servers.settings import Settings
from clew.testing.exchanges import Example, read_examples
from clew.testing.kit import Subject
from clew.testing.living import changes
from clew.testing.places import shown


def check_live(settings: Settings, arguments: Namespace, names: Sequence[str]) -> int:
    """Make each recorded read again and print the differences; 1 when one may break a tool, or a call fails."""
    found: list[dict[str, Any]] = []
    for name in names:
        subject = Subject.of(name, examples=arguments.examples)
        examples = list(read_examples(subject.examples))
        if not examples:
            raise ConfigurationError(f"nobody has recorded {subject.connector.name}: clew record {name} TOOL …")
        for file, example in examples:
            found.append(_looked(subject, file, example, _Again(settings, arguments, name)))
    if arguments.json:
        emit_json(found)
    else:
        for each in found:
            _show(each)
    broken = any(each["error"] or any(change["breaking"] for change in each["changes"]) for each in found)
    return 1 if broken else 0


@dataclass(frozen=True, slots=True)
class _Again:
    """What is needed to make a recorded call again."""

    settings: Settings
    arguments: Namespace
    name: str

    def __call__(self, tool: Tool, example: Example) -> Example:
        given, account = example.arguments, self.arguments.account
        found: Example = asyncio.run(recorded(self.settings, self.name, tool, given, account=account))
        return found


def _looked(subject: Subject, file: Path, example: Example, again: _Again) -> dict[str, Any]:
    facts: dict[str, Any] = {"file": shown(file), "tool": example.tool, "changes": [], "skipped": "", "error": ""}
    tool = subject.connector.tools.get(example.tool)
    if tool is None or tool.effect is not Effect.READ:
        return {**facts, "skipped": "only reads are made again" if tool else "there is no such tool any more"}
    try:
        now = again(tool, example)
    except CallError as error:
        return {**facts, "error": f"{error.code}: {error.message}"}
    listed = list(changes(example, now))
    if again.arguments.update and listed:
        file.write_text(json.dumps(now.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        talk(f"clew: wrote {shown(file)}")
    return {**facts, "changes": [{"line": each.line, "breaking": each.breaking} for each in listed]}


def _show(facts: dict[str, Any]) -> None:
    broken = facts["error"] or any(each["breaking"] for each in facts["changes"])
    word = (
        "skip " if facts["skipped"] else paint("FAULT", "red") if broken else "new  " if facts["changes"] else "same "
    )
    emit(f"{word} {facts['tool']}  {paint(facts['file'], 'dim')}")
    for line in filter(None, (facts["skipped"], facts["error"])):
        emit(f"      {line}")
    for each in facts["changes"]:
        emit(f"      {each['line']}")
