"""Every connector of ours passes `clew check`, every check of it, with nothing left out that could be looked at."""

from functools import cache

import pytest

from clew.core.registry import discover
from clew.testing.answers import read_answers
from clew.testing.kit import CHECKS, Subject, run

OURS = sorted(name for name, entry in discover().items() if entry.value.startswith("clew.connectors."))
FEWEST = 8


@cache
def subject(name: str) -> Subject:
    return Subject.of(name)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("check", CHECKS)
def test_a_connector_of_ours_is_fit(check: str, name: str) -> None:
    seen = run(check, subject(name))
    assert [finding.line for finding in seen.findings if not finding.advice] == []
    assert [why for why in seen.skipped if "give it" in why] == []


@pytest.mark.parametrize("name", OURS)
def test_a_connector_of_ours_has_enough_recorded_answers(name: str) -> None:
    assert len(list(read_answers(subject(name).examples))) >= FEWEST


def test_there_are_enough_connectors() -> None:
    assert len(OURS) >= 25


def test_no_examples_are_left_without_a_connector() -> None:
    home = subject("acme").home.parent
    assert sorted(each.name for each in home.iterdir() if each.is_dir()) == sorted(set(OURS))
