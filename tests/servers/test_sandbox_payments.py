"""Acme's payments and idempotency keys, by real HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from clew.servers.sandbox import Sandbox

CHARGE = {"amount": 1999, "currency": "eur", "card": "4242"}


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


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def pay(api: httpx.Client, key: str | None = None, **changes: object) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post("/api/payments", json={**CHARGE, **changes}, headers=headers)


class Hidden(HTMLParser):
    """Reads the hidden fields of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if given.get("type") == "hidden":
            self.fields[given["name"]] = given["value"]


def test_a_good_card_succeeds(api: httpx.Client, sandbox: Sandbox) -> None:
    response = pay(api, reference="order-77")
    payment = response.json()
    assert (response.status_code, payment["status"], payment["amount"]) == (201, "succeeded", 1999)
    assert (payment["currency"], payment["card_last4"]) == ("EUR", "4242")
    assert api.get(f"/api/payments/{payment['id']}").json() == payment
    assert api.get("/api/payments?reference=order-77").json()["data"] == [payment]
    assert sandbox.state.committed("payment") == 1


def test_a_declined_card_is_402_and_leaves_a_trace(api: httpx.Client, sandbox: Sandbox) -> None:
    response = pay(api, card="4000")
    assert (response.status_code, error(response)["type"], error(response)["code"]) == (
        402,
        "card_error",
        "card_declined",
    )
    assert api.get(f"/api/payments/{error(response)['payment_id']}").json()["status"] == "declined"
    assert sandbox.state.committed("payment") == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 19.99}, "amount"),
        ({"amount": True}, "amount"),
        ({"currency": "euro"}, "currency"),
        ({"card": "1234"}, "card"),
        ({"card": None}, "card"),
    ],
)
def test_a_wrong_charge_is_422(api: httpx.Client, sandbox: Sandbox, changes: dict[str, Any], field: str) -> None:
    response = pay(api, **changes)
    assert (response.status_code, error(response)["field"]) == (422, field)
    assert sandbox.state.commits == []


@pytest.mark.parametrize(("decision", "status"), [("confirm", "succeeded"), ("fail", "failed")])
def test_a_person_decides_a_payment_that_requires_action(api: httpx.Client, decision: str, status: str) -> None:
    payment = pay(api, card="3220").json()
    assert (payment["status"], payment["next_action"]["type"]) == ("requires_action", "redirect_to_url")
    url = payment["next_action"]["url"]
    page = httpx.get(url)
    assert "1999 EUR" in page.text
    done = httpx.post(url.partition("?")[0], data={**Hidden(page.text).fields, "decision": decision})
    assert done.status_code == 200
    after = api.get(f"/api/payments/{payment['id']}").json()
    assert (after["status"], after["next_action"]) == (status, None)
    assert httpx.post(url, data={"decision": "confirm"}).status_code == 409


def test_the_page_of_a_payment_needs_the_token_of_its_link(api: httpx.Client) -> None:
    url = pay(api, card="3220").json()["next_action"]["url"].partition("?")[0]
    assert httpx.post(url, data={"decision": "confirm", "token": "guess"}).status_code == 404
    assert httpx.post(url, data={"decision": "confirm"}).status_code == 404
    ordinary = pay(api).json()["id"]
    assert api.get(f"/pay/{ordinary}?token=-").status_code != 200


def test_a_refund_gives_back_part_and_then_the_rest(api: httpx.Client) -> None:
    path = f"/api/payments/{pay(api).json()['id']}"
    part = api.post(f"{path}/refunds", json={"amount": 999})
    assert (part.status_code, part.json()["amount"]) == (201, 999)
    assert api.get(path).json()["status"] == "partially_refunded"
    too_much = api.post(f"{path}/refunds", json={"amount": 1001})
    assert (too_much.status_code, error(too_much)["field"]) == (422, "amount")
    assert api.post(f"{path}/refunds").json()["amount"] == 1000
    assert (api.get(path).json()["status"], api.get(path).json()["refunded_amount"]) == ("refunded", 1999)
    again = api.post(f"{path}/refunds")
    assert (again.status_code, error(again)["code"]) == (409, "already_refunded")
    assert len(api.get(f"{path}/refunds").json()["data"]) == 2


