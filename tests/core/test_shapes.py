"""What bodies of many makers say went wrong."""

import json
from typing import Any

import pytest

from clew.core.response import Response
from clew.core.shapes import Problem, hidden_problem, of_markup, problem_of

SOAP_11 = (
    b'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    b"<faultcode>s:Server</faultcode><faultstring>no</faultstring><detail><x code='AT'><innerFault/>"
    b"<code>DEEP</code><code/></x></detail></s:Fault></s:Body></s:Envelope>"
)


def answer(status: int, data: Any = None, *, content: bytes | None = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(data).encode() if content is None else content
    return Response(status, named, body, data, None, "GET", "https://acme.example/")


def codes(status: int, data: Any, challenge: str = "", content: bytes | None = None) -> tuple[str, ...]:
    problem = problem_of(answer(status, data, content=content, www_authenticate=challenge))
    return problem.codes if problem else ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"error": {"code": 403, "status": "PERMISSION_DENIED", "errors": [{"reason": "quota"}]}}, "quota"),
        ({"error": {"code": "A", "innerError": {"code": "B", "innerError": {"code": "C"}}}}, "C"),
        ({"error": {"code": "A", "innererror": {"code": "B"}}}, "B"),
        ({"code": 8, "message": "m", "details": []}, "RESOURCE_EXHAUSTED"),
        ({"error": "invalid_grant", "error_description": "d"}, "invalid_grant"),
        ([{"errorCode": "X", "message": "m"}], "X"),
        ({"type": "https://x/probs/out-of-credit", "title": "t"}, "https://x/probs/out-of-credit"),
        ({"errors": [{"status": "404", "code": "gone", "title": "t"}]}, "gone"),
        ({"errors": [{"message": "m", "extensions": {"exception": {"code": "E1"}}}], "data": None}, "E1"),
        ({"errors": ["words", {"reason": "r"}], "error": "not a word"}, "r"),
    ],
)
def test_the_most_telling_code_comes_first(data: Any, expected: str) -> None:
    assert codes(400, data)[0] == expected


def test_inner_errors_are_followed_no_further_than_ten_levels() -> None:
    inner: dict[str, Any] = {"code": "bottom"}
    for _ in range(30):
        inner = {"innerError": inner}
    assert codes(400, inner) == ()


def test_a_sentence_is_found_where_it_stands() -> None:
    said = {
        "m1": {"message": "m1"}, "m2": {"error": {"message": "m2"}}, "m3": {"message": {"error": "m3"}},
        "some words": {"error": "some words"}, "m5": {"errors": [{"detail": "m5"}]},
    }  # fmt: skip
    for expected, data in said.items():
        problem = problem_of(answer(400, data))
        assert problem is not None
        assert problem.message == expected


def test_a_body_without_words_is_no_problem() -> None:
    assert problem_of(answer(400, {})) is None
    assert problem_of(answer(400, [1, "x"])) is None
    assert problem_of(answer(400, None, content=b"")) is None
    assert problem_of(answer(400, "", content=b"")) is None


def test_a_challenge_names_its_error() -> None:
    challenge = 'Bearer realm="x", error="insufficient_scope"'
    assert codes(403, None, challenge, b"") == ("insufficient_scope",)
    assert codes(401, {"code": "a"}, challenge) == ("a", "insufficient_scope")
    assert codes(500, {"code": "a"}, challenge) == ("a",)


def test_plain_text_and_bytes_are_a_sentence() -> None:
    assert problem_of(answer(429, "Retry later\n", content=b"Retry later\n")) == Problem("text", (), "Retry later")
    assert problem_of(answer(429, b"Retry", content=b"Retry")) == Problem("text", (), "Retry")


def test_problem_details_are_told_from_other_json() -> None:
    problem = problem_of(answer(400, {"title": "t"}, content_type="application/problem+json"))
    assert problem is not None
    assert problem.shape == "problem details"


def test_graphql_is_told_from_other_errors() -> None:
    found = problem_of(answer(400, {"errors": [{"message": "m", "extensions": {"code": "X"}}]}))
    assert found is not None
    assert (found.shape, found.codes, found.refused) == ("graphql", ("X",), True)
    other = problem_of(answer(400, {"errors": [{"message": "m", "field": "f"}], "status": 400}))
    assert other is not None
    assert other.shape == "json"


def test_partial_results_are_noticed() -> None:
    error = {"message": "m", "path": ["b"], "type": "T"}
    found = hidden_problem(answer(200, {"data": {"a": 1, "b": None}, "errors": [error]}))
    assert found is not None
    assert (found.partial, found.refused, found.codes) == (True, False, ("T",))


