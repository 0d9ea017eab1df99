"""Acme's webhooks, received by a real HTTP server."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from clew.servers.sandbox import Sandbox


@dataclass
class Receiver:
    """A webhook endpoint that keeps what it gets; `statuses` are answered first, then 204."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])
    statuses: list[int] = field(default_factory=list[int])

    def wait_for(self, count: int) -> None:
        until(lambda: len(self.got) >= count)

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(message_delivery_seconds=0, webhook_retry_seconds=(0.01, 0.01)) as sandbox:
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hooks?x=1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def register(api: httpx.Client, receiver: Receiver, **fields: object) -> dict[str, Any]:
    response = api.post("/api/webhooks", json={"url": receiver.url, **fields})
    assert response.status_code == 201, response.text
    data: dict[str, Any] = response.json()
    return data


def pay(api: httpx.Client, card: str = "4242") -> httpx.Response:
    return api.post("/api/payments", json={"amount": 5, "currency": "eur", "card": card})


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Check a delivery as the Standard Webhooks specification says, without Acme's own code."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return expected in headers["webhook-signature"].split(" ")


def test_an_event_arrives_signed(api: httpx.Client, receiver: Receiver) -> None:
    webhook = register(api, receiver)
    assert webhook["secret"].startswith("whsec_")
    payment = pay(api).json()
    receiver.wait_for(1)
    headers, body = receiver.got[0]
    assert is_signed(webhook["secret"], headers, body)
    assert not is_signed(webhook["secret"], headers, body + b" ")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    event = json.loads(body)
    assert (event["type"], event["data"]) == ("payment.succeeded", payment)


def test_the_secret_is_shown_once(api: httpx.Client, receiver: Receiver) -> None:
    webhook = register(api, receiver)
    assert "secret" not in api.get(f"/api/webhooks/{webhook['id']}").json()
    listed = api.get("/api/webhooks")
    assert [row["id"] for row in listed.json()["data"]] == [webhook["id"]]
    assert webhook["secret"] not in listed.text
    assert "_secrets" not in listed.text


def test_during_a_rotation_both_secrets_sign(api: httpx.Client, receiver: Receiver) -> None:
    first = register(api, receiver)
    second = api.post(f"/api/webhooks/{first['id']}/rotate").json()
    pay(api)
    receiver.wait_for(1)
    headers, body = receiver.got[0]
    assert first["secret"] != second["secret"]
    assert is_signed(first["secret"], headers, body)
    assert is_signed(second["secret"], headers, body)


def test_only_wanted_events_are_sent_and_none_after_deletion(api: httpx.Client, receiver: Receiver) -> None:
    webhook = register(api, receiver, events=["payment.declined"])
    pay(api)
    pay(api, "4000")
    receiver.wait_for(1)
    assert receiver.types() == ["payment.declined"]
    assert api.delete(f"/api/webhooks/{webhook['id']}").status_code == 204
    pay(api, "4000")
    assert api.get("/api/webhooks").json()["data"] == []
    assert len(receiver.got) == 1


def test_a_confirmed_payment_is_announced(api: httpx.Client, receiver: Receiver) -> None:
    register(api, receiver)
    url = pay(api, "3220").json()["next_action"]["url"]
    httpx.post(url, data={"decision": "confirm"})
    receiver.wait_for(2)
    assert receiver.types() == ["payment.requires_action", "payment.succeeded"]


def test_a_message_ends_with_an_event(api: httpx.Client, receiver: Receiver) -> None:
    register(api, receiver)
    body = {"from": "support@acme.example", "subject": "Hi", "text": "Hello"}
    api.post("/api/messages", json={**body, "to": "a@good.example"})
    receiver.wait_for(1)
    api.post("/api/messages", json={**body, "to": "a@bounce.example"})
    receiver.wait_for(2)
    assert receiver.types() == ["message.delivered", "message.bounced"]


def test_contacts_tickets_and_refunds_are_announced(api: httpx.Client, receiver: Receiver) -> None:
    register(api, receiver)
    contact = {"name": {"given": "A", "family": "B"}, "email": "a@b.example"}
    steps: list[tuple[str, str, Any]] = [
        ("POST", "/api/contacts", contact),
        ("PATCH", "/api/contacts/con_000058", {"phone": "1"}),
        ("DELETE", "/api/contacts/con_000058", None),
        ("POST", "/api/tickets", {"subject": "x"}),
        ("POST", "/api/tickets/tic_000024/comments", {"text": "x"}),
        ("POST", "/api/tickets/tic_000024/close", None),
        ("POST", "/api/payments/pay_000001/refunds", {"amount": 1}),
    ]
    for count, (method, path, body) in enumerate(steps, 1):
        assert api.request(method, path, json=body).is_success
        receiver.wait_for(count)
    assert receiver.types() == [
        "contact.created", "contact.updated", "contact.deleted",
        "ticket.created", "ticket.commented", "ticket.closed", "payment.refunded",
    ]  # fmt: skip


