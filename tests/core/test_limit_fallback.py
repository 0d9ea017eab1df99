"""Two keepers of budgets: what happens when one takes over from the other, in one process and in several."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from clew.core.budgets import LEARNED, Level, Terms
from clew.core.limit_fallback import MOVED, FallbackStore
from clew.core.limit_store import Ask, MemoryStore, StoreError, Taken, Wish

pytestmark = pytest.mark.anyio

WISH = Wish(60.0, 0.0, "token", 60.0)
BUCKET = Terms("bucket", 50, 1.0, 50)
WINDOW = Terms("sliding", 500, 10.0, 25)


class Broken:
    """A keeper that fails until it is mended."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.broken = False
        self.closed = False

    def _check(self) -> None:
        if self.broken:
            raise StoreError("gone")

    async def take(self, asks: Any, wish: Wish) -> Taken:
        self._check()
        return await self.inner.take(asks, wish)

    async def change(self, key: str, terms: Terms, edit: Any) -> None:
        self._check()
        await self.inner.change(key, terms, edit)

    async def read(self, keys: Any) -> tuple[float, list[Level]]:
        self._check()
        return await self.inner.read(keys)

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        self._check()
        return await self.inner.everything()

    async def close(self) -> None:
        self.closed = True


@dataclass
class Machine:
    """Processes that share both keepers, on one clock."""

    now: float = 1000.0
    far: Broken = field(default_factory=Broken)
    near: MemoryStore = field(default_factory=MemoryStore)
    sent: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.near.clock = self.far.inner.clock = self.clock

    def clock(self) -> float:
        return self.now

    def process(self) -> FallbackStore:
        return FallbackStore(self.far, self.near, "Redis", clock=self.clock)

    def forget(self) -> None:
        """The far server starts again, with nothing in it."""
        self.far.inner.budgets.clear()

    async def demand(self, processes: list[FallbackStore], terms: Terms, *, callers: int = 8) -> None:
        """Let callers call all the time, as long as `run` is turned on: one step of 10 ms."""
        for process in processes:
            mine: list[float] = self.waiting.setdefault(id(process), [0.0] * callers)
            for number, due in enumerate(mine):
                if due <= self.now:
                    taken = await process.take([Ask("a", terms), Ask("b", LEARNED)], WISH)
                    mine[number] = self.now + taken.wait
                    self.sent.append(mine[number])
        self.now += 0.01

    waiting: dict[int, list[float]] = field(default_factory=dict[int, list[float]])


def overdrawn(moments: list[float], amount: float, burst: float) -> float:
    """By how many units a strict bucket would have been exceeded at the worst moment."""
    tokens, before, worst = burst, 0.0, 0.0
    for at in sorted(moments):
        tokens = min(burst, tokens + (at - before) * amount) - 1
        before, worst = at, max(worst, -tokens)
    return worst


