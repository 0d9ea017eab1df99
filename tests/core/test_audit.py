"""A record says what happened and nothing that must not be kept."""

import json
import logging
import time

import pytest

from clew.core.audit import Attempt, Origin, Record, Why, log_record, now, plain_id, tokens


def record(reference: str = "ref1", **facts: object) -> Record:
    made = Record(reference, "acme", "get_note", "read", "work", "local", 1800000000.0)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def test_a_record_is_one_json_line_on_its_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "clew.audit"):
        log_record(record(attempts=[Attempt("GET", "/notes/{}", 200)]))
    (line,) = caplog.records
    assert line.name == "clew.audit"
    assert json.loads(line.getMessage()) == {
        "reference": "ref1",
        "connector": "acme",
        "tool": "get_note",
        "effect": "read",
        "account": "work",
        "tenant": "local",
        "started": 1800000000.0,
        "code": "ok",
        "attempts": [{"method": "GET", "route": "/notes/{}", "status": 200}],
        "units": {"requests": 1.0},
    }


def test_nothing_is_made_of_a_record_that_nobody_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "clew.audit"):
        log_record(record())
    assert caplog.records == []


def test_who_why_and_cost_are_in_a_record() -> None:
    points = Attempt("POST", "/graphql", 200, units={"points": 5.0}, stages={"send": 0.1})
    lost = Attempt("POST", "/graphql", units={"points": 5.0})
    made = record(
        attempts=[points, lost],
        why=Why("write tools: allow", "agreed", "console", 12.3456),
        origin=Origin("host 1.0", "T-1", "a" * 32, "b" * 16),
        provider_code="A sentence, with a name: Ada.",
    ).as_dict()
    assert made["units"] == {"requests": 1.0, "points": 10.0}
    assert (made["rule"], made["answer"], made["approval"]) == ("write tools: allow", "agreed", "console")
    assert (made["answered_after"], made["caller"], made["task"]) == (12.346, "host 1.0", "T-1")
    assert "provider_code" not in made


def test_a_stage_that_took_no_time_is_not_told() -> None:
    attempt = Attempt("GET", "/")
    attempt.spent("pin", 0.00001)
    attempt.spent("send", 0.25)
    assert attempt.stages == {"send": 0.25}


def test_tokens_are_a_quarter_of_the_characters_rounded_up() -> None:
    assert [tokens(count) for count in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_the_provider_s_request_id_is_found_and_a_sentence_is_none() -> None:
    assert plain_id({"x-request-id": "no id at all", "cf-ray": "8a1-FRA"}) == "8a1-FRA"
    assert plain_id({}) is None


def test_now_is_epoch_seconds() -> None:
    assert abs(now() - time.time()) < 5
