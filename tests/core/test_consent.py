"""Asking people: through the host, else elsewhere; nothing runs without a valid yes to exactly this action."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from tests.loopback import Build, Serve

from clew.core.api import Api
from clew.core.approvals import Approvals, Edit, State, Verdict, open_approvals
from clew.core.conditions import Condition
from clew.core.connector import Connector
from clew.core.consent import PATIENCE, Consent
from clew.core.database import Database, open_database
from clew.core.errors import (
    AlreadyDoneError,
    ApprovalRequiredError,
    CallError,
    DeniedError,
    InvalidInputError,
)
from clew.core.host import Question, SilentHost
from clew.core.policy import Channel, Decision, Policy, PolicyRule, Rate
from clew.core.stated import stated, with_stated

from .test_approvals import Xor

if TYPE_CHECKING:
    from tests.core.conftest import Office

pytestmark = pytest.mark.anyio


acme = Connector("acme", "https://api.acme.example")


@pytest.fixture
def connector() -> Connector:
    return acme


class Payment(BaseModel):
    id: str
    amount: int
    currency: str = "EUR"


@acme.read
async def get_payment(api: Api, id: str) -> Payment:
    """Read a payment."""
    return await api.get("/payments/{}", id, into=Payment)


@acme.write
async def note_payment(api: Api, id: str, text: str = "") -> Payment:
    """Write a note on a payment."""
    return await api.post("/payments/{}/notes", id, json={"text": text}, into=Payment)


@acme.destructive(preview=get_payment)
async def refund_payment(api: Api, id: str) -> Payment:
    """Refund a payment."""
    return await api.post("/payments/{}/refund", id, into=Payment)


class Person(SilentHost):
    """Answers as told, and says what was asked and told."""

    asks = True
    who = "ada"
    session = "one"
    refused = False

    def __init__(self, answer: Any = True) -> None:
        self.answer = answer
        self.asked: list[Question] = []
        self.told: list[str] = []

    async def confirm(self, question: Question) -> bool:
        self.asked.append(question)
        if isinstance(self.answer, CallError):
            raise self.answer
        return bool(self.answer)

    async def progress(self, message: str) -> None:
        self.told.append(message)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
async def approvals(database: Database, clock: Clock) -> Approvals:
    return await open_approvals(database, Xor(), clock)


class Desk:
    """The consent of one server, and people elsewhere who act while the call waits."""

    def __init__(self, approvals: Approvals, clock: Clock) -> None:
        self.approvals = approvals
        self.clock = clock
        self.acts: list[Callable[[str], Awaitable[object]]] = []
        self.slept = 0.0

    def consent(self, policy: Policy | None = None, **facts: Any) -> Consent:
        return Consent(policy or Policy(), self.approvals, sleep=self.sleep, clock=self.clock, **facts)

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.acts:
            (waiting,) = await self.approvals.list()
            await self.acts.pop(0)(waiting.id)
        await asyncio.sleep(0)

    async def approve(self, id: str, **facts: Any) -> None:
        await self.approvals.vote(id, Verdict.APPROVE, approver="bob", channel=Channel.CLI, **facts)


@pytest.fixture
def desk(approvals: Approvals, clock: Clock) -> Desk:
    return Desk(approvals, clock)


def verbs(requests: list[bytes]) -> list[bytes]:
    return [request.split()[0] for request in requests]


PAID: dict[str, Any] = {"id": "p1", "amount": 100}
REFUND: dict[str, Any] = {"arguments": {"id": "p1"}, "seconds": 15.05}
"""A call whose deadline leaves hardly any time to wait for people."""


async def test_a_yes_to_a_write_is_good_for_the_session_of_that_host(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 9)
    consent, person = desk.consent(), Person()
    for _ in range(2):
        await office.call("note_payment", url, arguments={"id": "p1"}, host=person, consenting=consent)
    assert [each.because for each in person.asked] == ["writes are asked about once per session"]
    person.session = "two"
    await office.call("note_payment", url, arguments={"id": "p1"}, host=person, consenting=consent)
    desk.clock.now += 9 * 3600
    await office.call("note_payment", url, arguments={"id": "p1"}, host=person, consenting=consent)
    assert len(person.asked) == 3


async def test_a_yes_outlives_no_call_where_callers_cannot_be_told_apart(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 9)
    consent, person = desk.consent(), Person()
    person.session = ""
    for _ in range(2):
        await office.call("note_payment", url, arguments={"id": "p1"}, host=person, consenting=consent)
    assert len(person.asked) == 2


async def test_whoever_makes_a_write_by_hand_is_not_asked(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(reply(200, PAID), reply(200, PAID))
    person = Person(False)
    person.own = True
    await office.call("note_payment", url, arguments={"id": "p1"}, host=person, consenting=desk.consent())
    assert person.asked == []
    with pytest.raises(DeniedError):
        await office.call("refund_payment", url, arguments={"id": "p1"}, host=person, consenting=desk.consent())


async def test_a_person_who_answers_elsewhere_lets_the_waiting_call_go_on(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(reply(200, PAID), reply(200, PAID))
    desk.acts = [desk.approve]
    host = Person(ApprovalRequiredError("nobody there"))
    consent = desk.consent(console=lambda: "http://127.0.0.1:1")
    done = await office.call("refund_payment", url, host=host, consenting=consent, **{**REFUND, "seconds": 30})
    assert done["id"] == "p1"
    assert verbs(requests) == [b"GET", b"POST"]
    (told,) = host.told
    assert "waiting for approval" in told
    assert "http://127.0.0.1:1/approvals/" in told
    assert "clew approvals show" in told


async def test_the_same_call_again_finds_the_decision(office: "Office", serve: Serve, reply: Build, desk: Desk) -> None:
    url, requests = await serve(*[reply(200, PAID)] * 3)
    consent = desk.consent()
    error = await office.failed("refund_payment", url, consenting=consent, **REFUND)
    assert isinstance(error, ApprovalRequiredError)
    (waiting,) = await desk.approvals.list()
    assert waiting.id in error.message
    assert error.next_step.startswith(f"Ask the person to decide: clew approvals show {waiting.id}")
    await desk.approve(waiting.id, note="fine with me")
    desk.clock.now += 5
    done = await office.call("refund_payment", url, consenting=consent, **REFUND)
    assert done["note"] == "bob approved it. They wrote: fine with me"
    assert (await desk.approvals.get(waiting.id)).state is State.USED
    assert verbs(requests) == [b"GET", b"GET", b"POST"]


async def test_a_first_call_waits_less_than_its_deadline_and_a_repeated_one_all_of_it(
    office: "Office", serve: Serve, reply: Build, approvals: Approvals, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("clew.core.consent.time.monotonic", lambda: now[0])

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    url, _ = await serve(*[reply(200, PAID)] * 3)
    consent = Consent(Policy(), approvals, sleep=sleep, clock=clock)
    host = Person(ApprovalRequiredError("nobody there"))
    await office.failed("refund_payment", url, host=host, consenting=consent, arguments={"id": "p1"}, seconds=60)
    assert now[0] == pytest.approx(PATIENCE, abs=0.1)
    assert len(host.told) == 2
    now[0], clock.now = 0.0, clock.now + 60
    await office.failed("refund_payment", url, host=host, consenting=consent, arguments={"id": "p1"}, seconds=60)
    assert now[0] == pytest.approx(45, abs=1)


async def test_an_object_that_changed_while_people_thought_is_asked_about_again(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(reply(200, PAID), reply(200, {**PAID, "amount": 900}))
    consent = desk.consent()
    await office.failed("refund_payment", url, consenting=consent, **REFUND)
    (first,) = await desk.approvals.list()
    await desk.approve(first.id)
    error = await office.failed("refund_payment", url, consenting=consent, **REFUND)
    assert isinstance(error, ApprovalRequiredError)
    (second,) = await desk.approvals.list()
    assert second.id != first.id
    assert verbs(requests) == [b"GET", b"GET"]


class Slow(Person):
    """Thinks for longer than the object stays as it is."""

    async def confirm(self, question: Question) -> bool:
        await asyncio.sleep(1.01)  # the behaviour under test is time going by
        return await super().confirm(question)


async def test_an_answer_that_took_long_is_worth_nothing_when_the_object_changed(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(
        reply(200, PAID), reply(200, {**PAID, "amount": 900}), reply(200, {**PAID, "amount": 900}), reply(200, PAID)
    )
    person = Slow()
    await office.call("refund_payment", url, arguments={"id": "p1"}, host=person, consenting=desk.consent())
    assert [each.preview["amount"] for each in person.asked] == [100, 900]
    assert verbs(requests) == [b"GET", b"GET", b"GET", b"POST"]


async def test_a_person_can_refuse_or_do_it_by_hand(office: "Office", serve: Serve, reply: Build, desk: Desk) -> None:
    url, requests = await serve(*[reply(200, PAID)] * 4)

    async def act(id: str, verdict: Verdict) -> None:
        await desk.approvals.vote(id, verdict, approver="bob", channel=Channel.CLI, note="<b>look</b>\nhere")

    consent = desk.consent()
    desk.acts = [lambda id: act(id, Verdict.DENY)]
    error = await office.failed("refund_payment", url, arguments={"id": "p1"}, seconds=30, consenting=consent)
    assert isinstance(error, DeniedError)
    assert error.message == "bob declined refund_payment; nothing was changed. They wrote: <b>look</b> here"
    desk.acts = [lambda id: act(id, Verdict.DONE)]
    error = await office.failed("refund_payment", url, arguments={"id": "p2"}, seconds=30, consenting=consent)
    assert isinstance(error, AlreadyDoneError)
    assert verbs(requests) == [b"GET", b"GET"]


async def test_a_person_can_change_the_arguments_and_the_agent_is_told(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(*[reply(200, PAID)] * 6)
    consent = desk.consent()
    await office.failed("refund_payment", url, consenting=consent, arguments={"id": "p2"}, seconds=15.05)
    (other,) = await desk.approvals.list()
    await desk.approvals.vote(other.id, Verdict.DENY, approver="bob", channel=Channel.CLI)

    async def edited(id: str) -> None:
        await desk.approve(id, edit=Edit({"id": "p2"}, other.digest))

    desk.acts = [edited]
    done = await office.call("refund_payment", url, consenting=consent, arguments={"id": "p1"}, seconds=30)
    assert done["note"] == "bob changed the arguments before approving; it ran with {'id': 'p2'}."
    assert b"POST /payments/p2/refund" in requests[-1]


async def test_changed_arguments_whose_object_changed_are_not_run(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(*[reply(200, PAID)] * 2)

    async def edited(id: str) -> None:
        await desk.approve(id, edit=Edit({"id": "p2"}, "what it looked like before"))

    desk.acts = [edited]
    error = await office.failed("refund_payment", url, consenting=desk.consent(), arguments={"id": "p1"}, seconds=30)
    assert isinstance(error, ApprovalRequiredError)
    assert "the object has changed since bob approved" in error.message
    assert verbs(requests) == [b"GET", b"GET"]


async def test_one_approval_lets_one_of_two_calls_run(office: "Office", serve: Serve, reply: Build, desk: Desk) -> None:
    url, requests = await serve(*[reply(200, PAID)] * 2)

    async def stolen(id: str) -> None:
        await desk.approve(id)
        assert await desk.approvals.spend(await desk.approvals.get(id))

    desk.acts = [stolen]
    error = await office.failed("refund_payment", url, consenting=desk.consent(), arguments={"id": "p1"}, seconds=30)
    assert "is no longer good (used)" in error.message
    assert verbs(requests) == [b"GET"]


async def test_rules_can_want_other_people_and_other_channels(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 4)
    terms: list[dict[str, Any]] = [{"approvers": ("bob",)}, {"needed": 2}, {"channels": (Channel.CONSOLE,)}]
    for facts in terms:
        rule = PolicyRule(name="strict", then=Decision.ASK, tool="refund_*", **facts)
        person = Person()
        error = await office.failed(
            "refund_payment", url, host=person, consenting=desk.consent(Policy(rules=(rule,))), **REFUND
        )
        assert isinstance(error, ApprovalRequiredError)
        assert person.asked == []
        assert ("the policy leaves no way here" in error.next_step) is ("channels" in facts)
    rule = PolicyRule(name="strict", then=Decision.ASK, tool="refund_*", approvers=("ada",))
    person = Person(False)
    await office.failed("refund_payment", url, host=person, consenting=desk.consent(Policy(rules=(rule,))), **REFUND)
    assert [each.because for each in person.asked] == ["rule 'strict'"]


async def test_a_rule_about_the_object_fetches_it_once(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(reply(200, PAID), reply(200, PAID), reply(200, PAID))
    large = PolicyRule(
        name="large", then=Decision.DENY, when=(Condition.parse("preview.amount", "> 50 EUR"),), effect=None
    )
    consent = desk.consent(Policy(rules=(large,)))
    error = await office.failed("refund_payment", url, consenting=consent, host=Person(), arguments={"id": "p1"})
    assert error.message.endswith("rule 'large': preview.amount > 50 EUR.")
    assert verbs(requests) == [b"GET"]
    await office.call("note_payment", url, consenting=consent, host=Person(), arguments={"id": "p1"})


async def test_a_rate_is_counted_for_each_account_and_forgotten(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 9)
    often = PolicyRule(name="often", then=Decision.DENY, tool="note_payment", above=Rate(2, 60))
    consent = desk.consent(Policy(writes=Decision.ALLOW, rules=(often,)))
    for number in range(2):
        await office.call("note_payment", url, consenting=consent, arguments={"id": "p1", "text": str(number)})
    error = await office.failed("note_payment", url, consenting=consent, arguments={"id": "p1"})
    assert "rule 'often': more than 2/minute" in error.message
    desk.clock.now += 61
    await office.call("note_payment", url, consenting=consent, arguments={"id": "p1"})


async def test_an_agent_states_how_sure_it_is_where_the_policy_wants_it(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 9)
    unsure = PolicyRule(name="unsure", then=Decision.ASK, tool="note_payment", confidence=0.8)
    consent = desk.consent(Policy(writes=Decision.ALLOW, rules=(unsure,)))
    person = Person()
    for sure in (0.9, 0.5):
        arguments = {"id": "p1", "confidence": sure, "reason": "they said so"}
        await office.call("note_payment", url, consenting=consent, host=person, arguments=arguments)
    assert [each.because for each in person.asked] == ["rule 'unsure': confidence 0.5, below 0.8"]
    for wrong in ("high", True, 1.5):
        error = await office.failed(
            "note_payment", url, consenting=consent, arguments={"id": "p1", "confidence": wrong}
        )
        assert isinstance(error, InvalidInputError)


async def test_a_host_that_cannot_ask_without_a_place_to_keep_approvals_is_refused(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, _ = await serve(*[reply(200, PAID)] * 3)
    error = await office.failed("refund_payment", url, policy=Policy(), arguments={"id": "p1"})
    assert "cannot be taken back" in error.message
    error = await office.failed("note_payment", url, policy=Policy(), arguments={"id": "p1"})
    assert "clew call acme note_payment id=… text=… --account work" in error.next_step


async def test_a_host_that_cannot_ask_after_all_refuses_where_nobody_else_can_be_asked(
    office: "Office", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, PAID), reply(200, PAID))
    person = Person(ApprovalRequiredError("the dialogue was not shown."))
    error = await office.failed("note_payment", url, policy=Policy(), host=person, arguments={"id": "p1"})
    assert (error.message, len(person.asked), requests) == ("the dialogue was not shown.", 1, [])


def test_the_schema_of_a_tool_gains_what_the_policy_wants_stated() -> None:
    unsure = PolicyRule(name="unsure", then=Decision.ASK, tool="note_payment", confidence=0.8)
    policy, note = Policy(rules=(unsure,)), acme.tools["note_payment"]
    assert policy.wants_confidence(note)
    assert not policy.wants_confidence(acme.tools["get_payment"])
    schema: Any = with_stated(note, note.signature.input_schema)
    assert set(schema["properties"]) - set(note.signature.input_schema["properties"]) == {"confidence", "reason"}
    assert (schema["properties"]["confidence"]["maximum"], schema["required"]) == (1, ["id", "confidence", "reason"])
    assert "confidence" not in note.signature.input_schema["properties"]


def test_a_tool_with_a_confidence_of_its_own_keeps_it() -> None:
    lab = Connector("lab", "https://api.lab.example")

    @lab.write
    async def note_sample(api: Api, confidence: str) -> None:
        """Note how sure a measurement is."""
        await api.post("/samples", json={"confidence": confidence})

    tool = lab.tools["note_sample"]
    schema: Any = with_stated(tool, tool.signature.input_schema)
    assert schema["properties"]["confidence"] == tool.signature.input_schema["properties"]["confidence"]
    assert schema["required"] == ["confidence", "reason"]
    assert stated(tool, {"confidence": "high", "reason": "seen twice"}) == ({"confidence": "high"}, None, "seen twice")


async def test_a_no_that_comes_with_a_call_stays_one_where_nobody_would_ask(
    office: "Office", serve: Serve, reply: Build, desk: Desk
) -> None:
    url, requests = await serve(reply(200, PAID))
    person = Person()
    person.refused = True
    consent = desk.consent(Policy(writes=Decision.ALLOW))
    error = await office.failed("note_payment", url, consenting=consent, host=person, arguments={"id": "p1"})
    assert (error.code, requests, person.asked) == ("denied", [], [])
