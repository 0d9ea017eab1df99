"""3-D Secure at Stripe: the webhook ends the payment, late, twice, out of order or forged, and it is made once."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.hearing import Person, hearing, worked
from tests.attacks.stripe_payments import StandIn, standing_in

from clew.core.errors import ActionRequiredError, CallError, DeniedError, OutcomeUnknownError
from clew.core.inbox import Status
from clew.core.journal import State
from clew.servers.runtime import Runtime

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
PAY = {"amount": "12.50", "currency": "eur", "payment_method": "pm_1", "return_url": "https://shop.example/done"}


@asynccontextmanager
async def connected(home: Path, database: str) -> AsyncGenerator[tuple[Runtime, StandIn]]:
    """A runtime with an account at the stand-in, and its events on their way to us."""
    async with standing_in() as stripe, hearing(home, database, "stripe", stripe.address) as runtime:
        yield runtime, stripe


async def test_the_waiting_call_returns_the_payment(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, stripe):

        async def confirm(payment: str) -> None:
            waiting = stripe.event("payment_intent.requires_action", payment, key=True)
            forged = stripe.event("payment_intent.payment_failed", payment)
            assert await stripe.deliver([forged], secret="whsec_other") == [401]
            stripe.settle(payment, "succeeded")
            done = stripe.event("payment_intent.succeeded", payment)
            assert await stripe.deliver([done, waiting, done, done]) == [200] * 4

        person = Person(confirm)
        result = await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=person)
        again = await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=person)
        await worked(runtime)
        assert (await runtime.inbox.count())[Status.DONE] == 2
    assert (result["status"], result["paid"], result["charge"]) == ("succeeded", "12.50", "ch_1")
    assert result["confirmed"]["state"] == "succeeded"
    assert again["status"] == "succeeded"
    assert (len(stripe.intents), len(person.opened), stripe.version) == (1, 1, "2026-10-28.endive")


async def test_a_later_call_has_the_end_and_makes_no_second_payment(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, stripe):
        for _ in range(2):
            with pytest.raises(ActionRequiredError) as waiting:
                await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person())
            assert waiting.value.url is not None
        (payment,) = stripe.intents
        stripe.settle(payment, "succeeded")
        await stripe.deliver([stripe.event("payment_intent.succeeded", payment)])
        await worked(runtime)
        done = await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person())
    assert (done["status"], done["id"]) == ("succeeded", payment)
    assert len(stripe.intents) == 1


async def test_an_event_ends_a_payment_whose_answer_was_lost(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, stripe):
        stripe.lose = 100
        with pytest.raises(OutcomeUnknownError):
            await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person())
        (payment,) = stripe.intents
        stripe.settle(payment, "succeeded")
        await stripe.deliver([stripe.event("payment_intent.succeeded", payment, key=True)])
        await worked(runtime)
        (write,) = await runtime.store.journal.rows()
        assert (write.state, write.settled_by) == (State.APPLIED, "event")
        done = await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person())
    assert (done["status"], done["id"]) == ("succeeded", payment)
    assert len(stripe.intents) == 1


async def test_a_refused_payment_is_denied_until_money_has_moved_after_all(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, stripe):

        async def fail(payment: str) -> None:
            stripe.settle(payment, "requires_payment_method")
            await stripe.deliver([stripe.event("payment_intent.payment_failed", payment)])

        with pytest.raises(DeniedError) as denied:
            await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person(fail))
        assert denied.value.outcome == "not_applied"
        (payment,) = stripe.intents
        stripe.settle(payment, "succeeded")  # the same payment, tried again on the shop's page
        await stripe.deliver([stripe.event("payment_intent.succeeded", payment)])
        await worked(runtime)
        done = await runtime.call("create_payment", {**PAY, "request_id": "order-7"}, host=Person())
    assert done["status"] == "succeeded"
    assert len(stripe.intents) == 1


async def storm(home: Path, address: str, *, payments: int, seed: int) -> None:
    """Payments at once, whose answers are lost now and then, with events in any order, some twice and some forged."""
    chance = random.Random(seed)

    async def ends(runtime: Runtime, stripe: StandIn, number: int) -> dict[str, Any]:
        async def act(payment: str) -> None:
            kinds = ["payment_intent.requires_action", "payment_intent.succeeded"]
            stripe.settle(payment, "succeeded")
            bodies = [stripe.event(kind, payment, key=chance.random() < 0.5) for kind in kinds]
            bodies = [*bodies, *chance.choices(bodies, k=2)]
            chance.shuffle(bodies)
            await stripe.deliver([stripe.event("payment_intent.payment_failed", payment)], secret="whsec_other")
            await stripe.deliver(bodies)

        while True:
            try:
                call = {**PAY, "description": f"order {number}", "request_id": f"order-{number}"}
                return dict(await runtime.call("create_payment", call, host=Person(act)))
            except (ActionRequiredError, OutcomeUnknownError):
                continue
            except CallError as error:
                if error.code != "transient":
                    raise

    async with connected(home, address) as (runtime, stripe):
        runtime.settings = replace(runtime.settings, deadline=15)
        stripe.lose = payments // 4
        results = await asyncio.gather(*(ends(runtime, stripe, number) for number in range(payments)))
        await worked(runtime)
        assert {each["status"] for each in results} == {"succeeded"}
        assert len({each["id"] for each in results}) == payments == len(stripe.intents)
        assert {row.state for row in await runtime.store.journal.rows(limit=1000)} == {State.APPLIED}


async def test_no_payment_is_made_twice_in_a_storm_of_events(tmp_path: Path, address: str) -> None:
    await storm(tmp_path, address, payments=8, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_no_payment_is_made_twice_in_a_long_storm(tmp_path: Path, address: str, seed: int) -> None:
    await storm(tmp_path, address, payments=60, seed=seed)
