"""Acme's API: contacts, tickets, messages, invoices, versions and errors, by real HTTP."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from clew.servers.sandbox import Sandbox

ADA: dict[str, Any] = {"name": {"given": "Ada", "family": "King"}, "email": "ada@new.example"}
NS = "{https://acme.example/ns/invoice}"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(message_delivery_seconds=0) as sandbox:
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


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def walk(api: httpx.Client, path: str, **params: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = api.get(path, params={**params, **({"cursor": cursor} if cursor else {})}).json()
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def test_the_seed_is_the_same_every_time(api: httpx.Client, sandbox: Sandbox) -> None:
    first = {path: walk(api, path) for path in ("/api/contacts", "/api/tickets", "/api/payments", "/api/invoices")}
    sandbox.reset()
    assert {path: walk(api, path) for path in first} == first
    assert [len(rows) for rows in first.values()] == [57, 23, 9, 12]


def test_pages_follow_each_other_without_gap_or_repeat(api: httpx.Client) -> None:
    first = api.get("/api/contacts", params={"limit": "20"}).json()
    assert len(first["data"]) == 20
    ids = [row["id"] for row in walk(api, "/api/contacts", limit="20")]
    assert len(ids) == len(set(ids)) == 57


def test_a_page_stays_right_when_rows_go(api: httpx.Client) -> None:
    first = api.get("/api/contacts", params={"limit": "5"}).json()
    api.delete(f"/api/contacts/{first['data'][-1]['id']}")
    second = api.get("/api/contacts", params={"limit": "5", "cursor": first["next_cursor"]}).json()
    assert second["data"][0]["id"] == "con_000006"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "invalid_field"),
        ("limit=101", 422, "invalid_field"),
        ("limit=two", 422, "invalid_field"),
        ("cursor=nonsense", 400, "invalid_cursor"),
        ("cursor=%FF", 400, "invalid_cursor"),
    ],
)
def test_wrong_page_parameters_are_named(api: httpx.Client, query: str, status: int, code: str) -> None:
    response = api.get(f"/api/contacts?{query}")
    assert (response.status_code, error(response)["code"]) == (status, code)
    assert error(response)["field"] == query.partition("=")[0]


def test_contacts_are_searched_by_name_email_and_company(api: httpx.Client) -> None:
    assert {row["name"]["given"] for row in walk(api, "/api/contacts", q="zoë")} == {"Zoë"}
    assert {row["company"] for row in walk(api, "/api/contacts", q="café")} == {"Café Zürich"}
    exact = walk(api, "/api/contacts", email="hopper2@customer.example")
    assert [row["id"] for row in exact] == ["con_000002"]


def test_a_contact_is_created_read_updated_and_deleted(api: httpx.Client, sandbox: Sandbox) -> None:
    created = api.post("/api/contacts", json=ADA)
    assert created.status_code == 201
    path = f"/api/contacts/{created.json()['id']}"
    assert api.get(path).json() == created.json()
    updated = api.patch(path, json={"company": "Engines"})
    assert (updated.json()["company"], updated.json()["email"]) == ("Engines", ADA["email"])
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    done = [(commit.resource, commit.action) for commit in sandbox.state.commits]
    assert done == [("contact", "create"), ("contact", "update"), ("contact", "delete")]
    assert sandbox.state.requests["POST /api/contacts"] == 1


def test_if_match_refuses_a_stale_update_and_delete(api: httpx.Client) -> None:
    path = "/api/contacts/con_000001"
    etag = api.get(path).headers["etag"]
    assert api.patch(path, json={"phone": None}, headers={"If-Match": etag}).status_code == 200
    stale = api.patch(path, json={"phone": "1"}, headers={"If-Match": etag})
    assert (stale.status_code, error(stale)["code"]) == (412, "precondition_failed")
    assert api.delete(path, headers={"If-Match": etag}).status_code == 412
    assert api.get(path, headers={"If-None-Match": stale.headers["etag"]}).status_code == 304
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_an_email_address_is_unique(api: httpx.Client) -> None:
    first = api.post("/api/contacts", json=ADA).json()
    taken = api.post("/api/contacts", json=ADA)
    assert taken.status_code == 409
    assert (error(taken)["code"], error(taken)["field"]) == ("email_taken", "email")
    assert error(taken)["existing_id"] == first["id"]
    assert api.patch(f"/api/contacts/{first['id']}", json={"email": ADA["email"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": ADA["name"]}, "missing_field", "email"),
        ({**ADA, "email": "nobody"}, "invalid_field", "email"),
        ({**ADA, "name": "Ada"}, "invalid_field", "name"),
        ({**ADA, "name": {"given": "Ada"}}, "invalid_field", "name"),
        ({**ADA, "company": 7}, "invalid_field", "company"),
        ({**ADA, "full_name": "Ada"}, "unknown_field", "full_name"),
    ],
)
def test_a_wrong_field_is_422_and_named(
    api: httpx.Client, sandbox: Sandbox, body: dict[str, Any], code: str, field: str
) -> None:
    response = api.post("/api/contacts", json=body)
    assert (response.status_code, error(response)["code"], error(response)["field"]) == (422, code, field)
    assert sandbox.state.commits == []


@pytest.mark.parametrize(("content", "status"), [("{", 400), ("[]", 400), (b"\xff", 400)])
def test_a_body_that_is_no_json_object_is_400(api: httpx.Client, content: str | bytes, status: int) -> None:
    response = api.post("/api/contacts", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, error(response)["code"]) == (status, "invalid_json")


def test_a_body_of_another_type_is_415_and_a_big_one_413(api: httpx.Client) -> None:
    assert api.post("/api/contacts", content="a=b").status_code == 415
    assert api.post("/api/contacts", content=b"x" * (1024 * 1024 + 1)).status_code == 413


def test_half_a_request_does_nothing(sandbox: Sandbox) -> None:
    address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {sandbox.pat}\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(f"POST /api/tickets/tic_000001/close HTTP/1.1\r\n{head}".encode())
    httpx.get(f"{sandbox.url}/api/me")
    assert sandbox.state.commits == []
    assert [seen.path for seen in sandbox.state.log] == ["/api/me"]


def test_the_oldest_version_answers_who_names_none(api: httpx.Client) -> None:
    del api.headers["Acme-Version"]
    old = api.get("/api/contacts/con_000001")
    assert old.headers["acme-version"] == "2026-01-01"
    assert old.headers["deprecation"].startswith("@")
    assert old.headers["sunset"].endswith("GMT")
    assert old.json()["full_name"] == "Ada Lovelace"
    assert "name" not in old.json()
    new = api.get("/api/contacts/con_000001", headers={"Acme-Version": "2026-07-01"})
    assert new.json()["name"] == {"given": "Ada", "family": "Lovelace"}
    assert "deprecation" not in new.headers


def test_the_old_version_takes_the_old_shape(api: httpx.Client) -> None:
    body = {"full_name": "Ada King Byron", "email": "ada@old.example"}
    created = api.post("/api/contacts", json=body, headers={"Acme-Version": "2026-01-01"}).json()
    assert created["full_name"] == "Ada King Byron"
    assert api.get(f"/api/contacts/{created['id']}").json()["name"] == {"given": "Ada", "family": "King Byron"}
    assert error(api.post("/api/contacts", json=body))["code"] == "unknown_field"


def test_an_unknown_version_is_refused(api: httpx.Client) -> None:
    response = api.get("/api/contacts", headers={"Acme-Version": "2025-01-01"})
    assert (response.status_code, error(response)["code"]) == (400, "unsupported_version")


def test_tickets_are_listed_by_status_and_external_id(api: httpx.Client) -> None:
    assert {row["status"] for row in walk(api, "/api/tickets", status="closed")} == {"closed"}
    assert [row["id"] for row in walk(api, "/api/tickets", external_id="erp-3")] == ["tic_000003"]
    assert error(api.get("/api/tickets?status=lost"))["field"] == "status"


def test_an_external_id_opens_one_ticket_only(api: httpx.Client, sandbox: Sandbox) -> None:
    body = {"subject": "Broken", "external_id": "erp-99", "contact_id": "con_000001", "priority": "high"}
    created = api.post("/api/tickets", json=body)
    assert (created.status_code, created.json()["status"]) == (201, "open")
    again = api.post("/api/tickets", json=body)
    assert (again.status_code, error(again)["code"]) == (409, "external_id_taken")
    assert error(again)["existing_id"] == created.json()["id"]
    assert sandbox.state.committed("ticket") == 1
    assert error(api.post("/api/tickets", json={**body, "contact_id": "con_x"}))["field"] == "contact_id"
    assert error(api.post("/api/tickets", json={"subject": "x", "priority": "urgent"}))["field"] == "priority"


def test_a_ticket_is_commented_and_closed_once(api: httpx.Client) -> None:
    comment = api.post("/api/tickets/tic_000001/comments", json={"text": "Looking into it."})
    assert (comment.status_code, comment.json()["author"]) == (201, "ada@acme.example")
    assert api.get("/api/tickets/tic_000001/comments").json()["data"] == [comment.json()]
    assert api.get("/api/tickets/tic_000001").json()["comments_count"] == 1
    closed = api.post("/api/tickets/tic_000001/close")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    again = api.post("/api/tickets/tic_000001/close")
    assert (again.status_code, error(again)["code"]) == (409, "already_closed")


@pytest.mark.parametrize("path", ["contacts/x", "tickets/x", "payments/x", "messages/x", "invoices/x", "webhooks/x"])
def test_what_does_not_exist_is_404_with_a_json_error(api: httpx.Client, path: str) -> None:
    response = api.get(f"/api/{path}")
    assert (response.status_code, error(response)["code"]) == (404, "not_found")
    assert error(response)["type"] == "not_found_error"


def test_unknown_paths_and_methods_are_json_too(api: httpx.Client) -> None:
    assert (api.get("/api/nothing").status_code, error(api.get("/nothing"))["code"]) == (404, "not_found")
    wrong = api.put("/api/contacts", json={})
    assert (wrong.status_code, error(wrong)["code"]) == (405, "method_not_allowed")


def test_every_answer_has_its_own_request_id(api: httpx.Client, sandbox: Sandbox) -> None:
    answers = [api.get("/api/me"), api.get("/api/nothing"), api.get("/oauth/authorize"), api.post("/oauth/token")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 4
    assert [seen.request_id for seen in sandbox.state.log] == ids


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "token_missing"), ("Basic eDp5", "token_missing"), ("Bearer wrong", "token_invalid")],
)
def test_a_missing_or_wrong_token_is_401_with_a_challenge(sandbox: Sandbox, header: str | None, code: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = httpx.get(f"{sandbox.url}/api/me", headers=headers)
    assert (response.status_code, error(response)["code"]) == (401, code)
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_message_is_accepted_and_delivered_later(api: httpx.Client) -> None:
    body = {"from": "support@acme.example", "to": "a@good.example", "subject": "Hi", "text": "Hello"}
    accepted = api.post("/api/messages", json=body)
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    path = f"/api/messages/{accepted.json()['id']}"
    until(lambda: api.get(path).json()["status"] == "delivered")
    assert len(walk(api, "/api/messages")) == 1


def test_a_message_bounces_by_its_address(api: httpx.Client) -> None:
    body = {"from": "support@acme.example", "to": "a@Bounce.example", "subject": "Hi", "text": "Hello"}
    path = f"/api/messages/{api.post('/api/messages', json=body).json()['id']}"
    until(lambda: api.get(path).json()["status"] != "accepted")
    message = api.get(path).json()
    assert (message["status"], message["bounce"]["code"]) == ("bounced", "5.1.1")


def test_an_unknown_sender_is_a_failure_that_says_200(api: httpx.Client, sandbox: Sandbox) -> None:
    body = {"from": "me@other.example", "to": "a@good.example", "subject": "Hi", "text": "Hello"}
    response = api.post("/api/messages", json=body)
    assert (response.status_code, response.json()) == (200, {"ok": False, "error": "unknown_sender"})
    assert sandbox.state.commits == []


def test_invoices_answer_namespaced_xml_or_json(api: httpx.Client) -> None:
    listed = api.get("/api/invoices", params={"limit": "5"}, headers={"Accept": "application/xml"})
    assert listed.headers["content-type"].startswith("application/xml")
    root = ET.fromstring(listed.content)
    assert root.tag == f"{NS}invoices"
    assert len(root.findall(f"{NS}invoice")) == 5
    cursor = root.attrib["nextCursor"]
    assert api.get("/api/invoices", params={"cursor": cursor}).json()["data"][0]["id"] == "inv_000006"
    one = ET.fromstring(api.get("/api/invoices/inv_000003", headers={"Accept": "text/xml"}).content)
    plain = api.get("/api/invoices/inv_000003").json()
    assert one.findtext(f"{NS}total") == str(plain["total"])
    descriptions = [line.findtext(f"{NS}description") for line in one.iter(f"{NS}line")]
    assert descriptions == [line["description"] for line in plain["lines"]]


def test_a_foreign_host_name_is_turned_away(sandbox: Sandbox) -> None:
    response = httpx.get(f"{sandbox.url}/_sandbox/state", headers={"Host": "evil.example"})
    assert (response.status_code, error(response)["code"]) == (421, "misdirected")


def test_the_log_knows_neither_tokens_nor_bodies(api: httpx.Client, sandbox: Sandbox) -> None:
    api.post("/api/contacts", json=ADA)
    text = api.get("/_sandbox/log").text + api.get("/_sandbox/state").text
    assert '"POST"' in text
    assert sandbox.pat not in text
    assert ADA["email"] not in text


def test_reset_brings_the_seed_back_and_can_keep_tokens(api: httpx.Client, sandbox: Sandbox) -> None:
    token = sandbox.log_in()["access_token"]
    api.post("/api/contacts", json=ADA)
    assert api.post("/_sandbox/reset", json={"keep_tokens": True}).status_code == 204
    assert len(walk(api, "/api/contacts")) == 57
    mine = {"Authorization": f"Bearer {token}"}
    assert api.get("/api/me", headers=mine).status_code == 200
    api.post("/_sandbox/reset")
    assert api.get("/api/me", headers=mine).status_code == 401
