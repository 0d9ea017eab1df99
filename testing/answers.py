"""Recorded answers: each error rule is exercised by one, and each is judged as its `expect` says.

`examples/NAME/answers.jsonl`: one JSON object a line, as `clew explain` reads it (`request`, `status`, `headers`,
`body`), and in `expect` the keys of the judgement that must come out. The source of each stands in `source`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clew.core.connector import Connector
from clew.core.errors import Code, ConfigurationError
from clew.core.outcomes import decide, mislabelled
from clew.core.rules import Rule
from clew.testing.judging import judge_recording, response_of
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.places import line_of_rule, shown
from clew.testing.recordings import read_document

FILE = "answers.jsonl"
LONGEST_WAIT = 3600.0
"""No judgement sends an agent away for longer, in seconds."""
_FINAL = (Code.PERMISSION, Code.AUTH_REVOKED, Code.NOT_FOUND, Code.INVALID_INPUT)


def read_answers(folder: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each recorded answer and its line. Raises `ConfigurationError` for a line that is no JSON."""
    file = folder / FILE if folder is not None else None
    if file is None or not file.is_file():
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{shown(file)}:{number}", json.loads(line)
        except ValueError:
            raise ConfigurationError(f"{shown(file)}:{number} is not JSON.") from None


async def rules_are_exercised(subject: Subject) -> Seen:
    """Judge every recorded answer, and find the rules that none of them needed."""
    seen = Seen()
    used: set[int] = set()
    for where, document in read_answers(subject.examples):
        seen.count += 1
        judged = judge_recording(read_document(document), subject.connector)
        expected = document.get("expect", {})
        got = {key: judged.get(key) for key in expected}
        if got != expected:
            what = f"judged {_written(got)} by {judged['rule']}, expected {_written(expected)}."
            seen.findings.append(Finding(what, "Change the rule or the expectation.", where))
        for what in dangers(judged):
            seen.findings.append(Finding(f"{what}, by {judged['rule']}.", "Change the rule.", where))
        used |= _rule_of(document, subject.connector)
    if subject.is_bare:
        seen.skipped.append("its rules come from elsewhere")
        return seen
    for rule in subject.connector.errors.rules:
        if id(rule) not in used:
            fix = f"Add an answer that it is for to {subject.connector.name}/{FILE}."
            where = line_of_rule(rule, subject.files)
            seen.findings.append(Finding(f"no recorded answer exercises the rule {rule.label}.", fix, where))
    return seen


def dangers(judged: dict[str, Any]) -> Iterator[str]:
    """What no judgement may say: repeat what may have happened, wait for a permission, or wait for hours."""
    if judged.get("outcome") == "unknown" and judged.get("retry") != "no":
        yield "a write that may have happened would be repeated"
    if judged.get("code") in _FINAL and judged.get("retry_after") is not None:
        yield f"an agent would wait for a {judged['code']}"
    if (judged.get("retry_after") or 0) > LONGEST_WAIT:
        yield "an agent would wait for more than an hour"


def _rule_of(document: dict[str, Any], connector: Connector) -> set[int]:
    recording = read_document(document)
    if recording.token_endpoint or recording.transport_error:
        return set()
    response = mislabelled(response_of(recording, connector))
    source = decide(response, errors=connector.errors, safe=recording.changes_nothing).source
    return {id(source)} if isinstance(source, Rule) else set()


def _written(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items()) or "nothing"
