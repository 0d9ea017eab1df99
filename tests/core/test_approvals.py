"""Approvals: bound to one exact action, good once and for a time, decided by people who may."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from clew.core.approvals import Approvals, Edit, State, Verdict, open_approvals
from clew.core.conditions import Condition
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.errors import ConflictError, NotFoundError, PermissionDeniedError
from clew.core.host import Question
from clew.core.policy import Channel, Decision, PolicyRule, Ruling

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

QUESTION = Question(
    "refund", "Refund a payment.", Connection("local", "acme", "ada"), {"id": "pay_1"}, {"amount": 100}, "ada@x", "s1"
)
ASK = Ruling(Decision.ASK, "because")


class Xor:
    """A sealer that is good enough to see that texts are sealed at all, and for whom."""

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        return f"{tenant}/{label}:".encode() + bytes(byte ^ 85 for byte in data)

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        head = f"{tenant}/{label}:".encode()
        assert sealed.startswith(head)
        return bytes(byte ^ 85 for byte in sealed[len(head) :])


class Clock:
    now = 1_000_000.0

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


def wanting(**facts: object) -> Ruling:
    when = (Condition.parse("amount", "> 5"),)
    return Ruling(Decision.ASK, "r", PolicyRule(name="r", then=Decision.ASK, when=when, **facts))  # type: ignore[arg-type]


async def yes(approvals: Approvals, id: str, approver: str = "ada") -> State:
    voted = await approvals.vote(id, Verdict.APPROVE, approver=approver, channel=Channel.CLI)
    return voted.state


async def test_a_question_is_kept_whole_and_sealed(approvals: Approvals, database: Database) -> None:
    asked = await approvals.request(QUESTION, ASK, requester="claude")
    assert (asked.state, asked.requester) == (State.PENDING, "claude")
    kept = await approvals.get(asked.id)
    assert kept == asked
    assert kept.question == QUESTION
    rows = await database.fetch_all("SELECT * FROM approvals")
    assert b"pay_1" not in b"".join(value for value in rows[0] if isinstance(value, bytes))
    assert "pay_1" not in str([value for value in rows[0] if isinstance(value, str)])


async def test_the_same_action_is_asked_about_once(approvals: Approvals) -> None:
    first = await approvals.request(QUESTION, ASK, requester="claude")
    again = await approvals.request(QUESTION, ASK, requester="claude")
    assert again.id == first.id
    assert [each.id for each in await approvals.list()] == [first.id]
    assert await approvals.list(tenant="globex") == []


async def test_an_object_that_changed_is_asked_about_anew(approvals: Approvals) -> None:
    first = await approvals.request(QUESTION, ASK, requester="claude")
    await yes(approvals, first.id)
    changed = await approvals.request(replace(QUESTION, preview={"amount": 900}), ASK, requester="claude")
    assert changed.id != first.id
    assert (await approvals.get(first.id)).state is State.SUPERSEDED
    assert not await approvals.spend(first)
    with pytest.raises(ConflictError, match="superseded"):
        await yes(approvals, first.id)


async def test_an_approval_is_good_once(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, ASK, requester="claude")
    assert not await approvals.spend(asked)
    assert await yes(approvals, asked.id) is State.APPROVED
    assert await approvals.spend(asked)
    assert not await approvals.spend(asked)
    assert (await approvals.request(QUESTION, ASK, requester="claude")).id != asked.id


async def test_an_approval_ends_by_itself(approvals: Approvals, clock: Clock) -> None:
    asked = await approvals.request(QUESTION, wanting(expires=60.0), requester="claude")
    await yes(approvals, asked.id)
    clock.now += 61
    assert not await approvals.spend(asked)
    assert (await approvals.get(asked.id)).state is State.EXPIRED
    late = await approvals.request(QUESTION, wanting(expires=60.0), requester="claude")
    clock.now += 61
    with pytest.raises(ConflictError, match="expired"):
        await yes(approvals, late.id)
    assert await approvals.list() == []
    assert len(await approvals.list(pending=False)) == 2


async def test_a_no_and_a_deed_by_hand_are_remembered(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, ASK, requester="claude")
    await approvals.vote(asked.id, Verdict.DENY, approver="ada", channel=Channel.CONSOLE, note="wrong customer")
    kept = await approvals.request(QUESTION, ASK, requester="claude")
    assert (kept.state, kept.note, kept.by) == (State.DENIED, "wrong customer", "ada")
    other = await approvals.request(replace(QUESTION, arguments={"id": "pay_2"}), ASK, requester="claude")
    assert other.by == "nobody"
    done = await approvals.vote(other.id, Verdict.DONE, approver="bob", channel=Channel.CLI, note="by phone")
    assert done.state is State.DONE


async def test_two_people_must_agree_and_neither_twice_nor_the_one_who_asked(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, wanting(needed=2), requester="eve")
    assert await yes(approvals, asked.id, "ada") is State.PENDING
    with pytest.raises(ConflictError, match="another person must"):
        await yes(approvals, asked.id, "ada")
    with pytest.raises(PermissionDeniedError, match="whoever asked"):
        await yes(approvals, asked.id, "eve")
    assert await yes(approvals, asked.id, "bob") is State.APPROVED
    with pytest.raises(ConflictError, match="is approved by ada and bob"):
        await yes(approvals, asked.id, "carl")


async def test_only_those_whom_the_policy_names_decide_and_only_where_it_says(approvals: Approvals) -> None:
    ruling = wanting(approvers=("ada",), channels=(Channel.CONSOLE,))
    asked = await approvals.request(QUESTION, ruling, requester="claude")
    with pytest.raises(PermissionDeniedError, match="the policy wants: console"):
        await yes(approvals, asked.id)
    with pytest.raises(PermissionDeniedError, match="bob may not decide this"):
        await approvals.vote(asked.id, Verdict.APPROVE, approver="bob", channel=Channel.CONSOLE)
    voted = await approvals.vote(asked.id, Verdict.APPROVE, approver="ada", channel=Channel.CONSOLE)
    assert voted.state is State.APPROVED


async def test_everybody_approves_the_same_edited_arguments(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, wanting(needed=2), requester="claude")
    edit = Edit({"id": "pay_1", "amount": 5}, "other digest")
    await approvals.vote(asked.id, Verdict.APPROVE, approver="ada", channel=Channel.CLI, edit=edit)
    with pytest.raises(ConflictError, match="another person has approved other arguments"):
        await approvals.vote(
            asked.id, Verdict.APPROVE, approver="bob", channel=Channel.CLI, edit=Edit({"id": "pay_9"}, "third digest")
        )
    assert await yes(approvals, asked.id, "bob") is State.APPROVED
    assert (await approvals.get(asked.id)).edit == edit


async def test_a_yes_counts_for_what_the_person_had_before_them(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, wanting(needed=2), requester="claude")
    edit = Edit({"id": "pay_1", "amount": 5}, "other digest")
    ada = await approvals.vote(
        asked.id, Verdict.APPROVE, approver="ada", channel=Channel.CONSOLE, edit=edit, seen=asked.shown
    )
    assert (asked.shown, ada.shown) == (QUESTION.digest, "other digest")
    with pytest.raises(ConflictError, match="other arguments by now"):
        await approvals.vote(asked.id, Verdict.APPROVE, approver="bob", channel=Channel.CONSOLE, seen=asked.shown)
    both = await approvals.vote(asked.id, Verdict.APPROVE, approver="bob", channel=Channel.CONSOLE, seen=ada.shown)
    assert both.state is State.APPROVED


async def test_what_is_asked_of_the_next_person_is_what_the_first_one_made_of_it(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, wanting(needed=2), requester="claude")
    edit = Edit(
        {"id": "pay_2"}, replace(QUESTION, arguments={"id": "pay_2"}, preview={"amount": 7}).digest, {"amount": 7}
    )
    await approvals.vote(asked.id, Verdict.APPROVE, approver="ada", channel=Channel.CLI, edit=edit)
    now = await approvals.get(asked.id)
    assert (now.asks.arguments, now.asks.preview, now.asks.digest) == ({"id": "pay_2"}, {"amount": 7}, now.shown)
    assert now.question == QUESTION


async def test_an_edit_that_changes_nothing_is_a_plain_yes(approvals: Approvals) -> None:
    asked = await approvals.request(QUESTION, ASK, requester="claude")
    edit = Edit(QUESTION.arguments, QUESTION.digest, QUESTION.preview)
    voted = await approvals.vote(asked.id, Verdict.APPROVE, approver="ada", channel=Channel.CLI, edit=edit)
    assert (voted.state, voted.edit) == (State.APPROVED, None)


async def test_an_approval_that_is_not_there_is_not_found(approvals: Approvals) -> None:
    with pytest.raises(NotFoundError, match="there is no approval 'nope'"):
        await approvals.get("nope")


async def test_what_was_decided_long_ago_is_forgotten(approvals: Approvals, clock: Clock) -> None:
    old = await approvals.request(QUESTION, ASK, requester="claude")
    clock.now += 40 * 86400
    await approvals.request(QUESTION, ASK, requester="claude")
    with pytest.raises(NotFoundError):
        await approvals.get(old.id)


async def test_an_altered_row_never_counts_as_approved(
    approvals: Approvals, database: Database, tmp_path: Path
) -> None:
    asked = await approvals.request(QUESTION, ASK, requester="claude")
    other = await approvals.request(replace(QUESTION, arguments={"id": "pay_2"}), ASK, requester="claude")
    row = await database.fetch_one("SELECT body FROM approvals WHERE id = ?", other.id)
    assert row is not None
    await database.execute("UPDATE approvals SET body = ? WHERE id = ?", row[0], asked.id)
    with pytest.raises(AssertionError):
        await approvals.get(asked.id)


async def test_of_many_who_decide_at_once_one_decides_and_one_call_runs(
    approvals: Approvals, address: str, clock: Clock
) -> None:
    other = await open_database(address)
    desks = [approvals, await open_approvals(other, Xor(), clock)]
    asked = await approvals.request(QUESTION, ASK, requester="agent")

    async def say(number: int) -> State | None:
        verdict = Verdict.APPROVE if number % 2 else Verdict.DENY
        try:
            said = await desks[number % 2].vote(asked.id, verdict, approver=f"p{number}", channel=Channel.CLI)
        except ConflictError:
            return None
        return said.state

    said = [each for each in await asyncio.gather(*map(say, range(8))) if each is not None]
    now = await approvals.get(asked.id)
    assert said == [now.state]
    assert len(now.votes) == 1
    await other.execute("UPDATE approvals SET state = 'approved' WHERE id = ?", asked.id)
    spent = await asyncio.gather(*(desks[number % 2].spend(now) for number in range(8)))
    assert spent.count(True) == 1
    await other.close()
