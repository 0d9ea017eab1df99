"""Who decides what an answer means: hook, rules, shapes, parts, status; and what the agent is told."""

import json
import sys
import timeit
from typing import Any

import pytest

from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.formats import decode_error
from clew.core.outcomes import Decision, ErrorMap, Reset, Rule, Verdict, decide, judge, unreadable
from clew.core.response import Response
from clew.core.rules import ACCEPTED, OK
from clew.core.statuses import by_status


def answer(
    status: int, data: Any = None, *, content: bytes | None = None, method: str = "POST", **headers: str
) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(data).encode() if content is None else content
    return Response(status, named, body, data, None, method, "https://acme.example/")


def judged(response: Response, *rules: Rule, safe: bool = False, **facts: Any) -> CallError:
    error = judge(response, errors=ErrorMap(rules=rules, **facts), safe=safe, provider="acme")
    assert error is not None
    return error


def decided(response: Response, *rules: Rule, safe: bool = False, **facts: Any) -> Decision:
    return decide(response, errors=ErrorMap(rules=rules, **facts), safe=safe)


def conflict(_response: Response) -> Verdict:
    return Verdict("conflict")


def complain(_response: Response) -> Verdict:
    return Verdict("invalid_input", fields={"a": "b"})


def test_the_one_who_decided_is_named() -> None:
    hooked = decided(answer(400), hook=conflict)
    assert (hooked.verdict.code, hooked.rule) == ("conflict", "hook")
    assert decided(answer(400, {"code": "x"}), Rule(code="conflict", codes="x y")).rule == "code x y → conflict"
    assert decided(answer(400), Rule(code="conflict", name="odd case")).rule == "odd case"
    assert decided(answer(400, {"code": "not_found"})).rule == "shape: json, code not_found"
    assert decided(answer(400, {"message": "too many requests"})).rule == "shape: json, its words"
    assert decided(answer(404)).rule == "status 404"
    assert decided(answer(200, {"ok": False, "error": "not_found"})).rule == "shape: envelope behind 200"


def test_a_rules_name_tells_its_conditions_shortly() -> None:
    rule = Rule(
        code="conflict", status=tuple(range(400, 500)), methods=("PUT",), headers={"x": "1"}, body={"a.b": "c"},
        text="t", codes=tuple("code number" for _ in range(20)),
    )  # fmt: skip
    assert rule.label.startswith("status 400|401|402|…|499, code code number")
    assert rule.label.endswith("…, method PUT, header x 1, a.b c, text t → conflict")


@pytest.mark.parametrize(
    ("codes", "data", "fits"),
    [
        ("RATE_limited other", {"code": "rate_LIMITED"}, True),
        ("invalid_*", {"error": {"code": "invalid_name_specials"}}, True),
        ("invalid_*", {"code": "valid"}, False),
        (("two words",), {"error": "two words"}, True),
        ("17", {"code": 17}, True),
        ("true", {"code": True}, False),
        ("x", {"errors": [{"code": "x"}]}, True),
        ("x", [{"code": "x"}], False),
        ("x", None, False),
    ],
)
def test_machine_codes_are_compared_where_the_provider_keeps_them(codes: Any, data: Any, fits: bool) -> None:
    response = answer(400, data)
    errors = ErrorMap(rules=(Rule(code="conflict", codes=codes),))
    assert errors.rules[0].matches(response, errors.codes(response)) is fits


def test_machine_codes_of_xml_are_those_of_its_shape() -> None:
    fault = b"<Fault><faultcode>x:DUP_RCRD</faultcode></Fault>"
    assert (
        decided(answer(500, content=fault), Rule(code="already_done", codes="dup_rcrd")).verdict.code == "already_done"
    )


