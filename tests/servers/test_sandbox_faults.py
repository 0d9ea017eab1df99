"""Acme's fault switches, as a client meets them."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from clew.servers.sandbox import Sandbox

CHARGE = {"amount": 5, "currency": "eur", "card": "4242"}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.pat}", "Acme-Version": "2026-07-01"}
    with httpx.Client(base_url=sandbox.url, headers=headers) as client:
        yield client


def error(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()["error"]
    return found


@pytest.mark.parametrize(("how", "seen"), [("reset", httpx.ReadError), ("eof", httpx.RemoteProtocolError)])
def test_drop_before_commit_aborts_and_does_nothing(
    api: httpx.Client, sandbox: Sandbox, how: str, seen: type[Exception]
) -> None:
    sandbox.fault("drop_before_commit", method="POST", path="/api/payments", how=how)
    with pytest.raises(seen):
        api.post("/api/payments", json=CHARGE)
    assert sandbox.state.commits == []
    assert sandbox.state.requests["POST /api/payments"] == 1
    assert (sandbox.state.log[-1].status, sandbox.state.log[-1].fault) == (None, "drop_before_commit")
    assert api.post("/api/payments", json=CHARGE).status_code == 201


@pytest.mark.parametrize(("how", "seen"), [("reset", httpx.ReadError), ("eof", httpx.RemoteProtocolError)])
def test_drop_after_commit_does_it_and_says_nothing(
    api: httpx.Client, sandbox: Sandbox, how: str, seen: type[Exception]
) -> None:
    sandbox.fault("drop_after_commit", method="POST", path="/api/payments", how=how)
    key = {"Idempotency-Key": "k1"}
    with pytest.raises(seen):
        api.post("/api/payments", json=CHARGE, headers=key)
    assert sandbox.state.committed("payment") == 1
    again = api.post("/api/payments", json=CHARGE, headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert sandbox.state.committed("payment") == 1


def test_a_dropped_refresh_burns_the_refresh_token(api: httpx.Client, sandbox: Sandbox) -> None:
    token = str(sandbox.log_in()["refresh_token"])
    fields = {"grant_type": "refresh_token", "client_id": "clew-demo", "refresh_token": token}
    sandbox.fault("drop_after_commit", path="/oauth/token")
    with pytest.raises(httpx.ReadError):
        api.post("/oauth/token", data=fields)
    assert api.post("/oauth/token", data=fields).json()["error"] == "invalid_grant"


def test_slow_does_it_and_then_waits(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("slow", method="POST", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        api.post("/api/payments", json=CHARGE, timeout=0.2)
    assert sandbox.state.committed("payment") == 1


def test_slow_before_has_done_nothing_when_the_client_gives_up(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("slow", method="POST", seconds=None, when="before")
    with pytest.raises(httpx.ReadTimeout):
        api.post("/api/payments", json=CHARGE, timeout=0.2)
    assert sandbox.state.commits == []
    sandbox.clear_faults()
    deadline = time.monotonic() + 5
    while not sandbox.state.committed("payment"):
        assert time.monotonic() < deadline, "the request went on after its client had left"
        time.sleep(0.005)


def test_slow_answers_after_its_seconds(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("slow", seconds=0.3)
    began = time.monotonic()
    assert api.get("/api/me").status_code == 200
    assert time.monotonic() - began >= 0.3


def test_drip_sends_the_body_byte_by_byte(api: httpx.Client, sandbox: Sandbox) -> None:
    plain = api.get("/api/contacts/con_000001")
    sandbox.fault("drip", seconds=0.001)
    with api.stream("GET", "/api/contacts/con_000001") as response:
        chunks = list(response.iter_raw())
    assert b"".join(chunks) == plain.content
    assert len(chunks) > 10


def test_rate_limit_answers_429_so_many_times(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("rate_limit", path="/api/contacts", times=2, seconds=7)
    answers = [api.get("/api/contacts") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert error(answers[0])["code"] == "rate_limited"


def test_rate_limit_can_say_a_date_or_nothing(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("rate_limit", seconds=60, as_date=True)
    sandbox.fault("rate_limit", seconds=None)
    moment = parsedate_to_datetime(api.get("/api/me").headers["retry-after"]).timestamp()
    assert abs(moment - time.time() - 60) < 5
    assert "retry-after" not in api.get("/api/me").headers


def test_quota_is_a_403_that_time_heals(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("quota", seconds=3)
    response = api.get("/api/me")
    assert (response.status_code, error(response)["code"], response.headers["retry-after"]) == (403, "quota", "3")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_error_has_its_status_and_does_nothing(api: httpx.Client, sandbox: Sandbox, status: int) -> None:
    sandbox.fault("server_error", status=status, seconds=2)
    response = api.post("/api/payments", json=CHARGE)
    assert (response.status_code, error(response)["type"]) == (status, "api_error")
    assert response.headers["retry-after"] == "2"
    assert sandbox.state.commits == []


def test_server_error_can_be_html_and_come_after_the_commit(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("server_error", status=502, html=True, when="after")
    response = api.post("/api/payments", json=CHARGE)
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "retry-after" not in response.headers
    assert sandbox.state.committed("payment") == 1


def test_truncate_promises_more_than_it_sends(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("truncate", path="/api/contacts")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        api.get("/api/contacts")
    assert len(api.get("/api/contacts").json()["data"]) == 20


def test_fields_are_renamed_removed_and_replaced(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("rename_field")
    renamed = api.get("/api/contacts/con_000001").json()
    assert (renamed["identifier"], "id" in renamed) == ("con_000001", False)
    sandbox.fault("remove_field", field="email")
    assert "email" not in api.get("/api/contacts").json()["data"][0]
    sandbox.fault("set_field", field="given", value=7)
    assert api.get("/api/contacts").json()["data"][3]["name"]["given"] == 7
    assert api.get("/api/contacts/con_000001").json()["name"]["given"] == "Ada"


def test_expire_token_ends_access_and_spares_refresh(api: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    sandbox.fault("expire_token")
    expired = api.get("/api/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (expired.status_code, error(expired)["code"]) == (401, "token_expired")
    fields = {"grant_type": "refresh_token", "client_id": "clew-demo", "refresh_token": str(tokens["refresh_token"])}
    fresh = api.post("/oauth/token", data=fields).json()["access_token"]
    assert api.get("/api/me", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200
    assert api.get("/api/me").status_code == 200  # personal tokens have no refresh and are spared


def test_revoke_grant_ends_everything_of_the_grant(api: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    sandbox.fault("revoke_grant")
    fields = {"grant_type": "refresh_token", "client_id": "clew-demo", "refresh_token": str(tokens["refresh_token"])}
    assert api.post("/oauth/token", data=fields).json()["error"] == "invalid_grant"
    assert sandbox.state.tokens.reused == 0


def test_reject_token_refuses_any_token(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("reject_token", times=2)
    assert [api.get("/api/me").status_code for _ in range(3)] == [401, 401, 200]


def test_html_is_a_login_page_that_says_200(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("html")
    response = api.get("/api/contacts")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>Log in</h1>" in response.text


def test_bad_utf8_cannot_be_decoded(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("bad_utf8")
    response = api.get("/api/contacts")
    assert response.headers["content-type"] == "application/json"
    with pytest.raises(UnicodeDecodeError):
        response.content.decode()


def test_huge_streams_what_was_asked_and_stops_when_the_client_leaves(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("huge", bytes=200_000)
    body = api.get("/api/contacts")
    assert len(body.content) == 200_000
    assert set(body.json()) == {"data"}
    sandbox.fault("huge")
    with api.stream("GET", "/api/contacts") as response:
        assert len(next(response.iter_bytes())) > 0
    assert api.get("/api/me").status_code == 200


def test_redirect_loop_never_ends(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("redirect_loop")
    with pytest.raises(httpx.TooManyRedirects):
        api.get("/api/contacts", follow_redirects=True)


def test_cursor_loop_leads_to_the_same_page(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("cursor_loop", times=None)
    first = api.get("/api/contacts").json()
    second = api.get("/api/contacts", params={"cursor": first["next_cursor"]}).json()
    assert second == first


def test_wrong_content_type_keeps_the_body(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("wrong_content_type", content_type="application/octet-stream")
    response = api.get("/api/contacts/con_000001")
    assert response.headers.get_list("content-type") == ["application/octet-stream"]
    assert response.json()["id"] == "con_000001"


def test_faults_match_method_and_path_oldest_first(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.fault("server_error", method="post", path="/api/contacts", status=502)
    sandbox.fault("server_error", status=503)
    sandbox.fault("html", path="/api/tickets")
    assert api.get("/api/tickets").status_code == 503
    assert api.get("/api/tickets").headers["content-type"].startswith("text/html")
    assert api.post("/api/contacts", json={}).status_code == 502
    assert api.post("/api/contacts", json={}).status_code == 422
    assert api.get("/.well-known/oauth-authorization-server").status_code == 200


def test_faults_are_set_seen_and_cleared_over_http(api: httpx.Client) -> None:
    made = api.post("/_sandbox/faults", json={"fault": "server_error", "status": 503, "times": None})
    assert (made.status_code, made.json()["times"], made.json()["path"]) == (201, None, "/api")
    assert [api.get("/api/me").status_code for _ in range(3)] == [503, 503, 503]
    assert api.get("/_sandbox/faults").json()["data"][0]["hits"] == 3
    assert api.get("/_sandbox/state").json()["requests"] == {"GET /api/me": 3}
    assert len(api.get("/_sandbox/log").json()["data"]) == 3
    assert api.delete("/_sandbox/faults").status_code == 204
    assert api.get("/api/me").status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"fault": "explode"}, "explode"),
        ({"fault": "slow", "second": 1}, "second"),
        ({"fault": "slow", "seconds": "one"}, "seconds"),
        ({"fault": "slow", "when": "later"}, "when"),
        ({"fault": "truncate", "times": 0}, "times"),
        ({}, "fault"),
    ],
)
def test_a_typo_in_a_fault_is_named(api: httpx.Client, body: dict[str, Any], named: str) -> None:
    response = api.post("/_sandbox/faults", json=body)
    assert response.status_code == 422
    assert named in error(response)["message"]
    assert api.get("/_sandbox/faults").json()["data"] == []


def test_an_unknown_fault_is_refused_in_process_too(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="unknown fault 'explode'"):
        sandbox.fault("explode")


def test_the_clock_moves_over_http(api: httpx.Client) -> None:
    token = api.post("/_sandbox/tokens", json={"scopes": ["contacts:read"], "expires_in": 60}).json()["token"]
    mine = {"Authorization": f"Bearer {token}"}
    assert api.get("/api/contacts", headers=mine).status_code == 200
    assert error(api.post("/_sandbox/clock", json={"advance": "x"}))["field"] == "advance"
    assert error(api.post("/_sandbox/tokens", json={"scopes": ["all"]}))["field"] == "scopes"
    before = api.get("/_sandbox/state").json()["now"]
    assert api.post("/_sandbox/clock", json={"advance": 61}).json()["now"] >= before + 61
    assert error(api.get("/api/contacts", headers=mine))["code"] == "token_expired"
