"""`clew explain`: recordings in many spellings, judged without ever a traceback."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from clew.servers.cli import main
from clew.testing.judging import may_have_left

Run = Any


class Input(io.TextIOWrapper):
    """Standard input with bytes below it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", errors="replace")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `clew explain` with standard input; its exit code, output and talk."""

    def go(*arguments: str, stdin: Any = b"") -> tuple[int, str, str]:
        content = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
        monkeypatch.setattr("sys.stdin", Input(content))
        code = main(["explain", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def judged(run: Run, name: str, document: Any) -> dict[str, Any]:
    code, out, err = run(name, "--json", stdin=document)
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_files_and_options_describe_an_answer(run: Run, tmp_path: Path) -> None:
    headers, body = tmp_path / "headers.txt", tmp_path / "body.json"
    headers.write_text("HTTP/1.1 403 Forbidden\nX-RateLimit-Remaining: 0\nRetry-After: 7\n")
    body.write_text('{"message": "API rate limit exceeded"}')
    code, out, _ = run("github", "--status", "403", "--headers", str(headers), "--body", str(body))
    assert code == 0
    assert "rate_limited" in out
    assert "text API rate limit exceeded → rate_limited" in out
    assert "retry_after_seconds: 7" in out


@pytest.mark.parametrize(
    "headers",
    [
        [["Retry-After", "3"], ["X-A", "1"], ["X-A", "2"]],
        {"retry-after": "3"},
        {"Retry-After": ["3"]},
        [{"name": "Retry-After", "value": 3}],
        "Retry-After: 3\r\nX: y\r\n",
    ],
)
def test_headers_may_be_written_in_many_ways(run: Run, headers: Any) -> None:
    assert judged(run, "generic", {"status": 429, "headers": headers})["retry_after"] == 3


@pytest.mark.parametrize(
    "extra",
    [
        {"body": {"ok": False, "error": "ratelimited"}},
        {"body": '{"ok": false, "error": "ratelimited"}'},
        {"body_base64": base64.b64encode(b'{"ok": false, "error": "ratelimited"}').decode()},
        {"body": {"base64": base64.b64encode(b'{"ok": false, "error": "ratelimited"}').decode()}},
    ],
)
@pytest.mark.parametrize("status", [200, "200", "200 OK", "HTTP/1.1 200", 200.0])
def test_bodies_and_statuses_may_be_written_in_many_ways(run: Run, extra: Any, status: Any) -> None:
    assert judged(run, "slack", {"status": status, **extra})["code"] == "rate_limited"


def test_an_answer_may_stand_below_response(run: Run) -> None:
    document: Any = {"request": {"method": "post"}, "response": {"status": 500, "headers": [], "body": None}}
    assert judged(run, "generic", document)["code"] == "outcome_unknown"


NOWS = [1767225600, "1767225600", 1767225600000, "2026-01-01T00:00:00Z", "Thu, 01 Jan 2026 00:00:00 GMT"]


@pytest.mark.parametrize("now", NOWS)
def test_dates_are_counted_from_now(run: Run, now: Any) -> None:
    document = {"status": 429, "headers": {"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}, "now": now}
    assert judged(run, "generic", document)["retry_after"] == 30


def test_fields_bucket_and_link_are_shown(run: Run) -> None:
    answer = judged(run, "github", {
        "status": 422, "headers": {"x-ratelimit-resource": "core"}, "request": {"method": "POST"},
        "body": {"message": "Validation Failed", "errors": [{"field": "title", "code": "missing_field"}]},
    })  # fmt: skip
    assert (answer["fields"], answer["bucket"], answer["rule"]) == ({"title": "missing_field"}, "core", "hook")


@pytest.mark.parametrize(
    ("name", "connector"),
    [("microsoft-graph", "microsoft"), ("Jira", "jira"), ("soap-xml", "soap"), ("no-such-one", "generic")],
)
def test_other_names_of_providers_are_known(run: Run, name: str, connector: str) -> None:
    assert judged(run, name, {"status": 404})["connector"] == connector


@pytest.mark.parametrize(
    ("error", "left"),
    [
        ("dns", False), ("ConnectError", False), ("connect_timeout", False), ("ECONNREFUSED", False), ("tls", False),
        ("ssl.SSLCertVerificationError", False), ("PoolTimeout", False), ("ProxyError", False), ("EAI_AGAIN", False),
        ("read_timeout", True), ("ReadError", True), ("write_timeout", True), ("ECONNRESET", True), ("timeout", True),
        ("RemoteProtocolError", True), ("truncated", True), ("ConnectionResetError", True), ("", True), ("odd", True),
        ("ETIMEDOUT", True), ("connection_lost", True), ("Server disconnected", True), ("ConnectionError", True),
        ("ConnectionRefusedError", False), ("socket.gaierror", False), ("SSLEOFError", True),
    ],
)  # fmt: skip
def test_a_transport_error_is_told_by_what_it_proves(error: str, left: bool) -> None:
    assert may_have_left(error) is left


def test_a_transport_error_needs_no_answer(run: Run) -> None:
    code, out, _ = run("stripe", "--transport-error", "read_timeout", "--method", "POST", "--json")
    assert (code, json.loads(out)["code"], json.loads(out)["retry"]) == (0, "outcome_unknown", "no")
    assert judged(run, "stripe", {"transport_error": "dns", "request": {"method": "POST"}})["outcome"] == "not_applied"


@pytest.mark.parametrize(
    ("document", "grant", "code"),
    [
        ({"status": 200, "body": {"access_token": "a"}}, "refreshed", "ok"),
        ({"status": 200, "body": {"error": "bad_refresh_token"}}, "dead", "auth_revoked"),
        ({"status": 503, "body": "<html>"}, "outage", "transient"),
        ({"status": 200, "body": {"error": "incorrect_client_credentials"}}, "misconfigured", "internal"),
        ({"transport_error": "read_timeout"}, "outage", "transient"),
    ],
)
def test_a_token_endpoint_is_judged_as_a_refresh(run: Run, document: Any, grant: str, code: str) -> None:
    answer = judged(run, "github", {**document, "token_endpoint": True})
    assert (answer["grant"], answer["code"]) == (grant, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("query { a }", "transient"),
        ("{ a }", "transient"),
        ("mutation { a }", "outcome_unknown"),
        ("???", "outcome_unknown"),
    ],
)
def test_a_graphql_query_is_told_from_a_mutation(run: Run, query: str, code: str) -> None:
    document = {"status": 502, "request": {"method": "POST", "body": json.dumps({"query": query})}}
    assert judged(run, "linear", document)["code"] == code


def test_a_batch_answers_line_by_line_and_survives_bad_lines(run: Run) -> None:
    lines = [
        b'{"id": 1, "connector": "slack", "status": 429}',
        b"",
        b"{not json",
        b"[]",
        b'{"connector": "slack"}',
        b'{"connector": "slack", "status": true}',
        b'{"connector": "slack", "status": 400, "headers": 7}',
        b'{"connector": "slack", "status": 400, "now": "never"}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"status": 400, "body": {"message": "' + b"a" * 1000 + b'"}}',
        b'{"connector": "no such", "status": 418, "headers": [["\xc3\xa9", "x"], ["a", "\xc3\xa9"]]}',
        b'{"connector": "no such", "status": 418, "body": "\\ud800"}',
    ]
    code, out, _ = run("--batch", stdin=b"\n".join(lines))
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [each["line"] for each in answers] == [1, *range(3, 14)]  # the second is blank
    assert answers[0] == answers[0] | {"id": 1, "connector": "slack", "code": "rate_limited"}
    assert ["error" in each for each in answers] == [False, *[True] * 8, False, False, False]
    assert all(each["error"]["message"] for each in answers if "error" in each)


@pytest.mark.parametrize("stdin", [b"", b"nothing", b"[]", b'{"status": "x"}', b"{}", b'{"status": 1e400}', b"\xff"])
def test_bad_input_is_one_sentence(run: Run, stdin: bytes) -> None:
    code, out, err = run("slack", stdin=stdin)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "fault of ours" not in err


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    code, _, err = run("slack", "--status", "200", "--body", "/no/such/file")
    assert code == 2
    assert "--body" in err


BODIES: list[Any] = [None, "", "x", 7, True, [], {}, [[[]]], {"errors": [None, 1, {}]}, {"error": [1]}, "<a>"]


@pytest.mark.parametrize("name", ["slack", "salesforce", "sql", "smtp", "soap", "shopify", "caldav", "oracle"])
def test_no_body_and_no_status_ends_in_a_traceback(run: Run, name: str) -> None:
    documents: list[Any] = [
        {"connector": name, "status": status, "headers": [], "body": body}
        for status in (0, 100, 199, 302, 418, 599, 999)
        for body in BODIES
    ]
    code, out, err = run("--batch", stdin="\n".join(map(json.dumps, documents)).encode())
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == len(documents)
    assert all("error" not in json.loads(line) for line in out.splitlines())


def test_lists_hide_connectors_that_have_only_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    few = {each["name"] for each in json.loads(capsys.readouterr().out)}
    assert main(["list", "--all", "--json"]) == 0
    every = {each["name"] for each in json.loads(capsys.readouterr().out)}
    assert {"github", "acme"} <= few
    assert "airtable" in every - few
