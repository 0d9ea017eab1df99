"""The way into the budgets: who is charged, what is learned, what a refusal does, and what the agent is told."""

# pyright: reportPrivateUsage=false

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from clew.core.budgets import LEARNED, TRIPS, Level, Terms
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError, ProviderDownError, RateLimitError
from clew.core.limit_sqlite import SqliteStore
from clew.core.limit_store import Ask, MemoryStore, Taken
from clew.core.limit_turns import Jitter, Turn
from clew.core.limiter import Declared, Limiter, Pass, Sending
from clew.core.limits import Limit, RateLimitHeaders, object_of

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    now: float = 1000.0
    slept: list[float] = field(default_factory=list[float])
    told: list[str] = field(default_factory=list[str])

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def tell(self, message: str) -> None:
        self.told.append(message)


@dataclass
class Line:
    """One process's callers of one provider."""

    declared: Declared
    clock: Clock = field(default_factory=Clock)
    limiter: Limiter = field(init=False)

    def __post_init__(self) -> None:
        self.limiter = Limiter(clock=self.clock, wall=lambda: 1_800_000_000.0 + self.clock.now)

    def sending(self, method: str = "GET", route: str = "/a", path: str = "", background: bool = False) -> Sending:
        request = httpx.Request(method, f"https://api.example{path or route}", headers={"x-cost": "5"})
        return Sending("local/work", route, request, background)

    async def enter(self, sending: Sending | None = None, seconds: float = 60.0) -> Pass:
        room, _ = await self.limiter.enter(
            self.declared,
            sending or self.sending(),
            deadline=Deadline.after(seconds),
            sleep=self.clock.sleep,
            tell=self.clock.tell,
        )
        return room

    async def answer(self, room: Pass, headers: dict[str, str], data: object = None) -> None:
        await self.limiter.answered(self.declared, self.sending(), room, headers, data)

    def level(self, bucket: str, thing: str = "", principal: str = "local/work") -> Level:
        assert isinstance(self.limiter.store, MemoryStore)
        return self.limiter.store.budgets[f"acme|{bucket}|{principal}|{thing}"][1]


def line(*limits: Limit, signals: tuple[RateLimitHeaders, ...] = ()) -> Line:
    return Line(Declared("acme", limits, signals))


HEADERS = RateLimitHeaders(remaining="left", reset="reset", unit="delta_s")


async def test_nothing_known_means_room() -> None:
    acme = line()
    for _ in range(100):
        await acme.enter()
    assert acme.clock.slept == []


async def test_a_declared_limit_hands_out_moments_and_the_caller_sleeps_once() -> None:
    acme = line(Limit(amount=1, per=5, kind="bucket"))
    await acme.enter()
    await acme.enter()
    assert acme.clock.slept == [pytest.approx(5.5, abs=0.1)]  # the half second of a cold beginning included
    assert acme.clock.told == ["waiting 6 s for the rate limit of acme"]


async def test_a_wait_that_does_not_fit_is_told_at_once_and_takes_nothing() -> None:
    acme = line(Limit(amount=1, per=100, kind="bucket"))
    await acme.enter()
    for _ in range(2):
        with pytest.raises(RateLimitError) as caught:
            await acme.enter()
        assert caught.value.retry_after == pytest.approx(100, abs=1)
        assert "use what does not need acme" in caught.value.next_step
    assert acme.clock.slept == []


async def test_budgets_are_chosen_by_method_and_template() -> None:
    acme = line(
        Limit(amount=1, per=100, name="search", paths=("/search/*",)),
        Limit(amount=1, per=100, name="writes", methods=("POST",)),
    )
    await acme.enter(acme.sending(route="/search/{}", path="/search/a"))
    await acme.enter(acme.sending("POST"))
    await acme.enter(acme.sending("GET"))
    with pytest.raises(RateLimitError, match="used up") as caught:
        await acme.enter(acme.sending(route="/search/{}", path="/search/b"))
    assert "Other tools of acme" in caught.value.next_step


async def test_an_object_can_have_a_budget_of_its_own() -> None:
    acme = line(Limit(amount=1, per=100, paths=("/issues/{}",), each=0))
    await acme.enter(acme.sending(route="/issues/{}", path="/issues/1"))
    await acme.enter(acme.sending(route="/issues/{}", path="/issues/2"))
    with pytest.raises(RateLimitError):
        await acme.enter(acme.sending(route="/issues/{}", path="/issues/1"))
    assert object_of("/a/{}/b", "/v1/a/x/b", 0) == "x"
    assert object_of("/a/{}/b", "/v1/a/x/b", 1) == ""
    assert object_of("/a/{}", "/elsewhere", 0) == ""


async def test_a_limit_of_the_app_is_shared_by_its_accounts() -> None:
    acme = line(Limit(amount=5, per=1, by="app"))
    await acme.enter()
    assert acme.level("", principal="").total == 1


