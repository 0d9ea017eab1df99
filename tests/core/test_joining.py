"""Events and the writes they confirm, from both sides, on both engines."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from tests.core.test_inbox import OneKey

from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.database import Database, open_database
from clew.core.errors import ActionRequiredError, DeniedError, TransientError
from clew.core.events import Events
from clew.core.inbox import Inbox, Incoming, StoredEvent, open_inbox
from clew.core.inbox_work import Worker
from clew.core.joining import Joining, ending_of
from clew.core.journal import Ending, Journal, State, Wanted, Write, open_journal
from clew.core.once import key_of

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
WORK = Connection("local", "acme", "work")


class Payment(BaseModel):
    id: str
    status: str


acme = Connector(
    "acme",
    "http://127.0.0.1",
    events=Events(type="type", reference="data.id", object="data", states={"paid": "succeeded", "no": "failed"}),
)


@acme.write
async def create_payment(api: Api, amount: int) -> Payment:
    """Pay."""
    raise NotImplementedError


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
async def journal(database: Database) -> Journal:
    return await open_journal(database, OneKey())


@pytest.fixture
async def inbox(database: Database) -> Inbox:
    return await open_inbox(database, OneKey())


@pytest.fixture
def joining(journal: Journal, inbox: Inbox) -> Joining:
    return Joining(journal, inbox, {"acme": acme})


async def open_write(
    journal: Journal, reference: str | None = "pay_1", *, pending: str | None = "action_required", **answer: Any
) -> Write:
    """A write that a call has left open."""
    row = await _claimed(journal)
    kept = answer or {"error": ActionRequiredError("confirm", url="https://bank.example").as_dict()}
    await journal.finish(row, Ending(state=State.APPLIED, answer=kept, reference=reference, pending=pending))
    found = await journal.get(row.id)
    assert found is not None
    return found


async def _claimed(journal: Journal, tool: str = "create_payment") -> Write:
    row, _ = await journal.claim(Wanted(WORK, tool, {"amount": 1}, None, 600.0), state=State.SENT)
    return row


async def arrived(inbox: Inbox, state: str = "succeeded", reference: str = "pay_1", **facts: Any) -> StoredEvent:
    """A stored event about a payment."""
    data = facts.pop("data", {"id": reference, "status": state})
    keys, kind = (facts.pop("key", f"{state} {reference}"),), facts.pop("type", "paid")
    payload, where = json.dumps({"data": data}), facts.pop("connection", WORK)
    await inbox.store([Incoming(where, keys, kind, payload, reference=reference, state=state)])
    (newest,) = await inbox.list(limit=1)
    return newest


async def join(joining: Joining, inbox: Inbox) -> None:
    worker = Worker(inbox, before=joining)
    while await worker.work():
        pass


async def ended(journal: Journal, write: Write) -> tuple[State, Any]:
    found = await journal.get(write.id)
    assert found is not None
    assert found.pending is None
    return found.state, await journal.answer(found)


async def test_an_event_ends_an_open_write_with_the_object_it_carries(
    journal: Journal, inbox: Inbox, joining: Joining
) -> None:
    write = await open_write(journal)
    event = await arrived(inbox)
    await join(joining, inbox)
    state, answer = await ended(journal, write)
    assert state is State.APPLIED
    confirmed = {"state": "succeeded", "event": event.id}
    assert answer == {"result": {"id": "pay_1", "status": "succeeded", "confirmed": confirmed}}
    await joining(event, "{}")  # again, after a crash: nothing more happens


async def test_a_failure_is_an_end_in_which_nothing_happened(journal: Journal, inbox: Inbox, joining: Joining) -> None:
    write = await open_write(journal)
    await arrived(inbox, "failed")
    await join(joining, inbox)
    state, answer = await ended(journal, write)
    assert state is State.NOT_APPLIED
    result, error = ending_of(answer)
    assert result is None
    assert isinstance(error, DeniedError)
    assert "failed" in error.message


@pytest.mark.parametrize("data", [{"unknown": "shape"}, None])
async def test_an_object_of_another_shape_leaves_what_the_tool_said(
    journal: Journal, inbox: Inbox, joining: Joining, data: Any
) -> None:
    write = await open_write(journal, pending="accepted", result={"id": "pay_1", "accepted": {"next": "wait"}})
    event = await arrived(inbox, data=data)
    await join(joining, inbox)
    confirmed = {"state": "succeeded", "event": event.id}
    assert (await ended(journal, write))[1] == {"result": {"id": "pay_1", "confirmed": confirmed}}


async def test_a_connector_that_declares_no_object_keeps_what_the_tool_said(journal: Journal, inbox: Inbox) -> None:
    write = await open_write(journal)
    await arrived(inbox)
    await join(Joining(journal, inbox, {"acme": Connector("acme", "http://127.0.0.1", events=Events())}), inbox)
    assert set((await ended(journal, write))[1]["result"]) == {"confirmed"}


async def test_a_body_without_the_object_keeps_what_the_tool_said(
    journal: Journal, inbox: Inbox, joining: Joining
) -> None:
    write = await open_write(journal)
    event = await arrived(inbox)
    await joining(event, "[]")
    assert set((await ended(journal, write))[1]["result"]) == {"confirmed"}


mails = Connector(
    "acme",
    "http://127.0.0.1",
    events=Events(marker=("mark", "key"), recipient="to", reference="data.id"),
)


async def test_an_event_that_repeats_a_mark_or_a_key_ends_the_write_whose_answer_was_lost(
    journal: Journal, inbox: Inbox
) -> None:
    joining = Joining(journal, inbox, {"acme": mails})
    for field, position in (("mark", None), ("key", 0)):
        row = await _claimed(journal, f"tool_{field}")
        await journal.finish(row, Ending(state=State.UNKNOWN))
        text = row.marker if position is None else key_of(row.seed, position, "uuid")
        event = await arrived(inbox, reference=f"msg_{field}", type="delivered")
        await joining(event, json.dumps({"mark": "clew-somebody-elses"}))
        assert (await open_again(journal, row)).state is State.UNKNOWN
        await joining(event, json.dumps({field: f"({text})" if position is None else text}))
        assert (await open_again(journal, row)).settled_by == "event"


async def open_again(journal: Journal, row: Write) -> Write:
    found = await journal.get(row.id)
    assert found is not None
    return found


async def test_the_ends_at_several_recipients_add_up_in_any_order(journal: Journal, inbox: Inbox) -> None:
    joining = Joining(journal, inbox, {"acme": mails})
    write = await open_write(journal, pending="accepted", result={"id": "pay_1"})
    told = [("delivered", "Ann"), ("bounced", "bob"), ("delivered", "bob"), ("cancelled", "bob"), ("delivered", "cy")]
    for number, (state, who) in enumerate(told):
        event = await arrived(inbox, state, key=f"{number}")
        for _ in range(2):
            await joining(event, json.dumps({"to": who}))
    _, answer = await ended(journal, write)
    confirmed = answer["result"]["confirmed"]
    assert confirmed["state"] == "bounced"
    assert confirmed["recipients"] == {"ann": "delivered", "bob": "bounced", "cy": "delivered"}


async def test_what_failed_and_happened_after_all_is_done(journal: Journal, inbox: Inbox, joining: Joining) -> None:
    write = await open_write(journal)
    for state in ("failed", "succeeded"):
        await joining(await arrived(inbox, state, key=state), "{}")
    state, answer = await ended(journal, write)
    assert (state, answer["result"]["confirmed"]["state"]) == (State.APPLIED, "succeeded")


async def test_two_workers_end_a_write_once(journal: Journal, inbox: Inbox, joining: Joining) -> None:
    stale = await open_write(journal)
    event = await arrived(inbox)
    await joining(event, "{}")

    async def find(connector: str, reference: str, *, tenant: str | None = None) -> list[Write]:
        return [stale]

    with pytest.MonkeyPatch.context() as patch:  # as the other worker saw it the moment before
        patch.setattr(journal, "find", find)
        await joining(event, "{}")
    assert (await ended(journal, stale))[0] is State.APPLIED


async def test_what_a_call_ended_itself_is_not_an_events_to_change(
    journal: Journal, inbox: Inbox, joining: Joining
) -> None:
    write = await open_write(journal, pending=None, result={"id": "pay_1"})
    await joining(await arrived(inbox), "{}")
    assert (await ended(journal, write))[1] == {"result": {"id": "pay_1"}}


async def test_what_is_no_end_or_about_something_else_changes_nothing(
    journal: Journal, inbox: Inbox, joining: Joining
) -> None:
    write = await open_write(journal)
    other = Connection("local", "acme", "somebody else")
    await arrived(inbox, "requires_action")
    await arrived(inbox, "succeeded", "pay_2")
    await arrived(inbox, "succeeded", "")
    await arrived(inbox, connection=other)
    await join(joining, inbox)
    found = await journal.get(write.id)
    assert found is not None
    assert found.pending == "action_required"


async def test_an_event_waits_while_a_call_holds_its_write(journal: Journal, inbox: Inbox, joining: Joining) -> None:
    write = await open_write(journal)
    held = await journal.take(write, State.SENT)
    assert held is not None
    event = await arrived(inbox)
    with pytest.raises(TransientError):  # it comes again: the call may settle it itself, or die
        await joining(event, "{}")
    await journal.finish(held, Ending(state=State.APPLIED, reference="pay_1", pending="action_required"))
    stale = await journal.get(write.id)
    assert stale is not None
    again = await journal.take(stale, stale.state)
    assert again is not None

    with pytest.MonkeyPatch.context() as patch:  # as in the moment before the other call has taken it

        async def get(identity: str) -> Write:
            return stale

        async def find(connector: str, reference: str, *, tenant: str | None = None) -> list[Write]:
            return [stale]

        patch.setattr(journal, "get", get)
        patch.setattr(journal, "find", find)
        with pytest.raises(TransientError):
            await joining(event, "{}")


async def test_an_event_that_was_faster_than_the_call_ends_it_too(
    journal: Journal, inbox: Inbox, joining: Joining, database: Database
) -> None:
    await arrived(inbox)
    await join(joining, inbox)
    write = await open_write(journal)
    assert await joining.settle(write)
    assert (await ended(journal, write))[0] is State.APPLIED
    assert await joining.settle(write)  # somebody else ended it meanwhile: nothing is left to do
    assert (await ended(journal, write))[0] is State.APPLIED
    assert not await joining.settle(await open_write_of(journal, None))
    assert not await joining.settle(await open_write_of(journal, "pay_9"))
    await arrived(inbox, "failed", "pay_3")
    await database.execute("UPDATE inbox_events SET type = 'forged'")
    assert not await joining.settle(await open_write_of(journal, "pay_3"))


async def open_write_of(journal: Journal, reference: str | None) -> Write:
    row = await _claimed(journal, f"tool_{reference}")
    await journal.finish(row, Ending(state=State.APPLIED, reference=reference, pending="accepted"))
    found = await journal.get(row.id)
    assert found is not None
    return found


def test_a_kept_answer_is_a_result_or_an_error() -> None:
    assert ending_of({"result": {"a": 1}}) == ({"a": 1}, None)
    assert ending_of(None) == ({"done": True}, None)
    assert ending_of({"error": ActionRequiredError("x").as_dict()}) == (None, None)
