"""Every recorded answer in tests/data/responses is judged as the provider's documentation says.

One JSON object a line: what `clew explain` reads, and in `expect` the keys of its answer that must come out.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clew.core.connector import Connector
from clew.core.errors import Code
from clew.core.outcomes import decide, mislabelled
from clew.core.rules import Rule
from clew.servers.cli.explaining import find
from clew.servers.cli.judging import judge_recording, response_of
from clew.servers.cli.recordings import read_document

DATA = Path(__file__).parents[1] / "data" / "responses"
FEWEST = 8

UNEXERCISED: dict[str, str] = {}
"""Rules that no recording can exercise, each with the reason."""


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(DATA.glob("*/*.jsonl")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            yield f"{file.parent.name}-{number}", json.loads(line)


ALL = list(recordings())


@pytest.mark.parametrize("document", [each for _, each in ALL], ids=[name for name, _ in ALL])
def test_a_recorded_answer_is_judged_as_the_provider_documents_it(document: dict[str, Any]) -> None:
    judged = judge_recording(read_document(document), find(document["connector"]))
    assert {key: judged.get(key) for key in document["expect"]} == document["expect"], judged["rule"]


def test_every_provider_has_enough_recordings() -> None:
    counted = Counter(document["connector"] for _, document in ALL)
    assert len(counted) >= 25
    assert {name: count for name, count in counted.items() if count < FEWEST} == {}


def used_rules(connector: Connector) -> set[int]:
    used: set[int] = set()
    for _, document in ALL:
        recording = read_document(document)
        if document["connector"] != connector.name or recording.token_endpoint or recording.transport_error:
            continue
        response = mislabelled(response_of(recording, connector))
        source = decide(response, errors=connector.errors, safe=recording.changes_nothing).source
        if isinstance(source, Rule):
            used.add(id(source))
    return used


@pytest.mark.parametrize("name", sorted({document["connector"] for _, document in ALL}))
def test_every_rule_is_exercised_by_a_recording(name: str) -> None:
    connector = find(name)
    used = used_rules(connector)
    idle = [rule.label for rule in connector.errors.rules if id(rule) not in used and rule.label not in UNEXERCISED]
    assert idle == []


DANGEROUS_WAIT = 3600.0


@pytest.mark.parametrize("document", [each for _, each in ALL], ids=[name for name, _ in ALL])
def test_no_judgement_is_dangerous(document: dict[str, Any]) -> None:
    """A write that may have happened is never repeated; nobody waits for a permission, or longer than an hour."""
    judged = judge_recording(read_document(document), find(document["connector"]))
    if judged["outcome"] == "unknown":
        assert judged["retry"] == "no"
    if judged["code"] in (Code.PERMISSION, Code.AUTH_REVOKED, Code.NOT_FOUND, Code.INVALID_INPUT):
        assert judged["retry_after"] is None
    assert (judged["retry_after"] or 0) <= DANGEROUS_WAIT