def test_a_rule_may_say_that_an_answer_is_good_or_on_its_way() -> None:
    fine, later = Rule(code=OK, status=400, codes="x"), Rule(code=ACCEPTED, status=201)
    assert judge(answer(400, {"code": "x"}), errors=ErrorMap(rules=(fine,)), safe=False, provider="acme") is None
    accepted = decided(answer(201, {}), later)
    assert accepted.verdict.success
    assert accepted.verdict.code == ACCEPTED


def test_accepted_is_told_from_done() -> None:
    assert by_status(answer(202), safe=False).code == ACCEPTED
    assert by_status(answer(202), safe=True).code is None


def test_not_modified_is_no_error() -> None:
    assert by_status(answer(304), safe=True).code is None
    assert by_status(answer(304), safe=False).code == "already_done"


def test_a_proxys_login_is_the_operators_business() -> None:
    assert judged(answer(407)).code is Code.INTERNAL


@pytest.mark.parametrize(
    ("data", "safe", "code", "outcome"),
    [
        ({"ok": False, "error": "rate_limited"}, False, "rate_limited", "not_applied"),
        ({"ok": False, "error": "brand_new"}, False, "outcome_unknown", "unknown"),
        ({"ok": False, "error": "brand_new"}, True, "invalid_input", "not_applied"),
        ({"errors": [{"message": "m"}]}, False, "invalid_input", "not_applied"),
        ({"data": {"a": None}, "errors": [{"message": "m", "path": ["a"]}]}, False, "outcome_unknown", "unknown"),
        ({"data": {"a": 1}, "errors": [{"message": "m", "type": "FORBIDDEN"}]}, False, "permission", "unknown"),
        ({"data": {"a": 1}, "errors": [{"message": "m", "type": "FORBIDDEN"}]}, True, "permission", "not_applied"),
        ({"errors": [{"message": "m", "type": "undefinedField"}]}, False, "contract_changed", "not_applied"),
        ({"errors": [{"message": "rate limit exceeded"}]}, False, "rate_limited", "not_applied"),
    ],
)
def test_a_failure_behind_200_is_judged_with_care(data: Any, safe: bool, code: str, outcome: str) -> None:
    error = judged(answer(200, data), safe=safe)
    assert (error.code, error.outcome) == (code, outcome)
    if outcome == "unknown":
        assert error.retry is Retry.NO


def test_a_page_instead_of_data_is_no_success() -> None:
    page = Response(200, {"content-type": "text/html"}, b"<html>", "<html>", None, "GET", "https://acme.example/")
    assert judged(page, safe=True).code is Code.TRANSIENT
    assert judged(page).code is Code.OUTCOME_UNKNOWN


def test_a_batch_in_which_parts_failed_is_not_repeated_as_a_whole() -> None:
    late = {
        "id": "2",
        "status": 429,
        "headers": {"Retry-After": "7"},
        "body": {"error": {"code": "Busy", "message": "m"}},
    }
    mixed = judged(answer(200, {"responses": [{"id": "1", "status": 201}, late]}))
    assert (mixed.code, mixed.outcome, mixed.retry, mixed.provider_code) == ("rate_limited", "unknown", "no", "Busy")
    assert "parts" in mixed.message
    alone = judged(answer(200, {"responses": [late]}))
    assert (alone.code, alone.outcome, alone.retry_after) == ("rate_limited", "not_applied", 7)
    read = judged(answer(200, {"responses": [{"id": "1", "status": 200}, late]}), safe=True)
    assert (read.outcome, read.retry_after) == ("not_applied", 7)
    bulk = judged(answer(200, [{"success": False, "errors": [{"message": "m"}]}]))
    assert (bulk.code, bulk.outcome) == ("invalid_input", "not_applied")


def test_the_providers_advice_overrides_but_never_repeats_the_unknown() -> None:
    facts: Any = {"advice": "x-should-retry"}
    assert judged(answer(500, x_should_retry="false"), safe=True, **facts).retry is Retry.NO
    assert judged(answer(429, x_should_retry="false"), **facts).retry is Retry.NO
    assert judged(answer(409, x_should_retry="true"), **facts).retry is Retry.SAME_CALL
    assert judged(answer(500, x_should_retry="true"), **facts).retry is Retry.NO
    assert judged(answer(400, x_should_retry="false"), **facts).retry is Retry.AFTER_FIX
    assert judged(answer(429, x_should_retry="true"), **facts).retry is Retry.AFTER
    assert judged(answer(409), **facts).retry is Retry.AFTER_FIX


