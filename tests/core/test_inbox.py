"""The inbox on both engines: durable, once, in order, leased, and dead only after every try."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clew.auth.sealing import DataKey
from clew.core import intake as intake_module
from clew.core.connection import Connection
from clew.core.database import Database, Transaction, open_database
from clew.core.errors import CallError, InternalError, TransientError
from clew.core.inbox import Inbox, Incoming, Status, StoredEvent, open_inbox
from clew.core.inbox_work import Worker, replay
from clew.core.intake import Intake

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
ACME = Connection("local", "acme", "work")


class OneKey:
    """A sealer with one data key for all tenants."""

    def __init__(self) -> None:
        self._key = DataKey(os.urandom(8), AESGCM(os.urandom(32)))

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        return self._key.seal_bytes(data, label.encode())

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        try:
            return self._key.open_bytes(sealed, label.encode())
        except ValueError:
            raise InternalError("altered") from None


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    await opened.migrate("effects", ["CREATE TABLE effects (event TEXT PRIMARY KEY, times BIGINT NOT NULL)"])
    yield opened
    await opened.close()


@pytest.fixture
async def inbox(database: Database) -> Inbox:
    return await open_inbox(database, OneKey())


def event(key: str, **facts: object) -> Incoming:
    return replace(Incoming(ACME, (key,), "payment.succeeded", json.dumps({"id": key})), **facts)  # type: ignore[arg-type]


class Effects:
    """A handler that counts its effects in the same transaction, and fails where it is told to."""

    def __init__(self, *failing: str, error: Exception | None = None) -> None:
        self.failing = list(failing)
        self.error = error or RuntimeError("quoting the payload")
        self.tried: list[str] = []

    async def __call__(self, event: StoredEvent, payload: str, tx: Transaction) -> None:
        key = json.loads(payload)["id"]
        self.tried.append(key)
        await tx.execute(
            "INSERT INTO effects (event, times) VALUES (?, 1) "
            "ON CONFLICT (event) DO UPDATE SET times = effects.times + 1",
            key,
        )
        if key in self.failing:
            raise self.error


async def effects(database: Database) -> dict[str, int]:
    return {str(key): times for key, times in await database.fetch_all("SELECT event, times FROM effects")}


async def due_now(database: Database) -> None:
    await database.execute("UPDATE inbox_events SET due = 0 WHERE lease = ''")


def ids(events: Sequence[StoredEvent]) -> list[str]:
    return [each.reference for each in events]


async def test_an_event_is_stored_once_however_often_it_comes(inbox: Inbox) -> None:
    first = await inbox.store([event("a"), event("b"), event("a")])
    assert first[0] is not None
    assert first == [first[0], first[0] + 1, None]
    assert await inbox.store([event("b"), event("c")]) != [None, None]
    assert (await inbox.store([event("c", keys=("new", "c")), event("new")])) == [None, None]
    assert await inbox.count() == {Status.PENDING: 3, Status.DONE: 0, Status.DEAD: 0}


async def test_another_account_with_the_same_key_is_another_event(inbox: Inbox) -> None:
    other = event("a", connection=Connection("local", "acme", "home"))
    assert None not in await inbox.store([event("a"), other])


async def test_a_key_is_known_only_as_long_as_it_is_remembered(inbox: Inbox) -> None:
    await inbox.store([event("short", remembered=-1.0), event("long")])
    assert None not in await inbox.store([event("short")])
    await inbox.store([event("long", remembered=-1.0)])
    assert await inbox.store([event("long")]) == [None]  # a shorter memory never replaces a longer one


async def test_a_payload_is_sealed_to_what_its_row_says(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("secret-id", reference="pay_1")])
    (stored,) = await inbox.list()
    assert b"secret-id" not in stored.sealed
    assert await inbox.payload(stored) == '{"id": "secret-id"}'
    await database.execute("UPDATE inbox_events SET reference = 'pay_2'")
    (moved,) = await inbox.list()
    assert await inbox.payload(moved) is None


async def test_events_are_found_by_what_they_say(inbox: Inbox) -> None:
    other = event("d", connection=Connection("local", "github", "work"), type="push", reference="d")
    await inbox.store(
        [event("a", reference="a"), event("b", reference="b", type="payment.failed"), event("c", reference="a"), other]
    )
    assert ids(await inbox.list()) == ["d", "a", "b", "a"]
    assert ids(await inbox.list(connection=ACME, limit=2)) == ["a", "b"]
    assert ids(await inbox.list(type="payment.failed")) == ["b"]
    assert ids(await inbox.list(type="payment.*")) == ["a", "b", "a"]
    assert len(await inbox.list(reference="a", status=Status.PENDING)) == 2
    newest = await inbox.newest()
    assert ids(await inbox.list(after=newest - 1)) == ["d"]
    assert ids(await inbox.list(before=newest)) == ["a", "b", "a"]
    (one,) = await inbox.list(type="push")
    assert await inbox.get(one.id) == one
    assert [await inbox.get(each) for each in ("evt_1", "evt_x", "evt_-1", "evt_" + "f" * 20)] == [None] * 4


async def test_what_is_old_and_processed_is_forgotten_and_still_known(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a", remembered=-1.0), event("b")])
    assert await inbox.prune(retention=-1.0) == 0  # pending events are never forgotten
    await Worker(inbox, Effects()).work()
    assert await inbox.prune() == 0
    assert await inbox.prune(retention=-1.0) == 2
    assert await inbox.newest() == 0
    assert await inbox.store([event("b")]) == [None]
    assert (await database.fetch_one("SELECT COUNT(*) FROM inbox_seen")) == (1,)


async def test_a_batch_has_its_effects_and_is_done(inbox: Inbox, database: Database) -> None:
    await inbox.store([event(f"{number}") for number in range(100)])
    worker = Worker(inbox, Effects())
    assert [await worker.work() for _ in range(3)] == [64, 36, 0]
    assert await effects(database) == dict.fromkeys(map(str, range(100)), 1)
    assert (await inbox.count())[Status.DONE] == 100


async def test_a_worker_takes_only_what_it_knows(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a"), event("b", connection=Connection("local", "github", "work"))])
    worker = Worker(inbox, Effects(), only=("github", "slack"))
    assert [await worker.work(), await worker.work()] == [1, 0]
    assert await effects(database) == {"b": 1}


async def test_one_that_fails_does_not_keep_the_others(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a"), event("bad"), event("c")])
    failing = Effects("bad")
    worker = Worker(inbox, failing)
    await worker.work()
    await worker.work()
    assert await effects(database) == {"a": 1, "c": 1}
    (left,) = await inbox.list(status=Status.PENDING)
    assert (left.attempts, left.trouble) == (1, "RuntimeError")  # not the words: they may quote the payload
    assert await worker.work() == 0  # it rests
    failing.failing.clear()
    await due_now(database)
    assert await worker.work() == 1
    assert await effects(database) == {"a": 1, "bad": 1, "c": 1}


async def test_what_fails_too_often_is_a_dead_letter_until_it_is_replayed(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("bad"), event("bad too")])
    failing = Effects("bad", "bad too", error=TransientError("the journal is away"))
    worker = Worker(inbox, failing, attempts=2)
    for _ in range(4):
        await due_now(database)
        await worker.work()
    assert (await inbox.count())[Status.DEAD] == 2
    dead = await inbox.list(status=Status.DEAD)
    assert {each.trouble for each in dead} == {"the journal is away"}
    failing.failing.clear()
    assert await replay(inbox, dead[0].id) == 1
    assert await replay(inbox) == 1
    assert await replay(inbox) == 0
    while await worker.work():
        pass
    assert await effects(database) == {"bad": 1, "bad too": 1}


async def test_events_with_one_key_keep_their_order_whatever_fails(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a1", order="a"), event("b1", order="b"), event("a2", order="a"), event("b2", order="b")])
    failing = Effects("a1")
    worker = Worker(inbox, failing)
    while await worker.work():
        pass
    assert list(await effects(database)) == ["b1", "b2"]
    failing.failing.clear()
    await due_now(database)
    while await worker.work():
        pass
    assert failing.tried[-2:] == ["a1", "a2"]
    assert (await inbox.count())[Status.DONE] == 4


async def test_nobody_takes_what_comes_after_a_leased_event(inbox: Inbox) -> None:
    await inbox.store([event("a1", order="a", reference="a1")])
    first, second = Worker(inbox, Effects()), Worker(inbox, Effects())
    mine = await first.lease()
    await inbox.store([event("a2", order="a", reference="a2"), event("b1", order="b", reference="b1")])
    yours = await second.lease()
    assert mine is not None
    assert yours is not None
    assert (ids(mine.events), ids(yours.events)) == (["a1"], ["b1"])


async def test_a_worker_that_lost_its_lease_changes_nothing(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a")])
    slow = Worker(inbox, Effects(), lease_seconds=0.0)
    lease = await slow.lease()
    assert lease is not None
    assert await Worker(inbox, Effects()).work() == 1  # the lease was over at once
    await slow.process(lease)
    assert await effects(database) == {"a": 1}


async def test_a_step_before_is_done_again_when_it_fails_and_its_event_waits(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a"), event("b")])
    steps: list[str] = []

    async def before(event: StoredEvent, payload: str) -> None:
        key = json.loads(payload)["id"]
        steps.append(key)
        if key == "a" and steps.count("a") <= 2:
            raise TransientError("not yet")

    worker = Worker(inbox, before=before)
    while await worker.work():
        pass
    assert (steps, (await inbox.count())[Status.DONE]) == (["a", "a", "b"], 1)
    await due_now(database)
    while await worker.work():
        pass
    assert (steps, (await inbox.count())[Status.DONE]) == (["a", "a", "b", "a"], 2)


async def test_an_event_that_ends_its_workers_is_buried(inbox: Inbox) -> None:
    await inbox.store([event("killer"), event("innocent")])
    for _ in range(2):
        assert await Worker(inbox, Effects(), lease_seconds=0.0).lease()  # and the process dies here
    worker = Worker(inbox, Effects(), attempts=1, lease_seconds=0.0)
    while await worker.work():
        pass
    (dead, _) = await inbox.list(status=Status.DEAD)
    assert dead.trouble == "every worker that tried it died"


async def test_an_event_that_has_failed_is_taken_alone(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("first", reference="first"), event("second", reference="second")])
    await database.execute("UPDATE inbox_events SET attempts = 1 WHERE reference = 'first'")
    lease = await Worker(inbox, Effects()).lease()
    assert lease is not None
    assert ids(lease.events) == ["first"]
    await database.execute("UPDATE inbox_events SET attempts = 1, due = 0")
    await database.execute("UPDATE inbox_events SET attempts = 0 WHERE reference = 'first'")
    lease = await Worker(inbox, Effects()).lease()
    assert lease is not None
    assert ids(lease.events) == ["first"]


async def test_what_does_not_open_is_a_dead_letter_at_once(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a")])
    await database.execute("UPDATE inbox_events SET state = 'forged'")
    await Worker(inbox, Effects()).work()
    (dead,) = await inbox.list(status=Status.DEAD)
    assert dead.trouble == "its stored content does not open"


async def test_a_lease_from_before_the_clock_began_anew_does_not_hold(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a")])
    await database.execute("UPDATE inbox_events SET due = 1e17, lease = 'of another boot'")
    assert await Worker(inbox, Effects()).work() == 1


async def test_another_worker_may_be_quicker_between_the_look_and_the_lease(inbox: Inbox, database: Database) -> None:
    await inbox.store([event("a")])
    workers = [Worker(inbox, Effects()) for _ in range(4)]
    leases = await asyncio.gather(*(worker.lease() for worker in workers))
    assert len([lease for lease in leases if lease]) == 1


async def test_a_worker_runs_until_it_is_cancelled(inbox: Inbox, database: Database) -> None:
    worker = Worker(inbox, Effects())
    stored = Intake(inbox, worker.nudge)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        assert None not in await stored.put([event("a")])
        while await effects(database) != {"a": 1}:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await worker.work()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_store_that_is_away_for_a_while_does_not_end_a_worker(
    inbox: Inbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(inbox, Effects())
    whole, failed = worker.lease, asyncio.Event()

    async def lease() -> object:
        if not failed.is_set():
            failed.set()
            raise TransientError("the database cannot be reached")
        return await whole()

    monkeypatch.setattr(worker, "lease", lease)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        await failed.wait()
        await inbox.store([event("a")])
        worker.nudge()
        while not await effects(database):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_puts_that_wait_share_a_commit(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    store = inbox.store

    async def counted(incoming: Sequence[Incoming]) -> list[int | None]:
        sizes.append(len(incoming))
        return await store(incoming)

    monkeypatch.setattr(inbox, "store", counted)
    intake = Intake(inbox)
    numbers = await asyncio.gather(*(intake.put([event(f"{number % 250}")]) for number in range(300)))
    assert len([each for each in numbers if each != [None]]) == 250
    assert sizes == [256, 44]
    assert await intake.put([event("last")]) != [None]
    await intake.close()


async def test_one_delivery_that_cannot_be_stored_does_not_refuse_the_others(inbox: Inbox) -> None:
    intake = Intake(inbox)
    broken = event("broken", payload="\ud800")
    results = await asyncio.gather(
        intake.put([event("a")]), intake.put([broken]), intake.put([event("b")]), return_exceptions=True
    )
    assert [type(each) for each in results] == [list, UnicodeEncodeError, list]


async def test_a_store_that_fails_fails_every_put(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(incoming: Sequence[Incoming]) -> list[int | None]:
        raise TransientError("full")

    monkeypatch.setattr(inbox, "store", full)
    intake = Intake(inbox)
    results = await asyncio.gather(*(intake.put([event(str(n))]) for n in range(3)), return_exceptions=True)
    assert [isinstance(each, CallError) for each in results] == [True] * 3


async def test_too_many_that_wait_are_refused(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "WAITING", 2)
    intake = Intake(inbox)
    puts = [asyncio.create_task(intake.put([event(str(number))])) for number in range(3)]
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(each, TransientError) for each in results] == [False, False, True]


async def test_a_sender_that_goes_away_leaves_its_delivery_stored(inbox: Inbox) -> None:
    intake = Intake(inbox)
    gone, failing = (
        asyncio.create_task(intake.put([event("a")])),
        asyncio.create_task(intake.put([event("x", payload="\ud800")])),
    )
    await asyncio.sleep(0)
    gone.cancel()
    failing.cancel()
    await intake.put([event("b")])
    assert await inbox.store([event("a")]) == [None]


async def test_a_cancelled_intake_leaves_nobody_waiting(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def stuck(incoming: Sequence[Incoming]) -> list[int | None]:
        await never.wait()
        return []

    monkeypatch.setattr(inbox, "store", stuck)
    intake = Intake(inbox)
    puts = [asyncio.create_task(intake.put([event(str(number))])) for number in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await intake.close()
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in results] == [True, True]