@pytest.mark.parametrize(
    "data",
    [
        {"ok": True, "errors": []},
        {"errors": ["words"], "id": 1},
        {"errors": [{"message": "m"}], "id": 1},
        {"success": False},
        {"ok": False},
        {"error": None, "id": 1},
        {"error": "", "status": 200},
        {"status": "error", "id": 1},
        {"error": {"code": "x"}, "id": 1},
        {"success": False, "error": "", "id": 1},
        {"code": 0, "message": "ok", "data": None},
        {"code": 200, "message": "done"},
        {"code": 40001, "message": "m", "data": {"id": 1}},
        {"code": 40001, "message": "m", "id": 1},
        {"code": 40001, "data": None},
        {"code": True, "message": "m"},
        {"code": "A", "message": "m"},
        {"success": 0, "failed": 0},
        {"status": "error", "message": "m", "id": 1},
        {"status": "OK", "error_message": "none of it"},
        {"status": "done", "error_message": "m", "id": 1},
        {"status": 3, "error_message": "m"},
        {"errcode": 0, "errmsg": "ok"},
        {"error_code": None, "error_message": "none of it"},
        {"errcode": 7, "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": None},
        {"id": 1},
        [],
        None,
    ],
)
def test_an_ordinary_answer_hides_no_problem(data: Any) -> None:
    assert hidden_problem(answer(200, data)) is None


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ({"ok": False, "error": "no"}, "envelope"),
        ({"success": False, "message": "no"}, "envelope"),
        ({"isSuccess": False, "code": "no"}, "envelope"),
        ({"error": {"code": "x"}}, "error"),
        ({"error": "x", "error_description": "d"}, "error"),
        ({"errors": [{"message": "m"}]}, "graphql"),
        ({"code": 40001, "message": "no such user", "data": None}, "envelope"),
        ({"code": -1, "msg": "busy", "requestId": "r"}, "envelope"),
        ({"success": 0, "error": {"code": 104, "type": "usage_limit_reached"}}, "envelope"),
        ({"ok": False, "error_code": 429, "description": "later"}, "envelope"),
        ({"status": "error", "code": 401, "message": "who are you"}, "envelope"),
        ({"status": "fail", "data": {"title": "is required"}}, "envelope"),
        ({"status": "REQUEST_DENIED", "error_message": "no", "results": []}, "envelope"),
        ({"error_code": "ComplexityException", "error_message": "m", "status_code": 429, "account_id": 1}, "envelope"),
        ({"errcode": 40001, "errmsg": "invalid credential"}, "envelope"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "m"}}, "json-rpc"),
    ],
)
def test_a_failure_under_a_success_status_is_seen(data: Any, shape: str) -> None:
    found = hidden_problem(answer(200, data))
    assert found is not None
    assert found.shape == shape


def test_soap_faults_give_the_detail_before_the_general_code() -> None:
    problem = of_markup(answer(500, None, content=SOAP_11))
    assert problem is not None
    assert (problem.codes, problem.message, problem.fault) == (("AT", "innerFault", "DEEP", "Server"), "no", True)


def test_soap_12_in_utf_16_is_read() -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-16"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>'
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>w:MessageExpired</e:Value></e:Subcode></e:Code>"
        "<e:Reason><e:Text>late</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
    )
    problem = problem_of(answer(400, None, content=text.encode("utf-16")))
    assert problem is not None
    assert (problem.codes, problem.message) == (("MessageExpired", "Sender"), "late")


def test_a_fault_without_a_reason_gives_all_its_text() -> None:
    problem = of_markup(answer(500, None, content=b"<Fault><a>b</a></Fault>"))
    assert problem == Problem("soap fault", (), "b", fault=True)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b'<r><s isSuccess="false"><statusDetail code="D"><message>m</message></statusDetail></s></r>', ("D",)),
        (b'<r><status isSuccess="false"/><code>X</code></r>', ("X",)),
        (b"<r><success>false</success><errors><statusCode>Y</statusCode></errors></r>", ("Y",)),
        (b"<r><success> FALSE </success></r>", ()),
    ],
)  # fmt: skip
def test_soft_errors_are_faults_under_a_success_status(content: bytes, codes: tuple[str, ...]) -> None:
    problem = hidden_problem(answer(200, content.decode(), content=content))
    assert problem is not None
    assert (problem.shape, problem.codes) == ("soap status", codes)


def test_a_webdav_precondition_is_the_code() -> None:
    problem = of_markup(answer(403, None, content=b'<d:error xmlns:d="DAV:"><d:valid-sync-token/></d:error>'))
    assert problem == Problem("webdav", ("valid-sync-token",), "")


def test_other_xml_gives_code_and_message_or_its_text() -> None:
    found = of_markup(answer(403, None, content=b"<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>"))
    assert found == Problem("xml", ("SlowDown",), "Reduce")
    assert of_markup(answer(403, None, content=b"<a><b>words</b></a>")) == Problem("xml", (), "words")


def test_pages_damage_and_ordinary_documents() -> None:
    assert of_markup(answer(503, None, content=b"<!doctype html><p>")) == Problem("web page")
    assert of_markup(answer(503, None, content=b"<a><b>")) == Problem("damaged markup")
    assert of_markup(answer(200, None, content=b"<a><b>"), success=True) is None
    assert of_markup(answer(200, None, content=b"<a/>"), success=True) is None
    assert of_markup(answer(200, None, content=b"plain")) is None
    assert hidden_problem(answer(200, "<html>", content=b"<html>")) == Problem("web page")
    assert hidden_problem(answer(200, "text", content=b"text")) is None


def test_json_rpc_says_what_was_never_executed() -> None:
    def found(code: int) -> Problem | None:
        return hidden_problem(
            answer(200, {"jsonrpc": "2.0", "error": {"code": code, "message": "m", "data": {"code": "x"}}})
        )

    assert found(-32602) == Problem("json-rpc", ("x",), "m", refused=True)
    assert found(-32603) == Problem("json-rpc", ("internal", "x"), "m")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"error_code": 429}, 429),
        ({"statusCode": 503}, 503),
        ({"code": 401}, 401),
        ({"error": {"code": 404}}, 404),
        ({"code": 40001}, 0),
        ({"code": True}, 0),
        ({"code": "401"}, 0),
    ],
)
def test_the_status_of_a_failure_may_stand_in_its_body(data: Any, status: int) -> None:
    found = hidden_problem(answer(200, {"ok": False, "message": "m", **data}))
    assert found is not None
    assert found.status == status