def test_resets_are_asked_only_for_limits() -> None:
    facts: Any = {"resets": (Reset(header="x-reset"),)}
    assert judged(answer(429, x_reset="9"), **facts).retry_after == 9
    assert judged(answer(429, x_reset="9", retry_after="4"), **facts).retry_after == 4
    assert judged(answer(409, x_reset="9"), **facts).retry_after is None
    assert judged(answer(403, x_reset="9"), **facts).retry_after is None


def test_the_arguments_a_provider_complains_about_reach_the_agent() -> None:
    error = judged(answer(422, {"message": "m", "errors": [{"field": "title", "code": "missing"}]}))
    assert error.as_dict()["fields"] == {"title": "missing"}
    hooked = judged(answer(422), hook=complain)
    assert hooked.fields == {"a": "b"}
    assert judged(answer(403, {"errors": [{"field": "title", "code": "x"}]})).fields == {}


def test_secrets_do_not_hide_in_the_fields() -> None:
    data = {"errors": [{"field": "key", "message": "sk-1 is bad"}]}
    error = judge(
        answer(422, data), errors=ErrorMap(), safe=False, provider="a", hide=lambda text: text.replace("sk-1", "-")
    )
    assert error is not None
    assert error.fields == {"key": "- is bad"}


def test_xml_and_text_are_quoted_too() -> None:
    fault = judged(answer(500, content=b"<Fault><faultcode>Server</faultcode><faultstring>words</faultstring></Fault>"))
    assert (fault.provider_code, fault.provider_message) == ("Server", "words")
    text = Response(429, {}, b"Retry later", "Retry later", None, "GET", "https://acme.example/")
    assert judged(text).provider_message == "Retry later"
    plain = judged(text, Rule(code="rate_limited", status=429))
    assert plain.provider_message == "Retry later"


def test_json_that_is_labelled_as_a_page_is_read_all_the_same() -> None:
    content = b' {"error": "slow_down"}'
    error = judged(
        Response(400, {"content-type": "text/html"}, content, content.decode(), None, "POST", "https://a.b/")
    )
    assert (error.code, error.provider_code) == ("rate_limited", "slow_down")
    broken = Response(400, {}, b"{no", b"{no", None, "POST", "https://acme.example/")
    assert judged(broken).code is Code.INVALID_INPUT
    assert decode_error(b"words") is None


def test_an_answer_that_breaks_off_may_be_asked_for_again() -> None:
    assert (
        unreadable("damaged JSON (EOF while parsing a list)", safe=True, provider="a", status=200).code == "transient"
    )
    assert unreadable("unfinished compression", safe=True, provider="a", status=200).code == "transient"
    assert unreadable("unfinished compression", safe=False, provider="a", status=200).outcome is Outcome.UNKNOWN


def test_a_success_costs_little_with_thirty_rules() -> None:
    rules = (
        *(Rule(code="conflict", status=400, codes=f"c{number}") for number in range(15)),
        *(Rule(code="not_found", status=(200, 404), codes=f"d{number}") for number in range(15)),
    )
    errors = ErrorMap(rules=rules)
    response = answer(200, {"id": 1, "name": "x", "items": list(range(100))}, method="GET")
    runs = [
        timeit.timeit(lambda: judge(response, errors=errors, safe=True, provider="a"), number=2000) / 2000
        for _ in range(5)
    ]
    # About 10 µs on an idle machine; the bound leaves room for a busy one, and for one that measures coverage.
    assert min(runs) < (2e-3 if sys.gettrace() else 100e-6)
