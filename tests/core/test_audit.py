"""One line for every call, that a machine and a person can read."""

import json
import logging
import time

import pytest

from clew.core.audit import Attempt, Record, log_record, now


def test_a_record_is_one_json_line_on_its_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    record = Record("ref1", "acme", "get_note", "read", "work", "local", 1800000000.0)
    record.attempts.append(Attempt("GET", "/notes/{}", 200))
    with caplog.at_level(logging.INFO, "clew.audit"):
        log_record(record)
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
        "seconds": 0.0,
        "code": "ok",
        "outcome": "",
        "attempts": [{"method": "GET", "route": "/notes/{}", "status": 200, "code": None, "waited": 0.0}],
        "identity": None,
    }


def test_now_is_epoch_seconds() -> None:
    assert abs(now() - time.time()) < 5