async def test_one_warning_for_each_change_of_keeper(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    store = machine.process()
    asks = [Ask("a", BUCKET), Ask("b", LEARNED)]
    assert (await store.take(asks, WISH)).wait == 0.0
    machine.far.broken = True
    assert (await store.take(asks, WISH)).wait > 0.0
    assert (await store.take(asks, WISH)).ok
    assert len(caplog.records) == 1
    machine.now += 1
    assert (await store.take(asks, WISH)).ok
    machine.far.broken = False
    machine.now += 1
    assert (await store.take(asks, WISH)).wait > 0.0
    assert machine.far.inner.budgets["a"][1].total == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize("terms", [BUCKET, WINDOW], ids=["bucket", "window"])
@pytest.mark.parametrize("number", [1, 4])
async def test_a_new_keeper_begins_empty_behind_what_was_booked(terms: Terms, number: int) -> None:
    machine = Machine()
    processes = [machine.process() for _ in range(number)]
    for step in range(1500):
        machine.far.broken = 500 <= step < 1000
        if step == 1000:
            machine.forget()
        await machine.demand(processes, terms, callers=32 // number)
    assert not any(process.away for process in processes)
    if terms is BUCKET:
        assert overdrawn(machine.sent, 50, 50) <= 1e-6
    else:
        most = max(sum(start <= at < start + 10 - 1e-6 for at in machine.sent) for start in machine.sent)
        assert most <= 500
    used = sum(at < 1014.5 for at in machine.sent)
    assert used >= 0.93 * 14.5 * 50, "what is not known to be spent is to be used"


async def test_an_idle_process_finds_that_the_others_have_gone_back() -> None:
    machine = Machine()
    first, second = machine.process(), machine.process()
    for process in (first, second):
        await process.take([Ask("a", BUCKET)], WISH)
    machine.far.broken = True
    for process in (first, second):
        await process.take([Ask("a", BUCKET)], WISH)
    machine.now += 0.49
    second.again_at = machine.now + 0.3  # it looked a moment later
    machine.far.broken = False
    machine.now += 0.1
    await first.take([Ask("a", BUCKET)], WISH)
    assert not first.away
    await second.take([Ask("a", BUCKET)], WISH)
    assert not second.away
    assert machine.near.budgets["|moved|Redis|"][0] == MOVED


async def test_a_far_keeper_that_fails_again_while_somebody_goes_back_is_left_alone() -> None:
    machine = Machine()
    first, second = machine.process(), machine.process()
    for process in (first, second):
        await process.take([Ask("a", BUCKET)], WISH)
    machine.far.broken = True
    for process in (first, second):
        await process.take([Ask("a", BUCKET)], WISH)
    machine.now += 1
    machine.far.broken = False
    await first.take([Ask("a", BUCKET)], WISH)
    machine.far.broken = True
    machine.now += 0.01
    for _ in range(3):
        assert (await second.take([Ask("a", BUCKET)], WISH)).ok
    assert second.away
    assert second.again_at == machine.now + 0.5


@pytest.mark.parametrize("what", ["change", "read", "everything"])
async def test_every_way_into_the_keeper_falls_back(what: str) -> None:
    far, near = Broken(), MemoryStore()
    store = FallbackStore(far, near, "Redis")
    calls: dict[str, Any] = {
        "change": lambda: store.change("a", LEARNED, lambda level, now: True),
        "read": lambda: store.read(["a"]),
        "everything": store.everything,
    }
    await calls[what]()
    far.broken = True
    await calls[what]()
    assert store.away
    await calls[what]()
    await store.leave(StoreError("again"))
    await store.close()
    assert far.closed


async def test_what_is_remembered_for_the_change_of_keeper_is_bounded() -> None:
    store = FallbackStore(MemoryStore(), MemoryStore(), "Redis")
    for number in range(1001):
        await store.take([Ask(str(number), BUCKET)], WISH)
    assert len(store.known) == 1000


async def test_a_refusal_is_no_moment_to_remember() -> None:
    machine = Machine()
    store = machine.process()
    assert (await store.take([Ask("a", BUCKET, 50.0)], WISH)).ok
    held = store.known["a"]
    machine.now += 0.1
    taken = await store.take([Ask("a", BUCKET, 50.0)], Wish(0.0, 0.0, "token", 60.0))
    assert (taken.ok, store.known["a"]) == (False, held)


async def test_while_one_call_looks_for_the_far_keeper_the_others_do_not_wait_for_it() -> None:
    machine = Machine()
    store = machine.process()
    machine.far.broken = True
    await store.take([Ask("a", BUCKET)], WISH)
    machine.now += 1
    machine.far.broken = False
    async with store.turning:  # as a call holds it while it looks
        assert (await store.take([Ask("a", BUCKET)], WISH)).ok
    assert store.away
    assert "a" in machine.near.budgets
    await store.take([Ask("a", BUCKET)], WISH)
    assert not store.away
