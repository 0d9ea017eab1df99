"""Stripe's idempotency, with the journal: a write happens once, whatever becomes of its answers."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.stripe_objects import charge, customer, intent, invoice, refund, subscription
from tests.core.writes import PaddedSealer
from tests.people import Person

from clew.connectors.stripe import stripe
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.database import open_database
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.journal import Journal, State, open_journal
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio

CONNECTION = Connection(LOCAL_TENANT, "stripe", "work")
PAY = {
    "amount": "100",
    "currency": "usd",
    "payment_method": "pm_1",
    "return_url": "https://shop.example/done",
    "request_id": "order-7",
}
LINK = {"name": "Tea", "amount": "5", "currency": "usd", "request_id": "link-1"}
PAGE = {"id": "plink_1", "url": "https://buy.stripe.com/1", "active": True}
FAULT = {"error": {"type": "api_error", "message": "An error occurred"}}


async def no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


class Account:
    """An account at Stripe, a journal, and calls of one host."""

    def __init__(self, client: httpx.AsyncClient, journal: Journal) -> None:
        self.client, self.journal, self.host = client, journal, Person()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        wire = Wire(stripe, CONNECTION, None, self.client, sleep=no_wait)
        made = Call(stripe.tools[tool], arguments, CONNECTION, wire, Deadline.after(10), self.host)
        return await Walk(sink=lambda record: None, journal=self.journal)(made)

    async def refused(self, tool: str, arguments: Mapping[str, Any]) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.call(tool, arguments)
        return caught.value

    async def row(self) -> Any:
        (row,) = await self.journal.rows()
        return row


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    database = await open_database(tmp_path / "clew.db")
    journal = await open_journal(database, PaddedSealer())
    async with httpx.AsyncClient(verify=False) as client:
        yield Account(client, journal)
    journal.presence.leave()
    await database.close()


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.stripe.com/v1", assert_all_called=False) as router:
        yield router


def keys(route: respx.Route) -> list[str]:
    calls: Any = route.calls
    return [each.request.headers["idempotency-key"] for each in calls]


def stored(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body, headers={"Idempotent-Replayed": "true"})


def test_every_write_says_what_stripe_offers_against_doing_it_twice() -> None:
    declared = {name: type(tool.once).__name__ for name, tool in stripe.tools.items() if tool.effect.value != "read"}
    assert set(declared.values()) == {"ProviderKey"}
    looked = {name for name, tool in stripe.tools.items() if tool.verify is not None}
    assert looked == {"cancel_subscription", "finalize_invoice", "void_invoice"}


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(account: Account, api: respx.MockRouter) -> None:
    route = api.post("/payment_links").mock(side_effect=[httpx.ReadTimeout("lost"), stored(200, PAGE)])
    assert (await account.call("create_payment_link", LINK))["id"] == "plink_1"
    first, second = keys(route)
    assert first == second
    assert len(first) == 36
    assert (await account.row()).state is State.APPLIED
    assert await account.call("create_payment_link", LINK) == PAGE
    assert route.call_count == 2


async def test_each_action_has_a_key_of_its_own(account: Account, api: respx.MockRouter) -> None:
    route = api.post("/payment_links").respond(json=PAGE)
    await account.call("create_payment_link", LINK)
    await account.call("create_payment_link", {**LINK, "request_id": "link-2"})
    assert len(set(keys(route))) == 2


async def test_a_stored_500_given_again_says_nothing_new_and_is_not_asked_for_a_third_time(
    account: Account, api: respx.MockRouter
) -> None:
    route = api.post("/payment_links").mock(side_effect=[httpx.Response(500, json=FAULT), stored(500, FAULT)])
    error = await account.refused("create_payment_link", LINK)
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert route.call_count == 2
    assert len(set(keys(route))) == 1
    assert (await account.row()).state is State.UNKNOWN


async def test_a_500_that_turns_into_an_answer_is_applied(account: Account, api: respx.MockRouter) -> None:
    api.post("/payment_links").mock(side_effect=[httpx.Response(500, json=FAULT), httpx.Response(200, json=PAGE)])
    assert await account.call("create_payment_link", LINK) == PAGE
    assert (await account.row()).state is State.APPLIED


async def test_a_key_used_with_other_parameters_leaves_the_outcome_open_only_after_a_doubt(
    account: Account, api: respx.MockRouter
) -> None:
    reused = {"error": {"type": "idempotency_error", "message": "Keys can only be used with the same parameters"}}
    api.post("/payment_links").respond(400, json=reused)
    fresh = await account.refused("create_payment_link", LINK)
    assert (fresh.code, fresh.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "new request_id" in fresh.next_step
    answers: list[httpx.Response | Exception] = [httpx.ReadTimeout("lost"), httpx.Response(400, json=reused)]
    api.post("/payment_links").mock(side_effect=answers)
    doubted = await account.refused("create_payment_link", {**LINK, "request_id": "other"})
    assert (doubted.code, doubted.outcome) == (Code.CONFLICT, Outcome.UNKNOWN)


async def test_other_arguments_under_the_same_request_id_never_reach_stripe(
    account: Account, api: respx.MockRouter
) -> None:
    route = api.post("/payment_links").respond(json=PAGE)
    await account.call("create_payment_link", LINK)
    error = await account.refused("create_payment_link", {**LINK, "amount": "6"})
    assert (error.code, error.outcome, route.call_count) == (Code.CONFLICT, Outcome.NOT_APPLIED, 1)


async def test_a_first_request_that_still_runs_is_waited_for(account: Account, api: respx.MockRouter) -> None:
    busy = {"error": {"type": "invalid_request_error", "code": "idempotency_key_in_use", "message": "in progress"}}
    route = api.post("/payment_links").mock(side_effect=[httpx.ReadTimeout("lost"), httpx.Response(409, json=busy)])
    error = await account.refused("create_payment_link", LINK)
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.UNKNOWN)
    assert (await account.row()).state is State.UNKNOWN
    route.side_effect = [stored(200, PAGE)]
    assert await account.call("create_payment_link", LINK) == PAGE
    assert len(set(keys(route))) == 1


async def test_what_stripe_refused_before_it_began_may_be_corrected(account: Account, api: respx.MockRouter) -> None:
    wrong = {"error": {"type": "invalid_request_error", "code": "amount_too_small", "message": "x", "param": "amount"}}
    route = api.post("/payment_links").mock(side_effect=[httpx.Response(400, json=wrong), stored(200, PAGE)])
    error = await account.refused("create_payment_link", LINK)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    await account.call("create_payment_link", {**LINK, "request_id": "link-2", "amount": "50"})
    assert len(set(keys(route))) == 2


async def test_after_a_day_the_key_is_forgotten_and_nothing_is_sent(
    account: Account, api: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = api.post("/payment_links").mock(side_effect=httpx.ReadTimeout("lost"))
    await account.refused("create_payment_link", LINK)
    sent = route.call_count
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 24 * 3600)
    error = await account.refused("create_payment_link", LINK)
    assert (error.code, error.outcome, error.retry) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, Retry.NO)
    assert "forgotten its key" in error.message
    assert route.call_count == sent


async def test_a_partial_refund_whose_answer_was_lost_is_not_judged_by_what_is_left(
    account: Account, api: respx.MockRouter
) -> None:
    """60 of 100 were refunded: that 60 is more than the 40 left says nothing about the refund that is repeated."""
    api.get("/payment_intents/pi_1").respond(json=intent(latest_charge=charge(amount_refunded=0)))
    route = api.post("/refunds").mock(side_effect=httpx.ReadTimeout("lost"))
    part = {"payment_id": "pi_1", "amount": "60", "currency": "usd", "request_id": "refund-1"}
    assert (await account.refused("refund_payment", part)).outcome is Outcome.UNKNOWN
    api.get("/payment_intents/pi_1").respond(json=intent(latest_charge=charge(amount_refunded=6000)))
    route.side_effect = [stored(200, refund(amount=6000))]
    assert (await account.call("refund_payment", part))["amount"] == "60.00"
    assert len(set(keys(route))) == 1
    assert (await account.row()).state is State.APPLIED


async def test_a_payment_that_waits_for_its_cardholder_is_not_made_a_second_time(
    account: Account, api: respx.MockRouter
) -> None:
    action = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://hooks.stripe.com/3d/1"}}
    route = api.post("/payment_intents").respond(json=intent(status="requires_action", next_action=action))
    for _ in range(2):
        error = await account.refused("create_payment", PAY)
        assert (error.code, error.url) == (Code.ACTION_REQUIRED, "https://hooks.stripe.com/3d/1")
    assert route.call_count == 1
    row = await account.row()
    assert (row.reference, row.pending) == ("pi_1", "action_required")


async def test_the_lines_of_a_draft_have_keys_of_their_own_and_are_not_doubled(
    account: Account, api: respx.MockRouter
) -> None:
    made = api.post("/invoices").mock(
        side_effect=[httpx.Response(200, json=invoice(status="draft")), stored(200, invoice(status="draft"))]
    )
    items = api.post("/invoiceitems").mock(
        side_effect=[httpx.Response(200, json={}), httpx.ReadTimeout("lost"), stored(200, {}), stored(200, {})]
    )
    lines = [{"description": "Hours", "amount": "1"}, {"description": "Trip", "amount": "2"}]
    draft = await account.call("create_invoice", {"customer_id": "cus_1", "currency": "usd", "lines": lines})
    assert draft["lines"] == 2
    assert len(set(keys(made))) == 1
    first, second, again, lost = keys(items)
    assert (first, second) == (again, lost)
    assert len({first, second, keys(made)[0]}) == 3


async def test_a_cancellation_whose_answer_was_lost_shows_in_the_subscription(
    account: Account, api: respx.MockRouter
) -> None:
    status = "active"
    missing = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing"}}

    def show(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=subscription(status=status))

    def end(request: httpx.Request) -> httpx.Response:
        nonlocal status
        if status == "canceled":
            return httpx.Response(404, json=missing)
        status = "canceled"
        raise httpx.ReadTimeout("lost")

    api.get("/subscriptions/sub_1").mock(side_effect=show)
    route = api.delete("/subscriptions/sub_1").mock(side_effect=end)
    found = await account.call("cancel_subscription", {"subscription_id": "sub_1", "when": "now"})
    assert found["status"] == "canceled"
    assert "idempotency-key" not in route.calls.last.request.headers
    assert (await account.row()).state is State.APPLIED


async def test_a_change_that_is_sent_twice_on_purpose_is_told_from_a_repetition(
    account: Account, api: respx.MockRouter
) -> None:
    route = api.post("/customers/cus_1").respond(json=customer())
    change = {"customer_id": "cus_1", "name": "Ada"}
    await account.call("update_customer", change)
    error = await account.refused("update_customer", change)
    assert (error.code, error.outcome, route.call_count) == (Code.ALREADY_DONE, Outcome.APPLIED, 1)
