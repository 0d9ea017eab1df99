"""What workers share between the rounds of a call, on each engine: the keys, and the answers that were used."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from mcp.server.request_state import InvalidRequestState

from clew.core.database import Database, open_database
from clew.core.errors import TransientError
from clew.servers.rounds import OwnAnswers, Rounds, open_rounds

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
WEEK = 7 * 86400.0


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Bound:
    """A sealer that keeps things apart by label and hides nothing."""

    out = False

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        return f"{tenant}/{label}:".encode() + data

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        if self.out:
            raise TransientError("the key is on a machine that is out.")
        head = f"{tenant}/{label}:".encode()
        assert sealed.startswith(head)
        return sealed[len(head) :]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


async def worker(database: Database, clock: Clock) -> Rounds:
    """Another worker of the same address; it reads the keys again at every call."""
    rounds = await open_rounds(database, Bound(), clock, fresh=0.0)
    await rounds.refresh()
    return rounds


async def test_what_one_worker_seals_another_opens_though_they_began_at_once(database: Database, clock: Clock) -> None:
    first, second = await asyncio.gather(worker(database, clock), worker(database, clock))
    assert second.unseal(first.seal(b"asked")) == b"asked"
    assert first.unseal(second.seal(b"asked")) == b"asked"
    assert await database.fetch_one("SELECT COUNT(*) FROM round_keys") == (1,)


async def test_an_answer_counts_once_whichever_worker_it_reaches(database: Database, clock: Clock) -> None:
    workers = [await worker(database, clock) for _ in range(4)]
    assert sorted(await asyncio.gather(*(each.use("n1") for each in workers))) == [False, False, False, True]
    assert await workers[0].use("n2")
    clock.now += 901
    await workers[0].use("n3")
    assert await database.fetch_one("SELECT COUNT(*) FROM round_answers") == (1,), "what is too old is forgotten"


async def test_a_new_key_seals_only_when_every_worker_has_read_it(database: Database, clock: Clock) -> None:
    slow = await worker(database, clock)
    clock.now += WEEK + 1
    fast = await worker(database, clock)
    assert await database.fetch_one("SELECT COUNT(*) FROM round_keys") == (2,)
    assert slow.unseal(fast.seal(b"x")) == b"x", "a worker that has not read the new key is not shut out"
    clock.now += 200
    await fast.refresh()
    with pytest.raises(InvalidRequestState):
        slow.unseal(fast.seal(b"x"))
    await slow.refresh()
    assert slow.unseal(fast.seal(b"x")) == b"x"


async def test_the_keys_go_after_their_time(database: Database, clock: Clock) -> None:
    new = await worker(database, clock)
    old = new.seal(b"x")
    for _ in range(3):
        clock.now += WEEK + 1
        new = await worker(database, clock)
    assert await database.fetch_one("SELECT COUNT(*) FROM round_keys") == (2,)
    with pytest.raises(InvalidRequestState):
        new.unseal(old)


async def test_a_store_that_is_out_does_not_end_what_is_known(database: Database, clock: Clock) -> None:
    sealer = Bound()
    rounds = await open_rounds(database, sealer, clock, fresh=0.0)
    await rounds.refresh()
    sealed = rounds.seal(b"x")
    sealer.out = True
    await rounds.refresh()
    assert rounds.unseal(sealed) == b"x"
    late = await open_rounds(database, sealer, clock)
    await late.refresh()
    with pytest.raises(AssertionError):
        late.seal(b"x")


async def test_a_process_alone_remembers_its_answers_for_as_long_as_they_could_come_back() -> None:
    now = [0.0]
    own = OwnAnswers(lambda: now[0])
    assert await own.use("n")
    assert not await own.use("n")
    now[0] = 901.0
    assert await own.use("n")