async def test_costs_are_estimated_and_then_corrected() -> None:
    points = Limit(
        amount=100, per=100, kind="bucket", cost=lambda request: float(request.headers["x-cost"]), spent="cost"
    )
    acme = line(points)
    room = await acme.enter()
    assert acme.level("").total == 5
    before = acme.level("").even
    await acme.answer(room, {}, {"cost": 8})
    assert acme.level("").even == pytest.approx(before - 0.5 + 3)
    await acme.answer(room, {}, {"cost": "much"})
    header = Limit(amount=1, spent="header:x-spent")
    assert header.paid({"x-spent": "2.5"}, None) == 2.5
    assert Limit(amount=1).paid({}, None) is None
    assert header.paid({"x-spent": "-1"}, None) is None


async def test_a_slot_is_held_until_the_request_is_over() -> None:
    acme = line(Limit(amount=1, kind="concurrency"))
    room = await acme.enter()
    with pytest.raises(RateLimitError):
        await acme.enter(seconds=0.52)
    await acme.limiter.leave(room)
    await acme.enter()


async def test_headers_teach_and_name_their_bucket() -> None:
    named = RateLimitHeaders(remaining="left", reset="reset", unit="delta_s", bucket="kind")
    acme = line(signals=(named,))
    room = await acme.enter()
    await acme.answer(room, {"left": "1", "reset": "30", "kind": "core"})
    assert acme.level("learned core").left == 1
    room = await acme.enter()
    assert await acme.limiter.left(acme.declared, acme.sending(), room) == pytest.approx(30)
    await acme.answer(room, {"left": "0", "reset": "30", "kind": "core"})
    await acme.enter()
    assert sum(acme.clock.slept) == pytest.approx(30, abs=0.1)
    assert max(acme.clock.slept) == 10


async def test_headers_that_belong_to_a_limit_lower_it() -> None:
    acme = line(
        Limit(amount=60, per=60, name="minute"),
        signals=(RateLimitHeaders(remaining="left", reset="reset", budget="minute"),),
    )
    await acme.answer(await acme.enter(), {"left": "0", "reset": "20"})
    assert acme.level("minute").left == 0
    loose = line(Limit(amount=60, per=60, name="minute"), signals=(HEADERS,))
    await loose.answer(await loose.enter(), {"left": "0", "reset": "20"})
    assert loose.level("learned").left == 0


async def test_headers_of_a_limit_that_did_not_count_the_request_are_kept_apart() -> None:
    acme = line(
        Limit(amount=9, name="writes", methods=("POST",)),
        Limit(amount=9, name="all"),
        signals=(RateLimitHeaders(remaining="left", reset="reset", budget="writes"),),
    )
    await acme.answer(await acme.enter(), {"left": "3", "reset": "20"})
    assert acme.level("learned writes").left == 3


async def test_after_a_refusal_every_moment_handed_out_is_void() -> None:
    acme = line(
        Limit(amount=1, per=1, kind="bucket", name="wide"),
        Limit(amount=10, per=1, kind="bucket", name="narrow", paths=("/a",)),
    )
    first = await acme.enter()
    sleeping = asyncio.Event()
    go_on = asyncio.Event()
    own = acme.clock.sleep

    async def sleep(seconds: float) -> None:
        sleeping.set()
        await go_on.wait()
        await own(seconds)

    acme.clock.sleep = sleep  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(acme.enter())
    await sleeping.wait()
    await acme.limiter.refused(acme.declared, acme.sending(), first, 30.0)
    assert acme.level("narrow").stop == pytest.approx(1030, abs=1)
    go_on.set()
    await waiting
    assert acme.clock.now >= 1030


async def test_who_stops_waiting_gives_his_moment_back() -> None:
    acme = line(Limit(amount=1, per=1, kind="bucket"), Limit(amount=2, kind="concurrency", name="slots"))
    await acme.enter()
    before = acme.level("").even

    async def interrupted(seconds: float) -> None:
        raise asyncio.CancelledError

    acme.clock.sleep = interrupted  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await acme.enter()
    assert acme.level("").even == pytest.approx(before)
    assert len(acme.level("slots").leases) == 1


async def test_a_moment_of_an_old_plan_is_not_given_back() -> None:
    acme = line(Limit(amount=1, per=1, kind="bucket"))
    room = await acme.enter()
    await acme.limiter.refused(acme.declared, acme.sending(), room, 1.0)
    even = acme.level("").even
    await acme.limiter._give_back(room)
    assert acme.level("").even == even


async def test_while_a_provider_is_down_nothing_is_sent_but_probes() -> None:
    acme = line()
    for _ in range(int(TRIPS)):
        await acme.limiter.failed(await acme.enter())
    with pytest.raises(ProviderDownError) as caught:
        await acme.enter()
    assert caught.value.retry_after == pytest.approx(2)
    acme.clock.now += 1.1
    probe = await acme.enter()
    with pytest.raises(ProviderDownError):
        await acme.enter()
    await acme.answer(probe, {})
    for _ in range(3):
        await acme.enter()