def test_a_payment_that_moved_no_money_is_not_refundable(api: httpx.Client) -> None:
    payment_id = error(pay(api, card="4000"))["payment_id"]
    assert error(api.post(f"/api/payments/{payment_id}/refunds"))["code"] == "not_refundable"


def test_the_same_key_gives_the_same_answer(api: httpx.Client, sandbox: Sandbox) -> None:
    first, second = pay(api, "k1"), pay(api, "k1")
    assert second.json() == first.json()
    assert second.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert sandbox.state.committed("payment") == 1


def test_without_a_key_money_moves_twice(api: httpx.Client, sandbox: Sandbox) -> None:
    pay(api)
    pay(api)
    assert sandbox.state.committed("payment") == 2


def test_a_declined_answer_is_kept_too(api: httpx.Client) -> None:
    first, second = pay(api, "k1", card="4000"), pay(api, "k1", card="4000")
    assert (second.status_code, second.headers["idempotent-replayed"]) == (402, "true")
    assert error(first)["payment_id"] == error(second)["payment_id"]


def test_a_key_with_other_parameters_is_refused(api: httpx.Client, sandbox: Sandbox) -> None:
    payment_id = pay(api, "k1").json()["id"]
    other = pay(api, "k1", amount=5)
    assert (other.status_code, error(other)["code"]) == (422, "idempotency_key_reused")
    elsewhere = api.post(f"/api/payments/{payment_id}/refunds", headers={"Idempotency-Key": "k1"})
    assert error(elsewhere)["code"] == "idempotency_key_reused"
    assert sandbox.state.committed("payment") == 1


def test_a_422_does_not_use_up_the_key(api: httpx.Client) -> None:
    assert pay(api, "k1", amount=-1).status_code == 422
    assert pay(api, "k1").status_code == 201


def test_a_key_is_forgotten_after_a_day(api: httpx.Client, sandbox: Sandbox) -> None:
    pay(api, "k1")
    sandbox.advance(24 * 3600 + 1)
    assert "idempotent-replayed" not in pay(api, "k1").headers
    assert sandbox.state.committed("payment") == 2


def test_a_key_belongs_to_one_account(api: httpx.Client, sandbox: Sandbox) -> None:
    pay(api, "k1")
    token = sandbox.log_in(subject="usr_grace")["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"
    assert "idempotent-replayed" not in pay(api, "k1").headers


def test_a_refund_keeps_its_key(api: httpx.Client, sandbox: Sandbox) -> None:
    path = f"/api/payments/{pay(api).json()['id']}/refunds"
    first = api.post(path, json={"amount": 5}, headers={"Idempotency-Key": "r1"})
    second = api.post(path, json={"amount": 5}, headers={"Idempotency-Key": "r1"})
    assert (second.json(), sandbox.state.committed("refund")) == (first.json(), 1)


def test_a_key_in_use_is_409_until_the_first_is_done(api: httpx.Client, sandbox: Sandbox) -> None:
    held = sandbox.fault("slow", method="POST", path="/api/payments", seconds=None, when="during")
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(pay(api, "k1")))
    first.start()
    until(lambda: held.hits == 1 and bool(sandbox.state.kept))
    second = pay(api, "k1")
    assert (second.status_code, error(second)["code"]) == (409, "idempotency_key_in_use")
    assert sandbox.state.commits == []
    sandbox.clear_faults()
    first.join(5)
    assert answers[0].status_code == 201
    assert pay(api, "k1").json() == answers[0].json()


def test_an_empty_or_endless_key_is_refused(api: httpx.Client) -> None:
    assert error(pay(api, "k" * 256))["field"] == "Idempotency-Key"
    assert pay(api, "k" * 255).status_code == 201