def test_a_failed_delivery_is_sent_again_with_the_same_id(
    api: httpx.Client, receiver: Receiver, sandbox: Sandbox
) -> None:
    webhook = register(api, receiver)
    receiver.statuses = [500, 302]
    pay(api)
    receiver.wait_for(3)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    until(lambda: sandbox.state.deliveries[0].status == "delivered")
    listed = api.get(f"/api/webhooks/{webhook['id']}/deliveries").json()["data"]
    assert [(row["attempts"], row["status"], row["response_status"]) for row in listed] == [(3, "delivered", 204)]


def test_a_delivery_is_given_up_after_the_last_retry(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    register(api, receiver)
    receiver.statuses = [500] * 9
    pay(api)
    until(lambda: sandbox.state.deliveries[0].status == "failed")
    assert len(receiver.got) == 3


def test_410_disables_the_endpoint(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    webhook = register(api, receiver)
    receiver.statuses = [410]
    pay(api)
    until(lambda: sandbox.state.deliveries[0].status == "failed")
    assert api.get(f"/api/webhooks/{webhook['id']}").json()["disabled"] is True
    pay(api)
    assert len(receiver.got) == len(sandbox.state.deliveries) == 1


def test_an_endpoint_that_does_not_listen_fails_the_delivery(api: httpx.Client, sandbox: Sandbox) -> None:
    api.post("/api/webhooks", json={"url": "http://127.0.0.1:1/"})
    pay(api)
    until(lambda: sandbox.state.deliveries[0].status == "failed")
    assert (sandbox.state.deliveries[0].attempts, sandbox.state.deliveries[0].response_status) == (3, None)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "http://example.org/",
        "http://127.0.0.1.evil.example/",
        "http://evil@127.0.0.1/",
        "http://10.0.0.1/",
        "http://127.0.0.1/a\r\nX: y",
        "http://127.0.0.1:99999/",
        "file:///etc/passwd",
        7,
    ],
)
def test_only_loopback_targets_are_accepted(api: httpx.Client, url: object) -> None:
    response = api.post("/api/webhooks", json={"url": url})
    assert (response.status_code, response.json()["error"]["field"]) == (422, "url")


def test_the_list_of_events_must_be_one(api: httpx.Client, receiver: Receiver) -> None:
    for events in ([], "payment.succeeded", [7]):
        response = api.post("/api/webhooks", json={"url": receiver.url, "events": events})
        assert response.json()["error"]["field"] == "events"


def test_fault_duplicate_sends_one_event_twice(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    register(api, receiver)
    sandbox.fault("webhook_duplicate", event="payment.")
    pay(api)
    receiver.wait_for(2)
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_fault_reorder_sends_an_event_after_the_next(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    register(api, receiver)
    sandbox.fault("webhook_reorder")
    url = pay(api, "3220").json()["next_action"]["url"]
    httpx.post(url, data={"decision": "confirm"})
    receiver.wait_for(2)
    assert receiver.types() == ["payment.succeeded", "payment.requires_action"]


def test_fault_lost_sends_nothing(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    register(api, receiver)
    sandbox.fault("webhook_lost", event="payment.succeeded")
    pay(api)
    pay(api, "4000")
    receiver.wait_for(1)
    assert receiver.types() == ["payment.declined"]


def test_fault_forged_has_a_wrong_signature(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    webhook = register(api, receiver)
    sandbox.fault("webhook_forged")
    pay(api)
    receiver.wait_for(1)
    assert not is_signed(webhook["secret"], *receiver.got[0])


def test_fault_stale_is_signed_but_old(api: httpx.Client, receiver: Receiver, sandbox: Sandbox) -> None:
    webhook = register(api, receiver)
    sandbox.fault("webhook_stale")
    pay(api)
    receiver.wait_for(1)
    headers, body = receiver.got[0]
    assert is_signed(webhook["secret"], headers, body)
    assert time.time() - int(headers["webhook-timestamp"]) > 3000