async def test_a_late_first_answer_moves_the_beginning_of_what_it_used() -> None:
    acme = line(Limit(amount=2, per=2, kind="bucket"))
    room = await acme.enter()
    even = acme.level("").even
    acme.clock.now += 0.3
    await acme.answer(room, {})
    assert acme.level("").even == pytest.approx(even - 0.5 + 0.3)
    await acme.limiter.refused(acme.declared, acme.sending(), room, 1.0)
    even = acme.level("").even
    await acme.answer(room, {})
    assert acme.level("").even == even
    acme.clock.now += 4
    warm = await acme.enter()
    even = acme.level("").even
    await acme.answer(warm, {})
    assert acme.level("").even == even


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_request_that_left_late_is_counted_for_as_much_longer(*, noticed: bool) -> None:
    acme = line(Limit(amount=50, per=1))
    arrived: list[float] = []
    late: Pass | None = None
    for number in range(120):
        room = await acme.enter()
        arrived.append(acme.clock.now + 0.045 * (number == 1))  # the second one, which was free to go at once
        if number == 1:
            late = room
            continue
        await acme.limiter.answered(acme.declared, acme.sending(), room, {}, None, sent_at=acme.clock.now)
        if late is not None and acme.clock.now > arrived[1]:
            sent_at = arrived[1] if noticed else None
            await acme.limiter.answered(acme.declared, acme.sending(), late, {}, None, sent_at=sent_at)
            late = None
    arrived.sort()
    most = max(sum(at <= each < at + 1 for each in arrived) for at in arrived)
    assert most == (50 if noticed else 51), "the provider would have refused one"


@pytest.mark.parametrize(("amount", "per"), [(20, 60), (100, 20), (500, 10), (1000, 3600)])
@pytest.mark.parametrize("weighted", [False, True])
async def test_where_every_request_is_late_a_window_loses_its_lateness_and_not_its_units(
    amount: int, per: float, *, weighted: bool
) -> None:
    acme = line(Limit(amount=amount, per=per, cost=(lambda request: 1.0) if weighted else 1.0, reserve=0))
    began = acme.clock.now
    for _ in range(2 * amount):
        room = await acme.enter(seconds=1e6)
        acme.clock.now += 0.001
        sent_at = acme.clock.now + 0.3  # a new connection each time
        await acme.limiter.answered(acme.declared, acme.sending(), room, {}, None, sent_at=sent_at)
    assert acme.clock.now - began < 2 * per * 1.04 + 2


async def test_without_a_rate_limit_of_its_own_a_refusal_stops_what_is_learned() -> None:
    acme = line(Limit(amount=5, kind="concurrency"))
    room = await acme.enter()
    await acme.limiter.refused(acme.declared, acme.sending(), room, 10.0)
    assert acme.level("learned").stop == pytest.approx(1010)


def test_the_margin_follows_the_unevenness_and_is_bounded() -> None:
    jitter = Jitter()
    for _ in range(2000):
        jitter.observe(0.2, 1.0)
    assert jitter.margin == 0.005
    jitter.observe(0.23, 1.0)
    assert jitter.margin == pytest.approx(0.03, abs=0.002)
    jitter.observe(9.0, 1.0)
    assert jitter.margin == 0.1


def test_a_connector_takes_one_declaration_or_several() -> None:
    def declared(rate_limits: object) -> Declared:
        return Connector("acme", "https://api.example", rate_limits=rate_limits).declared  # type: ignore[arg-type]

    assert declared(None) == Declared("acme")
    assert declared(HEADERS) == Declared("acme", (), (HEADERS,))
    limit = Limit(amount=5)
    assert declared(limit) == Declared("acme", (limit,))
    assert declared([limit, HEADERS]) == Declared("acme", (limit,), (HEADERS,))
    with pytest.raises(ConfigurationError, match="same name"):
        declared([limit, Limit(amount=6)])


async def test_a_shared_file_serves_as_well(tmp_path: Path) -> None:
    acme = line(Limit(amount=5, per=1))
    store = SqliteStore.open(tmp_path / "limits.db")
    acme.limiter = Limiter(store)
    await acme.limiter.leave(await acme.enter())
    _, found = await store.everything()
    assert list(found) == ["acme||local/work|"]  # a closed breaker is not worth a write

    def fail(level: Level, now: float) -> bool:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await store.change("a", LEARNED, fail)
    await acme.enter()
    await store.close()


async def test_in_a_queue_a_process_pauses_before_it_asks_again() -> None:
    now, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    turn, slow = Turn(), Ask("a", Terms("bucket", 4, 1.0, 4))
    for wait in (1.0, 0.05, 0.0):
        async with turn.mine(lambda: now[0], sleep):
            turn.took(Taken(True, wait), slow, now[0])
    assert slept == [pytest.approx(0.125)]
    turn.waiting, turn.free_at = 99, 0.0
    turn.took(Taken(True, 1.0), slow, now[0])
    assert turn.free_at - now[0] == pytest.approx(0.01)
    turn.took(Taken(True, 1.0), Ask("a", LEARNED), now[0])
    assert turn.free_at - now[0] == pytest.approx(0.01)
